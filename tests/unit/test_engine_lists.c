/* The engine's jobs and queues as lists: what is in them, and how long they may become. */
#include "engine_rig.h"
#include <stdio.h>

static void jobs_are_listed_newest_first(void **state)
{
	struct job *jobs[100], *at = NULL;
	struct rig rig;
	int expected;

	(void)state;
	rig_open(&rig, (struct engine_options){ .result_ttl = 1 });
	assert_null(engine_older(rig.e, NULL));
	for (int i = 0; i < 100; i++)
		jobs[i] = rig_job(&rig);
	for (int i = 20; i < 60; i++) /* whole pages of neighbours leave, and parts of them */
		assert_int_equal(engine_cancel(rig.e, jobs[i]), 0);
	rig_turn(&rig);
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	for (expected = 99; (at = engine_older(rig.e, at)); expected--) {
		if (expected == 59)
			expected = 19;
		assert_ptr_equal(at, jobs[expected]);
	}
	assert_int_equal(expected, -1);
	rig_close(&rig);
}

static void a_list_goes_on_behind_jobs_that_have_left(void **state)
{
	struct uuid ids[100], foreign = { 0 };
	struct job *jobs[100];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .result_ttl = 1 });
	for (int i = 0; i < 100; i++) {
		jobs[i] = rig_job(&rig);
		ids[i] = jobs[i]->id;
	}
	for (int i = 20; i < 100; i++) /* whole pages, the newest ones too */
		assert_int_equal(engine_cancel(rig.e, jobs[i]), 0);
	rig_turn(&rig);
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	for (int i = 99; i >= 20; i--)
		assert_ptr_equal(engine_older_than(rig.e, &ids[i]), jobs[19]);
	assert_ptr_equal(engine_older_than(rig.e, &ids[19]), jobs[18]);
	assert_null(engine_older_than(rig.e, &ids[0]));
	assert_null(engine_older_than(rig.e, &foreign));
	rig_close(&rig);
}

static void arguments_of_unfinished_jobs_are_bounded(void **state)
{
	struct bytes *args = bytes_new("[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0]", 41);
	struct submission s = { .args = args }, bare = { 0 };
	struct job *jobs[10], *more = NULL;
	struct engine_counts counts;
	struct rig rig;
	int in = 0;

	(void)state;
	rig_open(&rig, (struct engine_options){ .max_args_bytes = 500 });
	while (in < 10 && engine_submit(rig.e, &s, &jobs[in]) == 0)
		in++;
	assert_in_range(in, 2, 9);
	assert_int_equal(engine_submit(rig.e, &s, &more), -EDQUOT);
	assert_int_equal(engine_submit(rig.e, &bare, &more), 0);
	rig_check(&rig);
	assert_int_equal(engine_cancel(rig.e, jobs[0]), 0);
	assert_int_equal(engine_submit(rig.e, &s, &more), 0);
	rig_turn(&rig);
	assert_int_equal(engine_retry(rig.e, jobs[0]), 0); /* the bound is for what comes in at the door */
	rig_check(&rig);
	engine_counts(rig.e, &counts);
	assert_true(counts.args_bytes > 500);
	engine_set_limits(rig.e, 100, 1000);
	assert_int_equal(engine_submit(rig.e, &s, &more), 0);
	bytes_unref(args);
	rig_close(&rig);
}

static void queues_are_bounded_and_empty_ones_make_room(void **state)
{
	struct submission s = { 0 };
	struct job *first = NULL, *more = NULL;
	struct rig rig;
	char name[32];
	int r = 0;

	(void)state;
	rig_open(&rig, (struct engine_options){ .result_ttl = 1 });
	for (int i = 0; r == 0; i++) {
		snprintf(name, sizeof(name), "queue-%d", i);
		s.queue = span_of(name);
		r = engine_submit(rig.e, &s, &more);
		first = first ? first : more;
		assert_in_range(i, 0, 100000);
	}
	assert_int_equal(r, -ENOSPC);
	rig_check(&rig);
	s.queue = SPAN("queue-1");
	assert_int_equal(engine_submit(rig.e, &s, &more), 0); /* it is there */
	assert_int_equal(engine_cancel(rig.e, first), 0);
	rig_turn(&rig);
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	s.queue = SPAN("another");
	assert_int_equal(engine_submit(rig.e, &s, &more), 0);
	rig_close(&rig);
}

static void the_counters_tell_what_happened(void **state)
{
	struct engine_counts counts;
	struct job *jobs[4];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 3);
	for (int i = 0; i < 4; i++)
		jobs[i] = rig_submit(
			&rig, (struct submission){
				      .retries = { .max = 1, .initial_ms = 5, .maximum_ms = 5 } });
	rig_turn(&rig);
	rig_succeed(&rig, jobs[0]);
	rig_fail(&rig, jobs[1], false);
	rig_fail(&rig, jobs[2], true);
	assert_int_equal(engine_cancel(rig.e, jobs[3]), 0);
	rig_turn(&rig);
	engine_counts(rig.e, &counts);
	assert_int_equal(counts.submitted, 4);
	assert_int_equal(counts.succeeded, 1);
	assert_int_equal(counts.failed, 1);
	assert_int_equal(counts.cancelled, 1);
	assert_int_equal(counts.retried, 1);
	assert_int_equal(counts.jobs[JOB_RETRYING], 1);
	assert_int_equal(counts.jobs[JOB_READY] + counts.jobs[JOB_RUNNING], 0);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_are_listed_newest_first),
		cmocka_unit_test(a_list_goes_on_behind_jobs_that_have_left),
		cmocka_unit_test(arguments_of_unfinished_jobs_are_bounded),
		cmocka_unit_test(queues_are_bounded_and_empty_ones_make_room),
		cmocka_unit_test(the_counters_tell_what_happened),
	};

	return TAP_RUN(tests);
}
