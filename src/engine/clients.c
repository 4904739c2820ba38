/*
 * Clients: made when a job first names them, gone when they leave. Most never cancel by tag; for one that does, among many
 * jobs, they are indexed from then on: jobs of one tag stand together in its list, and the first of them in by_tag.
 */
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

enum { WALKED_AT_MOST = 64 }; /* fewer jobs need no index */

static uint64_t tag_hash(uint64_t tag);
static bool is_long(const struct client *c);
static void index_build(struct engine *e, struct client *c);
static void index_drop(struct engine *e, struct client *c);
static void place(struct engine *e, struct client *c, struct job *job);
static void take_out(struct client *c, uint64_t tag, struct list *ret_jobs);
static unsigned cancel_all(struct engine *e, struct client *c, struct list *jobs);

int client_acquire(struct engine *e, uint64_t name, struct client **ret_client)
{
	struct client *c = e->recent_client;

	if (!c || c->name != name)
		c = map_get(&e->clients, name, &name);
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return -ENOMEM;
		c->name = name;
		list_init(&c->jobs);
		map_init(&c->by_tag, tag_matches);
		if (map_put(&e->clients, name, c) < 0) {
			free(c);
			return -ENOMEM;
		}
	}
	*ret_client = e->recent_client = c;
	return 0;
}

void client_adopt(struct engine *e, struct client *c, struct job *job)
{
	job->client = c->name;
	if (GA_UNLIKELY(c->indexed))
		place(e, c, job);
	else
		list_push_back(&c->jobs, &job->mates);
}

void client_forget(struct engine *e, const struct job *job)
{
	struct client *c = map_get(&e->clients, job->client, &job->client);
	struct list *next = job->mates.next;

	if (!c || !c->indexed || map_get(&c->by_tag, tag_hash(job->tag), &job->tag) != job)
		return;
	map_take(&c->by_tag, tag_hash(job->tag), &job->tag);
	if (next != &c->jobs && LIST_ENTRY(next, struct job, mates)->tag == job->tag)
		(void)!map_put(&c->by_tag, tag_hash(job->tag),
			       LIST_ENTRY(next, struct job, mates)); /* there is room */
}

void engine_client_gone(struct engine *e, uint64_t client)
{
	struct client *c = map_take(&e->clients, client, &client);

	if (!c)
		return;
	if (e->recent_client == c)
		e->recent_client = NULL;
	index_drop(e, c);
	LIST_FOREACH(it, &c->jobs) {
		struct job *job = LIST_ENTRY(it, struct job, mates);

		list_remove(&job->mates);
		job->client = 0;
		if (job->profile->detached || job_is_durable(job))
			continue;
		actions_reserve_or_abort(e, 2);
		(void)engine_cancel(e, job); /* it is unfinished, and there is room */
	}
	free(c);
}

unsigned engine_cancel_tag(struct engine *e, uint64_t client, uint64_t tag)
{
	struct client *c = map_get(&e->clients, client, &client);
	struct list found;

	if (!c)
		return 0;
	if (!c->indexed && is_long(c))
		index_build(e, c);
	list_init(&found);
	take_out(c, tag, &found);
	return cancel_all(e, c, &found);
}

void clients_free(struct engine *e)
{
	struct client *c;

	while ((c = map_take_any(&e->clients))) {
		map_done(&c->by_tag);
		free(c);
	}
	map_done(&e->clients);
}

bool client_matches(const void *item, const void *key)
{
	const struct client *c = item;

	return c->name == *(const uint64_t *)key;
}

bool tag_matches(const void *item, const void *key)
{
	const struct job *job = item;

	return job->tag == *(const uint64_t *)key;
}

static uint64_t tag_hash(uint64_t tag)
{
	uint64_t hash = tag * UINT64_C(0x9e3779b97f4a7c15);

	return hash ^ hash >> 32;
}

static bool is_long(const struct client *c)
{
	unsigned count = 0;

	LIST_FOREACH(it, &c->jobs)
		if (++count > WALKED_AT_MOST)
			return true;
	return false;
}

/* Without memory for it there is none. */
static void index_build(struct engine *e, struct client *c)
{
	struct list jobs;

	list_init(&jobs);
	list_splice_back(&jobs, &c->jobs);
	c->indexed = true;
	e->indexed_clients++;
	while (!list_empty(&jobs)) {
		struct job *job = LIST_ENTRY(jobs.next, struct job, mates);

		list_remove(&job->mates);
		place(e, c, job);
	}
}

static void index_drop(struct engine *e, struct client *c)
{
	e->indexed_clients -= c->indexed;
	c->indexed = false;
	map_done(&c->by_tag);
	map_init(&c->by_tag, tag_matches);
}

/* Into the client's list: behind the first one of its tag. */
static void place(struct engine *e, struct client *c, struct job *job)
{
	struct job *first = c->indexed ? map_get(&c->by_tag, tag_hash(job->tag), &job->tag) : NULL;

	list_push_back(first ? first->mates.next : &c->jobs, &job->mates);
	if (c->indexed && !first && map_put(&c->by_tag, tag_hash(job->tag), job) < 0)
		index_drop(e, c); /* until it is asked for again */
}

static void take_out(struct client *c, uint64_t tag, struct list *ret_jobs)
{
	struct job *first = c->indexed ? map_take(&c->by_tag, tag_hash(tag), &tag) : NULL;
	struct list *at = first ? &first->mates : c->jobs.next;

	if (c->indexed && !first)
		return;
	while (at != &c->jobs) {
		struct job *job = LIST_ENTRY(at, struct job, mates);

		at = at->next;
		if (job->tag == tag) {
			list_remove(&job->mates);
			list_push_back(ret_jobs, &job->mates);
		} else if (first) {
			return;
		}
	}
}

/* Back among the client's jobs with them, as they are unfinished, and cancel each. */
static unsigned cancel_all(struct engine *e, struct client *c, struct list *jobs)
{
	unsigned cancelled = 0;

	while (!list_empty(jobs)) {
		struct job *job = LIST_ENTRY(jobs->next, struct job, mates);

		list_remove(&job->mates);
		place(e, c, job);
		actions_reserve_or_abort(e, 2);
		cancelled += engine_cancel(e, job) == 0;
	}
	return cancelled;
}
