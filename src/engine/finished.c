/*
 * Finished jobs: each leaves at the end of its lifetime, or earlier where they take more than max_finished_bytes
 * together: then delivered ones first, then the oldest.
 */
#include "clock.h"
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

enum { BYTES_OVERHEAD = sizeof(struct bytes) + 1 + 16 /* of malloc */ };

static void lifetime_update(struct engine *e, struct lifetime *l);

int finished_init(struct engine *e)
{
	int r;

	list_init(&e->kept);
	list_init(&e->spent);
	map_init(&e->lifetimes, lifetime_matches);
	heap_init(&e->expiries);
	r = lifetime_acquire(e, e->options.result_ttl);
	if (r < 0)
		return r;
	r = lifetime_acquire(e, e->options.failed_ttl);
	if (r < 0)
		return r;
	e->results = map_get(&e->lifetimes, (uint64_t)e->options.result_ttl, &e->options.result_ttl);
	e->failures = map_get(&e->lifetimes, (uint64_t)e->options.failed_ttl, &e->options.failed_ttl);
	return 0;
}

void finished_done(struct engine *e)
{
	struct lifetime *l;

	while ((l = map_take_any(&e->lifetimes)))
		free(l);
	map_done(&e->lifetimes);
	heap_done(&e->expiries);
}

int lifetime_acquire(struct engine *e, int64_t ttl)
{
	struct lifetime *l = e->results;

	if (!l || l->ttl != ttl)
		l = map_get(&e->lifetimes, (uint64_t)ttl, &ttl);
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		l->ttl = ttl;
		list_init(&l->jobs);
		if (heap_set(&e->expiries, &l->due, TIME_NEVER) < 0) {
			free(l);
			return -ENOMEM;
		}
		if (map_put(&e->lifetimes, (uint64_t)ttl, l) < 0) {
			heap_remove(&e->expiries, &l->due);
			free(l);
			return -ENOMEM;
		}
	}
	l->users++;
	return 0;
}

void lifetime_release(struct engine *e, int64_t ttl)
{
	struct lifetime *l = e->results;

	if (l->ttl != ttl)
		l = map_get(&e->lifetimes, (uint64_t)ttl, &ttl);
	if (--l->users > 0)
		return;
	map_take(&e->lifetimes, (uint64_t)ttl, &ttl);
	heap_remove(&e->expiries, &l->due);
	free(l);
}

struct lifetime *lifetime_of(const struct engine *e, const struct job *job)
{
	const struct job_profile *p = job->profile;
	bool failed = job->state == JOB_FAILED || job->state == JOB_EXPIRED;
	int64_t ttl = failed ? p->failed_ttl : p->result_ttl;
	struct lifetime *usual = failed ? e->failures : e->results;

	return ttl == usual->ttl ? usual : map_get(&e->lifetimes, (uint64_t)ttl, &ttl);
}

bool lifetime_matches(const void *item, const void *key)
{
	const struct lifetime *l = item;

	return l->ttl == *(const int64_t *)key;
}

void finished_enter(struct engine *e, struct job *job)
{
	struct lifetime *l = lifetime_of(e, job);
	bool first = list_empty(&l->jobs);

	job->finished_at = e->now;
	if (GA_UNLIKELY(e->indexed_clients > 0 && job->client != 0))
		client_forget(e, job);
	list_remove(&job->mates);
	list_push_back(&l->jobs, &job->mates);
	list_push_back(&e->kept, &job->place);
	e->counts.finished_bytes += finished_weight(job);
	if (first)
		lifetime_update(e, l);
}

void finished_leave(struct engine *e, struct job *job)
{
	struct lifetime *l = lifetime_of(e, job);
	bool first = l->jobs.next == &job->mates;

	e->counts.finished_bytes -= finished_weight(job);
	list_remove(&job->place);
	list_remove(&job->mates);
	if (first)
		lifetime_update(e, l);
}

void finished_expire(struct engine *e)
{
	while (heap_next_due(&e->expiries) <= e->now) {
		struct lifetime *l = container_of(e->expiries.slots[0].node, struct lifetime, due);

		if (list_empty(&l->jobs)) /* time has come to its end */
			return;
		job_forget(e, LIST_ENTRY(l->jobs.next, struct job, mates));
	}
}

void finished_evict(struct engine *e)
{
	while (e->counts.finished_bytes > e->options.max_finished_bytes) {
		struct list *ring = list_empty(&e->spent) ? &e->kept : &e->spent;

		struct job *job = LIST_ENTRY(ring->next, struct job, place);

		e->counts.evicted += !job_is_durable(job); /* the store has the others */
		job_forget(e, job);
	}
}

void engine_delivered(struct engine *e, struct job *job)
{
	if (!job_is_final(job) || job->gone || job->delivered)
		return;
	job->delivered = true;
	list_remove(&job->place);
	list_push_back(&e->spent, &job->place);
}

uint64_t finished_weight(const struct job *job)
{
	uint64_t weight = sizeof(*job) + bytes_weight(job->args) + bytes_weight(job->meta) +
			  bytes_weight(job->body) + told_weight(job);

	if (job->error)
		weight += sizeof(*job->error) + strlen(job->error->message) + 1;
	return weight;
}

/* The heap's slot is there already, so moving it takes no memory. */
static void lifetime_update(struct engine *e, struct lifetime *l)
{
	int64_t due = TIME_NEVER;

	if (!list_empty(&l->jobs))
		due = time_add(LIST_ENTRY(l->jobs.next, struct job, mates)->finished_at, l->ttl);
	(void)!heap_set(&e->expiries, &l->due, due);
}

uint64_t bytes_weight(const struct bytes *b)
{
	return b ? BYTES_OVERHEAD + b->size : 0;
}
