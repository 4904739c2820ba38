/* Groups: asyncio.TaskGroup. */
#include "async_check.h"
#include "tap_main.h"
#include <gather/group.h>
#include <gather/runner.h>
#include <pthread.h>
#include <string.h>

static const int one = 1, two = 2, nine = 9;

static int64_t in_seconds(int n)
{
	return ga_now() + GA_SECONDS(n);
}

static int fail_after(const void *arg) /* *arg: seconds; fails with -(20 + seconds) */
{
	int seconds = *(const int *)arg;
	int r = ga_sleep(GA_SECONDS(seconds));

	return r < 0 ? r : -(20 + seconds);
}

CASE(an_empty_group_gives_the_bodys_result_at_once)
{
	struct ga_group g;
	size_t count = 7;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_exit(&g, 5) == 5);
	EXPECT(ga_failures(NULL, &count) == NULL && count == 0);
	return 0;
}

CASE(all_children_are_joined)
{
	struct ga_group g;
	ga_future *a, *b;
	int64_t before = ga_now();

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn_with(&g, sleep_then_return, &one, NULL, &a) == 0);
	EXPECT(ga_group_spawn_with(&g, sleep_then_return, &two, NULL, &b) == 0);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &nine) == 0);
	EXPECT(ga_sleep(GA_SECONDS(5)) == 0);
	EXPECT(ga_result(a, NULL) == 1 && ga_result(b, NULL) == 2); /* their handles live on until the exit */
	EXPECT(ga_group_exit(&g, 3) == 3);
	EXPECT(ga_now() - before == GA_SECONDS(9));
	return 0;
}

CASE(a_childs_error_cancels_the_siblings_and_is_returned_after_all_ended)
{
	struct ga_group g;
	GA_AUTO ga_future *slow = NULL;
	ga_future *handle;
	size_t count;
	const struct ga_failure *failed;
	int64_t before = ga_now();

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn_with(&g, sleep_then_return, &nine, NULL, &handle) == 0);
	slow = ga_retain(handle);
	EXPECT(ga_group_spawn(&g, fail_after, &two) == 0);
	EXPECT(ga_group_exit(&g, 0) == -22);
	EXPECT(ga_now() - before == GA_SECONDS(2));
	EXPECT(ga_result(slow, NULL) == -ECANCELED);
	failed = ga_failures(NULL, &count);
	EXPECT(count == 1 && failed[0].error == -22 && failed[0].inner_count == 0);
	EXPECT(strcmp(failed[0].name, "fail_after") == 0);
	EXPECT(strncmp(failed[0].site, "tests/unit/test_async_group.c:", 30) == 0);
	return 0;
}

CASE(a_childs_error_interrupts_the_body_and_leaves_no_cancel_behind)
{
	struct ga_group g;
	int64_t before = ga_now();
	int r;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, fail_after, &one) == 0);
	r = ga_sleep(GA_SECONDS(100));
	EXPECT(r == -ECANCELED && ga_now() - before == GA_SECONDS(1));
	EXPECT(ga_sleep(0) == -ECANCELED); /* until the exit */
	EXPECT(ga_group_exit(&g, r) == -21);
	EXPECT(ga_cancelling(ga_self()) == 0);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return 0;
}

CASE(a_body_that_ends_well_all_the_same_still_gets_the_childs_error)
{
	struct ga_group g;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, fail_after, &one) == 0);
	EXPECT(ga_sleep(GA_SECONDS(100)) == -ECANCELED);
	EXPECT(ga_group_exit(&g, 0) == -21);
	EXPECT(ga_sleep(0) == 0);
	return 0;
}

CASE(a_bodys_error_cancels_the_children)
{
	struct ga_group g;
	size_t count;
	const struct ga_failure *failed;
	int64_t before = ga_now();

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &nine) == 0);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_group_exit(&g, -EPIPE) == -EPIPE);
	EXPECT(ga_now() - before == GA_SECONDS(1));
	failed = ga_failures(NULL, &count);
	EXPECT(count == 1 && failed[0].error == -EPIPE && !failed[0].name);
	return 0;
}

static int fail_when_cancelled(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(100)) == -ECANCELED ? -EXDEV : 0;
}

CASE(errors_of_body_and_children_stand_in_one_group_in_order_of_time)
{
	struct ga_group g;
	size_t count;
	const struct ga_failure *failed;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, fail_when_cancelled, NULL) == 0);
	EXPECT(one_turn() == 0);
	EXPECT(ga_group_exit(&g, -EPIPE) == -EPIPE);
	failed = ga_failures(NULL, &count);
	EXPECT(count == 2 && failed[0].error == -EPIPE && !failed[0].name);
	EXPECT(failed[1].error == -EXDEV && strcmp(failed[1].name, "fail_when_cancelled") == 0);

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, fail_when_cancelled, NULL) == 0);
	EXPECT(ga_group_spawn(&g, fail_after, &one) == 0);
	EXPECT(ga_sleep(GA_SECONDS(50)) == -ECANCELED);
	EXPECT(ga_group_exit(&g, -EPIPE) == -21);
	failed = ga_failures(NULL, &count);
	EXPECT(count == 3 && failed[0].error == -21 && failed[1].error == -EXDEV);
	EXPECT(failed[2].error == -EPIPE && !failed[2].name);
	return 0;
}

CASE(a_cancelled_child_alone_is_no_error)
{
	struct ga_group g;
	ga_future *child, *other;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn_with(&g, sleep_then_return, &nine, NULL, &child) == 0);
	EXPECT(ga_group_spawn_with(&g, sleep_then_return, &one, NULL, &other) == 0);
	EXPECT(ga_cancel(child));
	EXPECT(ga_sleep(GA_SECONDS(2)) == 0);
	EXPECT(ga_result(child, NULL) == -ECANCELED && ga_result(other, NULL) == 1);
	EXPECT(ga_group_exit(&g, 8) == 8);
	return 0;
}

struct outcome {
	ga_future *child;
	int exit, after, cancelling;
};

static int group_in_exit(const void *arg)
{
	struct outcome *o = *(struct outcome *const *)arg;
	struct ga_group g;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn_with(&g, sleep_then_return, &nine, NULL, &o->child) == 0);
	ga_retain(o->child);
	o->exit = ga_group_exit(&g, 0);
	o->cancelling = ga_cancelling(ga_self());
	o->after = ga_sleep(0);
	return o->exit;
}

CASE(a_cancel_from_outside_during_the_exit_cancels_and_joins_the_children_and_goes_on)
{
	struct outcome o = { 0 }, *at = &o;
	GA_AUTO ga_future *t = ga_spawn(group_in_exit, &at);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(ga_result(o.child, NULL) == -ECANCELED);
	EXPECT(o.exit == -ECANCELED && o.cancelling == 1 && o.after == -ECANCELED);
	ga_release(o.child);
	return 0;
}

static int group_in_body(const void *arg)
{
	struct outcome *o = *(struct outcome *const *)arg;
	struct ga_group g;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn_with(&g, sleep_then_return, &nine, NULL, &o->child) == 0);
	ga_retain(o->child);
	return o->exit = ga_group_exit(&g, ga_sleep(GA_SECONDS(100)));
}

CASE(a_cancel_from_outside_in_the_body_does_so_too)
{
	struct outcome o = { 0 }, *at = &o;
	GA_AUTO ga_future *t = ga_spawn(group_in_body, &at);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(ga_result(o.child, NULL) == -ECANCELED && ga_cancelling(t) == 1);
	ga_release(o.child);
	return 0;
}

static int cancelled_and_failing(const void *arg)
{
	struct outcome *o = *(struct outcome *const *)arg;
	struct ga_group g;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, fail_when_cancelled, NULL) == 0);
	o->exit = ga_group_exit(&g, 0);
	o->after = ga_sleep(0);
	return 0;
}

CASE(errors_come_before_a_cancel_from_outside_which_stays_due)
{
	struct outcome o = { 0 }, *at = &o;
	GA_AUTO ga_future *t = ga_spawn(cancelled_and_failing, &at);

	EXPECT(one_turn() == 0);
	EXPECT(one_turn() == 0); /* its child has begun, too */
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == 0);
	EXPECT(o.exit == -EXDEV && o.after == -ECANCELED && ga_cancelling(t) == 1);
	return 0;
}

static void with_edges_too_errors_leave_the_cancel_due(void **state GA_UNUSED)
{
	const struct ga_run_options edges = { .edge_cancel = true, .virtual_time = true };

	assert_int_equal(ga_run_with(errors_come_before_a_cancel_from_outside_which_stays_due_body,
				     NULL, &edges),
			 0);
}

CASE(after_an_abort_spawning_is_refused)
{
	struct ga_group g;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, fail_after, &one) == 0);
	EXPECT(ga_sleep(GA_SECONDS(2)) == -ECANCELED);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &one) == -ECANCELED);
	EXPECT(ga_group_exit(&g, 0) == -21);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &one) == -EINVAL);
	EXPECT(ga_group_exit(&g, 0) == -EINVAL);
	return 0;
}

struct level {
	struct ga_group *group;
	const struct level *below; /* NULL: the last one */
	int *count;
};

static int spawn_more(const void *arg)
{
	const struct level *level = arg;
	int r = ga_sleep(GA_SECONDS(1));

	++*level->count;
	if (r < 0 || !level->below)
		return r;
	EXPECT(ga_group_spawn(level->group, spawn_more, level->below) == 0);
	EXPECT(ga_group_spawn(level->group, spawn_more, level->below) == 0);
	return 0;
}

CASE(children_may_spawn_while_the_group_waits)
{
	struct ga_group g;
	struct level levels[5];
	int count = 0;

	for (int i = 0; i < 5; i++)
		levels[i] = (struct level){ &g, i < 4 ? &levels[i + 1] : NULL, &count };
	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, spawn_more, levels) == 0);
	EXPECT(ga_group_exit(&g, 0) == 0);
	EXPECT(count == 31);
	return 0;
}

static int inner_group(const void *unused GA_UNUSED)
{
	struct ga_group g;
	int r = ga_group_enter(&g);

	if (r >= 0)
		r = ga_group_spawn(&g, fail_after, &one);
	if (r >= 0)
		r = ga_group_spawn(&g, fail_when_cancelled, NULL);
	return ga_group_exit(&g, r);
}

CASE(nested_groups_nest_in_the_failures)
{
	struct ga_group outer, inner;
	size_t count;
	const struct ga_failure *failed;

	EXPECT(ga_group_enter(&outer) == 0);
	EXPECT(ga_group_spawn(&outer, inner_group, NULL) == 0);
	EXPECT(ga_group_enter(&inner) == 0);
	EXPECT(ga_group_spawn(&inner, fail_when_cancelled, NULL) == 0);
	EXPECT(ga_group_exit(&outer, ga_group_exit(&inner, ga_sleep(GA_SECONDS(50)))) == -21);
	failed = ga_failures(NULL, &count);
	EXPECT(count == 2);
	EXPECT(failed[0].error == -21 && strcmp(failed[0].name, "inner_group") == 0);
	EXPECT(failed[0].inner_count == 2 && failed[0].inner[0].error == -21);
	EXPECT(strcmp(failed[0].inner[0].name, "fail_after") == 0);
	EXPECT(failed[0].inner[1].error == -EXDEV);
	EXPECT(failed[1].error == -EXDEV && !failed[1].name);
	EXPECT(failed[1].inner_count == 1 && failed[1].inner[0].error == -EXDEV);
	return 0;
}

CASE(an_error_like_that_of_an_earlier_group_is_not_hung_below_it)
{
	struct ga_group g;
	size_t count;
	const struct ga_failure *failed;

	EXPECT(inner_group(NULL) == -21); /* handled */
	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_exit(&g, -21) == -21);
	failed = ga_failures(NULL, &count);
	EXPECT(count == 1 && failed[0].inner_count == 0);
	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_exit(&g, 0) == 0);
	EXPECT(ga_failures(NULL, &count) == NULL && count == 0); /* the last one didn't fail */
	return 0;
}

CASE(failures_of_a_task_live_as_long_as_its_handle)
{
	GA_AUTO ga_future *t = ga_spawn(inner_group, NULL);
	GA_AUTO ga_future *plain = ga_future_new();
	size_t count;

	EXPECT(ga_await(t) == -21);
	EXPECT(ga_failures(t, &count)[1].error == -EXDEV && count == 2);
	EXPECT(ga_failures(plain, &count) == NULL && count == 0);
	return 0;
}

CASE(an_outer_timeout_ends_a_group_and_reports_the_timeout)
{
	struct ga_timeout scope;
	struct ga_group g;
	int64_t before = ga_now();

	EXPECT(ga_timeout_enter(&scope, in_seconds(2)) == 0);
	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &nine) == 0);
	EXPECT(ga_timeout_exit(&scope, ga_group_exit(&g, 0)) == -ETIMEDOUT);
	EXPECT(ga_now() - before == GA_SECONDS(2));
	EXPECT(ga_sleep(0) == 0);
	return 0;
}

CASE(a_timeout_inside_the_body_is_the_bodys_error)
{
	struct ga_timeout scope;
	struct ga_group g;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &nine) == 0);
	EXPECT(ga_timeout_enter(&scope, in_seconds(2)) == 0);
	EXPECT(ga_group_exit(&g, 0) == -EBUSY); /* the scope inside it comes first */
	EXPECT(ga_group_exit(&g, ga_timeout_exit(&scope, ga_sleep(GA_SECONDS(5)))) == -ETIMEDOUT);
	return 0;
}

CASE(a_childs_error_is_no_timeout_of_a_scope_inside_the_body)
{
	struct ga_timeout scope;
	struct ga_group g;
	int r;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, fail_after, &one) == 0);
	EXPECT(ga_timeout_enter(&scope, in_seconds(5)) == 0);
	r = ga_timeout_exit(&scope, ga_sleep(GA_SECONDS(50)));
	EXPECT(r == -ECANCELED);
	EXPECT(ga_group_exit(&g, r) == -21);
	return 0;
}

CASE(a_shield_in_the_body_keeps_a_childs_error_out)
{
	struct ga_timeout shield;
	struct ga_group g;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, fail_after, &one) == 0);
	EXPECT(ga_shield_enter(&shield, GA_NEVER) == 0);
	EXPECT(ga_sleep(GA_SECONDS(5)) == 0);
	EXPECT(ga_timeout_exit(&shield, 0) == 0);
	EXPECT(ga_sleep(GA_SECONDS(5)) == -ECANCELED);
	EXPECT(ga_group_exit(&g, 0) == -21);
	return 0;
}

CASE(a_shielded_group_finishes_although_its_task_is_cancelled)
{
	struct ga_timeout shield;
	struct ga_group g;

	EXPECT(ga_cancel(ga_self()));
	EXPECT(ga_shield_enter(&shield, GA_NEVER) == 0);
	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &two) == 0);
	EXPECT(ga_group_exit(&g, 1) == 1);
	EXPECT(ga_timeout_exit(&shield, 0) == 0);
	EXPECT(ga_uncancel() == 0);
	return 0;
}

CASE(a_child_that_fails_eagerly_aborts_the_group)
{
	const struct ga_spawn_options eager = { .eager = true };
	struct ga_group g;
	ga_future *child;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &nine) == 0);
	EXPECT(ga_group_spawn_with(&g, fail_now, NULL, &eager, &child) == 0);
	EXPECT(ga_result(child, NULL) == -EIO);
	EXPECT(ga_group_spawn(&g, sleep_then_return, &nine) == -ECANCELED);
	EXPECT(ga_group_exit(&g, 0) == -EIO);
	return 0;
}

static int spawn_a_failure_then_sleep(const void *arg)
{
	struct ga_group *g = *(struct ga_group *const *)arg;
	const struct ga_spawn_options eager = { .eager = true };

	EXPECT(ga_group_spawn_with(g, fail_now, NULL, &eager, NULL) == 0);
	return ga_sleep(GA_SECONDS(100));
}

CASE(an_eager_child_that_aborts_the_group_is_cancelled_too)
{
	const struct ga_spawn_options eager = { .eager = true };
	struct ga_group g, *at = &g;
	int64_t before = ga_now();
	ga_future *child;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn_with(&g, spawn_a_failure_then_sleep, &at, &eager, &child) == 0);
	ga_retain(child);
	EXPECT(ga_group_exit(&g, 0) == -EIO && ga_now() == before);
	EXPECT(ga_result(child, NULL) == -ECANCELED);
	ga_release(child);
	return 0;
}

CASE(a_child_without_a_stack_is_an_error_of_the_group)
{
	const struct ga_spawn_options huge = { .stack_bytes = 1u << 30 };
	struct ga_group g;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_group_spawn_with(&g, fail_now, NULL, &huge, NULL) == 0);
	EXPECT(ga_group_exit(&g, 0) == -EINVAL);
	return 0;
}

static int exit_anothers(const void *arg)
{
	return ga_group_exit(*(struct ga_group *const *)arg, 0);
}

static void *spawn_elsewhere(void *arg)
{
	return (void *)(intptr_t)ga_group_spawn((struct ga_group *)arg, fail_now, NULL);
}

static int not_ours(const void *unused GA_UNUSED)
{
	struct ga_group g, *at = &g;
	GA_AUTO ga_future *t = ga_spawn(exit_anothers, &at);
	pthread_t thread;
	void *r;

	EXPECT(ga_group_enter(&g) == 0);
	EXPECT(ga_await(t) == -EPERM);
	EXPECT(pthread_create(&thread, NULL, spawn_elsewhere, &g) == 0);
	EXPECT(pthread_join(thread, &r) == 0);
	EXPECT((intptr_t)r == -EPERM);
	return ga_group_exit(&g, 0);
}

static void another_task_or_thread_is_refused(void **state GA_UNUSED)
{
	struct ga_group g;

	assert_int_equal(ga_run(not_ours, NULL), 0);
	assert_int_equal(ga_group_enter(&g), -EPERM);
}

CASE(with_many_children_the_first_error_ends_all_of_them)
{
	struct ga_group g;
	size_t count;
	int64_t before = ga_now();

	EXPECT(ga_group_enter(&g) == 0);
	for (int i = 0; i < 500; i++)
		EXPECT(ga_group_spawn(&g, sleep_then_return, &nine) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT(ga_group_spawn(&g, fail_after, &one) == 0);
	EXPECT(ga_group_exit(&g, 0) == -21);
	EXPECT(ga_now() - before == GA_SECONDS(1));
	EXPECT(ga_failures(NULL, &count) && count >= 1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_group_gives_the_bodys_result_at_once),
		cmocka_unit_test(all_children_are_joined),
		cmocka_unit_test(a_childs_error_cancels_the_siblings_and_is_returned_after_all_ended),
		cmocka_unit_test(a_childs_error_interrupts_the_body_and_leaves_no_cancel_behind),
		cmocka_unit_test(a_body_that_ends_well_all_the_same_still_gets_the_childs_error),
		cmocka_unit_test(a_bodys_error_cancels_the_children),
		cmocka_unit_test(errors_of_body_and_children_stand_in_one_group_in_order_of_time),
		cmocka_unit_test(a_cancelled_child_alone_is_no_error),
		cmocka_unit_test(
			a_cancel_from_outside_during_the_exit_cancels_and_joins_the_children_and_goes_on),
		cmocka_unit_test(a_cancel_from_outside_in_the_body_does_so_too),
		cmocka_unit_test(errors_come_before_a_cancel_from_outside_which_stays_due),
		cmocka_unit_test(with_edges_too_errors_leave_the_cancel_due),
		cmocka_unit_test(after_an_abort_spawning_is_refused),
		cmocka_unit_test(children_may_spawn_while_the_group_waits),
		cmocka_unit_test(nested_groups_nest_in_the_failures),
		cmocka_unit_test(an_error_like_that_of_an_earlier_group_is_not_hung_below_it),
		cmocka_unit_test(failures_of_a_task_live_as_long_as_its_handle),
		cmocka_unit_test(an_outer_timeout_ends_a_group_and_reports_the_timeout),
		cmocka_unit_test(a_timeout_inside_the_body_is_the_bodys_error),
		cmocka_unit_test(a_childs_error_is_no_timeout_of_a_scope_inside_the_body),
		cmocka_unit_test(a_shield_in_the_body_keeps_a_childs_error_out),
		cmocka_unit_test(a_shielded_group_finishes_although_its_task_is_cancelled),
		cmocka_unit_test(a_child_that_fails_eagerly_aborts_the_group),
		cmocka_unit_test(an_eager_child_that_aborts_the_group_is_cancelled_too),
		cmocka_unit_test(a_child_without_a_stack_is_an_error_of_the_group),
		cmocka_unit_test(another_task_or_thread_is_refused),
		cmocka_unit_test(with_many_children_the_first_error_ends_all_of_them),
	};

	return TAP_RUN(tests);
}
