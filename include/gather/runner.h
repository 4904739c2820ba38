/*
 * runner.h — running programs on a loop with options, and several mains on one loop (asyncio.Runner).
 *
 * ga_run(main, arg) of async.h is ga_run_with(main, arg, NULL). A runner is owned by who made it and belongs to that
 * thread, which has no other loop until it is closed. None of these suspends: they are called outside of tasks.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ga_run_options {
	bool debug; /* reports of debug.h, as with GATHER_DEBUG=1 in the environment */
	/* A cancel is delivered once, at the next suspension, as asyncio does. Otherwise at each until ga_uncancel(). */
	bool edge_cancel;
	/* For tests: time begins at 1 s and jumps to the next timer whenever all tasks wait. What other threads and the
	 * kernel do meanwhile takes no time. */
	bool virtual_time;
	uint64_t seed;   /* for tests; not 0: tasks that are ready run in an order drawn from it */
	int64_t slow_ns; /* debug: a step longer than this is reported while it lasts; 0: 100 ms */
};

/* ga_run() with options, which are copied; NULL: all zero. */
GA_API int ga_run_with(ga_coroutine_fn main, const void *arg, const struct ga_run_options *options);

typedef struct ga_runner ga_runner;

/* A loop without a main yet. -ENOMEM; -EBUSY: this thread has a loop. */
GA_API int ga_runner_new(const struct ga_run_options *options, ga_runner **ret_runner) GA_MUST_CHECK;
/* Run `main` until it ends: its result; -EDEADLK, where ga_run() says it: main waited for what nothing can bring, and
 * was cancelled. Other tasks live on for the next run, and stand still between runs. The first SIGINT cancels main, as
 * of ga_run(). -EBUSY: inside a run; -EPERM: another thread's. */
GA_API int ga_runner_run(ga_runner *runner, ga_coroutine_fn main, const void *arg);
/* Cancel and join the tasks that are left, join the executor, free. NULL is a no-op. -EDEADLK: tasks waited for what
 * never comes and are lost; -EBUSY, -EPERM: as above, and nothing is closed. */
GA_API int ga_runner_close(ga_runner *runner);

#ifdef __cplusplus
}
#endif
