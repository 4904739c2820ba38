/*
 * queue.c — asyncio.Queue, with claims: who is told of an item or of room owns one until it runs, so that nobody else takes
 * it. Which item that is shows when it runs, as in asyncio.
 *
 * Somebody waits to get only while no item is unclaimed, and to put only while no room is. Shut down, nobody waits to put,
 * and to get only while items are there that those who claimed them may still leave.
 */
#include "debugging.h"
#include "queue_items.h"
#include "waiters.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct side { /* getting, or putting */
	struct ga_waiters waiters;
	size_t claims; /* of those that were told and haven't run since */
};

struct ga_queue {
	struct queue_items items;
	size_t max;
	void (*drop)(void *item);
	struct side get, put;
	size_t unfinished;
	struct ga_waiters joiners;
	bool is_shut;
};

struct claimant {
	struct ga_waiter waiter;
	bool claims;
};

static int side_wait(struct side *s, const char *kind, int64_t deadline, bool *ret_claimed);
static void side_tell(struct side *s);
static bool has_item(const struct ga_queue *q);
static bool has_room(const struct ga_queue *q);
static bool is_over(const struct ga_queue *q);
static void offer_item(struct ga_queue *q);
static void offer_room(struct ga_queue *q);
static int put(struct ga_queue *q, void *item);
static void *take(struct ga_queue *q);
static void finish(struct ga_queue *q, size_t count);
static size_t drop_all(struct ga_queue *q);

int ga_queue_new(const struct ga_queue_options *options, ga_queue **ret_queue)
{
	static const struct ga_queue_options plain = { .order = GA_FIFO };
	const struct ga_queue_options *o = options ? options : &plain;
	struct ga_queue *q;

	if (o->order < GA_FIFO || o->order > GA_PRIORITY || (o->order == GA_PRIORITY && !o->compare))
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	queue_items_init(&q->items, o->order, o->compare);
	q->max = o->max;
	q->drop = o->drop;
	*ret_queue = q;
	return 0;
}

void ga_queue_free(ga_queue *queue)
{
	if (!queue)
		return;
	assert(!queue->get.waiters.first && !queue->put.waiters.first && !queue->joiners.first);
	assert(queue->get.claims + queue->put.claims == 0);
	(void)drop_all(queue);
	queue_items_done(&queue->items);
	free(queue);
}

void ga_queue_freep(ga_queue **queue)
{
	ga_queue_free(*queue);
	*queue = NULL;
}

int ga_queue_put(ga_queue *queue, void *item, int64_t deadline)
{
	int r = waiters_begin();
	bool claimed = false;

	if (r < 0)
		return r;
	if (!queue->is_shut && !has_room(queue))
		r = side_wait(&queue->put, "queue put", deadline, &claimed);
	if (r == 0)
		r = queue->is_shut ? -ESHUTDOWN : put(queue, item);
	if (r < 0 && claimed)
		offer_room(queue);
	return r;
}

int ga_queue_put_now(ga_queue *queue, void *item)
{
	if (queue->is_shut)
		return -ESHUTDOWN;
	return has_room(queue) ? put(queue, item) : -EAGAIN;
}

int ga_queue_get(ga_queue *queue, int64_t deadline, void **ret_item)
{
	int r = waiters_begin();
	bool claimed = false;

	if (r < 0)
		return r;
	if (!has_item(queue) && !is_over(queue))
		r = side_wait(&queue->get, "queue get", deadline, &claimed);
	if (r < 0 && claimed)
		offer_item(queue);
	if (r < 0)
		return r;
	if (!has_item(queue))
		return -ESHUTDOWN; /* only the end wakes a getter for nothing */
	*ret_item = take(queue);
	return 0;
}

int ga_queue_get_now(ga_queue *queue, void **ret_item)
{
	if (!has_item(queue))
		return is_over(queue) ? -ESHUTDOWN : -EAGAIN;
	*ret_item = take(queue);
	return 0;
}

int ga_queue_task_done(ga_queue *queue)
{
	if (queue->unfinished == 0) {
		if (debug_on())
			debug_misuse("ga_queue_task_done", "more often than items were put in");
		return -EINVAL;
	}
	finish(queue, 1);
	return 0;
}

int ga_queue_join(ga_queue *queue, int64_t deadline)
{
	int r = waiters_begin();
	struct ga_waiter w;

	return r < 0 || queue->unfinished == 0
		       ? r
		       : waiters_wait(&queue->joiners, &w, "queue join", deadline);
}

void ga_queue_shutdown(ga_queue *queue, bool immediate)
{
	queue->is_shut = true;
	if (immediate)
		finish(queue, MIN(drop_all(queue), queue->unfinished));
	waiters_tell_all(&queue->put.waiters);
	if (is_over(queue))
		waiters_tell_all(&queue->get.waiters);
}

size_t ga_queue_size(const ga_queue *queue)
{
	return queue->items.count;
}

size_t ga_queue_max(const ga_queue *queue)
{
	return queue->max;
}

bool ga_queue_empty(const ga_queue *queue)
{
	return queue->items.count == 0;
}

bool ga_queue_full(const ga_queue *queue)
{
	return queue->max > 0 && queue->items.count >= queue->max;
}

/* A claim ends here: what it stood for is used, or offered, before anything else runs. */
static int side_wait(struct side *s, const char *kind, int64_t deadline, bool *ret_claimed)
{
	struct claimant c = { .claims = false };
	int r = waiters_wait(&s->waiters, &c.waiter, kind, deadline);

	if (c.claims)
		s->claims--;
	*ret_claimed = c.claims;
	return r;
}

static void side_tell(struct side *s)
{
	struct ga_waiter *w = waiters_take(&s->waiters);

	if (!w)
		return;
	container_of(w, struct claimant, waiter)->claims = true;
	s->claims++;
	waiter_tell(w);
}

static bool has_item(const struct ga_queue *q)
{
	return q->items.count > q->get.claims;
}

static bool has_room(const struct ga_queue *q)
{
	return q->max == 0 || q->items.count + q->put.claims < q->max;
}

static bool is_over(const struct ga_queue *q)
{
	return q->is_shut && q->items.count == 0;
}

static void offer_item(struct ga_queue *q)
{
	if (has_item(q))
		side_tell(&q->get);
}

static void offer_room(struct ga_queue *q)
{
	if (has_room(q))
		side_tell(&q->put);
}

static int put(struct ga_queue *q, void *item)
{
	int r = queue_items_put(&q->items, item);

	if (r < 0)
		return r;
	q->unfinished++;
	offer_item(q);
	return 0;
}

static void *take(struct ga_queue *q)
{
	void *item = queue_items_take(&q->items);

	offer_room(q);
	if (is_over(q))
		waiters_tell_all(&q->get.waiters);
	return item;
}

static void finish(struct ga_queue *q, size_t count)
{
	q->unfinished -= count;
	if (q->unfinished == 0)
		waiters_tell_all(&q->joiners);
}

static size_t drop_all(struct ga_queue *q)
{
	size_t count = 0;

	for (; q->items.count > 0; count++) {
		void *item = queue_items_take(&q->items);

		if (q->drop)
			q->drop(item);
	}
	return count;
}
