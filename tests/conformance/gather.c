/* gather. */
#include "conform.h"

struct gathering {
	ga_future *f[3];
	unsigned flags;
};

static int gather_three(const void *arg)
{
	const struct gathering *g = arg;

	return ga_gather(g->f, 3, g->flags);
}

CASE(order, "spec, asyncio-task#asyncio.gather", "gather: results are in argument order")
{
	ga_future *f[] = { NAP(3, 30), NAP(1, 10), NAP(2, 20) };
	int64_t start = ga_now();

	HOLDS(ga_gather(f, 3, 0) == 0);
	HOLDS(ga_now() - start == GA_SECONDS(3));
	HOLDS(ga_result(f[0], NULL) == 30 && ga_result(f[1], NULL) == 10 && ga_result(f[2], NULL) == 20);
	ga_release_all(f, 3);
	return 0;
}

CASE(empty, "spec", "gather: an empty one completes at once")
{
	int64_t start = ga_now();

	HOLDS(ga_gather(NULL, 0, 0) == 0);
	HOLDS(ga_gather(NULL, 0, GA_RETURN_EXCEPTIONS) == 0);
	HOLDS(ga_gather(NULL, 0, GA_DETACH) == 0);
	HOLDS(ga_now() == start);
	return 0;
}

CASE(done_already, "asyncio-task#asyncio.gather", "gather: of what is done already gives its results")
{
	ga_future *f[] = { ga_future_new(), ga_future_new() };

	HOLDS(ga_resolve(f[0], 1, NULL) == 0 && ga_resolve(f[1], -EIO, NULL) == 0);
	HOLDS(ga_gather(f, 1, 0) == 0);
	HOLDS(ga_gather(f, 2, 0) == -EIO);
	HOLDS(ga_gather(f, 2, GA_RETURN_EXCEPTIONS) == 0);
	ga_release_all(f, 2);
	return 0;
}

static int runs;

static int count_run(const void *unused GA_UNUSED)
{
	runs++;
	return ga_sleep(GA_SECONDS(1)) == 0 ? 5 : -EIO;
}

CASE(duplicate, "spec", "gather: a duplicate argument runs once and fills each slot")
{
	GA_AUTO ga_future *t = NULL;
	ga_future *f[3];

	runs = 0;
	t = ga_spawn(count_run, NULL);
	f[0] = f[1] = f[2] = t;
	HOLDS(ga_gather(f, 3, 0) == 0);
	HOLDS(runs == 1);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_result(f[i], NULL) == 5);
	return 0;
}

CASE(first_error, "spec",
     "gather: by default the first error cancels the siblings, joins them, and is returned")
{
	bool ended = false, *at = &ended;
	ga_future *f[] = { ga_spawn(end_slowly, &at), NAP(1, -EPROTO), NAP(9, 1) };
	int64_t start = ga_now();

	HOLDS(ga_gather(f, 3, 0) == -EPROTO);
	HOLDS(ended && ga_done(f[0]) && ga_done(f[2]));
	HOLDS(ga_result(f[2], NULL) == -ECANCELED);
	HOLDS(ga_now() - start == GA_SECONDS(2)); /* end_slowly's clean-up */
	HOLDS(ga_cancelling(ga_self()) == 0 && ga_sleep(0) == 0);
	ga_release_all(f, 3);
	return 0;
}

CASE(first_of_two_errors, "asyncio-task#asyncio.gather",
     "gather: of two errors the first in time is returned")
{
	ga_future *f[] = { NAP(2, -EIO), NAP(1, -EPROTO) };
	ga_future *g[] = { NAP(2, -EIO), NAP(1, -EPROTO) };

	HOLDS(ga_gather(f, 2, GA_DETACH) == -EPROTO);
	HOLDS(ga_gather(g, 2, 0) == -EPROTO);
	HOLDS(ga_await(f[0]) == -EIO);
	ga_release_all(f, 2);
	ga_release_all(g, 2);
	return 0;
}

CASE(sibling_result_stands, "spec",
     "gather: a sibling that takes its cancel and returns keeps its result")
{
	ga_future *f[] = { ga_spawn(swallow, NULL), NAP(1, -EPROTO) };

	HOLDS(ga_gather(f, 2, 0) == -EPROTO);
	HOLDS(ga_result(f[0], NULL) == 42);
	ga_release_all(f, 2);
	return 0;
}

CASE(detach, "spec, asyncio-task#asyncio.gather",
     "gather: detached, the first error is returned at once and the siblings run on")
{
	ga_future *f[] = { NAP(2, 20), NAP(1, -EPROTO) };
	int64_t start = ga_now();

	HOLDS(ga_gather(f, 2, GA_DETACH) == -EPROTO);
	HOLDS(ga_now() - start == GA_SECONDS(1));
	HOLDS(!ga_done(f[0]) && ga_cancelling(f[0]) == 0);
	HOLDS(ga_await(f[0]) == 20);
	ga_release_all(f, 2);
	return 0;
}

CASE(detach_success, "asyncio-task#asyncio.gather",
     "gather: detached and without an error, all are waited for")
{
	ga_future *f[] = { NAP(2, 20), NAP(1, 10) };

	HOLDS(ga_gather(f, 2, GA_DETACH) == 0);
	HOLDS(ga_result(f[0], NULL) == 20 && ga_result(f[1], NULL) == 10);
	ga_release_all(f, 2);
	return 0;
}

CASE(return_exceptions, "spec, asyncio-task#asyncio.gather",
     "gather: with return_exceptions it waits for all and the errors stand in their slots")
{
	ga_future *f[] = { NAP(1, -EIO), NAP(3, 30), NAP(2, -EPROTO) };
	int64_t start = ga_now();

	HOLDS(ga_gather(f, 3, GA_RETURN_EXCEPTIONS) == 0);
	HOLDS(ga_now() - start == GA_SECONDS(3));
	HOLDS(ga_result(f[0], NULL) == -EIO && ga_result(f[1], NULL) == 30 &&
	      ga_result(f[2], NULL) == -EPROTO);
	ga_release_all(f, 3);
	return 0;
}

static int cancel_it(const void *arg)
{
	(void)ga_sleep(GA_SECONDS(1));
	return ga_cancel(*(ga_future *const *)arg) ? 0 : -EIO;
}

CASE(child_cancelled, "asyncio-task#asyncio.gather",
     "gather: a cancelled child counts as its error, and the gathering task isn't cancelled by it")
{
	ga_future *f[] = { NAP(9, 1), NAP(2, 2), NULL };

	f[2] = ga_spawn(cancel_it, &f[0]);
	HOLDS(ga_gather(f, 3, 0) == -ECANCELED);
	HOLDS(ga_cancelling(ga_self()) == 0 && ga_sleep(0) == 0);
	ga_release_all(f, 3);
	return 0;
}

CASE(child_cancelled_slot, "asyncio-task#asyncio.gather",
     "gather: with return_exceptions a cancelled child's -ECANCELED stands in its slot")
{
	ga_future *f[] = { NAP(9, 1), NAP(2, 2), NULL };

	f[2] = ga_spawn(cancel_it, &f[0]);
	HOLDS(ga_gather(f, 3, GA_RETURN_EXCEPTIONS) == 0);
	HOLDS(ga_result(f[0], NULL) == -ECANCELED && ga_result(f[1], NULL) == 2 &&
	      ga_result(f[2], NULL) == 0);
	ga_release_all(f, 3);
	return 0;
}

static int cancelled_gather(unsigned flags)
{
	bool ended = false, *at = &ended;
	struct gathering g = { { ga_spawn(end_slowly, &at), NAP(0, 3), ga_spawn(swallow, NULL) },
			       flags };
	GA_AUTO ga_future *t = ga_spawn(gather_three, &g);
	int64_t start;

	HOLDS(settle() == 0);
	start = ga_now();
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(ended && ga_now() - start == GA_SECONDS(1)); /* ended after all of them */
	HOLDS(ga_result(g.f[0], NULL) == -ECANCELED);
	HOLDS(ga_result(g.f[1], NULL) == 3); /* was done */
	HOLDS(ga_result(g.f[2], NULL) == 42);
	ga_release_all(g.f, 3);
	return 0;
}

CASE(cancelled, "spec, asyncio-task#asyncio.gather",
     "gather: cancelled, it cancels each unfinished child and ends cancelled after all of them")
{
	return cancelled_gather(0);
}

CASE(cancelled_return_exceptions, "spec",
     "gather: cancelled, it ends cancelled with return_exceptions too")
{
	return cancelled_gather(GA_RETURN_EXCEPTIONS);
}

CASE(cancelled_all_swallow, "spec",
     "gather: cancelled, it ends cancelled though every child takes its cancel and returns")
{
	struct gathering g = { { ga_spawn(swallow, NULL), ga_spawn(swallow, NULL),
				 ga_spawn(swallow, NULL) },
			       GA_RETURN_EXCEPTIONS };
	GA_AUTO ga_future *t = ga_spawn(gather_three, &g);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_result(g.f[i], NULL) == 42);
	ga_release_all(g.f, 3);
	return 0;
}

CASE(cancel_done, "spec", "gather: cancelling it once all are done returns false and results stand")
{
	struct gathering g = { { NAP(1, 1), NAP(1, 2), NAP(1, 3) }, 0 };
	GA_AUTO ga_future *t = ga_spawn(gather_three, &g);

	HOLDS(ga_await(t) == 0);
	HOLDS(!ga_cancel(t));
	HOLDS(ga_result(t, NULL) == 0);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_result(g.f[i], NULL) == i + 1);
	ga_release_all(g.f, 3);
	return 0;
}

CASE(detach_then_cancel, "asyncio-task#asyncio.gather",
     "gather: detached and done by an error, a later cancel reaches no sibling")
{
	struct gathering g = { { NAP(1, -EIO), NAP(3, 2), NAP(3, 3) }, GA_DETACH };
	GA_AUTO ga_future *t = ga_spawn(gather_three, &g);

	HOLDS(ga_await(t) == -EIO);
	HOLDS(!ga_cancel(t));
	HOLDS(!ga_done(g.f[1]) && ga_cancelling(g.f[1]) == 0 && ga_cancelling(g.f[2]) == 0);
	HOLDS(ga_await(g.f[1]) == 2 && ga_await(g.f[2]) == 3);
	ga_release_all(g.f, 3);
	return 0;
}

CASE(no_memory_child, "libgather", "gather: a NULL counts as a child that failed with -ENOMEM")
{
	ga_future *f[] = { NAP(9, 1), NULL };

	HOLDS(ga_gather(f, 2, 0) == -ENOMEM);
	HOLDS(ga_done(f[0]) && ga_result(f[0], NULL) == -ECANCELED);
	HOLDS(ga_result(f[1], NULL) == -ENOMEM);
	ga_release_all(f, 2);
	return 0;
}

CASE(many_kinds, "spec", "gather: takes tasks, sleeps and plain futures alike, a thousand at once")
{
	const struct nap nap = { 1, 0 };
	ga_future *f[1000];

	for (int i = 0; i < 1000; i++)
		f[i] = i % 100 ? ga_sleep_future(GA_MILLISECONDS(i)) : ga_spawn(take_nap, &nap);
	HOLDS(ga_gather(f, 1000, 0) == 0);
	for (int i = 0; i < 1000; i++)
		HOLDS(ga_result(f[i], NULL) == 0);
	ga_release_all(f, 1000);
	return 0;
}

CASE(nested, "asyncio-task#asyncio.gather",
     "gather: a child may gather, and an error goes up through both")
{
	struct gathering inner = { { NAP(9, 1), NAP(1, -EPROTO), NAP(9, 3) }, 0 };
	ga_future *f[] = { ga_spawn(gather_three, &inner), NAP(9, 4) };

	HOLDS(ga_gather(f, 2, 0) == -EPROTO);
	HOLDS(ga_result(inner.f[0], NULL) == -ECANCELED && ga_result(f[1], NULL) == -ECANCELED);
	ga_release_all(f, 2);
	ga_release_all(inner.f, 3);
	return 0;
}

CASE(unknown_flags, "libgather", "gather: flags that it doesn't know are refused")
{
	HOLDS(ga_gather(NULL, 0, 1u << 31) == -EINVAL);
	return 0;
}
