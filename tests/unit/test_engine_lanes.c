/* Whose turn it is: priority, then keys in turn, then acceptance; and lanes that wait for their gate. */
#include "limits_rig.h"
#include <stdio.h>

static void keys_of_a_queue_take_turns(void **state)
{
	struct job *a[4], *b[2], *bare[2];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (int i = 0; i < 4; i++)
		a[i] = rig_keyed(&rig, "", "a", 0);
	for (int i = 0; i < 2; i++)
		b[i] = rig_keyed(&rig, "", "b", 0);
	for (int i = 0; i < 2; i++)
		bare[i] = rig_keyed(&rig, "", "", 0);
	rig_worker(&rig, 0, 1, 100);
	rig_turn(&rig);
	assert_started(&rig, a[0], b[0], bare[0], a[1], b[1], bare[1], a[2], a[3]);
	rig_close(&rig);
}

static void turns_go_on_where_they_were(void **state)
{
	struct job *a[3], *b[3];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	for (int i = 0; i < 3; i++) {
		a[i] = rig_keyed(&rig, "", "a", 0);
		b[i] = rig_keyed(&rig, "", "b", 0);
	}
	for (int i = 0; i < 3; i++) { /* one place in the worker at a time */
		rig_turn(&rig);
		assert_started(&rig, a[i]);
		rig_succeed(&rig, a[i]);
		rig_turn(&rig);
		assert_started(&rig, b[i]);
		rig_succeed(&rig, b[i]);
	}
	rig_close(&rig);
}

static void priority_comes_before_turns(void **state)
{
	struct job *low, *mid, *high, *top;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	low = rig_keyed(&rig, "", "a", -5);
	mid = rig_keyed(&rig, "", "b", 0);
	high = rig_keyed(&rig, "", "a", 50);
	top = rig_keyed(&rig, "", "a", 50);
	assert_int_equal(engine_ahead(rig.e, low), 3);
	assert_int_equal(engine_ahead_of_key(rig.e, low), 2);
	rig_worker(&rig, 0, 1, 100);
	rig_turn(&rig);
	assert_started(&rig, high, top, mid, low);
	rig_close(&rig);
}

static void priority_holds_for_jobs_behind_a_shut_gate(void **state)
{
	struct job *first, *low, *high;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 100);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 1 });
	first = rig_keyed(&rig, "", "a", 0);
	rig_turn(&rig);
	low = rig_keyed(&rig, "", "a", 1);
	high = rig_keyed(&rig, "", "a", 2);
	assert_int_equal(rig_start(&rig), 0);
	rig_succeed(&rig, first);
	rig_turn(&rig);
	assert_started(&rig, high);
	rig_succeed(&rig, high);
	rig_turn(&rig);
	assert_started(&rig, low);
	rig_close(&rig);
}

static void queues_share_a_key(void **state)
{
	struct job *jobs[12];
	struct rig rig;
	char name[8];

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 100);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 1 });
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "q%d", i % 4);
		jobs[i] = rig_keyed(&rig, name, "a", 0);
	}
	rig_turn(&rig);
	for (int i = 0; i < 12; i++) { /* in turn, though each ran against a shut gate before */
		assert_started(&rig, jobs[i]);
		rig_succeed(&rig, jobs[i]);
		rig_turn(&rig);
	}
	rig_close(&rig);
}

static void a_queue_that_is_shut_keeps_no_slot_of_a_key(void **state)
{
	struct job *a[2], *b[2];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 100);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 1 });
	for (int i = 0; i < 2; i++) {
		a[i] = rig_keyed(&rig, "qa", "a", 0);
		b[i] = rig_keyed(&rig, "qb", "a", 0);
	}
	rig_turn(&rig);
	assert_started(&rig, a[0]);
	assert_int_equal(engine_pause(rig.e, LIMIT_QUEUE, SPAN("qb")), 0); /* its lane is first to wake */
	rig_succeed(&rig, a[0]);
	rig_turn(&rig);
	assert_started(&rig, a[1]);
	engine_resume(rig.e, LIMIT_QUEUE, SPAN("qb"));
	assert_int_equal(rig_start(&rig), 0);
	rig_succeed(&rig, a[1]);
	rig_turn(&rig);
	assert_started(&rig, b[0]);
	rig_close(&rig);
}

/* A worker that is never idle must not keep a key out whose gate opened. */
static void a_key_comes_back_while_others_have_enough_to_do(void **state)
{
	struct job *a[3], *plain[30];
	struct rig rig;
	int at = 0;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 2);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 1 });
	for (int i = 0; i < 3; i++)
		a[i] = rig_keyed(&rig, i < 2 ? "qa" : "qb", "a", 0);
	for (int i = 0; i < 30; i++)
		plain[i] = rig_keyed(&rig, "", "", 0);
	rig_turn(&rig);
	for (int i = 0; i < 3; i++) {
		while (a[i]->state != JOB_RUNNING) {
			assert_in_range(at, 0, 20);
			rig_succeed(&rig, plain[at++]);
			rig_turn(&rig);
		}
		rig_succeed(&rig, a[i]);
		rig_turn(&rig);
	}
	rig_close(&rig);
}

static void many_keys_whose_gates_open_at_once_all_take_part(void **state)
{
	struct job *keyed[50];
	struct rig rig;
	char name[16];
	unsigned started = 0;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_limit(&rig, LIMIT_KEY, "", (struct limit){ .concurrency = 1 });
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "host-%d", i % 50);
		if (i < 50)
			keyed[i] = rig_keyed(&rig, "", name, 0);
		else
			rig_keyed(&rig, "", name, 0);
	}
	for (int i = 0; i < 200; i++)
		rig_keyed(&rig, "", "", 0);
	rig_worker(&rig, 0, 1, 100);
	rig_turn(&rig);
	for (int i = 0; i < 50; i++)
		rig_succeed(&rig, keyed[i]);
	rig_turn(&rig);
	for (unsigned i = 0; i < 50; i++)
		started += rig_started(&rig, i)->key != NULL;
	assert_in_range(started, 49, 50);
	rig_close(&rig);
}

static void a_slot_of_a_key_finds_the_one_queue_that_is_open(void **state)
{
	struct job *first, *last;
	struct rig rig;
	char name[16];

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 100);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 1 });
	first = rig_keyed(&rig, "", "a", 0);
	rig_turn(&rig);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "q%d", i);
		rig_keyed(&rig, name, "a", 0);
	}
	last = rig_keyed(&rig, "", "a", 0);
	assert_int_equal(rig_start(&rig), 0);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "q%d", i);
		assert_int_equal(engine_pause(rig.e, LIMIT_QUEUE, span_of(name)), 0);
	}
	rig_succeed(&rig, first);
	rig_turn(&rig);
	assert_started(&rig, last);
	rig_close(&rig);
}

/* The lane that was woken can't use the slot, and there is always something else to do. */
static void a_slot_of_a_key_is_passed_on_while_others_have_enough_to_do(void **state)
{
	struct job *first, *b, *plain[30];
	struct rig rig;
	int at = 0;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 2);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 1 });
	first = rig_keyed(&rig, "", "a", 0);
	for (int i = 0; i < 30; i++)
		plain[i] = rig_keyed(&rig, "", "", 0);
	rig_turn(&rig);
	rig_keyed(&rig, "qa", "a", 0);
	b = rig_keyed(&rig, "qb", "a", 0);
	rig_succeed(&rig, first);
	assert_int_equal(engine_pause(rig.e, LIMIT_QUEUE, SPAN("qa")), 0);
	while (b->state != JOB_RUNNING) {
		assert_in_range(at, 0, 20);
		rig_turn(&rig);
		rig_succeed(&rig, plain[at++]);
	}
	rig_turn(&rig);
	rig_close(&rig);
}

static void lanes_of_each_class_wait_for_themselves(void **state)
{
	struct submission s = { .limit_key = SPAN("a") };
	struct job *jobs[CLASS_COUNT];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 10);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 1 });
	for (int c = 0; c < CLASS_COUNT; c++) {
		s.job_class = (enum job_class)c;
		jobs[c] = rig_submit(&rig, s);
	}
	for (int ended = 0; ended < CLASS_COUNT; ended++) {
		assert_int_equal(rig_start(&rig), 1);
		for (int c = 0; c < CLASS_COUNT; c++)
			if (jobs[c]->state == JOB_RUNNING)
				rig_succeed(&rig, jobs[c]);
	}
	rig_close(&rig);
}

static void jobs_that_come_back_stand_in_their_lane_again(void **state)
{
	struct job *a[3], *b[3];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 6);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 2 });
	for (int i = 0; i < 3; i++) {
		a[i] = rig_keyed(&rig, "", "a", 0);
		b[i] = rig_keyed(&rig, "", "b", 0);
	}
	rig_turn(&rig);
	assert_started(&rig, a[0], b[0], a[1], b[1], b[2]);
	engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .asked = true });
	rig_check(&rig);
	rig_worker(&rig, 0, 2, 3);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 3);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, a[0]), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, b[0]), 1);
	rig_close(&rig);
}

static void cancelled_jobs_leave_their_lane(void **state)
{
	struct job *jobs[6];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 100);
	rig_limit(&rig, LIMIT_KEY, "a", (struct limit){ .concurrency = 1 });
	for (int i = 0; i < 6; i++)
		jobs[i] = rig_keyed(&rig, "", "a", i % 3);
	rig_turn(&rig);
	assert_started(&rig, jobs[2]);
	for (int i = 0; i < 6; i++) {
		if (i == 2 || i == 4)
			continue;
		assert_int_equal(engine_cancel(rig.e, jobs[i]), 0);
		rig_check(&rig);
	}
	rig_succeed(&rig, jobs[2]);
	rig_turn(&rig);
	assert_started(&rig, jobs[4]);
	rig_succeed(&rig, jobs[4]);
	rig_turn(&rig);
	rig_close(&rig);
}

static void ten_thousand_shut_lanes_are_not_looked_at(void **state)
{
	struct submission s = { .job_class = CLASS_NET };
	struct job *job = NULL;
	struct rig rig;
	char name[16];
	size_t count;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 100);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "host-%d", i);
		assert_int_equal(engine_pause(rig.e, LIMIT_KEY, span_of(name)), 0);
		s.limit_key = span_of(name);
		rig_submit(&rig, s);
	}
	s.limit_key = (struct span){ 0 };
	for (int i = 0; i < 100000; i++) { /* 1e9 looks, if it were otherwise */
		job = rig_submit(&rig, s);
		(void)engine_run(rig.e, &count);
		assert_int_equal(count, 1);
		engine_reap(rig.e);
		rig_succeed(&rig, job);
		(void)engine_run(rig.e, &count);
		engine_reap(rig.e);
	}
	rig_close(&rig);
}

static void what_stands_ahead_is_estimated_past_a_thousand(void **state)
{
	static struct job *jobs[5000];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (int i = 0; i < 5000; i++)
		jobs[i] = rig_keyed(&rig, "", "a", 0);
	assert_int_equal(engine_ahead(rig.e, jobs[999]), 999);
	assert_in_range(engine_ahead(rig.e, jobs[2500]), 2450, 2550);
	assert_int_equal(engine_ahead_of_key(rig.e, jobs[4999]), 4999);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_a_queue_take_turns),
		cmocka_unit_test(turns_go_on_where_they_were),
		cmocka_unit_test(priority_comes_before_turns),
		cmocka_unit_test(priority_holds_for_jobs_behind_a_shut_gate),
		cmocka_unit_test(queues_share_a_key),
		cmocka_unit_test(a_queue_that_is_shut_keeps_no_slot_of_a_key),
		cmocka_unit_test(a_key_comes_back_while_others_have_enough_to_do),
		cmocka_unit_test(many_keys_whose_gates_open_at_once_all_take_part),
		cmocka_unit_test(a_slot_of_a_key_finds_the_one_queue_that_is_open),
		cmocka_unit_test(a_slot_of_a_key_is_passed_on_while_others_have_enough_to_do),
		cmocka_unit_test(lanes_of_each_class_wait_for_themselves),
		cmocka_unit_test(jobs_that_come_back_stand_in_their_lane_again),
		cmocka_unit_test(cancelled_jobs_leave_their_lane),
		cmocka_unit_test(ten_thousand_shut_lanes_are_not_looked_at),
		cmocka_unit_test(what_stands_ahead_is_estimated_past_a_thousand),
	};

	return TAP_RUN(tests);
}
