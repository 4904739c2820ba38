/*
 * crashes_parts.h — what waits for the sacrificial worker, and what it does: suspects.c, crashes.c. The engine's own.
 */
#pragma once
#include "engine.h"
#include "list.h"

/* ---- jobs that may take their worker along: suspects.c; who they are: crashes.c ---- */
struct suspects { /* jobs that were on a worker when it died for no known reason: they run together */
	struct list node;
	struct list jobs[CLASS_COUNT]; /* READY ones, by job.place */
};
/* What waits for the sacrificial worker, and what it does. It runs one set at a time, or one job alone. */
struct trials {
	struct list alone; /* READY jobs that run alone, by job.place */
	struct list sets; /* of struct suspects, in order of their turns, but for the current one */
	struct suspects *current; /* whose jobs it has, or gets; NULL: none's */
	struct suspects *target; /* to which a suspect that is ready again belongs: the current set, but in a death */
	unsigned set_count, alone_count;
	bool alone_next;    /* whose turn it is next */
	bool asked;         /* for the worker, since it died last */
	bool dismissed;     /* the worker that lives */
	bool inherited;     /* it wasn't asked for: who knows what has run in there */
	struct list deaths; /* of workers that died before this engine was */
};
void trials_init(struct engine *e);
void trials_done(struct engine *e);
void trials_run(struct engine *e); /* whoever may start, starts; the worker is asked for, or dismissed */
void trials_started(struct engine *e);
void trials_ended(struct engine *e);           /* the worker is gone, and its jobs have moved on */
bool trials_have_room(const struct engine *e); /* for those of one more worker's death */
uint64_t trials_count(const struct engine *e); /* suspects that are in the lists; for engine_check() */
struct suspects *suspects_new(struct engine *e); /* NULL: no memory */
/* Its turn comes first or last. A set without jobs is freed; NULL is a no-op. */
void suspects_enter(struct engine *e, struct suspects *set, bool first);
void suspect_insert(struct engine *e, struct job *job); /* it is READY */
void suspect_remove(struct engine *e, struct job *job);

/* A stored attempt's worker is dead: what becomes of the job, which is in no state yet. */
void attempt_was_lost(struct engine *e, struct job *job, uint64_t incarnation);
void deaths_done(struct engine *e);
