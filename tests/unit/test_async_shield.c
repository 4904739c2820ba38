/* Shield scopes, alone and among timeouts. */
#include "async_check.h"
#include "tap_main.h"
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const int nine = 9;

static int64_t in_seconds(int n)
{
	return ga_now() + GA_SECONDS(n);
}

struct seen {
	int inside, after, cancelling;
};

static int sleep_shielded(const void *arg)
{
	struct seen *seen = *(struct seen *const *)arg;
	struct ga_timeout shield;

	EXPECT(ga_shield_enter(&shield, GA_NEVER) == 0);
	seen->inside = ga_sleep(GA_SECONDS(5));
	seen->cancelling = ga_cancelling(ga_self());
	EXPECT(ga_timeout_exit(&shield, seen->inside) == seen->inside);
	return seen->after = ga_sleep(GA_SECONDS(5));
}

CASE(a_cancel_waits_until_the_shield_is_left)
{
	struct seen seen = { 1, 1, 0 }, *at = &seen;
	GA_AUTO ga_future *t = ga_spawn(sleep_shielded, &at);
	int64_t before = ga_now();

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t) && ga_cancelling(t) == 1);
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(seen.inside == 0 && seen.cancelling == 1 && seen.after == -ECANCELED);
	EXPECT(ga_now() - before == GA_SECONDS(5));
	return 0;
}

static int shield_when_cancelled(const void *arg)
{
	struct ga_timeout shield;

	EXPECT(ga_sleep(GA_SECONDS(100)) == -ECANCELED);
	EXPECT(ga_shield_enter(&shield, GA_NEVER) == 0);
	EXPECT(ga_sleep(GA_SECONDS(*(const int *)arg)) == 0); /* clean up in peace */
	EXPECT(ga_timeout_exit(&shield, 3) == 3);
	return ga_sleep(0);
}

CASE(a_task_that_is_cancelled_already_works_on_in_a_shield)
{
	GA_AUTO ga_future *t = ga_spawn(shield_when_cancelled, &nine);
	int64_t before = ga_now();

	EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(ga_now() - before == GA_SECONDS(9));
	return 0;
}

CASE(a_shields_own_deadline_works)
{
	struct ga_timeout shield;
	int64_t before = ga_now();

	EXPECT(ga_shield_enter(&shield, in_seconds(2)) == 0);
	EXPECT(ga_timeout_exit(&shield, ga_sleep(GA_SECONDS(9))) == -ETIMEDOUT);
	EXPECT(ga_now() - before == GA_SECONDS(2));
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return 0;
}

CASE(a_shield_with_a_past_deadline_fires_at_the_first_suspension)
{
	struct ga_timeout shield;

	EXPECT(ga_shield_enter(&shield, 0) == 0);
	EXPECT(ga_sleep(0) == -ECANCELED);
	EXPECT(ga_timeout_exit(&shield, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

CASE(a_timeout_outside_waits_for_the_shield)
{
	struct ga_timeout outer, shield;
	int64_t before = ga_now();

	EXPECT(ga_timeout_enter(&outer, in_seconds(1)) == 0);
	EXPECT(ga_shield_enter(&shield, in_seconds(9)) == 0);
	EXPECT(ga_sleep(GA_SECONDS(4)) == 0);
	EXPECT(ga_timeout_exit(&shield, 0) == 0);
	EXPECT(ga_timeout_exit(&outer, ga_sleep(GA_SECONDS(4))) == -ETIMEDOUT);
	EXPECT(ga_now() - before == GA_SECONDS(4));
	EXPECT(ga_sleep(0) == 0);
	return 0;
}

CASE(a_timeout_inside_a_shield_works)
{
	struct ga_timeout shield, inner;
	int64_t before = ga_now();

	EXPECT(ga_shield_enter(&shield, in_seconds(9)) == 0);
	EXPECT(ga_timeout_enter(&inner, in_seconds(1)) == 0);
	EXPECT(ga_timeout_exit(&inner, ga_sleep(GA_SECONDS(4))) == -ETIMEDOUT);
	EXPECT(ga_timeout_exit(&shield, ga_sleep(GA_SECONDS(20))) == -ETIMEDOUT);
	EXPECT(ga_now() - before == GA_SECONDS(9));
	return 0;
}

CASE(timeouts_on_both_sides_of_a_shield_with_one_deadline)
{
	struct ga_timeout outer, shield, inner;
	int64_t deadline = in_seconds(1);

	EXPECT(ga_timeout_enter(&outer, deadline) == 0);
	EXPECT(ga_shield_enter(&shield, GA_NEVER) == 0);
	EXPECT(ga_timeout_enter(&inner, deadline) == 0);
	EXPECT(ga_timeout_exit(&inner, ga_sleep(GA_SECONDS(4))) == -ETIMEDOUT);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_timeout_exit(&shield, 0) == 0);
	EXPECT(ga_timeout_exit(&outer, ga_sleep(GA_SECONDS(4))) == -ETIMEDOUT);
	EXPECT(ga_sleep(0) == 0);
	return 0;
}

static int timeout_in_a_shield_while_cancelled(const void *arg GA_UNUSED)
{
	struct ga_timeout shield, inner;

	EXPECT(ga_shield_enter(&shield, GA_NEVER) == 0);
	EXPECT(ga_timeout_enter(&inner, in_seconds(3)) == 0);
	EXPECT(ga_timeout_exit(&inner, ga_sleep(GA_SECONDS(9))) == -ETIMEDOUT);
	EXPECT(ga_timeout_exit(&shield, 0) == 0);
	return ga_sleep(0);
}

CASE(a_cancel_that_a_shield_hides_takes_no_timeout_from_the_inside)
{
	GA_AUTO ga_future *t = ga_spawn(timeout_in_a_shield_while_cancelled, NULL);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	return 0;
}

static int nested_shields(const void *arg)
{
	struct seen *seen = *(struct seen *const *)arg;
	struct ga_timeout outer, between, inner;

	EXPECT(ga_shield_enter(&outer, GA_NEVER) == 0);
	EXPECT(ga_timeout_enter(&between, in_seconds(2)) == 0);
	EXPECT(ga_shield_enter(&inner, GA_NEVER) == 0);
	EXPECT(ga_sleep(GA_SECONDS(3)) == 0);
	EXPECT(ga_timeout_exit(&inner, 0) == 0);
	seen->inside = ga_sleep(GA_SECONDS(3)); /* `between` is felt, the cancel isn't */
	EXPECT(ga_timeout_exit(&between, seen->inside) == -ETIMEDOUT);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_timeout_exit(&outer, 0) == 0);
	return seen->after = ga_sleep(GA_SECONDS(1));
}

CASE(nested_shields_hide_each_what_lies_outside_of_it)
{
	struct seen seen = { 1, 1, 0 }, *at = &seen;
	GA_AUTO ga_future *t = ga_spawn(nested_shields, &at);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED);
	EXPECT(seen.inside == -ECANCELED && seen.after == -ECANCELED);
	return 0;
}

static int uncancel_in_a_shield(const void *arg GA_UNUSED)
{
	struct ga_timeout shield;

	EXPECT(ga_shield_enter(&shield, GA_NEVER) == 0);
	EXPECT(ga_sleep(GA_SECONDS(3)) == 0);
	EXPECT(ga_cancelling(ga_self()) == 2);
	EXPECT(ga_uncancel() == 1);
	EXPECT(ga_uncancel() == 0);
	EXPECT(ga_timeout_exit(&shield, 0) == 0);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return 6;
}

CASE(a_cancel_taken_back_in_a_shield_is_never_felt)
{
	GA_AUTO ga_future *t = ga_spawn(uncancel_in_a_shield, NULL);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(t) && ga_cancel(t));
	EXPECT(ga_await(t) == 6);
	return 0;
}

static int await_shielded(const void *arg)
{
	struct ga_timeout shield;
	int r;

	EXPECT(ga_shield_enter(&shield, in_seconds(4)) == 0);
	r = ga_await(*(ga_future *const *)arg);
	return ga_timeout_exit(&shield, r);
}

CASE(what_is_awaited_in_a_shield_is_cancelled_by_its_deadline_alone)
{
	ga_future *quick = ga_sleep_future(GA_SECONDS(2)), *slow = ga_sleep_future(GA_SECONDS(20));
	GA_AUTO ga_future *a = ga_spawn(await_shielded, &quick);
	GA_AUTO ga_future *b = ga_spawn(await_shielded, &slow);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_cancel(a) && ga_cancel(b));
	EXPECT(ga_await(a) == 0 && ga_result(quick, NULL) == 0);
	EXPECT(ga_await(b) == -ETIMEDOUT && ga_result(slow, NULL) == -ECANCELED);
	ga_release(quick);
	ga_release(slow);
	return 0;
}

CASE(a_shield_can_be_moved)
{
	struct ga_timeout shield;

	EXPECT(ga_shield_enter(&shield, in_seconds(1)) == 0);
	EXPECT(ga_timeout_move(&shield, GA_NEVER) == 0);
	EXPECT(ga_sleep(GA_SECONDS(5)) == 0);
	EXPECT(ga_timeout_move(&shield, ga_now()) == 0);
	EXPECT(ga_timeout_move(&shield, GA_NEVER) == -EALREADY);
	EXPECT(ga_timeout_exit(&shield, ga_sleep(0)) == -ETIMEDOUT);
	return 0;
}

static int exit_anothers(const void *arg)
{
	return ga_timeout_exit(*(struct ga_timeout *const *)arg, 0);
}

CASE(leaving_another_tasks_scope_or_an_outer_one_first_is_refused)
{
	struct ga_timeout outer, inner, *at = &inner;
	GA_AUTO ga_future *t = ga_spawn(exit_anothers, &at);

	EXPECT(ga_timeout_enter(&outer, GA_NEVER) == 0);
	EXPECT(ga_shield_enter(&inner, GA_NEVER) == 0);
	EXPECT(ga_await(t) == -EPERM);
	EXPECT(ga_timeout_exit(&outer, 0) == -EBUSY);
	EXPECT(ga_timeout_exit(&inner, 1) == 1);
	EXPECT(ga_timeout_exit(&outer, 2) == 2);
	return 0;
}

static void outside_of_a_task_there_is_no_shield(void **state GA_UNUSED)
{
	struct ga_timeout shield;

	assert_int_equal(ga_shield_enter(&shield, GA_NEVER), -EPERM);
}

static int end_inside_a_scope(const void *arg GA_UNUSED)
{
	static struct ga_timeout scope; /* static: compilers see through what is wrong here */

	return ga_timeout_enter(&scope, GA_NEVER);
}

static int spawn_what_ends_inside(const void *arg GA_UNUSED)
{
	GA_AUTO ga_future *t = ga_spawn(end_inside_a_scope, NULL);

	return ga_await(t);
}

static void a_task_that_ends_inside_a_scope_ends_the_program_by_name(void **state GA_UNUSED)
{
	char text[4096];
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL); /* no sanitizer's, and no core */
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		_exit(ga_run(spawn_what_ends_inside, NULL) != 0);
	}
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = 0;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "end_inside_a_scope (tests/unit/test_async_shield.c:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cancel_waits_until_the_shield_is_left),
		cmocka_unit_test(a_task_that_is_cancelled_already_works_on_in_a_shield),
		cmocka_unit_test(a_shields_own_deadline_works),
		cmocka_unit_test(a_shield_with_a_past_deadline_fires_at_the_first_suspension),
		cmocka_unit_test(a_timeout_outside_waits_for_the_shield),
		cmocka_unit_test(a_timeout_inside_a_shield_works),
		cmocka_unit_test(timeouts_on_both_sides_of_a_shield_with_one_deadline),
		cmocka_unit_test(a_cancel_that_a_shield_hides_takes_no_timeout_from_the_inside),
		cmocka_unit_test(nested_shields_hide_each_what_lies_outside_of_it),
		cmocka_unit_test(a_cancel_taken_back_in_a_shield_is_never_felt),
		cmocka_unit_test(what_is_awaited_in_a_shield_is_cancelled_by_its_deadline_alone),
		cmocka_unit_test(a_shield_can_be_moved),
		cmocka_unit_test(leaving_another_tasks_scope_or_an_outer_one_first_is_refused),
		cmocka_unit_test(outside_of_a_task_there_is_no_shield),
		cmocka_unit_test(a_task_that_ends_inside_a_scope_ends_the_program_by_name),
	};

	return TAP_RUN(tests);
}
