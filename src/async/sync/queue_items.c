#include "queue_items.h"
#include "compiler.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 16u

static int grow(struct queue_items *q);
static int grow_to(struct queue_items *q, size_t size);
static bool goes_before(const struct queue_items *q, const struct ranked *a, const struct ranked *b);
static void heap_push(struct queue_items *q, struct ranked new);
static void *heap_pop(struct queue_items *q);

void queue_items_done(struct queue_items *q)
{
	if (q->order == GA_PRIORITY)
		free(q->heap);
	else
		free(q->ring);
}

int queue_items_put(struct queue_items *q, void *item)
{
	int r = grow(q);

	if (r < 0)
		return r;
	if (q->order == GA_PRIORITY)
		heap_push(q, (struct ranked){ item, q->arrivals++ });
	else
		q->ring[(q->first + q->count++) & (q->size - 1)] = item;
	return 0;
}

void *queue_items_take(struct queue_items *q)
{
	size_t place;

	assert(q->count > 0);
	if (q->order == GA_PRIORITY)
		return heap_pop(q);
	q->count--;
	if (q->order == GA_LIFO)
		return q->ring[(q->first + q->count) & (q->size - 1)];
	place = q->first;
	q->first = (q->first + 1) & (q->size - 1);
	return q->ring[place];
}

static int grow(struct queue_items *q)
{
	if (q->count < q->size)
		return 0;
	return grow_to(q, q->size ? q->size * 2 : FIRST_SIZE);
}

static int grow_to(struct queue_items *q, size_t size)
{
	bool ranks = q->order == GA_PRIORITY;
	void *grown = ranks ? reallocarray(q->heap, size, sizeof(*q->heap))
			    : reallocarray(q->ring, size, sizeof(*q->ring));

	if (!grown)
		return -ENOMEM;
	if (ranks) {
		q->heap = grown;
	} else {
		q->ring = grown;
		/* The ring was full: what has wrapped around goes behind the rest. */
		memcpy(&q->ring[q->size], q->ring, q->first * sizeof(*q->ring));
	}
	q->size = size;
	return 0;
}

static bool goes_before(const struct queue_items *q, const struct ranked *a, const struct ranked *b)
{
	int order = q->compare(a->item, b->item);

	return order != 0 ? order < 0 : a->arrival < b->arrival;
}

static void heap_push(struct queue_items *q, struct ranked new)
{
	size_t hole = q->count++;

	while (hole > 0 && goes_before(q, &new, &q->heap[(hole - 1) / 2])) {
		q->heap[hole] = q->heap[(hole - 1) / 2];
		hole = (hole - 1) / 2;
	}
	q->heap[hole] = new;
}

static void *heap_pop(struct queue_items *q)
{
	void *item = q->heap[0].item;
	struct ranked last = q->heap[--q->count];
	size_t hole = 0;

	for (;;) {
		size_t child = hole * 2 + 1;

		if (child >= q->count)
			break;
		if (child + 1 < q->count && goes_before(q, &q->heap[child + 1], &q->heap[child]))
			child++;
		if (!goes_before(q, &q->heap[child], &last))
			break;
		q->heap[hole] = q->heap[child];
		hole = child;
	}
	q->heap[hole] = last;
	return item;
}
