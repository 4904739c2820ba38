/*
 * attempt.h — one attempt at a job inside a worker: what handlers know as ga_job.
 *
 *   waiting -> running -> ended       (its result is kept until the broker acknowledges it)
 *      |          |         ^
 *      |          '-> abandoned       (its handler ignores a cancel: its result is out, its slot isn't)
 *      '--------------------^         (cancelled or returned before it began)
 *
 * attempt_move() in runner.c is the only writer of `state`. Owned by the runner. While a `work` handler runs, its thread
 * alone touches `args` and `output`; all else belongs to the loop's thread. Counted in hundred thousands (a sleeping
 * attempt is this and a future), so what only some need is in `output`.
 */
#pragma once
#include "buf.h"
#include "future.h"
#include "job_terms.h"
#include "loop.h"
#include "registry.h"
#include "uuid.h"

#define ATTEMPT_MAGIC 0x67614a6fu

/* A result must fit into a record: the body, then the metadata, the error and the record's own fields. */
#define RESULT_BODY_MAX (1u << 20)
#define RESULT_META_MAX ((64u << 10) - 2048)
#define RESULT_MESSAGE_MAX 1024u

enum attempt_state { ATTEMPT_WAITING, ATTEMPT_RUNNING, ATTEMPT_ABANDONED, ATTEMPT_ENDED };

/* Who asked a running attempt to end. */
enum attempt_stop { STOP_NONE, STOP_TIMEOUT, STOP_CANCEL, STOP_DRAIN };

struct children;
struct progress;

struct attempt_output {
	struct buf meta, body;     /* meta: a JSON object without its closing brace; empty: none */
	char *message;             /* of the error; NULL: none */
	int64_t retry_after;       /* ns */
	struct children *children; /* NULL: it has none */
	struct progress *_Atomic progress; /* NULL: nothing told; the one thing here that the loop reads meanwhile */
	bool retryable, busy;
	char code[32];           /* of the error; "": none */
	char id[UUID_TEXT_SIZE]; /* "": not formatted yet */
};

struct attempt_pool;

struct ga_job {
	uint32_t magic;
	uint8_t state;     /* enum attempt_state */
	uint8_t stop;      /* enum attempt_stop */
	uint8_t outcome;   /* enum job_outcome, once it was reported */
	bool reported : 1; /* the result is out, or kept for when the broker is back */
	bool acknowledged : 1;
	bool forgotten : 1; /* the broker wants no result */
	bool kept : 1;      /* scratch of runner_welcome() */
	bool settling : 1;  /* its handler has ended, with `result`; its children haven't */
	_Atomic bool begun; /* a `work` handler: a thread has taken it, and has set `started` and `deadline` */
	uint16_t attempt;
	uint32_t timeout_ms, elapsed_us;
	union {
		uint32_t text_size; /* WAITING */
		int32_t result;     /* of a `work` handler */
	};
	uint64_t token;
	struct attempt_pool *pool; /* of its type */
	struct uuid id;
	int64_t started, deadline;
	struct loop_timer timer; /* the timeout; after that the grace */
	union {
		struct future_waiter waiter;
		struct list place; /* in the runner's `waiting`, or in `ended` once the waiter was told */
	};
	ga_future *future;
	union {
		json_t *args; /* NULL: none given */
		char *text;   /* WAITING: not parsed yet; NULL: none */
	};
	struct attempt_output *output; /* NULL: nothing said yet */
	_Alignas(max_align_t) char data[];
};

/* What the attempt says, made when first needed; NULL: no memory. */
struct attempt_output *attempt_output(struct ga_job *job);
void attempt_output_free(struct attempt_output *o);
/* Set the error, unless the handler has set one. The format may be NULL: no message. */
void attempt_error(struct ga_job *job, bool retryable, const char *code, const char *message);
const struct loaded_type *attempt_type(const struct ga_job *job);
