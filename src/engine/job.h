/*
 * job.h — one job, as the engine keeps it. Others read it; engine.c's job_move() alone writes `state`.
 */
#pragma once
#include "bytes.h"
#include "heap.h"
#include "job_terms.h"
#include "list.h"
#include "uuid.h"

struct engine_queue;

struct retry_policy {
	uint16_t max;        /* further attempts after the first */
	uint32_t initial_ms; /* wait before the second attempt */
	uint32_t maximum_ms; /* no wait is longer */
	float factor;        /* each wait is so many times the one before */
	float jitter;        /* each wait varies by +- this part of it */
};

struct job_error {
	int signal; /* that ended its worker, or 0 */
	char code[32];
	char message[]; /* NUL-terminated */
};

struct job {
	struct uuid id;
	uint64_t sequence; /* of acceptance; FIFO within priority */
	uint64_t token;    /* of the current or last attempt: epoch << 32 | counter; 0: none yet */
	struct list all;   /* every job, by sequence */
	struct list place; /* of its state: a ready list, a worker's held list, or the finished ring */
	struct list mates;    /* jobs of the same client */
	struct heap_node due; /* RETRYING: next attempt; finished: end of its TTL */
	struct engine_queue *queue;
	struct bytes *args;
	struct bytes *meta, *body; /* the result; NULL: none */
	struct job_error *error;   /* of the last failed attempt; NULL: none */
	uint64_t client, tag;
	int64_t accepted_at, started_at, finished_at; /* engine time; 0: not yet */
	int64_t accepted_wall;                        /* Unix nanoseconds */
	int64_t result_ttl;
	uint32_t timeout_ms, elapsed_us; /* elapsed: of the last attempt */
	uint32_t slot;                   /* of the worker that has or had it */
	struct retry_policy retries;
	uint16_t type;
	uint16_t attempts; /* started */
	uint16_t failures; /* charged */
	uint8_t crashes;
	int8_t priority;
	uint8_t state;     /* enum job_state */
	uint8_t job_class; /* enum job_class */
	bool detached, cancelling, delivered;
};
