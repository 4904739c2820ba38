/* TaskGroup. */
#include "conform.h"
#include <gather/group.h>
#include <string.h>

static const struct nap one_ok = { 1, 1 }, three_ok = { 3, 3 }, nine_ok = { 9, 9 },
			one_bad = { 1, -EPROTO }, two_bad = { 2, -EIO };

struct outcome {
	int body, exit, cancelling, next;
	size_t failures;
	int64_t took;
};

CASE(joins, "asyncio-task#asyncio.TaskGroup",
     "group: its exit waits for all children, and gives the body's result")
{
	struct ga_group g;
	ga_future *f[2];
	int64_t start = ga_now();
	size_t count = 7;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn_with(&g, take_nap, &one_ok, NULL, &f[0]) == 0);
	HOLDS(ga_group_spawn_with(&g, take_nap, &three_ok, NULL, &f[1]) == 0);
	ga_retain(f[0]);
	ga_retain(f[1]);
	HOLDS(ga_group_exit(&g, 5) == 5);
	HOLDS(ga_now() - start == GA_SECONDS(3));
	HOLDS(ga_result(f[0], NULL) == 1 && ga_result(f[1], NULL) == 3);
	HOLDS(ga_failures(NULL, &count) == NULL && count == 0);
	ga_release_all(f, 2);
	return 0;
}

CASE(empty, "asyncio-task#asyncio.TaskGroup", "group: without children its exit returns at once")
{
	struct ga_group g;
	int64_t start = ga_now();

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_exit(&g, 3) == 3);
	HOLDS(ga_now() == start);
	return 0;
}

CASE(child_fails, "spec, asyncio-task#asyncio.TaskGroup",
     "group: a child's error cancels its siblings, joins them all, and is returned")
{
	bool ended = false, *at = &ended;
	struct ga_group g;
	ga_future *sibling;
	int64_t start = ga_now();
	const struct ga_failure *failures;
	size_t count;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, end_slowly, &at) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &one_bad) == 0);
	HOLDS(ga_group_spawn_with(&g, take_nap, &nine_ok, NULL, &sibling) == 0);
	ga_retain(sibling);
	HOLDS(ga_group_exit(&g, 0) == -EPROTO);
	HOLDS(ended && ga_now() - start == GA_SECONDS(2)); /* end_slowly's clean-up */
	HOLDS(ga_result(sibling, NULL) == -ECANCELED);
	failures = ga_failures(NULL, &count);
	HOLDS(count == 1 && failures[0].error == -EPROTO && !strcmp(failures[0].name, "take_nap"));
	HOLDS(ga_cancelling(ga_self()) == 0 && ga_sleep(0) == 0);
	ga_release(sibling);
	return 0;
}

CASE(body_cancelled, "spec, asyncio-task#asyncio.TaskGroup",
     "group: a child's error cancels what the body waits for")
{
	struct ga_group g;
	int64_t start = ga_now();
	int r;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &one_bad) == 0);
	r = ga_sleep(GA_SECONDS(9));
	HOLDS(r == -ECANCELED && ga_now() - start == GA_SECONDS(1));
	HOLDS(ga_group_exit(&g, r) == -EPROTO); /* the cancel was the group's own */
	return 0;
}

CASE(count_is_zero, "spec", "group: after a pure child error the task's cancel count is 0")
{
	struct ga_group g;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &one_bad) == 0);
	HOLDS(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	HOLDS(ga_group_exit(&g, -ECANCELED) == -EPROTO);
	HOLDS(ga_cancelling(ga_self()) == 0);
	HOLDS(ga_sleep(GA_SECONDS(1)) == 0);
	return 0;
}

CASE(body_fails, "asyncio-task#asyncio.TaskGroup",
     "group: an error of the body cancels and joins the children, and is returned")
{
	bool ended = false, *at = &ended;
	struct ga_group g;
	const struct ga_failure *failures;
	size_t count;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, end_slowly, &at) == 0);
	HOLDS(settle() == 0);
	HOLDS(ga_group_exit(&g, -EBADMSG) == -EBADMSG);
	HOLDS(ended);
	failures = ga_failures(NULL, &count);
	HOLDS(count == 1 && failures[0].error == -EBADMSG && failures[0].name == NULL);
	HOLDS(ga_cancelling(ga_self()) == 0 && ga_sleep(0) == 0);
	return 0;
}

static int fail_when_cancelled(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(9)) == -ECANCELED ? -ENOSPC : 0;
}

CASE(errors_in_one, "spec", "group: body and child errors stand in one group, in order of time")
{
	struct ga_group g;
	const struct ga_failure *failures;
	size_t count;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, fail_when_cancelled, NULL) == 0);
	HOLDS(settle() == 0);
	HOLDS(ga_group_exit(&g, -EBADMSG) == -EBADMSG);
	failures = ga_failures(NULL, &count);
	HOLDS(count == 2);
	HOLDS(failures[0].error == -EBADMSG && failures[0].name == NULL);
	HOLDS(failures[1].error == -ENOSPC && !strcmp(failures[1].name, "fail_when_cancelled"));
	return 0;
}

CASE(several_children_fail, "asyncio-task#asyncio.TaskGroup",
     "group: the errors of several children stand in one group")
{
	struct ga_group g;
	const struct ga_failure *failures;
	size_t count;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, fail_when_cancelled, NULL) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &one_bad) == 0);
	HOLDS(ga_group_spawn(&g, fail_when_cancelled, NULL) == 0);
	HOLDS(ga_group_exit(&g, 0) == -EPROTO);
	failures = ga_failures(NULL, &count);
	HOLDS(count == 3 && failures[0].error == -EPROTO);
	HOLDS(failures[1].error == -ENOSPC && failures[2].error == -ENOSPC);
	return 0;
}

static int group_of_bad(const void *unused GA_UNUSED)
{
	struct ga_group g;
	int r;

	HOLDS(ga_group_enter(&g) == 0);
	r = ga_group_spawn(&g, take_nap, &two_bad);
	return ga_group_exit(&g, r);
}

CASE(nested, "spec", "group: nested groups nest: the error of one says what failed inside")
{
	struct ga_group g;
	const struct ga_failure *failures;
	size_t count;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, group_of_bad, NULL) == 0);
	HOLDS(ga_group_exit(&g, 0) == -EIO);
	failures = ga_failures(NULL, &count);
	HOLDS(count == 1 && failures[0].error == -EIO && !strcmp(failures[0].name, "group_of_bad"));
	HOLDS(failures[0].inner_count == 1 && failures[0].inner[0].error == -EIO);
	HOLDS(!strcmp(failures[0].inner[0].name, "take_nap"));
	return 0;
}

CASE(nested_in_one_task, "asyncio-task#asyncio.TaskGroup",
     "group: an error in an inner group of one task leaves the outer and its children alone")
{
	struct ga_group outer, inner;
	ga_future *sibling;

	HOLDS(ga_group_enter(&outer) == 0);
	HOLDS(ga_group_spawn_with(&outer, take_nap, &three_ok, NULL, &sibling) == 0);
	HOLDS(ga_group_enter(&inner) == 0);
	HOLDS(ga_group_spawn(&inner, take_nap, &one_bad) == 0);
	HOLDS(ga_group_exit(&inner, ga_sleep(GA_SECONDS(9))) == -EPROTO);
	HOLDS(!ga_done(sibling) && ga_cancelling(sibling) == 0);
	HOLDS(ga_sleep(0) == 0);
	HOLDS(ga_group_exit(&outer, 0) == 0);
	return 0;
}

CASE(nested_outer_fails, "asyncio-task#asyncio.TaskGroup",
     "group: an error in the outer group ends the inner, which calls it a cancel")
{
	struct ga_group outer, inner;
	int r;

	HOLDS(ga_group_enter(&outer) == 0);
	HOLDS(ga_group_spawn(&outer, take_nap, &one_bad) == 0);
	HOLDS(ga_group_enter(&inner) == 0);
	HOLDS(ga_group_spawn(&inner, take_nap, &nine_ok) == 0);
	r = ga_group_exit(&inner, 0);
	HOLDS(r == -ECANCELED);
	HOLDS(ga_group_exit(&outer, r) == -EPROTO);
	HOLDS(ga_cancelling(ga_self()) == 0 && ga_sleep(0) == 0);
	return 0;
}

CASE(child_cancelled, "spec", "group: a cancelled child alone is no error")
{
	struct ga_group g;
	ga_future *child;
	int64_t start = ga_now();

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn_with(&g, take_nap, &nine_ok, NULL, &child) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &three_ok) == 0);
	HOLDS(settle() == 0);
	HOLDS(ga_cancel(child));
	HOLDS(ga_group_exit(&g, 4) == 4);
	HOLDS(ga_now() - start == GA_SECONDS(3)); /* its sibling ran on */
	return 0;
}

static int join_two(const void *arg)
{
	struct outcome *o = *(struct outcome *const *)arg;
	bool ended = false, *at = &ended;
	struct ga_group g;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, end_slowly, &at) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &nine_ok) == 0);
	o->exit = ga_group_exit(&g, 0);
	HOLDS(ended); /* joined before the exit returned */
	o->cancelling = ga_cancelling(ga_self());
	return o->exit;
}

CASE(cancelled, "spec, asyncio-task#asyncio.TaskGroup",
     "group: cancelled from outside: children are cancelled and joined, then it propagates")
{
	struct outcome o = { 0 }, *at = &o;
	GA_AUTO ga_future *t = ga_spawn(join_two, &at);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(o.exit == -ECANCELED && o.cancelling == 1);
	return 0;
}

static int cancelled_in_body(const void *arg)
{
	struct outcome *o = *(struct outcome *const *)arg;
	struct ga_group g;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &nine_ok) == 0);
	o->body = ga_sleep(GA_SECONDS(5));
	o->exit = ga_group_exit(&g, o->body);
	return o->exit;
}

CASE(cancelled_body, "asyncio-task#asyncio.TaskGroup",
     "group: its body cancelled from outside: children are cancelled, and it propagates")
{
	struct outcome o = { 0 }, *at = &o;
	GA_AUTO ga_future *t = ga_spawn(cancelled_in_body, &at);
	int64_t start = ga_now();

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(o.body == -ECANCELED && o.exit == -ECANCELED);
	HOLDS(ga_now() - start == GA_MILLISECONDS(1));
	return 0;
}

static int fail_and_be_cancelled(const void *arg)
{
	struct outcome *o = *(struct outcome *const *)arg;
	bool ended = false, *at = &ended;
	struct ga_group g;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, end_slowly, &at) == 0); /* ends a second after the error */
	HOLDS(ga_group_spawn(&g, take_nap, &one_bad) == 0);
	o->exit = ga_group_exit(&g, 0);
	o->cancelling = ga_cancelling(ga_self());
	return 0;
}

CASE(error_and_cancel, "asyncio-task#asyncio.TaskGroup",
     "group: a child's error and a cancel from outside: the error is returned and the request still counts")
{
	struct outcome o = { 0 }, *at = &o;
	GA_AUTO ga_future *t = ga_spawn(fail_and_be_cancelled, &at);

	HOLDS(ga_sleep(GA_SECONDS(1.5)) == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == 0);
	HOLDS(o.exit == -EPROTO && o.cancelling == 1);
	return 0;
}

static int spawn_into(const void *arg)
{
	struct ga_group *g = (struct ga_group *)(uintptr_t)arg;
	int r = ga_sleep(GA_SECONDS(1));

	return r < 0 ? r : ga_group_spawn(g, take_nap, &three_ok);
}

CASE(spawn_while_joining, "spec, asyncio-task#asyncio.TaskGroup",
     "group: children may spawn while the group waits, and are waited for")
{
	struct ga_group g;
	int64_t start = ga_now();

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, spawn_into, &g) == 0);
	HOLDS(ga_group_exit(&g, 0) == 0);
	HOLDS(ga_now() - start == GA_SECONDS(4));
	return 0;
}

static int refused;

static int spawn_late(const void *arg)
{
	struct ga_group *g = (struct ga_group *)(uintptr_t)arg;

	if (ga_sleep(GA_SECONDS(9)) == -ECANCELED)
		refused = ga_group_spawn(g, take_nap, &three_ok);
	return -ECANCELED;
}

CASE(spawn_after_abort, "spec", "group: spawn is refused after its abort")
{
	struct ga_group g;

	refused = 0;
	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, spawn_late, &g) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &one_bad) == 0);
	HOLDS(ga_sleep(GA_SECONDS(2)) == -ECANCELED);
	HOLDS(ga_group_spawn(&g, take_nap, &three_ok) == -ECANCELED);
	HOLDS(ga_group_exit(&g, -ECANCELED) == -EPROTO);
	HOLDS(refused == -ECANCELED);
	return 0;
}

CASE(spawn_outside, "asyncio-task#asyncio.TaskGroup.create_task",
     "misuse: a group that isn't entered, or was left, takes no task")
{
	struct ga_group g;

	memset(&g, 0, sizeof(g));
	HOLDS(ga_group_spawn(&g, take_nap, &three_ok) == -EINVAL);
	HOLDS(ga_group_enter(&g) == 0 && ga_group_exit(&g, 0) == 0);
	HOLDS(ga_group_spawn(&g, take_nap, &three_ok) == -EINVAL);
	HOLDS(ga_group_exit(&g, 0) == -EINVAL);
	return 0;
}

CASE(in_timeout, "asyncio-task#asyncio.timeout",
     "group: in a timeout scope is cancelled and joined, and it is a timeout")
{
	struct ga_timeout scope;
	struct ga_group g;
	bool ended = false, *at = &ended;
	int r;

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn(&g, end_slowly, &at) == 0);
	r = ga_group_exit(&g, 0);
	HOLDS(r == -ECANCELED && ended);
	HOLDS(ga_timeout_exit(&scope, r) == -ETIMEDOUT);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

CASE(out_of_order, "libgather",
     "misuse: scopes and groups that are left out of order are told, and nothing is left")
{
	struct ga_timeout scope;
	struct ga_group g;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_timeout_enter(&scope, GA_NEVER) == 0);
	HOLDS(ga_group_exit(&g, 0) == -EBUSY);
	HOLDS(ga_timeout_exit(&scope, 0) == 0);
	HOLDS(ga_group_exit(&g, 0) == 0);
	return 0;
}

CASE(child_error_at_once, "asyncio-task#asyncio.TaskGroup",
     "group: an error before the body suspends is felt at its next suspension")
{
	const struct ga_spawn_options eagerly = { .eager = true };
	const struct nap now_bad = { 0, -EPROTO };
	struct ga_group g;

	HOLDS(ga_group_enter(&g) == 0);
	HOLDS(ga_group_spawn_with(&g, group_of_bad, NULL, &eagerly, NULL) == 0);
	HOLDS(ga_group_spawn_with(&g, take_nap, &now_bad, &eagerly, NULL) == 0);
	(void)settle();
	HOLDS(ga_sleep(GA_SECONDS(1)) == -ECANCELED ||
	      ga_group_spawn(&g, take_nap, &one_ok) == -ECANCELED);
	HOLDS(ga_group_exit(&g, -ECANCELED) == -EPROTO);
	return 0;
}
