/* Attempts: what each outcome makes of a job, how long a retry waits, and whose results count. */
#include "engine_parts.h"
#include "engine_rig.h"
#include <stdio.h>

static const struct retry_policy steady = { .max = 3, .initial_ms = 100, .maximum_ms = 1000, .factor = 2 };

static void an_attempt_has_a_token_of_its_own(void **state)
{
	struct job *a, *b;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 5, 1, 10);
	a = rig_job(&rig);
	b = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 2);
	assert_int_equal(rig.actions[0].slot, 5);
	assert_int_equal(rig.actions[0].token, a->token);
	assert_int_equal(a->token >> 32, RIG_EPOCH);
	assert_int_equal(b->token >> 32, RIG_EPOCH);
	assert_true((uint32_t)a->token != 0 && a->token != b->token);
	assert_int_equal(a->state, JOB_RUNNING);
	assert_int_equal(a->attempts, 1);
	assert_int_equal(a->started_at, rig.now);
	rig_close(&rig);
}

static void a_token_in_use_is_not_given_out_again(void **state)
{
	struct job *old, *young;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 10);
	old = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal((uint32_t)old->token, 1);
	rig.e->token_counter = UINT32_MAX; /* after so many attempts, the counter begins anew */
	young = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal((uint32_t)young->token, 2);
	rig_succeed(&rig, young);
	assert_int_equal(old->state, JOB_RUNNING);
	rig_turn(&rig);
	rig_close(&rig);
}

static void a_success_keeps_its_result(void **state)
{
	struct attempt_result r = { .outcome = OUTCOME_SUCCEEDED,
				    .elapsed_us = 42,
				    .meta = SPAN("{\"status\":200}"),
				    .body = SPAN("he\0lo") };
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, (struct submission){ .retries = { .max = 1 } });
	rig_turn(&rig);
	rig_fail(&rig, job, true);
	rig_pass(&rig, 1);
	rig_turn(&rig);
	rig_pass(&rig, 5);
	assert_int_equal(rig_end(&rig, job, r), 0);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
	assert_int_equal(job->state, JOB_SUCCEEDED);
	assert_string_equal(job->meta->data, "{\"status\":200}");
	assert_int_equal(job->body->size, 5);
	assert_memory_equal(job->body->data, "he\0lo", 5);
	assert_int_equal(job->elapsed_us, 42);
	assert_int_equal(job->finished_at, rig.now);
	assert_int_equal(job->attempts, 2);
	assert_int_equal(job->failures, 1);
	assert_null(job->error); /* of the attempt before: it is overcome */
	rig_close(&rig);
}

static void a_failure_that_is_final_keeps_error_and_result(void **state)
{
	struct attempt_result r = { .outcome = OUTCOME_FAILED,
				    .code = SPAN("http_status"),
				    .message = SPAN("it said 404"),
				    .meta = SPAN("{\"status\":404}"),
				    .body = SPAN("gone") };
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, (struct submission){ .retries = steady });
	rig_turn(&rig);
	assert_int_equal(rig_end(&rig, job, r), 0);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
	assert_int_equal(job->state, JOB_FAILED);
	assert_string_equal(job->error->code, "http_status");
	assert_string_equal(job->error->message, "it said 404");
	assert_int_equal(job->error->signal, 0);
	assert_string_equal(job->body->data, "gone");
	assert_string_equal(job->meta->data, "{\"status\":404}");
	rig_close(&rig);
}

static void a_long_error_is_cut(void **state)
{
	struct attempt_result r = { .outcome = OUTCOME_FAILED };
	char long_text[20000];
	struct job *job;
	struct rig rig;

	(void)state;
	memset(long_text, 'e', sizeof(long_text));
	r.code = r.message = (struct span){ long_text, sizeof(long_text) };
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(rig_end(&rig, job, r), 0);
	assert_int_equal(strlen(job->error->code), sizeof(job->error->code) - 1);
	assert_int_equal(strlen(job->error->message), 4000);
	rig_turn(&rig);
	rig_close(&rig);
}

static void a_retryable_failure_waits_longer_each_time_then_is_final(void **state)
{
	static const int64_t waits_ms[] = { 100, 200, 400 };
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, (struct submission){ .retries = steady });
	for (int i = 0; i < 3; i++) {
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
		rig_fail(&rig, job, true);
		assert_int_equal(job->state, JOB_RETRYING);
		assert_string_equal(job->error->code, "oops");
		assert_int_equal(engine_next_due(rig.e), rig.now + waits_ms[i] * NSEC_PER_MSEC);
		assert_int_equal(engine_due(rig.e, job), engine_next_due(rig.e));
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_RETRYING, job), 1);
		assert_int_equal(rig.count, 1);
		rig_pass(&rig, waits_ms[i] * NSEC_PER_MSEC - 1);
		assert_int_equal(job->state, JOB_RETRYING);
		rig_pass(&rig, 1);
		assert_int_equal(job->state, JOB_READY);
		assert_int_equal(engine_due(rig.e, job), 0);
	}
	rig_turn(&rig);
	rig_fail(&rig, job, true);
	assert_int_equal(job->state, JOB_FAILED);
	assert_int_equal(job->attempts, 4);
	assert_int_equal(job->failures, 4);
	rig_turn(&rig);
	rig_close(&rig);
}

static void a_timeout_is_a_retryable_failure(void **state)
{
	struct attempt_result r = { .outcome = OUTCOME_TIMED_OUT,
				    .code = SPAN("other"),
				    .message = SPAN("too slow") };
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, (struct submission){ .retries = { .max = 1 } });
	rig_turn(&rig);
	assert_int_equal(rig_end(&rig, job, r), 0);
	assert_int_equal(job->state, JOB_RETRYING);
	assert_string_equal(job->error->code, "timeout");
	assert_string_equal(job->error->message, "too slow");
	rig_pass(&rig, 1);
	rig_turn(&rig);
	assert_int_equal(rig_end(&rig, job, r), 0);
	assert_int_equal(job->state, JOB_FAILED);
	rig_turn(&rig);
	rig_close(&rig);
}

static void a_returned_job_stands_at_its_place_again_uncharged(void **state)
{
	struct job *jobs[4];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 3);
	for (int i = 0; i < 4; i++)
		jobs[i] = rig_job(&rig);
	rig_turn(&rig);
	/* In any order: 1 comes back between 0 and 3. */
	assert_int_equal(
		rig_end(&rig, jobs[0], (struct attempt_result){ .outcome = OUTCOME_RETURNED }), 0);
	assert_int_equal(
		rig_end(&rig, jobs[2], (struct attempt_result){ .outcome = OUTCOME_RETURNED }), 0);
	assert_int_equal(
		rig_end(&rig, jobs[1], (struct attempt_result){ .outcome = OUTCOME_RETURNED }), 0);
	rig_check(&rig);
	for (uint64_t i = 0; i < 4; i++) {
		assert_int_equal(jobs[i]->state, JOB_READY);
		assert_int_equal(jobs[i]->failures, 0);
		assert_int_equal(engine_ahead(rig.e, jobs[i]), i);
	}
	rig_turn(&rig);
	assert_int_equal(rig.count, 3);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(rig.actions[i].job, jobs[i]);
	rig_close(&rig);
}

static void a_cancel_that_nobody_asked_for_is_a_failure(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, (struct submission){ .retries = steady });
	rig_turn(&rig);
	assert_int_equal(rig_end(&rig, job, (struct attempt_result){ .outcome = OUTCOME_CANCELLED }),
			 0);
	assert_int_equal(job->state, JOB_FAILED);
	assert_string_equal(job->error->code, "cancelled");
	rig_turn(&rig);
	rig_close(&rig);
}

static void an_unheard_of_outcome_is_a_failure(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(
		rig_end(&rig, job, (struct attempt_result){ .outcome = (enum job_outcome)99 }), 0);
	assert_int_equal(job->state, JOB_FAILED);
	assert_string_equal(job->error->code, "failed");
	rig_turn(&rig);
	rig_close(&rig);
}

static uint32_t held_by(struct rig *rig, uint32_t index)
{
	struct worker_view view;

	assert_int_equal(engine_worker_view(rig->e, index, &view), 0);
	return view.held[CLASS_NET];
}

static void an_abandoned_attempt_withholds_its_slot(void **state)
{
	struct attempt_result r = { .outcome = OUTCOME_ABANDONED,
				    .retryable = true,
				    .code = SPAN("timeout") };
	struct job *job, *next, *cancelled;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, (struct submission){ .job_class = CLASS_NET, .retries = steady });
	next = rig_job(&rig);
	cancelled = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(rig_end(&rig, job, r), 0);
	assert_int_equal(job->state, JOB_FAILED);
	assert_string_equal(job->error->code, "timeout");
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 0);
	assert_int_equal(held_by(&rig, 0), 1);
	assert_int_equal(rig_end(&rig, job, r), -ESTALE);
	engine_slot_freed(rig.e, 0, CLASS_CPU); /* not this one */
	engine_slot_freed(rig.e, 9, CLASS_NET);
	assert_int_equal(held_by(&rig, 0), 1);
	engine_slot_freed(rig.e, 0, CLASS_NET);
	engine_slot_freed(rig.e, 0, CLASS_NET); /* there is no more to free */
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, next), 1);
	r.code = SPAN("");
	assert_int_equal(rig_end(&rig, next, r), 0);
	assert_string_equal(next->error->code, "abandoned");
	rig_lost(&rig, 0, 1, 0, 9); /* its death frees the slot too */
	rig_worker(&rig, 0, 2, 1);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, cancelled), 1);
	assert_int_equal(engine_cancel(rig.e, cancelled), 0);
	assert_int_equal(rig_end(&rig, cancelled, r), 0);
	assert_int_equal(cancelled->state, JOB_CANCELLED);
	assert_int_equal(held_by(&rig, 0), 1);
	rig_turn(&rig);
	rig_close(&rig);
}

static void late_double_and_foreign_results_are_ignored(void **state)
{
	struct attempt_result r = { .outcome = OUTCOME_SUCCEEDED };
	struct engine_counts counts;
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_job(&rig);
	assert_int_equal(engine_result(rig.e, 0, &r), -ESTALE); /* token 0 */
	rig_turn(&rig);
	r.token = job->token;
	rig_worker(&rig, 1, 1, 1);
	assert_int_equal(engine_result(rig.e, 1, &r), -ESTALE);    /* another worker's */
	assert_int_equal(engine_result(rig.e, 4000, &r), -ESTALE); /* nobody's */
	r.token ^= UINT64_C(1) << 32;
	assert_int_equal(engine_result(rig.e, 0, &r), -ESTALE); /* of an earlier broker */
	r.token = job->token;
	engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .asked = true });
	assert_int_equal(engine_result(rig.e, 0, &r), -ESTALE); /* late */
	rig_turn(&rig);
	assert_int_equal(job->slot, 1);
	assert_int_equal(engine_result(rig.e, 1, &r), -ESTALE); /* an earlier attempt's */
	assert_int_equal(job->state, JOB_RUNNING);
	rig_succeed(&rig, job);
	assert_int_equal(rig_end(&rig, job, r), -ESTALE); /* twice */
	engine_counts(rig.e, &counts);
	assert_int_equal(counts.stale_results, 7);
	assert_int_equal(counts.succeeded, 1);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
	rig_close(&rig);
}

static void many_that_come_back_leave_in_order_of_acceptance(void **state)
{
	struct job *jobs[60];
	struct rig rig;
	uint64_t last = 0;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 40);
	for (int i = 0; i < 60; i++)
		jobs[i] = rig_submit(&rig, (struct submission){ .job_class = CLASS_NET,
								.retries = { .max = 1 } });
	rig_turn(&rig);
	for (int i = 0; i < 40; i++)
		assert_int_equal(rig_end(&rig, jobs[i * 7 % 40],
					 (struct attempt_result){ .outcome = OUTCOME_RETURNED }),
				 0);
	assert_int_equal(engine_cancel(rig.e, jobs[13]), 0);
	rig_worker(&rig, 1, 1, 60);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 59);
	for (size_t i = 0; i < rig.count; i++) {
		if (rig.actions[i].kind != ACTION_DISPATCH)
			continue;
		assert_true(rig.actions[i].job->sequence > last);
		last = rig.actions[i].job->sequence;
	}
	rig_close(&rig);
}

static void a_retry_waits_as_its_policy_says(void **state)
{
	const struct retry_policy doubling = { .initial_ms = 1000, .maximum_ms = 60000, .factor = 2 };
	struct retry_policy p = doubling;

	(void)state;
	assert_int_equal(retry_delay(&p, 1, 0, 0.5), 1000 * NSEC_PER_MSEC);
	assert_int_equal(retry_delay(&p, 2, 0, 0.5), 2000 * NSEC_PER_MSEC);
	assert_int_equal(retry_delay(&p, 6, 0, 0.5), 32000 * NSEC_PER_MSEC);
	assert_int_equal(retry_delay(&p, 7, 0, 0.5), 60000 * NSEC_PER_MSEC);
	assert_int_equal(retry_delay(&p, 60000, 0, 0.5), 60000 * NSEC_PER_MSEC);
	p.jitter = 0.25f;
	assert_int_equal(retry_delay(&p, 2, 0, 0), 1500 * NSEC_PER_MSEC);
	assert_int_equal(retry_delay(&p, 2, 0, 0.5), 2000 * NSEC_PER_MSEC);
	assert_in_range(retry_delay(&p, 2, 0, 0.999), 2498 * NSEC_PER_MSEC, 2500 * NSEC_PER_MSEC);
	assert_int_equal(retry_delay(&p, 9, 0, 0.999), 60000 * NSEC_PER_MSEC); /* the maximum is one */
	assert_int_equal(retry_delay(&p, 1, 5000, 0.5), 5000 * NSEC_PER_MSEC);
	assert_int_equal(retry_delay(&p, 1, 90000, 0.5),
			 90000 * NSEC_PER_MSEC); /* what was asked for is a floor */
	assert_int_equal(retry_delay(&p, 4, 5000, 0.5), 8000 * NSEC_PER_MSEC);
}

static void odd_policies_are_harmless(void **state)
{
	struct retry_policy p = {
		.initial_ms = UINT32_MAX, .maximum_ms = UINT32_MAX, .factor = 1e30f, .jitter = 1
	};

	(void)state;
	assert_int_equal(retry_delay(&p, UINT16_MAX, 0, 0.9), UINT32_MAX * NSEC_PER_MSEC);
	p.factor = 0;
	assert_int_equal(retry_delay(&p, 2, 0, 0.5), 0);
	p.factor = -3;
	assert_int_equal(retry_delay(&p, 2, 0, 0.5), 0);
	p.factor = __builtin_nanf("");
	assert_int_equal(retry_delay(&p, 2, 0, 0.5), UINT32_MAX * NSEC_PER_MSEC);
	p = (struct retry_policy){ 0 };
	assert_int_equal(retry_delay(&p, 1, 0, 0.5), 0);
	p = (struct retry_policy){ .initial_ms = 10, .maximum_ms = 100, .factor = 1, .jitter = 50 };
	assert_int_equal(retry_delay(&p, 1, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_attempt_has_a_token_of_its_own),
		cmocka_unit_test(a_token_in_use_is_not_given_out_again),
		cmocka_unit_test(a_success_keeps_its_result),
		cmocka_unit_test(a_failure_that_is_final_keeps_error_and_result),
		cmocka_unit_test(a_long_error_is_cut),
		cmocka_unit_test(a_retryable_failure_waits_longer_each_time_then_is_final),
		cmocka_unit_test(a_timeout_is_a_retryable_failure),
		cmocka_unit_test(a_returned_job_stands_at_its_place_again_uncharged),
		cmocka_unit_test(a_cancel_that_nobody_asked_for_is_a_failure),
		cmocka_unit_test(an_unheard_of_outcome_is_a_failure),
		cmocka_unit_test(an_abandoned_attempt_withholds_its_slot),
		cmocka_unit_test(late_double_and_foreign_results_are_ignored),
		cmocka_unit_test(many_that_come_back_leave_in_order_of_acceptance),
		cmocka_unit_test(a_retry_waits_as_its_policy_says),
		cmocka_unit_test(odd_policies_are_harmless),
	};

	return TAP_RUN(tests);
}
