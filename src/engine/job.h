/*
 * job.h — one job, as the engine keeps it. Others read it; the engine's job_move() alone writes `state`.
 *
 * The fields stand by how they are used together, without gaps: a million pending jobs are a million of these.
 */
#pragma once
#include "bytes.h"
#include "heap.h"
#include "job_terms.h"
#include "list.h"
#include "uuid.h"
#include <stdbool.h>

struct engine_queue;

struct retry_policy {
	uint32_t initial_ms; /* wait before the second attempt */
	uint32_t maximum_ms; /* no wait is longer, but for what the other side asked for */
	float factor;        /* each wait is so many times the one before */
	float jitter;        /* each wait varies by +- this part of it */
	uint16_t max;        /* further attempts after the first */
};

struct job_error {
	int signal; /* that ended its worker, or 0 */
	char code[32];
	char message[]; /* NUL-terminated */
};

struct job {
	struct list place; /* of its state: a ready list, a worker's held list, or the finished ring */
	uint64_t sequence; /* of acceptance, from 1; FIFO within priority */
	uint64_t token;    /* of the current or last attempt: epoch << 32 | counter; 0: none yet */
	struct list mates; /* unfinished: jobs of the same client; finished: of the same lifetime */
	struct engine_queue *queue; /* its name: job_queue_name() */
	struct bytes *args;

	struct heap_node due; /* RETRYING: next attempt; READY: among those that came back, or in no heap */
	uint32_t slot;       /* of the worker that has or had it */
	uint8_t state;       /* enum job_state */
	uint8_t job_class;   /* enum job_class */
	int8_t priority;     /* -100 .. 100 */
	uint8_t crashes;     /* charged */
	uint16_t attempts;   /* started */
	uint16_t failures;   /* charged */
	uint16_t type;       /* the submission's */
	bool detached : 1;   /* goes on when its client leaves */
	bool cancelling : 1; /* its end was asked for */
	bool delivered : 1;  /* its client has the result */
	bool untold : 1;     /* the engine's: its ACTION_FINISHED wasn't handed out yet */
	bool gone : 1;       /* the engine's: it has left, and engine_reap() frees it */
	uint32_t timeout_ms; /* of one attempt */
	uint32_t elapsed_us; /* of the last attempt, as its worker says */
	struct retry_policy retries;

	struct uuid id;
	uint64_t client, tag;
	int64_t accepted_at, started_at, finished_at; /* engine time; 0: not yet */
	int64_t accepted_wall;                        /* Unix nanoseconds */
	int64_t result_ttl;
	struct bytes *meta, *body; /* the result; NULL: none */
	struct job_error *error;   /* of the last failed attempt; NULL: none, or no memory for it */
};
_Static_assert(sizeof(struct job) <= 208, "a pending job has grown");
