/*
 * engine.h — the pure heart: which job runs where, and what becomes of it.
 *
 * A deterministic state machine: events in, actions out. No clock (the caller says what time it is), no I/O, no
 * threads, no library but base. It owns all jobs; a `struct job *` that it hands out is valid until the caller's next
 * engine_reap(). All time is the caller's one clock in nanoseconds (the broker passes CLOCK_BOOTTIME); the wall clock
 * comes in only to make ids.
 *
 * Invariants, checked by engine_check(): a job is in exactly one state and in exactly the lists of that state; an
 * attempt is dispatched once; per worker and class, held <= capacity; no limit of a queue or key is exceeded; ready
 * jobs of one (queue, class, key) leave by priority, then in order of acceptance; counters equal recounts.
 *
 * More of it: engine_workers.h (workers, results), engine_durable.h (changes, commits, recovery), engine_limits.h,
 * engine_groups.h, engine_view.h.
 */
#pragma once
#include "engine_view.h"
#include "engine_workers.h"
#include "job.h"
#include "job_terms.h"
#include "submission.h"

struct engine;
struct engine_options {
	uint64_t first_sequence; /* above all that are stored. 0: 1 */
	uint32_t epoch;          /* the broker's, new at each start: high half of every token */
	uint64_t seed;           /* of jitter and ids */
	uint32_t max_jobs;       /* unfinished ones; then submissions are refused. 0: 1,000,000 */
	uint64_t max_args_bytes; /* of unfinished jobs together; then submissions are refused. 0: 1 GiB */
	uint64_t max_finished_bytes; /* kept results; then delivered ones leave first, then the oldest. 0: 64 MiB */
	int64_t key_ttl; /* how long an idempotency key is remembered, from its job's acceptance. 0: 24 h */
	int64_t result_ttl; /* how long succeeded and cancelled jobs are kept. 0: 24 h */
	int64_t failed_ttl; /* how long failed ones are. 0: 180 days */
};

int engine_new(const struct engine_options *options, struct engine **ret_engine) GA_MUST_CHECK;
void engine_free(struct engine *e);
/* Change what the options said of unfinished jobs; those that are in stay. */
void engine_set_limits(struct engine *e, uint32_t max_jobs, uint64_t max_args_bytes);

/* Tell the time; due retries become ready, expired results leave. Call it before the events of each turn. */
void engine_advance(struct engine *e, int64_t now, int64_t now_wall);
int64_t engine_next_due(const struct engine *e); /* when engine_advance() has to be called next, or INT64_MAX */

/* ---- jobs ---- */
/* Accept a job, which is completed with the defaults: 0. Or 1: it is a job that there is already, by its key (same payload) or its unique key, and
 * *ret_job is that one. -ENOTUNIQ: the key was used with another payload (*ret_job is that job); -ENOBUFS: max_jobs
 * reached; -EDQUOT: max_args_bytes; -ENOSPC: it names one queue or limit key too many; -EAGAIN: its queue or limit key
 * has max_pending jobs; -EINVAL: priority, class, durability or the queue's name is none; -ENOMEM. Then nothing changed.
 * A durable job with an idempotency key is ACCEPTED until its first change is committed or refused. */
int engine_submit(struct engine *e, struct submission *s, struct job **ret_job) GA_MUST_CHECK;
/* A job by id. -ENOENT: never existed; -ESTALE: of an earlier broker, lost with it; -EIDRM: finished and no longer
 * kept; -ENODATA: durable and not here: ask the store. */
int engine_find(struct engine *e, const struct uuid *id, struct job **ret_job) GA_MUST_CHECK;
/* Ask for a job's end: at once if it waits; a running one gets ACTION_CANCEL and ends with its result (a success that
 * arrives first stands; anything else then counts as cancelled). -EALREADY: it has finished; -ENOMEM: not asked. */
int engine_cancel(struct engine *e, struct job *job);
/* A failed, cancelled or expired job becomes ready again with fresh retries and without its deadline; it is no client's then. -EBUSY: it hasn't finished,
 * or engine_run() hasn't told of it yet; -EALREADY: it succeeded; -EIDRM: it is no longer kept; -EEXIST: another job has its
 * unique key; -ENOMEM. */
int engine_retry(struct engine *e, struct job *job);
/* A finished job leaves now, whatever its lifetime. -EBUSY: it hasn't finished, or that isn't told and saved yet; -EIDRM: it
 * has left already. */
int engine_purge(struct engine *e, struct job *job);
/* Its client has the result: it may leave before others do. */
void engine_delivered(struct engine *e, struct job *job);
/* A client has left: its unfinished jobs are cancelled but for durable and detached ones, which lose their client. */
void engine_client_gone(struct engine *e, uint64_t client);

/* Cancel the unfinished jobs that a client submitted under a tag. Returns how many. */
unsigned engine_cancel_tag(struct engine *e, uint64_t client, uint64_t tag);
/* When a RETRYING, SCHEDULED, ACCEPTED or BLOCKED job may go on: engine time; 0: at once. */
int64_t engine_due(const struct engine *e, const struct job *job);

/* Iterate over all jobs, newest first: start with NULL. It ends at a job that has left. */
struct job *engine_older(struct engine *e, struct job *job);
/* The newest job older than the one of this id, which may have left. NULL: none, or no id of this engine. */
struct job *engine_older_than(struct engine *e, const struct uuid *id);
/* The newest job with a smaller sequence; NULL: none. */
struct job *engine_below(struct engine *e, uint64_t sequence);
const char *job_queue_name(const struct job *job);

/* ---- actions ---- */
/* Actions of durable jobs are withheld until what they tell of is committed. */
enum action_kind {
	ACTION_DISPATCH, /* send job (attempt job->token) to worker `slot` */
	ACTION_CANCEL,   /* tell worker `slot` to cancel `token` */
	ACTION_ENDED, /* the result of attempt `token` from worker `slot` is safe: acknowledge it; job NULL: it was stale */
	ACTION_FINISHED, /* the job is in a final state: tell who waits for it */
	ACTION_RETRYING, /* the job failed and waits for its next attempt */
	ACTION_REFUSED, /* the job's first save was refused, and it leaves: tell who waits for it */
	ACTION_PROCEED, /* the engine's own: never handed out */
	ACTION_GROUP_FINISHED, /* `group` is: tell who waits for it; its job is NULL */
	ACTION_SACRIFICE,      /* a sacrificial worker is wanted in slot SACRIFICE_SLOT; no job */
	ACTION_DISMISS,        /* it is no longer wanted; no job */
};
struct action {
	enum action_kind kind;
	uint32_t slot;
	uint64_t token;
	union {
		struct job *job;
		struct group *group;
	};
};
/* Hand ready jobs to free capacity, then return all actions since the last call, in order. The array is the engine's,
 * valid until engine_reap(); the events above must not be called between the two, but engine_delivered() may. */
const struct action *engine_run(struct engine *e, size_t *ret_count);
/* The actions were carried out: free the jobs that have left. */
void engine_reap(struct engine *e);

/* Recount everything. 0, or -EBADMSG with a sentence about the first broken invariant. For tests and simulations. */
int engine_check(const struct engine *e, char *ret_why, size_t why_size);
