/* Groups in the world: their submission, the members that maps ask for, and their end. */
#include "clock.h"
#include "steps.h"
#include <errno.h>
#include <stdlib.h>

static uint64_t make_group(struct world *w, struct group *parent, uint32_t member,
			   enum job_durability durability, unsigned depth);

static struct group_options some_options(struct world *w, uint32_t count)
{
	struct group_options o = {
		.kind = (enum group_kind)(GROUP_GATHER + world_below(w, 4)),
		.cancel_rest = world_chance(w, 40),
		.until = (enum group_until)world_below(w, 3),
		.window = (uint32_t)world_below(w, 4),
		.timeout = world_chance(w, 20) ? (int64_t)(1 + world_below(w, 30)) * NSEC_PER_SEC : 0,
	};

	if (o.kind == GROUP_WAIT && count == 0)
		o.kind = GROUP_GATHER;
	o.return_exceptions = (o.kind == GROUP_GATHER || o.kind == GROUP_MAP) && world_chance(w, 40);
	o.until_count = 1 + (uint32_t)world_below(w, MAX(count, 1u));
	return o;
}

static void make_member(struct world *w, struct group *group, uint32_t member, bool blocked)
{
	struct model_job like = world_some_job(w);
	struct submission s;
	struct job *real;
	int r;

	like.client = like.terms.client = 0;
	like.key = like.unique = 0;
	like.terms.key = like.terms.unique_key = (struct span){ 0 };
	like.terms.durability = (enum job_durability)group->durability;
	like.terms.at_most_once &= group->durability != DURABILITY_MEMORY;
	like.terms.exempt = true;
	like.terms.blocked = blocked;
	like.terms.member = member;
	like.group = group->sequence;
	s = like.terms;
	s.group = group;
	s.due = model_engine_time(&w->m, s.due);
	s.deadline = model_engine_time(&w->m, s.deadline);
	if (like.args_size > 0)
		s.args = bytes_new(world_args, like.args_size);
	r = engine_submit(w->m.e, &s, &real);
	bytes_unref(s.args);
	MODEL_EXPECT(&w->m, r == 0, "a member is refused: %d", r);
	if (r < 0)
		return;
	w->counts.jobs++;
	like.sequence = real->sequence;
	model_submitted(&w->m, real, &like);
	world_tell(w, "job %llu is member %u of group %llu", (unsigned long long)like.sequence,
		   member, (unsigned long long)like.group);
}

static uint64_t make_group(struct world *w, struct group *parent, uint32_t member,
			   enum job_durability durability, unsigned depth)
{
	uint32_t count = (uint32_t)world_below(w, depth == 0 ? MODEL_MEMBERS + 1 : 4);
	struct group_submission s = { .options = some_options(w, count),
				      .durability = durability,
				      .count = count,
				      .parent = parent,
				      .member = member };
	struct model_group like = { .options = s.options,
				    .durability = durability,
				    .count = count,
				    .parent = parent ? parent->sequence : 0,
				    .member = member,
				    .accepted_at = w->m.now };
	struct group *real;
	int r = engine_group_new(w->m.e, &s, &real);

	MODEL_EXPECT(&w->m, r == 0, "a group can't be made: %d", r);
	if (r < 0)
		return 0;
	like.is.state = JOB_BLOCKED;
	like.id = real->id;
	like.sequence = real->sequence;
	model_group_add(&w->m, &like);
	world_tell(w, "group %llu of kind %d, %u members, is a part of %llu",
		   (unsigned long long)like.sequence, s.options.kind, count,
		   (unsigned long long)like.parent);
	for (uint32_t i = 0; i < count && s.options.kind != GROUP_MAP && !w->m.broken; i++)
		if (depth < 2 && world_chance(w, 20))
			make_group(w, real, i, durability, depth + 1);
		else
			make_member(w, real, i, true);
	return like.sequence;
}

/* It has never been, nor whatever is in it. */
static void discard(struct world *w, uint64_t sequence)
{
	struct model_group *g = model_group(&w->m, sequence);
	struct model_group copy = *g;

	for (uint32_t i = 0; i < copy.count; i++) {
		struct model_job *job = model_find(&w->m, copy.is.members[i]);

		if (job) {
			job->saved = job->is;
			model_forget(&w->m, job);
		} else if (copy.is.members[i]) {
			discard(w, copy.is.members[i]);
		}
	}
	model_group_forget(&w->m, model_group(&w->m, sequence));
}

void step_group(struct world *w)
{
	enum job_durability durability =
		world_chance(w, w->durable) ? (enum job_durability)(1 + world_below(w, 2)) : 0;
	uint32_t jobs = (uint32_t)world_below(w, 20);
	size_t unfinished = 0;
	uint64_t sequence;
	struct group *real;
	int r, expected;

	for (size_t i = 0; i < w->m.count; i++)
		unfinished += !model_final(&w->m.jobs[i]);
	expected = unfinished + jobs > w->max_jobs ? -ENOBUFS : 0;
	r = engine_room(w->m.e, jobs, 0);
	MODEL_EXPECT(&w->m, r == expected, "there is room for %u jobs: %d", jobs, r);
	if (r < 0 || !w->groups || w->m.group_count + 50 > MODEL_GROUPS)
		return;
	sequence = make_group(w, NULL, 0, durability, 0);
	real = engine_group_at(w->m.e, sequence);
	if (!real || w->m.broken)
		return;
	if (world_chance(w, 5)) {
		world_tell(w, "group %llu is discarded", (unsigned long long)sequence);
		engine_group_discard(w->m.e, real);
		discard(w, sequence);
		return;
	}
	engine_group_start(w->m.e, real);
	model_group_start(&w->m, model_group(&w->m, sequence));
	broker_answer_group(w, model_group(&w->m, sequence));
}

void step_group_cancel(struct world *w)
{
	struct model_group *g = w->m.group_count ? &w->m.groups[world_below(w, w->m.group_count)]
						 : NULL;
	struct group *real = g ? engine_group_at(w->m.e, g->sequence) : NULL;
	int r, expected;

	if (!real)
		return;
	expected = model_group_cancel(&w->m, g);
	r = engine_group_cancel(w->m.e, real);
	MODEL_EXPECT(&w->m, r == expected, "cancel of group %llu: %d, should be %d",
		     (unsigned long long)g->sequence, r, expected);
	world_tell(w, "group %llu is cancelled: %d", (unsigned long long)g->sequence, r);
}

bool broker_feed(struct world *w)
{
	struct group *real;
	bool any = false;

	while (!w->m.broken && (real = engine_group_hungry(w->m.e))) {
		struct model_group *g = model_group(&w->m, real->sequence);

		any = true;
		MODEL_EXPECT(&w->m, g && model_group_hungry(g), "group %llu has no room",
			     (unsigned long long)real->sequence);
		if (g && world_chance(w, 5)) {
			engine_group_skip(w->m.e, real, SPAN("bad_argument"), SPAN("it is none"));
			model_group_skip(&w->m, g);
		} else {
			make_member(w, real, real->made, false);
		}
	}
	for (size_t i = 0; i < w->m.group_count; i++)
		MODEL_EXPECT(&w->m, !model_group_hungry(&w->m.groups[i]), "group %llu starves",
			     (unsigned long long)w->m.groups[i].sequence);
	return any;
}
