/* as_completed: futures in the order in which they end. */
#include "async_check.h"
#include "tap_main.h"
#include <gather/group.h>

static const int one = 1, three = 3, five = 5;

static int64_t in_seconds(int n)
{
	return ga_now() + GA_SECONDS(n);
}

CASE(it_gives_the_same_handles_in_order_of_completion)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &five), ga_spawn(sleep_then_return, &one),
			   ga_sleep_future(GA_SECONDS(3)) };
	ga_as_completed *c;
	ga_future *next;

	EXPECT(ga_as_completed_new(f, 3, &c) == 0);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == f[1] && ga_done(next));
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == f[2]);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == f[0]);
	EXPECT(ga_result(next, NULL) == 5);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == -ENODATA && next == f[0]);
	EXPECT(ga_as_completed_next(c, 0, &next) == -ENODATA);
	ga_as_completed_free(c);
	ga_release_all(f, 3);
	return 0;
}

CASE(what_is_done_already_comes_first_and_at_once)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &one), NULL, ga_future_new(), ga_future_new() };
	ga_as_completed *c;
	ga_future *next;
	int64_t before = ga_now();

	EXPECT(ga_resolve(f[3], -EPIPE, NULL) == 0);
	EXPECT(ga_as_completed_new(f, 4, &c) == 0);
	EXPECT(ga_as_completed_next(c, 0, &next) == 0 && next == NULL); /* failed with -ENOMEM */
	EXPECT(ga_as_completed_next(c, 0, &next) == 0 && next == f[3]);
	EXPECT(ga_now() == before);
	EXPECT(ga_resolve(f[2], 0, NULL) == 0);
	EXPECT(ga_as_completed_next(c, 0, &next) == 0 && next == f[2]);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == f[0]);
	ga_as_completed_free(c);
	ga_release_all(f, 4);
	return 0;
}

CASE(of_none_there_is_nothing_to_wait_for)
{
	ga_as_completed *c;
	ga_future *next;

	EXPECT(ga_as_completed_new(NULL, 0, &c) == 0);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == -ENODATA);
	ga_as_completed_free(c);
	ga_as_completed_free(NULL);
	return 0;
}

CASE(a_timeout_surfaces_at_the_next_step_and_cancels_and_loses_nothing)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &five), ga_spawn(sleep_then_return, &three) };
	ga_as_completed *c;
	ga_future *next;
	int64_t deadline = in_seconds(2);

	EXPECT(ga_as_completed_new(f, 2, &c) == 0);
	EXPECT(ga_as_completed_next(c, deadline, &next) == -ETIMEDOUT);
	EXPECT(ga_now() == deadline);
	EXPECT(ga_as_completed_next(c, deadline, &next) == -ETIMEDOUT);
	EXPECT(!ga_done(f[0]) && !ga_done(f[1]) && ga_cancelling(f[0]) == 0);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == f[1]);
	EXPECT(ga_sleep(GA_SECONDS(10)) == 0); /* it ends while nobody takes */
	EXPECT(ga_as_completed_next(c, deadline, &next) == 0 && next == f[0]);
	ga_as_completed_free(c);
	ga_release_all(f, 2);
	return 0;
}

static int take_next(const void *arg)
{
	ga_future *next = NULL;
	int r = ga_as_completed_next(*(ga_as_completed *const *)arg, GA_NEVER, &next);

	return r < 0 ? r : ga_result(next, NULL);
}

CASE(a_cancelled_taker_loses_nothing_and_cancels_nothing)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &three) };
	ga_as_completed *c;
	ga_future *next;
	GA_AUTO ga_future *taker = NULL;

	EXPECT(ga_as_completed_new(f, 1, &c) == 0);
	taker = ga_spawn(take_next, &c);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(taker));
	EXPECT(ga_await(taker) == -ECANCELED);
	EXPECT(!ga_done(f[0]));
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == f[0]);
	ga_as_completed_free(c);
	ga_release_all(f, 1);
	return 0;
}

CASE(several_tasks_take_in_turn_and_what_is_left_over_ends)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &five), ga_spawn(sleep_then_return, &three) };
	ga_future *takers[3];
	ga_as_completed *c;

	EXPECT(ga_as_completed_new(f, 2, &c) == 0);
	for (int i = 0; i < 3; i++)
		takers[i] = ga_spawn(take_next, &c);
	EXPECT(ga_gather(takers, 3, GA_RETURN_EXCEPTIONS) == 0);
	EXPECT(ga_result(takers[0], NULL) == 3 && ga_result(takers[1], NULL) == 5);
	EXPECT(ga_result(takers[2], NULL) == -ENODATA);
	ga_as_completed_free(c);
	ga_release_all(takers, 3);
	ga_release_all(f, 2);
	return 0;
}

CASE(it_can_be_freed_before_all_are_done)
{
	ga_future *f[] = { ga_spawn(sleep_then_return, &one), ga_spawn(sleep_then_return, &three) };
	ga_as_completed *c;
	ga_future *next;

	EXPECT(ga_as_completed_new(f, 2, &c) == 0);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == f[0]);
	ga_as_completed_free(c);
	EXPECT(ga_await(f[1]) == 3);
	ga_release_all(f, 2);
	return 0;
}

CASE(one_that_is_given_twice_comes_twice)
{
	ga_future *t = ga_spawn(sleep_then_return, &one), *f[] = { t, t };
	ga_as_completed *c;
	ga_future *next;

	EXPECT(ga_as_completed_new(f, 2, &c) == 0);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == t);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == 0 && next == t);
	EXPECT(ga_as_completed_next(c, GA_NEVER, &next) == -ENODATA);
	ga_as_completed_free(c);
	ga_release(t);
	return 0;
}

CASE(waiting_for_oneself_is_refused)
{
	ga_future *self = ga_self();
	ga_as_completed *c;

	EXPECT(ga_as_completed_new(&self, 1, &c) == -EDEADLK);
	return 0;
}

static void outside_of_a_loop_it_is_refused(void **state GA_UNUSED)
{
	ga_as_completed *c;

	assert_int_equal(ga_as_completed_new(NULL, 0, &c), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_gives_the_same_handles_in_order_of_completion),
		cmocka_unit_test(what_is_done_already_comes_first_and_at_once),
		cmocka_unit_test(of_none_there_is_nothing_to_wait_for),
		cmocka_unit_test(a_timeout_surfaces_at_the_next_step_and_cancels_and_loses_nothing),
		cmocka_unit_test(a_cancelled_taker_loses_nothing_and_cancels_nothing),
		cmocka_unit_test(several_tasks_take_in_turn_and_what_is_left_over_ends),
		cmocka_unit_test(it_can_be_freed_before_all_are_done),
		cmocka_unit_test(one_that_is_given_twice_comes_twice),
		cmocka_unit_test(waiting_for_oneself_is_refused),
		cmocka_unit_test(outside_of_a_loop_it_is_refused),
	};

	return TAP_RUN(tests);
}
