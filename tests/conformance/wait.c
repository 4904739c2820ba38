/* wait, as_completed. */
#include "conform.h"

struct waiting {
	ga_future *f[2];
	int64_t deadline;
};

static int wait_two(const void *arg)
{
	const struct waiting *w = arg;

	return ga_wait(w->f, 2, GA_ALL_COMPLETED, w->deadline);
}

CASE(all, "asyncio-task#asyncio.wait", "wait: ALL_COMPLETED returns when all are done")
{
	ga_future *f[] = { NAP(3, 1), NAP(1, -EIO), NAP(2, 3) };
	int64_t start = ga_now();

	HOLDS(ga_wait(f, 3, GA_ALL_COMPLETED, GA_NEVER) == 3);
	HOLDS(ga_now() - start == GA_SECONDS(3));
	ga_release_all(f, 3);
	return 0;
}

CASE(error_not_raised, "spec", "wait: a task's error isn't raised by wait itself")
{
	ga_future *f[] = { NAP(1, -EIO), NAP(1, -EPROTO) };

	HOLDS(ga_wait(f, 2, GA_ALL_COMPLETED, GA_NEVER) == 2);
	HOLDS(ga_result(f[0], NULL) == -EIO && ga_result(f[1], NULL) == -EPROTO);
	ga_release_all(f, 2);
	return 0;
}

CASE(first, "asyncio-task#asyncio.wait", "wait: FIRST_COMPLETED returns at the first, the others run on")
{
	ga_future *f[] = { NAP(3, 1), NAP(1, 2), NAP(2, 3) };
	int64_t start = ga_now();

	HOLDS(ga_wait(f, 3, GA_FIRST_COMPLETED, GA_NEVER) == 1);
	HOLDS(ga_now() - start == GA_SECONDS(1));
	HOLDS(!ga_done(f[0]) && ga_done(f[1]) && !ga_done(f[2]));
	HOLDS(ga_cancelling(f[0]) == 0 && ga_cancelling(f[2]) == 0);
	HOLDS(ga_await(f[0]) == 1 && ga_await(f[2]) == 3);
	ga_release_all(f, 3);
	return 0;
}

CASE(first_cancelled, "asyncio-task#asyncio.wait",
     "wait: FIRST_COMPLETED counts a cancelled one as completed")
{
	ga_future *f[] = { NAP(3, 1), NAP(9, 2) };

	HOLDS(ga_cancel(f[1]));
	HOLDS(ga_wait(f, 2, GA_FIRST_COMPLETED, GA_NEVER) == 1);
	HOLDS(ga_result(f[1], NULL) == -ECANCELED && !ga_done(f[0]));
	HOLDS(ga_await(f[0]) == 1);
	ga_release_all(f, 2);
	return 0;
}

CASE(first_exception, "asyncio-task#asyncio.wait", "wait: FIRST_EXCEPTION returns at the first error")
{
	ga_future *f[] = { NAP(3, 1), NAP(1, 2), NAP(2, -EIO) };
	int64_t start = ga_now();

	HOLDS(ga_wait(f, 3, GA_FIRST_EXCEPTION, GA_NEVER) == 2);
	HOLDS(ga_now() - start == GA_SECONDS(2));
	HOLDS(!ga_done(f[0]) && ga_await(f[0]) == 1);
	ga_release_all(f, 3);
	return 0;
}

CASE(first_exception_none, "spec, asyncio-task#asyncio.wait",
     "wait: FIRST_EXCEPTION without errors behaves as ALL_COMPLETED")
{
	ga_future *f[] = { NAP(3, 1), NAP(1, 2) };
	int64_t start = ga_now();

	HOLDS(ga_wait(f, 2, GA_FIRST_EXCEPTION, GA_NEVER) == 2);
	HOLDS(ga_now() - start == GA_SECONDS(3));
	ga_release_all(f, 2);
	return 0;
}

CASE(first_exception_cancelled, "spec", "wait: FIRST_EXCEPTION is not triggered by a cancelled task")
{
	ga_future *f[] = { NAP(3, 1), NAP(9, 2) };
	int64_t start = ga_now();

	HOLDS(ga_cancel(f[1]));
	HOLDS(ga_wait(f, 2, GA_FIRST_EXCEPTION, GA_NEVER) == 2);
	HOLDS(ga_now() - start == GA_SECONDS(3));
	ga_release_all(f, 2);
	return 0;
}

CASE(met_already, "asyncio-task#asyncio.wait", "wait: what is met already returns at once, in each mode")
{
	ga_future *f[] = { ga_future_new(), ga_future_new() };
	int64_t start = ga_now();

	HOLDS(ga_resolve(f[0], -EIO, NULL) == 0);
	HOLDS(ga_wait(f, 2, GA_FIRST_COMPLETED, GA_NEVER) == 1);
	HOLDS(ga_wait(f, 2, GA_FIRST_EXCEPTION, GA_NEVER) == 1);
	HOLDS(ga_resolve(f[1], 0, NULL) == 0);
	HOLDS(ga_wait(f, 2, GA_ALL_COMPLETED, GA_NEVER) == 2);
	HOLDS(ga_now() == start);
	ga_release_all(f, 2);
	return 0;
}

CASE(timeout, "spec, asyncio-task#asyncio.wait",
     "wait: a timeout is no error: it returns how many are done and cancels nothing")
{
	ga_future *f[] = { NAP(1, 1), NAP(3, 3) };
	int64_t start = ga_now();

	HOLDS(ga_wait(f, 2, GA_ALL_COMPLETED, after(2)) == 1);
	HOLDS(ga_now() - start == GA_SECONDS(2));
	HOLDS(ga_done(f[0]) && !ga_done(f[1]) && ga_cancelling(f[1]) == 0);
	HOLDS(ga_await(f[1]) == 3);
	ga_release_all(f, 2);
	return 0;
}

CASE(timeout_none_done, "asyncio-task#asyncio.wait", "wait: a timeout with none done returns 0")
{
	ga_future *f[] = { NAP(3, 1), NAP(3, 3) };

	HOLDS(ga_wait(f, 2, GA_FIRST_COMPLETED, after(1)) == 0);
	HOLDS(ga_wait(f, 2, GA_FIRST_EXCEPTION, after(1)) == 0);
	HOLDS(ga_wait(f, 2, GA_ALL_COMPLETED, GA_NEVER) == 2);
	ga_release_all(f, 2);
	return 0;
}

CASE(past_deadline, "libgather", "wait: a deadline in the past tells what is done, and cancels nothing")
{
	ga_future *f[] = { ga_future_new(), NAP(1, 3) };

	HOLDS(ga_resolve(f[0], 0, NULL) == 0);
	HOLDS(ga_wait(f, 2, GA_ALL_COMPLETED, 0) == 1);
	HOLDS(ga_wait(f, 2, GA_ALL_COMPLETED, INT64_MIN) == 1);
	HOLDS(ga_cancelling(f[1]) == 0 && ga_await(f[1]) == 3);
	ga_release_all(f, 2);
	return 0;
}

CASE(waiter_cancelled, "spec", "wait: cancelling the waiter leaves the waited running")
{
	struct waiting w = { { NAP(2, 1), NAP(3, 2) }, GA_NEVER };
	GA_AUTO ga_future *t = ga_spawn(wait_two, &w);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(!ga_done(w.f[0]) && ga_cancelling(w.f[0]) == 0 && ga_cancelling(w.f[1]) == 0);
	HOLDS(ga_await(w.f[0]) == 1 && ga_await(w.f[1]) == 2);
	ga_release_all(w.f, 2);
	return 0;
}

CASE(refused, "spec, asyncio-task#asyncio.wait", "wait: an empty set or a bad mode is an error")
{
	GA_AUTO ga_future *f = NAP(1, 1);

	HOLDS(ga_wait(NULL, 0, GA_ALL_COMPLETED, GA_NEVER) == -EINVAL);
	HOLDS(ga_wait(&f, 0, GA_FIRST_COMPLETED, GA_NEVER) == -EINVAL);
	HOLDS(ga_wait(&f, 1, (enum ga_wait_mode)99, GA_NEVER) == -EINVAL);
	HOLDS(ga_wait(&f, 1, (enum ga_wait_mode) - 1, GA_NEVER) == -EINVAL);
	HOLDS(ga_await(f) == 1);
	return 0;
}

CASE(no_memory_child, "libgather", "wait: a NULL counts as one that has failed")
{
	ga_future *f[] = { NAP(1, 1), NULL };

	HOLDS(ga_wait(f, 2, GA_FIRST_COMPLETED, GA_NEVER) == 1);
	HOLDS(ga_wait(f, 2, GA_FIRST_EXCEPTION, GA_NEVER) == 1);
	HOLDS(ga_wait(f, 2, GA_ALL_COMPLETED, GA_NEVER) == 2);
	ga_release_all(f, 2);
	return 0;
}

CASE(two_waiters, "asyncio-task#asyncio.wait", "wait: two tasks may wait for the same ones")
{
	struct waiting w = { { NAP(2, 1), NAP(3, 2) }, GA_NEVER };
	ga_future *t[] = { ga_spawn(wait_two, &w), ga_spawn(wait_two, &w) };

	HOLDS(ga_gather(t, 2, 0) == 0);
	HOLDS(ga_result(t[0], NULL) == 2 && ga_result(t[1], NULL) == 2);
	ga_release_all(t, 2);
	ga_release_all(w.f, 2);
	return 0;
}

CASE(in_rounds, "asyncio-task#asyncio.wait",
     "wait: FIRST_COMPLETED in rounds takes each one once, as it ends")
{
	ga_future *f[] = { NAP(3, 3), NAP(1, 1), NAP(2, 2) };

	for (int i = 1, left = 3; left > 0; i++) {
		HOLDS(ga_wait(f, (size_t)left, GA_FIRST_COMPLETED, GA_NEVER) == 1);
		for (int at = 0; at < left; at++) {
			if (!ga_done(f[at]))
				continue;
			HOLDS(ga_result(f[at], NULL) == i);
			ga_release(f[at]);
			f[at] = f[--left];
			break;
		}
	}
	return 0;
}
