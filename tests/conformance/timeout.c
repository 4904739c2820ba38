/* wait_for and timeout scopes. */
#include "conform.h"

struct limited {
	ga_future *future;
	int64_t deadline;
	bool shielded;
};

/* wait_for(), in a task of its own. */
static int wait_for(const void *arg)
{
	const struct limited *l = arg;

	return ga_await_until(l->future, l->deadline);
}

/* ---- wait_for ---- */

CASE(in_time, "asyncio-task#asyncio.wait_for",
     "wait_for: what ends in time gives its result, or its error")
{
	GA_AUTO ga_future *good = NAP(1, 3);
	GA_AUTO ga_future *bad = NAP(1, -EPROTO);

	HOLDS(ga_await_until(good, after(2)) == 3);
	HOLDS(ga_await_until(bad, after(2)) == -EPROTO);
	HOLDS(ga_sleep(GA_SECONDS(5)) == 0); /* and nothing is left of the deadline */
	return 0;
}

CASE(no_timeout, "asyncio-task#asyncio.wait_for",
     "wait_for: without a deadline it waits for as long as it takes")
{
	GA_AUTO ga_future *t = NAP(100000, 3);

	HOLDS(ga_await_until(t, GA_NEVER) == 3);
	return 0;
}

CASE(past_done, "spec", "wait_for: with a deadline in the past a done future returns its result")
{
	GA_AUTO ga_future *f = ga_future_new();

	HOLDS(ga_resolve(f, 7, NULL) == 0);
	HOLDS(ga_await_until(f, ga_now() - 1) == 7);
	HOLDS(ga_await_until(f, 0) == 7);
	return 0;
}

CASE(past_pending, "asyncio-task#asyncio.wait_for",
     "wait_for: with a deadline in the past an unfinished task is cancelled and timed out")
{
	GA_AUTO ga_future *t = NAP(5, 7);
	int64_t start = ga_now();

	HOLDS(ga_await_until(t, ga_now() - 1) == -ETIMEDOUT);
	HOLDS(ga_done(t) && ga_result(t, NULL) == -ECANCELED);
	HOLDS(ga_now() == start);
	return 0;
}

CASE(cancelled_and_awaited, "spec, asyncio-task#asyncio.wait_for",
     "wait_for: on timeout the task is cancelled and awaited before the timeout is returned")
{
	bool ended = false, *at = &ended;
	GA_AUTO ga_future *t = ga_spawn(end_slowly, &at);
	int64_t start = ga_now();

	HOLDS(ga_await_until(t, after(2)) == -ETIMEDOUT);
	HOLDS(ended && ga_done(t));
	HOLDS(ga_now() - start == GA_SECONDS(3)); /* so it may take longer than the timeout */
	HOLDS(ga_cancelling(ga_self()) == 0 && ga_sleep(0) == 0);
	return 0;
}

CASE(swallowed, "spec", "wait_for: a task that swallows the cancel and returns 42 makes it return 42")
{
	GA_AUTO ga_future *t = ga_spawn(swallow, NULL);

	HOLDS(ga_await_until(t, after(1)) == 42);
	return 0;
}

static int fail_when_cancelled(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(9)) == -ECANCELED ? -EPROTO : 0;
}

CASE(error_while_cancelled, "asyncio-task#asyncio.wait_for",
     "wait_for: an error of the task while it is cancelled is returned in place of the timeout")
{
	GA_AUTO ga_future *t = ga_spawn(fail_when_cancelled, NULL);

	HOLDS(ga_await_until(t, after(1)) == -EPROTO);
	return 0;
}

CASE(waiter_cancelled, "spec, asyncio-task#asyncio.wait_for", "wait_for: cancelling it cancels the inner")
{
	struct limited l = { .future = NAP(9, 1), .deadline = after(5) };
	GA_AUTO ga_future *t = ga_spawn(wait_for, &l);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(ga_done(l.future) && ga_result(l.future, NULL) == -ECANCELED);
	ga_release(l.future);
	return 0;
}

CASE(inner_cancelled, "asyncio-task#asyncio.wait_for",
     "wait_for: an inner that is cancelled by others is cancelled, not timed out")
{
	struct limited l = { .future = NAP(9, 1), .deadline = after(5) };
	GA_AUTO ga_future *t = ga_spawn(wait_for, &l);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(l.future));
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(ga_cancelling(t) == 0);
	ga_release(l.future);
	return 0;
}

CASE(stackless, "spec", "wait_for: of a future without a stack cancels it on timeout")
{
	GA_AUTO ga_future *f = ga_sleep_future(GA_SECONDS(9));

	HOLDS(ga_await_until(f, after(1)) == -ETIMEDOUT);
	HOLDS(ga_result(f, NULL) == -ECANCELED);
	return 0;
}

/* ---- timeout scopes ---- */

CASE(scope_in_time, "asyncio-task#asyncio.timeout",
     "timeout: a scope that is left in time changes no result")
{
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, after(2)) == 0);
	HOLDS(ga_sleep(GA_SECONDS(1)) == 0);
	HOLDS(ga_timeout_exit(&scope, 5) == 5);
	HOLDS(ga_sleep(GA_SECONDS(5)) == 0);
	return 0;
}

CASE(scope_expires, "asyncio-task#asyncio.timeout",
     "timeout: when it expires what the task waits for is cancelled, and the exit says -ETIMEDOUT")
{
	struct ga_timeout scope;
	int64_t start = ga_now();
	int r;

	HOLDS(ga_timeout_enter(&scope, after(2)) == 0);
	r = ga_sleep(GA_SECONDS(9));
	HOLDS(r == -ECANCELED); /* inside it is a cancel, outside a timeout */
	HOLDS(ga_timeout_exit(&scope, r) == -ETIMEDOUT);
	HOLDS(ga_now() - start == GA_SECONDS(2));
	HOLDS(ga_cancelling(ga_self()) == 0 && ga_sleep(0) == 0);
	return 0;
}

CASE(scope_never, "asyncio-task#asyncio.timeout", "timeout: one without a deadline never expires")
{
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, GA_NEVER) == 0);
	HOLDS(ga_sleep(GA_SECONDS(1e6)) == 0);
	HOLDS(ga_timeout_exit(&scope, 0) == 0);
	return 0;
}

CASE(scope_cancels_awaited, "asyncio-task#asyncio.timeout",
     "timeout: what is awaited inside is cancelled and awaited")
{
	bool ended = false, *at = &ended;
	GA_AUTO ga_future *t = ga_spawn(end_slowly, &at);
	struct ga_timeout scope;
	int r;

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	r = ga_await(t);
	HOLDS(ga_timeout_exit(&scope, r) == -ETIMEDOUT);
	HOLDS(ended);
	return 0;
}

CASE(scope_other_error, "asyncio-task#asyncio.timeout",
     "timeout: an expired scope leaves results and errors that aren't a cancel as they are")
{
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	HOLDS(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, 6) == 6);
	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	HOLDS(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, -EPROTO) == -EPROTO);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

struct scoped {
	int slept, result, next;
	int64_t delay;
};

/* A scope of two seconds, cancelled from outside. */
static int scoped_sleep(const void *arg)
{
	struct scoped *s = *(struct scoped *const *)arg;
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, after(2)) == 0);
	s->slept = ga_sleep(GA_SECONDS(9));
	if (s->delay > 0)
		(void)ga_sleep_until(s->delay);
	s->result = ga_timeout_exit(&scope, s->slept);
	s->next = ga_sleep(0);
	return 0;
}

CASE(scope_outer_cancel, "spec, asyncio-task#asyncio.timeout",
     "timeout: a cancel from outside before it expires stays a cancel")
{
	struct scoped s = { 0 }, *at = &s;
	GA_AUTO ga_future *t = ga_spawn(scoped_sleep, &at);

	HOLDS(ga_sleep(GA_SECONDS(1)) == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == 0);
	HOLDS(s.slept == -ECANCELED && s.result == -ECANCELED);
	return 0;
}

static int scoped_shielded(const void *arg)
{
	struct scoped *s = *(struct scoped *const *)arg;
	struct ga_timeout scope;
	GA_AUTO ga_future *slow = NULL;
	bool ended = false, *ended_at = &ended;

	slow = ga_spawn(end_slowly, &ended_at);
	HOLDS(ga_timeout_enter(&scope, after(2)) == 0);
	s->slept = ga_await(slow); /* expires at 2 s, and ends at 3 s */
	s->result = ga_timeout_exit(&scope, s->slept);
	s->next = ga_sleep(0);
	return 0;
}

CASE(scope_newer_cancel, "spec",
     "timeout: expired, and then a newer cancel came: it is a cancel, not a timeout")
{
	struct scoped s = { 0 }, *at = &s;
	GA_AUTO ga_future *t = ga_spawn(scoped_shielded, &at);

	HOLDS(ga_sleep(GA_SECONDS(2.5)) == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == 0);
	HOLDS(s.slept == -ECANCELED && s.result == -ECANCELED);
	return 0;
}

CASE_LEVEL(scope_older_cancel, "spec",
	   "timeout: a cancel older than the scope leaves it its timeout, and is said again after it")
{
	struct ga_timeout scope;
	int r;

	HOLDS(ga_cancel(ga_self()));
	HOLDS(ga_timeout_enter(&scope, ga_now() - 1) == 0);
	r = ga_sleep(0);
	HOLDS(r == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, r) == -ETIMEDOUT);
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_uncancel() == 0);
	return 0;
}

CASE_LEVEL(scope_level, "spec", "scopes: a cancelled scope keeps failing at each suspension")
{
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	HOLDS(ga_uncancel() == 0); /* no request of anybody's: there is nothing to take back */
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

CASE(scope_nested_same, "spec",
     "timeout: of nested scopes with one deadline only the outermost reports the timeout")
{
	struct ga_timeout outer, inner;
	int64_t deadline = after(1);
	int r;

	HOLDS(ga_timeout_enter(&outer, deadline) == 0);
	HOLDS(ga_timeout_enter(&inner, deadline) == 0);
	r = ga_sleep(GA_SECONDS(9));
	HOLDS(r == -ECANCELED);
	r = ga_timeout_exit(&inner, r);
	HOLDS(r == -ECANCELED);
	HOLDS(ga_timeout_exit(&outer, r) == -ETIMEDOUT);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

CASE(scope_nested_inner, "asyncio-task#asyncio.timeout",
     "timeout: scopes nest: the inner expires and the outer goes on")
{
	struct ga_timeout outer, inner;
	int r;

	HOLDS(ga_timeout_enter(&outer, after(5)) == 0);
	HOLDS(ga_timeout_enter(&inner, after(1)) == 0);
	r = ga_sleep(GA_SECONDS(9));
	HOLDS(ga_timeout_exit(&inner, r) == -ETIMEDOUT);
	HOLDS(ga_sleep(GA_SECONDS(1)) == 0);
	HOLDS(ga_timeout_exit(&outer, 0) == 0);
	return 0;
}

CASE(scope_nested_outer, "asyncio-task#asyncio.timeout",
     "timeout: scopes nest: the outer expires through the inner, which calls it a cancel")
{
	struct ga_timeout outer, inner;
	int r;

	HOLDS(ga_timeout_enter(&outer, after(1)) == 0);
	HOLDS(ga_timeout_enter(&inner, after(5)) == 0);
	r = ga_timeout_exit(&inner, ga_sleep(GA_SECONDS(9)));
	HOLDS(r == -ECANCELED);
	HOLDS(ga_timeout_exit(&outer, r) == -ETIMEDOUT);
	HOLDS(ga_sleep(GA_SECONDS(9)) == 0);
	return 0;
}

static void stay_busy_until(int64_t until)
{
	while (ga_now() < until)
		;
}

CASE_REAL(scope_busy, "spec",
	  "timeout: inner expired while the loop was busy: the outer still fires at the next park")
{
	struct ga_timeout outer, inner;
	int64_t start = ga_now();
	int r;

	HOLDS(ga_timeout_enter(&outer, start + GA_MILLISECONDS(4)) == 0);
	HOLDS(ga_timeout_enter(&inner, start + GA_MILLISECONDS(2)) == 0);
	stay_busy_until(start + GA_MILLISECONDS(6));
	r = ga_sleep(GA_SECONDS(30));
	HOLDS(r == -ECANCELED);
	r = ga_timeout_exit(&inner, r);
	HOLDS(r == -ECANCELED || r == -ETIMEDOUT);
	if (r == -ETIMEDOUT)
		r = ga_sleep(GA_SECONDS(30));
	HOLDS(r == -ECANCELED);
	HOLDS(ga_timeout_exit(&outer, r) == -ETIMEDOUT);
	HOLDS(ga_now() - start < GA_SECONDS(20));
	return 0;
}

CASE(scope_move, "spec, asyncio-task#asyncio.Timeout.reschedule",
     "timeout: reschedule moves the deadline")
{
	struct ga_timeout scope;
	int64_t start = ga_now();

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	HOLDS(ga_timeout_move(&scope, after(5)) == 0);
	HOLDS(ga_sleep(GA_SECONDS(2)) == 0);
	HOLDS(ga_timeout_move(&scope, after(1)) == 0);
	HOLDS(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	HOLDS(ga_now() - start == GA_SECONDS(3));
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

CASE(scope_disarm, "spec, asyncio-task#asyncio.Timeout.reschedule", "timeout: reschedule(none) disarms")
{
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	HOLDS(ga_timeout_move(&scope, GA_NEVER) == 0);
	HOLDS(ga_sleep(GA_SECONDS(100)) == 0);
	HOLDS(ga_timeout_move(&scope, after(1)) == 0); /* and arms it again */
	HOLDS(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

CASE(scope_move_past, "asyncio-task#asyncio.Timeout.reschedule",
     "timeout: rescheduled into the past it expires at the next suspension")
{
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, after(9)) == 0);
	HOLDS(ga_timeout_move(&scope, ga_now() - 1) == 0);
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

CASE(scope_move_late, "spec", "timeout: rescheduling after expiry or exit is an error")
{
	struct ga_timeout scope = { { 0 } };

	HOLDS(ga_timeout_move(&scope, after(1)) < 0); /* was never entered */
	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	HOLDS(ga_sleep(GA_SECONDS(2)) == -ECANCELED);
	HOLDS(ga_timeout_move(&scope, after(9)) == -EALREADY);
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	HOLDS(ga_timeout_move(&scope, after(9)) == -EINVAL);
	HOLDS(ga_timeout_exit(&scope, 0) == -EINVAL);
	return 0;
}

CASE(scope_past, "spec", "timeout: a past deadline fires at the first suspension, even sleep(0)")
{
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, ga_now()) == 0);
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	HOLDS(ga_timeout_enter(&scope, INT64_MIN) == 0);
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	return 0;
}

CASE(scope_past_unused, "asyncio-task#asyncio.timeout",
     "timeout: a past deadline without a suspension times nothing out")
{
	struct ga_timeout scope;

	HOLDS(ga_timeout_enter(&scope, ga_now() - 1) == 0);
	HOLDS(ga_timeout_exit(&scope, 3) == 3);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

CASE(scope_gather, "spec", "timeout: around gather cancels and joins all its children")
{
	bool ended = false, *at = &ended;
	ga_future *f[] = { ga_spawn(end_slowly, &at), NAP(9, 1) };
	struct ga_timeout scope;
	int r;

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	r = ga_gather(f, 2, GA_RETURN_EXCEPTIONS);
	HOLDS(ga_timeout_exit(&scope, r) == -ETIMEDOUT);
	HOLDS(ended && ga_result(f[1], NULL) == -ECANCELED);
	ga_release_all(f, 2);
	return 0;
}

CASE(scope_child, "asyncio-task#asyncio.timeout",
     "timeout: is its task's: one spawned inside isn't limited by it")
{
	struct ga_timeout scope;
	GA_AUTO ga_future *t = NULL;

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	t = NAP(3, 4);
	HOLDS(ga_sleep(GA_SECONDS(2)) == -ECANCELED);
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	HOLDS(ga_await(t) == 4);
	return 0;
}
