/*
 * ready.h — the ready jobs, by (queue, class), then priority, then acceptance. The engine's own.
 *
 * Queues that have ready jobs of a class take turns, one job each.
 */
#pragma once
#include "heap.h"
#include "job.h"
#include "list.h"

struct engine;

enum {
	PRIORITY_LIMIT = 100,
	LEVEL_COUNT = 2 * PRIORITY_LIMIT + 1,
	LEVELS_PER_BLOCK = 8,
	BLOCK_COUNT = (LEVEL_COUNT + LEVELS_PER_BLOCK - 1) / LEVELS_PER_BLOCK,
};

struct level {
	struct list fresh; /* by sequence: jobs in order of acceptance arrive at its end */
	struct heap back; /* by sequence: jobs that came back out of order, from a retry or a worker */
	uint64_t count;
};
/* The ready jobs of one class in one queue. Level 0 has the highest priority. */
struct ready {
	struct engine_queue *queue;
	struct list turn; /* in engine.turns[class] while there are jobs */
	uint64_t count;
	uint64_t occupied[(LEVEL_COUNT + 63) / 64]; /* a bit for each level that has jobs */
	struct level *blocks[BLOCK_COUNT];
};
struct engine_queue {
	char *name;
	uint64_t users; /* profiles that name it: without any the queue goes, but for the default one */
	uint64_t running;
	uint32_t index; /* in engine.queues */
	struct ready *ready[CLASS_COUNT];
};
int ready_prepare(struct engine_queue *q, enum job_class job_class, int priority) GA_MUST_CHECK;
void ready_free(struct ready *r);
void ready_insert(struct engine *e, struct job *job);
void ready_remove(struct engine *e, struct job *job);
/* The job whose turn it is in this class, or NULL; its queue goes to the end of the row once the job is removed. */
struct job *ready_next(struct engine *e, enum job_class job_class);
void ready_rotate(struct engine *e, enum job_class job_class, struct engine_queue *served);
