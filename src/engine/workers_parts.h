/*
 * workers_parts.h — workers and the attempts that they hold: workers.c, attempts.c. The engine's own.
 */
#pragma once
#include "engine.h"
#include "list.h"

enum { LOAD_COUNT = 64, SLOT_LIMIT = 4096 };

/* ---- workers: workers.c ---- */
struct worker {
	uint32_t slot;
	uint64_t incarnation; /* 0: none lives */
	bool joined, draining;
	uint32_t capacity[CLASS_COUNT];
	uint32_t held[CLASS_COUNT];     /* attempts it has, and withheld ones */
	uint32_t withheld[CLASS_COUNT]; /* by abandoned attempts */
	uint64_t dispatched, finished;
	struct list jobs; /* RUNNING ones, by job.place, in order of dispatch */
	struct seat {
		struct list node; /* in engine.loads[class].workers[load] */
		int8_t load;      /* -1: takes no job of this class now */
	} seats[CLASS_COUNT];
};
/* Workers with free capacity for a class, by load: exact while small, then in quarter octaves, so that 64 lists and a
 * bitmap do for any capacity. Within a list they take turns. */
struct loads {
	uint64_t occupied;
	struct list workers[LOAD_COUNT];
};
void workers_init(struct engine *e);
void workers_free(struct engine *e);
struct worker *worker_at(const struct engine *e, uint32_t slot);       /* NULL: never started */
struct worker *worker_for(struct engine *e, enum job_class job_class); /* NULL: all are full */
void worker_take(struct engine *e, struct worker *w, struct job *job);
void worker_give(struct engine *e, struct job *job);
void worker_park(struct engine *e, struct job *job, bool parked);
void worker_withhold(struct worker *w, enum job_class job_class); /* before worker_give() of its job */
bool worker_has_room(const struct worker *w, enum job_class job_class);
void worker_shut(struct engine *e, struct worker *w); /* it died: nothing more goes to it */
void worker_clear(struct worker *w); /* it holds no job any longer: the slot is free */
int worker_load(uint32_t held);

/* ---- attempts and their results: attempts.c ---- */
bool attempt_matches(const void *item, const void *key);
struct job *attempt_find(const struct engine *e, uint32_t slot, uint64_t token);
bool attempts_dispatch_one(struct engine *e,
			   enum job_class job_class); /* false: nothing to do, or no memory */
/* A ready job goes to a worker that has room. false: no memory. */
bool attempt_start(struct engine *e, struct worker *w, struct job *job);
/* A RUNNING job's worker is gone, or doesn't know of it: ready again, or ended as it was asked to. */
void attempt_lost(struct engine *e, struct job *job);
/* An error, or NULL for want of memory. What is too long is cut. */
struct job_error *error_new(int signal, struct span code, struct span message);
void job_set_error(struct job *job, struct job_error *error); /* takes it */
