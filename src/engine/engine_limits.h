/*
 * engine_limits.h — how much may run at once, and how fast: the limits of queues and of limit keys.
 *
 * A job counts for its queue and, if it has one, for its limit key (of http jobs: the URL's host). Both hold back what
 * would be too much, and both may refuse more at the door. Limits hold for what starts: what runs when one is lowered
 * goes on. A key whose jobs come back `busy` slows down by itself: half of what it ran at once, then one more each time
 * that so many have succeeded; and nothing of it starts before the time that the other side asked for.
 */
#pragma once
#include "engine_view.h"
#include "span.h"

struct engine;
struct job;

enum limit_kind { LIMIT_QUEUE, LIMIT_KEY };

/* 0 in each: no limit. */
struct limit {
	uint32_t concurrency; /* running jobs */
	uint32_t rate;        /* starts in `per` ns, evenly spread but for `burst` of them */
	int64_t per;
	uint32_t burst;       /* 0: a tenth of a second's worth, at least one */
	uint64_t max_pending; /* unfinished jobs that aren't running; then submissions are refused */
};
#define LIMIT_RATE_MAX 1000000u /* a second */

/* Give a queue or key a limit of its own, or (NULL) take it back: then the defaults hold, which are those of name "".
 * What a key has learnt of being busy is forgotten. -EINVAL: a rate without `per`, or above LIMIT_RATE_MAX; -ENOSPC: one
 * queue or key too many; -ENOMEM. */
int engine_set_limit(struct engine *e, enum limit_kind kind, struct span name,
		     const struct limit *limit) GA_MUST_CHECK;
/* Nothing of it starts until it is resumed. -EINVAL: no name; -ENOSPC, -ENOMEM as above. */
int engine_pause(struct engine *e, enum limit_kind kind, struct span name) GA_MUST_CHECK;
void engine_resume(struct engine *e, enum limit_kind kind, struct span name);

struct limit_view {
	const char *name; /* valid until the next event */
	struct limit limit;
	bool own; /* the limit is its own, not the default */
	bool paused;
	bool slowed;          /* it was busy */
	uint32_t concurrency; /* that holds now; 0: any */
	int64_t rate_until; /* engine time before which nothing starts, because of its rate; 0: none */
	int64_t busy_until;        /* and because the other side asked for it */
	uint64_t running, pending; /* pending: unfinished and not running */
	uint64_t ready;            /* queues: of the pending ones */
	int64_t run_time;          /* how long a job of it has run lately, ns; 0: unknown */
};
/* The queues or keys that there are, in no order: 0, or -ENOENT past the last. */
int engine_limit_view(const struct engine *e, enum limit_kind kind, uint32_t index,
		      struct limit_view *ret_view);
/* One by name; -ENOENT: no job names it, and it has no limit of its own. "": the defaults. */
int engine_limit_find(const struct engine *e, enum limit_kind kind, struct span name,
		      struct limit_view *ret_view);
/* Those that a job counts for; `ret_key` has no name if it has no key. */
void engine_limits_of(const struct engine *e, const struct job *job, struct limit_view *ret_queue,
		      struct limit_view *ret_key);
/* How many ready jobs of its key, queue and class stand before this one: an estimate past a thousand. */
uint64_t engine_ahead_of_key(const struct engine *e, const struct job *job);
const char *job_limit_key(const struct job *job); /* NULL: it has none */
