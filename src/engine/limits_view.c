#include "engine_parts.h"
#include <errno.h>

static void gate_view(const struct engine *e, const struct gate *g, const char *name,
		      struct limit_view *ret_view);
static void queue_limits_view(const struct engine *e, const struct engine_queue *q,
			      struct limit_view *ret_view);

int engine_limit_view(const struct engine *e, enum limit_kind kind, uint32_t index,
		      struct limit_view *ret_view)
{
	if (index >= (kind == LIMIT_QUEUE ? e->queue_count : e->limit_key_count))
		return -ENOENT;
	if (kind == LIMIT_QUEUE)
		queue_limits_view(e, e->queues[index], ret_view);
	else
		gate_view(e, &e->limit_keys[index]->gate, e->limit_keys[index]->name, ret_view);
	return 0;
}

int engine_limit_find(const struct engine *e, enum limit_kind kind, struct span name,
		      struct limit_view *ret_view)
{
	const struct gate *g;

	if (name.size == 0) {
		*ret_view = (struct limit_view){ .name = "", .limit = e->default_limits[kind] };
		ret_view->concurrency = ret_view->limit.concurrency;
		return 0;
	}
	g = limits_find(e, kind, name);
	if (!g)
		return -ENOENT;
	if (kind == LIMIT_QUEUE)
		queue_limits_view(e, container_of(g, struct engine_queue, gate), ret_view);
	else
		gate_view(e, g, container_of(g, struct limit_key, gate)->name, ret_view);
	return 0;
}

void engine_limits_of(const struct engine *e, const struct job *job, struct limit_view *ret_queue,
		      struct limit_view *ret_key)
{
	queue_limits_view(e, job->profile->queue, ret_queue);
	if (job->key)
		gate_view(e, &job->key->gate, job->key->name, ret_key);
	else
		*ret_key = (struct limit_view){ 0 };
}

const char *job_limit_key(const struct job *job)
{
	return job->key ? job->key->name : NULL;
}

static void gate_view(const struct engine *e, const struct gate *g, const char *name,
		      struct limit_view *ret_view)
{
	int64_t rate_until = g->interval > 0 ? g->full_at - g->tolerance : 0;

	*ret_view = (struct limit_view){
		.name = name,
		.limit = g->limit,
		.own = g->own,
		.paused = g->paused,
		.slowed = g->slowed > 0,
		.concurrency = g->ceiling == UINT32_MAX ? 0 : g->ceiling,
		.rate_until = rate_until > e->now ? rate_until : 0,
		.busy_until = g->blocked_until > e->now ? g->blocked_until : 0,
		.running = g->running,
		.pending = gate_pending(g),
		.run_time = g->run_time,
	};
}

static void queue_limits_view(const struct engine *e, const struct engine_queue *q,
			      struct limit_view *ret_view)
{
	gate_view(e, &q->gate, q->name, ret_view);
	for (int c = 0; c < CLASS_COUNT; c++)
		ret_view->ready += q->ready[c] ? q->ready[c]->count : 0;
}
