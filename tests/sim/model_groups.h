/*
 * model_groups.h — what groups of jobs should be doing: asyncio's rules, as loops over arrays. Part of the model.
 */
#pragma once
#include "engine_groups.h"
#include "model.h"

enum { MODEL_MEMBERS = 6, MODEL_GROUPS = 512 };

/* What a store has to know of a group. */
struct group_face {
	uint64_t members[MODEL_MEMBERS];
	enum job_state state;
	uint8_t outcomes[MODEL_MEMBERS], order[MODEL_MEMBERS];
	uint32_t made, settled;
	bool cancelling, timed_out;
};
struct model_group {
	struct uuid id;
	uint64_t sequence, parent; /* 0: it is a top one */
	uint32_t member, count;
	struct group_options options;
	enum job_durability durability;
	struct group_face is, saved;
	enum job_state ending;
	uint32_t culprit; /* from 1; 0: none */
	uint32_t ordered; /* of the settled ones: whose order is known */
	int64_t due, accepted_at, finished_at;
	uint64_t first_batch;
	bool swept, untold, refused;
	uint64_t work; /* when it was said that it is to be looked at; 0: it isn't */
};

struct model_group *model_group(struct model *m, uint64_t sequence); /* NULL: none */
struct model_group *model_group_add(struct model *m, const struct model_group *g);
void model_group_start(struct model *m, struct model_group *g);
void model_group_forget(struct model *m, struct model_group *g);
int model_group_cancel(struct model *m, struct model_group *g);
void model_groups_order(struct model *m); /* before a run */
bool model_group_hungry(const struct model_group *g);
void model_group_skip(struct model *m, struct model_group *g);
void model_group_refused(struct model *m, struct model_group *g);
bool model_group_over(const struct model_group *g);
void model_group_saved(struct model *m, struct model_group *g, const struct group *real);
void model_group_restored(struct model *m, const struct model_group *saved);
void model_groups_restored(struct model *m);

/* ---- for the other files of the model ---- */
void model_group_adopt(struct model *m, uint64_t sequence, uint32_t member, uint64_t job);
void model_group_ended(struct model *m, uint64_t sequence, uint32_t member, enum job_state outcome);
void model_member_refused(struct model *m, uint64_t sequence, uint32_t member);
void model_promise_group(struct model *m, const struct model_group *g, bool lapsed);
void model_groups_advanced(struct model *m);
void model_groups_run(struct model *m);
bool model_group_unsaved(const struct model_group *g);
void model_groups_compare(struct model *m);
