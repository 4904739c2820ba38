/* Queues: made when a job first names them. */
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

static int queue_new(struct engine *e, struct span name, struct engine_queue **ret_queue);
static int queues_grow(struct engine *e);
static void queue_free(struct engine *e, struct engine_queue *q);
static uint64_t name_hash(struct span name);

int queue_acquire(struct engine *e, struct span name, struct engine_queue **ret_queue)
{
	struct engine_queue *q = e->recent_queue;
	int r = 0;

	if (name.size == 0)
		name = SPAN("default");
	if (!q || !queue_matches(q, &name)) {
		q = map_get(&e->queues_by_name, name_hash(name), &name);
		if (!q)
			r = queue_new(e, name, &q);
		if (r < 0)
			return r;
		e->recent_queue = q;
	}
	q->users++;
	*ret_queue = q;
	return 0;
}

void queue_release(struct engine *e, struct engine_queue *q)
{
	struct engine_queue *last = e->queues[e->queue_count - 1];
	struct span name = span_of(q->name);

	if (--q->users > 0 || q == e->default_queue)
		return;
	map_take(&e->queues_by_name, name_hash(name), &name);
	last->index = q->index;
	e->queues[q->index] = last;
	e->queue_count--;
	if (e->recent_queue == q)
		e->recent_queue = NULL;
	queue_free(e, q);
}

void queues_free(struct engine *e)
{
	for (uint32_t i = 0; i < e->queue_count; i++)
		queue_free(e, e->queues[i]);
	free(e->queues);
	map_done(&e->queues_by_name);
}

const char *job_queue_name(const struct job *job)
{
	return job->profile->queue->name;
}

int engine_queue_view(const struct engine *e, uint32_t index, struct queue_view *ret_view)
{
	const struct engine_queue *q;

	if (index >= e->queue_count)
		return -ENOENT;
	q = e->queues[index];
	*ret_view = (struct queue_view){ .name = q->name, .running = q->gate.running };
	for (int c = 0; c < CLASS_COUNT; c++)
		if (q->ready[c])
			ret_view->ready += q->ready[c]->count;
	return 0;
}

bool queue_matches(const void *item, const void *key)
{
	const struct engine_queue *q = item;

	return span_equal(span_of(q->name), *(const struct span *)key);
}

static int queue_new(struct engine *e, struct span name, struct engine_queue **ret_queue)
{
	struct engine_queue *q;

	if (e->queue_count >= QUEUE_LIMIT)
		return -ENOSPC;
	if (queues_grow(e) < 0)
		return -ENOMEM;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->index = e->queue_count;
	q->name = strndup(name.data, name.size);
	if (!q->name || gate_enlist(e, &q->gate, LIMIT_QUEUE) < 0 ||
	    map_put(&e->queues_by_name, name_hash(name), q) < 0) {
		queue_free(e, q);
		return -ENOMEM;
	}
	e->queues[e->queue_count++] = q;
	*ret_queue = q;
	return 0;
}

static int queues_grow(struct engine *e)
{
	uint32_t size = e->queue_size ? e->queue_size * 2 : 8;
	struct engine_queue **queues;

	if (e->queue_count < e->queue_size)
		return 0;
	queues = reallocarray(e->queues, size, sizeof(struct engine_queue *));
	if (!queues)
		return -ENOMEM;
	e->queues = queues;
	e->queue_size = size;
	return 0;
}

static void queue_free(struct engine *e, struct engine_queue *q)
{
	heap_remove(&e->gates, &q->gate.due);
	for (int c = 0; c < CLASS_COUNT; c++)
		ready_free(q->ready[c]);
	free(q->name);
	free(q);
}

static uint64_t name_hash(struct span name)
{
	return hash_bytes(name.data, name.size);
}
