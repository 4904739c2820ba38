/*
 * Limits: keys and their names, what jobs count for, and when gates open and shut. Gates are kept true at every event:
 * `shut` is what gate_opens_at() says now, and a gate that time alone will open stands in engine.gates at that time.
 */
#include "clock.h"
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

/* A key takes about 500 bytes, and its name comes from whoever submits. */
enum { KEY_LIMIT = 1 << 20 };

static int key_acquire(struct engine *e, struct span name, struct limit_key **ret_key);
static int key_new(struct engine *e, struct span name, struct limit_key **ret_key);
static int keys_grow(struct engine *e);
static void key_release(struct engine *e, struct limit_key *key);
static void key_free(struct engine *e, struct limit_key *key);
static int gate_acquire(struct engine *e, enum limit_kind kind, struct span name,
			struct gate **ret_gate);
static void gate_uses(struct gate *g, int change);
static void gate_unuse(struct engine *e, struct gate *g);
static void set_default(struct engine *e, enum limit_kind kind, const struct limit *limit);
static void gate_adjust(struct engine *e, struct gate *g, const struct limit *limit);
static bool is_full(const struct engine *e, enum limit_kind kind, struct span name);

static struct engine_queue *queue_of(struct gate *g)
{
	return container_of(g, struct engine_queue, gate);
}

static struct limit_key *key_of(struct gate *g)
{
	return container_of(g, struct limit_key, gate);
}

void limits_init(struct engine *e)
{
	heap_init(&e->gates);
	map_init(&e->keys_by_name, limit_key_matches);
	map_init(&e->lanes, lane_matches);
	for (int c = 0; c < CLASS_COUNT; c++)
		list_init(&e->waking[c]);
}

/* When no job is left: with their settings the last users go. */
void limits_done(struct engine *e)
{
	while (e->limit_key_count > 0)
		key_free(e, e->limit_keys[e->limit_key_count - 1]);
	free(e->limit_keys);
	map_done(&e->keys_by_name);
	map_done(&e->lanes);
	heap_done(&e->gates);
}

bool limit_key_matches(const void *item, const void *name)
{
	const struct limit_key *key = item;

	return span_equal(span_of(key->name), *(const struct span *)name);
}

int gate_enlist(struct engine *e, struct gate *g, enum limit_kind kind)
{
	gate_init(g, kind, &e->default_limits[kind]);
	return heap_set(&e->gates, &g->due, TIME_NEVER);
}

/* ---- what jobs count for ---- */

int key_enter(struct engine *e, struct job *job, struct span key)
{
	int r = key_acquire(e, key, &job->key);

	if (r < 0)
		return r;
	r = key_revive(e, job);
	if (r < 0)
		key_leave(e, job);
	return r;
}

int key_revive(struct engine *e, struct job *job)
{
	int r = lane_acquire(e, job);

	job->key->gate.jobs += r == 0;
	return r;
}

void key_settle(struct engine *e, struct job *job)
{
	job->key->gate.jobs--;
	lane_release(e, job);
}

void key_leave(struct engine *e, struct job *job)
{
	key_release(e, GA_TAKE_PTR(job->key));
}

void key_result(struct engine *e, struct job *job, const struct attempt_result *r)
{
	if (r->outcome == OUTCOME_SUCCEEDED) {
		gate_succeeded(&job->key->gate); /* what it opens is seen when the job stops */
	} else if (r->busy) {
		gate_busy(&job->key->gate, e->now, r->retry_after_ms * NSEC_PER_MSEC);
		gate_settle(e, &job->key->gate);
	}
}

void gate_pay(struct engine *e, struct gate *g)
{
	gate_spend(g, e->now);
	gate_settle(e, g);
}

bool limits_full(const struct engine *e, const struct submission *s)
{
	return is_full(e, LIMIT_QUEUE, s->queue) ||
	       (s->limit_key.size > 0 && is_full(e, LIMIT_KEY, s->limit_key));
}

void limits_due(struct engine *e)
{
	while (heap_next_due(&e->gates) <= e->now && heap_next_due(&e->gates) != TIME_NEVER)
		gate_settle(e, container_of(e->gates.slots[0].node, struct gate, due));
}

/* ---- settings ---- */

int engine_set_limit(struct engine *e, enum limit_kind kind, struct span name, const struct limit *limit)
{
	struct gate *g;
	int r = limit ? limit_check(limit) : 0;

	if (r < 0)
		return r;
	if (name.size == 0) {
		set_default(e, kind, limit ? limit : &(struct limit){ 0 });
		return 0;
	}
	r = gate_acquire(e, kind, name, &g);
	if (r < 0)
		return r;
	gate_uses(g, !!limit - g->own);
	g->own = limit;
	gate_adjust(e, g, limit ? limit : &e->default_limits[kind]);
	gate_unuse(e, g);
	return 0;
}

int engine_pause(struct engine *e, enum limit_kind kind, struct span name)
{
	struct gate *g;
	int r = name.size > 0 ? gate_acquire(e, kind, name, &g) : -EINVAL;

	if (r < 0)
		return r;
	if (!g->paused) {
		gate_uses(g, 1);
		g->paused = true;
		gate_settle(e, g);
	}
	gate_unuse(e, g);
	return 0;
}

void engine_resume(struct engine *e, enum limit_kind kind, struct span name)
{
	struct gate *g = limits_find(e, kind, name);

	if (!g || !g->paused)
		return;
	g->paused = false;
	gate_settle(e, g);
	gate_unuse(e, g);
}

struct gate *limits_find(const struct engine *e, enum limit_kind kind, struct span name)
{
	struct limit_key *key;
	struct engine_queue *q;

	if (kind == LIMIT_QUEUE) {
		q = map_get(&e->queues_by_name, hash_bytes(name.data, name.size), &name);
		return q ? &q->gate : NULL;
	}
	key = map_get(&e->keys_by_name, hash_bytes(name.data, name.size), &name);
	return key ? &key->gate : NULL;
}

static bool is_full(const struct engine *e, enum limit_kind kind, struct span name)
{
	const struct gate *g = limits_find(e, kind, name);

	return g && gate_full(g);
}

static void set_default(struct engine *e, enum limit_kind kind, const struct limit *limit)
{
	uint32_t count = kind == LIMIT_QUEUE ? e->queue_count : e->limit_key_count;

	e->bounded_gates += (limit->max_pending > 0) - (e->default_limits[kind].max_pending > 0);
	e->default_limits[kind] = *limit;
	for (uint32_t i = 0; i < count; i++) {
		struct gate *g = kind == LIMIT_QUEUE ? &e->queues[i]->gate : &e->limit_keys[i]->gate;

		if (!g->own)
			gate_adjust(e, g, limit);
	}
}

/* Defaults are counted once, in set_default(). */
static void gate_adjust(struct engine *e, struct gate *g, const struct limit *limit)
{
	e->bounded_gates -= g->bounded;
	g->bounded = g->own && limit->max_pending > 0;
	e->bounded_gates += g->bounded;
	gate_limit(g, limit);
	gate_settle(e, g);
}

void gate_settle(struct engine *e, struct gate *g)
{
	int64_t at = gate_opens_at(g, e->now), due = at > e->now ? at : TIME_NEVER;
	bool shut = at > e->now;

	if (heap_due(&e->gates, &g->due) != due)
		(void)!heap_set(&e->gates, &g->due, due); /* it has its place there */
	if (shut == g->shut)
		return;
	g->shut = shut;
	if (g->kind == LIMIT_QUEUE)
		ready_gate_queue(e, queue_of(g));
	else
		ready_gate_key(e, key_of(g));
}

/* ---- what has a gate ---- */

/* With a use of the caller's, for gate_unuse(). */
static int gate_acquire(struct engine *e, enum limit_kind kind, struct span name, struct gate **ret_gate)
{
	struct engine_queue *q;
	struct limit_key *key;
	int r = kind == LIMIT_QUEUE ? queue_acquire(e, name, &q) : key_acquire(e, name, &key);

	if (r < 0)
		return r;
	*ret_gate = kind == LIMIT_QUEUE ? &q->gate : &key->gate;
	return 0;
}

/* While the caller has one: so the last isn't among them. */
static void gate_uses(struct gate *g, int change)
{
	uint64_t *users = g->kind == LIMIT_QUEUE ? &queue_of(g)->users : &key_of(g)->users;

	*users += (uint64_t)change;
}

static void gate_unuse(struct engine *e, struct gate *g)
{
	if (g->kind == LIMIT_QUEUE)
		queue_release(e, queue_of(g));
	else
		key_release(e, key_of(g));
}

static int key_acquire(struct engine *e, struct span name, struct limit_key **ret_key)
{
	struct limit_key *key = e->recent_key;

	if (!key || !limit_key_matches(key, &name)) {
		key = map_get(&e->keys_by_name, hash_bytes(name.data, name.size), &name);
		if (!key) {
			int r = key_new(e, name, &key);

			if (r < 0)
				return r;
		}
		e->recent_key = key;
	}
	key->users++;
	*ret_key = key;
	return 0;
}

static int key_new(struct engine *e, struct span name, struct limit_key **ret_key)
{
	struct limit_key *key;

	if (e->limit_key_count >= KEY_LIMIT)
		return -ENOSPC;
	if (keys_grow(e) < 0)
		return -ENOMEM;
	key = calloc(1, sizeof(*key));
	if (!key)
		return -ENOMEM;
	for (int c = 0; c < CLASS_COUNT; c++) {
		list_init(&key->places[c].parked);
		list_init(&key->places[c].waking);
	}
	key->index = e->limit_key_count;
	key->name = strndup(name.data, name.size);
	if (!key->name || gate_enlist(e, &key->gate, LIMIT_KEY) < 0 ||
	    map_put(&e->keys_by_name, hash_bytes(name.data, name.size), key) < 0) {
		heap_remove(&e->gates, &key->gate.due);
		free(key->name);
		free(key);
		return -ENOMEM;
	}
	e->limit_keys[e->limit_key_count++] = key;
	*ret_key = key;
	return 0;
}

static int keys_grow(struct engine *e)
{
	uint32_t size = e->limit_key_size ? e->limit_key_size * 2 : 8;
	struct limit_key **keys;

	if (e->limit_key_count < e->limit_key_size)
		return 0;
	keys = reallocarray(e->limit_keys, size, sizeof(struct limit_key *));
	if (!keys)
		return -ENOMEM;
	e->limit_keys = keys;
	e->limit_key_size = size;
	return 0;
}

static void key_release(struct engine *e, struct limit_key *key)
{
	if (--key->users == 0)
		key_free(e, key);
}

static void key_free(struct engine *e, struct limit_key *key)
{
	struct limit_key *last = e->limit_keys[e->limit_key_count - 1];
	struct span name = span_of(key->name);

	map_take(&e->keys_by_name, hash_bytes(name.data, name.size), &name);
	last->index = key->index;
	e->limit_keys[key->index] = last;
	e->limit_key_count--;
	if (e->recent_key == key)
		e->recent_key = NULL;
	heap_remove(&e->gates, &key->gate.due);
	free(key->name);
	free(key);
}
