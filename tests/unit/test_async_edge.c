/* ga_run_options.edge_cancel: a cancel is delivered once, as asyncio does. */
#include "async_check.h"
#include "tap_main.h"
#include <gather/runner.h>

static int64_t in_seconds(int n)
{
	return ga_now() + GA_SECONDS(n);
}

/* A unit test that runs the coroutine NAME_body with edges, in virtual time. */
#define EDGE_CASE(name)                                                                              \
	static int name##_body(const void *arg GA_UNUSED);                                           \
	static void name(void **state GA_UNUSED)                                                     \
	{                                                                                            \
		const struct ga_run_options options = { .edge_cancel = true, .virtual_time = true }; \
                                                                                                     \
		assert_int_equal(ga_run_with(name##_body, NULL, &options), 0);                       \
	}                                                                                            \
	static int name##_body(const void *arg GA_UNUSED)

static int ignore_a_cancel(const void *unused GA_UNUSED)
{
	EXPECT(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	EXPECT(ga_cancelling(ga_self()) == 1);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0); /* not said again */
	EXPECT(ga_sleep(0) == 0);
	return 7;
}

EDGE_CASE(a_cancel_is_delivered_once)
{
	GA_AUTO ga_future *t = ga_spawn(ignore_a_cancel, NULL);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == 7);
	EXPECT(ga_cancelling(t) == 1);
	return 0;
}

CASE(without_it_a_cancel_is_said_again)
{
	GA_AUTO ga_future *t = ga_spawn(ignore_a_cancel, NULL);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) < -1000000); /* as an EXPECT() in it failed */
	return 0;
}

static int take_two(const void *unused GA_UNUSED)
{
	EXPECT(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return 0;
}

EDGE_CASE(each_cancel_is_delivered)
{
	GA_AUTO ga_future *t = ga_spawn(take_two, NULL);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == 0);
	return 0;
}

static int cancel_oneself(const void *unused GA_UNUSED)
{
	EXPECT(ga_cancel(ga_self()));
	EXPECT(ga_sleep(GA_SECONDS(1)) == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(ga_self()));
	EXPECT(ga_uncancel() == 1);
	EXPECT(ga_uncancel() == 0); /* taken back before it was delivered */
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return 0;
}

EDGE_CASE(self_cancel_takes_effect_at_the_next_suspension_unless_taken_back)
{
	GA_AUTO ga_future *t = ga_spawn(cancel_oneself, NULL);

	EXPECT(ga_await(t) == 0);
	return 0;
}

EDGE_CASE(before_its_first_run_the_body_never_executes)
{
	GA_AUTO ga_future *t = ga_spawn(ignore_a_cancel, NULL);

	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	return 0;
}

static int await_it(const void *arg)
{
	int r = ga_await(*(ga_future *const *)arg);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return r;
}

EDGE_CASE(a_cancel_passed_on_and_swallowed_is_spent)
{
	ga_future *inner = ga_spawn(swallow_cancel, NULL);
	GA_AUTO ga_future *t = ga_spawn(await_it, &inner);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == 42);
	ga_release(inner);
	return 0;
}

EDGE_CASE(a_scope_that_expired_says_so_once)
{
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, in_seconds(1)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(5)) == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(5)) == 0);
	EXPECT(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

EDGE_CASE(a_scope_left_before_a_suspension_leaves_no_cancel_behind)
{
	struct ga_timeout scope;

	EXPECT(ga_timeout_enter(&scope, 0) == 0);
	EXPECT(ga_timeout_exit(&scope, 3) == 3);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return 0;
}

EDGE_CASE(await_with_a_deadline_times_out)
{
	GA_AUTO ga_future *t = ga_spawn(swallow_cancel, NULL);
	GA_AUTO ga_future *sleep = ga_sleep_future(GA_SECONDS(50));

	EXPECT(ga_await_until(t, in_seconds(1)) == 42);
	EXPECT(ga_await_until(sleep, in_seconds(1)) == -ETIMEDOUT);
	EXPECT(ga_sleep(0) == 0 && ga_cancelling(ga_self()) == 0);
	return 0;
}

static int cancelled_in_a_shield(const void *unused GA_UNUSED)
{
	struct ga_timeout shield;

	EXPECT(ga_shield_enter(&shield, in_seconds(4)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(3)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(3)) == -ECANCELED); /* the shield's own deadline */
	EXPECT(ga_sleep(GA_SECONDS(3)) == 0);
	EXPECT(ga_timeout_exit(&shield, -ECANCELED) == -ETIMEDOUT);
	EXPECT(ga_sleep(GA_SECONDS(3)) == -ECANCELED); /* the cancel from outside */
	EXPECT(ga_sleep(GA_SECONDS(3)) == 0);
	return 0;
}

EDGE_CASE(a_cancel_that_a_shield_hid_is_delivered_once_after_it)
{
	GA_AUTO ga_future *t = ga_spawn(cancelled_in_a_shield, NULL);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == 0);
	return 0;
}

static int gather_two(const void *arg)
{
	int r = ga_gather(arg, 2, 0);

	EXPECT(r == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return r;
}

EDGE_CASE(a_gather_that_is_cancelled_joins_its_children_and_spends_the_cancel)
{
	ga_future *f[] = { ga_spawn(swallow_cancel, NULL), ga_sleep_future(GA_SECONDS(50)) };
	GA_AUTO ga_future *t = ga_spawn(gather_two, f);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(ga_result(f[0], NULL) == 42 && ga_result(f[1], NULL) == -ECANCELED);
	ga_release_all(f, 2);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cancel_is_delivered_once),
		cmocka_unit_test(without_it_a_cancel_is_said_again),
		cmocka_unit_test(each_cancel_is_delivered),
		cmocka_unit_test(self_cancel_takes_effect_at_the_next_suspension_unless_taken_back),
		cmocka_unit_test(before_its_first_run_the_body_never_executes),
		cmocka_unit_test(a_cancel_passed_on_and_swallowed_is_spent),
		cmocka_unit_test(a_scope_that_expired_says_so_once),
		cmocka_unit_test(a_scope_left_before_a_suspension_leaves_no_cancel_behind),
		cmocka_unit_test(await_with_a_deadline_times_out),
		cmocka_unit_test(a_cancel_that_a_shield_hid_is_delivered_once_after_it),
		cmocka_unit_test(a_gather_that_is_cancelled_joins_its_children_and_spends_the_cancel),
	};

	return TAP_RUN(tests);
}
