/* Which groups there are: making them, finding them, and when they leave. */
#include "clock.h"
#include "engine_parts.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	GROUPS_BYTES_MAX = 64 << 20
}; /* with those that have ended; then these leave, the oldest first */

static bool sequence_matches(const void *item, const void *key)
{
	const struct group *g = item;

	return g->sequence == *(const uint64_t *)key;
}

void groups_init(struct engine *e)
{
	struct groups *all = &e->groups;

	map_init(&all->by_sequence, sequence_matches);
	heap_init(&all->due);
	list_init(&all->tops);
	list_init(&all->ended);
	list_init(&all->work);
	list_init(&all->changes);
	list_init(&all->hungry);
}

static uint64_t weight(const struct group *g)
{
	return sizeof(*g) + bytes_weight(g->spec) +
	       g->count * (sizeof(*g->sequences) + sizeof(*g->order) + sizeof(*g->outcomes));
}

void group_unpacked_free(struct group *g)
{
	if (!g)
		return;
	free(g->sequences);
	free(g->order);
	free(g->outcomes);
	free(g->error);
	bytes_unref(g->spec);
	free(g);
}

void groups_done(struct engine *e)
{
	struct group *g;

	while ((g = map_take_any(&e->groups.by_sequence)))
		group_unpacked_free(g);
	map_done(&e->groups.by_sequence);
	heap_done(&e->groups.due);
}

struct group *group_ref(struct group *g)
{
	if (g)
		g->users++;
	return g;
}

void group_unref(struct engine *e, struct group *g)
{
	while (g && --g->users == 0) {
		struct group *parent = g->parent;

		e->groups.bytes -= weight(g);
		group_unpacked_free(g);
		g = parent;
	}
}

int engine_room(const struct engine *e, uint32_t jobs, uint64_t bytes)
{
	if (engine_unfinished(e) + jobs > e->options.max_jobs)
		return -ENOBUFS;
	if (e->counts.args_bytes + e->groups.bytes + bytes > e->options.max_args_bytes)
		return -EDQUOT;
	return 0;
}

static int options_check(const struct group_submission *s)
{
	const struct group_options *o = &s->options;

	if (o->kind < GROUP_GATHER || o->kind > GROUP_MAP || s->count > GROUP_MEMBERS_MAX ||
	    o->timeout < 0 || (unsigned)s->durability > DURABILITY_FSYNC)
		return -EINVAL;
	if (o->kind == GROUP_WAIT &&
	    (s->count == 0 ||
	     (o->until == UNTIL_COUNT && (o->until_count == 0 || o->until_count > s->count))))
		return -EINVAL;
	if (s->parent && (s->parent->durability != s->durability || group_is_final(s->parent)))
		return -EINVAL;
	return s->parent ? group_place_check(s->parent, s->member) : 0;
}

int group_alloc(const struct group_submission *s, uint64_t sequence, struct group **ret_group)
{
	struct group *g = calloc(1, sizeof(*g));
	uint32_t room = MAX(s->count, 1U);

	if (!g)
		return -ENOMEM;
	g->sequence = sequence;
	g->sequences = calloc(room, sizeof(*g->sequences));
	g->order = calloc(room, sizeof(*g->order));
	g->outcomes = calloc(room, sizeof(*g->outcomes));
	if (!g->sequences || !g->order || !g->outcomes) {
		group_unpacked_free(g);
		return -ENOMEM;
	}
	list_init(&g->work);
	list_init(&g->change);
	list_init(&g->hungry);
	list_init(&g->place);
	list_init(&g->ended);
	g->options = s->options;
	g->durability = (uint8_t)s->durability;
	g->count = g->culprit = s->count;
	g->spec = bytes_ref(s->spec);
	g->member = s->member;
	*ret_group = g;
	return 0;
}

int group_create(struct engine *e, const struct group_submission *s, uint64_t sequence,
		 struct group **ret_group)
{
	struct group *g;
	int r = group_alloc(s, sequence, &g);

	if (r < 0)
		return r;
	if (s->options.timeout > 0)
		r = heap_set(&e->groups.due, &g->due, TIME_NEVER);
	if (r == 0)
		r = map_put(&e->groups.by_sequence, sequence, g);
	if (r < 0) {
		heap_remove(&e->groups.due, &g->due);
		group_unpacked_free(g);
		return r;
	}
	g->parent = group_ref(s->parent);
	g->users = 1;
	g->accepted_at = e->now;
	e->groups.bytes += weight(g);
	e->next_sequence = MAX(e->next_sequence, sequence + 1);
	if (g->parent)
		group_adopt(e, g->parent, g->member, sequence);
	else
		list_push_back(&e->groups.tops, &g->place);
	*ret_group = g;
	return 0;
}

int engine_group_new(struct engine *e, const struct group_submission *s, struct group **ret_group)
{
	struct group *g;
	int r = options_check(s);

	if (r == 0)
		r = group_create(e, s, e->next_sequence, &g);
	if (r < 0)
		return r;
	id_make(e, g->sequence, s->durability, &g->id);
	group_move(e, g, JOB_BLOCKED);
	*ret_group = g;
	return 0;
}

int group_place_check(const struct group *g, uint32_t member)
{
	return member < g->count && !g->sequences[member] ? 0 : -EINVAL;
}

void group_adopt(struct engine *e, struct group *g, uint32_t member, uint64_t sequence)
{
	if (g->sequences[member])
		return; /* restored */
	g->sequences[member] = sequence;
	g->made++;
	if (g->stored)
		group_changed(e, g, true);
}

void engine_group_discard(struct engine *e, struct group *g)
{
	for (uint32_t i = 0; i < g->count; i++) {
		struct job *job = g->sequences[i] ? engine_job_at(e, g->sequences[i]) : NULL;
		struct group *inner = g->sequences[i] && !job ? engine_group_at(e, g->sequences[i])
							      : NULL;

		if (inner)
			engine_group_discard(e, inner);
		if (!job)
			continue;
		job->refused = true; /* of its change nothing is saved */
		e->counts.submitted--;
		job_forget(e, job);
	}
	group_leave(e, g);
}

/* ---- finding ---- */

int engine_group_find(struct engine *e, const struct uuid *id, struct group **ret_group)
{
	uint64_t sequence;
	struct group *g;
	int r = id_read(e, id, &sequence);

	if (r < 0)
		return r;
	g = engine_group_at(e, sequence);
	if (g && uuid_equal(&g->id, id)) {
		*ret_group = g;
		return 0;
	}
	if (id_durability(id) != DURABILITY_MEMORY)
		return -ENODATA;
	/* What isn't a group may be a job, or a guess. */
	return g || table_get(&e->table, sequence) ? -ENOENT : -EIDRM;
}

struct group *engine_group_at(const struct engine *e, uint64_t sequence)
{
	return map_get(&e->groups.by_sequence, sequence, &sequence);
}

struct job *engine_job_at(struct engine *e, uint64_t sequence)
{
	return table_get(&e->table, sequence);
}

struct group *engine_group_older(struct engine *e, struct group *g)
{
	struct list *node = g ? g->place.prev : e->groups.tops.prev;

	return (g && g->gone) || node == &e->groups.tops ? NULL
							 : LIST_ENTRY(node, struct group, place);
}

enum job_state engine_group_outcome(struct engine *e, const struct group *g, uint32_t member)
{
	const struct job *job = g->outcomes[member] ? engine_job_at(e, g->sequences[member]) : NULL;
	const struct group *inner =
		g->outcomes[member] && !job ? engine_group_at(e, g->sequences[member]) : NULL;

	if ((job && job->untold) || (inner && inner->untold))
		return 0;
	return (enum job_state)g->outcomes[member];
}

int64_t engine_group_due(const struct engine *e, const struct group *g)
{
	int64_t due = heap_holds(&g->due) ? heap_due(&e->groups.due, &g->due) : TIME_NEVER;

	return due == TIME_NEVER ? 0 : due;
}

/* ---- leaving ---- */

static struct group *inner_at(const struct engine *e, const struct group *g, uint32_t member)
{
	return g->sequences[member] ? engine_group_at(e, g->sequences[member]) : NULL;
}

/* Nothing of it, or of the groups in it, goes on, is to be saved or to be told. */
static bool may_leave(const struct engine *e, const struct group *g)
{
	if (!group_is_over(g) || g->untold || list_linked(&g->change) || list_linked(&g->work) ||
	    e->groups.changing == g)
		return false;
	for (uint32_t i = 0; i < g->count; i++) {
		const struct group *inner = inner_at(e, g, i);

		if (inner && !may_leave(e, inner))
			return false;
	}
	return true;
}

void group_leave(struct engine *e, struct group *g)
{
	g->gone = true;
	for (uint32_t i = 0; i < g->count; i++) {
		struct group *inner = inner_at(e, g, i);

		if (inner)
			group_leave(e, inner);
	}
	heap_remove(&e->groups.due, &g->due);
	list_remove(&g->work);
	list_remove(&g->change);
	list_remove(&g->hungry);
	list_remove(&g->place);
	list_remove(&g->ended);
	map_take(&e->groups.by_sequence, g->sequence, &g->sequence);
	group_unref(e, g);
}

static int64_t expiry(const struct engine *e, const struct group *g)
{
	return time_add(g->finished_at, e->options.result_ttl);
}

/* Those that have ended leave when their time is over, or earlier where groups take too much memory. */
void groups_evict(struct engine *e)
{
	LIST_FOREACH(it, &e->groups.ended) {
		struct group *g = LIST_ENTRY(it, struct group, ended);

		if (e->groups.bytes <= GROUPS_BYTES_MAX && expiry(e, g) > e->now)
			return;
		if (may_leave(e, g))
			group_leave(e, g);
	}
}

int64_t groups_next_due(const struct engine *e)
{
	int64_t due = heap_next_due(&e->groups.due);

	if (list_empty(&e->groups.ended))
		return due;
	/* One that can't leave yet is tried again at each reap. */
	const struct group *first = LIST_ENTRY(e->groups.ended.next, struct group, ended);

	return MIN(due, MAX(expiry(e, first), e->now + NSEC_PER_SEC));
}

int groups_check(const struct engine *e, char *ret_why, size_t why_size)
{
	const struct group *g;
	uint64_t bytes = 0;
	uint32_t at = 0;

	while ((g = map_next(&e->groups.by_sequence, &at))) {
		uint32_t made = 0, settled = 0, succeeded = 0, cancelled = 0;
		bool once = true;

		for (uint32_t i = 0; i < g->count; i++) {
			made += g->sequences[i] != 0;
			settled += g->outcomes[i] != 0;
			succeeded += g->outcomes[i] == JOB_SUCCEEDED;
			cancelled += g->outcomes[i] == JOB_CANCELLED;
			once &= i >= g->settled || g->outcomes[g->order[i]];
		}
		bytes += weight(g);
		if (made > g->made || settled != g->settled || succeeded != g->succeeded ||
		    cancelled != g->cancelled || g->failed != settled - succeeded - cancelled ||
		    !once) {
			snprintf(ret_why, why_size, "group %llu miscounts its members",
				 (unsigned long long)g->sequence);
			return -EBADMSG;
		}
		if (g->gone || g->users == 0 || (group_is_final(g) && g->finished_at == 0 && e->now) ||
		    (group_is_final(g) && g->settled < g->made && g->options.kind != GROUP_WAIT)) {
			snprintf(ret_why, why_size, "group %llu has a wrong end",
				 (unsigned long long)g->sequence);
			return -EBADMSG;
		}
	}
	if (bytes > e->groups.bytes) { /* those that have left and are still named count, too */
		snprintf(ret_why, why_size, "groups miscount their bytes");
		return -EBADMSG;
	}
	return 0;
}
