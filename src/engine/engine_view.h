/*
 * engine_view.h — the engine's figures: what it holds and what it has done. Reading them changes nothing.
 */
#pragma once
#include "job_terms.h"
#include <stdbool.h>

struct engine;
struct job;

struct engine_counts {
	uint64_t jobs[JOB_STATE_LIMIT]; /* now, by state */
	uint64_t submitted, succeeded, failed, cancelled, expired, retried, refused, crashes,
		stale_results, evicted; /* ever */
	uint64_t args_bytes;            /* of unfinished jobs */
	uint64_t finished_bytes;        /* of finished ones */
	uint64_t suspects;              /* ready jobs that wait for the sacrificial worker */
};
void engine_counts(const struct engine *e, struct engine_counts *ret_counts);
struct worker_view {
	uint32_t slot;
	uint64_t incarnation;
	bool joined, draining;
	uint32_t capacity[CLASS_COUNT], held[CLASS_COUNT];
	uint64_t dispatched, finished;
};
/* The slots in order: 0, or -ENOENT past the last. Slots that have no live incarnation have incarnation 0. */
int engine_worker_view(const struct engine *e, uint32_t index, struct worker_view *ret_view);
/* The incarnation that lives in a slot (0: none), and, if asked for, whether it has registered. */
uint64_t engine_worker_incarnation(const struct engine *e, uint32_t slot, bool *ret_joined);
/* How many ready jobs stand before this one in its (queue, class); for "why". */
uint64_t engine_ahead(const struct engine *e, const struct job *job);
struct queue_view {
	const char *name;
	uint64_t ready, running;
};
int engine_queue_view(const struct engine *e, uint32_t index,
		      struct queue_view *ret_view); /* -ENOENT past the last */
