/*
 * limits_rig.h — engine_rig.h with queues, limit keys, and what the last turn started.
 */
#pragma once
#include "engine_limits.h"
#include "engine_rig.h"

/* A net job of this queue and key ("": none). */
static inline struct job *rig_keyed(struct rig *rig, const char *queue, const char *key, int priority)
{
	return rig_submit(rig, (struct submission){ .job_class = CLASS_NET,
						    .queue = span_of(queue),
						    .limit_key = span_of(key),
						    .priority = (int8_t)priority });
}

static inline void rig_limit(struct rig *rig, enum limit_kind kind, const char *name, struct limit limit)
{
	assert_int_equal(engine_set_limit(rig->e, kind, span_of(name), &limit), 0);
	rig_check(rig);
}

static inline struct limit_view rig_view(struct rig *rig, enum limit_kind kind, const char *name)
{
	struct limit_view view = { 0 };

	assert_int_equal(engine_limit_find(rig->e, kind, span_of(name), &view), 0);
	return view;
}

/* The n-th job (from 0) that the last turn dispatched; NULL: it dispatched fewer. */
static inline struct job *rig_started(const struct rig *rig, unsigned n)
{
	for (size_t i = 0; i < rig->count; i++)
		if (rig->actions[i].kind == ACTION_DISPATCH && n-- == 0)
			return rig->actions[i].job;
	return NULL;
}

static inline unsigned rig_start(struct rig *rig)
{
	rig_turn(rig);
	return rig_had(rig, ACTION_DISPATCH, NULL);
}

/* The last turn started these jobs, in this order, and no others. */
#define assert_started(rig, ...)                                                                   \
	do {                                                                                       \
		struct job *const expected[] = { __VA_ARGS__ };                                    \
                                                                                                   \
		assert_int_equal(rig_had(rig, ACTION_DISPATCH, NULL), ARRAY_SIZE(expected));       \
		for (unsigned i_ = 0; i_ < ARRAY_SIZE(expected); i_++)                             \
			assert_ptr_equal(rig_started(rig, i_), expected[i_]);                      \
	} while (0)
