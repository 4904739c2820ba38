/* Queues: what ends a wait (cancels, deadlines, the shutdown), and the end of the work. */
#include "queue_check.h"

/* ---- cancellation and deadlines ---- */

CASE(a_cancelled_get_loses_no_item)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	start(get, q, &order, &a, "x", &t);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(put_all(q, "a") == 0);
	EXPECT(next(q) == 'a');
	ga_release(t);
	return 0;
}

CASE(a_get_that_is_cancelled_when_woken_loses_no_item)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	start(get, q, &order, &a, "x", &t);
	EXPECT(settle() == 0);
	EXPECT(put_all(q, "a") == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(a.item == NULL && next(q) == 'a');
	ga_release(t);
	return 0;
}

CASE(a_get_that_is_cancelled_when_woken_wakes_the_next)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];

	start(get, q, &order, actors, "xy", tasks);
	EXPECT(settle() == 0);
	EXPECT(put_all(q, "a") == 0);
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(ga_await_until(tasks[1], ga_now() + GA_SECONDS(1)) == 0);
	EXPECT(ga_result(tasks[0], NULL) == -ECANCELED);
	EXPECT(was(&order, "xya"));
	ga_release_all(tasks, 2);
	return 0;
}

CASE(a_cancelled_put_adds_none)
{
	QUEUE *q = queue_of(GA_FIFO, 1);
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	EXPECT(put_all(q, "z") == 0);
	start(put, q, &order, &a, "a", &t);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(gives(q, "z?"));
	EXPECT(ga_queue_task_done(q) == 0);
	EXPECT(ga_queue_task_done(q) == -EINVAL); /* nor was it counted */
	ga_release(t);
	return 0;
}

CASE(a_put_that_is_cancelled_when_woken_adds_none_and_wakes_the_next)
{
	QUEUE *q = queue_of(GA_FIFO, 1);
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];

	EXPECT(put_all(q, "z") == 0);
	start(put, q, &order, actors, "ab", tasks);
	EXPECT(settle() == 0);
	EXPECT(next(q) == 'z');
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(ga_await_until(tasks[1], ga_now() + GA_SECONDS(1)) == 0);
	EXPECT(ga_result(tasks[0], NULL) == -ECANCELED);
	EXPECT(was(&order, "b") && gives(q, "b?"));
	ga_release_all(tasks, 2);
	return 0;
}

CASE(a_put_that_times_out_adds_none)
{
	QUEUE *q = queue_of(GA_FIFO, 1);

	EXPECT(put_all(q, "z") == 0);
	EXPECT(ga_queue_put(q, item('a'), ga_now() + GA_SECONDS(1)) == -ETIMEDOUT);
	EXPECT(gives(q, "z?"));
	return 0;
}

/* ---- join ---- */

CASE(join_on_an_empty_queue_returns_at_once)
{
	QUEUE *q = queue_of(GA_FIFO, 0);

	EXPECT(ga_queue_join(q, 0) == 0);
	return 0;
}

CASE(join_waits_until_all_is_worked_off)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct actor actors[2];
	ga_future *tasks[2];

	EXPECT(put_all(q, "ab") == 0);
	start(join, q, NULL, actors, "xy", tasks);
	EXPECT(gives(q, "ab"));
	EXPECT(settle() == 0);
	EXPECT(!ga_done(tasks[0])); /* got isn't done */
	EXPECT(ga_queue_task_done(q) == 0);
	EXPECT(settle() == 0);
	EXPECT(!ga_done(tasks[0]) && !ga_done(tasks[1]));
	EXPECT(ga_queue_task_done(q) == 0);
	EXPECT(ga_gather(tasks, 2, 0) == 0);
	EXPECT(ga_queue_join(q, 0) == 0);
	ga_release_all(tasks, 2);
	return 0;
}

CASE(task_done_beyond_puts_is_an_error)
{
	QUEUE *q = queue_of(GA_FIFO, 0);

	EXPECT(ga_queue_task_done(q) == -EINVAL);
	EXPECT(put_all(q, "a") == 0);
	EXPECT(ga_queue_task_done(q) == 0);
	EXPECT(ga_queue_task_done(q) == -EINVAL);
	return 0;
}

CASE(a_join_that_times_out_or_is_cancelled_changes_nothing)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct actor a;
	ga_future *t;

	EXPECT(put_all(q, "a") == 0);
	EXPECT(ga_queue_join(q, ga_now() + GA_SECONDS(1)) == -ETIMEDOUT);
	start(join, q, NULL, &a, "x", &t);
	EXPECT(settle() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(ga_queue_task_done(q) == 0 && ga_queue_join(q, 0) == 0);
	ga_release(t);
	return 0;
}

/* ---- shutdown ---- */

CASE(after_shutdown_puts_fail_and_gets_drain_and_then_fail)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	void *got;

	EXPECT(put_all(q, "ab") == 0);
	ga_queue_shutdown(q, false);
	EXPECT(ga_queue_put(q, item('c'), GA_NEVER) == -ESHUTDOWN);
	EXPECT(ga_queue_put_now(q, item('c')) == -ESHUTDOWN);
	EXPECT(ga_queue_get(q, GA_NEVER, &got) == 0 && got == item('a'));
	EXPECT(ga_queue_get_now(q, &got) == 0 && got == item('b'));
	EXPECT(ga_queue_get(q, GA_NEVER, &got) == -ESHUTDOWN);
	EXPECT(ga_queue_get_now(q, &got) == -ESHUTDOWN);
	return 0;
}

CASE(shutdown_fails_those_who_wait)
{
	QUEUE *q = queue_of(GA_FIFO, 1);
	QUEUE *empty = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor actors[4];
	ga_future *tasks[4];

	EXPECT(put_all(q, "z") == 0);
	start(put, q, &order, actors, "ab", tasks);
	start(get, empty, &order, actors + 2, "xy", tasks + 2);
	EXPECT(settle() == 0);
	ga_queue_shutdown(q, false);
	ga_queue_shutdown(empty, false);
	for (int i = 0; i < 4; i++)
		EXPECT(ga_await(tasks[i]) == -ESHUTDOWN);
	EXPECT(gives(q, "z?"));
	ga_release_all(tasks, 4);
	return 0;
}

CASE(a_putter_that_was_woken_before_the_shutdown_adds_none)
{
	QUEUE *q = queue_of(GA_FIFO, 1);
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	EXPECT(put_all(q, "z") == 0);
	start(put, q, &order, &a, "a", &t);
	EXPECT(settle() == 0);
	EXPECT(next(q) == 'z');
	ga_queue_shutdown(q, false);
	EXPECT(ga_await(t) == -ESHUTDOWN);
	EXPECT(ga_queue_empty(q));
	ga_release(t);
	return 0;
}

CASE(a_getter_that_was_woken_before_the_shutdown_gets_its_item)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];

	start(get, q, &order, actors, "xy", tasks);
	EXPECT(settle() == 0);
	EXPECT(put_all(q, "a") == 0);
	ga_queue_shutdown(q, false);
	EXPECT(ga_await(tasks[0]) == 0);
	EXPECT(ga_await(tasks[1]) == -ESHUTDOWN);
	EXPECT(was(&order, "xay"));
	ga_release_all(tasks, 2);
	return 0;
}

/* One is woken for the last item, another waits on or comes after the shutdown: the item of the first, if it is cancelled,
 * is the other's, and isn't left behind. */
static int cancel_the_last_getter(bool comes_after)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];
	struct ga_spawn_options eager = { .eager = true };

	start(get, q, &order, actors, comes_after ? "x" : "xy", tasks);
	EXPECT(settle() == 0);
	EXPECT(put_all(q, "a") == 0);
	ga_queue_shutdown(q, false);
	if (comes_after) {
		actors[1] = actor('y', q, &order);
		tasks[1] = ga_spawn_with(get, &actors[1], &eager);
	}
	EXPECT(!ga_done(tasks[1]));
	EXPECT(ga_cancel(tasks[0]));
	EXPECT(ga_await(tasks[0]) == -ECANCELED);
	EXPECT(ga_await(tasks[1]) == 0);
	EXPECT(was(&order, "xya"));
	ga_release_all(tasks, 2);
	return 0;
}

CASE(the_last_item_of_a_cancelled_getter_goes_to_the_next)
{
	return cancel_the_last_getter(false);
}

CASE(the_last_item_of_a_cancelled_getter_goes_to_one_that_came_after_the_shutdown)
{
	return cancel_the_last_getter(true);
}

CASE(after_shutdown_join_still_waits_for_task_done)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct actor a;
	ga_future *t;

	EXPECT(put_all(q, "a") == 0);
	start(join, q, NULL, &a, "x", &t);
	EXPECT(settle() == 0);
	ga_queue_shutdown(q, false);
	EXPECT(settle() == 0);
	EXPECT(next(q) == 'a');
	EXPECT(settle() == 0);
	EXPECT(!ga_done(t));
	EXPECT(ga_queue_task_done(q) == 0);
	EXPECT(ga_await(t) == 0);
	ga_release(t);
	return 0;
}

static void count_drop(void *dropped)
{
	++*(int *)dropped;
}

CASE(immediate_shutdown_drops_what_is_there_and_counts_it_as_finished)
{
	struct ga_queue_options options = { .drop = count_drop };
	int drops[3] = { 0 };
	struct actor a;
	ga_future *t;
	QUEUE *q = NULL;
	void *got;

	EXPECT(ga_queue_new(&options, &q) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT(ga_queue_put_now(q, &drops[i]) == 0);
	EXPECT(ga_queue_get_now(q, &got) == 0 && got == &drops[0]);
	start(join, q, NULL, &a, "x", &t);
	EXPECT(settle() == 0);
	ga_queue_shutdown(q, true);
	EXPECT(drops[0] == 0 && drops[1] == 1 && drops[2] == 1);
	EXPECT(ga_queue_empty(q) && ga_queue_get(q, GA_NEVER, &got) == -ESHUTDOWN);
	EXPECT(settle() == 0);
	EXPECT(!ga_done(t)); /* one was got, and is not done */
	EXPECT(ga_queue_task_done(q) == 0);
	EXPECT(ga_await(t) == 0);
	EXPECT(ga_queue_task_done(q) == -EINVAL);
	ga_release(t);
	return 0;
}

CASE(immediate_shutdown_ends_join_if_nothing_was_got)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct actor a;
	ga_future *t;

	EXPECT(put_all(q, "ab") == 0);
	start(join, q, NULL, &a, "x", &t);
	EXPECT(settle() == 0);
	ga_queue_shutdown(q, false);
	ga_queue_shutdown(q, true); /* harder than before */
	EXPECT(ga_await(t) == 0);
	ga_release(t);
	return 0;
}

CASE(immediate_shutdown_takes_the_item_of_a_woken_getter)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor actors[2];
	ga_future *tasks[2];

	start(get, q, &order, actors, "xy", tasks);
	EXPECT(settle() == 0);
	EXPECT(put_all(q, "a") == 0);
	ga_queue_shutdown(q, true);
	EXPECT(ga_await(tasks[0]) == -ESHUTDOWN && ga_await(tasks[1]) == -ESHUTDOWN);
	EXPECT(ga_queue_join(q, 0) == 0);
	ga_release_all(tasks, 2);
	return 0;
}

CASE(a_queue_that_is_freed_drops_what_is_in_it)
{
	struct ga_queue_options options = { .drop = count_drop };
	int drops = 0;
	ga_queue *q;

	EXPECT(ga_queue_new(&options, &q) == 0);
	EXPECT(ga_queue_put_now(q, &drops) == 0);
	ga_queue_free(q);
	EXPECT(drops == 1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cancelled_get_loses_no_item),
		cmocka_unit_test(a_get_that_is_cancelled_when_woken_loses_no_item),
		cmocka_unit_test(a_get_that_is_cancelled_when_woken_wakes_the_next),
		cmocka_unit_test(a_cancelled_put_adds_none),
		cmocka_unit_test(a_put_that_is_cancelled_when_woken_adds_none_and_wakes_the_next),
		cmocka_unit_test(a_put_that_times_out_adds_none),
		cmocka_unit_test(join_on_an_empty_queue_returns_at_once),
		cmocka_unit_test(join_waits_until_all_is_worked_off),
		cmocka_unit_test(task_done_beyond_puts_is_an_error),
		cmocka_unit_test(a_join_that_times_out_or_is_cancelled_changes_nothing),
		cmocka_unit_test(after_shutdown_puts_fail_and_gets_drain_and_then_fail),
		cmocka_unit_test(shutdown_fails_those_who_wait),
		cmocka_unit_test(a_putter_that_was_woken_before_the_shutdown_adds_none),
		cmocka_unit_test(a_getter_that_was_woken_before_the_shutdown_gets_its_item),
		cmocka_unit_test(the_last_item_of_a_cancelled_getter_goes_to_the_next),
		cmocka_unit_test(
			the_last_item_of_a_cancelled_getter_goes_to_one_that_came_after_the_shutdown),
		cmocka_unit_test(after_shutdown_join_still_waits_for_task_done),
		cmocka_unit_test(immediate_shutdown_drops_what_is_there_and_counts_it_as_finished),
		cmocka_unit_test(immediate_shutdown_ends_join_if_nothing_was_got),
		cmocka_unit_test(immediate_shutdown_takes_the_item_of_a_woken_getter),
		cmocka_unit_test(a_queue_that_is_freed_drops_what_is_in_it),
	};

	return TAP_RUN(tests);
}
