/* Futures that are resolved by hand, callbacks, readiness of descriptors, signals. */
#include "conform.h"
#include <signal.h>
#include <unistd.h>

CASE(pending, "asyncio-future#asyncio.Future.result",
     "future: a pending one isn't done and has no result")
{
	GA_AUTO ga_future *f = ga_future_new();
	int here = 1;
	void *value = &here;

	HOLDS(!ga_done(f) && ga_result(f, &value) == -EINPROGRESS);
	HOLDS(value == &here); /* not written */
	return 0;
}

CASE(resolved, "asyncio-future#asyncio.Future.set_result",
     "future: resolved, it is done and gives result and value")
{
	GA_AUTO ga_future *f = ga_future_new();
	int here;
	void *value = NULL;

	HOLDS(ga_resolve(f, 3, &here) == 0);
	HOLDS(ga_done(f) && ga_result(f, &value) == 3 && value == &here);
	HOLDS(ga_await(f) == 3);
	return 0;
}

CASE(once, "asyncio-future#asyncio.Future.set_result",
     "future: is resolved once; again is an error and changes nothing")
{
	GA_AUTO ga_future *f = ga_future_new();

	HOLDS(ga_resolve(f, 3, NULL) == 0);
	HOLDS(ga_resolve(f, 4, NULL) == -EALREADY);
	HOLDS(ga_result(f, NULL) == 3);
	return 0;
}

CASE(cancelled, "asyncio-future#asyncio.Future.cancel",
     "future: cancelled, it is done with -ECANCELED and can't be resolved")
{
	GA_AUTO ga_future *f = ga_future_new();

	HOLDS(ga_cancel(f));
	HOLDS(ga_done(f) && ga_result(f, NULL) == -ECANCELED);
	HOLDS(ga_resolve(f, 4, NULL) == -EALREADY);
	HOLDS(!ga_cancel(f));
	return 0;
}

CASE(cancel_done, "asyncio-future#asyncio.Future.cancel",
     "future: a cancel of a done one returns false and changes nothing")
{
	GA_AUTO ga_future *f = ga_future_new();

	HOLDS(ga_resolve(f, 3, NULL) == 0);
	HOLDS(!ga_cancel(f));
	HOLDS(ga_result(f, NULL) == 3);
	return 0;
}

static int resolve_later(const void *arg)
{
	ga_future *f = *(ga_future *const *)arg;
	int r = ga_sleep(GA_SECONDS(1));

	return r < 0 ? r : ga_resolve(f, 8, NULL);
}

CASE(wakes, "asyncio-future#asyncio.Future", "future: its resolution wakes all who await it")
{
	ga_future *f = ga_future_new();
	ga_future *t[] = { ga_spawn(await_it, &f), ga_spawn(resolve_later, &f),
			   ga_spawn(await_it, &f) };

	HOLDS(ga_gather(t, 3, 0) == 0);
	HOLDS(ga_result(t[0], NULL) == 8 && ga_result(t[2], NULL) == 8);
	ga_release_all(t, 3);
	ga_release(f);
	return 0;
}

CASE(task_by_hand, "asyncio-future#asyncio.Future.set_result", "future: a task can't be resolved by hand")
{
	GA_AUTO ga_future *t = NAP(1, 3);
	GA_AUTO ga_future *s = ga_sleep_future(GA_SECONDS(1));

	HOLDS(ga_resolve(t, 9, NULL) == -EINVAL && ga_resolve(s, 9, NULL) == -EINVAL);
	HOLDS(ga_resolve(NULL, 9, NULL) == -EINVAL);
	HOLDS(ga_await(t) == 3 && ga_await(s) == 0);
	return 0;
}

CASE(handle_goes, "libgather", "future: handles may go at any time, also while others wait")
{
	ga_future *f = ga_future_new();
	ga_future *t = ga_spawn(await_it, &f);

	HOLDS(settle() == 0);
	ga_retain(f);
	ga_release(f);
	HOLDS(ga_resolve(f, 2, NULL) == 0);
	ga_release(f);
	HOLDS(ga_await(t) == 2);
	ga_release(t);
	ga_release(NULL);
	ga_release_all((ga_future *const[]){ NULL, NULL }, 2);
	return 0;
}

/* ---- callbacks ---- */

struct told {
	int calls, result;
	ga_future *task;
};

static void tell(ga_future *f, void *arg)
{
	struct told *t = arg;

	t->calls++;
	t->result = ga_result(f, NULL);
	t->task = ga_self();
}

CASE(on_done, "asyncio-future#asyncio.Future.add_done_callback",
     "add_done_callback: is called soon after the future is done, never inside the resolution")
{
	GA_AUTO ga_future *f = ga_future_new();
	struct told t = { 0 };

	HOLDS(ga_on_done(f, tell, &t) == 0);
	HOLDS(settle() == 0 && t.calls == 0);
	HOLDS(ga_resolve(f, 6, NULL) == 0);
	HOLDS(t.calls == 0);
	HOLDS(settle() == 0);
	HOLDS(t.calls == 1 && t.result == 6);
	HOLDS(t.task == NULL); /* no task's: it may not suspend */
	return 0;
}

CASE(on_done_late, "asyncio-future#asyncio.Future.add_done_callback",
     "add_done_callback: of a future that is done already is called soon, too")
{
	GA_AUTO ga_future *f = ga_future_new();
	struct told t = { 0 };

	HOLDS(ga_resolve(f, 6, NULL) == 0);
	HOLDS(ga_on_done(f, tell, &t) == 0);
	HOLDS(t.calls == 0);
	HOLDS(settle() == 0 && t.calls == 1);
	return 0;
}

CASE(on_done_cancel, "asyncio-future#asyncio.Future.cancel",
     "add_done_callback: is called of a cancelled future, too")
{
	GA_AUTO ga_future *f = ga_future_new();
	GA_AUTO ga_future *task = NAP(9, 1);
	struct told t[2] = { { 0 } };

	HOLDS(ga_on_done(f, tell, &t[0]) == 0 && ga_on_done(task, tell, &t[1]) == 0);
	HOLDS(ga_cancel(f) && ga_cancel(task));
	HOLDS(settle() == 0);
	HOLDS(t[0].calls == 1 && t[0].result == -ECANCELED);
	HOLDS(t[1].calls == 1 && t[1].result == -ECANCELED);
	return 0;
}

static int order[3], ordered;

static void note_order(ga_future *f GA_UNUSED, void *arg)
{
	order[ordered++] = *(int *)arg;
}

CASE_FIFO(on_done_order, "asyncio-future#asyncio.Future.add_done_callback",
	  "add_done_callback: several are called in the order in which they were added")
{
	GA_AUTO ga_future *f = ga_future_new();
	int names[] = { 1, 2, 3 };

	ordered = 0;
	for (int i = 0; i < 3; i++)
		HOLDS(ga_on_done(f, note_order, &names[i]) == 0);
	HOLDS(ga_resolve(f, 0, NULL) == 0);
	HOLDS(settle() == 0);
	HOLDS(ordered == 3 && order[0] == 1 && order[1] == 2 && order[2] == 3);
	return 0;
}

CASE(on_done_handle, "libgather", "add_done_callback: keeps its future until it has called")
{
	struct told t = { 0 };
	ga_future *f = ga_sleep_future(GA_SECONDS(1));

	HOLDS(ga_on_done(f, tell, &t) == 0);
	ga_release(f);
	HOLDS(ga_sleep(GA_SECONDS(2)) == 0);
	HOLDS(t.calls == 1 && t.result == 0);
	return 0;
}

/* ---- descriptors ---- */

CASE_REAL(readable, "asyncio-eventloop#asyncio.loop.add_reader",
	  "ready: resolves once a descriptor is readable")
{
	ga_future *f;
	int ends[2];

	HOLDS(pipe(ends) == 0);
	f = ga_ready_future(ends[0], false);
	HOLDS(ga_sleep(GA_MILLISECONDS(2)) == 0 && !ga_done(f));
	HOLDS(write(ends[1], "x", 1) == 1);
	HOLDS(ga_await(f) == 0);
	ga_release(f);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

CASE_REAL(writable, "asyncio-eventloop#asyncio.loop.add_writer",
	  "ready: resolves once a descriptor is writable")
{
	ga_future *f;
	int ends[2];

	HOLDS(pipe(ends) == 0);
	f = ga_ready_future(ends[1], true);
	HOLDS(ga_await(f) == 0);
	ga_release(f);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

CASE_REAL(ready_cancelled, "asyncio-eventloop#asyncio.loop.remove_reader",
	  "ready: cancelled or released, the descriptor is watched no more")
{
	ga_future *f, *g;
	int ends[2];

	HOLDS(pipe(ends) == 0);
	f = ga_ready_future(ends[0], false);
	HOLDS(ga_cancel(f) && ga_result(f, NULL) == -ECANCELED);
	ga_release(ga_ready_future(ends[0], false));
	g = ga_ready_future(ends[0], false);
	HOLDS(write(ends[1], "x", 1) == 1);
	HOLDS(ga_await(g) == 0);
	ga_release(f);
	ga_release(g);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

CASE_REAL(ready_bad, "libgather", "ready: a descriptor that isn't one is an error")
{
	GA_AUTO ga_future *f = ga_ready_future(-1, false);

	HOLDS(ga_await(f) == -EBADF);
	return 0;
}

/* ---- signals ---- */

static int a_signal(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *f = ga_signal_future(SIGUSR1);
	GA_AUTO ga_future *g = NULL;

	HOLDS(f && raise(SIGUSR1) == 0);
	HOLDS(ga_await(f) == SIGUSR1);
	HOLDS(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0); /* nobody waits: remembered as one */
	HOLDS(ga_sleep(GA_MILLISECONDS(1)) == 0);
	g = ga_signal_future(SIGUSR1);
	HOLDS(ga_await(g) == SIGUSR1);
	return 0;
}

CASE_BARE(signals, "asyncio-eventloop#asyncio.loop.add_signal_handler",
	  "signal: resolves a future, and one that arrives while nobody waits is remembered")
{
	return ga_run(a_signal, NULL);
}

static int two_signals(const void *unused GA_UNUSED)
{
	ga_future *f[] = { ga_signal_future(SIGUSR1), ga_signal_future(SIGUSR2) };

	HOLDS(raise(SIGUSR2) == 0);
	HOLDS(ga_wait(f, 2, GA_FIRST_COMPLETED, ga_now() + GA_SECONDS(20)) == 1);
	HOLDS(ga_done(f[1]) && !ga_done(f[0]));
	HOLDS(ga_cancel(f[0]));
	ga_release_all(f, 2);
	return 0;
}

CASE_BARE(signals_apart, "asyncio-eventloop#asyncio.loop.add_signal_handler",
	  "signal: each wakes its own future, for gather and wait as any other")
{
	return ga_run(two_signals, NULL);
}

CASE_REAL(signal_bad, "asyncio-eventloop#asyncio.loop.add_signal_handler",
	  "signal: a number that is none, or can't be caught, gives no future")
{
	HOLDS(ga_signal_future(0) == NULL && ga_signal_future(-1) == NULL);
	HOLDS(ga_signal_future(SIGKILL) == NULL && ga_signal_future(10000) == NULL);
	return 0;
}
