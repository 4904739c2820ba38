/* Bad use: an error that says what was wrong, never a hang and never a crash. */
#include "conform.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int await_self(const void *unused GA_UNUSED)
{
	ga_future *me = ga_self();
	ga_future *two[] = { me, me };

	HOLDS(ga_await(me) == -EDEADLK);
	HOLDS(ga_await_until(me, after(1)) == -EDEADLK);
	HOLDS(ga_shield(me) == -EDEADLK);
	HOLDS(ga_gather(two, 2, 0) == -EDEADLK);
	HOLDS(ga_wait(two, 2, GA_FIRST_COMPLETED, GA_NEVER) == -EDEADLK);
	return 4;
}

CASE(oneself, "spec", "misuse: awaiting oneself is -EDEADLK, by each way of waiting")
{
	GA_AUTO ga_future *t = ga_spawn(await_self, NULL);

	HOLDS(ga_await(t) == 4);
	return 0;
}

struct outside {
	ga_future *pending;
	int done, results[8];
};

/* On the loop's stack, where nothing may suspend. */
static void try_all(ga_future *f GA_UNUSED, void *arg)
{
	struct outside *o = arg;
	struct ga_timeout scope;

	o->results[0] = ga_await(o->pending);
	o->results[1] = ga_await_until(o->pending, ga_now() + GA_SECONDS(1));
	o->results[2] = ga_shield(o->pending);
	o->results[3] = ga_gather(&o->pending, 1, 0);
	o->results[4] = ga_wait(&o->pending, 1, GA_ALL_COMPLETED, GA_NEVER);
	o->results[5] = ga_sleep(0);
	o->results[6] = ga_timeout_enter(&scope, GA_NEVER);
	o->results[7] = ga_uncancel();
	o->done = 1;
}

CASE(outside_a_task, "libgather",
     "misuse: awaiting from outside a task is -EPERM, by each way of waiting")
{
	GA_AUTO ga_future *f = ga_future_new();
	struct outside o = { .pending = ga_future_new() };

	HOLDS(ga_on_done(f, try_all, &o) == 0);
	HOLDS(ga_resolve(f, 0, NULL) == 0);
	HOLDS(settle() == 0 && o.done);
	for (int i = 0; i < 8; i++)
		HOLDS(o.results[i] == -EPERM);
	HOLDS(!ga_done(o.pending)); /* and nothing has happened to it */
	ga_release(o.pending);
	return 0;
}

CASE_BARE(outside_a_loop, "libgather", "misuse: outside of a loop there are no tasks and no futures")
{
	HOLDS(ga_spawn(await_self, NULL) == NULL);
	HOLDS(ga_future_new() == NULL && ga_sleep_future(1) == NULL);
	HOLDS(ga_executor(GA_POOL_IO, NULL, NULL) == NULL);
	HOLDS(ga_ready_future(0, false) == NULL);
	HOLDS(ga_signal_future(SIGUSR1) == NULL);
	HOLDS(ga_sleep(0) == -EPERM && ga_sleep(GA_SECONDS(1)) == -EPERM);
	HOLDS(ga_gather(NULL, 0, 0) == 0); /* nothing to wait for is no wait */
	return 0;
}

struct elsewhere {
	ga_future *pending, *task;
	int results[6], run;
	bool cancelled;
};

static int use_foreign(const void *arg)
{
	struct elsewhere *e = *(struct elsewhere *const *)arg;

	e->results[0] = ga_await(e->pending);
	e->results[1] = ga_resolve(e->pending, 3, NULL);
	e->results[2] = ga_gather(&e->pending, 1, 0);
	e->results[3] = ga_wait(&e->task, 1, GA_ALL_COMPLETED, GA_NEVER);
	e->results[4] = ga_shield(e->task);
	e->results[5] = ga_on_done(e->pending, try_all, NULL);
	e->cancelled = ga_cancel(e->pending) || ga_cancel(e->task);
	return 0;
}

static void *other_thread(void *arg)
{
	((struct elsewhere *)arg)->run = ga_run(use_foreign, &arg);
	return NULL;
}

CASE_REAL(wrong_thread, "asyncio-dev#concurrency-and-multithreading",
	  "misuse: a future of another thread's loop is refused with -EPERM, and nothing happens to it")
{
	struct elsewhere e = { .pending = ga_future_new(), .task = NAP(0, 1) };
	pthread_t thread;

	HOLDS(pthread_create(&thread, NULL, other_thread, &e) == 0);
	pthread_join(thread, NULL); /* no await in between: the two loops don't touch them at once */
	HOLDS(e.run == 0);
	for (int i = 0; i < 6; i++)
		HOLDS(e.results[i] == -EPERM);
	HOLDS(!e.cancelled && !ga_done(e.pending) && ga_cancelling(e.task) == 0);
	HOLDS(ga_await(e.task) == 1);
	ga_release(e.task);
	ga_release(e.pending);
	return 0;
}

CASE(past, "libgather", "misuse: a deadline in the past is no error of its own, however far")
{
	HOLDS(ga_sleep_until(INT64_MIN) == 0);
	HOLDS(ga_sleep_until(0) == 0);
	return 0;
}

CASE(far, "libgather", "misuse: a time beyond all clocks is never, not long ago")
{
	GA_AUTO ga_future *t = NAP(1, 1);
	GA_AUTO ga_future *f = ga_sleep_future(INT64_MAX);

	HOLDS(ga_await_until(t, GA_NEVER) == 1);
	HOLDS(!ga_done(f) && ga_cancel(f));
	return 0;
}

CASE(no_stack, "libgather",
     "misuse: a stack larger than there are ends the task with -EINVAL, its body never runs")
{
	const struct ga_spawn_options options = { .stack_bytes = (size_t)1 << 30 };
	GA_AUTO ga_future *t = ga_spawn_with(await_self, NULL, &options);

	HOLDS(ga_await(t) == -EINVAL);
	return 0;
}

CASE(null_future, "libgather", "misuse: no future at all is one that failed with -ENOMEM")
{
	HOLDS(ga_done(NULL) && ga_result(NULL, NULL) == -ENOMEM);
	HOLDS(ga_await(NULL) == -ENOMEM && ga_shield(NULL) == -ENOMEM);
	HOLDS(ga_await_until(NULL, after(1)) == -ENOMEM);
	HOLDS(ga_on_done(NULL, try_all, NULL) == -EINVAL);
	HOLDS(ga_retain(NULL) == NULL);
	return 0;
}

static volatile char sink;

__attribute__((noinline)) static int go_deeper(int depth)
{
	char here[1000];

	memset(here, depth, sizeof(here));
	sink = here[depth % 1000];
	return depth < 100000 ? go_deeper(depth + 1) + here[(depth + 1) % 1000] : 0;
}

static int overflow(const void *unused GA_UNUSED)
{
	return go_deeper(0);
}

static int spawn_overflow(const void *unused GA_UNUSED)
{
	const struct ga_spawn_options options = { .name = "deep_thought" };
	GA_AUTO ga_future *t = ga_spawn_with(overflow, NULL, &options);

	return ga_await(t);
}

CASE_CHILD(stack_overflow, "spec", "misuse: a stack overflow ends the process and names the task")
{
	char report[8192];
	size_t size = 0;
	ssize_t n;
	int ends[2], status;
	pid_t child;

	HOLDS(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		_exit(ga_run(spawn_overflow, NULL) != 0);
	}
	close(ends[1]);
	while (size < sizeof(report) - 1 &&
	       (n = read(ends[0], report + size, sizeof(report) - 1 - size)) > 0)
		size += (size_t)n;
	close(ends[0]);
	report[size] = '\0';
	HOLDS(waitpid(child, &status, 0) == child);
	HOLDS(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	HOLDS(strstr(report, "deep_thought") != NULL);
	return 0;
}
