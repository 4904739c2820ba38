/*
 * queue_items.h — what a queue holds, in its order: a ring for FIFO and LIFO, a heap for priorities.
 *
 * Owns its array, never the items. Pure.
 */
#pragma once
#include <gather/queue.h>

struct ranked {
	void *item;
	uint64_t arrival; /* equals leave in this order */
};

struct queue_items {
	enum ga_queue_order order;
	int (*compare)(const void *a, const void *b);
	union {
		void **ring;
		struct ranked *heap;
	};
	size_t count, size; /* used, and allocated: 0 or a power of two */
	size_t first;       /* of the ring */
	uint64_t arrivals;
};

static inline void queue_items_init(struct queue_items *q, enum ga_queue_order order,
				    int (*compare)(const void *a, const void *b))
{
	*q = (struct queue_items){ .order = order, .compare = compare };
}

void queue_items_done(struct queue_items *q); /* frees the array */
/* Append an item. -ENOMEM: nothing changed. */
int queue_items_put(struct queue_items *q, void *item) GA_MUST_CHECK;
/* Take out the next one; there must be one. */
void *queue_items_take(struct queue_items *q);
