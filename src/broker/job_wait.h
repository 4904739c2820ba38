/*
 * job_wait.h — being told of a job's end: by the end itself, by a time limit, or never, if given up before.
 *
 * A wait is embedded in its owner and calls back once. The job is valid during the call.
 */
#pragma once
#include "broker.h"

struct job_wait;
enum job_wait_end {
	WAIT_FINISHED, /* the job is in a final state, and that is safe */
	WAIT_OVER,     /* the time was over first */
	WAIT_REFUSED,  /* the job was refused after all: it never was */
};
typedef void (*job_wait_fn)(struct job_wait *w, struct job *job, enum job_wait_end end);

struct job_wait {
	struct broker *broker;
	struct uuid id;
	struct list mates; /* others who wait for the same job */
	struct loop_timer limit;
	job_wait_fn fn;
	bool leads; /* it is the one in the map */
};

/* Wait for the end of an unfinished job, or one whose end isn't told yet, until `deadline` (monotonic) at most. */
int job_wait_start(struct broker *b, struct job_wait *w, const struct job *job, int64_t deadline,
		   job_wait_fn fn) GA_MUST_CHECK;
void job_wait_stop(struct job_wait *w); /* give it up; a no-op if it isn't under way */
/* A job has finished, or was refused: tell those who wait for it. */
void job_waits_tell(struct broker *b, struct job *job, enum job_wait_end end);
/* Whether its end is still to be told: it hasn't finished, or waits for the commit. */
bool job_is_awaited(const struct job *job);
bool job_wait_match(const void *item, const void *key); /* for broker.waits */
