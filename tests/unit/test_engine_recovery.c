/* Recovery: jobs come back from a store as they were. */
#include "engine_save.h"

static const struct submission fsynced = {
	.job_class = CLASS_NET,
	.durability = DURABILITY_FSYNC,
	.retries = { .max = 2, .initial_ms = 10, .maximum_ms = 10, .factor = 1 }
};

static struct job *restore(struct rig *rig, struct restored_job r)
{
	struct job *job = NULL;

	r.id.b[6] = 0x70 | DURABILITY_FSYNC << 2;
	r.id.b[8] = 0x80 | (uint8_t)(r.sequence >> 34);
	for (int i = 0; i < 4; i++)
		r.id.b[13 - i] = (uint8_t)(r.sequence << 6 >> 8 * i);
	assert_int_equal(engine_restore(rig->e, &fsynced, &r, &job), 0);
	return job;
}

static void stored_jobs_come_back_as_they_were(void **state)
{
	struct job *jobs[6], *found, *next;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .first_sequence = 100 });
	assert_int_equal(engine_worker_started(rig.e, 0, 7), 0);
	jobs[0] = restore(&rig, (struct restored_job){ .sequence = 3, .state = JOB_READY });
	jobs[1] = restore(&rig, (struct restored_job){ .sequence = 5,
						       .state = JOB_RUNNING,
						       .token = 77,
						       .incarnation = 7,
						       .attempts = 1 });
	jobs[2] = restore(&rig, (struct restored_job){ .sequence = 6,
						       .state = JOB_RUNNING,
						       .token = 78,
						       .incarnation = 6,
						       .attempts = 1 });
	jobs[3] = restore(&rig, (struct restored_job){ .sequence = 40,
						       .state = JOB_RETRYING,
						       .due = rig.now + NSEC_PER_SEC,
						       .attempts = 1,
						       .failures = 1 });
	jobs[4] = restore(&rig, (struct restored_job){ .sequence = 41,
						       .state = JOB_SCHEDULED,
						       .due = rig.now + NSEC_PER_SEC });
	jobs[5] = restore(&rig, (struct restored_job){ .sequence = 20, .state = JOB_FAILED });
	assert_int_equal(jobs[1]->state, JOB_RUNNING); /* its worker lives */
	assert_int_equal(jobs[2]->state, JOB_READY);   /* its worker is of another life */
	assert_int_equal(engine_find(rig.e, &jobs[5]->id, &found), 0);
	assert_ptr_equal(found, jobs[5]);
	assert_ptr_equal(engine_older(rig.e, jobs[3]), jobs[5]); /* in order all the same */
	rig_check(&rig);
	next = rig_job(&rig);
	assert_int_equal(next->sequence, 100);
	rig_turn(&rig);
	assert_int_equal(rig_save(&rig).changes, 0); /* they are saved already */
	rig_worker(&rig, 0, 7, 10);
	assert_true(engine_worker_holds(rig.e, 0, 77));
	assert_false(engine_worker_holds(rig.e, 0, 78));
	engine_worker_told(rig.e, 0);
	assert_int_equal(jobs[1]->state, JOB_RUNNING);
	rig_turn(&rig);
	assert_int_equal(jobs[0]->state, JOB_RUNNING);
	rig_pass(&rig, NSEC_PER_SEC);
	assert_int_equal(jobs[3]->state, JOB_READY);
	assert_int_equal(jobs[4]->state, JOB_READY);
	assert_int_equal(
		rig_end(&rig, jobs[1], (struct attempt_result){ .outcome = OUTCOME_SUCCEEDED }), 0);
	assert_int_equal(jobs[1]->state, JOB_SUCCEEDED);
	assert_int_equal(engine_retry(rig.e, jobs[5]), 0);
	rig_turn(&rig);
	rig_close(&rig);
}

static struct job_error *deadline_error(void)
{
	struct job_error *error = calloc(1, sizeof(*error) + 1);

	assert_non_null(error);
	snprintf(error->code, sizeof(error->code), "deadline");
	return error;
}

static void a_deadline_that_passed_is_not_forgotten(void **state)
{
	struct restored_job r = {
		.sequence = 5, .state = JOB_RUNNING, .cancelling = true, .token = 77, .incarnation = 7
	};
	struct job *held, *lost;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	assert_int_equal(engine_worker_started(rig.e, 0, 7), 0);
	r.error = deadline_error();
	held = restore(&rig, r);
	r.error = deadline_error();
	r.sequence = r.token = 6;
	r.incarnation = 3;
	lost = restore(&rig, r);
	assert_int_equal(lost->state, JOB_EXPIRED);
	engine_worker_told(rig.e, 0);
	assert_int_equal(held->state, JOB_EXPIRED);
	rig_close(&rig);
}

static void a_key_that_was_used_again_is_the_later_ones(void **state)
{
	struct restored_job r = { .sequence = 5, .state = JOB_SCHEDULED };
	struct submission s = fsynced;
	struct job *first, *second, *third;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .key_ttl = NSEC_PER_SEC });
	s.key = SPAN("k");
	r.due = rig.now + 5 * NSEC_PER_SEC;
	r.accepted_at = rig.now - 2 * NSEC_PER_SEC;
	assert_int_equal(engine_restore(rig.e, &s, &r, &first), 0);
	r.sequence = 7;
	r.accepted_at = rig.now;
	assert_int_equal(engine_restore(rig.e, &s, &r, &second), 0);
	r.sequence = 6;
	r.state = JOB_FAILED; /* it comes back last, to be retried */
	r.accepted_at = rig.now - NSEC_PER_SEC;
	assert_int_equal(engine_restore(rig.e, &s, &r, &third), 0);
	assert_int_equal(engine_submit(rig.e, &s, &third), 1);
	assert_ptr_equal(third, second);
	engine_cancel(rig.e, first);
	rig_turn(&rig);
	engine_committed(rig.e, rig_save(&rig).number);
	rig_pass(&rig, 25 * 3600 * NSEC_PER_SEC); /* the first one leaves, with its key */
	rig_turn(&rig);
	assert_int_equal(engine_submit(rig.e, &s, &third), 0);
	rig_close(&rig);
}

static void a_finished_job_that_comes_back_holds_no_key_and_no_deadline(void **state)
{
	struct restored_job r = { .sequence = 5, .state = JOB_FAILED };
	struct submission s = fsynced;
	struct job *finished, *running, *found;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	s.unique_key = SPAN("u");
	s.deadline = rig.now + NSEC_PER_SEC;
	assert_int_equal(engine_restore(rig.e, &s, &r, &finished), 0);
	rig_check(&rig);
	s.deadline = 0;
	running = rig_submit(&rig, s);
	assert_ptr_not_equal(running, finished);
	assert_int_equal(engine_retry(rig.e, finished), -EEXIST);
	rig_pass(&rig, 2 * NSEC_PER_SEC);
	assert_int_equal(finished->state, JOB_FAILED);
	engine_cancel(rig.e, running);
	assert_int_equal(engine_retry(rig.e, finished), 0);
	assert_int_equal(engine_submit(rig.e, &s, &found), 1);
	assert_ptr_equal(found, finished);
	rig_close(&rig);
}

static void an_attempt_that_its_worker_does_not_know_runs_again(void **state)
{
	struct submission once = fsynced;
	struct restored_job r = { .sequence = 6, .state = JOB_RUNNING, .token = 79, .incarnation = 7 };
	struct job *job, *only;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .first_sequence = 100 });
	assert_int_equal(engine_worker_started(rig.e, 0, 7), 0);
	job = restore(&rig,
		      (struct restored_job){
			      .sequence = 5, .state = JOB_RUNNING, .token = 78, .incarnation = 7 });
	once.at_most_once = true;
	assert_int_equal(engine_restore(rig.e, &once, &r, &only), 0);
	assert_int_equal(engine_restore(rig.e, &once, &r, &only), -EEXIST);
	engine_worker_told(rig.e, 0);
	assert_int_equal(job->state, JOB_READY);
	assert_int_equal(only->state, JOB_FAILED);
	assert_string_equal(only->error->code, "outcome_unknown");
	rig_turn(&rig);
	assert_int_equal(rig_save(&rig).changes, 1);
	rig_close(&rig);
}

static void what_is_no_job_is_not_restored(void **state)
{
	struct submission s = fsynced;
	struct restored_job r = { .state = JOB_READY };
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	assert_int_equal(engine_restore(rig.e, &s, &r, &job), -EINVAL); /* sequence 0 */
	r.sequence = 5;
	r.state = (enum job_state)JOB_STATE_LIMIT;
	assert_int_equal(engine_restore(rig.e, &s, &r, &job), -EINVAL);
	r.state = JOB_READY;
	s.priority = 101;
	assert_int_equal(engine_restore(rig.e, &s, &r, &job), -EINVAL);
	engine_worker_told(rig.e, 77); /* whom nobody knows */
	assert_null(engine_older(rig.e, NULL));
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_job_is_not_restored),
		cmocka_unit_test(stored_jobs_come_back_as_they_were),
		cmocka_unit_test(a_deadline_that_passed_is_not_forgotten),
		cmocka_unit_test(a_key_that_was_used_again_is_the_later_ones),
		cmocka_unit_test(a_finished_job_that_comes_back_holds_no_key_and_no_deadline),
		cmocka_unit_test(an_attempt_that_its_worker_does_not_know_runs_again),
	};

	return TAP_RUN(tests);
}
