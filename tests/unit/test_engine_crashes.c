/* Who is charged when a worker dies, and what becomes of whom: also of what was stored. */
#include "crash_world.h"

static void a_charged_job_runs_alone_after_three_times_and_then_fails(void **state)
{
	struct world *w = world_new(2, 50);
	struct engine_counts counts;
	const struct job *bad;

	(void)state;
	world_jobs(w, 80);
	w->crashes[17] = true;
	bad = w->jobs[17];
	world_run(w);
	assert_int_equal(w->deaths, MAX_CRASHES + 1);
	assert_int_equal(w->apart_deaths, 1);
	assert_int_equal(w->most_apart, 1);
	assert_int_equal(bad->state, JOB_FAILED);
	assert_int_equal(bad->crashes, MAX_CRASHES + 1);
	assert_int_equal(bad->attempts, MAX_CRASHES + 1);
	assert_string_equal(bad->error->code, "worker_crashed");
	assert_int_equal(bad->error->signal, SIGSEGV);
	assert_non_null(strstr(bad->error->message, "SIGSEGV"));
	assert_non_null(strstr(bad->error->message, "alone, 4 times now"));
	assert_int_equal(world_failed(w), 1);
	engine_counts(w->e, &counts);
	assert_int_equal(counts.crashes, MAX_CRASHES + 1);
	assert_int_equal(counts.suspects, 0);
	assert_int_equal(engine_retry(w->e, w->jobs[17]), 0);
	assert_int_equal(bad->crashes, 0);
	w->crashes[17] = false;
	world_run(w);
	assert_int_equal(bad->state, JOB_SUCCEEDED);
	assert_int_equal(bad->slot < 2, true); /* like any other again */
	world_free(w);
}

static void a_job_that_succeeds_alone_is_none_the_worse(void **state)
{
	struct world *w = world_new(1, 10);

	(void)state;
	world_jobs(w, 3);
	for (int i = 0; i < MAX_CRASHES; i++) {
		world_act(w);
		world_lost(w, 0,
			   (struct engine_death){ .culprit = w->jobs[1]->token, .signal = SIGABRT });
		world_up(w, 0);
	}
	assert_true(is_waiting_apart(w, w->jobs[1]));
	world_run(w);
	assert_int_equal(world_failed(w), 0);
	assert_null(w->jobs[1]->error);
	assert_int_equal(w->jobs[1]->slot, SACRIFICE_SLOT);
	world_act(w);
	assert_int_equal(engine_worker_incarnation(w->e, SACRIFICE_SLOT, NULL), 0);
	assert_int_equal(w->dismissals, 1);
	world_free(w);
}

static void a_job_that_fails_alone_waits_for_its_retry_and_runs_alone_again(void **state)
{
	struct rig rig;
	struct job *job;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	job = rig_submit(&rig, (struct submission){ .retries = { .max = 1,
								 .initial_ms = 1000,
								 .maximum_ms = 1000,
								 .factor = 1 } });
	for (uint64_t i = 1; i <= MAX_CRASHES; i++) {
		rig_worker(&rig, 0, i, 1);
		rig_turn(&rig);
		rig_lost(&rig, 0, i, job->token, SIGSEGV);
	}
	rig_worker(&rig, 0, 9, 1);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_SACRIFICE, NULL), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 0);
	rig_worker(&rig, SACRIFICE_SLOT, 10, 1);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
	rig_fail(&rig, job, true);
	rig_turn(&rig);
	assert_int_equal(job->state, JOB_RETRYING);
	assert_int_equal(rig_had(&rig, ACTION_DISMISS, NULL), 1);
	rig_lost(&rig, SACRIFICE_SLOT, 10, 0, 15);
	rig_pass(&rig, 3 * NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(job->state, JOB_READY);
	assert_int_equal(rig_had(&rig, ACTION_SACRIFICE, NULL), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 0);
	rig_close(&rig);
}

static void nobody_is_to_blame_for_an_end_that_was_asked_for(void **state)
{
	struct world *w = world_new(1, 10);

	(void)state;
	world_jobs(w, 10);
	world_act(w);
	world_lost(w, 0, (struct engine_death){ .signal = SIGKILL, .asked = true });
	world_up(w, 0);
	world_act(w);
	assert_int_equal(w->jobs[0]->state, JOB_RUNNING);
	world_lost(w, 0,
		   (struct engine_death){
			   .culprit = w->jobs[0]->token, .signal = SIGTERM, .asked = true });
	assert_int_equal(w->jobs[0]->crashes, 0);
	world_up(w, 0);
	world_run(w);
	assert_int_equal(w->sacrifices, 0);
	assert_int_equal(world_failed(w), 0);
	world_free(w);
}

static void what_was_never_sent_is_not_to_blame(void **state)
{
	const struct submission s = { .job_class = CLASS_NET,
				      .durability = DURABILITY_WRITE,
				      .at_most_once = true };
	struct rig rig;
	struct job *job;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, s);
	rig_turn(&rig);
	assert_int_equal(job->state, JOB_RUNNING);
	rig_lost(&rig, 0, 1, 0, SIGKILL); /* before the commit that lets it go */
	assert_int_equal(job->state, JOB_READY);
	assert_false(job->suspect);
	while (engine_change(rig.e))
		;
	engine_committed(rig.e, engine_seal(rig.e));
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 0);
	rig_close(&rig);
}

static void a_lost_job_that_may_run_once_fails_as_unknown(void **state)
{
	static const struct engine_death deaths[] = {
		{ .signal = SIGKILL },
		{ .signal = SIGTERM, .asked = true },
		{ .signal = SIGSEGV, .culprit = 1 },
		{ .signal = 0 },
	};
	const struct submission s = { .job_class = CLASS_NET, .at_most_once = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(deaths); i++) {
		struct world *w = world_new(1, 10);
		struct engine_death death = deaths[i];
		const struct job *once = world_submit(w, s), *other;

		world_jobs(w, 1);
		other = w->jobs[1];
		world_act(w);
		if (death.culprit)
			death.culprit = once->token;
		world_lost(w, 0, death);
		assert_int_equal(once->state, JOB_FAILED);
		assert_string_equal(once->error->code, "outcome_unknown");
		assert_int_equal(once->error->signal, death.asked ? 0 : death.signal);
		assert_int_equal(once->attempts, 1);
		assert_int_equal(other->state, JOB_READY);
		world_up(w, 0);
		world_run(w);
		assert_int_equal(other->state, JOB_SUCCEEDED);
		assert_int_equal(once->attempts, 1);
		world_free(w);
	}
}

static void a_lost_attempt_is_in_the_history(void **state)
{
	struct world *w = world_new(1, 10);
	const struct job_note *note;

	(void)state;
	world_jobs(w, 2);
	world_act(w);
	world_lost(w, 0, (struct engine_death){ .culprit = w->jobs[0]->token, .signal = SIGBUS });
	note = w->jobs[0]->extra->notes;
	assert_int_equal(note->attempt, 1);
	assert_int_equal(note->outcome, 0);
	assert_string_equal(note->error->code, "worker_crashed");
	note = w->jobs[1]->extra->notes;
	assert_string_equal(note->error->code, "worker_lost");
	assert_non_null(strstr(note->error->message, "SIGBUS"));
	world_free(w);
}

static struct restored_job stored(uint64_t sequence, uint8_t crashes, uint32_t slot, uint64_t incarnation)
{
	struct restored_job r = { .sequence = sequence,
				  .state = JOB_RUNNING,
				  .attempts = (uint16_t)(crashes + 1),
				  .crashes = crashes,
				  .token = UINT64_C(7) << 32 | sequence,
				  .slot = slot,
				  .incarnation = incarnation,
				  .accepted_at = 1,
				  .started_at = 2 };

	uuid7_make(&r.id, 1, DURABILITY_WRITE << 10, sequence << 22);
	return r;
}

static struct job *restore(struct rig *rig, const struct restored_job *r, bool once)
{
	const struct submission s = { .job_class = CLASS_NET,
				      .durability = DURABILITY_WRITE,
				      .at_most_once = once };
	struct job *job = NULL;

	assert_int_equal(engine_restore(rig->e, &s, r, &job), 0);
	return job;
}

static void a_crash_while_no_broker_listened_is_charged(void **state)
{
	struct restored_job culprit = stored(1, 1, 0, 5), other = stored(2, 0, 0, 5),
			    once = stored(3, 0, 0, 5), third = stored(4, 2, 1, 6),
			    last = stored(5, 3, SACRIFICE_SLOT, 8);
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	assert_int_equal(engine_worker_was_lost(
				 rig.e, 0, 5,
				 &(struct engine_death){ .culprit = culprit.token, .signal = 11 }),
			 0);
	assert_int_equal(
		engine_worker_was_lost(rig.e, 1, 6,
				       &(struct engine_death){ .culprit = third.token, .signal = 6 }),
		0);
	assert_int_equal(
		engine_worker_was_lost(rig.e, SACRIFICE_SLOT, 8,
				       &(struct engine_death){ .culprit = last.token, .signal = 11 }),
		0);
	assert_int_equal(engine_worker_was_lost(rig.e, 4096, 8, &(struct engine_death){ 0 }), -EINVAL);
	assert_int_equal(engine_worker_was_lost(rig.e, 1, 0, &(struct engine_death){ 0 }), -EINVAL);
	job = restore(&rig, &culprit, false);
	assert_int_equal(job->crashes, 2);
	assert_int_equal(job->state, JOB_READY);
	assert_false(job->suspect);
	assert_true(job->changed); /* written before it is dispatched again */
	job = restore(&rig, &other, false);
	assert_int_equal(job->crashes, 0);
	assert_int_equal(job->state, JOB_READY);
	job = restore(&rig, &once, true);
	assert_int_equal(job->state, JOB_FAILED);
	assert_string_equal(job->error->code, "outcome_unknown");
	job = restore(&rig, &third, false);
	assert_int_equal(job->crashes, 3);
	assert_true(job->alone);
	job = restore(&rig, &last, false);
	assert_int_equal(job->state, JOB_FAILED);
	assert_string_equal(job->error->code, "worker_crashed");
	rig_check(&rig);
	rig_worker(&rig, 0, 9, 10);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_SACRIFICE, NULL), 1);
	rig_close(&rig);
}

static void those_that_were_killed_while_no_broker_listened_are_suspects(void **state)
{
	struct restored_job one = stored(1, 0, 0, 5), two = stored(2, 0, 0, 5),
			    elsewhere = stored(3, 0, 1, 4);
	struct job *first, *second, *third;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	assert_int_equal(engine_worker_was_lost(rig.e, 0, 5, &(struct engine_death){ .signal = 9 }), 0);
	first = restore(&rig, &one, false);
	second = restore(&rig, &two, false);
	third = restore(&rig, &elsewhere, false); /* nothing is known of its worker */
	rig_worker(&rig, 0, 9, 10);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_SACRIFICE, NULL), 1);
	assert_int_equal(third->state, JOB_RUNNING);
	assert_int_equal(first->state, JOB_READY);
	rig_worker(&rig, SACRIFICE_SLOT, 10, 10);
	rig_turn(&rig);
	assert_int_equal(first->slot, SACRIFICE_SLOT);
	assert_int_equal(second->slot, SACRIFICE_SLOT);
	assert_false(second->alone);
	while (engine_change(rig.e))
		;
	engine_committed(rig.e, engine_seal(rig.e));
	rig_turn(&rig);
	rig_close(&rig);
}

/* A set and a lone job take turns, so that a crowd of dangerous ones doesn't keep the others waiting. */
static void sets_and_lone_jobs_take_turns(void **state)
{
	struct restored_job member = stored(11, 0, 0, 5);
	struct job *set[2], *lone[10];
	unsigned alone = 0;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (unsigned i = 0; i < 10; i++) {
		struct restored_job r = stored(i + 1, MAX_CRASHES, 0, 5);

		r.state = JOB_READY;
		lone[i] = restore(&rig, &r, false);
		assert_true(lone[i]->alone);
	}
	assert_int_equal(engine_worker_was_lost(rig.e, 0, 5, &(struct engine_death){ .signal = 9 }), 0);
	set[0] = restore(&rig, &member, false);
	member = stored(12, 0, 0, 5);
	set[1] = restore(&rig, &member, false);
	for (uint64_t i = 1; set[0]->state == JOB_READY; i++) {
		assert_in_range(i, 1, 3);
		rig_turn(&rig);
		rig_worker(&rig, SACRIFICE_SLOT, i, 10);
		rig_turn(&rig);
		for (unsigned n = 0; n < 10; n++)
			alone += lone[n]->state == JOB_RUNNING;
		assert_in_range(alone, 0, 1);
		if (alone)
			engine_worker_lost(rig.e, SACRIFICE_SLOT, i,
					   &(struct engine_death){ .asked = true });
	}
	assert_int_equal(set[1]->state, JOB_RUNNING);
	rig_close(&rig);
}

static void an_inherited_sacrificial_worker_finishes_and_goes(void **state)
{
	struct restored_job r = stored(1, 0, SACRIFICE_SLOT, 5);
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	assert_int_equal(engine_worker_started(rig.e, SACRIFICE_SLOT, 5), 0);
	job = restore(&rig, &r, false);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0);
	rig_worker(&rig, SACRIFICE_SLOT, 5, 10);
	assert_true(engine_worker_holds(rig.e, SACRIFICE_SLOT, job->token));
	engine_worker_told(rig.e, SACRIFICE_SLOT);
	rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0); /* nobody joins it */
	rig_succeed(&rig, job);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISMISS, NULL), 1);
	rig_close(&rig);
}

static void what_ran_alone_before_the_restart_fails_by_a_crash_after_it(void **state)
{
	struct restored_job r = stored(1, MAX_CRASHES, SACRIFICE_SLOT, 5);
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	assert_int_equal(engine_worker_started(rig.e, SACRIFICE_SLOT, 5), 0);
	job = restore(&rig, &r, false);
	rig_turn(&rig);
	rig_lost(&rig, SACRIFICE_SLOT, 5, job->token, SIGSEGV);
	assert_int_equal(job->state, JOB_FAILED);
	assert_non_null(strstr(job->error->message, "alone, 4 times now"));
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_charged_job_runs_alone_after_three_times_and_then_fails),
		cmocka_unit_test(a_job_that_succeeds_alone_is_none_the_worse),
		cmocka_unit_test(a_job_that_fails_alone_waits_for_its_retry_and_runs_alone_again),
		cmocka_unit_test(nobody_is_to_blame_for_an_end_that_was_asked_for),
		cmocka_unit_test(what_was_never_sent_is_not_to_blame),
		cmocka_unit_test(a_lost_job_that_may_run_once_fails_as_unknown),
		cmocka_unit_test(a_lost_attempt_is_in_the_history),
		cmocka_unit_test(a_crash_while_no_broker_listened_is_charged),
		cmocka_unit_test(those_that_were_killed_while_no_broker_listened_are_suspects),
		cmocka_unit_test(sets_and_lone_jobs_take_turns),
		cmocka_unit_test(an_inherited_sacrificial_worker_finishes_and_goes),
		cmocka_unit_test(what_ran_alone_before_the_restart_fails_by_a_crash_after_it),
	};

	return TAP_RUN(tests);
}
