/*
 * groups_parts.h — what the engine's files of groups share, and what the others call.
 */
#pragma once
#include "engine_groups.h"
#include "map.h"

struct groups {
	struct map by_sequence;
	struct list tops,
		ended; /* top groups: all by acceptance; those of which nothing runs, by their ends */
	struct list work;       /* groups with members that have ended, and the like */
	struct list changes;    /* to be saved */
	struct list hungry;     /* maps that may have room in their windows */
	struct group *changing; /* handed out last */
	struct heap due;
	uint64_t bytes; /* that they take */
};

void groups_init(struct engine *e);
void groups_done(struct engine *e); /* after the jobs */
void groups_advance(struct engine *e);
int64_t groups_next_due(const struct engine *e);
/* What has happened to members takes its effect on their groups, and on the members of those. */
void groups_run(struct engine *e);
void groups_evict(struct engine *e);
/* Recount. -EBADMSG with a sentence. */
int groups_check(const struct engine *e, char *ret_why, size_t why_size);

struct group *group_ref(struct group *group); /* NULL stays NULL */
void group_unref(struct engine *e, struct group *group);
/* Whether a member may have that place: 0 or -EINVAL. */
int group_place_check(const struct group *group, uint32_t member);
void group_adopt(struct engine *e, struct group *group, uint32_t member, uint64_t sequence);
/* A member has ended, or was refused by the store. */
void group_member_ended(struct engine *e, struct group *group, uint32_t member, enum job_state outcome);
void group_member_refused(struct engine *e, struct group *group, uint32_t member);

/* ---- between the files of groups ---- */
/* On its own, with room for its members. */
int group_alloc(const struct group_submission *s, uint64_t sequence,
		struct group **ret_group) GA_MUST_CHECK;
/* Known to the engine, in no state yet. */
int group_create(struct engine *e, const struct group_submission *s, uint64_t sequence,
		 struct group **ret_group) GA_MUST_CHECK;
bool group_is_final(const struct group *group);
bool group_is_over(const struct group *group); /* and none of its members goes on */
void group_move(struct engine *e, struct group *group, enum job_state to);
/* From BLOCKED to RUNNING, with the members that may run now. */
void group_begin(struct engine *e, struct group *group);
void group_changed(struct engine *e, struct group *group, bool sync);
void group_work(struct engine *e, struct group *group); /* it is to be looked at in groups_run() */
void group_fail(struct engine *e, struct group *group, struct span code, struct span message);
void group_leave(struct engine *e, struct group *group);
