/* test_engine_groups.c — gather and wait: what ends them, and what they end as. */
#include "group_rig.h"

/* ---- gather ---- */

static void a_gather_ends_when_all_have_ended(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 10);
	b = gather_of(&rig, 3);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 3);
	assert_int_equal(b.group->state, JOB_RUNNING);
	rig_succeed(&rig, b.jobs[2]);
	rig_succeed(&rig, b.jobs[0]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_RUNNING);
	assert_int_equal(b.group->settled, 2);
	assert_int_equal(b.group->order[0], 2);
	assert_int_equal(b.group->order[1], 0);
	rig_succeed(&rig, b.jobs[1]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	assert_true(told(&rig, b.group));
	assert_int_equal(b.group->succeeded, 3);
	assert_int_equal(engine_group_cancel(rig.e, b.group), -EALREADY); /* the results stand */
	rig_close(&rig);
}

static void an_empty_gather_ends_at_once(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 10);
	b = gather_of(&rig, 0);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	assert_true(told(&rig, b.group));
	rig_close(&rig);
}

static void the_first_error_cancels_the_siblings_and_is_told_when_they_have_ended(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 2); /* the third waits */
	b = gather_of(&rig, 3);
	rig_turn(&rig);
	rig_fail(&rig, b.jobs[1], false);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, b.jobs[0]), 1);
	assert_int_equal(b.jobs[2]->state, JOB_CANCELLED); /* it never ran */
	assert_int_equal(b.group->state, JOB_RUNNING);
	assert_false(told(&rig, b.group));
	cancelled_by_worker(&rig, b.jobs[0]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_FAILED);
	assert_true(told(&rig, b.group));
	assert_int_equal(b.group->culprit, 1);
	assert_string_equal(b.group->error->code, "oops");
	assert_non_null(strstr(b.group->error->message, "member 1"));
	assert_int_equal(b.group->failed, 1);
	assert_int_equal(b.group->cancelled, 2);
	rig_close(&rig);
}

static void a_retry_is_no_error_yet(void **state)
{
	struct rig rig;
	struct bundle b = { 0 };

	(void)state;
	open_with_worker(&rig, 4);
	b.group = make(&rig, (struct group_options){ .kind = GROUP_GATHER }, 1, NULL, 0,
		       DURABILITY_MEMORY);
	b.jobs[0] = rig_submit(
		&rig,
		(struct submission){
			.job_class = CLASS_NET,
			.group = b.group,
			.blocked = true,
			.retries = { .max = 1, .initial_ms = 10, .maximum_ms = 10, .factor = 1 } });
	engine_group_start(rig.e, b.group);
	rig_turn(&rig);
	rig_fail(&rig, b.jobs[0], true);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_RUNNING);
	assert_int_equal(b.group->settled, 0);
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	rig_fail(&rig, b.jobs[0], true);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_FAILED);
	rig_close(&rig);
}

static void return_exceptions_waits_for_all(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 10);
	b = bundle_of(&rig,
		      (struct group_options){ .kind = GROUP_GATHER, .return_exceptions = true }, 3);
	rig_turn(&rig);
	rig_fail(&rig, b.jobs[0], false);
	rig_turn(&rig);
	assert_int_equal(rig.count, 1); /* its own end, no more */
	rig_succeed(&rig, b.jobs[1]);
	rig_succeed(&rig, b.jobs[2]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	assert_int_equal(b.group->failed, 1);
	assert_int_equal(b.group->outcomes[0], JOB_FAILED);
	rig_close(&rig);
}

static void a_cancelled_gather_ends_cancelled_after_its_members(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	for (int exceptions = 0; exceptions < 2; exceptions++) {
		open_with_worker(&rig, 2);
		b = bundle_of(&rig,
			      (struct group_options){ .kind = GROUP_GATHER,
						      .return_exceptions = exceptions },
			      4);
		rig_turn(&rig);
		rig_succeed(&rig, b.jobs[0]);
		assert_int_equal(engine_group_cancel(rig.e, b.group), 0);
		assert_int_equal(engine_group_cancel(rig.e, b.group), 0);
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_CANCEL, b.jobs[1]), 1);
		assert_int_equal(b.group->state, JOB_RUNNING);
		rig_succeed(&rig, b.jobs[1]); /* faster than the cancel: its success stands */
		rig_turn(&rig);
		assert_int_equal(b.jobs[1]->state, JOB_SUCCEEDED);
		assert_int_equal(b.group->state, JOB_CANCELLED);
		assert_int_equal(b.group->cancelled, 2);
		assert_int_equal(engine_group_cancel(rig.e, b.group), -EALREADY);
		rig_close(&rig);
	}
}

static void a_member_cancelled_by_hand_counts_as_an_error(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 1);
	b = gather_of(&rig, 2);
	rig_turn(&rig);
	assert_int_equal(engine_cancel(rig.e, b.jobs[1]), 0);
	rig_turn(&rig);
	cancelled_by_worker(&rig, b.jobs[0]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_FAILED);
	assert_string_equal(b.group->error->code, "cancelled");
	rig_close(&rig);
}

static void a_timeout_cancels_and_expires(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 10);
	b = bundle_of(&rig,
		      (struct group_options){ .kind = GROUP_GATHER, .timeout = 10 * NSEC_PER_SEC }, 2);
	rig_turn(&rig);
	assert_int_equal(engine_group_due(rig.e, b.group), rig.now + 10 * NSEC_PER_SEC);
	assert_true(engine_next_due(rig.e) <= rig.now + 10 * NSEC_PER_SEC);
	rig_succeed(&rig, b.jobs[0]);
	rig_turn(&rig);
	rig_pass(&rig, 10 * NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, b.jobs[1]), 1);
	cancelled_by_worker(&rig, b.jobs[1]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_EXPIRED);
	assert_string_equal(b.group->error->code, "timeout");
	assert_int_equal(engine_group_due(rig.e, b.group), 0);
	rig_close(&rig);
}

static void late_and_double_results_change_nothing(void **state)
{
	struct rig rig;
	struct bundle b;
	struct attempt_result r = { .outcome = OUTCOME_SUCCEEDED };

	(void)state;
	open_with_worker(&rig, 10);
	b = gather_of(&rig, 2);
	rig_turn(&rig);
	r.token = b.jobs[0]->token;
	rig_succeed(&rig, b.jobs[0]);
	assert_int_equal(engine_result(rig.e, 0, &r), -ESTALE);
	rig_turn(&rig);
	assert_int_equal(b.group->settled, 1);
	rig_fail(&rig, b.jobs[1], false);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_FAILED);
	/* By hand it runs again, and the group has had its end. */
	assert_int_equal(engine_retry(rig.e, b.jobs[1]), 0);
	rig_turn(&rig);
	rig_succeed(&rig, b.jobs[1]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_FAILED);
	assert_int_equal(b.group->settled, 2);
	assert_false(told(&rig, b.group));
	rig_close(&rig);
}

/* ---- wait ---- */

static struct bundle wait_of(struct rig *rig, uint32_t count, struct group_options o)
{
	o.kind = GROUP_WAIT;
	return bundle_of(rig, o, count);
}

static void a_wait_for_the_first_leaves_the_others_alone(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 2);
	b = wait_of(&rig, 3, (struct group_options){ .until = UNTIL_COUNT, .until_count = 1 });
	rig_turn(&rig);
	rig_fail(&rig, b.jobs[1], false); /* a failure is a completion, and isn't raised */
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	assert_true(told(&rig, b.group));
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, NULL), 0);
	assert_int_equal(b.jobs[0]->state, JOB_RUNNING);
	assert_int_equal(b.jobs[2]->state, JOB_RUNNING);
	rig_succeed(&rig, b.jobs[0]);
	rig_turn(&rig);
	assert_int_equal(b.group->settled, 2);                    /* later results are seen */
	assert_int_equal(engine_group_cancel(rig.e, b.group), 0); /* and what is left can be ended */
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, b.jobs[2]), 1);
	cancelled_by_worker(&rig, b.jobs[2]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	assert_int_equal(engine_group_cancel(rig.e, b.group), -EALREADY);
	rig_close(&rig);
}

static void a_wait_with_cancel_rest_ends_after_them(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 5);
	b = wait_of(&rig, 3,
		    (struct group_options){
			    .until = UNTIL_COUNT, .until_count = 2, .cancel_rest = true });
	rig_turn(&rig);
	rig_succeed(&rig, b.jobs[0]);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, NULL), 0);
	rig_succeed(&rig, b.jobs[1]);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, b.jobs[2]), 1);
	assert_int_equal(b.group->state, JOB_RUNNING);
	cancelled_by_worker(&rig, b.jobs[2]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	rig_close(&rig);
}

static void first_exception_is_not_met_by_a_cancelled_member(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 5);
	b = wait_of(&rig, 3, (struct group_options){ .until = UNTIL_FIRST_EXCEPTION });
	rig_turn(&rig);
	assert_int_equal(engine_cancel(rig.e, b.jobs[0]), 0);
	rig_turn(&rig);
	cancelled_by_worker(&rig, b.jobs[0]);
	rig_succeed(&rig, b.jobs[1]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_RUNNING);
	rig_fail(&rig, b.jobs[2], false);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	/* Without any it behaves as ALL. */
	b = wait_of(&rig, 2, (struct group_options){ .until = UNTIL_FIRST_EXCEPTION });
	rig_turn(&rig);
	rig_succeed(&rig, b.jobs[0]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_RUNNING);
	rig_succeed(&rig, b.jobs[1]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	rig_close(&rig);
}

static void the_timeout_of_a_wait_is_no_error_and_cancels_nothing(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 5);
	b = wait_of(&rig, 2, (struct group_options){ .timeout = NSEC_PER_SEC });
	rig_turn(&rig);
	rig_succeed(&rig, b.jobs[0]);
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	assert_true(b.group->timed_out);
	assert_null(b.group->error);
	assert_int_equal(b.jobs[1]->state, JOB_RUNNING);
	assert_false(b.jobs[1]->cancelling);
	rig_close(&rig);
}

static void a_wait_that_makes_no_sense_is_refused(void **state)
{
	struct group_submission s = { .options = { .kind = GROUP_WAIT } };
	struct group *g;
	struct rig rig;

	(void)state;
	open_with_worker(&rig, 5);
	assert_int_equal(engine_group_new(rig.e, &s, &g), -EINVAL); /* of nothing */
	s.count = 2;
	s.options.until = UNTIL_COUNT;
	assert_int_equal(engine_group_new(rig.e, &s, &g), -EINVAL);
	s.options.until_count = 3;
	assert_int_equal(engine_group_new(rig.e, &s, &g), -EINVAL);
	s.options.kind = GROUP_MAP + 1;
	assert_int_equal(engine_group_new(rig.e, &s, &g), -EINVAL);
	s.options.kind = GROUP_GATHER;
	s.count = GROUP_MEMBERS_MAX + 1;
	assert_int_equal(engine_group_new(rig.e, &s, &g), -EINVAL);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gather_ends_when_all_have_ended),
		cmocka_unit_test(an_empty_gather_ends_at_once),
		cmocka_unit_test(the_first_error_cancels_the_siblings_and_is_told_when_they_have_ended),
		cmocka_unit_test(a_retry_is_no_error_yet),
		cmocka_unit_test(return_exceptions_waits_for_all),
		cmocka_unit_test(a_cancelled_gather_ends_cancelled_after_its_members),
		cmocka_unit_test(a_member_cancelled_by_hand_counts_as_an_error),
		cmocka_unit_test(a_timeout_cancels_and_expires),
		cmocka_unit_test(late_and_double_results_change_nothing),
		cmocka_unit_test(a_wait_for_the_first_leaves_the_others_alone),
		cmocka_unit_test(a_wait_with_cancel_rest_ends_after_them),
		cmocka_unit_test(first_exception_is_not_met_by_a_cancelled_member),
		cmocka_unit_test(the_timeout_of_a_wait_is_no_error_and_cancels_nothing),
		cmocka_unit_test(a_wait_that_makes_no_sense_is_refused),
	};

	return TAP_RUN(tests);
}
