/* Clients: what becomes of their jobs when they leave, and their own names for them. */
#include "engine_rig.h"

static void jobs_of_a_client_that_left_are_cancelled(void **state)
{
	struct job *ready, *running, *detached, *done, *others;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 2);
	running = rig_submit(&rig, (struct submission){ .client = 1 });
	done = rig_submit(&rig, (struct submission){ .client = 1 });
	rig_turn(&rig);
	rig_succeed(&rig, done);
	rig_turn(&rig);
	engine_worker_drains(rig.e, 0);
	ready = rig_submit(&rig, (struct submission){ .client = 1 });
	detached = rig_submit(&rig, (struct submission){ .client = 1, .detached = true });
	others = rig_submit(&rig, (struct submission){ .client = 2 });
	engine_client_gone(rig.e, 1);
	engine_client_gone(rig.e, 77);
	rig_turn(&rig);
	assert_int_equal(ready->state, JOB_CANCELLED);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, ready), 1);
	assert_int_equal(running->state, JOB_RUNNING);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, running), 1);
	assert_int_equal(detached->state, JOB_READY);
	assert_int_equal(detached->client, 0);
	assert_int_equal(others->state, JOB_READY);
	assert_int_equal(others->client, 2);
	assert_int_equal(done->state, JOB_SUCCEEDED);
	engine_client_gone(rig.e, 1); /* again: there is nothing left */
	rig_turn(&rig);
	assert_int_equal(rig.count, 0);
	rig_close(&rig);
}

static void a_client_cancels_by_its_own_name_for_a_job(void **state)
{
	struct job *ready, *running, *other_tag, *others, *done;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 2);
	running = rig_submit(&rig, (struct submission){ .client = 1, .tag = 7 });
	done = rig_submit(&rig, (struct submission){ .client = 1, .tag = 8 });
	rig_turn(&rig);
	rig_succeed(&rig, done);
	engine_worker_drains(rig.e, 0);
	ready = rig_submit(&rig, (struct submission){ .client = 1, .tag = 7 });
	other_tag = rig_submit(&rig, (struct submission){ .client = 1, .tag = 6 });
	others = rig_submit(&rig, (struct submission){ .client = 2, .tag = 7 });
	assert_int_equal(engine_cancel_tag(rig.e, 1, 7), 2);
	assert_int_equal(engine_cancel_tag(rig.e, 1, 8), 0); /* it has finished */
	assert_int_equal(engine_cancel_tag(rig.e, 3, 7), 0);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, running), 1);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, ready), 1);
	assert_int_equal(other_tag->state, JOB_READY);
	assert_int_equal(others->state, JOB_READY);
	assert_int_equal(done->state, JOB_SUCCEEDED);
	rig_close(&rig);
}

static void a_client_cancels_one_of_many_jobs_by_name(void **state)
{
	enum { MANY = 20000 };
	static struct job *jobs[MANY];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 100);
	for (uint64_t i = 0; i < MANY; i++)
		jobs[i] = rig_submit(&rig, (struct submission){ .client = 1 + i % 2, .tag = i / 4 });
	for (uint64_t i = MANY / 4; i-- > 10;) { /* 5e7 looks, if each were searched for */
		assert_int_equal(engine_cancel_tag(rig.e, 1, i), 2);
		assert_int_equal(jobs[4 * i]->state, JOB_CANCELLED);
		assert_int_equal(jobs[4 * i + 1]->state, JOB_READY);
	}
	rig_check(&rig);
	(void)engine_run(rig.e, &rig.count);
	engine_reap(rig.e);
	assert_int_equal(jobs[0]->state, JOB_RUNNING);
	assert_int_equal(engine_cancel_tag(rig.e, 1, 0), 2); /* asked for, and still its client's */
	rig_check(&rig);
	rig_succeed(&rig, jobs[0]);
	rig_submit(&rig, (struct submission){ .client = 1, .tag = 3 });
	rig_check(&rig);
	assert_int_equal(engine_cancel_tag(rig.e, 1, 3), 3);
	for (int i = 0; i < MANY; i++) /* 2e8 looks, if those of one tag were in each other's way */
		rig_submit(&rig, (struct submission){ .client = 1, .tag = 9999 });
	rig_check(&rig);
	assert_int_equal(engine_cancel_tag(rig.e, 1, 9999), MANY);
	rig_check(&rig);
	engine_client_gone(rig.e, 1);
	rig_check(&rig);
	engine_client_gone(rig.e, 2);
	engine_free(rig.e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_of_a_client_that_left_are_cancelled),
		cmocka_unit_test(a_client_cancels_by_its_own_name_for_a_job),
		cmocka_unit_test(a_client_cancels_one_of_many_jobs_by_name),
	};

	return TAP_RUN(tests);
}
