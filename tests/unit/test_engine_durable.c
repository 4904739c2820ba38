/* Durable jobs: what is saved when, what waits for it, and how it comes back. */
#include "engine_save.h"

static const struct submission fsynced = {
	.job_class = CLASS_NET,
	.durability = DURABILITY_FSYNC,
	.retries = { .max = 2, .initial_ms = 10, .maximum_ms = 10, .factor = 1 }
};

static void open_with_worker(struct rig *rig)
{
	rig_open(rig, (struct engine_options){ 0 });
	rig_worker(rig, 0, 1, 4);
}

static void nothing_is_done_before_its_commit(void **state)
{
	struct rig_batch b;
	struct job *job;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	job = rig_submit(&rig, fsynced);
	assert_int_equal(engine_pending(rig.e), 1);
	rig_turn(&rig);
	assert_int_equal(job->state, JOB_RUNNING); /* the slot is reserved */
	assert_int_equal(rig.count, 0);
	b = rig_save(&rig);
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
	assert_int_equal(rig_save(&rig).number, 0);

	rig_succeed(&rig, job);
	rig_turn(&rig);
	assert_int_equal(rig.count + rig.ended, 0);
	b = rig_save(&rig);
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
	assert_int_equal(rig_save(&rig).changes, 1);
	rig_close(&rig);
}

static void what_changes_often_in_a_turn_is_saved_once_as_it_is_then(void **state)
{
	struct rig_batch b;
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	job = rig_submit(&rig, fsynced);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	rig_turn(&rig);
	b = rig_save(&rig);
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
	struct rig_batch b;
	struct job *job;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	job = rig_submit(&rig, fsynced);
	rig_turn(&rig);
	engine_committed(rig.e, rig_save(&rig).number);
	rig_turn(&rig);
	rig_fail(&rig, job, true);
	rig_turn(&rig);
	b = rig_save(&rig);
	assert_int_equal(b.changes, 1);
	assert_int_equal(b.syncs, 0); /* at worst the attempt runs again */
	engine_committed(rig.e, b.number);
	rig_pass(&rig, 20 * NSEC_PER_MSEC);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_RETRYING, job), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 0);
	b = rig_save(&rig);
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
	uint64_t number = rig_save(&rig).number;

	engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .asked = true });
	rig_turn(&rig);
	engine_committed(rig.e, number);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0);
	assert_int_equal(job->state, JOB_READY);
	rig_close(&rig);
}

static void a_dispatch_that_was_let_go_is_dropped_if_its_worker_dies_first(void **state)
{
	struct submission once = fsynced;
	struct job *job, *only;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	once.at_most_once = true;
	job = rig_submit(&rig, fsynced);
	only = rig_submit(&rig, once);
	rig_turn(&rig);
	engine_committed(rig.e, rig_save(&rig).number);
	engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .signal = 9 });
	rig_worker(&rig, 0, 2, 4);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0);
	assert_int_equal(job->state, JOB_RUNNING); /* again, and neither of them was ever there */
	assert_int_equal(only->state, JOB_RUNNING);
	engine_committed(rig.e, rig_save(&rig).number);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, only), 1);
	rig_close(&rig);
}

static void what_waits_for_a_batch_that_is_not_made_waits_no_longer(void **state)
{
	struct job *job, *other;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	job = rig_submit(&rig, fsynced);
	rig_turn(&rig);
	engine_committed(rig.e, rig_save(&rig).number);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
	other = rig_submit(&rig, fsynced);
	assert_int_equal(rig_save(&rig).number, 2);
	engine_cancel(rig.e, other); /* that would be batch 3 */
	assert_int_equal(rig_end(&rig, job, (struct attempt_result){ .outcome = OUTCOME_RETURNED }), 0);
	engine_worker_drains(rig.e, 0);
	engine_refused(rig.e, other);
	engine_committed(rig.e, 2);
	rig_turn(&rig);
	assert_int_equal(rig.ended, 0);
	assert_int_equal(rig_save(&rig).number, 0);
	assert_int_equal(engine_pending(rig.e), 0);
	rig_turn(&rig);
	assert_int_equal(rig.ended, 1);
	rig_close(&rig);
}

static void the_only_attempt_is_synced_before_its_dispatch(void **state)
{
	struct submission s = fsynced;
	struct rig_batch b;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	s.durability = DURABILITY_WRITE;
	rig_submit(&rig, s);
	rig_turn(&rig);
	assert_int_equal(rig_save(&rig).syncs, 0);
	s.at_most_once = true;
	rig_submit(&rig, s);
	rig_turn(&rig);
	b = rig_save(&rig);
	assert_int_equal(b.states[0], JOB_RUNNING);
	assert_int_equal(b.syncs, 1);
	rig_close(&rig);
}

static void a_refused_retry_changes_nothing(void **state)
{
	struct submission s = { .job_class = CLASS_NET, .unique_key = SPAN("u") };
	struct job *expired, *other;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	s.deadline = rig.now + NSEC_PER_SEC;
	expired = rig_submit(&rig, s);
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	other = rig_submit(&rig, s);
	assert_int_equal(engine_retry(rig.e, expired), -EEXIST);
	assert_int_equal(expired->extra->deadline, s.deadline);
	assert_string_equal(expired->error->code, "deadline");
	engine_cancel(rig.e, other);
	rig_turn(&rig);
	assert_int_equal(engine_retry(rig.e, expired), 0);
	assert_int_equal(expired->extra->deadline, 0);
	assert_null(expired->error);
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
	engine_committed(rig.e, rig_save(&rig).number);
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
	uint64_t number = rig_save(&rig).number;

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
	uint64_t number = rig_save(&rig).number;

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
	struct rig_batch b;
	struct job *job;
	struct rig rig;

	(void)state;
	open_with_worker(&rig);
	s.due = rig.now + 10 * NSEC_PER_SEC;
	job = rig_submit(&rig, s);
	rig_turn(&rig);
	b = rig_save(&rig);
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

static void instants_follow_the_wall_clock_when_it_is_set(void **state)
{
	const int64_t hour = 3600 * NSEC_PER_SEC;
	struct submission s = { .job_class = CLASS_NET };
	struct job *at, *after, *until;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_pass(&rig, 1);
	s.due = rig.now + 2 * hour;
	after = rig_submit(&rig, s);
	s.due_wall = true;
	at = rig_submit(&rig, s);
	until = rig_submit(
		&rig, (struct submission){ .deadline = rig.now + 2 * hour, .deadline_wall = true });
	engine_advance(rig.e, rig.now, 1700000000 * NSEC_PER_SEC + rig.now + hour);
	assert_int_equal(engine_due(rig.e, at), rig.now + hour);
	assert_int_equal(engine_due(rig.e, after), rig.now + 2 * hour);
	rig_check(&rig);
	engine_advance(rig.e, rig.now, 1700000000 * NSEC_PER_SEC + rig.now - hour); /* set back */
	assert_int_equal(engine_due(rig.e, at), rig.now + 3 * hour);
	engine_advance(rig.e, rig.now, 1700000000 * NSEC_PER_SEC + rig.now + 2 * hour);
	assert_int_equal(at->state, JOB_READY);
	assert_int_equal(after->state, JOB_SCHEDULED);
	assert_int_equal(until->state, JOB_EXPIRED);
	rig_turn(&rig);
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
	engine_committed(rig.e, rig_save(&rig).number);
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
		assert_int_equal(rig_save(&rig).number, i + 1);
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

static void a_job_that_leaves_before_its_first_save_is_saved_whole(void **state)
{
	struct submission s = fsynced;
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ .max_finished_bytes = 1 });
	s.key = SPAN("order-1");
	s.unique_key = SPAN("one");
	job = rig_submit(&rig, s);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	rig_turn(&rig);
	assert_ptr_equal(engine_change(rig.e), job);
	assert_true(job->gone);
	assert_non_null(job->extra->key);
	assert_non_null(job->extra->unique_key);
	assert_null(engine_change(rig.e));
	engine_committed(rig.e, engine_seal(rig.e));
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
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
		cmocka_unit_test(a_dispatch_that_was_let_go_is_dropped_if_its_worker_dies_first),
		cmocka_unit_test(what_waits_for_a_batch_that_is_not_made_waits_no_longer),
		cmocka_unit_test(the_only_attempt_is_synced_before_its_dispatch),
		cmocka_unit_test(a_refused_retry_changes_nothing),
		cmocka_unit_test(a_key_is_decided_by_the_store),
		cmocka_unit_test(a_refused_job_has_never_been),
		cmocka_unit_test(a_job_that_ran_already_can_be_refused),
		cmocka_unit_test(one_of_the_same_unique_key_at_a_time),
		cmocka_unit_test(a_key_is_forgotten_after_its_time),
		cmocka_unit_test(a_delayed_job_starts_when_it_is_due),
		cmocka_unit_test(a_deadline_ends_a_job_wherever_it_is),
		cmocka_unit_test(instants_follow_the_wall_clock_when_it_is_set),
		cmocka_unit_test(durable_jobs_outlive_their_client),
		cmocka_unit_test(arguments_can_live_in_the_store_alone),
		cmocka_unit_test(a_job_that_leaves_before_its_first_save_is_saved_whole),
		cmocka_unit_test(many_withheld_actions_leave_in_order),
	};

	return TAP_RUN(tests);
}
