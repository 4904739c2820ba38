/*
 * model.h — what the engine should be doing, written a second time: simply, with arrays and loops.
 *
 * The simulation (sim_engine.c) tells each event to the engine and to the model. The model keeps each job's expected
 * state, and holds the engine's actions against it: an accepted job is in exactly one state and never lost, an attempt
 * is dispatched once, capacity isn't exceeded, queues leave by priority and acceptance and take turns, suspects run in the
 * sacrificial worker only and with their own set only, what should be told is told once. The first contradiction is kept
 * in `why`.
 */
#pragma once
#include "engine.h"
#include "random.h"

enum { MODEL_WORKERS = 6, MODEL_QUEUES = 4, MODEL_CLIENTS = 4, MODEL_GHOSTS = 64 };

struct model_job {
	struct uuid id;
	uint64_t sequence, token, client, tag;
	enum job_state state;
	enum job_class job_class;
	int queue, priority;
	uint32_t slot;
	struct retry_policy retries;
	unsigned attempts, failures, crashes;
	bool detached, cancelling, delivered, untold;
	bool suspect, alone; /* alone: as of its dispatch */
	unsigned set;        /* of a suspect */
	int64_t ttl;         /* of a result */
	int64_t earliest,
		latest; /* RETRYING: when it may, and must be ready; finished: both when it expires */
	uint64_t order;        /* among finished, or delivered, ones; from 1 */
	unsigned expected[16]; /* actions of each kind to come */
};

struct model_worker {
	uint64_t incarnation; /* 0: dead */
	bool joined, draining;
	uint32_t capacity[CLASS_COUNT], withheld[CLASS_COUNT];
	unsigned used; /* jobs dispatched to it */
};

struct ghost { /* an attempt that was */
	uint32_t slot;
	uint64_t token;
};

struct model {
	struct engine *e;
	int64_t now, failed_ttl;
	uint64_t max_finished_bytes, evicted;
	struct model_job *jobs; /* those kept, in any order */
	size_t count, size;
	struct model_worker workers[MODEL_WORKERS + 1]; /* the last one is the sacrificial one */
	bool asked, dismissed;                          /* that one */
	unsigned sets;
	struct ghost ghosts[MODEL_GHOSTS];
	struct uuid left[MODEL_GHOSTS]; /* ids of jobs that were forgotten */
	uint64_t ghost_count, left_count, last_token, last_order;
	bool broken;
	char why[400];
};

#define MODEL_EXPECT(m, condition, ...)                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			model_break(m, __VA_ARGS__);                                               \
	} while (0)
void model_break(struct model *m, const char *format, ...) GA_PRINTF(2, 3);

bool model_final(const struct model_job *job);
struct model_job *model_find(struct model *m, const struct uuid *id);
struct job *model_real(struct model *m, const struct model_job *job); /* the engine's; NULL: broken */
struct model_worker *model_worker(struct model *m, uint32_t slot);
uint32_t model_held(const struct model *m, uint32_t slot, int job_class);

void model_submitted(struct model *m, const struct job *job, const struct submission *s, int queue);
void model_cancel(struct model *m, struct model_job *job);
void model_retry(struct model_job *job);
void model_deliver(struct model *m, struct model_job *job);
void model_client_gone(struct model *m, uint64_t client);
void model_result(struct model *m, struct model_job *job, const struct attempt_result *r);
void model_lost(struct model *m, uint32_t slot, const struct engine_death *death);
void model_advanced(struct model *m, int64_t now);
void model_actions(struct model *m, const struct action *actions, size_t count);
void model_reaped(struct model *m);

/* Hold all that the engine shows against the model. */
void model_compare(struct model *m);
