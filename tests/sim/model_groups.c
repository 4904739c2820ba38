/* The model of groups: who belongs together, what a member's end means, and when the whole has ended. */
#include "clock.h"
#include "engine_parts.h"
#include "model_parts.h"
#include <errno.h>
#include <stdlib.h>

static void work(struct model *m, struct model_group *g);
static void conclude(struct model *m, struct model_group *g);
static enum job_state decide(const struct model_group *g);
static void sweep(struct model *m, struct model_group *g);
static void end(struct model *m, struct model_group *g);
static void release(struct model *m, struct model_group *g, uint32_t member);
static void begin(struct model *m, struct model_group *g);
static void compare(struct model *m, struct model_group *g);

struct model_group *model_group(struct model *m, uint64_t sequence)
{
	for (size_t i = 0; i < m->group_count && sequence > 0; i++)
		if (m->groups[i].sequence == sequence)
			return &m->groups[i];
	return NULL;
}

static bool is_final(const struct model_group *g)
{
	return job_state_is_final(g->is.state);
}

bool model_group_over(const struct model_group *g)
{
	return is_final(g) && g->is.settled == g->is.made;
}

/* It, or what it is a part of, was refused by the store. */
static bool is_lost(struct model *m, const struct model_group *g)
{
	while (g && !g->refused)
		g = model_group(m, g->parent);
	return g;
}

struct model_group *model_group_add(struct model *m, const struct model_group *g)
{
	struct model_group *parent = model_group(m, g->parent);

	if (m->group_count == MODEL_GROUPS) {
		model_break(m, "too many groups");
		return &m->groups[0];
	}
	if (parent && !parent->is.members[g->member]) {
		parent->is.members[g->member] = g->sequence;
		parent->is.made++;
	}
	m->groups[m->group_count] = *g;
	return &m->groups[m->group_count++];
}

void model_group_adopt(struct model *m, uint64_t sequence, uint32_t member, uint64_t job)
{
	struct model_group *g = model_group(m, sequence);

	if (!g || g->is.members[member])
		return;
	g->is.members[member] = job;
	g->is.made++;
}

void model_group_ended(struct model *m, uint64_t sequence, uint32_t member, enum job_state outcome)
{
	struct model_group *g = model_group(m, sequence);

	if (!g || g->is.outcomes[member])
		return; /* it was retried by hand */
	g->is.outcomes[member] = (uint8_t)outcome;
	g->is.order[g->is.settled++] = (uint8_t)member;
	if (outcome != JOB_SUCCEEDED && !g->ending && g->culprit == 0)
		g->culprit = member + 1;
	work(m, g);
}

void model_group_refused(struct model *m, struct model_group *g)
{
	while (g->parent)
		g = model_group(m, g->parent);
	if (g->refused || (is_final(g) && g->saved.state != 0 && g->first_batch <= m->told))
		return;
	g->refused = true;
	if (is_final(g))
		g->is.cancelling = true;
	else
		g->ending = JOB_FAILED;
	work(m, g);
}

/* What was accepted before is a map: of that this member alone is lost. */
void model_member_refused(struct model *m, uint64_t sequence, uint32_t member)
{
	struct model_group *g = model_group(m, sequence);

	if (!g)
		return;
	model_group_ended(m, sequence, member, JOB_FAILED);
	if (g->saved.state == 0 || g->first_batch > m->told)
		model_group_refused(m, g);
}

int model_group_cancel(struct model *m, struct model_group *g)
{
	if ((g->is.state == JOB_RUNNING && g->is.settled == g->count) || model_group_over(g))
		return -EALREADY;
	if (g->is.cancelling || (g->ending && !is_final(g)))
		return 0;
	g->is.cancelling = true;
	work(m, g);
	return 0;
}

void model_group_skip(struct model *m, struct model_group *g)
{
	g->is.made++;
	model_group_ended(m, g->sequence, g->is.made - 1, JOB_FAILED);
}

void model_group_start(struct model *m, struct model_group *g)
{
	begin(m, g);
}

void model_groups_advanced(struct model *m)
{
	for (size_t i = 0; i < m->group_count; i++) {
		struct model_group *g = &m->groups[i];

		if (g->due == 0 || g->due > m->now)
			continue;
		g->due = 0;
		if (g->ending || is_final(g))
			continue;
		g->is.timed_out = true;
		work(m, g);
	}
}

/* What happens in one turn may end a group in more than one way: the engine's order is as good as any other. */
void model_groups_order(struct model *m)
{
	const uint64_t base = m->group_works;

	LIST_FOREACH(it, &m->e->groups.work) {
		const struct group *real = LIST_ENTRY(it, struct group, work);
		struct model_group *g = model_group(m, real->sequence);

		if (g && g->work)
			g->work = ++m->group_works;
	}
	for (size_t i = 0; i < m->group_count; i++)
		MODEL_EXPECT(m, m->groups[i].work == 0 || m->groups[i].work > base,
			     "group %llu isn't looked at", (unsigned long long)m->groups[i].sequence);
}

void model_groups_run(struct model *m)
{
	while (!m->broken) {
		struct model_group *next = NULL;

		for (size_t i = 0; i < m->group_count; i++)
			if (m->groups[i].work && (!next || m->groups[i].work < next->work))
				next = &m->groups[i];
		if (!next)
			return;
		next->work = 0;
		conclude(m, next);
	}
}

static void work(struct model *m, struct model_group *g)
{
	if (g->work == 0)
		g->work = ++m->group_works;
}

bool model_group_hungry(const struct model_group *g)
{
	uint32_t window = g->options.window ? g->options.window : g->count;

	return g->options.kind == GROUP_MAP && g->is.state == JOB_RUNNING && !g->ending &&
	       !g->is.cancelling && !g->is.timed_out && g->is.made < g->count &&
	       g->is.made - g->is.settled < window;
}

static void conclude(struct model *m, struct model_group *g)
{
	bool leaves_rest;

	if (is_final(g)) {
		if (g->is.cancelling)
			sweep(m, g);
		return;
	}
	if (!g->ending)
		g->ending = decide(g);
	if (g->ending) {
		leaves_rest = g->options.kind == GROUP_WAIT && g->ending == JOB_SUCCEEDED &&
			      !g->options.cancel_rest;
		if (!leaves_rest)
			sweep(m, g);
		if (leaves_rest || g->is.settled == g->is.made)
			end(m, g);
	} else if (g->is.state == JOB_RUNNING && g->options.kind == GROUP_CHAIN) {
		release(m, g, g->is.settled);
	}
}

/* asyncio's rules. */
static enum job_state decide(const struct model_group *g)
{
	const struct group_options *o = &g->options;
	uint32_t failed = 0;
	bool enough;

	for (uint32_t i = 0; i < g->count; i++)
		failed += g->is.outcomes[i] == JOB_FAILED || g->is.outcomes[i] == JOB_EXPIRED;
	if (g->is.cancelling)
		return JOB_CANCELLED;
	if (g->is.state != JOB_RUNNING)
		return 0;
	if (o->kind == GROUP_WAIT) {
		enough = (o->until == UNTIL_COUNT && g->is.settled >= o->until_count) ||
			 (o->until == UNTIL_FIRST_EXCEPTION && failed > 0);
		return enough || g->is.timed_out || g->is.settled == g->count ? JOB_SUCCEEDED : 0;
	}
	if (g->culprit > 0 && !o->return_exceptions)
		return JOB_FAILED;
	if (g->is.settled == g->count)
		return JOB_SUCCEEDED;
	return g->is.timed_out ? JOB_EXPIRED : 0;
}

static void sweep(struct model *m, struct model_group *g)
{
	if (g->swept)
		return;
	g->swept = true;
	for (uint32_t i = 0; i < g->count; i++) {
		struct model_job *job = model_find(m, g->is.members[i]);
		struct model_group *inner = model_group(m, g->is.members[i]);

		if (g->is.members[i] == 0 || g->is.outcomes[i])
			continue;
		if (job)
			model_cancel(m, job);
		else if (inner)
			(void)model_group_cancel(m, inner);
	}
}

static void end(struct model *m, struct model_group *g)
{
	g->is.state = g->ending;
	g->due = 0;
	g->untold = true;
	g->finished_at = m->now;
	model_promise_group(m, g, is_lost(m, g));
	if (g->parent)
		model_group_ended(m, g->parent, g->member, g->is.state);
}

static void release(struct model *m, struct model_group *g, uint32_t member)
{
	struct model_job *job;
	struct model_group *inner;

	if (member >= g->is.made || g->is.outcomes[member])
		return;
	job = model_find(m, g->is.members[member]);
	inner = model_group(m, g->is.members[member]);
	if (job && job->is.state == JOB_BLOCKED) {
		model_starts(m, job);
	} else if (inner && inner->is.state == JOB_BLOCKED && !inner->ending && !inner->is.cancelling)
		begin(m, inner);
}

static void begin(struct model *m, struct model_group *g)
{
	g->is.state = JOB_RUNNING;
	if (g->options.timeout > 0)
		g->due = m->now + g->options.timeout;
	for (uint32_t i = 0; i < g->is.made && (i == 0 || g->options.kind != GROUP_CHAIN); i++)
		release(m, g, i);
	work(m, g);
}

/* ---- saves and comparisons ---- */

static bool face_equal(const struct group_face *a, const struct group_face *b)
{
	return !memcmp(a->members, b->members, sizeof(a->members)) && a->state == b->state &&
	       !memcmp(a->outcomes, b->outcomes, sizeof(a->outcomes)) &&
	       !memcmp(a->order, b->order, sizeof(a->order)) && a->made == b->made &&
	       a->settled == b->settled && a->cancelling == b->cancelling &&
	       a->timed_out == b->timed_out;
}

bool model_group_unsaved(const struct model_group *g)
{
	return g->durability != DURABILITY_MEMORY && !face_equal(&g->is, &g->saved);
}

/* Before what is saved is held against the model, so that the order is settled. */
void model_group_saved(struct model *m, struct model_group *g, const struct group *real)
{
	MODEL_EXPECT(m, real->stored == (g->saved.state != 0), "group %llu is saved first or again",
		     (unsigned long long)g->sequence);
	compare(m, g);
	if (g->saved.state == 0)
		g->first_batch = m->open;
	g->saved = g->is;
}

void model_group_restored(struct model *m, const struct model_group *saved)
{
	struct model_group *g = model_group_add(m, saved);

	g->is = g->saved;
	g->swept = g->untold = false;
	g->work = 0;
	/* What nobody was told and no error tells of is decided anew. */
	if (g->ending == JOB_SUCCEEDED || g->ending == JOB_CANCELLED)
		g->ending = 0;
	g->ordered = g->is.settled;
	g->first_batch = 0;
}

/* What is neither here nor settled was lost. */
void model_groups_restored(struct model *m)
{
	for (size_t i = 0; i < m->group_count; i++) {
		struct model_group *g = &m->groups[i];

		for (uint32_t j = 0; j < g->is.made; j++)
			if (!g->is.outcomes[j] && !model_find(m, g->is.members[j]) &&
			    !model_group(m, g->is.members[j]))
				model_group_ended(m, g->sequence, j, JOB_FAILED);
		work(m, g);
	}
}

void model_group_forget(struct model *m, struct model_group *g)
{
	*g = m->groups[--m->group_count];
}

/* One that has ended may leave once its time is over; no other. */
static bool compare_gone(struct model *m, const struct model_group *g)
{
	if (engine_group_at(m->e, g->sequence))
		return false;
	MODEL_EXPECT(m,
		     model_group_over(g) && !g->untold &&
			     (g->parent || g->finished_at + m->result_ttl <= m->now) &&
			     (g->refused || !model_group_unsaved(g)),
		     "group %llu has left", (unsigned long long)g->sequence);
	return true;
}

static void compare(struct model *m, struct model_group *g)
{
	const struct group *real = engine_group_at(m->e, g->sequence);
	const struct group_face *is = &g->is;
	const unsigned long long name = g->sequence;

	MODEL_EXPECT(m, real->state == is->state, "group %llu is %s, should be %s", name,
		     job_state_name((enum job_state)real->state), job_state_name(is->state));
	MODEL_EXPECT(m, real->made == is->made && real->settled == is->settled,
		     "group %llu has %u members, %u of them settled", name, real->made, real->settled);
	MODEL_EXPECT(m, real->cancelling == is->cancelling && real->timed_out == is->timed_out,
		     "group %llu is stopped or not", name);
	MODEL_EXPECT(m, real->untold == g->untold, "group %llu is told of or not", name);
	MODEL_EXPECT(m, engine_group_due(m->e, real) == model_engine_time(m, g->due) || real->ending,
		     "group %llu ends at a wrong time", name);
	for (uint32_t i = 0; i < g->count; i++)
		MODEL_EXPECT(m,
			     real->sequences[i] == is->members[i] &&
				     real->outcomes[i] == is->outcomes[i],
			     "member %u of group %llu is another, or ended otherwise", i, name);
	for (uint32_t i = 0; i < is->settled && !m->broken; i++) {
		MODEL_EXPECT(m, i >= g->ordered || real->order[i] == is->order[i],
			     "members of group %llu ended out of order", name);
		g->is.order[i] = (uint8_t)real->order[i]; /* what ends in one turn may end in any order */
	}
	g->ordered = is->settled;
}

void model_groups_compare(struct model *m)
{
	for (size_t i = m->group_count; i-- > 0 && !m->broken;) {
		if (compare_gone(m, &m->groups[i]))
			model_group_forget(m, &m->groups[i]);
		else
			compare(m, &m->groups[i]);
	}
}
