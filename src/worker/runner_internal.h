/*
 * runner_internal.h — the runner's state, for runner.c (which attempts there are), runner_call.c (calling handlers) and
 * runner_end.c (what becomes of them).
 */
#pragma once
#include "attempt.h"
#include "map.h"
#include "runner.h"

/* Attempts of one type are of one size: freed ones are kept for the next. */
struct attempt_pool {
	struct runner *runner;
	const struct loaded_type *type;
	size_t size;
	struct ga_job *spares; /* linked by `future` */
	unsigned spare_count;
};

struct runner {
	struct loop *loop;
	const struct registry *registry;
	void (*send)(void *arg, const struct record *r);
	void *arg;
	int64_t grace;
	struct attempt_pool *pools; /* by type */
	struct map attempts;        /* by token: all but forgotten ones */
	struct list waiting;        /* of ga_job.place */
	struct list ended;          /* their futures are resolved; to be settled by settle_call */
	struct loop_call settle_call;
	struct loop_call begin_call; /* begins waiting ones */
	uint64_t unacknowledged;
	unsigned running, waiting_count;
	bool online, draining;
};

static inline struct runner *attempt_runner(const struct ga_job *job)
{
	return job->pool->runner;
}

static inline uint64_t token_hash(uint64_t token)
{
	return token * UINT64_C(0x9e3779b97f4a7c15);
}

/* The one writer of an attempt's state. */
void attempt_move(struct ga_job *job, enum attempt_state to);
/* It has ended and nobody wants to know more of it. */
void attempt_free(struct ga_job *job);

/* runner_call.c: run the handler of a WAITING attempt. */
void attempt_begin(struct ga_job *job);
/* Ask a RUNNING one to end. */
void attempt_stop(struct ga_job *job, enum attempt_stop why);

/* runner_inputs.c: the job's arguments with what they refer to filled in, to be freed; NULL: `r` says why not. */
char *inputs_fill(const struct record_job *record, struct refusal *r);

/* runner_end.c: its handler has ended with `result`. */
void attempt_settle(struct ga_job *job, int result);
/* It ends without having run. */
void attempt_end_unrun(struct ga_job *job, enum job_outcome outcome);
/* Its handler won't heed the cancel. */
void attempt_abandon(struct ga_job *job);
/* Send, or send again, a kept result. */
void attempt_report(struct ga_job *job);
/* It is safe, or nobody's any more: drop what was kept for sending. */
void attempt_drop_result(struct ga_job *job);
