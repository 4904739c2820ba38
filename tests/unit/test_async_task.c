/* Tasks: running, spawning, cancelling. */
#include "async_check.h"
#include "tap_main.h"
#include <fenv.h>
#include <gather/async.h>
#include <stdatomic.h>

static int return_seven(const void *unused GA_UNUSED)
{
	return 7;
}

static void run_returns_what_main_returns(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(return_seven, NULL), 7);
	assert_int_equal(ga_run(fail_now, NULL), -EIO);
}

static int run_inside(const void *unused GA_UNUSED)
{
	return ga_run(return_seven, NULL);
}

static void run_inside_a_loop_is_refused(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(run_inside, NULL), -EBUSY);
}

static int left_running(const void *arg)
{
	int *seen = *(int *const *)arg;

	*seen = ga_sleep(GA_SECONDS(1000));
	return 0;
}

static int leave_a_task(const void *arg)
{
	ga_release(ga_spawn(left_running, arg));
	return one_turn();
}

static void closing_cancels_and_joins_what_still_runs(void **state GA_UNUSED)
{
	int seen = 0, *at = &seen;

	assert_int_equal(ga_run(leave_a_task, &at), 0);
	assert_int_equal(seen, -ECANCELED);
}

static int spawn_at_the_end(const void *arg)
{
	int *seen = *(int *const *)arg;

	if (ga_sleep(GA_SECONDS(1000)) == -ECANCELED)
		ga_release(ga_spawn(left_running, arg));
	*seen += 1;
	return 0;
}

static int leave_a_spawner(const void *arg)
{
	ga_release(ga_spawn(spawn_at_the_end, arg));
	return one_turn();
}

static void what_is_spawned_while_closing_never_runs(void **state GA_UNUSED)
{
	int seen = 0, *at = &seen;

	assert_int_equal(ga_run(leave_a_spawner, &at), 0);
	assert_int_equal(seen, 1);
}

static void outside_of_a_loop_nothing_works_and_nothing_breaks(void **state GA_UNUSED)
{
	struct ga_timeout scope;

	assert_null(ga_spawn(return_seven, NULL));
	assert_null(ga_future_new());
	assert_null(ga_sleep_future(1));
	assert_null(ga_ready_future(0, false));
	assert_null(ga_executor(GA_POOL_IO, NULL, NULL));
	assert_null(ga_self());
	assert_int_equal(ga_sleep(1), -EPERM);
	assert_int_equal(ga_sleep(0), -EPERM);
	assert_int_equal(ga_uncancel(), -EPERM);
	assert_int_equal(ga_timeout_enter(&scope, GA_NEVER), -EPERM);
	assert_int_equal(ga_await(NULL), -ENOMEM);
	assert_false(ga_cancel(NULL));
	ga_release(NULL);
	assert_true(ga_now() > 0);
}

CASE(await_gives_the_result_of_a_task)
{
	const int two = 2;
	GA_AUTO ga_future *t = ga_spawn(sleep_then_return, &two);
	int64_t before = ga_now();

	EXPECT(!ga_done(t));
	EXPECT(ga_result(t, NULL) == -EINPROGRESS);
	EXPECT(ga_await(t) == 2);
	EXPECT(ga_now() - before == GA_SECONDS(2));
	EXPECT(ga_done(t));
	EXPECT(ga_result(t, NULL) == 2);
	EXPECT(ga_await(t) == 2); /* again, at once */
	return 0;
}

CASE(awaiting_oneself_is_refused)
{
	ga_future *self = ga_self();

	EXPECT(ga_await(self) == -EDEADLK);
	EXPECT(ga_gather(&self, 1, 0) == -EDEADLK);
	EXPECT(ga_wait(&self, 1, GA_ALL_COMPLETED, GA_NEVER) == -EDEADLK);
	return 0;
}

static int count_up(const void *arg)
{
	return ++**(int *const *)arg;
}

CASE(a_spawned_task_runs_later_an_eager_one_at_once)
{
	int count = 0, *at = &count;
	const struct ga_spawn_options eager = { .eager = true };
	GA_AUTO ga_future *later = ga_spawn(count_up, &at);
	GA_AUTO ga_future *now = NULL;

	EXPECT(count == 0);
	now = ga_spawn_with(count_up, &at, &eager);
	EXPECT(count == 1);
	EXPECT(ga_done(now) && ga_result(now, NULL) == 1);
	EXPECT(ga_await(later) == 2);
	return 0;
}

CASE(an_eager_task_that_suspends_goes_on_later)
{
	const int one = 1;
	const struct ga_spawn_options eager = { .eager = true };
	ga_future *self = ga_self();
	GA_AUTO ga_future *t = ga_spawn_with(sleep_then_return, &one, &eager);

	EXPECT(!ga_done(t));
	EXPECT(ga_self() == self);
	EXPECT(ga_await(t) == 1);
	return 0;
}

CASE(a_released_task_goes_on)
{
	int count = 0, *at = &count;

	ga_release(ga_spawn(count_up, &at));
	EXPECT(one_turn() == 0);
	EXPECT(count == 1);
	return 0;
}

static int set_errno(const void *unused GA_UNUSED)
{
	errno = ENOTTY;
	return one_turn();
}

CASE(errno_belongs_to_the_task)
{
	GA_AUTO ga_future *t = ga_spawn(set_errno, NULL);

	errno = EDOM;
	EXPECT(one_turn() == 0);
	EXPECT(errno == EDOM);
	return ga_await(t);
}

static int round_down(const void *unused GA_UNUSED)
{
	EXPECT(fesetround(FE_DOWNWARD) == 0);
	EXPECT(one_turn() == 0);
	EXPECT(fegetround() == FE_DOWNWARD);
	return 0;
}

CASE(the_rounding_mode_belongs_to_the_task)
{
	GA_AUTO ga_future *t = ga_spawn(round_down, NULL);

	EXPECT(one_turn() == 0);
	EXPECT(fegetround() == FE_TONEAREST);
	return ga_await(t);
}

static int deep(int levels)
{
	volatile char page[512];

	page[0] = (char)levels;
	return levels == 0 ? ga_sleep(0) : deep(levels - 1) + page[0] - (char)levels;
}

static int go_deep(const void *unused GA_UNUSED)
{
	return deep(200); /* 100 KiB and more, even without a sanitizer */
}

CASE(a_task_gets_the_stack_that_it_asked_for)
{
	const struct ga_spawn_options big = { .name = "deep", .stack_bytes = 200000 };
	const struct ga_spawn_options huge = { .stack_bytes = 1 << 20 };
	GA_AUTO ga_future *t = ga_spawn_with(go_deep, NULL, &big);
	GA_AUTO ga_future *refused = ga_spawn_with(go_deep, NULL, &huge);

	EXPECT(ga_await(t) == 0);
	EXPECT(ga_await(refused) == -EINVAL);
	return 0;
}

CASE(cancel_before_the_first_run_keeps_the_body_from_running)
{
	int count = 0, *at = &count;
	GA_AUTO ga_future *t = ga_spawn(count_up, &at);

	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(count == 0);
	return 0;
}

CASE(cancel_of_a_finished_task_returns_false)
{
	GA_AUTO ga_future *t = ga_spawn(return_seven, NULL);

	EXPECT(ga_await(t) == 7);
	EXPECT(!ga_cancel(t));
	EXPECT(ga_result(t, NULL) == 7);
	return 0;
}

CASE(each_cancel_counts)
{
	const int one = 1;
	GA_AUTO ga_future *t = ga_spawn(sleep_then_return, &one);

	EXPECT(ga_cancelling(t) == 0);
	EXPECT(ga_cancel(t) && ga_cancel(t));
	EXPECT(ga_cancelling(t) == 2);
	return ga_await(t) == -ECANCELED ? 0 : -1;
}

static int await_it(const void *arg)
{
	return ga_await(*(ga_future *const *)arg);
}

CASE(cancel_propagates_to_what_is_awaited_transitively)
{
	const int ten = 10;
	GA_AUTO ga_future *inner = ga_spawn(sleep_then_return, &ten);
	GA_AUTO ga_future *middle = ga_spawn(await_it, &inner);
	GA_AUTO ga_future *outer = ga_spawn(await_it, &middle);
	int64_t before = ga_now();

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(outer));
	EXPECT(ga_await(outer) == -ECANCELED);
	EXPECT(ga_result(middle, NULL) == -ECANCELED);
	EXPECT(ga_result(inner, NULL) == -ECANCELED);
	EXPECT(ga_now() == before);
	return 0;
}

static int gather_two(const void *arg)
{
	return ga_gather(*(ga_future *const *const *)arg, 2, GA_DETACH);
}

CASE(a_cancel_goes_round_a_ring_of_waiting_tasks_once)
{
	ga_future *children[2] = { NULL, ga_future_new() };
	ga_future *const *at = children;
	ga_future *a = ga_spawn(gather_two, &at);

	children[0] = ga_spawn(await_it, &a); /* waits for the one that waits for it */
	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(a));
	EXPECT(ga_await(children[0]) == -ECANCELED);
	EXPECT(ga_await(a) == -ECANCELED);
	ga_release_all(children, 2);
	ga_release(a);
	return 0;
}

CASE(tasks_that_await_each_other_end_by_a_timeout)
{
	ga_future *b = NULL;
	ga_future *a = ga_spawn(await_it, &b);

	b = ga_spawn(await_it, &a);
	EXPECT(ga_await_until(a, ga_now() + GA_MILLISECONDS(1)) == -ETIMEDOUT);
	EXPECT(ga_await(b) == -ECANCELED);
	ga_release(a);
	ga_release(b);
	return 0;
}

CASE(a_task_and_the_gather_that_it_awaits_end_by_a_timeout)
{
	ga_future *children[2] = { NULL, NULL };
	ga_future *const *at = children;
	ga_future *gatherer = NULL;

	children[1] = children[0] = ga_spawn(await_it, &gatherer);
	gatherer = ga_spawn(gather_two, &at);
	EXPECT(ga_await_until(children[0], ga_now() + GA_MILLISECONDS(1)) == -ETIMEDOUT);
	EXPECT(ga_await(gatherer) == -ECANCELED);
	ga_release(children[0]);
	ga_release(gatherer);
	return 0;
}

static int cancel_itself(const void *unused GA_UNUSED)
{
	EXPECT(ga_cancel(ga_self()));
	EXPECT(ga_cancelling(ga_self()) == 1);
	EXPECT(ga_sleep(GA_SECONDS(1)) == -ECANCELED);
	return 3;
}

CASE(self_cancel_takes_effect_at_the_next_suspension)
{
	GA_AUTO ga_future *t = ga_spawn(cancel_itself, NULL);

	EXPECT(ga_await(t) == 3);
	return 0;
}

static int ignore_then_take_back(const void *unused GA_UNUSED)
{
	EXPECT(ga_sleep(GA_SECONDS(100)) == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(100)) == -ECANCELED); /* a level: said again */
	EXPECT(ga_sleep(0) == -ECANCELED);
	EXPECT(ga_uncancel() == 1); /* two were asked */
	EXPECT(ga_sleep(0) == -ECANCELED);
	EXPECT(ga_uncancel() == 0);
	EXPECT(ga_uncancel() == 0);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return 5;
}

CASE(an_ignored_cancel_is_said_again_until_it_is_taken_back)
{
	GA_AUTO ga_future *t = ga_spawn(ignore_then_take_back, NULL);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t) && ga_cancel(t));
	EXPECT(ga_await(t) == 5); /* caught, uncancelled, returned: a normal result */
	return 0;
}

static int spin_on_a_cancel(const void *arg)
{
	int *turns = *(int *const *)arg;

	while (ga_sleep(GA_SECONDS(1)) == -ECANCELED && *turns < 1000)
		++*turns;
	return 0;
}

CASE(a_task_that_ignores_its_cancel_lets_others_run)
{
	int turns = 0, *at = &turns;
	GA_AUTO ga_future *t = ga_spawn(spin_on_a_cancel, &at);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	for (int i = 0; i < 5; i++)
		EXPECT(one_turn() == 0);
	EXPECT(turns < 100);
	return ga_await(t);
}

CASE(cancelling_an_awaited_future_cancels_its_awaiter)
{
	ga_future *f = ga_future_new();
	GA_AUTO ga_future *t = ga_spawn(await_it, &f);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(f));
	EXPECT(ga_await(t) == -ECANCELED);
	ga_release(f);
	return 0;
}

static int await_twice(const void *arg)
{
	ga_future *const *f = arg;

	EXPECT(ga_await(f[0]) == 42); /* swallowed by the awaited: its result counts */
	EXPECT(ga_await(f[1]) == -ECANCELED);
	return 9;
}

CASE(a_result_that_came_first_counts_and_the_cancel_is_said_next)
{
	const int ten = 10;
	ga_future *f[] = { ga_spawn(swallow_cancel, NULL), ga_spawn(sleep_then_return, &ten) };
	GA_AUTO ga_future *t = ga_spawn(await_twice, f);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == 9);
	ga_release_all(f, 2);
	return 0;
}

static int swallow_two(const void *unused GA_UNUSED)
{
	for (int i = 0; i < 2; i++) {
		EXPECT(ga_sleep(GA_SECONDS(100)) == -ECANCELED);
		EXPECT(ga_uncancel() == 0);
	}
	return 2;
}

CASE(each_cancel_of_a_waiting_task_reaches_what_it_waits_for)
{
	ga_future *inner = ga_spawn(swallow_two, NULL);
	GA_AUTO ga_future *outer = ga_spawn(await_it, &inner);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(outer));
	EXPECT(one_turn() == 0 && one_turn() == 0);
	EXPECT(!ga_done(inner));
	EXPECT(ga_cancel(outer));
	EXPECT(ga_await(outer) == 2);
	ga_release(inner);
	return 0;
}

static int shield_it(const void *arg)
{
	return ga_shield(*(ga_future *const *)arg);
}

CASE(shield_outer_cancelled_inner_runs_on)
{
	const int one = 1;
	ga_future *inner = ga_spawn(sleep_then_return, &one);
	GA_AUTO ga_future *outer = ga_spawn(shield_it, &inner);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(outer));
	EXPECT(ga_await(outer) == -ECANCELED);
	EXPECT(!ga_done(inner) && ga_cancelling(inner) == 0);
	EXPECT(ga_await(inner) == 1);
	ga_release(inner);
	return 0;
}

CASE(shield_inner_cancelled_outer_is_cancelled)
{
	const int one = 1;
	ga_future *inner = ga_spawn(sleep_then_return, &one);
	GA_AUTO ga_future *outer = ga_spawn(shield_it, &inner);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(inner));
	EXPECT(ga_await(outer) == -ECANCELED);
	ga_release(inner);
	return 0;
}

CASE(shield_of_a_done_future_returns_at_once)
{
	GA_AUTO ga_future *inner = ga_spawn(return_seven, NULL);

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(ga_self()));
	EXPECT(ga_shield(inner) == 7); /* nothing is suspended, so no cancel is delivered */
	EXPECT(ga_await(inner) == 7);
	EXPECT(ga_uncancel() == 0);
	return 0;
}

static int see_account(const void *arg)
{
	_Atomic uint64_t *account = *(_Atomic uint64_t *const *)arg;
	int first = (int)atomic_load(account);

	EXPECT(one_turn() == 0);
	EXPECT((int)atomic_load(account) == first); /* also after it was suspended */
	return first;
}

CASE(a_task_runs_on_the_account_on_which_it_was_spawned)
{
	_Atomic uint64_t account = 7, *at = &account;
	ga_future *f[2];

	runtime_current()->account = &account;
	f[0] = ga_spawn(see_account, &at);
	atomic_store(&account, 8);
	f[1] = ga_spawn(see_account, &at);
	EXPECT(ga_gather(f, 2, 0) == 0);
	EXPECT(ga_result(f[0], NULL) == 7 && ga_result(f[1], NULL) == 8);
	runtime_current()->account = NULL;
	ga_release_all(f, 2);
	return 0;
}

static int nothing(const void *unused GA_UNUSED)
{
	return 0;
}

CASE(stacks_and_tasks_are_used_again)
{
	for (int i = 0; i < 5000; i++) {
		GA_AUTO ga_future *t = ga_spawn(nothing, NULL);

		EXPECT(ga_await(t) == 0);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_returns_what_main_returns),
		cmocka_unit_test(run_inside_a_loop_is_refused),
		cmocka_unit_test(closing_cancels_and_joins_what_still_runs),
		cmocka_unit_test(what_is_spawned_while_closing_never_runs),
		cmocka_unit_test(outside_of_a_loop_nothing_works_and_nothing_breaks),
		cmocka_unit_test(await_gives_the_result_of_a_task),
		cmocka_unit_test(awaiting_oneself_is_refused),
		cmocka_unit_test(a_spawned_task_runs_later_an_eager_one_at_once),
		cmocka_unit_test(an_eager_task_that_suspends_goes_on_later),
		cmocka_unit_test(a_released_task_goes_on),
		cmocka_unit_test(errno_belongs_to_the_task),
		cmocka_unit_test(the_rounding_mode_belongs_to_the_task),
		cmocka_unit_test(a_task_gets_the_stack_that_it_asked_for),
		cmocka_unit_test(cancel_before_the_first_run_keeps_the_body_from_running),
		cmocka_unit_test(cancel_of_a_finished_task_returns_false),
		cmocka_unit_test(each_cancel_counts),
		cmocka_unit_test(cancel_propagates_to_what_is_awaited_transitively),
		cmocka_unit_test(a_cancel_goes_round_a_ring_of_waiting_tasks_once),
		cmocka_unit_test(tasks_that_await_each_other_end_by_a_timeout),
		cmocka_unit_test(a_task_and_the_gather_that_it_awaits_end_by_a_timeout),
		cmocka_unit_test(self_cancel_takes_effect_at_the_next_suspension),
		cmocka_unit_test(an_ignored_cancel_is_said_again_until_it_is_taken_back),
		cmocka_unit_test(a_task_that_ignores_its_cancel_lets_others_run),
		cmocka_unit_test(cancelling_an_awaited_future_cancels_its_awaiter),
		cmocka_unit_test(a_result_that_came_first_counts_and_the_cancel_is_said_next),
		cmocka_unit_test(each_cancel_of_a_waiting_task_reaches_what_it_waits_for),
		cmocka_unit_test(shield_outer_cancelled_inner_runs_on),
		cmocka_unit_test(shield_inner_cancelled_outer_is_cancelled),
		cmocka_unit_test(shield_of_a_done_future_returns_at_once),
		cmocka_unit_test(a_task_runs_on_the_account_on_which_it_was_spawned),
		cmocka_unit_test(stacks_and_tasks_are_used_again),
	};

	return TAP_RUN(tests);
}
