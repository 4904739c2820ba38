/* gather and wait. */
#include "async_check.h"
#include "tap_main.h"

static const int one = 1, two = 2, three = 3, nine = 9;

CASE(results_are_in_argument_order)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &three), ga_spawn(sleep_then_return, &one),
			   ga_spawn(sleep_then_return, &two) };
	int64_t before = ga_now();

	EXPECT(ga_gather(f, 3, 0) == 0);
	EXPECT(ga_now() - before == GA_SECONDS(3));
	EXPECT(ga_result(f[0], NULL) == 3 && ga_result(f[1], NULL) == 1 && ga_result(f[2], NULL) == 2);
	ga_release_all(f, 3);
	return 0;
}

CASE(an_empty_gather_completes_at_once)
{
	EXPECT(ga_gather(NULL, 0, 0) == 0);
	return 0;
}

CASE(unknown_flags_are_refused)
{
	EXPECT(ga_gather(NULL, 0, 8) == -EINVAL);
	return 0;
}

CASE(a_duplicate_argument_runs_once_and_fills_each_slot)
{
	GA_AUTO ga_future *t = ga_spawn(sleep_then_return, &one);
	ga_future *f[] = { t, t, t };

	EXPECT(ga_gather(f, 3, 0) == 0);
	EXPECT(ga_result(f[0], NULL) == 1 && ga_result(f[2], NULL) == 1);
	return 0;
}

CASE(a_missing_child_counts_as_no_memory)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &nine), NULL };

	EXPECT(ga_gather(f, 2, 0) == -ENOMEM);
	EXPECT(ga_result(f[0], NULL) == -ECANCELED); /* joined */
	EXPECT(ga_gather(f, 2, GA_RETURN_EXCEPTIONS) == 0);
	EXPECT(ga_result(f[1], NULL) == -ENOMEM);
	ga_release_all(f, 2);
	return 0;
}

static int fail_after_a_second(const void *unused GA_UNUSED)
{
	int r = ga_sleep(GA_SECONDS(1));

	return r < 0 ? r : -EIO;
}

static int slow_to_end(const void *arg) /* takes a second to clean up when cancelled */
{
	bool *ended = *(bool *const *)arg;

	if (ga_sleep(GA_SECONDS(100)) == -ECANCELED)
		ga_uncancel();
	ga_sleep(GA_SECONDS(1));
	*ended = true;
	return -ECANCELED;
}

CASE(the_first_error_cancels_and_joins_the_siblings)
{
	bool ended = false, *at = &ended;
	ga_future *f[] = { ga_spawn(slow_to_end, &at), ga_spawn(fail_after_a_second, NULL),
			   ga_spawn(sleep_then_return, &nine) };
	int64_t before = ga_now();

	EXPECT(ga_gather(f, 3, 0) == -EIO);
	EXPECT(ended);
	EXPECT(ga_now() - before == GA_SECONDS(2));
	EXPECT(ga_result(f[2], NULL) == -ECANCELED);
	EXPECT(ga_cancelling(ga_self()) == 0);
	ga_release_all(f, 3);
	return 0;
}

CASE(detached_siblings_run_on_after_the_first_error)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &two), ga_spawn(fail_after_a_second, NULL) };

	EXPECT(ga_gather(f, 2, GA_DETACH) == -EIO);
	EXPECT(!ga_done(f[0]));
	EXPECT(ga_await(f[0]) == 2);
	ga_release_all(f, 2);
	return 0;
}

CASE(with_return_exceptions_all_are_waited_for_and_errors_stand_in_their_slots)
{
	ga_future *f[] = { ga_spawn(fail_after_a_second, NULL), ga_spawn(sleep_then_return, &two),
			   ga_spawn(fail_now, NULL) };

	EXPECT(ga_gather(f, 3, GA_RETURN_EXCEPTIONS) == 0);
	EXPECT(ga_result(f[0], NULL) == -EIO && ga_result(f[1], NULL) == 2 &&
	       ga_result(f[2], NULL) == -EIO);
	ga_release_all(f, 3);
	return 0;
}

static int cancel_it(const void *arg)
{
	ga_cancel(*(ga_future *const *)arg);
	return 0;
}

CASE(a_cancelled_child_is_an_error_of_gather)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &two), ga_spawn(sleep_then_return, &one), NULL };

	f[2] = ga_spawn(cancel_it, &f[0]);
	EXPECT(ga_gather(f, 3, 0) == -ECANCELED);
	EXPECT(ga_sleep(0) == 0); /* it isn't this task that was cancelled */
	ga_release_all(f, 3);
	return 0;
}

struct gathering {
	ga_future *f[3];
	unsigned flags;
};

static int gather_three(const void *arg)
{
	const struct gathering *g = arg;

	return ga_gather(g->f, 3, g->flags);
}

CASE(cancelling_gather_cancels_each_unfinished_child_and_ends_after_all_of_them)
{
	static const unsigned flags[] = { 0, GA_RETURN_EXCEPTIONS };

	for (size_t i = 0; i < 2; i++) {
		bool ended = false, *at = &ended;
		struct gathering g = { { ga_spawn(slow_to_end, &at), ga_spawn(sleep_then_return, &nine),
					 ga_spawn(swallow_cancel, NULL) },
				       flags[i] };
		GA_AUTO ga_future *t = ga_spawn(gather_three, &g);

		EXPECT(one_turn() == 0 && one_turn() == 0);
		EXPECT(ga_cancel(t));
		EXPECT(ga_await(t) == -ECANCELED);
		EXPECT(ended);
		EXPECT(ga_result(g.f[1], NULL) == -ECANCELED && ga_result(g.f[2], NULL) == 42);
		ga_release_all(g.f, 3);
	}
	return 0;
}

CASE(cancelling_detached_gather_ends_with_the_first_child)
{
	bool ended = false, *at = &ended;
	struct gathering g = { { ga_spawn(slow_to_end, &at), ga_spawn(sleep_then_return, &nine),
				 ga_spawn(swallow_cancel, NULL) },
			       GA_DETACH };
	GA_AUTO ga_future *t = ga_spawn(gather_three, &g);

	EXPECT(one_turn() == 0 && one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(!ended);
	EXPECT(ga_wait(g.f, 3, GA_ALL_COMPLETED, GA_NEVER) == 3);
	EXPECT(ended);
	ga_release_all(g.f, 3);
	return 0;
}

CASE(cancelling_gather_once_all_are_done_returns_false_and_results_stand)
{
	struct gathering g = { { ga_spawn(sleep_then_return, &one), ga_spawn(sleep_then_return, &one),
				 ga_spawn(sleep_then_return, &two) },
			       0 };
	GA_AUTO ga_future *t = ga_spawn(gather_three, &g);

	EXPECT(ga_await(t) == 0);
	EXPECT(!ga_cancel(t));
	EXPECT(ga_result(g.f[2], NULL) == 2);
	ga_release_all(g.f, 3);
	return 0;
}

CASE(gather_takes_stackless_futures_and_many_of_them)
{
	ga_future *f[1000];
	int64_t before = ga_now();

	for (int i = 0; i < 1000; i++)
		f[i] = ga_sleep_future(GA_MILLISECONDS(i));
	EXPECT(ga_gather(f, 1000, 0) == 0);
	EXPECT(ga_now() - before == GA_MILLISECONDS(999));
	ga_release_all(f, 1000);
	return 0;
}

CASE(children_may_gather_themselves)
{
	struct gathering inner = {
		{ ga_spawn(sleep_then_return, &one), ga_sleep_future(5), ga_sleep_future(0) }, 0
	};
	struct gathering outer = {
		{ ga_spawn(gather_three, &inner), ga_sleep_future(7), ga_sleep_future(8) }, 0
	};

	EXPECT(gather_three(&outer) == 0);
	ga_release_all(inner.f, 3);
	ga_release_all(outer.f, 3);
	return 0;
}

/* ---- wait ---- */

CASE(wait_for_all_returns_when_all_are_done)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &one), ga_spawn(fail_now, NULL),
			   ga_spawn(sleep_then_return, &three) };
	int64_t before = ga_now();

	EXPECT(ga_wait(f, 3, GA_ALL_COMPLETED, GA_NEVER) == 3); /* the error isn't raised by wait itself */
	EXPECT(ga_now() - before == GA_SECONDS(3));
	ga_release_all(f, 3);
	return 0;
}

CASE(wait_for_the_first_returns_at_the_first)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &three), ga_spawn(sleep_then_return, &one) };
	int64_t before = ga_now();

	EXPECT(ga_wait(f, 2, GA_FIRST_COMPLETED, GA_NEVER) == 1);
	EXPECT(ga_now() - before == GA_SECONDS(1));
	EXPECT(ga_done(f[1]) && !ga_done(f[0]) && ga_cancelling(f[0]) == 0);
	EXPECT(ga_wait(f, 2, GA_FIRST_COMPLETED, GA_NEVER) == 1); /* is met already */
	EXPECT(ga_await(f[0]) == 3);
	ga_release_all(f, 2);
	return 0;
}

CASE(the_end_of_a_wait_is_no_error_and_cancels_nothing)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &one), ga_spawn(sleep_then_return, &three) };

	EXPECT(ga_wait(f, 2, GA_ALL_COMPLETED, ga_now() + GA_SECONDS(2)) == 1);
	EXPECT(!ga_done(f[1]) && ga_cancelling(f[1]) == 0);
	EXPECT(ga_wait(f, 2, GA_ALL_COMPLETED, ga_now() - 1) == 1);
	EXPECT(ga_await(f[1]) == 3);
	ga_release_all(f, 2);
	return 0;
}

CASE(a_cancelled_task_is_no_exception_for_wait)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &nine), ga_spawn(fail_after_a_second, NULL),
			   ga_spawn(sleep_then_return, &three) };

	EXPECT(ga_cancel(f[0]));
	EXPECT(ga_wait(f, 3, GA_FIRST_EXCEPTION, GA_NEVER) == 2);
	EXPECT(ga_result(f[1], NULL) == -EIO && !ga_done(f[2]));
	EXPECT(ga_wait(f, 3, GA_FIRST_EXCEPTION, GA_NEVER) == 2); /* there is one already */
	EXPECT(ga_await(f[2]) == 3);
	ga_release_all(f, 3);
	return 0;
}

CASE(without_errors_first_exception_waits_for_all)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &one), ga_spawn(sleep_then_return, &two) };

	EXPECT(ga_wait(f, 2, GA_FIRST_EXCEPTION, GA_NEVER) == 2);
	ga_release_all(f, 2);
	return 0;
}

static int wait_for_two(const void *arg)
{
	return ga_wait(arg, 2, GA_ALL_COMPLETED, GA_NEVER);
}

CASE(cancelling_the_waiter_leaves_the_waited_running)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &one), ga_spawn(sleep_then_return, &two) };
	GA_AUTO ga_future *waiter = ga_spawn(wait_for_two, f);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(waiter));
	EXPECT(ga_await(waiter) == -ECANCELED);
	EXPECT(!ga_done(f[0]) && ga_cancelling(f[0]) == 0);
	EXPECT(ga_wait(f, 2, GA_ALL_COMPLETED, GA_NEVER) == 2);
	ga_release_all(f, 2);
	return 0;
}

CASE(an_empty_set_or_a_bad_mode_is_an_error)
{
	GA_AUTO ga_future *f = ga_spawn(fail_now, NULL);

	EXPECT(ga_wait(NULL, 0, GA_ALL_COMPLETED, GA_NEVER) == -EINVAL);
	EXPECT(ga_wait(&f, 1, (enum ga_wait_mode)7, GA_NEVER) == -EINVAL);
	EXPECT(ga_await(f) == -EIO);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_are_in_argument_order),
		cmocka_unit_test(an_empty_gather_completes_at_once),
		cmocka_unit_test(unknown_flags_are_refused),
		cmocka_unit_test(a_duplicate_argument_runs_once_and_fills_each_slot),
		cmocka_unit_test(a_missing_child_counts_as_no_memory),
		cmocka_unit_test(the_first_error_cancels_and_joins_the_siblings),
		cmocka_unit_test(detached_siblings_run_on_after_the_first_error),
		cmocka_unit_test(
			with_return_exceptions_all_are_waited_for_and_errors_stand_in_their_slots),
		cmocka_unit_test(a_cancelled_child_is_an_error_of_gather),
		cmocka_unit_test(
			cancelling_gather_cancels_each_unfinished_child_and_ends_after_all_of_them),
		cmocka_unit_test(cancelling_detached_gather_ends_with_the_first_child),
		cmocka_unit_test(cancelling_gather_once_all_are_done_returns_false_and_results_stand),
		cmocka_unit_test(gather_takes_stackless_futures_and_many_of_them),
		cmocka_unit_test(children_may_gather_themselves),
		cmocka_unit_test(wait_for_all_returns_when_all_are_done),
		cmocka_unit_test(wait_for_the_first_returns_at_the_first),
		cmocka_unit_test(the_end_of_a_wait_is_no_error_and_cancels_nothing),
		cmocka_unit_test(a_cancelled_task_is_no_exception_for_wait),
		cmocka_unit_test(without_errors_first_exception_waits_for_all),
		cmocka_unit_test(cancelling_the_waiter_leaves_the_waited_running),
		cmocka_unit_test(an_empty_set_or_a_bad_mode_is_an_error),
	};

	return TAP_RUN(tests);
}
