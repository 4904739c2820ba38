/*
 * runner.c — a loop with its options, and the mains that run on it.
 */
#include "debugging.h"
#include "future.h"
#include "runtime.h"
#include "shuffle.h"
#include "signals.h"
#include <errno.h>
#include <gather/runner.h>
#include <signal.h>
#include <stdlib.h>

struct ga_runner {
	struct loop *loop;
	struct runtime *runtime;
	ga_future *main; /* while one runs */
	struct future_waiter main_done;
	int64_t now; /* in virtual time */
	struct shuffle shuffle;
	bool holding; /* the loop, for SIGINT */
};

static int runner_setup(struct ga_runner *r, const struct ga_run_options *options);
static int64_t virtual_now(void *arg);
static void virtual_idle(void *arg, int64_t due);
static void order_calls(void *arg, struct list *calls);
static int run_main(struct ga_runner *r);
static void watch_sigint(struct ga_runner *r);
static void unwatch_sigint(struct ga_runner *r);
static void on_sigint(void *arg);
static void on_main_done(struct future_waiter *w, struct ga_future *main);
static void runner_free(struct ga_runner *r);

int ga_run(ga_coroutine_fn main, const void *arg)
{
	return ga_run_with(main, arg, NULL);
}

int ga_run_with(ga_coroutine_fn main, const void *arg, const struct ga_run_options *options)
{
	ga_runner *runner;
	int r = ga_runner_new(options, &runner);

	if (r < 0)
		return r;
	r = ga_runner_run(runner, main, arg);
	(void)ga_runner_close(runner); /* main's own result says more than a task that is stuck */
	return r;
}

int ga_runner_new(const struct ga_run_options *options, ga_runner **ret_runner)
{
	static const struct ga_run_options defaults;
	ga_runner *runner;
	int r;

	if (loop_current())
		return -EBUSY;
	runner = calloc(1, sizeof(*runner));
	if (!runner)
		return -ENOMEM;
	r = runner_setup(runner, options ? options : &defaults);
	if (r < 0) {
		runner_free(runner);
		return r;
	}
	*ret_runner = runner;
	return 0;
}

int ga_runner_run(ga_runner *runner, ga_coroutine_fn main, const void *arg)
{
	int r;

	if (runner->loop != loop_current())
		return -EPERM;
	if (runner->main)
		return -EBUSY;
	runner->main = ga_spawn_at(main, arg, NULL, "main", "ga_run");
	if (!runner->main)
		return -ENOMEM;
	future_wait(runner->main, &runner->main_done, on_main_done);
	watch_sigint(runner);
	r = run_main(runner);
	unwatch_sigint(runner);
	future_unwait(&runner->main_done);
	ga_release(runner->main);
	runner->main = NULL;
	return r;
}

int ga_runner_close(ga_runner *runner)
{
	int r;

	if (!runner)
		return 0;
	if (runner->loop != loop_current())
		return -EPERM;
	if (runner->main)
		return -EBUSY;
	r = runtime_close(runner->runtime);
	runner_free(runner);
	return r;
}

static int runner_setup(struct ga_runner *r, const struct ga_run_options *options)
{
	struct loop_options loop_options = { .clock_arg = r };
	int result;

	if (options->virtual_time) {
		r->now = GA_SECONDS(1);
		loop_options.clock = virtual_now;
		loop_options.idle = virtual_idle;
	}
	if (options->seed) {
		shuffle_init(&r->shuffle, options->seed);
		loop_options.order = order_calls;
	}
	result = loop_new(&loop_options, &r->loop);
	if (result < 0)
		return result;
	result = runtime_new(NULL, &r->runtime);
	if (result < 0)
		return result;
	r->runtime->options = *options;
	debug_begin(r->runtime, options->debug, options->slow_ns);
	return 0;
}

static int64_t virtual_now(void *arg)
{
	return ((struct ga_runner *)arg)->now;
}

static void virtual_idle(void *arg, int64_t due)
{
	((struct ga_runner *)arg)->now = due;
}

static void order_calls(void *arg, struct list *calls)
{
	shuffle_calls(&((struct ga_runner *)arg)->shuffle, calls);
}

/* If it is stuck it is cancelled: it may not outlive its run, as what `arg` points to is its caller's. */
static int run_main(struct ga_runner *r)
{
	int result = loop_run(r->loop);

	if (ga_done(r->main))
		return ga_result(r->main, NULL);
	ga_cancel(r->main);
	(void)!loop_run(r->loop); /* closing tries once more, and reports it */
	return result < 0 ? result : -EDEADLK;
}

/* Only where SIGINT would have ended the program: a handler or SIG_IGN was meant. Without it (another thread's loop has
 * the signals) it still ends the program. The loop waits for it, as for anything: main may wait for nothing else. */
static void watch_sigint(struct ga_runner *r)
{
	struct sigaction now;

	if (sigaction(SIGINT, NULL, &now) < 0 || now.sa_flags & SA_SIGINFO || now.sa_handler != SIG_DFL)
		return;
	if (signals_on(r->runtime, SIGINT, on_sigint, r) < 0)
		return;
	r->holding = true;
	loop_hold(r->loop, 1);
}

static void unwatch_sigint(struct ga_runner *r)
{
	signals_off(r->runtime, SIGINT);
	if (r->holding)
		loop_hold(r->loop, -1);
	r->holding = false;
}

/* Once: a second one ends the program as it would have without us. */
static void on_sigint(void *arg)
{
	struct ga_runner *r = arg;

	signals_off(r->runtime, SIGINT);
	ga_cancel(r->main);
}

static void on_main_done(struct future_waiter *w GA_UNUSED, struct ga_future *main)
{
	loop_stop(main->loop);
}

static void runner_free(struct ga_runner *r)
{
	loop_free(r->loop); /* and the runtime with it */
	shuffle_done(&r->shuffle);
	free(r);
}
