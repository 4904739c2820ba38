/*
 * model.h — what the engine should be doing, written a second time: simply, with arrays and loops.
 *
 * The world (world.h) tells each event to the engine and to the model. The model keeps each job's expected state, and
 * holds the engine's actions and what it saves against it: an accepted job is in exactly one state and never lost; an
 * attempt is dispatched once, and not before it is committed; nothing is told before it is committed; capacity isn't
 * exceeded; queues leave by priority and acceptance and take turns; what should be told is told once; what changed is
 * saved. The first contradiction is kept in `why`.
 *
 * All times here are the world's; the engine's begin with the boot.
 */
#pragma once
#include "engine_durable.h"
#include "engine_limits.h"
#include "model_job.h"
#include "random.h"

enum {
	MODEL_WORKERS = 6,
	MODEL_QUEUES = 4,
	MODEL_CLIENTS = 4,
	MODEL_KEYS = 6,
	MODEL_UNIQUES = 5,
	MODEL_GHOSTS = 64,
	MODEL_GATES = 5,    /* queues, and limit keys from 1 */
	MODEL_FREE_KEY = 1, /* has no limits */
};

struct model_worker {         /* as the broker knows it */
	uint64_t incarnation; /* 0: dead */
	bool joined, draining;
	uint32_t capacity[CLASS_COUNT], withheld[CLASS_COUNT];
	unsigned used; /* jobs dispatched to it */
};

struct model_gate {
	struct limit limit;
	bool own, paused;
	int64_t full_at, busy_until, slow_again; /* of the bucket; of being busy */
	uint32_t slowed, successes;
};

struct promise; /* an action that has to come: model_parts.h */
struct model {
	struct engine *e;
	int64_t now, boot; /* the engine's time is now - boot */
	int64_t wall_offset; /* of the wall clock, as far as the engine follows it; the world's is now + offset */
	int64_t key_ttl, result_ttl, failed_ttl;
	uint32_t max_jobs;
	uint64_t max_finished_bytes, evicted;
	struct model_job *jobs; /* those kept, in any order */
	size_t count, size;
	struct model_job *leaving; /* that left before their end was saved */
	size_t leaving_count, leaving_size;
	uint32_t *places; /* in `jobs`, from 1, by sequence */
	size_t place_count;
	struct model_group *groups; /* model_groups.h */
	size_t group_count;
	uint64_t group_works;
	struct model_worker workers[MODEL_WORKERS + 1]; /* the last one is the sacrificial one */
	bool asked, dismissed;                          /* that one */
	unsigned sets;
	struct limit default_limits[2];
	struct model_gate gates[2][MODEL_GATES];
	const char *(*gate_names)[MODEL_GATES];
	struct promise *promises;
	size_t promise_count, promise_size;
	uint64_t open, told; /* batches: the one that is being filled, and up to which they are committed */
	struct ghost { /* an attempt that was */
		uint32_t slot;
		uint64_t token;
	} ghosts[MODEL_GHOSTS];
	struct {
		struct uuid id;
		int found;    /* what engine_find() says now */
	} left[MODEL_GHOSTS]; /* jobs that were forgotten */
	uint64_t *endings;    /* tokens of attempts that have ended in this turn */
	size_t ending_count, ending_size;
	uint64_t ghost_count, left_count, last_token, last_order;
	bool broken;
	const char *rule; /* that was broken */
	char why[400];
};

#define MODEL_EXPECT(m, condition, ...)                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			model_break(m, __VA_ARGS__);                                               \
	} while (0)
void model_break(struct model *m, const char *format, ...) GA_PRINTF(2, 3);
/* A new engine: nothing is known but what is restored. */
void model_reset(struct model *m, struct engine *e);
void model_done(struct model *m);

bool model_final(const struct model_job *job);
bool model_durable(const struct model_job *job);
bool model_unsaved(const struct model_job *job); /* its last save says less than it must */
struct model_job *model_find(struct model *m, uint64_t sequence); /* NULL: not here any more */
struct model_job *model_find_leaving(struct model *m, uint64_t sequence);
struct job *model_real(struct model *m, const struct model_job *job); /* the engine's; NULL: broken */
struct model_worker *model_worker(struct model *m, uint32_t slot);
uint32_t model_held(const struct model *m, uint32_t slot, int job_class);
/* Who has a key that is still remembered; who has a unique key. NULL: nobody. */
struct model_job *model_key_holder(struct model *m, int key);
struct model_job *model_unique_holder(struct model *m, int unique);
int64_t model_engine_time(const struct model *m, int64_t world); /* 0 and infinity stay what they are */

/* ---- events ---- */
struct model_job *model_submitted(struct model *m, const struct job *job, const struct model_job *like);
void model_cancel(struct model *m, struct model_job *job);
void model_retry(struct model *m, struct model_job *job);
void model_deliver(struct model *m, struct model_job *job);
void model_client_gone(struct model *m, uint64_t client);
void model_result(struct model *m, struct model_job *job, const struct attempt_result *r);
void model_promise_stale(struct model *m, uint32_t slot,
			 uint64_t token); /* the result of an attempt that isn't */
void model_started(struct model *m, uint32_t slot, uint64_t incarnation);
void model_joined(struct model *m, const struct engine_worker *w);
void model_holds(struct model *m, struct model_job *job);
void model_worker_told(struct model *m, uint32_t slot);
void model_lost(struct model *m, uint32_t slot, const struct engine_death *death);
void model_advanced(struct model *m, int64_t now, int64_t wall);
/* What is meant in wall time moves by so much. */
void model_shift(const struct model *m, struct model_job *job, int64_t by);
void model_refused(struct model *m, uint64_t sequence);
void model_committed(struct model *m, uint64_t number);
/* What was `saved` came back; if it ran, then in this incarnation, of whose end this is known (NULL: nothing). `set`: of
 * those that were there; 0: they are to have one. */
void model_restored(struct model *m, const struct model_job *saved, uint64_t incarnation,
		    const struct engine_death *death, unsigned *set);

/* Settings: NULL takes the gate's own limit back. */
void model_limit(struct model *m, enum limit_kind kind, int name, const struct limit *limit);
void model_limit_default(struct model *m, enum limit_kind kind, const struct limit *limit);
bool model_gates_full(const struct model *m, const struct model_job *job); /* no more at the door */

/* ---- what the engine does ---- */
void model_ran(struct model *m); /* its engine_run() has chosen whom to dispatch */
/* An action was handed out, and had to be. Whether it means anything. */
bool model_action(struct model *m, const struct action *a);
void model_acted(struct model *m); /* that were all */
void model_reaped(struct model *m);
void model_saved(struct model *m, struct model_job *job, const struct job *real);
void model_sealed(struct model *m, uint64_t number, bool any);

/* Hold all that the engine shows against the model. */
void model_forget(struct model *m, struct model_job *job); /* it has left */

void model_compare(struct model *m);
