/* What may be acknowledged to workers and shown to those who ask, while commits are on their way. */
#include "engine_save.h"
#include <signal.h>

static const struct submission fsynced = {
	.job_class = CLASS_NET,
	.durability = DURABILITY_FSYNC,
	.retries = { .max = 2, .initial_ms = 10, .maximum_ms = 10, .factor = 1 }
};

static struct job *running(struct rig *rig, const struct submission *s)
{
	struct job *job;

	rig_open(rig, (struct engine_options){ 0 });
	rig_worker(rig, 0, 1, 4);
	job = rig_submit(rig, *s);
	rig_turn(rig);
	engine_committed(rig->e, rig_save(rig).number);
	rig_turn(rig);
	assert_int_equal(job->state, JOB_RUNNING);
	return job;
}

static void a_result_said_twice_is_acknowledged_when_the_first_is_safe(void **state)
{
	struct attempt_result again = { .outcome = OUTCOME_SUCCEEDED };
	struct rig rig;
	struct job *job = running(&rig, &fsynced);
	uint64_t number;

	(void)state;
	again.token = job->token;
	rig_succeed(&rig, job);
	assert_int_equal(engine_result(rig.e, 0, &again), -ESTALE); /* not saved yet */
	rig_turn(&rig);
	assert_int_equal(rig.ended, 0);
	number = rig_save(&rig).number;
	assert_int_equal(engine_result(rig.e, 0, &again), -ESTALE); /* not committed yet */
	rig_turn(&rig);
	assert_int_equal(rig.ended, 0);
	engine_committed(rig.e, number);
	rig_turn(&rig);
	assert_int_equal(rig.ended, 3);
	assert_int_equal(engine_result(rig.e, 0, &again), -ESTALE);
	rig_turn(&rig);
	assert_int_equal(rig.ended, 1);
	rig_close(&rig);
}

static void a_stale_result_among_memory_jobs_is_acknowledged_at_once(void **state)
{
	struct attempt_result foreign = { .token = 77, .outcome = OUTCOME_SUCCEEDED };
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 4);
	(void)rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(engine_result(rig.e, 0, &foreign), -ESTALE);
	rig_turn(&rig);
	assert_int_equal(rig.ended, 1);
	rig_close(&rig);
}

static void what_nobody_is_told_of_is_shown_once_it_is_committed(void **state)
{
	struct rig rig;
	struct job *job = running(&rig, &fsynced);
	uint64_t number;

	(void)state;
	assert_true(engine_job_is_safe(rig.e, job));
	rig_lost(&rig, 0, 1, job->token, SIGSEGV);
	rig_turn(&rig);
	assert_int_equal(job->crashes, 1);
	assert_int_equal(rig.count, 0);
	assert_false(engine_job_is_safe(rig.e, job)); /* in no batch yet */
	number = rig_save(&rig).number;
	assert_false(engine_job_is_safe(rig.e, job)); /* in one that is on its way */
	engine_committed(rig.e, number);
	assert_true(engine_job_is_safe(rig.e, job));
	rig_close(&rig);
}

static void what_is_kept_in_memory_may_be_shown_at_once(void **state)
{
	struct submission s = fsynced;
	struct rig rig;
	struct job *job;

	(void)state;
	s.durability = DURABILITY_MEMORY;
	job = running(&rig, &s);
	rig_succeed(&rig, job);
	assert_true(engine_job_is_safe(rig.e, job));
	rig_close(&rig);
}

/* A job knows eight bits of its batch's number. */
static void however_many_batches_are_on_their_way_nothing_unsafe_is_shown(void **state)
{
	enum { MANY = 700 };
	static struct job *jobs[MANY];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (uint64_t i = 0; i < MANY; i++) {
		jobs[i] = rig_submit(&rig, fsynced);
		rig_turn(&rig);
		assert_int_equal(rig_save(&rig).number, i + 1);
	}
	for (uint64_t committed = 0; committed <= MANY; committed += 50) {
		engine_committed(rig.e, committed);
		for (uint64_t i = 0; i < MANY; i++)
			assert_true(i < committed || !engine_job_is_safe(rig.e, jobs[i]));
	}
	for (uint64_t i = 0; i < MANY; i++)
		assert_true(engine_job_is_safe(rig.e, jobs[i]));
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_result_said_twice_is_acknowledged_when_the_first_is_safe),
		cmocka_unit_test(a_stale_result_among_memory_jobs_is_acknowledged_at_once),
		cmocka_unit_test(what_nobody_is_told_of_is_shown_once_it_is_committed),
		cmocka_unit_test(what_is_kept_in_memory_may_be_shown_at_once),
		cmocka_unit_test(however_many_batches_are_on_their_way_nothing_unsafe_is_shown),
	};

	return TAP_RUN(tests);
}
