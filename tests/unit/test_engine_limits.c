/* Limits of queues and keys in the engine: what they hold back, and what brings it back. */
#include "limits_rig.h"
#include <stdio.h>

static const struct limit no_limit;

static void open_rig(struct rig *rig)
{
	rig_open(rig, (struct engine_options){ .result_ttl = 60 * NSEC_PER_SEC });
	rig_worker(rig, 0, 1, 100);
}

/* Each kind of limit by name and kind: a queue's and a key's hold alike. */
static const struct subject {
	enum limit_kind kind;
	const char *name, *queue, *key;
} subjects[] = { { LIMIT_QUEUE, "reports", "reports", "" }, { LIMIT_KEY, "host", "", "host" } };

static void concurrency_is_never_exceeded(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(subjects); k++) {
		const struct subject *s = &subjects[k];
		struct job *jobs[10];
		struct rig rig;

		open_rig(&rig);
		rig_limit(&rig, s->kind, s->name, (struct limit){ .concurrency = 3 });
		for (int i = 0; i < 10; i++)
			jobs[i] = rig_keyed(&rig, s->queue, s->key, 0);
		assert_int_equal(rig_start(&rig), 3);
		assert_int_equal(rig_start(&rig), 0);
		assert_int_equal(rig_view(&rig, s->kind, s->name).running, 3);
		assert_int_equal(rig_view(&rig, s->kind, s->name).pending, 7);
		rig_succeed(&rig, jobs[1]);
		rig_fail(&rig, jobs[2], false);
		rig_turn(&rig);
		assert_started(&rig, jobs[3], jobs[4]);
		engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .asked = true });
		rig_check(&rig);
		rig_worker(&rig, 0, 2, 100);
		rig_turn(&rig);
		assert_started(&rig, jobs[0], jobs[3], jobs[4]);
		rig_close(&rig);
	}
}

static void others_pass_what_is_held_back(void **state)
{
	struct job *last = NULL;
	struct rig rig;

	(void)state;
	open_rig(&rig);
	rig_limit(&rig, LIMIT_QUEUE, "slow", (struct limit){ .concurrency = 1 });
	rig_limit(&rig, LIMIT_KEY, "host", (struct limit){ .concurrency = 1 });
	for (int i = 0; i < 20; i++) {
		rig_keyed(&rig, "slow", "", 0);
		rig_keyed(&rig, "", "host", 0);
	}
	last = rig_keyed(&rig, "", "", 0);
	assert_int_equal(rig_start(&rig), 3);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, last), 1);
	rig_close(&rig);
}

static void a_raised_limit_lets_more_start_and_a_lowered_one_stops_nothing(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(subjects); k++) {
		const struct subject *s = &subjects[k];
		struct job *jobs[20];
		struct rig rig;

		open_rig(&rig);
		rig_limit(&rig, s->kind, s->name, (struct limit){ .concurrency = 2 });
		for (int i = 0; i < 20; i++)
			jobs[i] = rig_keyed(&rig, s->queue, s->key, 0);
		assert_int_equal(rig_start(&rig), 2);
		rig_limit(&rig, s->kind, s->name, (struct limit){ .concurrency = 8 });
		assert_int_equal(rig_start(&rig), 6);
		rig_limit(&rig, s->kind, s->name, (struct limit){ .concurrency = 7 });
		assert_int_equal(rig_start(&rig), 0);
		rig_succeed(&rig, jobs[0]);
		assert_int_equal(rig_start(&rig), 0);
		rig_succeed(&rig, jobs[1]);
		assert_int_equal(rig_start(&rig), 1);
		assert_int_equal(engine_set_limit(rig.e, s->kind, span_of(s->name), NULL), 0);
		assert_int_equal(rig_start(&rig), 11);
		rig_close(&rig);
	}
}

static void both_limits_of_a_job_hold(void **state)
{
	struct job *jobs[8];
	struct rig rig;

	(void)state;
	open_rig(&rig);
	rig_limit(&rig, LIMIT_QUEUE, "q", (struct limit){ .concurrency = 2 });
	rig_limit(&rig, LIMIT_KEY, "host", (struct limit){ .concurrency = 3 });
	for (int i = 0; i < 4; i++) {
		jobs[i] = rig_keyed(&rig, "q", "host", 0);
		jobs[4 + i] = rig_keyed(&rig, "", "host", 0);
	}
	assert_int_equal(rig_start(&rig), 3);
	assert_int_equal(rig_view(&rig, LIMIT_KEY, "host").running, 3);
	assert_in_range(rig_view(&rig, LIMIT_QUEUE, "q").running, 1, 2);
	for (int i = 0; i < 4;
	     i++) /* as one of the queue ends, one of the other takes the key's slot, or the queue's next */
		if (jobs[i]->state == JOB_RUNNING) {
			rig_succeed(&rig, jobs[i]);
			assert_int_equal(rig_start(&rig), 1);
		}
	assert_int_equal(rig_view(&rig, LIMIT_KEY, "host").running, 3);
	rig_close(&rig);
}

static void defaults_hold_for_those_without_limits_of_their_own(void **state)
{
	struct limit_view view;
	struct rig rig;

	(void)state;
	open_rig(&rig);
	rig_limit(&rig, LIMIT_KEY, "", (struct limit){ .concurrency = 2 });
	rig_limit(&rig, LIMIT_KEY, "b", (struct limit){ .concurrency = 4 });
	for (int i = 0; i < 9; i++) {
		rig_keyed(&rig, "", "a", 0);
		rig_keyed(&rig, "", "b", 0);
		rig_keyed(&rig, "", "", 0);
	}
	assert_int_equal(rig_start(&rig), 2 + 4 + 9);
	assert_false(rig_view(&rig, LIMIT_KEY, "a").own);
	assert_true(rig_view(&rig, LIMIT_KEY, "b").own);
	rig_limit(&rig, LIMIT_KEY, "", (struct limit){ .concurrency = 3 });
	assert_int_equal(rig_start(&rig), 1);
	assert_int_equal(rig_view(&rig, LIMIT_KEY, "a").concurrency, 3);
	assert_int_equal(rig_view(&rig, LIMIT_KEY, "").limit.concurrency, 3);
	assert_int_equal(engine_set_limit(rig.e, LIMIT_KEY, SPAN(""), NULL), 0);
	assert_int_equal(rig_start(&rig), 6);
	assert_int_equal(engine_limit_find(rig.e, LIMIT_KEY, SPAN("c"), &view), -ENOENT);
	rig_close(&rig);
}

static void a_rate_starts_jobs_as_time_passes(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(subjects); k++) {
		const struct subject *s = &subjects[k];
		unsigned started = 0;
		struct rig rig;

		open_rig(&rig);
		rig_limit(&rig, s->kind, s->name, (struct limit){ .rate = 10, .per = NSEC_PER_SEC });
		for (int i = 0; i < 40; i++)
			rig_keyed(&rig, s->queue, s->key, 0);
		assert_int_equal(rig_start(&rig), 1);
		for (int i = 0; i < 20; i++) { /* woken when it says, each time one may start */
			int64_t due = engine_next_due(rig.e);

			assert_int_equal(due, rig.now + NSEC_PER_SEC / 10);
			rig_pass(&rig, due - 1 - rig.now);
			assert_int_equal(rig_start(&rig), 0);
			rig_pass(&rig, 1);
			assert_int_equal(rig_start(&rig), 1);
			started++;
		}
		assert_true(rig_view(&rig, s->kind, s->name).rate_until > rig.now);
		rig_limit(&rig, s->kind, s->name, no_limit);
		assert_int_equal(rig_start(&rig), 39 - started);
		rig_close(&rig);
	}
}

static void a_paused_one_starts_nothing_until_it_is_resumed(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(subjects); k++) {
		const struct subject *s = &subjects[k];
		struct job *jobs[4], *other;
		struct rig rig;

		open_rig(&rig);
		jobs[0] = rig_keyed(&rig, s->queue, s->key, 0);
		rig_turn(&rig);
		assert_int_equal(engine_pause(rig.e, s->kind, span_of(s->name)), 0);
		assert_int_equal(engine_pause(rig.e, s->kind, span_of(s->name)), 0);
		for (int i = 1; i < 4; i++)
			jobs[i] = rig_keyed(&rig, s->queue, s->key, 0);
		other = rig_keyed(&rig, "", "", 0);
		rig_turn(&rig);
		assert_started(&rig, other);
		assert_true(rig_view(&rig, s->kind, s->name).paused);
		rig_succeed(&rig, jobs[0]); /* what runs goes on */
		assert_int_equal(rig_start(&rig), 0);
		assert_int_equal(engine_cancel(rig.e, jobs[1]), 0);
		rig_check(&rig);
		engine_resume(rig.e, s->kind, span_of(s->name));
		rig_turn(&rig);
		assert_started(&rig, jobs[2], jobs[3]);
		engine_resume(rig.e, s->kind, span_of(s->name));
		engine_resume(rig.e, s->kind, SPAN("unheard-of"));
		rig_close(&rig);
	}
}

static void settings_outlive_the_jobs(void **state)
{
	struct limit_view view;
	struct rig rig;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(subjects); k++) {
		const struct subject *s = &subjects[k];
		struct span name = span_of(s->name);

		open_rig(&rig);
		rig_limit(&rig, s->kind, s->name, (struct limit){ .concurrency = 1 });
		assert_int_equal(engine_pause(rig.e, s->kind, name), 0);
		assert_int_equal(engine_cancel(rig.e, rig_keyed(&rig, s->queue, s->key, 0)), 0);
		rig_turn(&rig);
		rig_pass(&rig, 61 * NSEC_PER_SEC);
		rig_turn(&rig);
		assert_int_equal(rig_view(&rig, s->kind, s->name).concurrency, 1);
		assert_int_equal(engine_set_limit(rig.e, s->kind, name, NULL), 0);
		assert_true(rig_view(&rig, s->kind, s->name).paused);
		engine_resume(rig.e, s->kind, name);
		assert_int_equal(engine_limit_find(rig.e, s->kind, name, &view), -ENOENT);
		assert_int_equal(engine_set_limit(rig.e, s->kind, name, NULL), 0);
		assert_int_equal(engine_limit_find(rig.e, s->kind, name, &view), -ENOENT);
		rig_close(&rig);
	}
}

static void what_is_no_limit_is_refused(void **state)
{
	const struct limit wrong = { .rate = 1 };
	struct rig rig;

	(void)state;
	open_rig(&rig);
	assert_int_equal(engine_set_limit(rig.e, LIMIT_KEY, SPAN("x"), &wrong), -EINVAL);
	assert_int_equal(engine_set_limit(rig.e, LIMIT_KEY, SPAN(""), &wrong), -EINVAL);
	assert_int_equal(engine_pause(rig.e, LIMIT_KEY, SPAN("")), -EINVAL);
	rig_close(&rig);
}

static void pending_jobs_are_bounded_at_the_door(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(subjects); k++)
		for (int by_default = 0; by_default < 2; by_default++) {
			const struct subject *s = &subjects[k];
			struct submission sub = { .queue = span_of(s->queue),
						  .limit_key = span_of(s->key) };
			struct job *jobs[5], *more = NULL;
			struct rig rig;

			open_rig(&rig);
			rig_limit(&rig, s->kind, by_default ? "" : s->name,
				  (struct limit){ .max_pending = 2, .concurrency = 1 });
			jobs[0] = rig_submit(&rig, sub);
			rig_turn(&rig); /* it runs: it is no longer pending */
			jobs[1] = rig_submit(&rig, sub);
			jobs[2] = rig_submit(&rig, sub);
			assert_int_equal(engine_submit(rig.e, &sub, &more), -EAGAIN);
			rig_check(&rig);
			sub.exempt = true; /* it was accepted before */
			jobs[3] = rig_submit(&rig, sub);
			sub.exempt = false;
			rig_succeed(&rig, jobs[0]);
			rig_turn(&rig);
			assert_started(&rig, jobs[1]);
			assert_int_equal(engine_submit(rig.e, &sub, &more), -EAGAIN);
			assert_int_equal(engine_cancel(rig.e, jobs[2]), 0);
			jobs[4] = rig_submit(&rig, sub);
			rig_limit(&rig, s->kind, by_default ? "" : s->name, no_limit);
			for (int i = 0; i < 5; i++)
				rig_submit(&rig, sub);
			assert_int_equal(rig_start(&rig), 7);
			rig_close(&rig);
		}
}

static void keys_are_listed_while_something_names_them(void **state)
{
	struct limit_view view;
	struct job *job;
	struct rig rig;

	(void)state;
	open_rig(&rig);
	assert_int_equal(engine_limit_view(rig.e, LIMIT_KEY, 0, &view), -ENOENT);
	job = rig_keyed(&rig, "", "a.example:81", 0);
	rig_limit(&rig, LIMIT_KEY, "b", (struct limit){ .concurrency = 1 });
	assert_string_equal(job_limit_key(job), "a.example:81");
	assert_null(job_limit_key(rig_job(&rig)));
	assert_int_equal(engine_limit_view(rig.e, LIMIT_KEY, 0, &view), 0);
	assert_string_equal(view.name, "a.example:81");
	assert_int_equal(view.pending, 1);
	assert_int_equal(engine_limit_view(rig.e, LIMIT_KEY, 1, &view), 0);
	assert_int_equal(engine_limit_view(rig.e, LIMIT_KEY, 2, &view), -ENOENT);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	rig_turn(&rig);
	assert_string_equal(job_limit_key(job), "a.example:81"); /* it is kept, and still says so */
	rig_pass(&rig, 61 * NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(engine_limit_view(rig.e, LIMIT_KEY, 0, &view), 0);
	assert_string_equal(view.name, "b");
	assert_int_equal(engine_limit_view(rig.e, LIMIT_KEY, 1, &view), -ENOENT);
	rig_close(&rig);
}

static int end_busy(struct rig *rig, struct job *job, uint32_t retry_after_ms)
{
	return rig_end(rig, job,
		       (struct attempt_result){ .outcome = OUTCOME_FAILED,
						.busy = true,
						.retry_after_ms = retry_after_ms });
}

static void a_busy_key_slows_down_and_waits(void **state)
{
	struct job *jobs[60];
	struct rig rig;
	unsigned at;

	(void)state;
	open_rig(&rig);
	rig_limit(&rig, LIMIT_KEY, "host", (struct limit){ .concurrency = 8 });
	for (int i = 0; i < 60; i++)
		jobs[i] = rig_keyed(&rig, "", "host", 0);
	assert_int_equal(rig_start(&rig), 8);
	assert_int_equal(end_busy(&rig, jobs[0], 5000), 0);
	assert_int_equal(end_busy(&rig, jobs[1], 5000), 0); /* of the same crowd */
	for (int i = 2; i < 8; i++)
		rig_succeed(&rig, jobs[i]);
	assert_int_equal(rig_start(&rig), 0);
	assert_true(rig_view(&rig, LIMIT_KEY, "host").slowed);
	assert_int_equal(rig_view(&rig, LIMIT_KEY, "host").busy_until, rig.now + 5 * NSEC_PER_SEC);
	assert_int_equal(engine_next_due(rig.e), rig.now + 5 * NSEC_PER_SEC);
	rig_pass(&rig, 5 * NSEC_PER_SEC - 1);
	assert_int_equal(rig_start(&rig), 0);
	rig_pass(&rig, 1);
	assert_int_equal(rig_start(&rig), 5); /* half, and six successes later one more */
	for (at = 8; at < 60; at++) {
		if (jobs[at]->state != JOB_RUNNING)
			break;
		rig_succeed(&rig, jobs[at]);
		rig_turn(&rig);
	}
	assert_int_equal(at, 60);
	assert_false(rig_view(&rig, LIMIT_KEY, "host").slowed);
	assert_int_equal(rig_view(&rig, LIMIT_KEY, "host").concurrency, 8);
	rig_close(&rig);
}

static void a_jobs_waits_can_be_told(void **state)
{
	struct limit_view queue, key;
	struct job *jobs[5];
	struct rig rig;

	(void)state;
	open_rig(&rig);
	rig_limit(&rig, LIMIT_KEY, "host", (struct limit){ .concurrency = 1 });
	for (int i = 0; i < 5; i++)
		jobs[i] = rig_keyed(&rig, "q", "host", 0);
	rig_turn(&rig);
	for (unsigned i = 1; i < 5; i++)
		assert_int_equal(engine_ahead_of_key(rig.e, jobs[i]), i - 1);
	assert_int_equal(engine_ahead_of_key(rig.e, jobs[0]), 0);
	rig_pass(&rig, 3 * NSEC_PER_SEC);
	rig_succeed(&rig, jobs[0]);
	rig_turn(&rig);
	engine_limits_of(rig.e, jobs[4], &queue, &key);
	assert_string_equal(queue.name, "q");
	assert_int_equal(queue.ready, 3);
	assert_int_equal(queue.running, 1);
	assert_string_equal(key.name, "host");
	assert_int_equal(key.running, 1);
	assert_int_equal(key.run_time, 3 * NSEC_PER_SEC);
	engine_limits_of(rig.e, rig_job(&rig), &queue, &key);
	assert_null(key.name);
	rig_close(&rig);
}

static void a_finished_job_counts_again_when_it_is_retried(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	open_rig(&rig);
	rig_limit(&rig, LIMIT_KEY, "host", (struct limit){ .concurrency = 1, .max_pending = 1 });
	job = rig_keyed(&rig, "q", "host", 0);
	rig_turn(&rig);
	rig_fail(&rig, job, false);
	rig_turn(&rig);
	rig_keyed(&rig, "", "host", 0);
	assert_int_equal(engine_retry(rig.e, job), 0); /* the bound is for what comes in at the door */
	rig_check(&rig);
	assert_int_equal(rig_view(&rig, LIMIT_KEY, "host").pending, 2);
	assert_int_equal(rig_start(&rig), 1);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(concurrency_is_never_exceeded),
		cmocka_unit_test(others_pass_what_is_held_back),
		cmocka_unit_test(a_raised_limit_lets_more_start_and_a_lowered_one_stops_nothing),
		cmocka_unit_test(both_limits_of_a_job_hold),
		cmocka_unit_test(defaults_hold_for_those_without_limits_of_their_own),
		cmocka_unit_test(a_rate_starts_jobs_as_time_passes),
		cmocka_unit_test(a_paused_one_starts_nothing_until_it_is_resumed),
		cmocka_unit_test(settings_outlive_the_jobs),
		cmocka_unit_test(what_is_no_limit_is_refused),
		cmocka_unit_test(pending_jobs_are_bounded_at_the_door),
		cmocka_unit_test(keys_are_listed_while_something_names_them),
		cmocka_unit_test(a_busy_key_slows_down_and_waits),
		cmocka_unit_test(a_jobs_waits_can_be_told),
		cmocka_unit_test(a_finished_job_counts_again_when_it_is_retried),
	};

	return TAP_RUN(tests);
}
