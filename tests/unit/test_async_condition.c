/* asyncio.Condition. */
#include "sync_check.h"
#include <gather/runner.h>

struct shared {
	struct ga_lock lock;
	struct ga_condition changed;
	int value;
};

/* Actors: hold the lock, wait, note it, let the lock go. */
static int wait_once(const void *arg)
{
	struct actor *a = actor_of(arg);
	struct shared *s = a->thing;
	int r = ga_lock_acquire(&s->lock, GA_NEVER);

	if (r < 0)
		return r;
	r = ga_condition_wait(&s->changed, a->deadline);
	EXPECT(ga_lock_held(&s->lock));
	note(a->order, r == 0 ? a->name : '-');
	EXPECT(ga_lock_release(&s->lock) == 0);
	return r;
}

static int notify(struct shared *s, size_t count)
{
	int r = ga_lock_acquire(&s->lock, GA_NEVER);

	if (r < 0)
		return r;
	EXPECT(ga_condition_notify(&s->changed, count) == 0);
	return ga_lock_release(&s->lock);
}

static void start(struct shared *s, struct order *order, struct actor actors[], ga_future *tasks[],
		  int count)
{
	ga_condition_init(&s->changed, &s->lock);
	for (int i = 0; i < count; i++) {
		actors[i] = actor((char)('a' + i), s, order);
		tasks[i] = ga_spawn(wait_once, &actors[i]);
	}
}

CASE(notify_wakes_so_many_in_order)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor actors[5];
	ga_future *tasks[5];

	start(&s, &order, actors, tasks, 5);
	EXPECT(settle() == 0);
	EXPECT(notify(&s, 0) == 0);
	EXPECT(settle() == 0);
	EXPECT(was(&order, ""));
	EXPECT(notify(&s, 1) == 0);
	EXPECT(settle() == 0);
	EXPECT(was(&order, "a"));
	EXPECT(notify(&s, 2) == 0);
	EXPECT(settle() == 0);
	EXPECT(was(&order, "abc"));
	EXPECT(notify(&s, 1000) == 0);
	EXPECT(ga_gather(tasks, 5, 0) == 0);
	EXPECT(was(&order, "abcde"));
	ga_release_all(tasks, 5);
	return 0;
}

CASE(notify_all_wakes_all)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	start(&s, &order, actors, tasks, 3);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	EXPECT(ga_condition_notify_all(&s.changed) == 0);
	EXPECT(settle() == 0);
	EXPECT(was(&order, "")); /* they go on once they get the lock */
	EXPECT(ga_lock_release(&s.lock) == 0);
	EXPECT(ga_gather(tasks, 3, 0) == 0);
	EXPECT(was(&order, "abc"));
	ga_release_all(tasks, 3);
	return 0;
}

CASE(without_the_lock_waiting_and_notifying_are_errors)
{
	struct shared s = { 0 };

	ga_condition_init(&s.changed, &s.lock);
	EXPECT(ga_condition_wait(&s.changed, GA_NEVER) == -EPERM);
	EXPECT(ga_condition_notify(&s.changed, 1) == -EPERM);
	EXPECT(ga_condition_notify_all(&s.changed) == -EPERM);
	EXPECT(!ga_lock_held(&s.lock));
	return 0;
}

CASE(a_cancelled_wait_reacquires_before_it_returns)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor actor;
	ga_future *t;

	start(&s, &order, &actor, &t, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(settle() == 0);
	EXPECT(!ga_done(t));
	EXPECT(ga_lock_release(&s.lock) == 0);
	EXPECT(ga_await(t) == -ECANCELED); /* that it held the lock it has seen itself */
	EXPECT(was(&order, "-"));
	EXPECT(!ga_lock_held(&s.lock));
	ga_release(t);
	return 0;
}

CASE(a_wait_that_is_cancelled_repeatedly_reacquires_before_it_returns)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor actor;
	ga_future *t;

	start(&s, &order, &actor, &t, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	for (int i = 0; i < 5; i++) {
		EXPECT(ga_cancel(t));
		EXPECT(settle() == 0);
		EXPECT(!ga_done(t));
	}
	EXPECT(ga_lock_release(&s.lock) == 0);
	EXPECT(ga_await(t) == -ECANCELED && ga_cancelling(t) == 5);
	EXPECT(!ga_lock_held(&s.lock));
	ga_release(t);
	return 0;
}

CASE(a_notified_wait_that_is_cancelled_while_it_reacquires_is_cancelled_then)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor actor;
	ga_future *t;

	start(&s, &order, &actor, &t, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	EXPECT(ga_condition_notify(&s.changed, 1) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(settle() == 0);
	EXPECT(!ga_done(t));
	EXPECT(ga_lock_release(&s.lock) == 0);
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(!ga_lock_held(&s.lock));
	ga_release(t);
	return 0;
}

static int wait_then_sleep(const void *arg)
{
	int r = wait_once(arg);

	EXPECT(r == -ECANCELED);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0); /* not said again */
	return 0;
}

/* The cancel comes while it waits to be notified, or while it reacquires. */
static int cancel_once(bool notified)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor a = actor('a', &s, &order);
	GA_AUTO ga_future *t = ga_spawn(wait_then_sleep, &a);

	ga_condition_init(&s.changed, &s.lock);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	if (notified)
		EXPECT(ga_condition_notify(&s.changed, 1) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(settle() == 0);
	EXPECT(!ga_done(t));
	EXPECT(ga_lock_release(&s.lock) == 0);
	return ga_await(t);
}

static int cancel_with_edges(const void *unused GA_UNUSED)
{
	int r = cancel_once(false);

	return r < 0 ? r : cancel_once(true);
}

static void where_cancels_are_edges_a_wait_says_each_once(void **state GA_UNUSED)
{
	const struct ga_run_options options = { .edge_cancel = true, .virtual_time = true };

	assert_int_equal(ga_run_with(cancel_with_edges, NULL, &options), 0);
}

/* notify(1), then the notified one is cancelled: before it runs, or while it waits for the lock. */
static int cancel_the_notified(bool runs_before)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];

	start(&s, &order, actors, tasks, 2);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	EXPECT(ga_condition_notify(&s.changed, 1) == 0);
	if (runs_before)
		EXPECT(settle() == 0);
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(ga_lock_release(&s.lock) == 0);
	EXPECT(ga_await(tasks[0]) == -ECANCELED);
	EXPECT(ga_await_until(tasks[1], ga_now() + GA_SECONDS(1)) == 0);
	EXPECT(was(&order, "-b"));
	ga_release_all(tasks, 2);
	return 0;
}

CASE(a_cancelled_notified_waiter_notifies_another)
{
	return cancel_the_notified(false);
}

CASE(one_that_is_cancelled_while_it_reacquires_notifies_another)
{
	return cancel_the_notified(true);
}

CASE(a_cancelled_waiter_that_wasnt_notified_notifies_nobody)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];

	start(&s, &order, actors, tasks, 2);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(ga_await(tasks[0]) == -ECANCELED);
	EXPECT(settle() == 0);
	EXPECT(!ga_done(tasks[1]));
	EXPECT(notify(&s, 1) == 0);
	EXPECT(ga_await(tasks[1]) == 0);
	ga_release_all(tasks, 2);
	return 0;
}

CASE(a_deadline_ends_the_wait_with_the_lock_held)
{
	struct shared s = { 0 };
	int64_t before = ga_now();

	ga_condition_init(&s.changed, &s.lock);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	EXPECT(ga_condition_wait(&s.changed, before + GA_SECONDS(2)) == -ETIMEDOUT);
	EXPECT(ga_now() - before == GA_SECONDS(2));
	EXPECT(ga_lock_held(&s.lock) && s.changed.waiters.count == 0);
	EXPECT(ga_condition_wait(&s.changed, 0) == -ETIMEDOUT);
	EXPECT(ga_lock_held(&s.lock));
	return 0;
}

CASE(the_deadline_doesnt_end_the_wait_for_the_lock)
{
	struct shared s = { 0 };
	struct order order = { 0 };
	struct actor actor;
	ga_future *t;

	start(&s, &order, &actor, &t, 1);
	actor.deadline = ga_now() + GA_SECONDS(2);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	EXPECT(ga_sleep(GA_SECONDS(10)) == 0);
	EXPECT(!ga_done(t));
	EXPECT(ga_lock_release(&s.lock) == 0);
	EXPECT(ga_await(t) == -ETIMEDOUT);
	ga_release(t);
	return 0;
}

static bool is_three(void *arg)
{
	return *(int *)arg == 3;
}

static int wait_for_three(const void *arg)
{
	struct actor *a = actor_of(arg);
	struct shared *s = a->thing;
	int r = ga_lock_acquire(&s->lock, GA_NEVER);

	if (r < 0)
		return r;
	r = ga_condition_wait_for(&s->changed, is_three, &s->value, a->deadline);
	EXPECT(ga_lock_held(&s->lock));
	EXPECT(ga_lock_release(&s->lock) == 0);
	return r;
}

CASE(wait_for_waits_until_it_is_true)
{
	struct shared s = { 0 };
	struct actor a = actor('a', &s, NULL);
	GA_AUTO ga_future *t = ga_spawn(wait_for_three, &a);

	ga_condition_init(&s.changed, &s.lock);
	for (s.value = 0; s.value < 3; s.value++) {
		EXPECT(notify(&s, 1) == 0);
		EXPECT(settle() == 0);
		EXPECT(!ga_done(t));
	}
	EXPECT(settle() == 0);
	EXPECT(!ga_done(t)); /* nobody said so yet */
	EXPECT(notify(&s, 1) == 0);
	EXPECT(ga_await(t) == 0);
	return 0;
}

CASE(wait_for_what_is_true_returns_at_once_even_past_its_deadline)
{
	struct shared s = { .value = 3 };

	ga_condition_init(&s.changed, &s.lock);
	EXPECT(ga_condition_wait_for(&s.changed, is_three, &s.value, 0) == -EPERM);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	EXPECT(ga_condition_wait_for(&s.changed, is_three, &s.value, 0) == 0);
	s.value = 4;
	EXPECT(ga_condition_wait_for(&s.changed, is_three, &s.value, 0) == -ETIMEDOUT);
	return 0;
}

CASE(wait_for_what_became_true_unsaid_succeeds_at_the_deadline)
{
	struct shared s = { 0 };
	struct actor a = actor('a', &s, NULL);
	GA_AUTO ga_future *t = ga_spawn(wait_for_three, &a);

	ga_condition_init(&s.changed, &s.lock);
	a.deadline = ga_now() + GA_SECONDS(2);
	EXPECT(settle() == 0);
	s.value = 3;
	EXPECT(ga_await(t) == 0);
	EXPECT(ga_now() == a.deadline);
	return 0;
}

CASE(a_cancelled_wait_for_is_cancelled)
{
	struct shared s = { 0 };
	struct actor a = actor('a', &s, NULL);
	GA_AUTO ga_future *t = ga_spawn(wait_for_three, &a);

	ga_condition_init(&s.changed, &s.lock);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(!ga_lock_held(&s.lock));
	return 0;
}

CASE(two_conditions_share_a_lock)
{
	struct shared s = { 0 };
	struct ga_condition other;
	struct order order = { 0 };
	struct actor actor;
	ga_future *t;

	start(&s, &order, &actor, &t, 1);
	ga_condition_init(&other, &s.lock);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	EXPECT(ga_condition_notify_all(&other) == 0);
	EXPECT(ga_lock_release(&s.lock) == 0);
	EXPECT(settle() == 0);
	EXPECT(!ga_done(t));
	EXPECT(notify(&s, 1) == 0);
	EXPECT(ga_await(t) == 0);
	ga_release(t);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notify_wakes_so_many_in_order),
		cmocka_unit_test(notify_all_wakes_all),
		cmocka_unit_test(without_the_lock_waiting_and_notifying_are_errors),
		cmocka_unit_test(a_cancelled_wait_reacquires_before_it_returns),
		cmocka_unit_test(a_wait_that_is_cancelled_repeatedly_reacquires_before_it_returns),
		cmocka_unit_test(a_notified_wait_that_is_cancelled_while_it_reacquires_is_cancelled_then),
		cmocka_unit_test(where_cancels_are_edges_a_wait_says_each_once),
		cmocka_unit_test(a_cancelled_notified_waiter_notifies_another),
		cmocka_unit_test(one_that_is_cancelled_while_it_reacquires_notifies_another),
		cmocka_unit_test(a_cancelled_waiter_that_wasnt_notified_notifies_nobody),
		cmocka_unit_test(a_deadline_ends_the_wait_with_the_lock_held),
		cmocka_unit_test(the_deadline_doesnt_end_the_wait_for_the_lock),
		cmocka_unit_test(wait_for_waits_until_it_is_true),
		cmocka_unit_test(wait_for_what_is_true_returns_at_once_even_past_its_deadline),
		cmocka_unit_test(wait_for_what_became_true_unsaid_succeeds_at_the_deadline),
		cmocka_unit_test(a_cancelled_wait_for_is_cancelled),
		cmocka_unit_test(two_conditions_share_a_lock),
	};

	return TAP_RUN(tests);
}
