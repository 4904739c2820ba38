/*
 * gate.h — what a queue or a limit key lets through: the arithmetic alone. The engine's own; pure.
 *
 * `shut` is what the engine has made of gate_opens_at(), and changes with its events only (limits.c); the rest is this
 * file's. The rate is a token bucket kept as one time, the one at which it will be full again (GCRA: ITU-T I.371).
 */
#pragma once
#include "engine_limits.h"
#include "heap.h"

#define BUSY_PAUSE_MAX (INT64_C(3600) * 1000000000) /* nobody stops a key for longer in one go */

/* What engine_check() counts again. */
struct gate_found {
	uint64_t jobs;
	uint32_t running;
};
struct gate {
	uint32_t running;
	uint32_t ceiling;     /* of `running`, by the limit and by being busy; UINT32_MAX: none */
	uint64_t jobs;        /* unfinished ones, running or not */
	int64_t interval;     /* between starts; 0: no rate */
	struct heap_node due; /* in engine.gates, always: when time opens it, or at TIME_NEVER */
	uint8_t kind;         /* enum limit_kind: what it is part of */
	bool shut;
	bool paused;
	bool own;              /* the limit isn't the default */
	bool bounded;          /* the engine's: counted in bounded_gates */
	int64_t tolerance;     /* how much earlier than evenly spread a start may be */
	int64_t full_at;       /* when the bucket is full again */
	int64_t blocked_until; /* by the other side's wish */
	int64_t slow_again;    /* being busy counts once until then */
	uint32_t slowed;       /* a ceiling of its own; 0: none */
	uint32_t successes;    /* since that ceiling last changed */
	int64_t run_time;      /* of a job, a moving average */
	struct limit limit;
	struct gate_found found;
};

void gate_init(struct gate *g, enum limit_kind kind, const struct limit *limit);
/* -EINVAL: as engine_set_limit() says. */
int limit_check(const struct limit *limit) GA_MUST_CHECK;
/* Give it another limit; what it learnt is forgotten. */
void gate_limit(struct gate *g, const struct limit *limit);

/* When the next job may start: at once if that is no later than `now`; TIME_NEVER: not by waiting alone. */
int64_t gate_opens_at(const struct gate *g, int64_t now);
/* A job starts: of the bucket, a token. */
void gate_spend(struct gate *g, int64_t now);
/* A job that ran for so long has ended. */
void gate_learn(struct gate *g, int64_t ran);
/* A job was told that the other side is busy, and wants to be spared for `retry_after` ns. */
void gate_busy(struct gate *g, int64_t now, int64_t retry_after);
void gate_succeeded(struct gate *g);
uint64_t gate_pending(const struct gate *g);
bool gate_full(const struct gate *g); /* it has max_pending jobs */
