/*
 * engine_rig.h — an engine under test: short ways to feed it, and its actions kept where tests can look at them.
 *
 * rig_turn() is one turn of a broker's loop; it checks the engine's invariants each time.
 */
#pragma once
#include "clock.h"
#include "engine_durable.h"
#include "tap_main.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RIG_EPOCH 0x0badc0deu
#define RIG_ACTIONS 256

struct rig {
	struct engine *e;
	int64_t now;
	struct action actions[RIG_ACTIONS]; /* of the last turn, but ENDED; their jobs may have left */
	size_t count, ended;                /* of those, and of ENDED ones */
};

static inline void rig_check(struct rig *rig)
{
	char why[256] = "";

	if (engine_check(rig->e, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

static inline void rig_open(struct rig *rig, struct engine_options options)
{
	memset(rig, 0, sizeof(*rig));
	options.epoch = RIG_EPOCH;
	options.seed = 1;
	assert_int_equal(engine_new(&options, &rig->e), 0);
	rig->now = 1000 * NSEC_PER_SEC;
	engine_advance(rig->e, rig->now, 1700000000 * NSEC_PER_SEC);
}

static inline void rig_close(struct rig *rig)
{
	rig_check(rig);
	engine_free(rig->e);
}

static inline void rig_pass(struct rig *rig, int64_t ns)
{
	rig->now += ns;
	engine_advance(rig->e, rig->now, 1700000000 * NSEC_PER_SEC + rig->now);
}

/* A live, registered worker that takes `capacity` jobs of each class. */
static inline void rig_worker(struct rig *rig, uint32_t slot, uint64_t incarnation, uint32_t capacity)
{
	struct engine_worker w = { .slot = slot, .incarnation = incarnation };

	for (int c = 0; c < CLASS_COUNT; c++)
		w.capacity[c] = capacity;
	assert_int_equal(engine_worker_started(rig->e, slot, incarnation), 0);
	assert_int_equal(engine_worker_joined(rig->e, &w), 0);
}

static inline void rig_lost(struct rig *rig, uint32_t slot, uint64_t incarnation, uint64_t culprit,
			    int signal)
{
	engine_worker_lost(rig->e, slot, incarnation,
			   &(struct engine_death){ .culprit = culprit, .signal = signal });
}

static inline struct job *rig_submit(struct rig *rig, struct submission s)
{
	struct job *job = NULL;

	assert_int_equal(engine_submit(rig->e, &s, &job), 0);
	return job;
}

static inline struct job *rig_job(struct rig *rig)
{
	return rig_submit(rig, (struct submission){ .job_class = CLASS_NET });
}

/* Run, keep the actions, reap. */
static inline void rig_turn(struct rig *rig)
{
	size_t count;
	const struct action *actions = engine_run(rig->e, &count);

	rig->count = rig->ended = 0;
	for (size_t i = 0; i < count; i++) {
		if (actions[i].kind == ACTION_ENDED) {
			rig->ended++;
			continue;
		}
		assert_true(rig->count < RIG_ACTIONS);
		rig->actions[rig->count++] = actions[i];
	}
	engine_reap(rig->e);
	rig_check(rig);
}

/* How many actions of a kind the last turn had for a job (NULL: for any). */
static inline unsigned rig_had(const struct rig *rig, enum action_kind kind, const struct job *job)
{
	unsigned had = 0;

	for (size_t i = 0; i < rig->count; i++)
		had += rig->actions[i].kind == kind && (!job || rig->actions[i].job == job);
	return had;
}

static inline int rig_end(struct rig *rig, const struct job *job, struct attempt_result r)
{
	r.token = job->token;
	return engine_result(rig->e, job->slot, &r);
}

static inline void rig_succeed(struct rig *rig, const struct job *job)
{
	assert_int_equal(rig_end(rig, job, (struct attempt_result){ .outcome = OUTCOME_SUCCEEDED }), 0);
}

static inline void rig_fail(struct rig *rig, const struct job *job, bool retryable)
{
	struct attempt_result r = { .outcome = OUTCOME_FAILED,
				    .retryable = retryable,
				    .code = SPAN("oops") };

	assert_int_equal(rig_end(rig, job, r), 0);
}
