/* asyncio.Semaphore and asyncio.BoundedSemaphore. */
#include "sync_check.h"

static int acquire(const void *arg)
{
	struct actor *a = actor_of(arg);
	int r = ga_semaphore_acquire(a->thing, a->deadline);

	if (r < 0)
		return r;
	note(a->order, a->name);
	if (a->hold < 0)
		return 0;
	r = ga_sleep(a->hold);
	(void)ga_semaphore_release(a->thing);
	return r;
}

static void start(struct ga_semaphore *s, struct order *order, struct actor actors[],
		  ga_future *tasks[], int count)
{
	for (int i = 0; i < count; i++) {
		actors[i] = actor((char)('a' + i), s, order);
		tasks[i] = ga_spawn(acquire, &actors[i]);
	}
}

CASE(so_many_get_a_permit_as_there_are)
{
	struct ga_semaphore s;

	ga_semaphore_init(&s, 2);
	EXPECT(!ga_semaphore_locked(&s));
	EXPECT(ga_semaphore_acquire(&s, 0) == 0);
	EXPECT(!ga_semaphore_locked(&s));
	EXPECT(ga_semaphore_acquire(&s, 0) == 0);
	EXPECT(ga_semaphore_locked(&s));
	EXPECT(ga_semaphore_acquire(&s, 0) == -ETIMEDOUT);
	EXPECT(ga_semaphore_release(&s) == 0);
	EXPECT(!ga_semaphore_locked(&s));
	EXPECT(ga_semaphore_acquire(&s, 0) == 0);
	return 0;
}

CASE(permits_are_got_in_the_order_of_coming)
{
	struct ga_semaphore s;
	struct order order = { 0 };
	struct actor actors[5];
	ga_future *tasks[5];

	ga_semaphore_init(&s, 0);
	start(&s, &order, actors, tasks, 5);
	EXPECT(settle() == 0);
	EXPECT(ga_semaphore_release(&s) == 0);
	EXPECT(settle() == 0);
	EXPECT(was(&order, "a"));
	EXPECT(ga_semaphore_release(&s) == 0 && ga_semaphore_release(&s) == 0);
	EXPECT(settle() == 0);
	EXPECT(was(&order, "abc"));
	EXPECT(ga_semaphore_release(&s) == 0 && ga_semaphore_release(&s) == 0);
	EXPECT(ga_gather(tasks, 5, 0) == 0);
	EXPECT(was(&order, "abcde"));
	EXPECT(ga_semaphore_locked(&s));
	ga_release_all(tasks, 5);
	return 0;
}

CASE(nobody_takes_the_permit_of_a_woken_waiter)
{
	struct ga_semaphore s;
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	ga_semaphore_init(&s, 0);
	start(&s, &order, &a, &t, 1);
	a.hold = 0;
	EXPECT(settle() == 0);
	EXPECT(ga_semaphore_release(&s) == 0);
	EXPECT(ga_semaphore_locked(&s));
	EXPECT(ga_semaphore_acquire(&s, 0) == -ETIMEDOUT);
	EXPECT(ga_semaphore_acquire(&s, GA_NEVER) == 0);
	EXPECT(was(&order, "a"));
	ga_release(t);
	return 0;
}

CASE(cancelling_an_awoken_waiter_returns_its_permit)
{
	struct ga_semaphore s;
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	ga_semaphore_init(&s, 0);
	start(&s, &order, &a, &t, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_semaphore_release(&s) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(s.permits == 1);
	EXPECT(ga_semaphore_acquire(&s, 0) == 0);
	ga_release(t);
	return 0;
}

CASE(cancelling_an_awoken_waiter_wakes_the_next)
{
	struct ga_semaphore s;
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	ga_semaphore_init(&s, 0);
	start(&s, &order, actors, tasks, 3);
	EXPECT(settle() == 0);
	EXPECT(ga_semaphore_release(&s) == 0);
	EXPECT(ga_semaphore_release(&s) == 0);
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(settle() == 0);
	EXPECT(was(&order, "bc"));
	EXPECT(ga_result(tasks[0], NULL) == -ECANCELED);
	EXPECT(s.permits == 0);
	ga_release_all(tasks, 3);
	return 0;
}

CASE(a_cancelled_waiter_that_wasnt_woken_returns_no_permit)
{
	struct ga_semaphore s;
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	ga_semaphore_init(&s, 0);
	start(&s, &order, &a, &t, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(s.permits == 0 && s.waiters.count == 0);
	ga_release(t);
	return 0;
}

CASE(the_deadline_takes_no_permit)
{
	struct ga_semaphore s;
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	ga_semaphore_init(&s, 0);
	start(&s, &order, &a, &t, 1);
	a.deadline = ga_now() + GA_SECONDS(2);
	EXPECT(ga_await(t) == -ETIMEDOUT);
	EXPECT(ga_semaphore_release(&s) == 0);
	EXPECT(s.permits == 1);
	ga_release(t);
	return 0;
}

CASE(a_plain_semaphore_can_grow)
{
	struct ga_semaphore s;

	ga_semaphore_init(&s, 0);
	for (int i = 0; i < 3; i++)
		EXPECT(ga_semaphore_release(&s) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT(ga_semaphore_acquire(&s, 0) == 0);
	EXPECT(ga_semaphore_locked(&s));
	return 0;
}

CASE(over_releasing_a_bounded_semaphore_is_an_error_and_changes_nothing)
{
	struct ga_semaphore s;

	ga_semaphore_init_bounded(&s, 1);
	EXPECT(ga_semaphore_release(&s) == -EOVERFLOW);
	EXPECT(ga_semaphore_acquire(&s, 0) == 0);
	EXPECT(ga_semaphore_release(&s) == 0);
	EXPECT(ga_semaphore_release(&s) == -EOVERFLOW);
	EXPECT(ga_semaphore_acquire(&s, 0) == 0);
	EXPECT(ga_semaphore_locked(&s));
	return 0;
}

CASE(never_more_hold_a_permit_than_there_are)
{
	struct ga_semaphore s;
	struct order order = { 0 };
	struct actor actors[10];
	ga_future *tasks[10];
	int64_t before = ga_now();

	ga_semaphore_init_bounded(&s, 3);
	start(&s, &order, actors, tasks, 10);
	for (int i = 0; i < 10; i++)
		actors[i].hold = GA_SECONDS(1);
	EXPECT(ga_gather(tasks, 10, 0) == 0);
	EXPECT(ga_now() - before == GA_SECONDS(4)); /* ten seconds' work, three at a time */
	EXPECT(was(&order, "abcdefghij") && s.permits == 3);
	ga_release_all(tasks, 10);
	return 0;
}

static void outside_of_a_task_no_permit_is_got(void **state GA_UNUSED)
{
	struct ga_semaphore s;

	ga_semaphore_init(&s, 1);
	assert_int_equal(ga_semaphore_acquire(&s, GA_NEVER), -EPERM);
	assert_false(ga_semaphore_locked(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_get_a_permit_as_there_are),
		cmocka_unit_test(permits_are_got_in_the_order_of_coming),
		cmocka_unit_test(nobody_takes_the_permit_of_a_woken_waiter),
		cmocka_unit_test(cancelling_an_awoken_waiter_returns_its_permit),
		cmocka_unit_test(cancelling_an_awoken_waiter_wakes_the_next),
		cmocka_unit_test(a_cancelled_waiter_that_wasnt_woken_returns_no_permit),
		cmocka_unit_test(the_deadline_takes_no_permit),
		cmocka_unit_test(a_plain_semaphore_can_grow),
		cmocka_unit_test(over_releasing_a_bounded_semaphore_is_an_error_and_changes_nothing),
		cmocka_unit_test(never_more_hold_a_permit_than_there_are),
		cmocka_unit_test(outside_of_a_task_no_permit_is_got),
	};

	return TAP_RUN(tests);
}
