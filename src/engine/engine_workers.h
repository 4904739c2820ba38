/*
 * engine_workers.h — what the engine is told of workers: they come, hold attempts, send results, and die.
 */
#pragma once
#include "job_terms.h"
#include "span.h"
#include <stdbool.h>
#include <stdint.h>

struct engine;
struct job;

struct engine_worker {
	uint32_t slot; /* small: 0 .. 4095 */
	uint64_t incarnation;
	uint32_t capacity[CLASS_COUNT];
};
/* The supervisor started an incarnation, or (after a broker's restart) says that it lives: attempts may be held by it.
 * -EINVAL: not a slot, or incarnation 0; -EBUSY: the slot's earlier incarnation must be lost first; -ENOMEM. */
int engine_worker_started(struct engine *e, uint32_t slot, uint64_t incarnation) GA_MUST_CHECK;
/* It has registered: jobs flow. Again: its capacity changes, what it holds stays. -ESTALE: not the slot's live
 * incarnation. */
int engine_worker_joined(struct engine *e, const struct engine_worker *w) GA_MUST_CHECK;
/* What a registered worker says it holds: true: keep it (it is the job's current attempt; if it is to be cancelled,
 * there is an ACTION_CANCEL again); false: cancel it. */
bool engine_worker_holds(struct engine *e, uint32_t slot, uint64_t token);
/* No new jobs to it; those it holds may end or come back. */
void engine_worker_drains(struct engine *e, uint32_t slot);
/* It has named all that it holds: what else it should hold (it was restored from a store) is ready again, uncharged. */
void engine_worker_told(struct engine *e, uint32_t slot);
/* How a worker died. */
struct engine_death {
	uint64_t culprit; /* token of the attempt that was on its CPU; 0: unknown. One it no longer holds doesn't matter */
	int signal; /* that killed it; 0: a hang; below 0: it exited, with status -1 - signal */
	bool asked; /* it was told to end: nobody is to blame */
};
/* It is dead: its jobs are ready again, uncharged, but for the culprit, charged with a crash. What follows from charges
 * and from deaths without a culprit: crashes.c. */
#define MAX_CRASHES 3
void engine_worker_lost(struct engine *e, uint32_t slot, uint64_t incarnation,
			const struct engine_death *death);

struct attempt_result {
	uint64_t token;
	enum job_outcome outcome;
	bool retryable;
	uint32_t retry_after_ms;
	uint32_t elapsed_us;
	struct span code, message; /* of the error; empty on success */
	bool busy;                 /* the other side asks to be spared: its limit key slows down */
	struct span meta;          /* JSON object, or empty */
	struct span body;
};
/* 0: an ACTION_ENDED with its token says when it may be acknowledged. -ESTALE: not a current attempt of this slot's
 * (late, double, foreign): ignored and counted; such an action tells, too, when to acknowledge it. -ENOMEM: nothing
 * changed, the attempt still runs: don't acknowledge it. */
int engine_result(struct engine *e, uint32_t slot, const struct attempt_result *r) GA_MUST_CHECK;
struct attempt_progress {
	uint64_t token;
	uint32_t fraction;     /* in millionths, or TOLD_UNKNOWN */
	uint64_t log_from;     /* how many bytes of the attempt's log came before `log` */
	struct span text, log; /* of whole lines; what is here already is passed over */
};
/* A running attempt tells of itself. -ESTALE: it isn't a current one of this slot; -ENOMEM: some of it is lost. */
int engine_progress(struct engine *e, uint32_t slot, const struct attempt_progress *p);
/* A running attempt waits for its children alone, and gives its slot back (`parked`), or goes on: at once, so that a worker
 * may hold more than its capacity for a while. What isn't a current attempt of this slot is passed over. */
void engine_park(struct engine *e, uint32_t slot, uint64_t token, bool parked);
/* The job whose current attempt has this token. NULL: none. */
struct job *engine_attempt(const struct engine *e, uint64_t token);

/* A running attempt as a client (submission.client): what it submits are its children. They are in memory and not detached
 * (-EINVAL), and cancelled when the attempt ends. -ESTALE: it doesn't run any more, or is to end. */
#define ATTEMPT_CLIENT (UINT64_C(1) << 63)
static inline uint64_t attempt_client(uint64_t token)
{
	return ATTEMPT_CLIENT | token;
}

/* A slot that an abandoned attempt withheld is free again. */
void engine_slot_freed(struct engine *e, uint32_t slot, enum job_class job_class);
