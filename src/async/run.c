/*
 * run.c — a whole program on one loop.
 */
#include "runtime.h"
#include "signals.h"
#include <errno.h>
#include <gather/async.h>
#include <signal.h>

struct run {
	struct runtime *runtime;
	ga_future *main;
	bool holding; /* for SIGINT */
};

static int run_main(struct run *run, ga_coroutine_fn main, const void *arg);
static void watch_sigint(struct run *run);
static void on_sigint(void *arg);
static void on_main_done(ga_future *main, void *arg);

int ga_run(ga_coroutine_fn main, const void *arg)
{
	struct run run = { 0 };
	struct loop *l;
	int r;

	if (loop_current())
		return -EBUSY;
	r = loop_new(NULL, &l);
	if (r < 0)
		return r;
	r = runtime_new(NULL, &run.runtime);
	if (r >= 0)
		r = run_main(&run, main, arg);
	loop_free(l); /* closes the runtime */
	return r;
}

static int run_main(struct run *run, ga_coroutine_fn main, const void *arg)
{
	int r;

	run->main = ga_spawn(main, arg);
	if (!run->main)
		return -ENOMEM;
	watch_sigint(run);
	r = ga_on_done(run->main, on_main_done, run->runtime->loop);
	if (r >= 0)
		r = loop_run(run->runtime->loop);
	if (r >= 0)
		r = ga_result(run->main, NULL);
	signals_off(run->runtime, SIGINT);
	if (run->holding)
		loop_hold(run->runtime->loop, -1);
	ga_release(run->main);
	return r == -EINPROGRESS ? -EDEADLK : r;
}

/* Only where SIGINT would have ended the program: a handler or SIG_IGN was meant. Without it (another thread's loop has
 * the signals) it still ends the program. The loop waits for it, as for anything: main may wait for nothing else. */
static void watch_sigint(struct run *run)
{
	struct sigaction now;

	if (sigaction(SIGINT, NULL, &now) < 0 || now.sa_flags & SA_SIGINFO || now.sa_handler != SIG_DFL)
		return;
	if (signals_on(run->runtime, SIGINT, on_sigint, run) < 0)
		return;
	run->holding = true;
	loop_hold(run->runtime->loop, 1);
}

/* Once: a second one ends the program as it would have without us. */
static void on_sigint(void *arg)
{
	struct run *run = arg;

	signals_off(run->runtime, SIGINT);
	ga_cancel(run->main);
}

static void on_main_done(ga_future *main GA_UNUSED, void *arg)
{
	loop_stop(arg);
}
