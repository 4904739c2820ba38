/* Profiles: what jobs were submitted alike. Jobs mostly repeat the profile of the one before. */
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

static bool profile_is(const struct job_profile *p, const struct submission *s);
static int profile_new(struct engine *e, const struct submission *s, struct job_profile **ret_profile);
static uint64_t submission_hash(const struct submission *s);
static struct span options_of(const struct job_profile *p);

int profile_acquire(struct engine *e, const struct submission *s, struct job_profile **ret_profile)
{
	struct job_profile *p = e->recent_profile;

	if (!p || !profile_is(p, s)) {
		p = map_get(&e->profiles, submission_hash(s), s);
		if (!p) {
			int r = profile_new(e, s, &p);

			if (r < 0)
				return r;
		}
		e->recent_profile = p;
	}
	p->users++;
	*ret_profile = p;
	return 0;
}

void profile_release(struct engine *e, struct job_profile *p)
{
	if (--p->users > 0)
		return;
	if (e->recent_profile == p)
		e->recent_profile = NULL;
	map_take(&e->profiles, p->hash,
		 &(struct submission){
			 .type = p->type,
			 .job_class = (enum job_class)p->job_class,
			 .durability = (enum job_durability)p->durability,
			 .queue = span_of(p->queue->name),
			 .options = options_of(p),
			 .priority = p->priority,
			 .detached = p->detached,
			 .at_most_once = p->at_most_once,
			 .timeout_ms = p->timeout_ms,
			 .retries = p->retries,
			 .result_ttl = p->result_ttl,
			 .failed_ttl = p->failed_ttl,
		 });
	lifetime_release(e, p->result_ttl);
	lifetime_release(e, p->failed_ttl);
	queue_release(e, p->queue);
	bytes_unref(p->options);
	free(p);
}

bool profile_matches(const void *item, const void *key)
{
	return profile_is(item, key);
}

/* The submission's lifetimes are complete. */
static bool profile_is(const struct job_profile *p, const struct submission *s)
{
	const struct retry_policy *a = &p->retries, *b = &s->retries;

	return p->type == s->type && p->job_class == s->job_class &&
	       p->durability == s->durability && p->priority == s->priority &&
	       p->detached == s->detached && p->at_most_once == s->at_most_once &&
	       p->timeout_ms == s->timeout_ms && a->max == b->max && a->initial_ms == b->initial_ms &&
	       a->maximum_ms == b->maximum_ms && a->factor == b->factor && a->jitter == b->jitter &&
	       p->result_ttl == s->result_ttl && p->failed_ttl == s->failed_ttl &&
	       span_equal(span_of(p->queue->name), s->queue.size ? s->queue : SPAN("default")) &&
	       span_equal(options_of(p), s->options);
}

static int profile_new(struct engine *e, const struct submission *s, struct job_profile **ret_profile)
{
	struct job_profile *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	if (!p)
		return r;
	*p = (struct job_profile){
		.hash = submission_hash(s),
		.type = s->type,
		.job_class = (uint8_t)s->job_class,
		.durability = (uint8_t)s->durability,
		.priority = s->priority,
		.detached = s->detached,
		.at_most_once = s->at_most_once,
		.timeout_ms = s->timeout_ms,
		.retries = s->retries,
		.result_ttl = s->result_ttl,
		.failed_ttl = s->failed_ttl,
	};
	if (s->options.size > 0 && !(p->options = bytes_new(s->options.data, s->options.size)))
		goto free_profile;
	r = queue_acquire(e, s->queue, &p->queue);
	if (r < 0)
		goto free_profile;
	r = ready_prepare(p->queue, s->job_class, s->priority);
	if (r < 0 || (r = lifetime_acquire(e, p->result_ttl)) < 0)
		goto release_queue;
	r = lifetime_acquire(e, p->failed_ttl);
	if (r < 0)
		goto release_result_ttl;
	r = map_put(&e->profiles, p->hash, p);
	if (r < 0)
		goto release_failed_ttl;
	*ret_profile = p;
	return 0;

release_failed_ttl:
	lifetime_release(e, p->failed_ttl);
release_result_ttl:
	lifetime_release(e, p->result_ttl);
release_queue:
	queue_release(e, p->queue);
free_profile:
	bytes_unref(p->options);
	free(p);
	return r;
}

static uint64_t submission_hash(const struct submission *s)
{
	const uint64_t facts[] = {
		hash_bytes(s->queue.data, s->queue.size),
		s->options.size ? hash_bytes(s->options.data, s->options.size) : 0,
		(uint64_t)s->type << 32 | s->timeout_ms,
		(uint64_t)s->retries.max << 32 | (uint64_t)(uint8_t)s->priority << 8 |
			(uint64_t)s->durability << 2 | (uint64_t)s->detached << 1 | s->at_most_once,
	};

	return hash_bytes(facts, sizeof(facts));
}

static struct span options_of(const struct job_profile *p)
{
	return p->options ? (struct span){ p->options->data, p->options->size } : (struct span){ 0 };
}
