/* test_engine_groups_durable.c — groups that are saved: what is one batch, and how they come back. */
#include "buf.h"
#include "group_rig.h"
#include <endian.h>

/* A turn's changes, saved: how many jobs and groups; sealed. */
static uint64_t save(struct rig *rig, unsigned *ret_jobs, unsigned *ret_groups)
{
	unsigned jobs = 0, groups = 0;

	while (engine_change(rig->e))
		jobs++;
	while (engine_group_change(rig->e))
		groups++;
	if (ret_jobs)
		*ret_jobs = jobs;
	if (ret_groups)
		*ret_groups = groups;
	return engine_seal(rig->e);
}

static void save_and_commit(struct rig *rig)
{
	engine_committed(rig->e, save(rig, NULL, NULL));
}

static void a_group_and_its_members_are_one_batch_and_its_end_too(void **state)
{
	struct rig rig;
	struct bundle b = { 0 };
	unsigned jobs, groups;
	uint64_t number;

	(void)state;
	open_with_worker(&rig, 10);
	b.group = make(&rig, (struct group_options){ .kind = GROUP_CHAIN }, 2, NULL, 0,
		       DURABILITY_FSYNC);
	fill(&rig, &b, 2);
	engine_group_start(rig.e, b.group);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0); /* nothing before the commit */
	number = save(&rig, &jobs, &groups);
	assert_int_equal(jobs, 2);
	assert_int_equal(groups, 1);
	assert_true(b.group->stored);
	engine_committed(rig.e, number);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, b.jobs[0]), 1);
	save_and_commit(&rig);
	rig_succeed(&rig, b.jobs[0]);
	rig_turn(&rig);
	number = save(&rig, &jobs, &groups);
	assert_int_equal(jobs, 2); /* the end of one, the turn of the next */
	assert_int_equal(groups, 1);
	assert_int_equal(engine_group_outcome(rig.e, b.group, 0), 0); /* not told yet */
	engine_committed(rig.e, number);
	rig_turn(&rig);
	assert_int_equal(engine_group_outcome(rig.e, b.group, 0), JOB_SUCCEEDED);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, b.jobs[1]), 1);
	save_and_commit(&rig);
	rig_succeed(&rig, b.jobs[1]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	assert_false(told(&rig, b.group));
	number = save(&rig, &jobs, &groups);
	assert_int_equal(jobs, 1);
	assert_int_equal(groups, 1);
	engine_committed(rig.e, number);
	rig_turn(&rig);
	assert_true(told(&rig, b.group));
	assert_int_equal(engine_pending(rig.e), 0);
	rig_close(&rig);
}

static void an_empty_durable_group_is_saved_and_told_after_it(void **state)
{
	struct rig rig;
	struct bundle b = { 0 };

	(void)state;
	open_with_worker(&rig, 10);
	b.group = make(&rig, (struct group_options){ .kind = GROUP_GATHER }, 0, NULL, 0,
		       DURABILITY_FSYNC);
	engine_group_start(rig.e, b.group);
	assert_true(engine_pending(rig.e) > 0);
	rig_turn(&rig);
	assert_false(told(&rig, b.group));
	save_and_commit(&rig);
	rig_turn(&rig);
	assert_true(told(&rig, b.group));
	rig_close(&rig);
}

static void a_refused_member_refuses_the_group(void **state)
{
	struct rig rig;
	struct bundle b = { 0 };
	uint64_t number;

	(void)state;
	open_with_worker(&rig, 10);
	b.group = make(&rig, (struct group_options){ .kind = GROUP_GATHER, .return_exceptions = true },
		       3, NULL, 0, DURABILITY_WRITE);
	fill(&rig, &b, 3);
	engine_group_start(rig.e, b.group);
	rig_turn(&rig);
	number = save(&rig, NULL, NULL);
	engine_refused(rig.e, b.jobs[1]);
	engine_committed(rig.e, number);
	assert_true(b.group->refused);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_REFUSED, NULL), 1);
	save_and_commit(&rig);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, NULL), 2); /* those that were saved */
	cancelled_by_worker(&rig, b.jobs[0]);
	cancelled_by_worker(&rig, b.jobs[2]);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_FAILED);
	assert_string_equal(b.group->error->code, "no_space");
	rig_close(&rig);
}

/* It ended at once, since a member of it has none; and then there is no room for it. */
static void a_group_that_has_ended_can_be_refused_until_it_is_kept(void **state)
{
	for (int refused = 0; refused < 2; refused++) {
		struct rig rig;
		struct group *wait, *empty;
		struct job *job;
		uint64_t number;

		(void)state;
		open_with_worker(&rig, 10);
		wait = make(&rig,
			    (struct group_options){
				    .kind = GROUP_WAIT, .until = UNTIL_COUNT, .until_count = 1 },
			    2, NULL, 0, DURABILITY_FSYNC);
		empty = make(&rig, (struct group_options){ .kind = GROUP_GATHER }, 0, wait, 0,
			     DURABILITY_FSYNC);
		job = join(&rig, wait, 1, true);
		engine_group_start(rig.e, wait);
		rig_turn(&rig);
		assert_int_equal(empty->state, JOB_SUCCEEDED);
		assert_int_equal(wait->state, JOB_SUCCEEDED);
		number = save(&rig, NULL, NULL);
		if (refused)
			engine_group_refused(rig.e, wait);
		engine_committed(rig.e, number);
		if (!refused)
			engine_group_refused(rig.e, wait); /* as is said of later saves */
		rig_turn(&rig);
		assert_int_equal(wait->refused, refused);
		assert_int_equal(job->cancelling, refused); /* what it left running */
		rig_close(&rig);
	}
}

static void of_a_map_that_was_accepted_one_member_is_refused(void **state)
{
	struct group *g;
	struct job *first;
	struct rig rig;
	uint64_t number;

	(void)state;
	open_with_worker(&rig, 10);
	g = make(&rig, (struct group_options){ .kind = GROUP_MAP, .return_exceptions = true }, 2,
		 NULL, 0, DURABILITY_WRITE);
	engine_group_start(rig.e, g);
	rig_turn(&rig);
	save_and_commit(&rig);
	assert_ptr_equal(engine_group_hungry(rig.e), g);
	first = join(&rig, g, 0, false);
	rig_turn(&rig);
	number = save(&rig, NULL, NULL);
	engine_refused(rig.e, first);
	engine_committed(rig.e, number);
	rig_turn(&rig);
	assert_false(g->refused);
	assert_int_equal(g->state, JOB_RUNNING);
	assert_int_equal(g->failed, 1);
	assert_ptr_equal(engine_group_hungry(rig.e), g);
	rig_close(&rig);
}

static void put_sequences(const struct group *g, uint64_t *out)
{
	for (uint32_t i = 0; i < g->made; i++)
		out[i] = htole64(g->sequences[i]);
}

static struct group *put_back(struct rig *rig, const struct group *old, struct group *parent)
{
	uint64_t members[MANY];
	struct buf settled = BUF_INIT;
	struct group *g = NULL;

	put_sequences(old, members);
	assert_int_equal(group_settled_text(old, &settled), 0);
	const struct group_submission s = { .options = old->options,
					    .durability = (enum job_durability)old->durability,
					    .count = old->count,
					    .parent = parent,
					    .member = old->member };
	const struct restored_group r = { .id = old->id,
					  .sequence = old->sequence,
					  .state = (enum job_state)old->state,
					  .cancelling = old->cancelling,
					  .timed_out = old->timed_out,
					  .accepted_at = old->accepted_at,
					  .started_at = old->started_at,
					  .members = { (char *)members, old->made * sizeof(*members) },
					  .settled = { buf_data(&settled), buf_size(&settled) },
					  .error_code = span_of(old->error ? old->error->code : ""),
					  .error_message =
						  span_of(old->error ? old->error->message : "") };

	assert_int_equal(engine_group_restore(rig->e, &s, &r, &g), 0);
	assert_int_equal(engine_group_restore(rig->e, &s, &r, &g), -EEXIST);
	buf_done(&settled);
	return g;
}

static struct job *job_back(struct rig *rig, const struct job *old, struct group *g, uint32_t member)
{
	const struct submission s = {
		.job_class = CLASS_NET, .durability = DURABILITY_FSYNC, .group = g, .member = member
	};
	const struct restored_job r = { .id = old->id,
					.sequence = old->sequence,
					.state = (enum job_state)old->state,
					.token = old->token };
	struct job *job = NULL;

	assert_int_equal(engine_restore(rig->e, &s, &r, &job), 0);
	return job;
}

/* The broker dies while the gather in the chain runs: one of its members has ended. */
static void groups_come_back_from_a_store(void **state)
{
	struct rig old, rig;
	struct nest n, m;

	(void)state;
	open_with_worker(&old, 10);
	n = nest_of(&old, DURABILITY_FSYNC);
	rig_turn(&old);
	save_and_commit(&old);
	rig_turn(&old);
	save_and_commit(&old);
	rig_succeed(&old, n.first);
	rig_turn(&old);
	save_and_commit(&old);
	rig_turn(&old);
	save_and_commit(&old);
	rig_succeed(&old, n.both[1]);
	rig_turn(&old);
	save_and_commit(&old);
	rig_turn(&old);

	rig_open(&rig, (struct engine_options){ 0 });
	m.chain = put_back(&rig, n.chain, NULL);
	m.gather = put_back(&rig, n.gather, m.chain);
	m.both[0] = job_back(&rig, n.both[0], m.gather, 0);
	m.wait = put_back(&rig, n.wait, m.chain);
	m.either[0] = job_back(&rig, n.either[0], m.wait, 0);
	m.either[1] = job_back(&rig, n.either[1], m.wait, 1);
	m.last = job_back(&rig, n.last, m.chain, 3);
	engine_groups_restored(rig.e);
	rig_close(&old);
	rig_worker(&rig, 0, 2, 10);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 0); /* written before it is sent again */
	save_and_commit(&rig);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, m.both[0]), 1);
	assert_int_equal(rig.count, 1);
	assert_int_equal(m.gather->settled, 1);
	assert_int_equal(m.chain->settled, 1);
	rig_succeed(&rig, m.both[0]);
	rig_turn(&rig);
	assert_int_equal(m.gather->state, JOB_SUCCEEDED);
	save_and_commit(&rig);
	rig_turn(&rig);
	assert_int_equal(m.wait->state, JOB_RUNNING);
	save_and_commit(&rig);
	rig_turn(&rig);
	rig_succeed(&rig, m.either[0]);
	rig_turn(&rig);
	save_and_commit(&rig);
	rig_turn(&rig);
	save_and_commit(&rig);
	rig_turn(&rig);
	assert_int_equal(m.last->state, JOB_RUNNING);
	rig_succeed(&rig, m.last);
	rig_turn(&rig);
	save_and_commit(&rig);
	rig_turn(&rig);
	assert_int_equal(m.chain->state, JOB_SUCCEEDED);
	assert_true(told(&rig, m.chain));
	rig_close(&rig);
}

static void a_group_whose_failure_was_saved_goes_on_ending(void **state)
{
	struct rig old, rig;
	struct bundle b = { 0 };
	struct group *g;
	struct job *left;

	(void)state;
	open_with_worker(&old, 10);
	b.group = make(&old, (struct group_options){ .kind = GROUP_GATHER }, 2, NULL, 0,
		       DURABILITY_FSYNC);
	fill(&old, &b, 2);
	engine_group_start(old.e, b.group);
	rig_turn(&old);
	save_and_commit(&old);
	rig_turn(&old);
	save_and_commit(&old);
	rig_fail(&old, b.jobs[0], false);
	rig_turn(&old);
	save_and_commit(&old);
	rig_open(&rig, (struct engine_options){ 0 });
	g = put_back(&rig, b.group, NULL);
	left = job_back(&rig, b.jobs[1], g, 1); /* its worker has died, too */
	engine_groups_restored(rig.e);
	rig_turn(&rig);
	save_and_commit(&rig);
	rig_turn(&rig);
	assert_int_equal(left->state, JOB_CANCELLED);
	assert_int_equal(g->state, JOB_FAILED);
	rig_close(&old);
	rig_close(&rig);
}

static void a_group_whose_time_was_over_ends_so_after_a_restart_too(void **state)
{
	struct rig old, rig;
	struct bundle b = { 0 };
	struct group *g;

	(void)state;
	open_with_worker(&old, 1);
	b.group = make(&old, (struct group_options){ .kind = GROUP_GATHER, .timeout = NSEC_PER_SEC },
		       2, NULL, 0, DURABILITY_FSYNC);
	fill(&old, &b, 2);
	engine_group_start(old.e, b.group);
	rig_turn(&old);
	save_and_commit(&old);
	rig_turn(&old);
	rig_pass(&old, NSEC_PER_SEC);
	rig_turn(&old);
	assert_int_equal(b.jobs[1]->state, JOB_CANCELLED); /* the other one is being stopped */
	save_and_commit(&old);
	rig_open(&rig, (struct engine_options){ 0 });
	g = put_back(&rig, b.group, NULL);
	job_back(&rig, b.jobs[0], g, 0);
	engine_groups_restored(rig.e);
	rig_turn(&rig);
	save_and_commit(&rig);
	rig_turn(&rig);
	assert_int_equal(g->state, JOB_EXPIRED);
	rig_close(&old);
	rig_close(&rig);
}

static void members_that_did_not_come_back_are_lost(void **state)
{
	struct rig rig;
	uint64_t members[2] = { htole64(11), htole64(12) };
	const struct group_submission s = { .options = { .kind = GROUP_GATHER },
					    .durability = DURABILITY_FSYNC,
					    .count = 2 };
	struct restored_group r = { .sequence = 10,
				    .state = JOB_RUNNING,
				    .members = { (char *)members, sizeof(members) },
				    .settled = SPAN("1s") };
	struct group *g;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	assert_int_equal(engine_group_restore(rig.e, &s, &r, &g), 0);
	engine_groups_restored(rig.e);
	rig_turn(&rig);
	assert_int_equal(g->state, JOB_FAILED);
	assert_int_equal(g->failed, 1);
	rig_close(&rig);
}

static void what_contradicts_itself_is_not_restored(void **state)
{
	static const char *const wrong[] = { "2s", "0s0s", "0", "s", "0q", "1s ", "99999s", "-1s" };
	struct rig rig;
	uint64_t members[2] = { htole64(11), htole64(12) };
	const struct group_submission s = { .options = { .kind = GROUP_GATHER },
					    .durability = DURABILITY_FSYNC,
					    .count = 2 };
	struct restored_group r = { .sequence = 10,
				    .state = JOB_RUNNING,
				    .members = { (char *)members, 16 } };
	struct group *g;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		r.settled = span_of(wrong[i]);
		assert_int_equal(engine_group_restore(rig.e, &s, &r, &g), -EINVAL);
	}
	r.settled = SPAN("");
	r.members.size = 8;
	assert_int_equal(engine_group_restore(rig.e, &s, &r, &g), -EINVAL);
	r.members.size = 15;
	assert_int_equal(engine_group_restore(rig.e, &s, &r, &g), -EINVAL);
	r.members.size = 16;
	r.state = JOB_FAILED;
	assert_int_equal(engine_group_restore(rig.e, &s, &r, &g), -EINVAL);
	rig_close(&rig);
}

static void a_kept_group_can_be_looked_at_alone(void **state)
{
	const uint64_t members[] = { htole64(11), htole64(12), htole64(13) };
	struct group_submission submission = { .options = { .kind = GROUP_GATHER },
					       .durability = DURABILITY_FSYNC,
					       .count = 3 };
	struct restored_group row = { .sequence = 10,
				      .state = JOB_FAILED,
				      .accepted_at = 5,
				      .finished_at = 9,
				      .members = { (const char *)members, sizeof(members) },
				      .error_code = SPAN("oops"),
				      .error_message = SPAN("it was so") };
	char settled[] = "1f0s2c";
	struct group *g = NULL;

	(void)state;
	row.settled = span_of(settled);
	assert_int_equal(group_unpack(&submission, &row, &g), 0);
	assert_int_equal(g->state, JOB_FAILED);
	assert_int_equal(g->made, 3);
	assert_int_equal(g->sequences[2], 13);
	assert_int_equal(g->succeeded, 1);
	assert_int_equal(g->failed, 1);
	assert_int_equal(g->cancelled, 1);
	assert_int_equal(g->outcomes[0], JOB_SUCCEEDED);
	assert_int_equal(g->order[0], 1); /* as they ended */
	assert_string_equal(g->error->code, "oops");
	group_unpacked_free(g);

	settled[4] = '1'; /* twice */
	assert_int_equal(group_unpack(&submission, &row, &g), -EINVAL);
	settled[4] = '3'; /* there is none such */
	assert_int_equal(group_unpack(&submission, &row, &g), -EINVAL);
	row.settled = (struct span){ 0 };
	row.members.size--;
	assert_int_equal(group_unpack(&submission, &row, &g), -EINVAL);
	submission.count = GROUP_MEMBERS_MAX + 1;
	assert_int_equal(group_unpack(&submission, &row, &g), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kept_group_can_be_looked_at_alone),
		cmocka_unit_test(a_group_and_its_members_are_one_batch_and_its_end_too),
		cmocka_unit_test(an_empty_durable_group_is_saved_and_told_after_it),
		cmocka_unit_test(a_refused_member_refuses_the_group),
		cmocka_unit_test(a_group_that_has_ended_can_be_refused_until_it_is_kept),
		cmocka_unit_test(of_a_map_that_was_accepted_one_member_is_refused),
		cmocka_unit_test(groups_come_back_from_a_store),
		cmocka_unit_test(a_group_whose_failure_was_saved_goes_on_ending),
		cmocka_unit_test(a_group_whose_time_was_over_ends_so_after_a_restart_too),
		cmocka_unit_test(members_that_did_not_come_back_are_lost),
		cmocka_unit_test(what_contradicts_itself_is_not_restored),
	};

	return TAP_RUN(tests);
}
