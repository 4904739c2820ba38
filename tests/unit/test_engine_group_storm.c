/*
 * test_engine_group_storm.c — trees of groups at random: jobs end in any way and order, are cancelled, time passes, the
 * broker dies and what was committed comes back. Whatever happens, each group ends, is told of once, and its end fits what
 * became of its members.
 */
#include "buf.h"
#include "group_rig.h"
#include "random.h"
#include <endian.h>

enum { SEEDS = 500, STEPS = 120, STORED = 4096, MEMBERS = 6, DEPTH = 3 };

/* What a store would have of a job or group: as of the last committed batch, and as of the one on its way. */
struct row {
	bool is_group, is_there;
	struct uuid id;
	struct group_submission group;
	uint64_t parent; /* sequence of its group, or 0 */
	uint32_t member;
	enum job_state state;
	bool cancelling, timed_out;
	uint64_t token;
	int64_t due, started_at;
	char *settled;
	uint64_t *members;
	uint32_t made;
};

struct storm {
	struct rig rig;
	struct random random;
	enum job_durability durability;
	struct row rows[STORED], batch[STORED];
	uint64_t incarnation, seed;
	unsigned told[STORED];
};

static struct storm storm;

static bool chance(struct storm *s, unsigned percent)
{
	return random_below(&s->random, 100) < percent;
}

static struct group_options any_options(struct storm *s, uint32_t count)
{
	struct group_options o = { .kind = (enum group_kind)(
					   1 + random_below(&s->random, count ? 4 : 3)) };

	if (o.kind == GROUP_WAIT && count == 0)
		o.kind = GROUP_GATHER;
	o.return_exceptions = chance(s, 30) && (o.kind == GROUP_GATHER || o.kind == GROUP_MAP);
	o.cancel_rest = chance(s, 50) && o.kind == GROUP_WAIT;
	if (o.kind == GROUP_WAIT)
		o.until = (enum group_until)random_below(&s->random, 3);
	if (o.until == UNTIL_COUNT)
		o.until_count = 1 + (uint32_t)random_below(&s->random, count);
	o.window = 1 + (uint32_t)random_below(&s->random, 3);
	if (chance(s, 15))
		o.timeout = (int64_t)(1 + random_below(&s->random, 40)) * NSEC_PER_SEC;
	return o;
}

static struct group *grow(struct storm *s, struct group *parent, uint32_t member, unsigned depth)
{
	uint32_t count = (uint32_t)random_below(&s->random, MEMBERS);
	struct group_options o = any_options(s, count);
	struct group *g = make(&s->rig, o, count, parent, member, s->durability);

	if (o.kind == GROUP_MAP)
		return g;
	for (uint32_t i = 0; i < count; i++) {
		if (depth < DEPTH && chance(s, 30))
			grow(s, g, i, depth + 1);
		else
			join(&s->rig, g, i, true);
	}
	return g;
}

/* ---- the store ---- */

static void row_clear(struct row *r)
{
	free(r->settled);
	free(r->members);
	memset(r, 0, sizeof(*r));
}

static void row_take(struct row *to, struct row *from)
{
	row_clear(to);
	*to = *from;
	memset(from, 0, sizeof(*from));
}

static void save_group(struct storm *s, const struct group *g)
{
	struct row *r = &s->batch[g->sequence];
	struct buf text = BUF_INIT;

	row_clear(r);
	assert_int_equal(group_settled_text(g, &text), 0);
	assert_int_equal(buf_append(&text, "", 1), 0);
	*r = (struct row){ .is_group = true,
			   .is_there = true,
			   .id = g->id,
			   .group = { .options = g->options,
				      .durability = (enum job_durability)g->durability,
				      .count = g->count },
			   .parent = g->parent ? g->parent->sequence : 0,
			   .member = g->member,
			   .state = (enum job_state)g->state,
			   .cancelling = g->cancelling,
			   .timed_out = g->timed_out,
			   .due = engine_group_due(s->rig.e, g),
			   .started_at = g->started_at,
			   .settled = strdup(buf_data(&text)),
			   .members = calloc(g->made + 1, sizeof(uint64_t)),
			   .made = g->made };
	for (uint32_t i = 0; i < g->made; i++)
		r->members[i] = htole64(g->sequences[i]);
	buf_done(&text);
}

/* One that a wait left behind comes back without its group. */
static void save_job(struct storm *s, const struct job *job)
{
	const struct job_extra *x = job->extra && job->extra->group ? job->extra : NULL;
	struct row *r = &s->batch[job->sequence];

	row_clear(r);
	*r = (struct row){ .is_there = true,
			   .id = job->id,
			   .parent = x ? x->group->sequence : s->rows[job->sequence].parent,
			   .member = x ? x->member : s->rows[job->sequence].member,
			   .state = (enum job_state)job->state,
			   .cancelling = job->cancelling,
			   .token = job->token,
			   .due = engine_due(s->rig.e, job) };
}

/* The turn's batch; mostly it is committed, and else the broker dies before (the caller sees to that). */
static void save_turn(struct storm *s, bool commits)
{
	const struct group *g;
	const struct job *job;
	uint64_t number;

	while ((job = engine_change(s->rig.e)))
		save_job(s, job);
	while ((g = engine_group_change(s->rig.e)))
		save_group(s, g);
	number = engine_seal(s->rig.e);
	if (!commits || number == 0)
		return;
	for (uint64_t i = 0; i < STORED; i++) {
		if (s->batch[i].is_there)
			row_take(&s->rows[i], &s->batch[i]);
	}
	engine_committed(s->rig.e, number);
}

static void restore_group(struct storm *s, uint64_t sequence)
{
	const struct row *row = &s->rows[sequence];
	struct group_submission submission = row->group;
	struct restored_group r = { .id = row->id,
				    .sequence = sequence,
				    .state = row->state,
				    .cancelling = row->cancelling,
				    .timed_out = row->timed_out,
				    .started_at = row->started_at,
				    .due = row->due,
				    .members = { (const char *)row->members,
						 row->made * sizeof(uint64_t) },
				    .settled = span_of(row->settled) };
	struct group *g;

	submission.parent = row->parent ? engine_group_at(s->rig.e, row->parent) : NULL;
	submission.member = row->member;
	assert_int_equal(engine_group_restore(s->rig.e, &submission, &r, &g), 0);
}

static void restore_job(struct storm *s, uint64_t sequence)
{
	const struct row *row = &s->rows[sequence];
	const struct submission submission = { .job_class = CLASS_NET,
					       .durability = s->durability,
					       .group = engine_group_at(s->rig.e, row->parent),
					       .member = row->member,
					       .exempt = true };
	const struct restored_job r = { .id = row->id,
					.sequence = sequence,
					.state = row->state,
					.cancelling = row->cancelling,
					.token = row->token,
					.due = row->due };
	struct job *job;

	assert_int_equal(engine_restore(s->rig.e, &submission, &r, &job), 0);
}

static void die_and_come_back(struct storm *s)
{
	int64_t now = s->rig.now;

	engine_free(s->rig.e);
	for (uint64_t i = 0; i < STORED; i++)
		row_clear(&s->batch[i]);
	rig_open(&s->rig, (struct engine_options){ .first_sequence = 1 });
	s->rig.now = now;
	rig_pass(&s->rig, 0);
	for (uint64_t i = 1; i < STORED; i++) {
		if (!s->rows[i].is_there || job_state_is_final(s->rows[i].state))
			continue;
		if (s->rows[i].is_group)
			restore_group(s, i);
		else
			restore_job(s, i);
	}
	engine_groups_restored(s->rig.e);
	rig_worker(&s->rig, 0, ++s->incarnation, 1 + (uint32_t)random_below(&s->random, 8));
	rig_check(&s->rig);
}

/* ---- what happens ---- */

static void feed(struct storm *s)
{
	struct group *g;

	while ((g = engine_group_hungry(s->rig.e)))
		join(&s->rig, g, g->made, false);
}

static void turn(struct storm *s, bool commits)
{
	feed(s);
	rig_turn(&s->rig);
	for (size_t i = 0; i < s->rig.count; i++) {
		if (s->rig.actions[i].kind == ACTION_GROUP_FINISHED)
			s->told[s->rig.actions[i].group->sequence]++;
	}
	save_turn(s, commits);
}

static struct job *any_running(struct storm *s)
{
	struct job *job = NULL, *found = NULL;
	unsigned seen = 0;

	while ((job = engine_older(s->rig.e, job))) {
		if (job->state == JOB_RUNNING && random_below(&s->random, ++seen) == 0)
			found = job;
	}
	return found;
}

static void end_one(struct storm *s, unsigned failures)
{
	struct job *job = any_running(s);

	if (!job)
		return;
	if (job->cancelling && chance(s, 80))
		cancelled_by_worker(&s->rig, job);
	else if (chance(s, failures))
		rig_fail(&s->rig, job, chance(s, 50));
	else
		rig_succeed(&s->rig, job);
}

static void cancel_something(struct storm *s)
{
	struct group *g = NULL;
	struct job *job = NULL;
	uint64_t sequence = 1 + random_below(&s->random, 60);

	g = engine_group_at(s->rig.e, sequence);
	job = engine_job_at(s->rig.e, sequence);
	if (g)
		(void)engine_group_cancel(s->rig.e, g);
	else if (job)
		(void)engine_cancel(s->rig.e, job);
}

static void step(struct storm *s)
{
	bool dies = s->durability != DURABILITY_MEMORY && chance(s, 3);

	switch (random_below(&s->random, 8)) {
	case 0:
		rig_pass(&s->rig, (int64_t)random_below(&s->random, 5) * NSEC_PER_SEC);
		break;
	case 1:
		if (chance(s, 15))
			cancel_something(s);
		break;
	case 2:
		if (chance(s, 10)) {
			engine_worker_lost(s->rig.e, 0, s->incarnation,
					   &(struct engine_death){ .asked = true });
			rig_worker(&s->rig, 0, ++s->incarnation, 4);
		}
		break;
	default:
		end_one(s, 12);
	}
	turn(s, !dies);
	if (dies)
		die_and_come_back(s);
}

/* ---- what must hold ---- */

static void check_chain(const struct group *g, struct engine *e)
{
	bool over = false;

	for (uint32_t i = 0; i < g->made; i++) {
		const struct job *job = engine_job_at(e, g->sequences[i]);

		if (over && job && job->attempts > 0)
			fail_msg("member %u of a chain ran, though one before it had not succeeded", i);
		over |= g->outcomes[i] != JOB_SUCCEEDED;
	}
}

/* For whoever looks into a failure. */
static void dump(struct engine *e)
{
	for (uint64_t i = 1; i < STORED; i++) {
		const struct group *g = engine_group_at(e, i);
		const struct job *job = engine_job_at(e, i);

		if (g)
			print_message(
				"# group %llu in %llu[%u]: kind %d, %s, ending %d, %u of %u, %u made%s%s\n",
				(unsigned long long)i,
				(unsigned long long)(g->parent ? g->parent->sequence : 0),
				g->member, (int)g->options.kind, job_state_name(g->state), g->ending,
				g->settled, g->count, g->made, g->cancelling ? ", cancelling" : "",
				g->timed_out ? ", timed out" : "");
		if (job && !job_state_is_final(job->state))
			print_message("# job %llu in %llu[%u]: %s%s\n", (unsigned long long)i,
				      (unsigned long long)(job->extra && job->extra->group
								   ? job->extra->group->sequence
								   : 0),
				      job->extra ? job->extra->member : 0, job_state_name(job->state),
				      job->cancelling ? ", cancelling" : "");
	}
}

static void check_end(const struct group *g, struct engine *e)
{
	const struct group_options *o = &g->options;

	if (!job_state_is_final((enum job_state)g->state)) {
		dump(e);
		fail_msg("seed %llu: group %llu never ended: kind %d, state %d, %u of %u, made %u, ending %d",
			 (unsigned long long)storm.seed, (unsigned long long)g->sequence,
			 (int)o->kind, g->state, g->settled, g->count, g->made, g->ending);
	}
	if (g->settled < g->made && (o->kind != GROUP_WAIT || o->cancel_rest))
		fail_msg("group %llu ended before its members", (unsigned long long)g->sequence);
	if (g->state == JOB_SUCCEEDED && o->kind != GROUP_WAIT && !o->return_exceptions)
		assert_int_equal(g->succeeded, g->count);
	if (g->state == JOB_SUCCEEDED && o->kind != GROUP_WAIT)
		assert_int_equal(g->settled, g->count);
	if (g->state == JOB_FAILED) {
		assert_true(g->culprit < g->count && g->outcomes[g->culprit] != JOB_SUCCEEDED);
		assert_false(o->return_exceptions);
		assert_int_not_equal(o->kind, GROUP_WAIT);
	}
	if (g->state == JOB_EXPIRED)
		assert_true(o->timeout > 0 && g->timed_out);
	if (o->kind == GROUP_CHAIN)
		check_chain(g, e);
	for (uint32_t i = 0; i < g->made; i++) {
		const struct row *row = &storm.rows[g->sequences[i]];

		if (row->is_there && g->outcomes[i] && g->outcomes[i] != row->state)
			fail_msg("group %llu takes its member %u for %s, and it is %s",
				 (unsigned long long)g->sequence, i, job_state_name(g->outcomes[i]),
				 job_state_name(row->state));
	}
}

static void storm_of(struct storm *s, uint64_t seed)
{
	struct uuid top;
	struct group *g;

	memset(s->told, 0, sizeof(s->told));
	random_seed(&s->random, seed);
	s->durability = (enum job_durability)random_below(&s->random, 3);
	s->incarnation = 1;
	rig_open(&s->rig, (struct engine_options){ 0 });
	rig_worker(&s->rig, 0, 1, 1 + (uint32_t)random_below(&s->random, 8));
	g = grow(s, NULL, 0, 0);
	top = g->id;
	engine_group_start(s->rig.e, g);
	turn(s, true);
	for (int i = 0; i < STEPS; i++)
		step(s);
	/* From here on all goes well. */
	for (int i = 0; i < 2000; i++) {
		rig_pass(&s->rig, NSEC_PER_SEC);
		end_one(s, 0);
		turn(s, true);
	}
	if (engine_group_find(s->rig.e, &top, &g) == 0)
		check_end(g, s->rig.e);
	else /* it ended before the broker died the last time */
		assert_true(s->durability != DURABILITY_MEMORY);
	for (uint64_t i = 1; i < STORED; i++) {
		g = engine_group_at(s->rig.e, i);
		if (g)
			check_end(g, s->rig.e);
		if (s->told[i] > 1 || (g && g->state && s->told[i] != 1))
			fail_msg("group %llu was told of %u times", (unsigned long long)i, s->told[i]);
		if (s->rows[i].is_there && !job_state_is_final(s->rows[i].state))
			fail_msg("seed %llu: %llu is stored as %s", (unsigned long long)seed,
				 (unsigned long long)i, job_state_name(s->rows[i].state));
		row_clear(&s->rows[i]);
		row_clear(&s->batch[i]);
	}
	rig_close(&s->rig);
}

static void every_group_ends_as_its_members_say(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		storm.seed = seed;
		storm_of(&storm, seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_group_ends_as_its_members_say) };

	return TAP_RUN(tests);
}
