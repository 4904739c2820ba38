/*
 * limits_parts.h — what jobs count for, and when. The engine's own; part of engine_parts.h.
 *
 * A job counts for its queue's gate and, if it has one, its key's. What happens to every job is inline here for those that
 * have no key, in queues without limits.
 */
#pragma once

void limits_init(struct engine *e);
void limits_done(struct engine *e); /* when no job and no queue is left */
bool limit_key_matches(const void *item, const void *name);
/* A new gate, with the defaults; it is in e->gates until its owner removes it. */
int gate_enlist(struct engine *e, struct gate *g, enum limit_kind kind) GA_MUST_CHECK;
/* Make `shut` true to what the gate says now. */
void gate_settle(struct engine *e, struct gate *g);
struct gate *limits_find(const struct engine *e, enum limit_kind kind, struct span name); /* NULL */

bool limits_full(const struct engine *e, const struct submission *s);
int key_enter(struct engine *e, struct job *job, struct span key) GA_MUST_CHECK;
int key_revive(struct engine *e, struct job *job) GA_MUST_CHECK;
void key_settle(struct engine *e, struct job *job);
void key_leave(struct engine *e, struct job *job);
void key_result(struct engine *e, struct job *job, const struct attempt_result *r);
void gate_pay(struct engine *e, struct gate *g);
void limits_due(struct engine *e);

static inline struct gate *queue_gate(const struct job *job)
{
	return &job->profile->queue->gate;
}

/* Whether no max_pending is reached. */
static inline bool limits_admit(const struct engine *e, const struct submission *s)
{
	return GA_LIKELY(e->bounded_gates == 0) || !limits_full(e, s);
}

/* A job that has a profile counts as an unfinished one, also for this key ("": none) ... */
static inline int limits_enter(struct engine *e, struct job *job, struct span key)
{
	int r = GA_UNLIKELY(key.size > 0) ? key_enter(e, job, key) : 0;

	queue_gate(job)->jobs += r == 0;
	return r;
}

/* ... until here; it names the key still ... */
static inline void limits_settle(struct engine *e, struct job *job)
{
	queue_gate(job)->jobs--;
	if (GA_UNLIKELY(job->key))
		key_settle(e, job);
}

/* ... and may count again ... */
static inline int limits_revive(struct engine *e, struct job *job)
{
	int r = GA_UNLIKELY(job->key) ? key_revive(e, job) : 0;

	queue_gate(job)->jobs += r == 0;
	return r;
}

/* ... or not. */
static inline void limits_leave(struct engine *e, struct job *job)
{
	if (GA_UNLIKELY(job->key))
		key_leave(e, job);
}

static inline void gate_start(struct engine *e, struct gate *g)
{
	if (GA_UNLIKELY(++g->running >= g->ceiling))
		gate_settle(e, g);
}

static inline void gate_stop(struct engine *e, struct gate *g, const struct job *job)
{
	g->running--;
	if (GA_LIKELY(g->ceiling == UINT32_MAX && !g->shut))
		return;
	gate_learn(g, e->now - job->started_at);
	if (g->shut)
		gate_settle(e, g);
}

/* It is RUNNING ... */
static inline void limits_started(struct engine *e, struct job *job)
{
	gate_start(e, queue_gate(job));
	if (GA_UNLIKELY(job->key))
		gate_start(e, &job->key->gate);
}

/* ... and no longer. */
static inline void limits_stopped(struct engine *e, struct job *job)
{
	gate_stop(e, queue_gate(job), job);
	if (GA_UNLIKELY(job->key))
		gate_stop(e, &job->key->gate, job);
}

/* An attempt of it was dispatched. */
static inline void limits_spend(struct engine *e, struct job *job)
{
	if (GA_UNLIKELY(queue_gate(job)->interval > 0))
		gate_pay(e, queue_gate(job));
	if (GA_UNLIKELY(job->key && job->key->gate.interval > 0))
		gate_pay(e, &job->key->gate);
}

/* Its worker says so, and it is RUNNING still. */
static inline void limits_result(struct engine *e, struct job *job, const struct attempt_result *r)
{
	if (GA_UNLIKELY(job->key))
		key_result(e, job, r);
}

/* One more of its queue and key may start now. */
static inline bool limits_open(const struct job *job)
{
	return !queue_gate(job)->shut && !(job->key && job->key->gate.shut);
}

static inline void limits_advance(struct engine *e)
{
	if (GA_UNLIKELY(heap_next_due(&e->gates) <= e->now))
		limits_due(e);
}
