/* Workers: who takes the next job, what a drain, a death and a registration do. */
#include "engine_parts.h"
#include "engine_rig.h"
#include <signal.h>

static struct worker_view view_of(struct rig *rig, uint32_t index)
{
	struct worker_view view;

	assert_int_equal(engine_worker_view(rig->e, index, &view), 0);
	return view;
}

static void capacity_is_kept_for_each_class(void **state)
{
	struct engine_worker w = { .slot = 0,
				   .incarnation = 1,
				   .capacity = { [CLASS_NET] = 2, [CLASS_CPU] = 1 } };
	struct job *net[3], *cpu[2], *proc;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (int i = 0; i < 3; i++)
		net[i] = rig_job(&rig);
	proc = rig_submit(&rig, (struct submission){ .job_class = CLASS_PROC });
	for (int i = 0; i < 2; i++)
		cpu[i] = rig_submit(&rig, (struct submission){ .job_class = CLASS_CPU });
	assert_int_equal(engine_worker_started(rig.e, 0, 1), 0);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0); /* it lives, but hasn't registered */
	assert_int_equal(engine_worker_joined(rig.e, &w), 0);
	rig_turn(&rig);
	assert_int_equal(rig.count, 3);
	assert_int_equal(net[1]->state, JOB_RUNNING);
	assert_int_equal(net[2]->state, JOB_READY);
	assert_int_equal(cpu[0]->state, JOB_RUNNING); /* a full class blocks no other */
	assert_int_equal(cpu[1]->state, JOB_READY);
	assert_int_equal(proc->state, JOB_READY);
	rig_succeed(&rig, net[0]);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, net[2]), 1);
	w.capacity[CLASS_PROC] = 1;
	assert_int_equal(engine_worker_joined(rig.e, &w), 0); /* again: with another capacity */
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, proc), 1);
	w.capacity[CLASS_NET] = 1;
	assert_int_equal(engine_worker_joined(rig.e, &w), 0); /* less than it holds */
	rig_job(&rig);
	rig_succeed(&rig, net[1]);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 0);
	assert_int_equal(view_of(&rig, 0).held[CLASS_NET], 1);
	rig_close(&rig);
}

static void jobs_go_to_the_least_loaded_and_equals_take_turns(void **state)
{
	struct job *jobs[6];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (uint32_t slot = 0; slot < 3; slot++)
		rig_worker(&rig, slot, 1, 10);
	for (int i = 0; i < 6; i++)
		jobs[i] = rig_job(&rig);
	rig_turn(&rig);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(jobs[i]->slot, i % 3);
	rig_succeed(&rig, jobs[1]);
	rig_succeed(&rig, jobs[4]);
	rig_succeed(&rig, jobs[2]);
	jobs[0] = rig_job(&rig); /* held: 2 0 1 */
	jobs[1] = rig_job(&rig); /* 2 1 1: the one that has waited longer */
	rig_turn(&rig);
	assert_int_equal(jobs[0]->slot, 1);
	assert_int_equal(jobs[1]->slot, 2);
	/* One job at a time goes round. */
	for (int i = 3; i < 6; i++)
		if (jobs[i]->state == JOB_RUNNING)
			rig_succeed(&rig, jobs[i]);
	rig_turn(&rig);
	rig_close(&rig);
}

static void two_hundred_workers_share_evenly(void **state)
{
	const struct action *actions;
	struct rig rig;
	size_t count;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (uint32_t slot = 0; slot < 200; slot++)
		rig_worker(&rig, slot, 1, 40);
	for (int i = 0; i < 200 * 30; i++)
		rig_job(&rig);
	actions = engine_run(rig.e, &count);
	assert_non_null(actions);
	assert_int_equal(count, 200 * 30);
	engine_reap(rig.e);
	rig_check(&rig);
	for (uint32_t i = 0; i < 200; i++)
		assert_in_range(view_of(&rig, i).held[CLASS_NET], 28, 32);
	rig_close(&rig);
}

static void loads_are_exact_while_small_and_ordered(void **state)
{
	int last = -1;

	(void)state;
	for (uint32_t held = 0; held < 8; held++)
		assert_int_equal(worker_load(held), held);
	for (uint32_t held = 0; held < 300000; held++) {
		int load = worker_load(held);

		assert_true(load == last || load == last + 1);
		last = load;
	}
	assert_int_equal(worker_load(UINT32_MAX), LOAD_COUNT - 1);
}

static void a_registration_must_be_of_the_live_incarnation(void **state)
{
	struct engine_worker w = { .slot = 2, .incarnation = 8 };
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	assert_int_equal(engine_worker_joined(rig.e, &w), -ESTALE); /* never heard of */
	assert_int_equal(engine_worker_started(rig.e, 2, 7), 0);
	assert_int_equal(engine_worker_joined(rig.e, &w), -ESTALE);
	assert_int_equal(engine_worker_started(rig.e, 2, 7), 0); /* said twice */
	assert_int_equal(engine_worker_started(rig.e, 2, 8), -EBUSY);
	assert_int_equal(engine_worker_started(rig.e, 4096, 1), -EINVAL);
	assert_int_equal(engine_worker_started(rig.e, 3, 0), -EINVAL);
	rig_lost(&rig, 2, 8, 0, 9); /* not that one */
	rig_lost(&rig, 77, 8, 0, 9);
	w.incarnation = 7;
	assert_int_equal(engine_worker_joined(rig.e, &w), 0);
	rig_lost(&rig, 2, 7, 0, 9);
	assert_int_equal(engine_worker_joined(rig.e, &w), -ESTALE);
	assert_int_equal(engine_worker_started(rig.e, 2, 8), 0);
	assert_int_equal(engine_worker_started(rig.e, 4095, 1), 0);
	rig_close(&rig);
}

static void workers_are_shown_by_slot(void **state)
{
	struct worker_view view;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 9, 3, 1);
	rig_worker(&rig, 1, 4, 1);
	rig_worker(&rig, 4, 5, 2);
	rig_job(&rig);
	rig_turn(&rig);
	rig_lost(&rig, 1, 4, 0, 9);
	assert_int_equal(view_of(&rig, 0).slot, 1);
	assert_int_equal(view_of(&rig, 0).incarnation, 0);
	view = view_of(&rig, 1);
	assert_int_equal(view.slot, 4);
	assert_int_equal(view.incarnation, 5);
	assert_true(view.joined);
	assert_int_equal(view.capacity[CLASS_CPU], 2);
	view = view_of(&rig, 2);
	assert_int_equal(view.slot, 9);
	assert_int_equal(view.dispatched, 1);
	assert_int_equal(view.held[CLASS_NET], 1);
	assert_int_equal(engine_worker_view(rig.e, 3, &view), -ENOENT);
	rig_close(&rig);
}

static void a_draining_worker_gets_no_new_jobs(void **state)
{
	struct engine_worker again = { .slot = 0, .incarnation = 1, .capacity = { 9, 9, 9, 9 } };
	struct job *running, *returned, *waiting;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 2);
	running = rig_job(&rig);
	returned = rig_job(&rig);
	waiting = rig_job(&rig);
	rig_turn(&rig);
	engine_worker_drains(rig.e, 0);
	engine_worker_drains(rig.e, 55);
	assert_true(view_of(&rig, 0).draining);
	rig_succeed(&rig, running);
	assert_int_equal(
		rig_end(&rig, returned, (struct attempt_result){ .outcome = OUTCOME_RETURNED }), 0);
	assert_int_equal(engine_worker_joined(rig.e, &again), 0);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 0);
	assert_int_equal(running->state, JOB_SUCCEEDED);
	rig_lost(&rig, 0, 1, 0, 0);
	rig_worker(&rig, 0, 2, 1);
	rig_turn(&rig);
	assert_false(view_of(&rig, 0).draining);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, returned), 1);
	assert_int_equal(waiting->state, JOB_READY);
	rig_close(&rig);
}

static void jobs_of_a_lost_worker_stand_at_their_place_again_uncharged(void **state)
{
	struct job *jobs[8];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 3);
	rig_worker(&rig, 1, 1, 3);
	for (int i = 0; i < 8; i++)
		jobs[i] = rig_job(&rig);
	rig_turn(&rig);
	engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .signal = SIGTERM, .asked = true });
	rig_check(&rig);
	assert_int_equal(view_of(&rig, 0).held[CLASS_NET], 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(jobs[i]->state, i < 6 && i % 2 ? JOB_RUNNING : JOB_READY);
		assert_int_equal(jobs[i]->failures, 0);
		assert_int_equal(jobs[i]->crashes, 0);
	}
	rig_worker(&rig, 0, 2, 3);
	rig_turn(&rig);
	assert_int_equal(rig.count, 3);
	assert_ptr_equal(rig.actions[0].job, jobs[0]);
	assert_ptr_equal(rig.actions[1].job, jobs[2]);
	assert_ptr_equal(rig.actions[2].job, jobs[4]);
	assert_int_equal(jobs[0]->attempts, 2);
	rig_close(&rig);
}

static void crash(struct rig *rig, uint64_t incarnation, uint64_t culprit, int signal)
{
	rig_lost(rig, 0, incarnation, culprit, signal);
	rig_worker(rig, 0, incarnation + 1, 10);
}

static void a_job_that_ends_its_worker_by_exit_is_told_so(void **state)
{
	struct job *bad;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 10);
	bad = rig_job(&rig);
	rig_turn(&rig);
	crash(&rig, 1, bad->token, -1 - 3);
	assert_string_equal(bad->error->code, "worker_crashed");
	assert_non_null(strstr(bad->error->message, "exited with status 3"));
	assert_int_equal(bad->error->signal, 0);
	rig_turn(&rig);
	rig_close(&rig);
}

static void a_signal_without_a_name_is_told_by_number(void **state)
{
	struct job *bad;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 10);
	bad = rig_job(&rig);
	rig_turn(&rig);
	crash(&rig, 1, bad->token, 63);
	assert_non_null(strstr(bad->error->message, "signal 63"));
	rig_close(&rig);
}

static void a_culprit_that_the_worker_no_longer_holds_does_not_matter(void **state)
{
	struct job *done, *elsewhere, *here;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 10);
	rig_worker(&rig, 1, 1, 10);
	done = rig_job(&rig);
	elsewhere = rig_job(&rig);
	here = rig_job(&rig);
	rig_turn(&rig);
	rig_succeed(&rig, done);
	rig_turn(&rig);
	crash(&rig, 1, done->token, SIGSEGV);
	rig_turn(&rig);
	crash(&rig, 2, elsewhere->token, SIGSEGV);
	assert_int_equal(done->crashes, 0);
	assert_int_equal(elsewhere->crashes, 0);
	assert_int_equal(elsewhere->state, JOB_RUNNING);
	assert_int_equal(here->crashes, 0);
	assert_int_equal(here->state, JOB_READY);
	rig_close(&rig);
}

static void a_job_being_cancelled_ends_with_its_worker(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	crash(&rig, 1, 0, SIGKILL);
	assert_int_equal(job->state, JOB_CANCELLED);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 0);
	rig_close(&rig);
}

static void a_registering_worker_keeps_its_current_attempts(void **state)
{
	struct job *job, *done;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 5);
	job = rig_job(&rig);
	done = rig_job(&rig);
	rig_turn(&rig);
	rig_worker(&rig, 1, 1, 5);
	rig_succeed(&rig, done);
	assert_true(engine_worker_holds(rig.e, 0, job->token));
	assert_false(engine_worker_holds(rig.e, 1, job->token));
	assert_false(engine_worker_holds(rig.e, 0, done->token));
	assert_false(engine_worker_holds(rig.e, 0, job->token ^ UINT64_C(1) << 32));
	assert_false(engine_worker_holds(rig.e, 0, 0));
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, NULL), 0);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	rig_turn(&rig);
	assert_true(engine_worker_holds(rig.e, 0, job->token));
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, job), 1); /* again */
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capacity_is_kept_for_each_class),
		cmocka_unit_test(jobs_go_to_the_least_loaded_and_equals_take_turns),
		cmocka_unit_test(two_hundred_workers_share_evenly),
		cmocka_unit_test(loads_are_exact_while_small_and_ordered),
		cmocka_unit_test(a_registration_must_be_of_the_live_incarnation),
		cmocka_unit_test(workers_are_shown_by_slot),
		cmocka_unit_test(a_draining_worker_gets_no_new_jobs),
		cmocka_unit_test(jobs_of_a_lost_worker_stand_at_their_place_again_uncharged),
		cmocka_unit_test(a_job_that_ends_its_worker_by_exit_is_told_so),
		cmocka_unit_test(a_signal_without_a_name_is_told_by_number),
		cmocka_unit_test(a_culprit_that_the_worker_no_longer_holds_does_not_matter),
		cmocka_unit_test(a_job_being_cancelled_ends_with_its_worker),
		cmocka_unit_test(a_registering_worker_keeps_its_current_attempts),
	};

	return TAP_RUN(tests);
}
