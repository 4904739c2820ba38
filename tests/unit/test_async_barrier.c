/* asyncio.Barrier. */
#include "sync_check.h"

static int arrive(const void *arg) /* 1000 + its number, or an error */
{
	struct actor *a = actor_of(arg);
	int r = ga_barrier_wait(a->thing, a->deadline);

	note(a->order, r >= 0 ? a->name : '-');
	return r < 0 ? r : 1000 + r;
}

static void start(struct ga_barrier *b, struct order *order, struct actor actors[],
		  ga_future *tasks[], int count)
{
	for (int i = 0; i < count; i++) {
		actors[i] = actor((char)('a' + i), b, order);
		tasks[i] = ga_spawn(arrive, &actors[i]);
	}
}

static void no_parties_or_too_many_are_invalid(void **state GA_UNUSED)
{
	struct ga_barrier b;

	assert_int_equal(ga_barrier_init(&b, 0), -EINVAL);
	assert_int_equal(ga_barrier_init(&b, (size_t)INT32_MAX + 1), -EINVAL);
	assert_int_equal(ga_barrier_init(&b, 1), 0);
	assert_int_equal(ga_barrier_wait(&b, GA_NEVER), -EPERM);
}

CASE(a_barrier_of_one_lets_pass)
{
	struct ga_barrier b;

	EXPECT(ga_barrier_init(&b, 1) == 0);
	EXPECT(ga_barrier_parties(&b) == 1);
	for (int i = 0; i < 3; i++)
		EXPECT(ga_barrier_wait(&b, 0) == 0);
	return 0;
}

CASE(all_pass_when_the_last_has_come_each_with_a_number_of_its_own)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	EXPECT(ga_barrier_init(&b, 3) == 0);
	start(&b, &order, actors, tasks, 2);
	EXPECT(settle() == 0);
	EXPECT(ga_barrier_waiting(&b) == 2 && was(&order, ""));
	actors[2] = actor('c', &b, &order);
	tasks[2] = ga_spawn(arrive, &actors[2]);
	EXPECT(ga_gather(tasks, 3, 0) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT(ga_result(tasks[i], NULL) == 1000 + i);
	EXPECT(ga_barrier_waiting(&b) == 0 && !ga_barrier_is_broken(&b));
	ga_release_all(tasks, 3);
	return 0;
}

CASE(it_is_used_again_and_again)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[9];
	ga_future *tasks[9];

	EXPECT(ga_barrier_init(&b, 3) == 0);
	start(&b, &order, actors, tasks, 9);
	EXPECT(ga_gather(tasks, 9, 0) == 0);
	EXPECT(order.size == 9);
	for (int i = 0; i < 9; i++)
		EXPECT(ga_result(tasks[i], NULL) == 1000 + i % 3);
	ga_release_all(tasks, 9);
	return 0;
}

CASE(who_comes_while_others_leave_waits_for_the_next_round)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	EXPECT(ga_barrier_init(&b, 2) == 0);
	start(&b, &order, actors, tasks, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_barrier_wait(&b, GA_NEVER) == 1); /* the first is woken, and hasn't left yet */
	EXPECT(ga_barrier_waiting(&b) == 0);
	EXPECT(ga_barrier_wait(&b, 0) == -ETIMEDOUT);
	EXPECT(ga_barrier_wait(&b, ga_now() + GA_SECONDS(1)) == -ETIMEDOUT);
	EXPECT(was(&order, "a"));
	EXPECT(ga_barrier_waiting(&b) == 0);
	ga_release(tasks[0]);
	return 0;
}

CASE(those_who_came_while_others_left_fill_the_next_rounds_in_order)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[6];
	ga_future *tasks[6];

	EXPECT(ga_barrier_init(&b, 2) == 0);
	start(&b, &order, actors, tasks, 1);
	EXPECT(settle() == 0);
	for (int i = 1; i < 6; i++) { /* b opens it, the others come before a has left */
		struct ga_spawn_options eager = { .eager = true };

		actors[i] = actor((char)('a' + i), &b, &order);
		tasks[i] = ga_spawn_with(arrive, &actors[i], &eager);
	}
	EXPECT(was(&order, "b") && b.outside.count == 4);
	EXPECT(ga_gather(tasks, 6, 0) == 0);
	EXPECT(was(&order, "bacdef"));
	for (int i = 0; i < 6; i++)
		EXPECT(ga_result(tasks[i], NULL) == 1000 + i % 2);
	ga_release_all(tasks, 6);
	return 0;
}

CASE(a_cancelled_waiter_leaves_the_barrier)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[4];
	ga_future *tasks[4];

	EXPECT(ga_barrier_init(&b, 3) == 0);
	start(&b, &order, actors, tasks, 2);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(ga_barrier_waiting(&b) == 1);
	EXPECT(ga_await(tasks[0]) == -ECANCELED);
	EXPECT(!ga_barrier_is_broken(&b));
	for (int i = 2; i < 4; i++) {
		actors[i] = actor((char)('a' + i), &b, &order);
		tasks[i] = ga_spawn(arrive, &actors[i]);
	}
	EXPECT(ga_gather(tasks + 1, 3, 0) == 0);
	for (int i = 1; i < 4; i++)
		EXPECT(ga_result(tasks[i], NULL) == 1000 + i - 1);
	ga_release_all(tasks, 4);
	return 0;
}

CASE(a_deadline_leaves_the_barrier)
{
	struct ga_barrier b;

	EXPECT(ga_barrier_init(&b, 2) == 0);
	EXPECT(ga_barrier_wait(&b, ga_now() + GA_SECONDS(1)) == -ETIMEDOUT);
	EXPECT(ga_barrier_waiting(&b) == 0 && !ga_barrier_is_broken(&b));
	return 0;
}

CASE(one_that_is_cancelled_while_it_leaves_holds_nobody_up)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	EXPECT(ga_barrier_init(&b, 3) == 0);
	start(&b, &order, actors, tasks, 2);
	EXPECT(settle() == 0);
	EXPECT(ga_barrier_wait(&b, GA_NEVER) == 2);
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(ga_await(tasks[0]) == -ECANCELED);
	EXPECT(ga_await(tasks[1]) == 1001);
	ga_release_all(tasks, 2);
	start(&b, &order, actors, tasks, 3);
	EXPECT(ga_gather(tasks, 3, 0) == 0);
	ga_release_all(tasks, 3);
	return 0;
}

CASE(reset_sends_those_inside_away_and_it_is_as_new)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	EXPECT(ga_barrier_init(&b, 3) == 0);
	ga_barrier_reset(&b);
	start(&b, &order, actors, tasks, 2);
	EXPECT(settle() == 0);
	ga_barrier_reset(&b);
	EXPECT(ga_barrier_waiting(&b) == 0 && !ga_barrier_is_broken(&b));
	EXPECT(ga_gather(tasks, 2, GA_RETURN_EXCEPTIONS) == 0);
	for (int i = 0; i < 2; i++)
		EXPECT(ga_result(tasks[i], NULL) == -ECONNABORTED);
	ga_release_all(tasks, 2);
	start(&b, &order, actors, tasks, 3);
	EXPECT(ga_gather(tasks, 3, 0) == 0);
	ga_release_all(tasks, 3);
	return 0;
}

CASE(who_comes_during_a_reset_waits_for_its_end)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	EXPECT(ga_barrier_init(&b, 2) == 0);
	start(&b, &order, actors, tasks, 1);
	EXPECT(settle() == 0);
	ga_barrier_reset(&b);
	EXPECT(ga_barrier_wait(&b, 0) == -ETIMEDOUT); /* outside; nobody is wanted inside yet */
	EXPECT(ga_await(tasks[0]) == -ECONNABORTED);
	ga_release(tasks[0]);
	start(&b, &order, actors, tasks, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_barrier_wait(&b, GA_NEVER) == 1);
	EXPECT(ga_await(tasks[0]) == 1000);
	ga_release(tasks[0]);
	return 0;
}

CASE(a_reset_counts_for_those_who_leave_too)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	EXPECT(ga_barrier_init(&b, 2) == 0);
	start(&b, &order, &a, &t, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_barrier_wait(&b, GA_NEVER) == 1);
	ga_barrier_reset(&b);
	EXPECT(ga_await(t) == -ECONNABORTED);
	EXPECT(ga_barrier_wait(&b, 0) == -ETIMEDOUT && !ga_barrier_is_broken(&b));
	ga_release(t);
	return 0;
}

CASE(abort_breaks_it_for_those_inside_and_for_all_who_come)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];

	EXPECT(ga_barrier_init(&b, 3) == 0);
	start(&b, &order, actors, tasks, 2);
	EXPECT(settle() == 0);
	ga_barrier_abort(&b);
	EXPECT(ga_barrier_is_broken(&b));
	EXPECT(ga_barrier_wait(&b, GA_NEVER) == -ECONNABORTED);
	for (int i = 0; i < 2; i++)
		EXPECT(ga_await(tasks[i]) == -ECONNABORTED);
	EXPECT(ga_barrier_is_broken(&b));
	EXPECT(ga_barrier_wait(&b, GA_NEVER) == -ECONNABORTED);
	ga_release_all(tasks, 2);
	return 0;
}

CASE(abort_counts_for_those_outside_too)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];
	struct ga_spawn_options eager = { .eager = true };

	EXPECT(ga_barrier_init(&b, 2) == 0);
	start(&b, &order, actors, tasks, 1);
	EXPECT(settle() == 0);
	EXPECT(ga_barrier_wait(&b, GA_NEVER) == 1);
	actors[1] = actor('b', &b, &order);
	tasks[1] = ga_spawn_with(arrive, &actors[1], &eager);
	EXPECT(b.outside.count == 1);
	ga_barrier_abort(&b);
	EXPECT(ga_await(tasks[0]) == -ECONNABORTED);
	EXPECT(ga_await(tasks[1]) == -ECONNABORTED);
	ga_release_all(tasks, 2);
	return 0;
}

CASE(a_broken_barrier_is_mended_by_reset)
{
	struct ga_barrier b;
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];

	EXPECT(ga_barrier_init(&b, 2) == 0);
	start(&b, &order, actors, tasks, 1);
	EXPECT(settle() == 0);
	ga_barrier_abort(&b);
	ga_barrier_reset(&b); /* while one is inside */
	EXPECT(!ga_barrier_is_broken(&b));
	EXPECT(ga_await(tasks[0]) == -ECONNABORTED);
	ga_release(tasks[0]);
	ga_barrier_abort(&b);
	ga_barrier_reset(&b); /* empty */
	start(&b, &order, actors, tasks, 2);
	EXPECT(ga_gather(tasks, 2, 0) == 0);
	ga_release_all(tasks, 2);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_parties_or_too_many_are_invalid),
		cmocka_unit_test(a_barrier_of_one_lets_pass),
		cmocka_unit_test(all_pass_when_the_last_has_come_each_with_a_number_of_its_own),
		cmocka_unit_test(it_is_used_again_and_again),
		cmocka_unit_test(who_comes_while_others_leave_waits_for_the_next_round),
		cmocka_unit_test(those_who_came_while_others_left_fill_the_next_rounds_in_order),
		cmocka_unit_test(a_cancelled_waiter_leaves_the_barrier),
		cmocka_unit_test(a_deadline_leaves_the_barrier),
		cmocka_unit_test(one_that_is_cancelled_while_it_leaves_holds_nobody_up),
		cmocka_unit_test(reset_sends_those_inside_away_and_it_is_as_new),
		cmocka_unit_test(who_comes_during_a_reset_waits_for_its_end),
		cmocka_unit_test(a_reset_counts_for_those_who_leave_too),
		cmocka_unit_test(abort_breaks_it_for_those_inside_and_for_all_who_come),
		cmocka_unit_test(abort_counts_for_those_outside_too),
		cmocka_unit_test(a_broken_barrier_is_mended_by_reset),
	};

	return TAP_RUN(tests);
}
