/*
 * group_desk.h — the broker's side of groups: taking them in, making the members of maps, telling who watches one.
 *
 * The engine decides what runs and when a group ends; here is what needs JSON, job types or the loop.
 */
#pragma once
#include "broker.h"
#include "refusal.h"
#include "submit.h"
#include <jansson.h>

struct group;

int groups_open(struct broker *b) GA_MUST_CHECK;
void groups_close(struct broker *b);

/* A group with all its members, at once or not at all; `text` is what `object` was parsed from. -EINVAL with `r`
 * filled. */
int group_submit(struct broker *b, const json_t *object, struct span text,
		 const struct submit_origin *origin, struct group **ret_group,
		 struct refusal *r) GA_MUST_CHECK;

/* Fields that a member can't have; `durability` is its group's. */
int group_check_fields(const struct job_fields *f, const char *durability,
		       struct refusal *r) GA_MUST_CHECK;

/* Before the engine runs: members for the maps that may have more. Whether there were any. */
bool groups_feed(struct broker *b);

/* ---- being told ---- */
struct group_watch;
/* `over`: the time was over first, and this is the last call. Else something was told of the group: a member's end, or its
 * own. Not while the engine's actions are carried out. */
typedef void (*group_watch_fn)(struct group_watch *w, bool over);
struct group_watch {
	struct broker *broker; /* NULL: it isn't under way */
	uint64_t sequence;
	struct list mates;
	struct loop_timer limit;
	group_watch_fn fn;
};
/* Until group_watch_stop(), or `deadline` (monotonic). -ENOMEM. */
int group_watch_start(struct broker *b, struct group_watch *w, const struct group *group,
		      int64_t deadline, group_watch_fn fn) GA_MUST_CHECK;
void group_watch_stop(struct group_watch *w); /* a no-op if it isn't under way */
/* While the engine's actions are carried out: a member's end, or a group's, is told. */
void groups_tell_member(struct broker *b, const struct job *job);
void groups_tell(struct broker *b, const struct group *group);
/* They have been carried out. */
void groups_flush(struct broker *b);
