/* Queue, LifoQueue, PriorityQueue. */
#include "conform.h"
#include <gather/queue.h>

static int items[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static int by_value(const void *a, const void *b)
{
	return *(const int *)a / 2 - *(const int *)b / 2; /* 2n and 2n + 1 are equals */
}

static int make(enum ga_queue_order order, size_t max, ga_queue **ret_queue)
{
	const struct ga_queue_options options = { .order = order, .max = max, .compare = by_value };

	return ga_queue_new(&options, ret_queue);
}

static int put(ga_queue *q, int item)
{
	return ga_queue_put(q, &items[item], GA_NEVER);
}

/* The item's number, or what went wrong. */
static int get(ga_queue *q, int64_t deadline)
{
	void *item = NULL;
	int r = ga_queue_get(q, deadline, &item);

	return r < 0 ? r : *(int *)item;
}

static int get_now(ga_queue *q)
{
	void *item = NULL;
	int r = ga_queue_get_now(q, &item);

	return r < 0 ? r : *(int *)item;
}

static int get_one(const void *arg)
{
	return get((ga_queue *)(uintptr_t)arg, GA_NEVER);
}

struct putter {
	ga_queue *queue;
	int item;
};

static int put_one(const void *arg)
{
	const struct putter *p = arg;

	return put(p->queue, p->item);
}

static int join_it(const void *arg)
{
	return ga_queue_join((ga_queue *)(uintptr_t)arg, GA_NEVER);
}

/* ---- order ---- */

CASE(fifo, "asyncio-queue#asyncio.Queue", "queue: first in, first out")
{
	ga_queue *q;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	for (int i = 1; i <= 5; i++)
		HOLDS(put(q, i) == 0);
	HOLDS(ga_queue_size(q) == 5);
	for (int i = 1; i <= 5; i++)
		HOLDS(get(q, GA_NEVER) == i);
	HOLDS(ga_queue_empty(q));
	ga_queue_free(q);
	return 0;
}

CASE(lifo, "asyncio-queue#asyncio.LifoQueue", "queue: a LifoQueue gives the latest first")
{
	ga_queue *q;

	HOLDS(make(GA_LIFO, 0, &q) == 0);
	for (int i = 1; i <= 5; i++)
		HOLDS(put(q, i) == 0);
	for (int i = 5; i >= 1; i--)
		HOLDS(get(q, GA_NEVER) == i);
	ga_queue_free(q);
	return 0;
}

CASE(priority, "asyncio-queue#asyncio.PriorityQueue",
     "queue: a PriorityQueue gives the lowest first, equals in order of arrival")
{
	const int in[] = { 9, 4, 7, 5, 2, 6, 3 }, out[] = { 2, 3, 4, 5, 7, 6, 9 };
	ga_queue *q;

	HOLDS(make(GA_PRIORITY, 0, &q) == 0);
	for (int i = 0; i < 7; i++)
		HOLDS(put(q, in[i]) == 0);
	for (int i = 0; i < 7; i++)
		HOLDS(get(q, GA_NEVER) == out[i]);
	ga_queue_free(q);
	return 0;
}

/* ---- waiting ---- */

CASE(get_waits, "asyncio-queue#asyncio.Queue.get",
     "queue: get of an empty one waits until there is an item")
{
	ga_queue *q;
	ga_future *t;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	t = ga_spawn(get_one, q);
	HOLDS(settle() == 0 && !ga_done(t));
	HOLDS(put(q, 7) == 0);
	HOLDS(ga_await(t) == 7);
	ga_release(t);
	ga_queue_free(q);
	return 0;
}

CASE(put_waits, "asyncio-queue#asyncio.Queue.put", "queue: put to a full one waits until there is room")
{
	struct putter p = { .item = 3 };
	ga_future *t;

	HOLDS(make(GA_FIFO, 2, &p.queue) == 0);
	HOLDS(ga_queue_max(p.queue) == 2);
	HOLDS(put(p.queue, 1) == 0 && put(p.queue, 2) == 0 && ga_queue_full(p.queue));
	t = ga_spawn(put_one, &p);
	HOLDS(settle() == 0 && !ga_done(t) && ga_queue_size(p.queue) == 2);
	HOLDS(get(p.queue, GA_NEVER) == 1);
	HOLDS(ga_await(t) == 0 && ga_queue_size(p.queue) == 2);
	HOLDS(get(p.queue, GA_NEVER) == 2);
	HOLDS(get(p.queue, GA_NEVER) == 3);
	ga_release(t);
	ga_queue_free(p.queue);
	return 0;
}

CASE(unbounded, "asyncio-queue#asyncio.Queue", "queue: one without a bound is never full")
{
	ga_queue *q;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(ga_queue_max(q) == 0);
	for (int i = 0; i < 1000; i++)
		HOLDS(ga_queue_put_now(q, &items[i % 16]) == 0 && !ga_queue_full(q));
	HOLDS(ga_queue_size(q) == 1000);
	ga_queue_free(q);
	return 0;
}

CASE(now, "asyncio-queue#asyncio.Queue.get_nowait",
     "queue: get_nowait and put_nowait never wait: empty and full are errors")
{
	ga_queue *q;

	HOLDS(make(GA_FIFO, 1, &q) == 0);
	HOLDS(get_now(q) == -EAGAIN);
	HOLDS(ga_queue_put_now(q, &items[1]) == 0);
	HOLDS(ga_queue_put_now(q, &items[2]) == -EAGAIN && ga_queue_size(q) == 1);
	HOLDS(get_now(q) == 1);
	HOLDS(get_now(q) == -EAGAIN);
	ga_queue_free(q);
	return 0;
}

static int three_getters(ga_queue *q, ga_future *f[3])
{
	for (int i = 0; i < 3; i++) {
		f[i] = ga_spawn(get_one, q);
		HOLDS(settle() == 0);
	}
	for (int i = 1; i <= 3; i++)
		HOLDS(ga_queue_put_now(q, &items[i]) == 0);
	return 0;
}

CASE(no_barging, "libgather", "queue: a newcomer takes no item that others who wait were woken for")
{
	ga_queue *q;
	ga_future *f[3];

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(three_getters(q, f) == 0);
	HOLDS(get_now(q) == -EAGAIN);
	HOLDS(ga_gather(f, 3, 0) == 0);
	HOLDS(ga_result(f[0], NULL) + ga_result(f[1], NULL) + ga_result(f[2], NULL) == 6);
	ga_release_all(f, 3);
	ga_queue_free(q);
	return 0;
}

CASE_FIFO(getters_fifo, "asyncio-queue#asyncio.Queue.get",
	  "queue: who waited first for an item gets the first")
{
	ga_queue *q;
	ga_future *f[3];

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(three_getters(q, f) == 0);
	HOLDS(ga_wait(f, 3, GA_ALL_COMPLETED, GA_NEVER) == 3);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_result(f[i], NULL) == i + 1);
	ga_release_all(f, 3);
	ga_queue_free(q);
	return 0;
}

CASE(deadline, "spec",
     "queue: a deadline ends the wait of get, put and join, and nothing is lost or added")
{
	ga_queue *q;

	HOLDS(make(GA_FIFO, 1, &q) == 0);
	HOLDS(get(q, after(1)) == -ETIMEDOUT);
	HOLDS(get(q, ga_now() - 1) == -ETIMEDOUT);
	HOLDS(ga_queue_put(q, &items[1], ga_now() - 1) == 0); /* possible at once */
	HOLDS(ga_queue_put(q, &items[2], after(1)) == -ETIMEDOUT);
	HOLDS(ga_queue_join(q, after(1)) == -ETIMEDOUT);
	HOLDS(ga_queue_size(q) == 1 && get(q, 0) == 1);
	ga_queue_free(q);
	return 0;
}

/* ---- cancelling ---- */

CASE(get_cancelled, "spec", "queue: a cancelled get loses no item")
{
	ga_queue *q;
	ga_future *t;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	t = ga_spawn(get_one, q);
	HOLDS(settle() == 0);
	HOLDS(put(q, 5) == 0); /* it is woken ... */
	HOLDS(ga_cancel(t));   /* ... and cancelled before it runs */
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(ga_queue_size(q) == 1 && get(q, after(1)) == 5);
	ga_release(t);
	ga_queue_free(q);
	return 0;
}

CASE(get_cancelled_next, "spec", "queue: a cancelled get wakes the next")
{
	ga_queue *q;
	ga_future *f[2];

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	for (int i = 0; i < 2; i++) {
		f[i] = ga_spawn(get_one, q);
		HOLDS(settle() == 0);
	}
	HOLDS(put(q, 5) == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_await_until(f[1], after(9)) == 5);
	ga_release_all(f, 2);
	ga_queue_free(q);
	return 0;
}

CASE(get_cancelled_order, "spec",
     "queue: of two items a cancelled get leaves the first to the next getter, in order")
{
	ga_queue *q;
	ga_future *f[2];

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	for (int i = 0; i < 2; i++) {
		f[i] = ga_spawn(get_one, q);
		HOLDS(settle() == 0);
	}
	HOLDS(put(q, 5) == 0 && put(q, 6) == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_await_until(f[1], after(9)) + get(q, after(9)) == 11); /* both are there */
	ga_release_all(f, 2);
	ga_queue_free(q);
	return 0;
}

CASE(put_cancelled, "spec", "queue: a cancelled put adds none")
{
	struct putter p = { .item = 2 };
	ga_future *t;

	HOLDS(make(GA_FIFO, 1, &p.queue) == 0);
	HOLDS(put(p.queue, 1) == 0);
	t = ga_spawn(put_one, &p);
	HOLDS(settle() == 0);
	HOLDS(get_now(p.queue) == 1); /* it is woken ... */
	HOLDS(ga_cancel(t));          /* ... and cancelled before it runs */
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(ga_queue_empty(p.queue) && get_now(p.queue) == -EAGAIN);
	HOLDS(ga_queue_task_done(p.queue) == 0);
	HOLDS(ga_queue_task_done(p.queue) == -EINVAL); /* it doesn't count as put either */
	ga_release(t);
	ga_queue_free(p.queue);
	return 0;
}

CASE(put_cancelled_next, "spec", "queue: a cancelled put wakes the next")
{
	struct putter p[] = { { .item = 2 }, { .item = 3 } };
	ga_future *f[2];
	ga_queue *q;

	HOLDS(make(GA_FIFO, 1, &q) == 0);
	HOLDS(put(q, 1) == 0);
	for (int i = 0; i < 2; i++) {
		p[i].queue = q;
		f[i] = ga_spawn(put_one, &p[i]);
		HOLDS(settle() == 0);
	}
	HOLDS(get_now(q) == 1);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_await_until(f[1], after(9)) == 0);
	HOLDS(get(q, after(1)) == 3);
	ga_release_all(f, 2);
	ga_queue_free(q);
	return 0;
}

/* ---- join ---- */

CASE(join_empty, "spec", "queue: join on an empty queue returns at once")
{
	int64_t start = ga_now();
	ga_queue *q;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(ga_queue_join(q, GA_NEVER) == 0 && ga_now() == start);
	ga_queue_free(q);
	return 0;
}

CASE(join_waits, "asyncio-queue#asyncio.Queue.join",
     "queue: join waits until each item that was put is done, not only got")
{
	ga_queue *q;
	ga_future *t;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(put(q, 1) == 0 && put(q, 2) == 0);
	t = ga_spawn(join_it, q);
	HOLDS(settle() == 0);
	HOLDS(get(q, GA_NEVER) == 1);
	HOLDS(get(q, GA_NEVER) == 2);
	HOLDS(settle() == 0 && !ga_done(t));
	HOLDS(ga_queue_task_done(q) == 0);
	HOLDS(settle() == 0 && !ga_done(t));
	HOLDS(ga_queue_task_done(q) == 0);
	HOLDS(ga_await(t) == 0);
	HOLDS(ga_queue_join(q, 0) == 0);
	ga_release(t);
	ga_queue_free(q);
	return 0;
}

CASE(done_beyond, "spec, asyncio-queue#asyncio.Queue.task_done",
     "misuse: task_done beyond puts is an error")
{
	ga_queue *q;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(ga_queue_task_done(q) == -EINVAL);
	HOLDS(put(q, 1) == 0 && ga_queue_task_done(q) == 0);
	HOLDS(ga_queue_task_done(q) == -EINVAL);
	HOLDS(ga_queue_join(q, GA_NEVER) == 0);
	ga_queue_free(q);
	return 0;
}

/* ---- shutdown ---- */

CASE(shutdown_puts, "spec, asyncio-queue#asyncio.Queue.shutdown",
     "queue: shutdown: blocked and later puts fail")
{
	struct putter p = { .item = 2 };
	ga_future *t;

	HOLDS(make(GA_FIFO, 1, &p.queue) == 0);
	HOLDS(put(p.queue, 1) == 0);
	t = ga_spawn(put_one, &p);
	HOLDS(settle() == 0);
	ga_queue_shutdown(p.queue, false);
	HOLDS(ga_await(t) == -ESHUTDOWN);
	HOLDS(put(p.queue, 3) == -ESHUTDOWN);
	HOLDS(ga_queue_put_now(p.queue, &items[3]) == -ESHUTDOWN);
	ga_release(t);
	ga_queue_free(p.queue);
	return 0;
}

CASE(shutdown_gets, "spec, asyncio-queue#asyncio.Queue.shutdown",
     "queue: shutdown: gets drain it and then fail")
{
	ga_queue *q;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(put(q, 1) == 0 && put(q, 2) == 0);
	ga_queue_shutdown(q, false);
	HOLDS(get(q, GA_NEVER) == 1);
	HOLDS(get_now(q) == 2);
	HOLDS(get(q, GA_NEVER) == -ESHUTDOWN);
	HOLDS(get_now(q) == -ESHUTDOWN);
	ga_queue_free(q);
	return 0;
}

CASE(shutdown_getters, "asyncio-queue#asyncio.Queue.shutdown", "queue: shutdown: gets that wait fail")
{
	ga_queue *q;
	ga_future *f[2];

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	for (int i = 0; i < 2; i++)
		f[i] = ga_spawn(get_one, q);
	HOLDS(settle() == 0);
	ga_queue_shutdown(q, false);
	HOLDS(ga_await(f[0]) == -ESHUTDOWN && ga_await(f[1]) == -ESHUTDOWN);
	ga_release_all(f, 2);
	ga_queue_free(q);
	return 0;
}

CASE(shutdown_join, "spec, asyncio-queue#asyncio.Queue.shutdown",
     "queue: shutdown: join still waits for task_done")
{
	ga_queue *q;
	ga_future *t;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(put(q, 1) == 0 && put(q, 2) == 0);
	t = ga_spawn(join_it, q);
	ga_queue_shutdown(q, false);
	for (int i = 1; i <= 2; i++) {
		HOLDS(settle() == 0 && !ga_done(t));
		HOLDS(get(q, GA_NEVER) == i);
		HOLDS(settle() == 0 && !ga_done(t));
		HOLDS(ga_queue_task_done(q) == 0);
	}
	HOLDS(ga_await(t) == 0);
	ga_release(t);
	ga_queue_free(q);
	return 0;
}

CASE(shutdown_at_once, "asyncio-queue#asyncio.Queue.shutdown",
     "queue: an immediate shutdown empties it, counts what was in it as done, and gets fail")
{
	ga_queue *q;
	ga_future *t;

	HOLDS(make(GA_FIFO, 0, &q) == 0);
	HOLDS(put(q, 1) == 0 && put(q, 2) == 0 && get(q, GA_NEVER) == 1);
	t = ga_spawn(join_it, q);
	HOLDS(settle() == 0);
	ga_queue_shutdown(q, true);
	HOLDS(ga_queue_empty(q) && get(q, GA_NEVER) == -ESHUTDOWN && get_now(q) == -ESHUTDOWN);
	HOLDS(settle() == 0 && !ga_done(t)); /* the one that was got isn't done yet */
	HOLDS(ga_queue_task_done(q) == 0);
	HOLDS(ga_await(t) == 0);
	ga_release(t);
	ga_queue_free(q);
	return 0;
}

CASE(shutdown_at_once_join, "asyncio-queue#asyncio.Queue.shutdown",
     "queue: an immediate shutdown ends a join if nothing else is unfinished")
{
	ga_queue *q;
	ga_future *t;

	HOLDS(make(GA_LIFO, 0, &q) == 0);
	HOLDS(put(q, 1) == 0);
	t = ga_spawn(join_it, q);
	HOLDS(settle() == 0);
	ga_queue_shutdown(q, true);
	HOLDS(ga_await_until(t, after(5)) == 0);
	ga_release(t);
	ga_queue_free(q);
	return 0;
}

CASE(shutdown_twice, "asyncio-queue#asyncio.Queue.shutdown",
     "queue: shut down twice is as once, and may become immediate")
{
	ga_queue *q;

	HOLDS(make(GA_PRIORITY, 0, &q) == 0);
	HOLDS(put(q, 1) == 0);
	ga_queue_shutdown(q, false);
	ga_queue_shutdown(q, false);
	HOLDS(ga_queue_size(q) == 1);
	ga_queue_shutdown(q, true);
	HOLDS(ga_queue_empty(q) && get_now(q) == -ESHUTDOWN);
	ga_queue_free(q);
	return 0;
}

/* ---- together ---- */

static int sum;

static int produce(const void *arg)
{
	for (int i = 1; i <= 10; i++)
		if (put((ga_queue *)(uintptr_t)arg, i) < 0)
			return -EIO;
	return 0;
}

static int consume(const void *arg)
{
	ga_queue *q = (ga_queue *)(uintptr_t)arg;

	for (;;) {
		int item = get(q, GA_NEVER);

		if (item < 0)
			return item == -ESHUTDOWN ? 0 : item;
		sum += item;
		(void)ga_sleep(0);
		if (ga_queue_task_done(q) < 0)
			return -EIO;
	}
}

CASE(work, "asyncio-queue#examples",
     "queue: producers and consumers share work through a small one, each item worked off once")
{
	ga_future *f[5];
	ga_queue *q;

	sum = 0;
	HOLDS(make(GA_FIFO, 3, &q) == 0);
	for (int i = 0; i < 5; i++)
		f[i] = ga_spawn(i < 2 ? produce : consume, q);
	HOLDS(ga_gather(f, 2, 0) == 0);
	HOLDS(ga_queue_join(q, GA_NEVER) == 0);
	HOLDS(sum == 110);
	ga_queue_shutdown(q, false);
	HOLDS(ga_gather(f, 5, 0) == 0);
	ga_release_all(f, 5);
	ga_queue_free(q);
	return 0;
}
