/*
 * group_rig.h — groups of jobs in an engine under test.
 */
#pragma once
#include "engine_groups.h"
#include "engine_rig.h"

#define MANY 8

/* A group of jobs, made and started. */
struct bundle {
	struct group *group;
	struct job *jobs[MANY];
};

static inline struct group *make(struct rig *rig, struct group_options o, uint32_t count,
				 struct group *parent, uint32_t member, enum job_durability durability)
{
	const struct group_submission s = {
		.options = o, .durability = durability, .count = count, .parent = parent, .member = member
	};
	struct group *g = NULL;

	assert_int_equal(engine_group_new(rig->e, &s, &g), 0);
	return g;
}

static inline struct job *join(struct rig *rig, struct group *g, uint32_t member, bool blocked)
{
	return rig_submit(rig, (struct submission){ .job_class = CLASS_NET,
						    .group = g,
						    .member = member,
						    .blocked = blocked,
						    .exempt = true,
						    .durability = (enum job_durability)g->durability });
}

static inline void fill(struct rig *rig, struct bundle *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		b->jobs[i] = join(rig, b->group, i, true);
}

static inline struct bundle bundle_of(struct rig *rig, struct group_options o, uint32_t count)
{
	struct bundle b = { .group = make(rig, o, count, NULL, 0, DURABILITY_MEMORY) };

	fill(rig, &b, count);
	engine_group_start(rig->e, b.group);
	return b;
}

static inline struct bundle gather_of(struct rig *rig, uint32_t count)
{
	return bundle_of(rig, (struct group_options){ .kind = GROUP_GATHER }, count);
}

static inline void open_with_worker(struct rig *rig, uint32_t capacity)
{
	rig_open(rig, (struct engine_options){ 0 });
	rig_worker(rig, 0, 1, capacity);
}

static inline bool told(const struct rig *rig, const struct group *g)
{
	for (size_t i = 0; i < rig->count; i++) {
		if (rig->actions[i].kind == ACTION_GROUP_FINISHED && rig->actions[i].group == g)
			return true;
	}
	return false;
}

static inline void cancelled_by_worker(struct rig *rig, const struct job *job)
{
	struct attempt_result r = { .outcome = OUTCOME_CANCELLED };

	assert_int_equal(rig_end(rig, job, r), 0);
}

/* chain [ job, gather [ job, job ], wait-for-the-first [ job, job ], job ] */
struct nest {
	struct group *chain, *gather, *wait;
	struct job *first, *both[2], *either[2], *last;
};

static inline struct nest nest_of(struct rig *rig, enum job_durability d)
{
	struct nest n;

	n.chain = make(rig, (struct group_options){ .kind = GROUP_CHAIN }, 4, NULL, 0, d);
	n.first = join(rig, n.chain, 0, true);
	n.gather = make(rig,
			(struct group_options){ .kind = GROUP_GATHER, .timeout = 10 * NSEC_PER_SEC },
			2, n.chain, 1, d);
	n.both[0] = join(rig, n.gather, 0, true);
	n.both[1] = join(rig, n.gather, 1, true);
	n.wait = make(
		rig,
		(struct group_options){ .kind = GROUP_WAIT, .until = UNTIL_COUNT, .until_count = 1 },
		2, n.chain, 2, d);
	n.either[0] = join(rig, n.wait, 0, true);
	n.either[1] = join(rig, n.wait, 1, true);
	n.last = join(rig, n.chain, 3, true);
	engine_group_start(rig->e, n.chain);
	return n;
}
