/* Runner, and what asks for tasks and names. */
#include "conform.h"
#include <gather/runner.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

static int return_arg(const void *arg)
{
	return *(const int *)arg;
}

CASE_BARE(several, "asyncio-runner#asyncio.Runner",
	  "runner: runs several mains on one loop, one after the other")
{
	ga_runner *r;

	HOLDS(ga_runner_new(NULL, &r) == 0);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_runner_run(r, return_arg, &i) == i);
	HOLDS(ga_runner_close(r) == 0);
	return 0;
}

static ga_future *background;

static int start_background(const void *arg)
{
	background = ga_spawn(take_nap, arg);
	return ga_sleep(0);
}

static int await_background(const void *unused GA_UNUSED)
{
	return ga_await(background);
}

CASE_BARE(lives_on, "asyncio-runner#asyncio.Runner.run", "runner: tasks live on between its runs")
{
	const struct ga_run_options options = { .virtual_time = true };
	const struct nap nap = { 1, 5 };
	ga_runner *r;

	HOLDS(ga_runner_new(&options, &r) == 0);
	HOLDS(ga_runner_run(r, start_background, &nap) == 0);
	HOLDS(!ga_done(background));
	HOLDS(ga_runner_run(r, await_background, NULL) == 5);
	ga_release(background);
	HOLDS(ga_runner_close(r) == 0);
	return 0;
}

static bool ended;

static int note_end(const void *unused GA_UNUSED)
{
	ended = ga_sleep(GA_SECONDS(1000)) == -ECANCELED;
	return 0;
}

static int leave_task(const void *unused GA_UNUSED)
{
	ga_release(ga_spawn(note_end, NULL));
	return ga_sleep(0);
}

CASE_BARE(close_joins, "asyncio-runner#asyncio.Runner.close",
	  "runner: close cancels and joins the tasks that are left")
{
	ga_runner *r;

	ended = false;
	HOLDS(ga_runner_new(NULL, &r) == 0);
	HOLDS(ga_runner_run(r, leave_task, NULL) == 0);
	HOLDS(!ended);
	HOLDS(ga_runner_close(r) == 0);
	HOLDS(ended);
	HOLDS(ga_runner_close(NULL) == 0);
	return 0;
}

CASE_BARE(unused_runner, "asyncio-runner#asyncio.Runner.close",
	  "runner: one that never ran is closed like any other")
{
	ga_runner *r;

	HOLDS(ga_runner_new(NULL, &r) == 0 && ga_runner_close(r) == 0);
	HOLDS(ga_run(return_arg, &(int){ 3 }) == 3); /* and the thread is free */
	return 0;
}

static ga_runner *outer;

static int run_inside(const void *unused GA_UNUSED)
{
	ga_runner *r;

	HOLDS(ga_runner_run(outer, return_arg, &(int){ 3 }) == -EBUSY);
	HOLDS(ga_runner_close(outer) == -EBUSY);
	HOLDS(ga_runner_new(NULL, &r) == -EBUSY);
	return 6;
}

CASE_BARE(inside, "asyncio-runner#asyncio.Runner.run",
	  "misuse: a runner isn't run or closed inside its run, nor made where a loop is")
{
	HOLDS(ga_runner_new(NULL, &outer) == 0);
	HOLDS(ga_runner_run(outer, run_inside, NULL) == 6);
	HOLDS(ga_runner_close(outer) == 0);
	return 0;
}

static int elsewhere[2];

static void *use_elsewhere(void *arg)
{
	elsewhere[0] = ga_runner_run(arg, return_arg, &(int){ 3 });
	elsewhere[1] = ga_runner_close(arg);
	return NULL;
}

CASE_BARE(other_thread, "asyncio-dev#concurrency-and-multithreading",
	  "misuse: another thread's runner is refused with -EPERM")
{
	pthread_t thread;
	ga_runner *r;

	HOLDS(ga_runner_new(NULL, &r) == 0);
	HOLDS(pthread_create(&thread, NULL, use_elsewhere, r) == 0);
	pthread_join(thread, NULL);
	HOLDS(elsewhere[0] == -EPERM && elsewhere[1] == -EPERM);
	HOLDS(ga_runner_run(r, return_arg, &(int){ 4 }) == 4);
	HOLDS(ga_runner_close(r) == 0);
	return 0;
}

static int interrupted(const void *unused GA_UNUSED)
{
	raise(SIGINT);
	return ga_sleep(GA_SECONDS(30));
}

CASE_BARE(sigint, "asyncio-runner#handling-keyboard-interruption",
	  "runner: SIGINT cancels the main that runs, and the next run is as the first")
{
	ga_runner *r;

	HOLDS(ga_runner_new(NULL, &r) == 0);
	HOLDS(ga_runner_run(r, interrupted, NULL) == -ECANCELED);
	HOLDS(ga_runner_run(r, return_arg, &(int){ 4 }) == 4);
	HOLDS(ga_runner_run(r, interrupted, NULL) == -ECANCELED);
	HOLDS(ga_runner_close(r) == 0);
	return 0;
}

/* ---- names, all_tasks ---- */

CASE(names, "asyncio-task#asyncio.Task.get_name",
     "name: is the function's, or the one that was given; of what is no task none")
{
	const struct ga_spawn_options options = { .name = "Bob" };
	static const struct nap nap = { 1, 1 };
	GA_AUTO ga_future *t = ga_spawn(take_nap, &nap);
	GA_AUTO ga_future *named = ga_spawn_with(take_nap, &nap, &options);
	GA_AUTO ga_future *f = ga_future_new();

	HOLDS(!strcmp(ga_task_name(t), "take_nap") && !strcmp(ga_task_name(named), "Bob"));
	HOLDS(!strcmp(ga_task_name(f), "") && strstr(ga_task_site(t), "runner.c:"));
	HOLDS(!strcmp(ga_task_site(f), ""));
	HOLDS(ga_await(t) == 1 && ga_await(named) == 1);
	return 0;
}

CASE(all_tasks, "asyncio-task#asyncio.all_tasks", "all_tasks: are those that haven't ended")
{
	ga_future *all[4], *f[] = { NAP(1, 1), NAP(2, 2) };

	HOLDS(ga_all_tasks(all, 4) == 3);
	HOLDS(all[0] == ga_self() && all[1] == f[0] && all[2] == f[1]); /* oldest first */
	HOLDS(ga_await(f[0]) == 1);
	HOLDS(ga_all_tasks(all, 1) == 2 && all[0] == ga_self());
	HOLDS(ga_await(f[1]) == 2);
	HOLDS(ga_all_tasks(NULL, 0) == 1);
	ga_release_all(f, 2);
	return 0;
}

/* ---- virtual time, seeds ---- */

static int sleep_a_day(const void *unused GA_UNUSED)
{
	int64_t start = ga_now();

	HOLDS(start == GA_SECONDS(1));
	HOLDS(ga_sleep(GA_SECONDS(86400)) == 0);
	HOLDS(ga_now() - start == GA_SECONDS(86400));
	return 0;
}

CASE_BARE(virtual_time, "spec", "virtual clock: begins at 1 s and jumps when all are parked")
{
	const struct ga_run_options options = { .virtual_time = true };

	return ga_run_with(sleep_a_day, NULL, &options);
}

static char trace[64];

static int trace_it(const void *arg)
{
	for (int i = 0; i < 3; i++) {
		strncat(trace, arg, 1);
		if (ga_sleep(0) < 0)
			return -EIO;
	}
	return 0;
}

static int trace_all(const void *unused GA_UNUSED)
{
	ga_future *f[4];

	for (int i = 0; i < 4; i++)
		f[i] = ga_spawn(trace_it, &"abcd"[i]);
	HOLDS(ga_gather(f, 4, 0) == 0);
	ga_release_all(f, 4);
	return 0;
}

static int trace_seed(uint64_t seed)
{
	const struct ga_run_options options = { .seed = seed, .virtual_time = true };

	trace[0] = '\0';
	return ga_run_with(trace_all, NULL, &options);
}

CASE_BARE(seeds, "spec",
	  "seeded scheduler: one seed is one order, seeds differ, and without one it is first come, first served")
{
	char earlier[64];
	int orders = 0;

	HOLDS(trace_seed(0) == 0 && !strcmp(trace, "abcdabcdabcd"));
	for (uint64_t seed = 1; seed <= 20; seed++) {
		HOLDS(trace_seed(seed) == 0);
		strcpy(earlier, trace);
		HOLDS(trace_seed(seed) == 0 && !strcmp(earlier, trace));
		orders += strcmp(trace, "abcdabcdabcd") != 0;
	}
	HOLDS(orders >= 10);
	return 0;
}
