/*
 * engine_durable.h — what the engine hands to a store, and how it comes back.
 *
 * A durable job whose state changed is in the list of changes, once, however often it changed in the turn: it is saved
 * as it is at the turn's end. All changes of a turn are one batch. What is to be done or told because of them (dispatch,
 * acknowledge, finished) is withheld until engine_committed(). Jobs with durability memory take no part.
 *
 * A turn of the broker: events; engine_run() and carrying out, until nothing comes; engine_reap(); then engine_change()
 * until NULL, each saved; then engine_seal().
 */
#pragma once
#include "engine.h"

/* The next job that has to be saved as it is now, or NULL. `stored` tells whether it was handed out before, `sync`
 * whether the batch has to survive a loss of power. Its notes that aren't `saved` go with it. */
struct job *engine_change(struct engine *e);
/* The next group likewise. */
struct group *engine_group_change(struct engine *e);
/* What was handed out since the last call is a batch: its number, from 1. 0: there was nothing. */
uint64_t engine_seal(struct engine *e);
/* The batch that what happened up to now waits for: its number, sealed or to be sealed; 0: nothing is waited for.
 * Answers that must not come before the commit wait for it. */
uint64_t engine_pending(const struct engine *e);
/* Whether all that is seen of the job is committed, or needn't be; false, too, where that isn't known: what waits for
 * engine_pending() is safe. */
bool engine_job_is_safe(const struct engine *e, const struct job *job);
/* A job's first save was refused: it leaves as if it had never been; ACTION_REFUSED tells of it. To be called before
 * engine_committed() of its batch. Members of a group: the whole group is refused. */
void engine_refused(struct engine *e, struct job *job);
/* This batch, and all before it, are safe. engine_run() then hands out what waited for them. */
void engine_committed(struct engine *e, uint64_t number);

/* The job's arguments are safe in the store, and it is dispatched or far from it: free their memory. Whoever sends the
 * job to a worker reads them from the store again. */
void engine_drop_args(struct engine *e, struct job *job);

/* A job as it was stored. */
struct restored_job {
	struct uuid id;
	uint64_t sequence;
	enum job_state state;
	bool cancelling;
	uint16_t attempts, failures;
	uint8_t crashes;
	uint64_t token, incarnation;
	uint32_t slot;
	int64_t due;                                  /* SCHEDULED, RETRYING: engine time */
	int64_t accepted_at, started_at, finished_at; /* engine time, below 0 if before the boot */
	uint32_t elapsed_us;
	struct job_error *error;   /* taken */
	struct bytes *meta, *body; /* taken; finished ones */
	bool args_away;
};
/* What is known of a worker's death before this engine was: to be told before the jobs are restored. Stored attempts of
 * that incarnation are then lost as if it died now. It holds until the first engine_run(). -EINVAL: not a slot, or incarnation 0; -ENOMEM. */
int engine_worker_was_lost(struct engine *e, uint32_t slot, uint64_t incarnation,
			   const struct engine_death *death) GA_MUST_CHECK;
/* Put a stored job back, unchanged, in order of sequence at start; later: a finished one that is to be retried. A RUNNING
 * one waits for the worker that has it if that incarnation has been started, else it is ready again.
 * -EEXIST: it is here; -ENOMEM, -EINVAL as engine_submit(). Limits of numbers and bytes don't hold. */
int engine_restore(struct engine *e, const struct submission *s, const struct restored_job *r,
		   struct job **ret_job) GA_MUST_CHECK;
