/*
 * engine_save.h — what a broker would hand to its store at the end of a turn.
 */
#pragma once
#include "engine_rig.h"

/* What a turn's batch held. */
struct rig_batch {
	uint64_t number;
	unsigned changes, firsts, syncs;
	struct job *jobs[16];
	enum job_state states[16];
};

static inline struct rig_batch rig_save(struct rig *rig)
{
	struct rig_batch b = { 0 };
	struct job *job;

	while ((job = engine_change(rig->e))) {
		assert_true(b.changes < 16);
		b.jobs[b.changes] = job;
		b.states[b.changes++] = (enum job_state)job->state;
		b.firsts += !job->stored;
		b.syncs += job->sync;
		for (struct job_note *n = job->extra ? job->extra->notes : NULL; n; n = n->next)
			n->saved = true;
	}
	b.number = engine_seal(rig->e);
	return b;
}
