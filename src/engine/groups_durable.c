/* What is saved of groups, and how they come back. */
#include "buf.h"
#include "clock.h"
#include "engine_durable.h"
#include "engine_parts.h"
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

static int restore_members(struct group *g, struct span members);
static int restore_settled(struct group *g, struct span text);
static int unpack(struct group *g, const struct restored_group *r);

void group_changed(struct engine *e, struct group *g, bool sync)
{
	if (g->durability == DURABILITY_MEMORY)
		return;
	g->sync |= sync && g->durability == DURABILITY_FSYNC;
	if (!list_linked(&g->change))
		list_push_back(&e->groups.changes, &g->change);
}

struct group *engine_group_change(struct engine *e)
{
	struct group *g = GA_TAKE_PTR(e->groups.changing);
	struct list *node;

	if (g) {
		if (!g->stored)
			g->first_batch = e->sealed + 1;
		g->stored = true;
		g->sync = false;
		e->unsealed = true;
	}
	node = list_pop_front(&e->groups.changes);
	if (!node)
		return NULL;
	e->groups.changing = LIST_ENTRY(node, struct group, change);
	return e->groups.changing;
}

/* ---- the letters of outcomes ---- */

static const char letters[JOB_STATE_LIMIT] = {
	[JOB_SUCCEEDED] = 's', [JOB_FAILED] = 'f', [JOB_CANCELLED] = 'c', [JOB_EXPIRED] = 'x'
};

int group_settled_text(const struct group *g, struct buf *out)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < g->settled; i++)
		r = buf_printf(out, "%u%c", g->order[i], letters[g->outcomes[g->order[i]]]);
	return MIN(r, 0);
}

static enum job_state letter_state(char letter)
{
	for (int s = 1; s < JOB_STATE_LIMIT; s++) {
		if (letters[s] && letters[s] == letter)
			return (enum job_state)s;
	}
	return 0;
}

/* ---- coming back ---- */

static int unpack(struct group *g, const struct restored_group *r)
{
	int error = restore_members(g, r->members);

	g->id = r->id;
	g->state = (uint8_t)r->state;
	g->stored = true;
	g->cancelling = r->cancelling;
	g->timed_out = r->timed_out;
	g->accepted_at = r->accepted_at;
	g->started_at = r->started_at;
	g->finished_at = r->finished_at;
	if (error == 0)
		error = restore_settled(g, r->settled);
	if (error == 0 && r->error_code.size > 0)
		g->error = error_new(0, r->error_code, r->error_message);
	return error;
}

int group_unpack(const struct group_submission *s, const struct restored_group *r,
		 struct group **ret_group)
{
	struct group *g;
	int error = s->count > GROUP_MEMBERS_MAX ? -EINVAL : group_alloc(s, r->sequence, &g);

	if (error < 0)
		return error;
	error = unpack(g, r);
	if (error < 0)
		group_unpacked_free(g);
	else
		*ret_group = g;
	return error;
}

int engine_group_restore(struct engine *e, const struct group_submission *s,
			 const struct restored_group *r, struct group **ret_group)
{
	struct group *g;
	int error;

	if (r->sequence == 0 || (r->state != JOB_RUNNING && r->state != JOB_BLOCKED) ||
	    s->count > GROUP_MEMBERS_MAX || (s->parent && s->member >= s->parent->count))
		return -EINVAL;
	if (engine_group_at(e, r->sequence) || table_get(&e->table, r->sequence))
		return -EEXIST;
	error = group_create(e, s, r->sequence, &g);
	if (error < 0)
		return error;
	error = unpack(g, r);
	/* Its end was decided: the members that it stopped since then aren't to blame for it. */
	if (error == 0 && g->error)
		g->ending = g->timed_out && strcmp(g->error->code, "timeout") == 0 ? JOB_EXPIRED
										   : JOB_FAILED;
	if (error == 0 && r->due != 0 && !g->timed_out)
		error = heap_set(&e->groups.due, &g->due, r->due);
	if (error < 0) {
		group_leave(e, g);
		return error;
	}
	*ret_group = g;
	return 0;
}

static int restore_members(struct group *g, struct span members)
{
	size_t count = members.size / sizeof(uint64_t);

	if (members.size % sizeof(uint64_t) || count > g->count ||
	    (count < g->count && g->options.kind != GROUP_MAP))
		return -EINVAL;
	memcpy(g->sequences, members.data ? members.data : "", members.size);
	for (size_t i = 0; i < count; i++)
		g->sequences[i] = le64toh(g->sequences[i]);
	g->made = (uint32_t)count;
	return 0;
}

static int restore_settled(struct group *g, struct span text)
{
	const char *at = text.data, *end = at + text.size;

	while (at < end) {
		const char *digits = at;
		uint32_t member = 0;
		enum job_state outcome;

		while (at < end && *at >= '0' && *at <= '9' && member < GROUP_MEMBERS_MAX)
			member = member * 10 + (uint32_t)(*at++ - '0');
		outcome = at > digits && at < end ? letter_state(*at++) : 0;
		if (!outcome || member >= g->made || g->outcomes[member])
			return -EINVAL;
		g->outcomes[member] = (uint8_t)outcome;
		g->order[g->settled++] = member;
		g->succeeded += outcome == JOB_SUCCEEDED;
		g->failed += outcome == JOB_FAILED || outcome == JOB_EXPIRED;
		g->cancelled += outcome == JOB_CANCELLED;
		if (g->culprit == g->count && outcome != JOB_SUCCEEDED)
			g->culprit = member;
	}
	return 0;
}

void engine_groups_restored(struct engine *e)
{
	struct group *g;
	uint32_t at = 0;

	while ((g = map_next(&e->groups.by_sequence, &at))) {
		for (uint32_t i = 0; i < g->made; i++) {
			if (!g->outcomes[i] && !engine_job_at(e, g->sequences[i]) &&
			    !engine_group_at(e, g->sequences[i]))
				group_member_ended(e, g, i, JOB_FAILED);
		}
		group_work(e, g);
	}
}
