/*
 * Groups at work: what a member's end, a cancel or the time means for a group, and what the group then does to its
 * members. Events only note what has happened and put the group on a list; groups_run() draws the conclusions, from the
 * inside out, before jobs are dispatched. So nothing here is entered again from within itself.
 *
 *	blocked -> running -> succeeded, failed, cancelled, expired (timeout)
 *	   '----------------> cancelled, failed (the store refused it)
 */
#include "clock.h"
#include "engine_parts.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void look_at(struct engine *e, struct group *g);
static enum job_state decide(struct engine *e, struct group *g);
static void sweep(struct engine *e, struct group *g);
static void end(struct engine *e, struct group *g, enum job_state to);
static void release(struct engine *e, struct group *g, uint32_t member);

bool group_is_final(const struct group *g)
{
	return job_state_is_final((enum job_state)g->state);
}

bool group_is_over(const struct group *g)
{
	return group_is_final(g) && g->settled == g->made;
}

void group_work(struct engine *e, struct group *g)
{
	if (!list_linked(&g->work))
		list_push_back(&e->groups.work, &g->work);
}

void group_move(struct engine *e, struct group *g, enum job_state to)
{
	static const unsigned next[JOB_STATE_LIMIT] GA_UNUSED = {
		[0] = ~0U,
		[JOB_BLOCKED] = 1u << JOB_RUNNING | 1u << JOB_CANCELLED | 1u << JOB_FAILED /* refused */,
		[JOB_RUNNING] = JOB_STATES_FINAL,
	};

	assert(next[g->state] >> to & 1);
	g->state = (uint8_t)to;
	group_changed(e, g, true);
}

/* ---- events ---- */

void group_member_ended(struct engine *e, struct group *g, uint32_t member, enum job_state outcome)
{
	if (g->gone || g->outcomes[member]) /* it was retried by hand: the group has seen its end */
		return;
	g->outcomes[member] = (uint8_t)outcome;
	g->order[g->settled++] = member;
	g->succeeded += outcome == JOB_SUCCEEDED;
	g->failed += outcome == JOB_FAILED || outcome == JOB_EXPIRED;
	g->cancelled += outcome == JOB_CANCELLED;
	if (g->culprit == g->count && outcome != JOB_SUCCEEDED && !g->ending)
		g->culprit = member;
	group_changed(e, g, false);
	group_work(e, g);
}

void group_member_refused(struct engine *e, struct group *g, uint32_t member)
{
	struct group *top = g;

	while (top->parent)
		top = top->parent;
	group_member_ended(e, g, member, JOB_FAILED);
	/* What was accepted before is a map: of that this member alone is lost. */
	if (!g->stored || g->first_batch > e->committed)
		engine_group_refused(e, top);
}

void engine_group_refused(struct engine *e, struct group *g)
{
	bool kept;

	while (g->parent)
		g = g->parent;
	kept = g->stored && g->first_batch <= e->committed;
	if (g->refused || (group_is_final(g) && kept))
		return;
	g->refused = true;
	if (group_is_final(g)) { /* it ended before anybody could know of it: what it left running ends, too */
		g->cancelling = true;
	} else {
		group_fail(e, g, SPAN("no_space"), SPAN("the store has no space for it"));
		g->ending = JOB_FAILED;
	}
	group_work(e, g);
}

int engine_group_cancel(struct engine *e, struct group *g)
{
	/* One that has not begun ends by this alone, even if none of its members could run any more. */
	if ((g->state == JOB_RUNNING && g->settled == g->count) || group_is_over(g))
		return -EALREADY;
	if (g->cancelling || (g->ending && !group_is_final(g)))
		return 0; /* it is on its way */
	g->cancelling = true;
	group_changed(e, g, true);
	group_work(e, g);
	return 0;
}

void engine_group_skip(struct engine *e, struct group *g, struct span code, struct span message)
{
	if (!g->error && !g->options.return_exceptions)
		group_fail(e, g, code, message);
	g->made++;
	group_member_ended(e, g, g->made - 1, JOB_FAILED);
}

void groups_advance(struct engine *e)
{
	struct heap_node *node;

	while ((node = heap_pop_due(&e->groups.due, e->now))) {
		struct group *g = container_of(node, struct group, due);

		if (g->ending || group_is_final(g))
			continue;
		g->timed_out = true;
		group_changed(e, g, true);
		group_work(e, g);
	}
}

/* ---- conclusions ---- */

void groups_run(struct engine *e)
{
	struct list *node;

	while ((node = list_pop_front(&e->groups.work)))
		look_at(e, LIST_ENTRY(node, struct group, work));
}

static void look_at(struct engine *e, struct group *g)
{
	if (g->gone)
		return;
	if (group_is_final(g)) { /* a wait, with members that go on */
		if (g->cancelling)
			sweep(e, g);
		if (!g->parent && group_is_over(g) && !list_linked(&g->ended))
			list_push_back(&e->groups.ended, &g->ended);
		return;
	}
	if (!g->ending)
		g->ending = (uint8_t)decide(e, g);
	if (g->ending) {
		bool leaves_rest = g->options.kind == GROUP_WAIT && g->ending == JOB_SUCCEEDED &&
				   !g->options.cancel_rest;

		if (!leaves_rest)
			sweep(e, g);
		if (leaves_rest || g->settled == g->made)
			end(e, g, (enum job_state)g->ending);
		return;
	}
	if (g->state != JOB_RUNNING)
		return;
	if (g->options.kind == GROUP_CHAIN)
		release(e, g, g->settled);
	else if (g->options.kind == GROUP_MAP && g->made < g->count && !list_linked(&g->hungry))
		list_push_back(&e->groups.hungry, &g->hungry);
}

/* The error of the member that ends the group becomes the group's. */
static void blame(struct engine *e, struct group *g)
{
	const struct job *job = engine_job_at(e, g->sequences[g->culprit]);
	const struct group *inner = job ? NULL : engine_group_at(e, g->sequences[g->culprit]);
	const struct job_error *error = job ? job->error : inner ? inner->error : NULL;
	char message[400];

	if (g->error)
		return;
	snprintf(message, sizeof(message), "member %u: %.300s", g->culprit,
		 error ? error->message : job_state_name((enum job_state)g->outcomes[g->culprit]));
	group_fail(e, g,
		   span_of(error                                      ? error->code
			   : g->outcomes[g->culprit] == JOB_CANCELLED ? "cancelled"
								      : "failed"),
		   span_of(message));
}

static bool wait_is_over(const struct group *g)
{
	const struct group_options *o = &g->options;

	return g->timed_out || (o->until == UNTIL_COUNT && g->settled >= o->until_count) ||
	       (o->until == UNTIL_FIRST_EXCEPTION && g->failed > 0);
}

/* What it ends as; 0: it goes on. */
static enum job_state decide(struct engine *e, struct group *g)
{
	if (g->cancelling)
		return JOB_CANCELLED;
	if (g->state != JOB_RUNNING)
		return 0;
	if (g->options.kind == GROUP_WAIT)
		return wait_is_over(g) || g->settled == g->count ? JOB_SUCCEEDED : 0;
	if (g->culprit < g->count && !g->options.return_exceptions) {
		blame(e, g);
		return JOB_FAILED;
	}
	if (g->settled == g->count)
		return JOB_SUCCEEDED;
	if (!g->timed_out)
		return 0;
	group_fail(e, g, SPAN("timeout"), SPAN("it had not ended when its timeout was over"));
	return JOB_EXPIRED;
}

void group_fail(struct engine *e, struct group *g, struct span code, struct span message)
{
	free(g->error);
	g->error = error_new(0, code, message); /* without memory it says less */
	group_changed(e, g, true);
}

/* Ask all members for their end, once. */
static void sweep(struct engine *e, struct group *g)
{
	bool swept = g->swept;

	g->swept = true;
	for (uint32_t i = 0; i < g->count && !swept && g->settled < g->made; i++) {
		struct job *job = NULL;
		struct group *inner = NULL;

		if (!g->sequences[i] || g->outcomes[i])
			continue;
		job = engine_job_at(e, g->sequences[i]);
		if (!job)
			inner = engine_group_at(e, g->sequences[i]);
		if (job) {
			actions_reserve_or_abort(e, 2);
			(void)engine_cancel(e, job);
		} else if (inner) {
			(void)engine_group_cancel(e, inner);
		}
	}
}

static void end(struct engine *e, struct group *g, enum job_state to)
{
	heap_remove(&e->groups.due, &g->due);
	list_remove(&g->hungry);
	group_move(e, g, to);
	g->finished_at = e->now;
	g->untold = true;
	actions_reserve_or_abort(e, 1);
	action_push_group(e, g);
	if (g->parent)
		group_member_ended(e, g->parent, g->member, to);
	else if (group_is_over(g))
		list_push_back(&e->groups.ended, &g->ended);
}

/* A member that was held back may run now. */
static void release(struct engine *e, struct group *g, uint32_t member)
{
	struct job *job;
	struct group *inner;

	if (member >= g->made || g->outcomes[member])
		return;
	job = engine_job_at(e, g->sequences[member]);
	if (job && job->state == JOB_BLOCKED) {
		job_start(e, job, job->extra->starts_at, false);
		job_changed(e, job, false);
	}
	inner = job ? NULL : engine_group_at(e, g->sequences[member]);
	if (inner && inner->state == JOB_BLOCKED && !inner->ending && !inner->cancelling)
		group_begin(e, inner);
}

void group_begin(struct engine *e, struct group *g)
{
	group_move(e, g, JOB_RUNNING);
	g->started_at = e->now;
	/* Its place in the heap was taken when it was made. */
	if (g->options.timeout > 0)
		(void)!heap_set(&e->groups.due, &g->due, time_add(e->now, g->options.timeout));
	for (uint32_t i = 0; i < g->made && (i == 0 || g->options.kind != GROUP_CHAIN); i++)
		release(e, g, i);
	group_work(e, g);
}

void engine_group_start(struct engine *e, struct group *g)
{
	group_begin(e, g);
}

/* ---- maps ---- */

struct group *engine_group_hungry(struct engine *e)
{
	while (!list_empty(&e->groups.hungry)) {
		struct group *g = LIST_ENTRY(e->groups.hungry.next, struct group, hungry);
		uint32_t window = g->options.window ? g->options.window : g->count;

		if (g->state == JOB_RUNNING && !g->ending && !g->cancelling && !g->timed_out &&
		    g->made < g->count && g->made - g->settled < window)
			return g;
		list_remove(&g->hungry);
	}
	return NULL;
}
