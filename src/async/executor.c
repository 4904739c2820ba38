/*
 * executor.c — blocking work on threads, as futures.
 */
#include "executor.h"
#include "future.h"
#include "locals.h"
#include "task.h"
#include <errno.h>
#include <gather/executor.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct work {
	struct ga_future future; /* one reference is the work's own, until on_work_done() */
	/* Its node is first in a pool's queue, then in the loop's; in neither while it runs. Its arg: the locals of the
	 * task that handed it in. */
	struct loop_call call;
	int (*fn)(void *arg);
	void (*after)(void *arg);
	void *arg;
	struct pool *pool;
	bool begun; /* or withdrawn; under the pool's lock */
	int result; /* the thread's; the future may have been abandoned meanwhile and belongs to the loop's thread */
};
_Static_assert(sizeof(struct work) <= 128, "a stackless future is small");

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list queue; /* of work.call.node */
	struct loop *loop;
	bool pinned; /* keeps the CPUs of the loop's thread */
	bool closing;
	unsigned limit, queue_limit;
	unsigned count, queued;
	unsigned idle; /* threads that run nothing, though work may be queued for them already */
	pthread_t threads[THREADS_MAX];
};

struct executor {
	unsigned unfinished;  /* handed in, and on_work_done() not called yet */
	bool closing;         /* nothing more will be waited for */
	struct pool pools[2]; /* by enum ga_pool */
};

static cpu_set_t io_cpus;

static struct executor *executor_get(struct runtime *rt);
static void pool_init(struct pool *p, struct loop *l, unsigned limit, bool pinned);
static int pool_add(struct pool *p, struct work *w);
static bool pool_has_room(struct pool *p);
static int pool_start_thread(struct pool *p);
static void *pool_main(void *arg);
static void work_run(struct work *w);
static void pool_close(struct pool *p);
static bool work_withdraw(struct work *w);
static void on_work_done(struct loop_call *c);
static void work_cancel(struct ga_future *f);
static void work_free(struct ga_future *f);

static const struct future_ops work_ops = { .kind = "executor", .cancel = work_cancel, .free = work_free };

__attribute__((constructor)) static void remember_cpus(void)
{
	if (sched_getaffinity(0, sizeof(io_cpus), &io_cpus) < 0)
		CPU_ZERO(&io_cpus);
}

void executor_set_io_cpus(const cpu_set_t *cpus)
{
	io_cpus = *cpus;
}

ga_future *ga_executor(enum ga_pool pool, int (*fn)(void *arg), void *arg)
{
	return ga_executor_with(pool, fn, arg, NULL);
}

ga_future *ga_executor_with(enum ga_pool pool, int (*fn)(void *arg), void *arg,
			    void (*after)(void *arg))
{
	struct runtime *rt = runtime_get();
	struct executor *e = rt ? executor_get(rt) : NULL;
	struct work *w;
	int r;

	if (!e || (pool != GA_POOL_IO && pool != GA_POOL_CPU))
		return NULL;
	w = malloc(sizeof(*w));
	if (!w)
		return NULL;
	future_init(&w->future, &work_ops);
	loop_call_init(&w->call, on_work_done, rt->current ? locals_ref(rt->current->locals) : NULL);
	w->fn = fn;
	w->arg = arg;
	w->after = after;
	w->begun = false;
	w->pool = &e->pools[pool];
	w->future.refs++;
	e->unfinished++;
	loop_hold(rt->loop, 1);
	r = pool_add(w->pool, w);
	if (r < 0) {
		future_resolve(&w->future, r, NULL);
		loop_call_soon(rt->loop, &w->call); /* `after` is called as for any other */
	}
	return &w->future;
}

int ga_executor_limit(enum ga_pool pool, unsigned threads, unsigned queue)
{
	struct runtime *rt = runtime_get();
	struct executor *e;
	struct pool *p;

	if (!rt)
		return loop_current() ? -ENOMEM : -EPERM;
	e = executor_get(rt);
	if (!e)
		return rt->executor_closed ? -ECANCELED : -ENOMEM;
	if ((pool != GA_POOL_IO && pool != GA_POOL_CPU) || threads == 0 || threads > THREADS_MAX)
		return -EINVAL;
	p = &e->pools[pool];
	pthread_mutex_lock(&p->lock);
	p->limit = threads;
	p->queue_limit = queue;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

void executor_close(struct runtime *rt)
{
	struct executor *e = rt->executor;

	rt->executor_closed = !e;
	if (!e)
		return;
	e->closing = true;
	while (e->unfinished > 0)
		if (loop_run(rt->loop) < 0)
			break;
	for (size_t i = 0; i < ARRAY_SIZE(e->pools); i++)
		pool_close(&e->pools[i]);
	free(e);
	rt->executor = NULL;
	rt->executor_closed = true;
}

static struct executor *executor_get(struct runtime *rt)
{
	if (rt->executor || rt->executor_closed)
		return rt->executor;
	rt->executor = calloc(1, sizeof(*rt->executor));
	if (!rt->executor)
		return NULL;
	pool_init(&rt->executor->pools[GA_POOL_IO], rt->loop, IO_THREADS, false);
	pool_init(&rt->executor->pools[GA_POOL_CPU], rt->loop, CPU_THREADS, true);
	return rt->executor;
}

static void pool_init(struct pool *p, struct loop *l, unsigned limit, bool pinned)
{
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	list_init(&p->queue);
	p->loop = l;
	p->limit = limit;
	p->queue_limit = QUEUE_MAX;
	p->pinned = pinned;
}

/* -EAGAIN: full, or no thread could be started and there is none. */
static int pool_add(struct pool *p, struct work *w)
{
	int r;

	pthread_mutex_lock(&p->lock);
	r = pool_has_room(p) ? 0 : -EAGAIN;
	if (r == 0) {
		list_push_back(&p->queue, &w->call.node);
		p->queued++;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* A thread is free, or starts, or there is one and a place in the queue. */
static bool pool_has_room(struct pool *p)
{
	if (p->queued < p->idle || (p->count < p->limit && pool_start_thread(p) == 0))
		return true;
	return p->count > 0 && p->queued - p->idle < p->queue_limit;
}

/* With all signals blocked: they are the loop's business. */
static int pool_start_thread(struct pool *p)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&p->threads[p->count], NULL, pool_main, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	p->count++;
	p->idle++;
	return 0;
}

static void *pool_main(void *arg)
{
	struct pool *p = arg;
	struct list *node;
	struct work *w;

	pthread_setname_np(pthread_self(), p->pinned ? "ga-cpu" : "ga-io");
	if (!p->pinned && CPU_COUNT(&io_cpus) > 0)
		(void)pthread_setaffinity_np(pthread_self(), sizeof(io_cpus), &io_cpus);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while ((node = list_pop_front(&p->queue)) == NULL && !p->closing)
			pthread_cond_wait(&p->wake, &p->lock);
		if (!node)
			break;
		w = container_of(node, struct work, call.node);
		w->begun = true;
		p->queued--;
		p->idle--;
		pthread_mutex_unlock(&p->lock);
		work_run(w);
		pthread_mutex_lock(&p->lock);
		p->idle++;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void work_run(struct work *w)
{
	locals_lend(w->call.arg);
	w->result = w->fn(w->arg);
	locals_lend(NULL);
	loop_call_from_thread(w->pool->loop, &w->call);
}

/* The queue is empty. Threads stay until now, as asyncio's do: those that are idle are used again. */
static void pool_close(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->count; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
}

/* Take work back that no thread has begun. */
static bool work_withdraw(struct work *w)
{
	struct pool *p = w->pool;
	bool queued;

	pthread_mutex_lock(&p->lock);
	queued = !w->begun;
	if (queued) {
		list_remove(&w->call.node);
		p->queued--;
		w->begun = true;
	}
	pthread_mutex_unlock(&p->lock);
	return queued;
}

static void on_work_done(struct loop_call *c)
{
	struct work *w = container_of(c, struct work, call);
	struct loop *l = w->future.loop;
	struct executor *e = runtime_current()->executor;

	loop_hold(l, -1);
	locals_unref(c->arg);
	future_resolve(&w->future, w->result, NULL);
	if (w->after)
		w->after(w->arg);
	ga_release(&w->future);
	if (--e->unfinished == 0 && e->closing)
		loop_stop(l);
}

/* The wait is over; the work goes on, unless it hasn't begun. */
static void work_cancel(struct ga_future *f)
{
	struct work *w = container_of(f, struct work, future);

	if (work_withdraw(w))
		loop_call_soon(f->loop, &w->call);
	future_resolve(f, -ECANCELED, NULL);
}

static void work_free(struct ga_future *f)
{
	free(container_of(f, struct work, future));
}
