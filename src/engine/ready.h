/*
 * ready.h — the ready jobs, by (queue, class), then priority, then turns, then acceptance. The engine's own.
 *
 * Queues that have ready jobs of a class take turns, one job each. Within a queue the highest priority goes first, and
 * there the limit keys take turns: each has a lane, and jobs without a key share one. A lane has a shelf for each priority
 * that its jobs have: shelves with jobs stand in their level's row, and those of one level leave one job each.
 *
 * What can't start isn't looked at: a queue whose gate is shut isn't among the turns, and a lane whose key's gate is shut
 * is parked with the key when its turn comes. When the gate opens one lane of the key comes back for each class, the others
 * with the next runs, and all of them before a worker idles.
 */
#pragma once
#include "gate.h"
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

/* Ready jobs of one lane and one priority. */
struct shelf {
	struct list turn;  /* in level.shelves while it has jobs and its lane isn't parked */
	struct list fresh; /* by sequence: jobs in order of acceptance arrive at its end */
	struct heap back; /* by sequence: jobs that came back out of order, from a retry or a worker */
	uint64_t count;
	struct lane *lane;  /* NULL: it is the one of jobs without a key */
	struct shelf *next; /* of the lane */
	uint64_t users;     /* unfinished jobs that belong here, if it has a lane */
	unsigned rank;
};
struct level {
	struct list shelves; /* those whose turn may come */
	struct shelf plain;  /* of jobs without a key */
};
/* The jobs of one limit key among the ready ones of one queue and class; there while it has unfinished jobs. */
struct lane {
	struct ready *ready;
	struct limit_key *key;
	struct shelf *shelves;
	unsigned filled;    /* shelves that have jobs */
	struct list parked; /* in limit_key.places[class].parked, or nowhere */
};
/* The ready jobs of one class in one queue. Level 0 has the highest priority. */
struct ready {
	struct engine_queue *queue;
	enum job_class job_class;
	struct list turn; /* in engine.turns[class] while a shelf's turn may come and the queue's gate is open */
	uint64_t count;                             /* jobs */
	unsigned present;                           /* shelves in levels */
	uint64_t occupied[(LEVEL_COUNT + 63) / 64]; /* a bit for each level that has shelves */
	struct level *blocks[BLOCK_COUNT];
};
struct engine_queue {
	struct gate gate;
	struct ready *ready[CLASS_COUNT];
	char *name;
	uint64_t users; /* profiles that name it, and its own settings: without any it goes, but for the default one */
	uint32_t index; /* in engine.queues */
};
struct limit_key {
	char *name;
	uint64_t users; /* jobs that name it, and its own settings */
	uint32_t index; /* in engine.limit_keys */
	struct gate gate;
	struct lane *recent; /* of its lanes, the one found last; or NULL */
	struct {
		struct list parked; /* lanes that met the gate shut */
		struct list waking; /* in engine.waking[class] while there are some and the gate is open */
	} places[CLASS_COUNT];
};

int ready_prepare(struct engine_queue *q, enum job_class job_class, int priority) GA_MUST_CHECK;
void ready_free(struct ready *r);
/* A place for one more unfinished job of a key, kept until it is released. */
int lane_acquire(struct engine *e, const struct job *job) GA_MUST_CHECK;
void lane_release(struct engine *e, const struct job *job);
bool lane_matches(const void *item, const void *key);

struct ready *ready_of(const struct job *job);
struct level *level_at(const struct ready *r, unsigned rank);
/* NULL: the job has a key, and no place was acquired. */
struct shelf *shelf_of(const struct engine *e, const struct job *job);

void ready_insert(struct engine *e, struct job *job);
void ready_remove(struct engine *e, struct job *job);
/* Some of the lanes whose gate is open take part again; if engine.wakeful. */
void ready_wake(struct engine *e);
/* The job whose turn it is in this class, or NULL. */
struct job *ready_next(struct engine *e, enum job_class job_class);
/* It was dispatched: others are next. */
void ready_rotate(struct engine *e, const struct job *job);
/* The gate of a queue, or of a key, has opened or shut. */
void ready_gate_queue(struct engine *e, struct engine_queue *q);
void ready_gate_key(struct engine *e, struct limit_key *key);
