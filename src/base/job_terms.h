/*
 * job_terms.h — the words for a job that several layers share: its class, its state, how an attempt ended.
 *
 * The numbers travel on the wire and stand in stores: they are never reused.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>

enum job_class { CLASS_LIGHT, CLASS_NET, CLASS_PROC, CLASS_CPU, CLASS_COUNT };

/*
 *  accepted -> scheduled -> ready -> running -> succeeded
 *        |         ^          ^         |-----> failed     (not retryable, or no retries left) -> ready, by hand
 *        |         |          |         |-----> retrying -> ready
 *        '---> blocked -------|         |-----> cancelled, expired (deadline); also from every state before
 *           (a group's turn)  '---------'  worker lost
 */
enum job_state {
	JOB_READY = 1,
	JOB_RUNNING = 2,
	JOB_RETRYING = 3,
	JOB_SUCCEEDED = 4,
	JOB_FAILED = 5,
	JOB_CANCELLED = 6,
	JOB_SCHEDULED = 7, /* its time is to come */
	JOB_BLOCKED = 8,   /* its group lets it start later */
	JOB_EXPIRED = 9,   /* its deadline passed */
	JOB_ACCEPTED = 10, /* the store decides whether its idempotency key is new */
};
#define JOB_STATE_LIMIT 11
#define JOB_STATES_FINAL                                                                           \
	(1u << JOB_SUCCEEDED | 1u << JOB_FAILED | 1u << JOB_CANCELLED | 1u << JOB_EXPIRED)

static inline bool job_state_is_final(enum job_state state)
{
	return JOB_STATES_FINAL >> state & 1;
}

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

/* Workers have slots from 0. The last one is for the sacrificial worker, where jobs run that may take their worker along;
 * it is there only when the broker wants it. */
#define SACRIFICE_SLOT 4095u

const char *job_state_name(enum job_state state); /* "ready", ... or "?" */
int job_state_parse(const char *name, enum job_state *ret_state) GA_MUST_CHECK; /* -EINVAL */
const char *job_durability_name(enum job_durability durability);                /* "memory", ... */
int job_durability_parse(const char *name, enum job_durability *ret_durability) GA_MUST_CHECK; /* -EINVAL */
const char *job_class_name(enum job_class job_class); /* "light", ... or "?" */
