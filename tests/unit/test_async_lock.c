/* Locks and events: asyncio.Lock, asyncio.Event. */
#include "sync_check.h"

static int acquire(const void *arg)
{
	struct actor *a = actor_of(arg);
	int r = ga_lock_acquire(a->thing, a->deadline);

	if (r < 0)
		return r;
	note(a->order, a->name);
	if (a->hold < 0)
		return 0;
	r = ga_sleep(a->hold);
	(void)ga_lock_release(a->thing);
	return r;
}

CASE(a_zeroed_lock_is_free)
{
	struct ga_lock lock = { 0 };

	EXPECT(!ga_lock_held(&lock));
	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(ga_lock_held(&lock));
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(!ga_lock_held(&lock));
	return 0;
}

CASE(releasing_what_isnt_held_is_an_error)
{
	struct ga_lock lock = { 0 };

	EXPECT(ga_lock_release(&lock) == -EPERM);
	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(ga_lock_release(&lock) == -EPERM);
	return 0;
}

CASE(releasing_what_is_on_its_way_to_a_waiter_is_an_error)
{
	struct ga_lock lock = { 0 };
	struct actor a = actor('a', &lock, NULL);
	GA_AUTO ga_future *t = ga_spawn(acquire, &a);

	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(one_turn() == 0);
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(!ga_lock_held(&lock));
	EXPECT(ga_lock_release(&lock) == -EPERM);
	EXPECT(ga_await(t) == 0);
	EXPECT(ga_lock_held(&lock));
	return 0;
}

CASE(another_task_may_release_it)
{
	struct ga_lock lock = { 0 };
	struct actor a = actor('a', &lock, NULL);
	GA_AUTO ga_future *t = ga_spawn(acquire, &a);

	EXPECT(ga_await(t) == 0);
	EXPECT(ga_lock_held(&lock));
	EXPECT(ga_lock_release(&lock) == 0);
	return 0;
}

CASE(waiters_get_it_in_the_order_of_their_coming)
{
	struct ga_lock lock = { 0 };
	struct order order = { 0 };
	struct actor actors[4];
	ga_future *tasks[4];

	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	for (int i = 0; i < 4; i++) {
		actors[i] = actor((char)('a' + i), &lock, &order);
		actors[i].hold = GA_SECONDS(4 - i);
		tasks[i] = ga_spawn(acquire, &actors[i]);
	}
	EXPECT(settle() == 0);
	EXPECT(was(&order, ""));
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(ga_gather(tasks, 4, 0) == 0);
	EXPECT(was(&order, "abcd"));
	ga_release_all(tasks, 4);
	return 0;
}

CASE(nobody_overtakes_a_woken_waiter)
{
	struct ga_lock lock = { 0 };
	struct order order = { 0 };
	struct actor a = actor('a', &lock, &order);
	GA_AUTO ga_future *t = ga_spawn(acquire, &a);

	a.hold = 0;
	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(one_turn() == 0);
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0); /* the waiter was there first */
	EXPECT(was(&order, "a") && ga_await(t) == 0);
	EXPECT(ga_lock_release(&lock) == 0);
	return 0;
}

CASE(a_cancelled_waiter_leaves_the_queue)
{
	struct ga_lock lock = { 0 };
	struct order order = { 0 };
	struct actor a = actor('a', &lock, &order), b = actor('b', &lock, &order);
	GA_AUTO ga_future *first = ga_spawn(acquire, &a);
	GA_AUTO ga_future *second = ga_spawn(acquire, &b);

	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(first));
	EXPECT(ga_await(first) == -ECANCELED);
	EXPECT(ga_lock_held(&lock));
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(ga_await(second) == 0);
	EXPECT(was(&order, "b"));
	return 0;
}

CASE(a_cancelled_already_woken_waiter_passes_the_wake_on)
{
	struct ga_lock lock = { 0 };
	struct order order = { 0 };
	struct actor a = actor('a', &lock, &order), b = actor('b', &lock, &order);
	GA_AUTO ga_future *first = ga_spawn(acquire, &a);
	GA_AUTO ga_future *second = ga_spawn(acquire, &b);

	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(ga_cancel(first));
	EXPECT(ga_await(first) == -ECANCELED);
	EXPECT(ga_await_until(second, ga_now() + GA_SECONDS(1)) == 0);
	EXPECT(was(&order, "b"));
	return 0;
}

CASE(a_cancelled_already_woken_waiter_frees_it_if_nobody_else_waits)
{
	struct ga_lock lock = { 0 };
	struct actor a = actor('a', &lock, NULL);
	GA_AUTO ga_future *t = ga_spawn(acquire, &a);

	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(!ga_lock_held(&lock));
	EXPECT(ga_lock_acquire(&lock, 0) == 0);
	return 0;
}

CASE(release_and_cancel_in_one_step_give_it_to_one_only)
{
	struct ga_lock lock = { 0 };
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	for (int i = 0; i < 3; i++) {
		actors[i] = actor((char)('a' + i), &lock, &order);
		tasks[i] = ga_spawn(acquire, &actors[i]);
	}
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(settle() == 0);
	EXPECT(was(&order, "b"));
	EXPECT(ga_result(tasks[0], NULL) == -ECANCELED && ga_done(tasks[1]) && !ga_done(tasks[2]));
	EXPECT(ga_cancel(tasks[2]));
	EXPECT(ga_await(tasks[2]) == -ECANCELED);
	ga_release_all(tasks, 3);
	return 0;
}

CASE(a_deadline_ends_the_wait_and_does_nothing)
{
	struct ga_lock lock = { 0 };
	int64_t before = ga_now();

	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(ga_lock_acquire(&lock, before + GA_SECONDS(2)) == -ETIMEDOUT);
	EXPECT(ga_now() - before == GA_SECONDS(2));
	EXPECT(ga_lock_held(&lock) && lock.waiters.count == 0);
	EXPECT(ga_lock_release(&lock) == 0);
	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	return 0;
}

CASE(with_a_past_deadline_a_free_lock_is_got)
{
	struct ga_lock lock = { 0 };

	EXPECT(ga_lock_acquire(&lock, 0) == 0);
	EXPECT(ga_lock_acquire(&lock, 0) == -ETIMEDOUT);
	EXPECT(ga_lock_acquire(&lock, ga_now()) == -ETIMEDOUT);
	return 0;
}

static int release_after_a_while(const void *arg)
{
	int r = ga_sleep(GA_SECONDS(1));

	return r < 0 ? r : ga_lock_release(actor_of(arg)->thing);
}

CASE(trying_again_and_again_with_a_past_deadline_starves_nobody)
{
	struct ga_lock lock = { 0 };
	struct actor a = actor('a', &lock, NULL);
	GA_AUTO ga_future *t = ga_spawn(release_after_a_while, &a);
	int r;

	EXPECT(ga_lock_acquire(&lock, 0) == 0);
	for (int tries = 0; tries < 1000 && (r = ga_lock_acquire(&lock, 0)) == -ETIMEDOUT; tries++)
		if (tries == 10)
			EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(r == 0 && ga_await(t) == 0);
	return 0;
}

CASE(a_cancelled_task_gets_a_free_lock_and_waits_for_none)
{
	struct ga_lock lock = { 0 };

	EXPECT(ga_cancel(ga_self()));
	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0); /* this doesn't suspend */
	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == -ECANCELED);
	EXPECT(ga_lock_acquire(&lock, 0) == -ECANCELED);
	EXPECT(ga_uncancel() == 0);
	EXPECT(ga_lock_held(&lock) && lock.waiters.count == 0);
	return 0;
}

CASE(a_timeout_scope_ends_the_wait_for_it)
{
	struct ga_lock lock = { 0 };
	struct ga_timeout scope;

	EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
	EXPECT(ga_timeout_enter(&scope, ga_now() + GA_SECONDS(1)) == 0);
	EXPECT(ga_timeout_exit(&scope, ga_lock_acquire(&lock, GA_NEVER)) == -ETIMEDOUT);
	EXPECT(lock.waiters.count == 0);
	return 0;
}

static int note_turns(const void *arg)
{
	struct actor *a = actor_of(arg);

	while (one_turn() == 0)
		note(a->order, a->name);
	return 0;
}

CASE(taking_a_free_lock_again_and_again_starves_nobody)
{
	struct ga_lock lock = { 0 };
	struct order order = { 0 };
	struct actor a = actor('a', &lock, &order);
	GA_AUTO ga_future *t = ga_spawn(note_turns, &a);

	for (int i = 0; i < 1000; i++) {
		EXPECT(ga_lock_acquire(&lock, GA_NEVER) == 0);
		EXPECT(ga_lock_release(&lock) == 0);
	}
	EXPECT(order.size >= 5);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == 0);
	return 0;
}

CASE(a_cancelled_task_that_takes_a_free_lock_again_and_again_is_told_so_without_it)
{
	struct ga_lock lock = { 0 };
	int r = 0;

	EXPECT(ga_cancel(ga_self()));
	for (int i = 0; i < 1000 && r == 0; i++) {
		r = ga_lock_acquire(&lock, GA_NEVER);
		EXPECT(ga_lock_held(&lock) == (r == 0));
		if (r == 0)
			EXPECT(ga_lock_release(&lock) == 0);
	}
	EXPECT(r == -ECANCELED);
	return ga_uncancel();
}

static void outside_of_a_task_nothing_waits(void **state GA_UNUSED)
{
	struct ga_lock lock = { 0 };
	struct ga_event event = { .set = true };

	assert_int_equal(ga_lock_acquire(&lock, GA_NEVER), -EPERM);
	assert_false(ga_lock_held(&lock));
	assert_int_equal(ga_event_wait(&event, GA_NEVER), -EPERM);
}

/* ---- events ---- */

static int wait_event(const void *arg)
{
	struct actor *a = actor_of(arg);
	int r = ga_event_wait(a->thing, a->deadline);

	if (r == 0)
		note(a->order, a->name);
	return r;
}

CASE(a_zeroed_event_is_clear_and_one_that_is_set_lets_pass)
{
	struct ga_event event = { 0 };

	EXPECT(!ga_event_is_set(&event));
	EXPECT(ga_event_wait(&event, 0) == -ETIMEDOUT);
	ga_event_set(&event);
	EXPECT(ga_event_is_set(&event));
	EXPECT(ga_event_wait(&event, 0) == 0 && ga_event_wait(&event, GA_NEVER) == 0);
	ga_event_set(&event);
	ga_event_clear(&event);
	EXPECT(!ga_event_is_set(&event));
	return 0;
}

CASE(setting_wakes_all_in_order_even_if_it_is_cleared_at_once)
{
	struct ga_event event = { 0 };
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	for (int i = 0; i < 3; i++) {
		actors[i] = actor((char)('a' + i), &event, &order);
		tasks[i] = ga_spawn(wait_event, &actors[i]);
	}
	EXPECT(settle() == 0);
	ga_event_set(&event);
	ga_event_clear(&event);
	EXPECT(ga_gather(tasks, 3, 0) == 0);
	EXPECT(was(&order, "abc"));
	ga_release_all(tasks, 3);
	EXPECT(ga_event_wait(&event, 0) == -ETIMEDOUT);
	return 0;
}

CASE(a_cancelled_waiter_of_an_event_leaves_the_others_waiting)
{
	struct ga_event event = { 0 };
	struct actor a = actor('a', &event, NULL), b = actor('b', &event, NULL);
	GA_AUTO ga_future *first = ga_spawn(wait_event, &a);
	GA_AUTO ga_future *second = ga_spawn(wait_event, &b);

	b.deadline = ga_now() + GA_SECONDS(3);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(first));
	EXPECT(ga_await(first) == -ECANCELED);
	EXPECT(ga_await(second) == -ETIMEDOUT);
	EXPECT(event.waiters.count == 0);
	return 0;
}

CASE(a_waiter_of_an_event_that_is_cancelled_before_it_runs_is_cancelled)
{
	struct ga_event event = { 0 };
	struct actor a = actor('a', &event, NULL);
	GA_AUTO ga_future *t = ga_spawn(wait_event, &a);

	EXPECT(settle() == 0);
	ga_event_set(&event);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zeroed_lock_is_free),
		cmocka_unit_test(releasing_what_isnt_held_is_an_error),
		cmocka_unit_test(releasing_what_is_on_its_way_to_a_waiter_is_an_error),
		cmocka_unit_test(another_task_may_release_it),
		cmocka_unit_test(waiters_get_it_in_the_order_of_their_coming),
		cmocka_unit_test(nobody_overtakes_a_woken_waiter),
		cmocka_unit_test(a_cancelled_waiter_leaves_the_queue),
		cmocka_unit_test(a_cancelled_already_woken_waiter_passes_the_wake_on),
		cmocka_unit_test(a_cancelled_already_woken_waiter_frees_it_if_nobody_else_waits),
		cmocka_unit_test(release_and_cancel_in_one_step_give_it_to_one_only),
		cmocka_unit_test(a_deadline_ends_the_wait_and_does_nothing),
		cmocka_unit_test(with_a_past_deadline_a_free_lock_is_got),
		cmocka_unit_test(trying_again_and_again_with_a_past_deadline_starves_nobody),
		cmocka_unit_test(a_cancelled_task_gets_a_free_lock_and_waits_for_none),
		cmocka_unit_test(a_timeout_scope_ends_the_wait_for_it),
		cmocka_unit_test(taking_a_free_lock_again_and_again_starves_nobody),
		cmocka_unit_test(
			a_cancelled_task_that_takes_a_free_lock_again_and_again_is_told_so_without_it),
		cmocka_unit_test(outside_of_a_task_nothing_waits),
		cmocka_unit_test(a_zeroed_event_is_clear_and_one_that_is_set_lets_pass),
		cmocka_unit_test(setting_wakes_all_in_order_even_if_it_is_cleared_at_once),
		cmocka_unit_test(a_cancelled_waiter_of_an_event_leaves_the_others_waiting),
		cmocka_unit_test(a_waiter_of_an_event_that_is_cancelled_before_it_runs_is_cancelled),
	};

	return TAP_RUN(tests);
}
