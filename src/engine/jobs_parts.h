/*
 * jobs_parts.h — a job's parts and its moves: profiles.c, extra.c, told.c, moves.c, engine.c, retry.c. The engine's own.
 */
#pragma once
#include "engine.h"

/* ---- what jobs have in common: profiles.c ---- */
/* The submission is complete. */
int profile_acquire(struct engine *e, const struct submission *s,
		    struct job_profile **ret_profile) GA_MUST_CHECK;
void profile_release(struct engine *e, struct job_profile *p);
bool profile_matches(const void *item, const void *key);

/* ---- what few jobs have: extra.c ---- */
/* The job that has one of the submission's keys: 1, or -ENOTUNIQ; 0: none. */
int key_find(struct engine *e, const struct submission *s, struct job **ret_job) GA_MUST_CHECK;
int extra_new(struct engine *e, struct job *job, const struct submission *s) GA_MUST_CHECK;
void extra_settle(struct engine *e, struct job *job);              /* it is final */
int extra_revive(struct engine *e, struct job *job) GA_MUST_CHECK; /* and is to be ready again; -EEXIST */
void extra_leave(struct engine *e, struct job *job);               /* it is no longer to be found */
void extra_free(struct engine *e, struct job *job);
/* An attempt has ended so, with the job's error. Without memory the history has a gap. */
void note_add(struct engine *e, struct job *job, enum job_outcome outcome);
void notes_trim(struct job *job); /* those that are saved */
int extra_ensure(struct job *job) GA_MUST_CHECK;
bool key_matches(const void *item, const void *key);
bool unique_matches(const void *item, const void *key);

/* ---- what attempts tell: told.c ---- */
struct bytes *told_log(const struct job *job); /* of the current attempt, a copy; NULL: none, or no memory */
void told_free(struct job_told *t);
uint64_t told_weight(const struct job *job);

/* ---- children of attempts: children.c ---- */
int children_admit(struct engine *e, const struct submission *s) GA_MUST_CHECK;
void parent_ended(struct engine *e, struct job *job); /* its attempt; `job.parent` */
void children_run(struct engine *e); /* those of parents that have ended are cancelled */

/* ---- states: moves.c ---- */
void job_move(struct engine *e, struct job *job, enum job_state to);
/* To where a job begins: BLOCKED, SCHEDULED until `due` (0: none), or READY. */
void job_start(struct engine *e, struct job *job, int64_t due, bool blocked);
/* Move to a final state and announce it; room for the action is reserved. */
void job_end(struct engine *e, struct job *job, enum job_state to);
void job_fail(struct engine *e, struct job *job, struct span code, struct span message);
void job_fail_unknown(struct engine *e, struct job *job); /* one that may run at most once, and was lost */
/* An unfinished job's end is asked for: CANCELLED or EXPIRED. Room for two actions is reserved. */
void job_stop(struct engine *e, struct job *job, enum job_state to);
void job_expire(struct engine *e, struct job *job);
enum job_state job_stopped_state(const struct job *job); /* what it ends as, once its end was asked for */
/* A failed attempt: again after the backoff. Room for the action is reserved. */
void job_retry_later(struct engine *e, struct job *job, uint32_t retry_after_ms);
/* Out of all lists, not to be found any more, freed by engine_reap(). */
void job_forget(struct engine *e, struct job *job);
void job_free(struct engine *e, struct job *job); /* one that is in no list */
bool job_is_final(const struct job *job);

/* ---- submissions: engine.c ---- */
/* Fill in the defaults. -EINVAL. */
int submission_complete(const struct engine *e, struct submission *s) GA_MUST_CHECK;
/* A job in no state yet, with this sequence; its submission is complete. */
int job_new(struct engine *e, const struct submission *s, uint64_t sequence,
	    struct job **ret_job) GA_MUST_CHECK;
uint64_t engine_unfinished(const struct engine *e); /* jobs */
void id_make(struct engine *e, uint64_t sequence, enum job_durability durability, struct uuid *ret_id);
/* The sequence in an id, or -ENOENT, -ESTALE as of engine_find(). */
int id_read(const struct engine *e, const struct uuid *id, uint64_t *ret_sequence) GA_MUST_CHECK;
enum job_durability id_durability(const struct uuid *id);

/* ---- waiting for a retry: retry.c ---- */
/* Nanoseconds to wait after the failure number `failures` (from 1); `unit`, in 0..1, is the jitter's dice. */
int64_t retry_delay(const struct retry_policy *p, unsigned failures, uint32_t retry_after_ms,
		    double unit);
