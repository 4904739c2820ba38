/* Durable jobs: what is saved when, what waits for it, and how it comes back. */
#include "engine_rig.h"

static const struct submission fsynced = {
	.job_class = CLASS_NET,
	.durability = DURABILITY_FSYNC,
	.retries = { .max = 2, .initial_ms = 10, .maximum_ms = 10, .factor = 1 }
};

/* What the last turn's batch held. */
struct batch {
	uint64_t number;
	unsigned changes, firsts, syncs;
	struct job *jobs[16];
	enum job_state states[16];
};

static struct batch save(struct rig *rig)
{
	struct batch b = { 0 };
	struct job *job;

	while ((job = engine_change(rig->e))) {
		assert_true(b.changes < 16);
		b.jobs[b.changes] = job;
		b.states[b.changes++] = (enum job_state)job->state;
		b.firsts += !job->stored;
		b.syncs += job->sync;
		for (struct job_note *n = job->extra ? job->extra->notes : NULL; n; n = n->next)
			n->saved = true;
	}
	b.number = engine_seal(rig->e);
	return b;
}

static void open_with_worker(struct rig *rig)
{
	rig_open(rig, (struct engine_options){ 0 });
	rig_worker(rig, 0, 1, 4);
}

static void nothing_is_done_before_its_commit(void **state)
{
	struct batch b;
	struct job *job;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	job = rig_submit(&rig, fsynced);
	assert_int_equal(engine_pending(rig.e), 1);
	rig_turn(&rig);
	assert_int_equal(job->state, JOB_RUNNING); /* the slot is reserved */
	assert_int_equal(rig.count, 0);
	b = save(&rig);
	assert_int_equal(b.number, 1);
	assert_int_equal(b.changes, 1); /* the job and its attempt are one save */
	assert_int_equal(b.firsts, 1);
	assert_int_equal(b.syncs, 1);
	assert_int_equal(b.states[0], JOB_RUNNING);
	assert_int_equal(engine_pending(rig.e), 1);
	engine_committed(rig.e, 1);
	assert_int_equal(engine_pending(rig.e), 0);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
	assert_int_equal(save(&rig).number, 0);

	rig_succeed(&rig, job);
	rig_turn(&rig);
	assert_int_equal(rig.count + rig.ended, 0);
	b = save(&rig);
	assert_int_equal(b.changes, 1);
	assert_int_equal(b.firsts, 0);
	assert_int_equal(b.states[0], JOB_SUCCEEDED);
	rig_turn(&rig);
	assert_int_equal(rig.count + rig.ended, 0);
	engine_committed(rig.e, 2);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
	assert_int_equal(rig.ended, 1);
	rig_close(&rig);
}

static void memory_jobs_wait_for_nothing(void **state)
{
	struct job *durable, *memory;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	durable = rig_submit(&rig, fsynced);
	memory = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, memory), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, durable), 0);
	assert_int_equal(save(&rig).changes, 1);
	rig_close(&rig);
}

static void what_changes_often_in_a_turn_is_saved_once_as_it_is_then(void **state)
{
	struct batch b;
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	job = rig_submit(&rig, fsynced);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	rig_turn(&rig);
	b = save(&rig);
	assert_int_equal(b.changes, 1);
	assert_int_equal(b.firsts, 1);
	assert_int_equal(b.states[0], JOB_CANCELLED);
	engine_committed(rig.e, b.number);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
	rig_close(&rig);
}

static void a_later_attempt_is_written_before_its_dispatch_without_a_sync(void **state)
{
	struct batch b;
	struct job *job;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	job = rig_submit(&rig, fsynced);
	rig_turn(&rig);
	engine_committed(rig.e, save(&rig).number);
	rig_turn(&rig);
	rig_fail(&rig, job, true);
	rig_turn(&rig);
	b = save(&rig);
	assert_int_equal(b.changes, 1);
	assert_int_equal(b.syncs, 0); /* at worst the attempt runs again */
	engine_committed(rig.e, b.number);
	rig_pass(&rig, 20 * NSEC_PER_MSEC);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_RETRYING, job), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 0);
	b = save(&rig);
	assert_int_equal(b.changes, 1);
	assert_int_equal(b.syncs, 0);
	assert_null(job->extra->notes); /* saved, so the store has them */
	engine_committed(rig.e, b.number);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
	rig_close(&rig);
}

static void a_dispatch_that_is_overtaken_by_its_workers_death_is_dropped(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	job = rig_submit(&rig, fsynced);
	rig_turn(&rig);
	uint64_t number = save(&rig).number;

	engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .asked = true });
	rig_turn(&rig);
	engine_committed(rig.e, number);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0);
	assert_int_equal(job->state, JOB_READY);
	rig_close(&rig);
}

static void a_key_is_decided_by_the_store(void **state)
{
	struct submission s = fsynced;
	struct job *first, *again;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	s.key = SPAN("order-42");
	s.payload[0] = 1;
	first = rig_submit(&rig, s);
	assert_int_equal(first->state, JOB_ACCEPTED);
	rig_turn(&rig);
	assert_int_equal(first->state, JOB_ACCEPTED);
	assert_int_equal(engine_submit(rig.e, &s, &again), 1);
	assert_ptr_equal(again, first);
	s.payload[0] = 2;
	assert_int_equal(engine_submit(rig.e, &s, &again), -ENOTUNIQ);
	assert_ptr_equal(again, first);
	engine_committed(rig.e, save(&rig).number);
	rig_turn(&rig);
	assert_int_equal(first->state, JOB_RUNNING);
	rig_close(&rig);
}

static void a_refused_job_has_never_been(void **state)
{
	struct submission s = fsynced;
	struct engine_counts counts;
	struct job *job, *found;
	struct uuid id;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	s.key = SPAN("order-42");
	s.unique_key = SPAN("u");
	s.deadline = rig.now + NSEC_PER_SEC;
	s.client = 7;
	s.args = bytes_new("{}", 2);
	job = rig_submit(&rig, s);
	bytes_unref(GA_TAKE_PTR(s.args));
	id = job->id;
	rig_turn(&rig);
	uint64_t number = save(&rig).number;

	engine_refused(rig.e, job);
	engine_refused(rig.e, job);
	engine_committed(rig.e, number);
	assert_int_equal(engine_find(rig.e, &id, &found), -ENODATA);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_REFUSED, NULL), 1);
	assert_int_equal(rig.count, 1);
	assert_int_equal(rig.actions[0].job == job, true);
	engine_counts(rig.e, &counts);
	assert_int_equal(counts.args_bytes, 0);
	assert_int_equal(counts.jobs[JOB_ACCEPTED], 0);
	rig_pass(&rig, 2 * NSEC_PER_SEC); /* its deadline is forgotten, too */
	job = rig_submit(&rig, s);        /* and its keys are free */
	assert_int_equal(job->state, JOB_ACCEPTED);
	rig_close(&rig);
}

static void a_job_that_ran_already_can_be_refused(void **state)
{
	struct job *job, *next;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, fsynced);
	rig_turn(&rig);
	assert_int_equal(job->state, JOB_RUNNING);
	uint64_t number = save(&rig).number;

	engine_refused(rig.e, job); /* the disk is full */
	engine_committed(rig.e, number);
	next = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, next), 1); /* its slot is free again */
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 1);
	rig_close(&rig);
}

static void one_of_the_same_unique_key_at_a_time(void **state)
{
	struct submission s = { .job_class = CLASS_NET, .unique_key = SPAN("only") };
	struct job *first, *second;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	first = rig_submit(&rig, s);
	assert_int_equal(engine_submit(rig.e, &s, &second), 1);
	assert_ptr_equal(first, second);
	rig_turn(&rig);
	rig_fail(&rig, first, false);
	rig_turn(&rig);
	assert_int_equal(engine_submit(rig.e, &s, &second), 0);
	assert_ptr_not_equal(first, second);
	assert_int_equal(engine_retry(rig.e, first), -EEXIST);
	rig_turn(&rig);
	rig_succeed(&rig, second);
	rig_turn(&rig);
	assert_int_equal(engine_retry(rig.e, first), 0);
	assert_int_equal(engine_submit(rig.e, &s, &second), 1);
	rig_close(&rig);
}

static void a_key_is_forgotten_after_its_time(void **state)
{
	struct submission s = { .job_class = CLASS_NET, .key = SPAN("k") };
	struct job *first, *second;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .key_ttl = NSEC_PER_SEC,
						.result_ttl = 3600 * NSEC_PER_SEC });
	first = rig_submit(&rig, s);
	rig_pass(&rig, NSEC_PER_SEC - 1);
	assert_int_equal(engine_submit(rig.e, &s, &second), 1);
	rig_pass(&rig, 1);
	assert_int_equal(engine_submit(rig.e, &s, &second), 0);
	assert_ptr_not_equal(first, second);
	rig_close(&rig);
}

static void a_delayed_job_starts_when_it_is_due(void **state)
{
	struct submission s = fsynced;
	struct batch b;
	struct job *job;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	s.due = rig.now + 10 * NSEC_PER_SEC;
	job = rig_submit(&rig, s);
	rig_turn(&rig);
	b = save(&rig);
	assert_int_equal(b.states[0], JOB_SCHEDULED);
	assert_int_equal(engine_due(rig.e, job), s.due);
	assert_int_equal(engine_next_due(rig.e), s.due);
	engine_committed(rig.e, b.number);
	rig_pass(&rig, 10 * NSEC_PER_SEC - 1);
	assert_int_equal(job->state, JOB_SCHEDULED);
	rig_pass(&rig, 1);
	assert_int_equal(job->state, JOB_READY);
	rig_close(&rig);
}

static void a_deadline_ends_a_job_wherever_it_is(void **state)
{
	struct submission s = { .job_class = CLASS_NET };
	struct job *running, *ready, *scheduled, *late;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 2);
	s.deadline = rig.now + NSEC_PER_SEC;
	running = rig_submit(&rig, s);
	late = rig_submit(&rig, s);
	ready = rig_submit(&rig, s);
	s.due = rig.now + 5 * NSEC_PER_SEC;
	scheduled = rig_submit(&rig, s);
	rig_turn(&rig);
	rig_pass(&rig, NSEC_PER_SEC);
	assert_int_equal(ready->state, JOB_EXPIRED);
	assert_int_equal(scheduled->state, JOB_EXPIRED);
	assert_string_equal(ready->error->code, "deadline");
	assert_int_equal(running->state, JOB_RUNNING);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_CANCEL, running), 1);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, ready), 1);
	assert_int_equal(
		rig_end(&rig, running, (struct attempt_result){ .outcome = OUTCOME_CANCELLED }), 0);
	rig_succeed(&rig, late); /* a success that arrives first stands */
	rig_turn(&rig);
	assert_int_equal(running->state, JOB_EXPIRED);
	assert_string_equal(running->error->code, "deadline");
	assert_int_equal(late->state, JOB_SUCCEEDED);
	assert_int_equal(engine_retry(rig.e, ready), 0);
	rig_pass(&rig, 3600 * NSEC_PER_SEC);
	assert_int_equal(ready->state, JOB_READY); /* its second life has no deadline */
	rig_close(&rig);
}

static void durable_jobs_outlive_their_client(void **state)
{
	struct submission s = fsynced;
	struct job *durable, *memory;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	s.client = 5;
	durable = rig_submit(&rig, s);
	s.durability = DURABILITY_MEMORY;
	memory = rig_submit(&rig, s);
	engine_client_gone(rig.e, 5);
	assert_int_equal(memory->state, JOB_CANCELLED);
	assert_int_equal(durable->state, JOB_READY);
	assert_int_equal(durable->client, 0);
	rig_close(&rig);
}

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
	assert_int_equal(save(&rig).changes, 0); /* they are saved already */
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
	assert_int_equal(save(&rig).changes, 1);
	rig_close(&rig);
}

static void arguments_can_live_in_the_store_alone(void **state)
{
	struct submission s = fsynced;
	struct engine_counts counts;
	struct job *job;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	s.args = bytes_new("{\"a\":1}", 7);
	job = rig_submit(&rig, s);
	bytes_unref(s.args);
	rig_turn(&rig);
	engine_committed(rig.e, save(&rig).number);
	engine_drop_args(rig.e, job);
	assert_null(job->args);
	assert_true(job->args_away);
	engine_counts(rig.e, &counts);
	assert_int_equal(counts.args_bytes, 0);
	rig_turn(&rig);
	rig_succeed(&rig, job);
	rig_turn(&rig);
	rig_close(&rig);
}

static void many_withheld_actions_leave_in_order(void **state)
{
	struct job *jobs[100];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 100);
	for (int i = 0; i < 100; i++) {
		jobs[i] = rig_submit(&rig, fsynced);
		rig_turn(&rig);
		assert_int_equal(rig.count, 0);
		assert_int_equal(save(&rig).number, i + 1);
	}
	engine_committed(rig.e, 60);
	rig_turn(&rig);
	assert_int_equal(rig.count, 60);
	for (int i = 0; i < 60; i++)
		assert_ptr_equal(rig.actions[i].job, jobs[i]);
	engine_committed(rig.e, 100);
	rig_turn(&rig);
	assert_int_equal(rig.count, 40);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_done_before_its_commit),
		cmocka_unit_test(memory_jobs_wait_for_nothing),
		cmocka_unit_test(what_changes_often_in_a_turn_is_saved_once_as_it_is_then),
		cmocka_unit_test(a_later_attempt_is_written_before_its_dispatch_without_a_sync),
		cmocka_unit_test(a_dispatch_that_is_overtaken_by_its_workers_death_is_dropped),
		cmocka_unit_test(a_key_is_decided_by_the_store),
		cmocka_unit_test(a_refused_job_has_never_been),
		cmocka_unit_test(a_job_that_ran_already_can_be_refused),
		cmocka_unit_test(one_of_the_same_unique_key_at_a_time),
		cmocka_unit_test(a_key_is_forgotten_after_its_time),
		cmocka_unit_test(a_delayed_job_starts_when_it_is_due),
		cmocka_unit_test(a_deadline_ends_a_job_wherever_it_is),
		cmocka_unit_test(durable_jobs_outlive_their_client),
		cmocka_unit_test(stored_jobs_come_back_as_they_were),
		cmocka_unit_test(an_attempt_that_its_worker_does_not_know_runs_again),
		cmocka_unit_test(arguments_can_live_in_the_store_alone),
		cmocka_unit_test(many_withheld_actions_leave_in_order),
	};

	return TAP_RUN(tests);
}
