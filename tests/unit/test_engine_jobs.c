/* The engine's jobs: how they come in, in which order they leave, how they are found, cancelled, retried, forgotten. */
#include "engine_rig.h"

static void a_submitted_job_is_ready_with_all_that_was_said(void **state)
{
	struct submission s = { .type = 9,
				.job_class = CLASS_PROC,
				.queue = SPAN("mail"),
				.args = bytes_new("{}", 2),
				.priority = -7,
				.detached = true,
				.timeout_ms = 1500,
				.retries = { .max = 4, .initial_ms = 10, .maximum_ms = 99, .factor = 3 },
				.client = 12,
				.tag = 34,
				.result_ttl = 77 };
	struct job *job, *found;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	job = rig_submit(&rig, s);
	assert_int_equal(s.args->refs, 2);
	assert_ptr_equal(job->args, s.args);
	assert_int_equal(job->state, JOB_READY);
	assert_int_equal(job->profile->type, 9);
	assert_int_equal(job->profile->job_class, CLASS_PROC);
	assert_string_equal(job_queue_name(job), "mail");
	assert_int_equal(job->profile->priority, -7);
	assert_true(job->profile->detached);
	assert_int_equal(job->profile->timeout_ms, 1500);
	assert_int_equal(job->profile->retries.max, 4);
	assert_int_equal(job->profile->retries.initial_ms, 10);
	assert_int_equal(job->client, 12);
	assert_int_equal(job->tag, 34);
	assert_int_equal(job->profile->result_ttl, 77);
	assert_int_equal(job->accepted_at, rig.now);
	assert_int_equal(job->token, 0);
	assert_int_equal(engine_find(rig.e, &job->id, &found), 0);
	assert_ptr_equal(found, job);
	rig_close(&rig);
	assert_int_equal(s.args->refs, 1);
	bytes_unref(s.args);
}

static void what_is_out_of_range_is_refused(void **state)
{
	struct submission bad[] = { { .priority = 101 },
				    { .priority = -101 },
				    { .job_class = CLASS_COUNT },
				    { .queue = SPAN("a\0b") } };
	struct engine_counts counts;
	struct job *job = NULL;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(engine_submit(rig.e, &bad[i], &job), -EINVAL);
	assert_null(job);
	engine_counts(rig.e, &counts);
	assert_int_equal(counts.submitted, 0);
	rig_submit(&rig, (struct submission){ .priority = 100 });
	rig_submit(&rig, (struct submission){ .priority = -100 });
	rig_close(&rig);
}

static void unfinished_jobs_are_bounded_and_finished_ones_make_room(void **state)
{
	struct submission s = { 0 };
	struct job *first, *more = NULL;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .max_jobs = 3 });
	first = rig_job(&rig);
	rig_job(&rig);
	rig_job(&rig);
	assert_int_equal(engine_submit(rig.e, &s, &more), -ENOBUFS);
	assert_null(more);
	assert_int_equal(engine_cancel(rig.e, first), 0);
	assert_int_equal(engine_submit(rig.e, &s, &more), 0);
	assert_int_equal(engine_submit(rig.e, &s, &more), -ENOBUFS);
	rig_turn(&rig);
	assert_int_equal(engine_retry(rig.e, first), 0); /* the bound is for what comes in at the door */
	rig_close(&rig);
}

static void an_id_tells_time_epoch_and_sequence(void **state)
{
	struct job *first, *second;
	struct rig rig;
	uint64_t ms = 0;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	engine_advance(rig.e, rig.now, INT64_C(1700000000123) * NSEC_PER_MSEC);
	first = rig_job(&rig);
	engine_advance(rig.e, rig.now, INT64_C(1600000000000) * NSEC_PER_MSEC); /* the clock was set back */
	second = rig_job(&rig);
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | first->id.b[i];
	assert_int_equal(ms, 1700000000123);
	assert_memory_equal(first->id.b, second->id.b, 6);
	assert_int_equal(first->id.b[6] << 8 | first->id.b[7], 7 << 12 | (RIG_EPOCH & 0x3ff));
	assert_int_equal(first->id.b[8] >> 6, 2);
	assert_true(memcmp(&first->id, &second->id, sizeof(first->id)) < 0);
	rig_close(&rig);
}

static void an_unknown_id_is_told_apart(void **state)
{
	struct job *job, *found = NULL;
	struct uuid id, other;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .result_ttl = NSEC_PER_SEC });
	job = rig_job(&rig);
	id = other = job->id;
	other.b[15] ^= 1; /* only the sequence was guessed */
	assert_int_equal(engine_find(rig.e, &other, &found), -ENOENT);
	other = id;
	other.b[7] ^= 1; /* another epoch */
	assert_int_equal(engine_find(rig.e, &other, &found), -ESTALE);
	other = id;
	other.b[6] ^= 4; /* durable: only the store knows */
	assert_int_equal(engine_find(rig.e, &other, &found), -ENODATA);
	other.b[6] ^= 8; /* a durability that there isn't */
	assert_int_equal(engine_find(rig.e, &other, &found), -ENOENT);
	other = id;
	other.b[6] = (uint8_t)((other.b[6] & 0x0f) | 0x40); /* version 4 */
	assert_int_equal(engine_find(rig.e, &other, &found), -ENOENT);
	other = id;
	other.b[9] ^= 0x10; /* a sequence to come */
	assert_int_equal(engine_find(rig.e, &other, &found), -ENOENT);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	rig_turn(&rig);
	assert_int_equal(engine_find(rig.e, &id, &found), 0);
	rig_pass(&rig, 2 * NSEC_PER_SEC);
	assert_int_equal(engine_find(rig.e, &id, &found), -EIDRM);
	rig_close(&rig);
}

static void priority_comes_first_then_acceptance(void **state)
{
	static const int8_t priorities[] = { 0, 5, -100, 0, 100, 5, -100, 100, -1, 7 };
	static const int order[] = { 4, 7, 9, 1, 5, 0, 3, 8, 2, 6 };
	struct job *jobs[ARRAY_SIZE(priorities)];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		jobs[i] = rig_submit(&rig, (struct submission){ .priority = priorities[i] });
	for (uint64_t i = 0; i < ARRAY_SIZE(order); i++)
		assert_int_equal(engine_ahead(rig.e, jobs[order[i]]), i);
	rig_worker(&rig, 0, 1, 100);
	rig_turn(&rig);
	assert_int_equal(rig.count, ARRAY_SIZE(order));
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		assert_ptr_equal(rig.actions[i].job, jobs[order[i]]);
	assert_int_equal(engine_ahead(rig.e, jobs[0]), 0);
	rig_close(&rig);
}

static void queues_take_turns(void **state)
{
	struct job *a[4], *b[2];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (int i = 0; i < 4; i++) /* however many, and however important in their own queue */
		a[i] = rig_submit(&rig, (struct submission){ .queue = SPAN("a"), .priority = 50 });
	for (int i = 0; i < 2; i++)
		b[i] = rig_submit(&rig, (struct submission){ .queue = SPAN("b") });
	rig_worker(&rig, 0, 1, 100);
	rig_turn(&rig);
	assert_int_equal(rig.count, 6);
	assert_ptr_equal(rig.actions[0].job, a[0]);
	assert_ptr_equal(rig.actions[1].job, b[0]);
	assert_ptr_equal(rig.actions[2].job, a[1]);
	assert_ptr_equal(rig.actions[3].job, b[1]);
	assert_ptr_equal(rig.actions[4].job, a[2]);
	rig_close(&rig);
}

static void a_queue_is_shown_while_jobs_name_it(void **state)
{
	struct queue_view view;
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .result_ttl = 1 });
	assert_int_equal(engine_queue_view(rig.e, 0, &view), 0);
	assert_string_equal(view.name, "default");
	assert_int_equal(engine_queue_view(rig.e, 1, &view), -ENOENT);
	job = rig_submit(&rig, (struct submission){ .queue = SPAN("q") });
	rig_submit(&rig, (struct submission){ .queue = SPAN("q"), .job_class = CLASS_CPU });
	rig_submit(&rig, (struct submission){ .queue = SPAN("default") });
	assert_int_equal(engine_queue_view(rig.e, 1, &view), 0);
	assert_string_equal(view.name, "q");
	assert_int_equal(view.ready, 2);
	rig_worker(&rig, 0, 1, 10);
	rig_turn(&rig);
	assert_int_equal(engine_queue_view(rig.e, 1, &view), 0);
	assert_int_equal(view.ready, 0);
	assert_int_equal(view.running, 2);
	for (size_t i = 0; i < 3; i++)
		rig_succeed(&rig, rig.actions[i].job);
	rig_turn(&rig);
	assert_string_equal(job_queue_name(job), "q");
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(engine_queue_view(rig.e, 0, &view), 0);
	assert_string_equal(view.name, "default");
	assert_int_equal(engine_queue_view(rig.e, 1, &view), -ENOENT);
	rig_close(&rig);
}

static void a_waiting_job_is_cancelled_at_once(void **state)
{
	struct job *ready, *retrying;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	retrying = rig_submit(
		&rig,
		(struct submission){ .retries = { .max = 1, .initial_ms = 10, .maximum_ms = 10 } });
	ready = rig_submit(&rig, (struct submission){ 0 });
	rig_turn(&rig);
	rig_fail(&rig, retrying, true);
	assert_int_equal(retrying->state, JOB_RETRYING);
	assert_int_equal(engine_cancel(rig.e, ready), 0);
	assert_int_equal(engine_cancel(rig.e, retrying), 0);
	rig_turn(&rig);
	assert_int_equal(ready->state, JOB_CANCELLED);
	assert_int_equal(retrying->state, JOB_CANCELLED);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, ready), 1);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, retrying), 1);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, NULL), 0);
	assert_int_equal(engine_cancel(rig.e, ready), -EALREADY);
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0);
	rig_close(&rig);
}

static void a_running_job_is_told_to_end_once(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 3, 1, 1);
	job = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	assert_int_equal(job->state, JOB_RUNNING);
	rig_turn(&rig);
	assert_int_equal(rig.count, 1);
	assert_int_equal(rig.actions[0].kind, ACTION_CANCEL);
	assert_int_equal(rig.actions[0].slot, 3);
	assert_int_equal(rig.actions[0].token, job->token);
	assert_int_equal(rig_end(&rig, job, (struct attempt_result){ .outcome = OUTCOME_CANCELLED }),
			 0);
	assert_int_equal(job->state, JOB_CANCELLED);
	assert_null(job->error);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
	rig_close(&rig);
}

static void after_a_cancel_only_success_stands(void **state)
{
	static const struct {
		struct attempt_result result;
		enum job_state state;
	} cases[] = {
		{ { .outcome = OUTCOME_SUCCEEDED }, JOB_SUCCEEDED },
		{ { .outcome = OUTCOME_FAILED }, JOB_CANCELLED },
		{ { .outcome = OUTCOME_FAILED, .retryable = true }, JOB_CANCELLED },
		{ { .outcome = OUTCOME_TIMED_OUT }, JOB_CANCELLED },
		{ { .outcome = OUTCOME_CANCELLED }, JOB_CANCELLED },
		{ { .outcome = OUTCOME_ABANDONED }, JOB_CANCELLED },
		{ { .outcome = OUTCOME_RETURNED }, JOB_CANCELLED },
	};
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 10);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct job *job = rig_submit(&rig, (struct submission){ .retries = { .max = 5 } });

		rig_turn(&rig);
		assert_int_equal(engine_cancel(rig.e, job), 0);
		assert_int_equal(rig_end(&rig, job, cases[i].result), 0);
		assert_int_equal(job->state, cases[i].state);
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
	}
	rig_close(&rig);
}

static void a_finished_job_is_retried_by_hand(void **state)
{
	struct job *job, *good;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .failed_ttl = NSEC_PER_SEC });
	rig_worker(&rig, 0, 1, 2);
	job = rig_submit(&rig, (struct submission){ .client = 4, .tag = 5, .retries = { .max = 1 } });
	good = rig_job(&rig);
	assert_int_equal(engine_retry(rig.e, job), -EBUSY);
	rig_turn(&rig);
	assert_int_equal(engine_retry(rig.e, job), -EBUSY);
	rig_fail(&rig, job, true);
	assert_int_equal(engine_retry(rig.e, job), -EBUSY);
	rig_pass(&rig, 1);
	rig_turn(&rig);
	assert_int_equal(
		rig_end(&rig, job,
			(struct attempt_result){ .outcome = OUTCOME_FAILED, .body = SPAN("no") }),
		0);
	rig_succeed(&rig, good);
	assert_int_equal(engine_retry(rig.e, job), -EBUSY); /* nobody was told that it failed */
	rig_turn(&rig);
	assert_int_equal(engine_retry(rig.e, good), -EALREADY);
	engine_delivered(rig.e, job);
	assert_int_equal(engine_retry(rig.e, job), 0);
	assert_int_equal(job->state, JOB_READY);
	assert_int_equal(job->failures, 0);
	assert_int_equal(job->client, 0);
	assert_null(job->body);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
	rig_fail(&rig, job, true);
	assert_int_equal(job->state, JOB_RETRYING); /* with retries as at first */
	rig_pass(&rig, 1);
	rig_turn(&rig);
	rig_fail(&rig, job, true);
	rig_turn(&rig);
	rig_pass(&rig, 2 * NSEC_PER_SEC);
	assert_int_equal(engine_retry(rig.e, job), -EIDRM);
	rig_turn(&rig);
	rig_close(&rig);
}

static void delivered_results_leave_first_then_the_oldest(void **state)
{
	struct job *jobs[6];
	struct uuid ids[6];
	struct rig rig;
	char big[10000];

	(void)state;
	memset(big, 'x', sizeof(big));
	rig_open(&rig, (struct engine_options){ .max_finished_bytes = 55000 });
	rig_worker(&rig, 0, 1, 100);
	for (int i = 0; i < 6; i++) {
		struct attempt_result r = { .outcome = OUTCOME_SUCCEEDED, .body = { big, sizeof(big) } };

		jobs[i] = rig_job(&rig);
		ids[i] = jobs[i]->id;
		rig_turn(&rig);
		assert_int_equal(rig_end(&rig, jobs[i], r), 0);
		if (i < 5)
			rig_turn(&rig);
		if (i == 2)
			engine_delivered(rig.e, jobs[2]);
	}
	engine_delivered(rig.e, jobs[2]); /* twice is once */
	rig_turn(&rig);
	assert_int_equal(engine_find(rig.e, &ids[2], &jobs[2]), -EIDRM);
	assert_int_equal(engine_find(rig.e, &ids[0], &jobs[0]), 0);
	jobs[0] = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(rig_end(&rig, jobs[0],
				 (struct attempt_result){ .outcome = OUTCOME_SUCCEEDED,
							  .body = { big, sizeof(big) } }),
			 0);
	rig_turn(&rig);
	assert_int_equal(engine_find(rig.e, &ids[0], &jobs[0]), -EIDRM);
	assert_int_equal(engine_find(rig.e, &ids[1], &jobs[1]), 0);
	rig_close(&rig);
}

static void what_is_kept_is_bounded_by_bytes(void **state)
{
	struct engine_counts counts;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .max_finished_bytes = 5000 });
	rig_worker(&rig, 0, 1, 10);
	for (int i = 0; i < 1000; i++) {
		struct job *job = rig_job(&rig);

		rig_turn(&rig);
		rig_succeed(&rig, job);
		rig_turn(&rig);
	}
	engine_counts(rig.e, &counts);
	assert_in_range(counts.finished_bytes, 1, 5000);
	assert_in_range(counts.jobs[JOB_SUCCEEDED], 1, 5000 / sizeof(struct job));
	assert_int_equal(counts.evicted, 1000 - counts.jobs[JOB_SUCCEEDED]);
	rig_close(&rig);
}

static void a_job_too_big_to_keep_is_still_told_of(void **state)
{
	const struct action *actions;
	struct job *job;
	struct rig rig;
	size_t count;

	(void)state;
	rig_open(&rig, (struct engine_options){ .max_finished_bytes = 1 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(
		rig_end(&rig, job,
			(struct attempt_result){ .outcome = OUTCOME_SUCCEEDED, .body = SPAN("all") }),
		0);
	engine_reap(rig.e); /* too early: its action was not handed out */
	actions = engine_run(rig.e, &count);
	assert_int_equal(count, 2); /* finished, and its attempt acknowledged */
	assert_ptr_equal(actions[0].job, job);
	assert_string_equal(job->body->data, "all");
	engine_reap(rig.e);
	assert_null(engine_older(rig.e, NULL));
	rig_close(&rig);
}

static void results_expire_each_at_its_time(void **state)
{
	struct job *jobs[4];
	struct uuid ids[4];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .result_ttl = 10 * NSEC_PER_SEC,
						.failed_ttl = 30 * NSEC_PER_SEC });
	assert_int_equal(engine_next_due(rig.e), INT64_MAX);
	rig_worker(&rig, 0, 1, 10);
	for (int i = 0; i < 4; i++) {
		jobs[i] = rig_submit(
			&rig, (struct submission){ .result_ttl = i == 2 ? 20 * NSEC_PER_SEC : 0 });
		ids[i] = jobs[i]->id;
	}
	rig_turn(&rig);
	rig_fail(&rig, jobs[0], false); /* 30 s */
	rig_succeed(&rig, jobs[1]);     /* 10 s */
	rig_succeed(&rig, jobs[2]);     /* 20 s */
	rig_turn(&rig);
	rig_pass(&rig, 5 * NSEC_PER_SEC);
	rig_succeed(&rig, jobs[3]); /* 15 s */
	rig_turn(&rig);
	for (int i = 0; i < 4; i++) {
		static const int order[] = { 1, 3, 2, 0 };
		struct job *job;

		assert_int_equal(engine_find(rig.e, &ids[order[i]], &job), 0);
		rig_pass(&rig, engine_next_due(rig.e) - rig.now - 1);
		assert_int_equal(engine_find(rig.e, &ids[order[i]], &job), 0);
		rig_pass(&rig, 1);
		assert_int_equal(engine_find(rig.e, &ids[order[i]], &job), -EIDRM);
		rig_turn(&rig);
	}
	assert_int_equal(rig.now, 1030 * NSEC_PER_SEC);
	assert_int_equal(engine_next_due(rig.e), INT64_MAX);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_submitted_job_is_ready_with_all_that_was_said),
		cmocka_unit_test(what_is_out_of_range_is_refused),
		cmocka_unit_test(unfinished_jobs_are_bounded_and_finished_ones_make_room),
		cmocka_unit_test(an_id_tells_time_epoch_and_sequence),
		cmocka_unit_test(an_unknown_id_is_told_apart),
		cmocka_unit_test(priority_comes_first_then_acceptance),
		cmocka_unit_test(queues_take_turns),
		cmocka_unit_test(a_queue_is_shown_while_jobs_name_it),
		cmocka_unit_test(a_waiting_job_is_cancelled_at_once),
		cmocka_unit_test(a_running_job_is_told_to_end_once),
		cmocka_unit_test(after_a_cancel_only_success_stands),
		cmocka_unit_test(a_finished_job_is_retried_by_hand),
		cmocka_unit_test(delivered_results_leave_first_then_the_oldest),
		cmocka_unit_test(what_is_kept_is_bounded_by_bytes),
		cmocka_unit_test(a_job_too_big_to_keep_is_still_told_of),
		cmocka_unit_test(results_expire_each_at_its_time),
	};

	return TAP_RUN(tests);
}
