/* to_thread, run_in_executor. */
#include "conform.h"
#include <gather/executor.h>
#include <gather/local.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define MANY 200 /* more than any pool has threads */

static int return_it(void *arg)
{
	return *(int *)arg;
}

CASE_REAL(result, "asyncio-task#asyncio.to_thread",
	  "executor: gives what the function returns, and its error")
{
	int good = 5, bad = -EPROTO;
	GA_AUTO ga_future *f = ga_executor(GA_POOL_IO, return_it, &good);
	GA_AUTO ga_future *g = ga_executor(GA_POOL_CPU, return_it, &bad);

	HOLDS(ga_await(f) == 5 && ga_await(g) == -EPROTO);
	return 0;
}

static int tell_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
	return ga_self() == NULL ? 0 : -EIO;
}

CASE_REAL(other_thread, "asyncio-task#asyncio.to_thread",
	  "executor: runs on a thread that isn't the loop's, and in no task")
{
	pthread_t there = pthread_self();
	GA_AUTO ga_future *f = ga_executor(GA_POOL_IO, tell_thread, &there);

	HOLDS(ga_await(f) == 0);
	HOLDS(!pthread_equal(there, pthread_self()));
	return 0;
}

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	bool open;
	atomic_int begun, ended, freed;
};

#define GATE                                                                                       \
	{                                                                                          \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0, 0                \
	}

static int pass_gate(void *arg)
{
	struct gate *g = arg;

	g->begun++;
	pthread_mutex_lock(&g->lock);
	while (!g->open)
		pthread_cond_wait(&g->opened, &g->lock);
	pthread_mutex_unlock(&g->lock);
	g->ended++;
	return 0;
}

static void open_gate(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->opened);
	pthread_mutex_unlock(&g->lock);
}

static void free_gate(void *arg)
{
	((struct gate *)arg)->freed++;
}

static int until(atomic_int *count, int wanted)
{
	while (*count < wanted)
		if (ga_sleep(GA_MILLISECONDS(1)) < 0)
			return -ECANCELED;
	return 0;
}

CASE_REAL(loop_goes_on, "asyncio-task#asyncio.to_thread",
	  "executor: a function that blocks doesn't block the loop")
{
	struct gate g = GATE;
	GA_AUTO ga_future *f = ga_executor(GA_POOL_IO, pass_gate, &g);

	HOLDS(until(&g.begun, 1) == 0);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_sleep(0) == 0 && !ga_done(f));
	open_gate(&g);
	HOLDS(ga_await(f) == 0);
	return 0;
}

CASE_REAL(cancel_abandons, "spec",
	  "executor: cancelling abandons the wait; the work that has begun goes on")
{
	struct gate g = GATE;
	GA_AUTO ga_future *f = ga_executor_with(GA_POOL_IO, pass_gate, &g, free_gate);

	HOLDS(until(&g.begun, 1) == 0);
	HOLDS(ga_cancel(f));
	HOLDS(ga_await(f) == -ECANCELED);
	HOLDS(g.ended == 0 && g.freed == 0);
	open_gate(&g);
	HOLDS(until(&g.freed, 1) == 0); /* there its argument can be freed */
	HOLDS(g.ended == 1);
	HOLDS(ga_result(f, NULL) == -ECANCELED);
	return 0;
}

CASE_REAL(cancel_queued, "libgather",
	  "executor: cancelled before a thread has begun it, the work is never run")
{
	struct gate g = GATE;
	GA_AUTO ga_future *first = ga_executor(GA_POOL_CPU, pass_gate, &g);
	GA_AUTO ga_future *second = ga_executor_with(GA_POOL_CPU, pass_gate, &g, free_gate);

	HOLDS(until(&g.begun, 1) == 0);
	HOLDS(ga_cancel(second));
	HOLDS(until(&g.freed, 1) == 0);
	open_gate(&g);
	HOLDS(ga_await(first) == 0);
	HOLDS(g.begun == 1);
	return 0;
}

CASE_REAL(after_call, "libgather",
	  "executor: `after` is called once on the loop's thread when the function has returned")
{
	struct gate g = GATE;
	GA_AUTO ga_future *f = ga_executor_with(GA_POOL_IO, pass_gate, &g, free_gate);

	open_gate(&g);
	HOLDS(ga_await(f) == 0);
	HOLDS(until(&g.freed, 1) == 0 && g.freed == 1);
	return 0;
}

CASE_REAL(full, "libgather", "executor: full, further work waits for a thread and is all done")
{
	struct gate g = GATE;
	ga_future *f[MANY];

	for (int i = 0; i < MANY; i++)
		f[i] = ga_executor(GA_POOL_IO, pass_gate, &g);
	HOLDS(until(&g.begun, 2) == 0);
	HOLDS(ga_sleep(GA_MILLISECONDS(2)) == 0);
	HOLDS(g.begun < MANY && g.ended == 0);
	open_gate(&g);
	HOLDS(ga_gather(f, MANY, 0) == 0);
	HOLDS(g.begun == MANY && g.ended == MANY);
	ga_release_all(f, MANY);
	return 0;
}

CASE_REAL(cpu_one, "spec", "executor: the CPU pool is one thread: its work runs one after the other")
{
	struct gate g = GATE;
	ga_future *f[3];

	for (int i = 0; i < 3; i++)
		f[i] = ga_executor(GA_POOL_CPU, pass_gate, &g);
	HOLDS(until(&g.begun, 1) == 0);
	HOLDS(ga_sleep(GA_MILLISECONDS(2)) == 0);
	HOLDS(g.begun == 1);
	open_gate(&g);
	HOLDS(ga_gather(f, 3, 0) == 0);
	ga_release_all(f, 3);
	return 0;
}

CASE_REAL(timed_out, "spec", "executor: a deadline ends the wait, not the work")
{
	struct gate g = GATE;
	GA_AUTO ga_future *f = ga_executor_with(GA_POOL_IO, pass_gate, &g, free_gate);

	HOLDS(until(&g.begun, 1) == 0);
	HOLDS(ga_await_until(f, ga_now() + GA_MILLISECONDS(2)) == -ETIMEDOUT);
	open_gate(&g);
	HOLDS(until(&g.freed, 1) == 0);
	return 0;
}

CASE_REAL(released, "libgather", "executor: work whose handle is released is done all the same")
{
	struct gate g = GATE;

	ga_release(ga_executor_with(GA_POOL_IO, pass_gate, &g, free_gate));
	open_gate(&g);
	HOLDS(until(&g.freed, 1) == 0);
	HOLDS(g.ended == 1);
	return 0;
}

CASE_REAL(with_wait, "asyncio-eventloop#asyncio.loop.run_in_executor",
	  "executor: its futures stand in gather and wait beside tasks and sleeps")
{
	int good = 5;
	ga_future *f[] = { ga_executor(GA_POOL_IO, return_it, &good), NAP(0, 6),
			   ga_sleep_future(GA_MILLISECONDS(1)) };

	HOLDS(ga_gather(f, 3, 0) == 0);
	HOLDS(ga_result(f[0], NULL) == 5 && ga_result(f[1], NULL) == 6);
	ga_release_all(f, 3);
	return 0;
}

CASE_REAL(bad_pool, "libgather", "executor: a pool that there isn't gives no future")
{
	int good = 5;

	HOLDS(ga_executor((enum ga_pool)7, return_it, &good) == NULL);
	return 0;
}

static int zero, first;
static const struct ga_local request = { "request", &zero };

static int read_local(void *arg)
{
	*(void **)arg = ga_local_get(&request);
	return 0;
}

CASE_REAL(locals, "asyncio-task#asyncio.to_thread",
	  "executor: work sees the locals of the task that handed it in")
{
	void *seen = NULL;
	GA_AUTO ga_future *f = NULL;

	HOLDS(ga_local_set(&request, &first) == 0);
	f = ga_executor(GA_POOL_IO, read_local, &seen);
	HOLDS(ga_await(f) == 0);
	HOLDS(seen == &first);
	return 0;
}

CASE_REAL(overfull, "spec", "misuse: an executor that is full answers -EAGAIN at once, and works on")
{
	struct gate g = GATE;
	ga_future *f[4];

	HOLDS(ga_executor_limit(GA_POOL_IO, 1, 2) == 0);
	f[0] = ga_executor(GA_POOL_IO, pass_gate, &g);
	HOLDS(until(&g.begun, 1) == 0);
	for (int i = 1; i < 4; i++)
		f[i] = ga_executor(GA_POOL_IO, pass_gate, &g);
	HOLDS(ga_done(f[3]) && ga_result(f[3], NULL) == -EAGAIN);
	HOLDS(!ga_done(f[1]) && !ga_done(f[2]));
	open_gate(&g);
	HOLDS(ga_gather(f, 3, 0) == 0 && g.ended == 3);
	ga_release_all(f, 4);
	f[0] = ga_executor(GA_POOL_IO, pass_gate, &g);
	HOLDS(ga_await(f[0]) == 0);
	ga_release(f[0]);
	return 0;
}
