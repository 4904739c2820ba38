/* test_engine_chains.c — chain and map, and groups in groups: what runs when. */
#include "group_rig.h"

/* ---- chain ---- */

static void a_chain_runs_one_after_the_other(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 10);
	b = bundle_of(&rig, (struct group_options){ .kind = GROUP_CHAIN }, 3);
	for (int i = 0; i < 3; i++) {
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 1);
		for (int k = 0; k < 3; k++)
			assert_int_equal(b.jobs[k]->state, k < i    ? JOB_SUCCEEDED
							   : k == i ? JOB_RUNNING
								    : JOB_BLOCKED);
		rig_succeed(&rig, b.jobs[i]);
	}
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_SUCCEEDED);
	rig_close(&rig);
}

static void a_failure_ends_the_chain_and_the_rest_never_runs(void **state)
{
	struct rig rig;
	struct bundle b;

	(void)state;
	open_with_worker(&rig, 10);
	b = bundle_of(&rig, (struct group_options){ .kind = GROUP_CHAIN }, 4);
	rig_turn(&rig);
	rig_succeed(&rig, b.jobs[0]);
	rig_turn(&rig);
	rig_fail(&rig, b.jobs[1], false);
	rig_turn(&rig);
	assert_int_equal(b.group->state, JOB_FAILED);
	assert_int_equal(b.jobs[2]->state, JOB_CANCELLED);
	assert_int_equal(b.jobs[3]->state, JOB_CANCELLED);
	assert_int_equal(b.jobs[2]->attempts, 0);
	assert_int_equal(b.group->culprit, 1);
	rig_close(&rig);
}

static void a_delayed_link_waits_for_its_time_too(void **state)
{
	struct rig rig;
	struct group *g;
	struct job *first, *second;

	(void)state;
	open_with_worker(&rig, 10);
	g = make(&rig, (struct group_options){ .kind = GROUP_CHAIN }, 2, NULL, 0, DURABILITY_MEMORY);
	first = join(&rig, g, 0, true);
	second = rig_submit(&rig, (struct submission){ .job_class = CLASS_NET,
						       .group = g,
						       .member = 1,
						       .blocked = true,
						       .due = rig.now + 5 * NSEC_PER_SEC });
	engine_group_start(rig.e, g);
	rig_turn(&rig);
	rig_succeed(&rig, first);
	rig_turn(&rig);
	assert_int_equal(second->state, JOB_SCHEDULED);
	rig_pass(&rig, 5 * NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(second->state, JOB_RUNNING);
	rig_succeed(&rig, second);
	rig_turn(&rig);
	assert_int_equal(g->state, JOB_SUCCEEDED);
	rig_close(&rig);
}

/* ---- map ---- */

static unsigned feed(struct rig *rig, struct job **jobs)
{
	struct group *g;
	unsigned made = 0;

	while ((g = engine_group_hungry(rig->e))) {
		jobs[g->made] = join(rig, g, g->made, false);
		made++;
	}
	return made;
}

static void a_map_keeps_to_its_window(void **state)
{
	struct rig rig;
	struct job *jobs[6];
	struct group *g;

	(void)state;
	open_with_worker(&rig, 10);
	g = make(&rig,
		 (struct group_options){ .kind = GROUP_MAP, .window = 2, .return_exceptions = true },
		 6, NULL, 0, DURABILITY_MEMORY);
	engine_group_start(rig.e, g);
	rig_turn(&rig);
	assert_int_equal(feed(&rig, jobs), 2);
	rig_turn(&rig);
	assert_int_equal(feed(&rig, jobs), 0);
	rig_fail(&rig, jobs[1], false);
	rig_turn(&rig);
	assert_int_equal(feed(&rig, jobs), 1);
	rig_turn(&rig);
	rig_succeed(&rig, jobs[0]);
	rig_succeed(&rig, jobs[2]);
	rig_turn(&rig);
	assert_int_equal(feed(&rig, jobs), 2);
	engine_group_skip(rig.e, g, SPAN("bad"), SPAN("can't be made")); /* the last one */
	rig_turn(&rig);
	rig_succeed(&rig, jobs[3]);
	rig_succeed(&rig, jobs[4]);
	rig_turn(&rig);
	assert_int_equal(g->state, JOB_SUCCEEDED);
	assert_int_equal(g->made, 6);
	assert_int_equal(g->failed, 2);
	rig_close(&rig);
}

static void a_map_that_fails_makes_no_more(void **state)
{
	struct rig rig;
	struct job *jobs[6];
	struct group *g;

	(void)state;
	open_with_worker(&rig, 10);
	g = make(&rig, (struct group_options){ .kind = GROUP_MAP, .window = 2 }, 6, NULL, 0,
		 DURABILITY_MEMORY);
	engine_group_start(rig.e, g);
	rig_turn(&rig);
	assert_int_equal(feed(&rig, jobs), 2);
	rig_turn(&rig);
	rig_fail(&rig, jobs[1], false);
	rig_turn(&rig);
	assert_int_equal(feed(&rig, jobs), 0);
	cancelled_by_worker(&rig, jobs[0]);
	rig_turn(&rig);
	assert_int_equal(g->state, JOB_FAILED);
	assert_int_equal(g->made, 2);
	rig_close(&rig);
}

static void a_map_of_nothing_ends_at_once(void **state)
{
	struct rig rig;
	struct group *g;

	(void)state;
	open_with_worker(&rig, 10);
	g = make(&rig, (struct group_options){ .kind = GROUP_MAP, .window = 2 }, 0, NULL, 0,
		 DURABILITY_MEMORY);
	engine_group_start(rig.e, g);
	rig_turn(&rig);
	assert_null(engine_group_hungry(rig.e));
	assert_int_equal(g->state, JOB_SUCCEEDED);
	rig_close(&rig);
}

/* ---- nesting ---- */

static void groups_nest(void **state)
{
	struct rig rig;
	struct nest n;

	(void)state;
	open_with_worker(&rig, 10);
	n = nest_of(&rig, DURABILITY_MEMORY);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 1);
	assert_int_equal(n.gather->state, JOB_BLOCKED);
	rig_pass(&rig, 60 * NSEC_PER_SEC); /* the gather's timeout counts from its start */
	rig_turn(&rig);
	rig_succeed(&rig, n.first);
	rig_turn(&rig);
	assert_int_equal(n.gather->state, JOB_RUNNING);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 2);
	rig_succeed(&rig, n.both[1]);
	rig_succeed(&rig, n.both[0]);
	rig_turn(&rig);
	assert_int_equal(n.gather->state, JOB_SUCCEEDED);
	assert_int_equal(n.wait->state, JOB_RUNNING);
	assert_int_equal(n.last->state, JOB_BLOCKED);
	rig_succeed(&rig, n.either[1]);
	rig_turn(&rig);
	assert_int_equal(n.wait->state, JOB_SUCCEEDED);
	assert_int_equal(n.last->state, JOB_RUNNING);
	assert_int_equal(n.either[0]->state, JOB_RUNNING); /* left behind */
	rig_succeed(&rig, n.last);
	rig_turn(&rig);
	assert_int_equal(n.chain->state, JOB_SUCCEEDED);
	rig_succeed(&rig, n.either[0]);
	rig_turn(&rig);
	assert_int_equal(n.wait->settled, 2);
	rig_close(&rig);
}

static void an_inner_failure_reaches_the_top(void **state)
{
	struct rig rig;
	struct nest n;

	(void)state;
	open_with_worker(&rig, 10);
	n = nest_of(&rig, DURABILITY_MEMORY);
	rig_turn(&rig);
	rig_succeed(&rig, n.first);
	rig_turn(&rig);
	rig_fail(&rig, n.both[0], false);
	rig_turn(&rig);
	cancelled_by_worker(&rig, n.both[1]);
	rig_turn(&rig);
	assert_int_equal(n.gather->state, JOB_FAILED);
	assert_int_equal(n.chain->state, JOB_FAILED);
	assert_int_equal(n.wait->state, JOB_CANCELLED);
	assert_int_equal(n.either[0]->state, JOB_CANCELLED);
	assert_int_equal(n.last->state, JOB_CANCELLED);
	assert_string_equal(n.chain->error->code, "oops");
	assert_non_null(strstr(n.chain->error->message, "member 1: member 0"));
	rig_close(&rig);
}

static void a_cancel_reaches_the_whole_subtree(void **state)
{
	struct rig rig;
	struct nest n;

	(void)state;
	open_with_worker(&rig, 10);
	n = nest_of(&rig, DURABILITY_MEMORY);
	rig_turn(&rig);
	rig_succeed(&rig, n.first);
	rig_turn(&rig);
	assert_int_equal(engine_group_cancel(rig.e, n.chain), 0);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, n.both[0]), 1);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, n.both[1]), 1);
	assert_int_equal(n.wait->state, JOB_CANCELLED);
	assert_int_equal(n.last->state, JOB_CANCELLED);
	assert_int_equal(n.chain->state, JOB_RUNNING); /* until all have ended */
	cancelled_by_worker(&rig, n.both[0]);
	cancelled_by_worker(&rig, n.both[1]);
	rig_turn(&rig);
	assert_int_equal(n.gather->state, JOB_CANCELLED);
	assert_int_equal(n.chain->state, JOB_CANCELLED);
	rig_close(&rig);
}

static void what_was_discarded_has_never_been(void **state)
{
	struct rig rig;
	struct engine_counts before, after;
	struct group *g, *inner;
	struct uuid id;

	(void)state;
	for (int d = DURABILITY_MEMORY; d <= DURABILITY_FSYNC; d++) {
		open_with_worker(&rig, 10);
		engine_counts(rig.e, &before);
		g = make(&rig, (struct group_options){ .kind = GROUP_CHAIN }, 3, NULL, 0,
			 (enum job_durability)d);
		join(&rig, g, 0, true);
		inner = make(&rig, (struct group_options){ .kind = GROUP_GATHER }, 1, g, 1,
			     (enum job_durability)d);
		join(&rig, inner, 0, true);
		id = g->id;
		engine_group_discard(rig.e, g);
		engine_counts(rig.e, &after);
		assert_memory_equal(&before, &after, sizeof(before));
		rig_turn(&rig);
		assert_int_equal(rig.count, 0);
		assert_null(engine_change(rig.e));
		assert_null(engine_group_change(rig.e));
		assert_true(engine_group_find(rig.e, &id, &g) < 0);
		assert_null(engine_group_older(rig.e, NULL));
		rig_close(&rig);
	}
}

static void groups_are_found_by_id_and_leave_in_time(void **state)
{
	struct rig rig;
	struct bundle b, other;
	struct group *found;
	struct job *job;
	struct uuid id, job_id;

	(void)state;
	open_with_worker(&rig, 10);
	b = gather_of(&rig, 1);
	other = gather_of(&rig, 1);
	id = b.group->id;
	job_id = b.jobs[0]->id;
	assert_int_equal(engine_group_find(rig.e, &id, &found), 0);
	assert_ptr_equal(found, b.group);
	assert_int_equal(engine_group_find(rig.e, &job_id, &found), -ENOENT);
	assert_ptr_equal(engine_group_older(rig.e, NULL), other.group);
	assert_ptr_equal(engine_group_older(rig.e, other.group), b.group);
	assert_null(engine_group_older(rig.e, b.group));
	assert_int_equal(engine_find(rig.e, &id, &job), -EIDRM);
	rig_turn(&rig);
	rig_succeed(&rig, b.jobs[0]);
	rig_turn(&rig);
	rig_pass(&rig, 23 * 3600 * NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(engine_group_find(rig.e, &id, &found), 0);
	rig_pass(&rig, 3600 * NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(engine_group_find(rig.e, &id, &found), -EIDRM);
	assert_ptr_equal(engine_group_older(rig.e, NULL), other.group); /* it isn't over */
	rig_close(&rig);
}

static void the_whole_is_checked_against_the_limits(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .max_jobs = 10, .max_args_bytes = 1000 });
	assert_int_equal(engine_room(rig.e, 10, 1000), 0);
	assert_int_equal(engine_room(rig.e, 11, 0), -ENOBUFS);
	assert_int_equal(engine_room(rig.e, 1, 1001), -EDQUOT);
	rig_job(&rig);
	assert_int_equal(engine_room(rig.e, 10, 0), -ENOBUFS);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_runs_one_after_the_other),
		cmocka_unit_test(a_failure_ends_the_chain_and_the_rest_never_runs),
		cmocka_unit_test(a_delayed_link_waits_for_its_time_too),
		cmocka_unit_test(a_map_keeps_to_its_window),
		cmocka_unit_test(a_map_that_fails_makes_no_more),
		cmocka_unit_test(a_map_of_nothing_ends_at_once),
		cmocka_unit_test(groups_nest),
		cmocka_unit_test(an_inner_failure_reaches_the_top),
		cmocka_unit_test(a_cancel_reaches_the_whole_subtree),
		cmocka_unit_test(what_was_discarded_has_never_been),
		cmocka_unit_test(groups_are_found_by_id_and_leave_in_time),
		cmocka_unit_test(the_whole_is_checked_against_the_limits),
	};

	return TAP_RUN(tests);
}
