/*
 * job_terms.h — the words for a job that several layers share: its class, its state, how an attempt ended.
 *
 * The numbers travel on the wire and stand in stores: they are never reused.
 */
#pragma once
#include "compiler.h"

enum job_class { CLASS_LIGHT, CLASS_NET, CLASS_PROC, CLASS_CPU, CLASS_COUNT };

/*
 *   ready -> running -> succeeded
 *     ^         |-----> failed      (not retryable, or no retries left) -> ready, by hand
 *     |         |-----> cancelled   (also from ready and retrying)
 *     |         |-----> retrying -> ready
 *     '---------'  worker lost
 */
enum job_state {
	JOB_READY = 1,
	JOB_RUNNING = 2,
	JOB_RETRYING = 3,
	JOB_SUCCEEDED = 4,
	JOB_FAILED = 5,
	JOB_CANCELLED = 6,
};
#define JOB_STATE_LIMIT 7

/* How an attempt ended, as its worker says. */
enum job_outcome {
	OUTCOME_SUCCEEDED = 1,
	OUTCOME_FAILED = 2,
	OUTCOME_TIMED_OUT = 3,
	OUTCOME_CANCELLED = 4,
	OUTCOME_ABANDONED = 5, /* cancelled or timed out, but the handler did not stop: its slot is withheld until it does */
	OUTCOME_RETURNED = 6, /* not run, or stopped by a drain: ready again, uncharged */
};

enum job_durability { DURABILITY_MEMORY = 0, DURABILITY_WRITE = 1, DURABILITY_FSYNC = 2 };

const char *job_state_name(enum job_state state); /* "ready", ... or "?" */
int job_state_parse(const char *name, enum job_state *ret_state) GA_MUST_CHECK; /* -EINVAL */
const char *job_class_name(enum job_class job_class); /* "light", ... or "?" */
