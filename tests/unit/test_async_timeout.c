/* Timeout scopes, and awaiting with a deadline. */
#include "async_check.h"
#include "tap_main.h"

static const int one = 1, nine = 9;

static int64_t in_seconds(int n)
{
	return ga_now() + GA_SECONDS(n);
}

CASE(a_deadline_that_isnt_reached_changes_nothing)
{
	GA_AUTO ga_future *t = ga_spawn(sleep_then_return, &one);

	EXPECT(ga_await_until(t, in_seconds(2)) == 1);
	EXPECT(ga_sleep(GA_SECONDS(5)) == 0);
	return 0;
}

CASE(with_a_past_deadline_a_done_future_returns_its_result)
{
	GA_AUTO ga_future *t = ga_spawn(sleep_then_return, &one);

	EXPECT(ga_await(t) == 1);
	EXPECT(ga_await_until(t, ga_now() - 1) == 1);
	return 0;
}

static int count_up(const void *arg)
{
	return ++**(int *const *)arg;
}

CASE(with_a_past_deadline_a_pending_task_is_cancelled)
{
	int count = 0, *at = &count;
	GA_AUTO ga_future *t = ga_spawn(count_up, &at);

	EXPECT(ga_await_until(t, ga_now() - 1) == -ETIMEDOUT);
	EXPECT(ga_result(t, NULL) == -ECANCELED && count == 0);
	return 0;
}

static int slow_to_end(const void *arg)
{
	bool *ended = *(bool *const *)arg;
	int r = ga_sleep(GA_SECONDS(100));

	ga_uncancel();
	ga_sleep(GA_SECONDS(3));
	*ended = true;
	return r;
}

CASE(on_timeout_the_task_is_cancelled_and_awaited)
{
	bool ended = false, *at = &ended;
	GA_AUTO ga_future *t = ga_spawn(slow_to_end, &at);
	int64_t before = ga_now();

	EXPECT(ga_await_until(t, in_seconds(2)) == -ETIMEDOUT);
	EXPECT(ended);
	EXPECT(ga_now() - before == GA_SECONDS(5));
	EXPECT(ga_cancelling(ga_self()) == 0 && ga_sleep(1) == 0);
	return 0;
}

CASE(a_task_that_swallows_the_cancel_and_returns_42_makes_it_42)
{
	GA_AUTO ga_future *t = ga_spawn(swallow_cancel, NULL);

	EXPECT(ga_await_until(t, in_seconds(1)) == 42);
	return 0;
}

static int await_nine_seconds_until_twenty(const void *arg)
{
	return ga_await_until(*(ga_future *const *)arg, in_seconds(20));
}

CASE(cancelling_wait_for_cancels_the_inner)
{
	ga_future *inner = ga_spawn(sleep_then_return, &nine);
	GA_AUTO ga_future *t = ga_spawn(await_nine_seconds_until_twenty, &inner);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(ga_result(inner, NULL) == -ECANCELED);
	ga_release(inner);
	return 0;
}

CASE(wait_for_a_shielded_task_that_times_out_leaves_it_running)
{
	GA_AUTO ga_future *t = ga_spawn(sleep_then_return, &nine);
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, in_seconds(1)) == 0);
	EXPECT(ga_timeout_exit(&scope, ga_shield(t)) == -ETIMEDOUT);
	EXPECT(!ga_done(t) && ga_cancelling(t) == 0);
	EXPECT(ga_await(t) == 9);
	return 0;
}

CASE(an_expired_scope_keeps_failing_at_each_suspension)
{
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, in_seconds(1)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(5)) == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(5)) == -ECANCELED);
	EXPECT(ga_sleep(0) == -ECANCELED);
	EXPECT(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	EXPECT(ga_sleep(0) == 0);
	return 0;
}

CASE(a_past_deadline_fires_at_the_first_suspension)
{
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, ga_now()) == 0);
	EXPECT(ga_timeout_exit(&scope, ga_sleep(0)) == -ETIMEDOUT);
	EXPECT(ga_timeout_enter(&scope, 0) == 0);
	EXPECT(ga_timeout_exit(&scope, 0) == 0); /* nothing was suspended */
	return 0;
}

CASE(a_result_other_than_cancelled_passes_an_expired_scope)
{
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, in_seconds(1)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(5)) == -ECANCELED);
	EXPECT(ga_timeout_exit(&scope, 17) == 17);
	return 0;
}

static int sleep_in_a_scope(const void *arg)
{
	struct ga_timeout scope;
	int r = ga_timeout_enter(&scope, in_seconds(*(const int *)arg));

	EXPECT(r == 0);
	return ga_timeout_exit(&scope, ga_sleep(GA_SECONDS(100)));
}

CASE(a_newer_cancel_is_no_timeout)
{
	GA_AUTO ga_future *t = ga_spawn(sleep_in_a_scope, &one);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	return 0;
}

static int expire_then_be_cancelled(const void *arg GA_UNUSED)
{
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, in_seconds(1)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(100)) == -ECANCELED);
	EXPECT(ga_cancel(ga_self()));
	return ga_timeout_exit(&scope, -ECANCELED);
}

CASE(expired_and_then_cancelled_is_cancelled)
{
	GA_AUTO ga_future *t = ga_spawn(expire_then_be_cancelled, NULL);

	EXPECT(ga_await(t) == -ECANCELED);
	return 0;
}

static int scope_after_a_cancel(const void *arg GA_UNUSED)
{
	struct ga_timeout scope;

	EXPECT(ga_sleep(GA_SECONDS(100)) == -ECANCELED);
	EXPECT(ga_timeout_enter(&scope, 0) == 0);
	return ga_timeout_exit(&scope, ga_sleep(0));
}

CASE(a_cancel_older_than_the_scope_leaves_it_its_timeout)
{
	GA_AUTO ga_future *t = ga_spawn(scope_after_a_cancel, NULL);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ETIMEDOUT);
	return 0;
}

CASE(nested_scopes_with_one_deadline_only_the_outermost_reports)
{
	struct ga_timeout outer, inner;
	int64_t deadline = in_seconds(1);

	EXPECT(ga_timeout_enter(&outer, deadline) == 0);
	EXPECT(ga_timeout_enter(&inner, deadline) == 0);
	EXPECT(ga_timeout_exit(&inner, ga_sleep(GA_SECONDS(9))) == -ECANCELED);
	EXPECT(ga_timeout_exit(&outer, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

CASE(the_inner_scope_expires_and_the_outer_goes_on)
{
	struct ga_timeout outer, inner;

	EXPECT(ga_timeout_enter(&outer, in_seconds(3)) == 0);
	EXPECT(ga_timeout_enter(&inner, in_seconds(1)) == 0);
	EXPECT(ga_timeout_exit(&inner, ga_sleep(GA_SECONDS(9))) == -ETIMEDOUT);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_timeout_exit(&outer, ga_sleep(GA_SECONDS(9))) == -ETIMEDOUT);
	return 0;
}

CASE(the_outer_scope_expires_inside_the_inner)
{
	struct ga_timeout outer, inner;
	int64_t before = ga_now();

	EXPECT(ga_timeout_enter(&outer, in_seconds(1)) == 0);
	EXPECT(ga_timeout_enter(&inner, in_seconds(3)) == 0);
	EXPECT(ga_timeout_exit(&inner, ga_sleep(GA_SECONDS(9))) == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	EXPECT(ga_timeout_exit(&outer, -ECANCELED) == -ETIMEDOUT);
	EXPECT(ga_now() - before == GA_SECONDS(1));
	return 0;
}

static void keep_busy_until(int64_t deadline)
{
	while (ga_now() < deadline)
		;
}

static int busy_between_two_scopes(const void *arg GA_UNUSED)
{
	struct ga_timeout outer, inner;
	int64_t begin = ga_now();
	int r;

	EXPECT(ga_timeout_enter(&outer, begin + GA_MILLISECONDS(20)) == 0);
	EXPECT(ga_timeout_enter(&inner, begin + GA_MILLISECONDS(2)) == 0);
	keep_busy_until(begin + GA_MILLISECONDS(22));
	r = ga_timeout_exit(&inner, ga_sleep(GA_SECONDS(9)));
	EXPECT(r == -ECANCELED || r == -ETIMEDOUT);
	EXPECT(ga_timeout_exit(&outer, ga_sleep(GA_SECONDS(9))) == -ETIMEDOUT);
	EXPECT(ga_now() - begin < GA_SECONDS(5));
	return 0;
}

static void inner_expired_while_busy_the_outer_still_fires(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(busy_between_two_scopes, NULL), 0);
}

CASE(a_scope_can_be_moved_or_disarmed)
{
	struct ga_timeout scope;
	int64_t before = ga_now();

	EXPECT(ga_timeout_enter(&scope, in_seconds(1)) == 0);
	EXPECT(ga_timeout_move(&scope, in_seconds(5)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(3)) == 0);
	EXPECT(ga_timeout_move(&scope, GA_NEVER) == 0);
	EXPECT(ga_sleep(GA_SECONDS(10)) == 0);
	EXPECT(ga_timeout_move(&scope, in_seconds(1)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(3)) == -ECANCELED);
	EXPECT(ga_now() - before == GA_SECONDS(14));
	EXPECT(ga_timeout_move(&scope, in_seconds(1)) == -EALREADY);
	EXPECT(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	EXPECT(ga_timeout_move(&scope, in_seconds(1)) == -EINVAL);
	EXPECT(ga_timeout_exit(&scope, 0) == -EINVAL);
	return 0;
}

CASE(moved_into_the_past_it_expires_at_once)
{
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, GA_NEVER) == 0);
	EXPECT(ga_timeout_move(&scope, ga_now() - 1) == 0);
	EXPECT(ga_timeout_exit(&scope, ga_sleep(GA_SECONDS(3))) == -ETIMEDOUT);
	return 0;
}

CASE(gather_in_a_scope_is_cancelled_and_joined)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &one), ga_spawn(sleep_then_return, &nine),
			   ga_sleep_future(GA_SECONDS(20)) };
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, in_seconds(2)) == 0);
	EXPECT(ga_timeout_exit(&scope, ga_gather(f, 3, 0)) == -ETIMEDOUT);
	EXPECT(ga_result(f[0], NULL) == 1);
	EXPECT(ga_result(f[1], NULL) == -ECANCELED && ga_result(f[2], NULL) == -ECANCELED);
	ga_release_all(f, 3);
	return 0;
}

CASE(a_sleep_in_real_nanoseconds_and_far_ones)
{
	EXPECT(ga_sleep(-5) == 0);
	EXPECT(ga_sleep_until(ga_now() - GA_SECONDS(1)) == 0);
	EXPECT(ga_await_until(NULL, 0) == -ENOMEM);
	{
		struct ga_timeout scope;
		GA_AUTO ga_future *forever = ga_sleep_future(INT64_MAX);

		EXPECT(ga_timeout_enter(&scope, in_seconds(1)) == 0);
		EXPECT(ga_sleep(INT64_MAX) == -ECANCELED);
		EXPECT(ga_timeout_exit(&scope, ga_await(forever)) == -ETIMEDOUT);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deadline_that_isnt_reached_changes_nothing),
		cmocka_unit_test(with_a_past_deadline_a_done_future_returns_its_result),
		cmocka_unit_test(with_a_past_deadline_a_pending_task_is_cancelled),
		cmocka_unit_test(on_timeout_the_task_is_cancelled_and_awaited),
		cmocka_unit_test(a_task_that_swallows_the_cancel_and_returns_42_makes_it_42),
		cmocka_unit_test(cancelling_wait_for_cancels_the_inner),
		cmocka_unit_test(wait_for_a_shielded_task_that_times_out_leaves_it_running),
		cmocka_unit_test(an_expired_scope_keeps_failing_at_each_suspension),
		cmocka_unit_test(a_past_deadline_fires_at_the_first_suspension),
		cmocka_unit_test(a_result_other_than_cancelled_passes_an_expired_scope),
		cmocka_unit_test(a_newer_cancel_is_no_timeout),
		cmocka_unit_test(expired_and_then_cancelled_is_cancelled),
		cmocka_unit_test(a_cancel_older_than_the_scope_leaves_it_its_timeout),
		cmocka_unit_test(nested_scopes_with_one_deadline_only_the_outermost_reports),
		cmocka_unit_test(the_inner_scope_expires_and_the_outer_goes_on),
		cmocka_unit_test(the_outer_scope_expires_inside_the_inner),
		cmocka_unit_test(inner_expired_while_busy_the_outer_still_fires),
		cmocka_unit_test(a_scope_can_be_moved_or_disarmed),
		cmocka_unit_test(moved_into_the_past_it_expires_at_once),
		cmocka_unit_test(gather_in_a_scope_is_cancelled_and_joined),
		cmocka_unit_test(a_sleep_in_real_nanoseconds_and_far_ones),
	};

	return TAP_RUN(tests);
}
