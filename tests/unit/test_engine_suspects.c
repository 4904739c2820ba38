/* Jobs that were on a worker when it died for no known reason: the sacrificial worker finds out which one did it. */
#include "crash_world.h"

static void halving_finds_the_one_among_a_thousand(void **state)
{
	static const unsigned culprits[] = { 0, 1, 499, 500, 777, 999 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(culprits); i++) {
		struct world *w = world_new(1, 2000);
		const struct job *bad;

		world_jobs(w, 1000);
		w->kills[culprits[i]] = true;
		bad = w->jobs[culprits[i]];
		world_run(w);
		assert_int_equal(bad->state, JOB_FAILED);
		assert_string_equal(bad->error->code, "worker_crashed");
		assert_int_equal(bad->error->signal, SIGKILL);
		assert_non_null(strstr(bad->error->message, "SIGKILL"));
		assert_non_null(strstr(bad->error->message, "alone"));
		assert_int_equal(world_failed(w), 1);
		/* one where it happened, ten that halve a thousand, one alone */
		assert_in_range(w->deaths, 11, 12);
		assert_int_equal(w->deaths - w->apart_deaths, 1);
		assert_int_equal(w->elsewhere, 0);
		assert_int_equal(w->most_apart, 1000);
		world_free(w);
	}
}

static void several_are_found_and_no_innocent_fails(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 8; seed++) {
		struct world *w = world_new(3, 100);
		unsigned bad = 0;

		world_jobs(w, 600);
		for (unsigned i = 0; i < 600; i++) {
			w->kills[i] = (i * 7919 + seed * 104729) % 131 == 0;
			bad += w->kills[i];
		}
		world_run(w);
		assert_true(bad >= 3);
		assert_int_equal(world_failed(w), bad);
		for (unsigned i = 0; i < 600; i++)
			assert_int_equal(w->jobs[i]->state, w->kills[i] ? JOB_FAILED : JOB_SUCCEEDED);
		assert_int_equal(w->elsewhere, 0);
		assert_true(w->most_apart <= 100); /* its capacity holds */
		world_free(w);
	}
}

static void charged_and_unknown_deaths_mix(void **state)
{
	struct world *w = world_new(2, 200);

	(void)state;
	world_jobs(w, 300);
	w->kills[20] = w->kills[210] = true;
	w->crashes[21] = w->crashes[150] = true;
	world_run(w);
	assert_int_equal(world_failed(w), 4);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(w->jobs[i]->state == JOB_FAILED, w->kills[i] || w->crashes[i]);
	assert_int_equal(w->jobs[20]->error->signal, SIGKILL);
	assert_int_equal(w->jobs[21]->error->signal, SIGSEGV);
	assert_int_equal(w->jobs[20]->crashes, 0);
	world_free(w);
}

static void one_kill_from_outside_costs_nobody_anything(void **state)
{
	struct world *w = world_new(2, 500);
	unsigned again = 0;

	(void)state;
	world_jobs(w, 800);
	world_act(w);
	world_lost(w, 0, (struct engine_death){ .signal = SIGKILL });
	world_up(w, 0);
	world_run(w);
	assert_int_equal(world_failed(w), 0);
	for (unsigned i = 0; i < 800; i++) {
		again += w->jobs[i]->attempts == 2;
		assert_in_range(w->jobs[i]->attempts, 1, 2);
		assert_int_equal(w->jobs[i]->crashes + w->jobs[i]->failures, 0);
	}
	assert_int_equal(again, 400);
	assert_int_equal(w->sacrifices, 1);
	assert_int_equal(w->most_apart, 400);
	world_free(w);
}

static void a_suspect_fails_only_in_a_process_of_its_own(void **state)
{
	struct world *w = world_new(1, 10);

	(void)state;
	world_jobs(w, 2);
	world_act(w);
	world_lost(w, 0, (struct engine_death){ .signal = SIGKILL });
	world_act(w); /* both are in the sacrificial worker */
	assert_int_equal(w->jobs[1]->slot, SACRIFICE_SLOT);
	assert_int_equal(engine_result(w->e, SACRIFICE_SLOT,
				       &(struct attempt_result){ .token = w->jobs[0]->token,
								 .outcome = OUTCOME_SUCCEEDED }),
			 0);
	/* The other is alone in there now, but who knows what the first one left behind. */
	world_lost(w, SACRIFICE_SLOT, (struct engine_death){ .signal = SIGKILL });
	assert_true(is_waiting_apart(w, w->jobs[1]));
	world_run(w);
	assert_int_equal(w->jobs[1]->state, JOB_SUCCEEDED);
	world_free(w);
}

static void a_lone_suspect_waits_for_a_new_process(void **state)
{
	struct world *w = world_new(1, 10);

	(void)state;
	world_jobs(w, 5);
	world_act(w);
	world_lost(w, 0, (struct engine_death){ .signal = SIGKILL });
	world_up(w, 0);
	world_submit(w, (struct submission){ .job_class = CLASS_NET });
	world_act(w);
	world_lost(w, 0, (struct engine_death){ .signal = SIGKILL }); /* the sixth was there by itself */
	world_up(w, 0);
	world_act(w);
	assert_int_equal(w->jobs[4]->state, JOB_RUNNING);
	assert_true(is_waiting_apart(w, w->jobs[5]));
	assert_int_equal(w->sacrifices, 1);
	world_work(w, SACRIFICE_SLOT);
	world_act(w);
	assert_int_equal(w->sacrifices, 2);
	assert_int_equal(w->dismissals, 1);
	assert_int_equal(w->jobs[5]->state, JOB_RUNNING);
	assert_true(w->jobs[5]->alone);
	world_run(w);
	assert_int_equal(world_failed(w), 0);
	world_free(w);
}

static void cancelled_suspects_leave(void **state)
{
	struct world *w = world_new(1, 10);

	(void)state;
	world_jobs(w, 6);
	world_act(w);
	w->capacity = 2;
	world_lost(w, 0, (struct engine_death){ .signal = SIGKILL });
	for (unsigned i = 0; i < 6; i += 2)
		assert_int_equal(engine_cancel(w->e, w->jobs[i]), 0); /* before it is up */
	world_act(w);
	assert_int_equal(w->jobs[1]->state, JOB_RUNNING);
	assert_int_equal(w->jobs[3]->state, JOB_RUNNING);
	assert_true(is_waiting_apart(w, w->jobs[5]));
	assert_int_equal(engine_cancel(w->e, w->jobs[5]), 0);
	assert_int_equal(engine_cancel(w->e, w->jobs[3]), 0);
	world_act(w);
	world_lost(w, SACRIFICE_SLOT, (struct engine_death){ .signal = SIGKILL });
	assert_int_equal(w->jobs[3]->state, JOB_CANCELLED);
	world_run(w);
	assert_int_equal(w->jobs[1]->state, JOB_SUCCEEDED);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(w->jobs[i]->state, i == 1 ? JOB_SUCCEEDED : JOB_CANCELLED);
	world_act(w);
	assert_int_equal(engine_worker_incarnation(w->e, SACRIFICE_SLOT, NULL), 0);
	world_free(w);
}

static void without_suspects_left_the_worker_is_dismissed_before_it_began(void **state)
{
	struct rig rig;
	struct job *job;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_job(&rig);
	rig_turn(&rig);
	rig_lost(&rig, 0, 1, 0, SIGKILL);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_SACRIFICE, NULL), 1);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISMISS, NULL), 0); /* there is nobody to dismiss yet */
	assert_int_equal(engine_worker_started(rig.e, SACRIFICE_SLOT, 2), 0);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISMISS, NULL), 1);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISMISS, NULL), 0); /* once */
	rig_lost(&rig, SACRIFICE_SLOT, 2, 0, 15);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_SACRIFICE, NULL), 0);
	rig_close(&rig);
}

static void a_sacrificial_worker_that_cannot_start_is_asked_for_again(void **state)
{
	struct rig rig;
	struct job *job;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_job(&rig);
	rig_turn(&rig);
	rig_lost(&rig, 0, 1, 0, SIGKILL);
	for (uint64_t i = 2; i < 6; i++) {
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_SACRIFICE, NULL), 1);
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_SACRIFICE, NULL), 0);
		assert_int_equal(engine_worker_started(rig.e, SACRIFICE_SLOT, i), 0);
		rig_turn(&rig);
		rig_lost(&rig, SACRIFICE_SLOT, i, 0, SIGSEGV);
		assert_int_equal(job->state, JOB_READY); /* it wasn't there */
	}
	rig_close(&rig);
}

static void suspects_go_on_where_they_were_after_an_end_that_was_asked_for(void **state)
{
	struct world *w = world_new(1, 10);

	(void)state;
	world_jobs(w, 8);
	w->kills[3] = true;
	world_act(w);
	world_work(w, 0);
	world_act(w);
	world_lost(w, SACRIFICE_SLOT, (struct engine_death){ .signal = SIGTERM, .asked = true });
	world_act(w);
	assert_int_equal(w->most_apart, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(w->jobs[i]->slot, SACRIFICE_SLOT);
	world_run(w);
	assert_int_equal(world_failed(w), 1);
	assert_int_equal(w->jobs[3]->state, JOB_FAILED);
	world_free(w);
}

static void a_hang_without_a_culprit_makes_suspects_too(void **state)
{
	struct world *w = world_new(1, 10);

	(void)state;
	world_jobs(w, 4);
	world_act(w);
	world_lost(w, 0, (struct engine_death){ .signal = 0 });
	assert_true(is_waiting_apart(w, w->jobs[0]));
	world_act(w);
	for (int i = 0; i < 3; i++) {
		world_lost(w, SACRIFICE_SLOT, (struct engine_death){ .signal = 0 });
		world_act(w);
	}
	assert_int_equal(w->jobs[0]->state, JOB_FAILED);
	assert_string_equal(w->jobs[0]->error->code, "worker_hung");
	world_up(w, 0);
	world_run(w);
	assert_int_equal(world_failed(w), 1);
	world_free(w);
}

static void a_flood_of_kills_does_not_make_all_wait_for_one_worker(void **state)
{
	struct world *w = world_new(1, 4);
	struct engine_counts counts;

	(void)state;
	world_jobs(w, 400);
	for (int i = 0; i < 200; i++) {
		size_t count;

		engine_run(w->e, &count);
		engine_reap(w->e);
		world_lost(w, 0, (struct engine_death){ .signal = SIGKILL });
		world_up(w, 0);
	}
	engine_counts(w->e, &counts);
	assert_int_equal(counts.suspects, 64 * 4);
	world_up(w, SACRIFICE_SLOT); /* it was asked for long ago */
	world_run(w);
	assert_int_equal(world_failed(w), 0);
	world_free(w);
}

static void limits_hold_for_suspects_too(void **state)
{
	struct world *w = world_new(1, 10);
	const struct limit two = { .concurrency = 2 };

	(void)state;
	for (int i = 0; i < 7; i++)
		world_submit(w, (struct submission){ .queue = SPAN("slow"), .limit_key = SPAN("host") });
	w->kills[5] = true;
	world_act(w);
	assert_int_equal(engine_set_limit(w->e, LIMIT_KEY, SPAN("host"), &two), 0);
	world_run(w);
	assert_int_equal(w->most_apart, 2);
	assert_int_equal(world_failed(w), 1);
	assert_int_equal(w->jobs[5]->state, JOB_FAILED);
	world_free(w);
}

static void a_paused_set_keeps_no_other_waiting(void **state)
{
	struct world *w = world_new(1, 3);

	(void)state;
	for (int i = 0; i < 3; i++)
		world_submit(w, (struct submission){ .queue = SPAN("slow") });
	world_act(w);
	assert_int_equal(engine_pause(w->e, LIMIT_QUEUE, SPAN("slow")), 0);
	world_lost(w, 0, (struct engine_death){ .signal = SIGKILL });
	world_up(w, 0);
	world_act(w);
	assert_int_equal(w->jobs[0]->state, JOB_READY);
	world_jobs(w, 3);
	world_act(w);
	assert_int_equal(w->jobs[3]->state, JOB_RUNNING);
	world_lost(w, 0, (struct engine_death){ .signal = SIGKILL });
	world_act(w);
	for (unsigned i = 3; i < 6; i++)
		assert_int_equal(w->jobs[i]->slot, SACRIFICE_SLOT);
	world_work(w, SACRIFICE_SLOT);
	world_act(w);
	assert_int_equal(w->jobs[3]->state, JOB_SUCCEEDED);
	assert_int_equal(w->jobs[0]->state, JOB_READY);
	engine_resume(w->e, LIMIT_QUEUE, SPAN("slow"));
	world_run(w);
	assert_int_equal(w->jobs[0]->state, JOB_SUCCEEDED);
	assert_int_equal(w->sacrifices, 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halving_finds_the_one_among_a_thousand),
		cmocka_unit_test(several_are_found_and_no_innocent_fails),
		cmocka_unit_test(charged_and_unknown_deaths_mix),
		cmocka_unit_test(one_kill_from_outside_costs_nobody_anything),
		cmocka_unit_test(a_suspect_fails_only_in_a_process_of_its_own),
		cmocka_unit_test(a_lone_suspect_waits_for_a_new_process),
		cmocka_unit_test(cancelled_suspects_leave),
		cmocka_unit_test(without_suspects_left_the_worker_is_dismissed_before_it_began),
		cmocka_unit_test(a_sacrificial_worker_that_cannot_start_is_asked_for_again),
		cmocka_unit_test(suspects_go_on_where_they_were_after_an_end_that_was_asked_for),
		cmocka_unit_test(a_hang_without_a_culprit_makes_suspects_too),
		cmocka_unit_test(a_flood_of_kills_does_not_make_all_wait_for_one_worker),
		cmocka_unit_test(limits_hold_for_suspects_too),
		cmocka_unit_test(a_paused_set_keeps_no_other_waiting),
	};

	return TAP_RUN(tests);
}
