/*
 * What store.h promises, over each implementation. What needs a store to outlive its process is in test_store_sqlite.c.
 */
#include "clock.h"
#include "store_rig.h"
#include <errno.h>
#include <poll.h>
#include <string.h>

static struct answer answer;

static struct store_job full_job(uint64_t sequence)
{
	struct store_job job = rig_job(sequence);

	job.accepted_wall = rig_now();
	job.priority = -7;
	job.durability = DURABILITY_WRITE;
	job.options = SPAN("{\"timeout\":5}");
	job.key = SPAN("order-17");
	memset(job.payload, 0xa5, sizeof(job.payload));
	job.unique_key = SPAN("unique");
	job.limit_key = SPAN("example.org");
	job.tags = SPAN("\nred\ngreen\n");
	job.group = 3;
	job.member = 9;
	job.deadline = (struct store_due){ .boot = 123456789, .wall = 987654321 };
	job.state = JOB_RETRYING;
	job.cancelling = true;
	job.attempts = 3;
	job.failures = 2;
	job.crashes = 1;
	job.token = UINT64_C(0xffffffff00000001);
	job.incarnation = 77;
	job.slot = 5;
	job.due = (struct store_due){ .boot = 11, .wall = 22 };
	job.elapsed_us = UINT32_MAX;
	job.started_wall = 1700000000000000001;
	job.error_signal = 11;
	job.error_code = SPAN("crashed");
	job.error_message = SPAN("Segmentation fault");
	return job;
}

static void check_once(const struct store_job *a, const struct store_job *b)
{
	assert_true(uuid_equal(&a->id, &b->id));
	assert_int_equal(a->sequence, b->sequence);
	assert_true(span_equal(a->type, b->type) && span_equal(a->queue, b->queue));
	assert_int_equal(a->priority, b->priority);
	assert_int_equal(a->durability, b->durability);
	assert_true(span_equal(a->options, b->options) && span_equal(a->args, b->args));
	assert_true(span_equal(a->key, b->key) && span_equal(a->unique_key, b->unique_key));
	assert_memory_equal(a->payload, b->payload, sizeof(a->payload));
	assert_true(span_equal(a->limit_key, b->limit_key) && span_equal(a->tags, b->tags));
	assert_int_equal(a->group, b->group);
	assert_int_equal(a->member, b->member);
}

static void check_now(const struct store_job *a, const struct store_job *b)
{
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->cancelling, b->cancelling);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->failures, b->failures);
	assert_int_equal(a->crashes, b->crashes);
	assert_true(a->token == b->token && a->incarnation == b->incarnation);
	assert_int_equal(a->slot, b->slot);
	assert_int_equal(a->due.boot, b->due.boot);
	assert_int_equal(a->due.wall, b->due.wall);
	assert_int_equal(a->deadline.boot, b->deadline.boot);
	assert_int_equal(a->deadline.wall, b->deadline.wall);
	assert_int_equal(a->elapsed_us, b->elapsed_us);
	assert_int_equal(a->accepted_wall, b->accepted_wall);
	assert_int_equal(a->started_wall, b->started_wall);
	assert_int_equal(a->finished_wall, b->finished_wall);
	assert_int_equal(a->expires_wall, b->expires_wall);
	assert_int_equal(a->error_signal, b->error_signal);
	assert_true(span_equal(a->error_code, b->error_code));
	assert_true(span_equal(a->error_message, b->error_message));
	assert_true(span_equal(a->meta, b->meta) && span_equal(a->body, b->body));
}

static void a_job_comes_back_whole(void **state)
{
	struct store_job job = full_job(42);
	struct rig *rig = *state;

	rig_save(rig, &job, true);
	assert_int_equal(rig->refusal_count, 0);
	rig_read_sequence(rig, 42, &answer);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.job_count, 1);
	check_once(&answer.jobs[0], &job);
	check_now(&answer.jobs[0], &job);
	assert_true(answer.jobs[0].due.same_boot);
	assert_true(answer.jobs[0].deadline.same_boot);
	answer_done(&answer);
}

static void a_job_is_found_by_its_id(void **state)
{
	struct store_job job = rig_job(1), other = rig_job(900);
	struct rig *rig = *state;
	struct uuid id = rig_id(900);

	rig_save(rig, &job, true);
	rig_save(rig, &other, true);
	rig_read_id(rig, &id, &answer);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.jobs[0].sequence, 900);
	answer_done(&answer);
	id.b[15] ^= 1;
	rig_read_id(rig, &id, &answer);
	assert_int_equal(answer.error, -ENOENT);
	id = rig_id(5);
	rig_read_id(rig, &id, &answer);
	assert_int_equal(answer.error, -ENOENT);
}

static void an_id_is_found_when_sequences_have_outgrown_it(void **state)
{
	struct store_job job = rig_job((UINT64_C(3) << 40) + 7),
			 next = rig_job((UINT64_C(4) << 40) + 6);
	struct rig *rig = *state;

	rig_save(rig, &job, true);
	rig_save(rig, &next, true);
	rig_read_id(rig, &job.id, &answer);
	assert_int_equal(answer.error, 0);
	assert_true(answer.jobs[0].sequence == job.sequence);
	answer_done(&answer);
}

static void what_is_marked_once_is_written_once(void **state)
{
	struct store_job job = full_job(42), later = rig_finished(42, JOB_SUCCEEDED);
	struct rig *rig = *state;

	rig_save(rig, &job, true);
	later.type = SPAN("other");
	later.args = SPAN("{}");
	later.priority = 3;
	rig_save(rig, &later, false);
	rig_read_sequence(rig, 42, &answer);
	check_once(&answer.jobs[0], &job);
	check_now(&answer.jobs[0], &later);
	answer_done(&answer);
}

static void texts_under_4_kib_are_copied_at_once(void **state)
{
	struct store_job job = rig_job(1);
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);
	char type[] = "sleep", message[2000];

	memset(message, 'm', sizeof(message));
	job.type = span_of(type);
	job.error_message = (struct span){ message, sizeof(message) };
	assert_int_equal(store_save_job(batch, &job, true), 0);
	memset(type, 'x', 5);
	memset(message, 'x', sizeof(message));
	rig_commit(rig, batch);
	rig_read_sequence(rig, 1, &answer);
	assert_span(answer.jobs[0].type, "sleep");
	assert_int_equal(answer.jobs[0].error_message.size, sizeof(message));
	assert_int_equal(answer.jobs[0].error_message.data[1999], 'm');
	answer_done(&answer);
}

static void large_bodies_come_back(void **state)
{
	static char args[300000], body[1 << 20], message[70000];
	struct store_job job = rig_finished(1, JOB_FAILED);
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)(i * 31 >> 3);
	memset(args, 'a', sizeof(args));
	memset(message, 'b', sizeof(message));
	job.args = (struct span){ args, sizeof(args) };
	job.body = (struct span){ body, sizeof(body) };
	job.error_message = (struct span){ message, sizeof(message) };
	rig_save(rig, &job, true);
	rig_read_sequence(rig, 1, &answer);
	assert_int_equal(answer.error, 0);
	assert_true(span_equal(answer.jobs[0].body, job.body));
	assert_true(span_equal(answer.jobs[0].args, job.args));
	assert_true(span_equal(answer.jobs[0].error_message, job.error_message));
	answer_done(&answer);
}

static void bytes_of_any_value_are_kept(void **state)
{
	struct store_job job = rig_finished(1, JOB_SUCCEEDED);
	struct rig *rig = *state;
	char body[256], key[] = "a\0b\xff";

	for (int i = 0; i < 256; i++)
		body[i] = (char)i;
	job.body = (struct span){ body, sizeof(body) };
	job.key = (struct span){ key, 4 };
	job.error_message = (struct span){ body, sizeof(body) };
	rig_save(rig, &job, true);
	rig_read_sequence(rig, 1, &answer);
	assert_true(span_equal(answer.jobs[0].body, job.body));
	assert_true(span_equal(answer.jobs[0].key, job.key));
	assert_true(span_equal(answer.jobs[0].error_message, job.error_message));
	answer_done(&answer);
}

static void batches_are_answered_in_order(void **state)
{
	struct rig *rig = *state;

	for (uint64_t i = 1; i <= 200; i++) {
		struct store_batch *batch = rig_batch(rig);
		struct store_job job = rig_job(i);

		assert_int_equal(store_save_job(batch, &job, true), 0);
		rig_hand_over(rig, batch, i % 3 ? STORE_SYNC : STORE_WRITE);
	}
	assert_true(store_queued_bytes(rig->store) > 200 * 100);
	while (rig->committed < 200) {
		uint64_t before = rig->committed;

		rig_turn(rig, 1000);
		assert_true(rig->committed >= before);
		assert_int_equal(rig->error, 0);
	}
	assert_int_equal(store_queued_bytes(rig->store), 0);
	rig_read_sequence(rig, 200, &answer);
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
}

static void an_empty_batch_is_answered(void **state)
{
	struct rig *rig = *state;

	rig_commit(rig, rig_batch(rig));
	rig_hand_over(rig, rig_batch(rig), STORE_WRITE);
	rig_wait(rig);
	assert_int_equal(rig->error, 0);
	store_batch_free(rig_batch(rig)); /* one that isn't handed over */
	store_batch_free(NULL);
}

static void reads_see_what_was_handed_over_before(void **state)
{
	struct rig *rig = *state;

	for (uint64_t i = 1; i <= 20; i++) {
		struct store_batch *batch = rig_batch(rig);
		struct store_job job = rig_job(i);

		assert_int_equal(store_save_job(batch, &job, true), 0);
		rig_hand_over(rig, batch, STORE_WRITE);
		rig_read_sequence(rig, i, &answer); /* not waited for the commit */
		assert_int_equal(answer.error, 0);
		answer_done(&answer);
	}
}

static void a_taken_key_refuses_its_job_alone(void **state)
{
	struct store_job first = full_job(1), second = full_job(2), other = rig_job(3);
	struct rig *rig = *state;
	struct store_batch *batch;

	rig_save(rig, &first, true);
	second.payload[3] ^= 1;
	batch = rig_batch(rig);
	assert_int_equal(store_save_job(batch, &second, true), 0);
	assert_int_equal(store_save_job(batch, &other, true), 0);
	rig_commit(rig, batch);
	assert_int_equal(rig->refusal_count, 1);
	assert_int_equal(rig->refusals[0].sequence, 2);
	assert_int_equal(rig->refusals[0].why, STORE_KEY_TAKEN);
	assert_true(uuid_equal(&rig->refusals[0].existing, &first.id));
	assert_false(rig->refusals[0].same_payload);
	rig_read_sequence(rig, 2, &answer);
	assert_int_equal(answer.error, -ENOENT);
	rig_read_sequence(rig, 3, &answer);
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
	second = full_job(4);
	rig_save(rig, &second, true);
	assert_true(rig->refusal_count == 1 && rig->refusals[0].same_payload);
}

static void the_first_of_a_batch_has_the_key(void **state)
{
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);

	for (uint64_t i = 1; i <= 20; i++) {
		struct store_job job = full_job(i);

		assert_int_equal(store_save_job(batch, &job, true), 0);
	}
	rig_commit(rig, batch);
	assert_int_equal(rig->refusal_count, 19);
	for (size_t i = 0; i < 19; i++) {
		struct uuid first = rig_id(1);

		assert_int_equal(rig->refusals[i].sequence, i + 2);
		assert_true(uuid_equal(&rig->refusals[i].existing, &first));
	}
}

static void a_key_outlives_its_job_and_then_expires(void **state)
{
	struct store_job job = full_job(1), again = full_job(2);
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);

	job.accepted_wall = rig_now() - 3599 * NSEC_PER_SEC; /* of an hour */
	rig_save(rig, &job, true);
	assert_int_equal(store_remove(batch, 1), 0);
	rig_commit(rig, batch);
	rig_read_sequence(rig, 1, &answer);
	assert_int_equal(answer.error, -ENOENT);
	again.accepted_wall = rig_now();
	rig_save(rig, &again, true);
	assert_int_equal(rig->refusal_count, 1);
	for (int i = 0; i < 500 && rig->refusal_count == 1; i++) {
		poll(NULL, 0, 10);
		rig_save(rig, &again, true);
	}
	assert_int_equal(rig->refusal_count, 0);
	rig_read_sequence(rig, 2, &answer);
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
}

static void a_later_save_of_what_is_gone_is_told(void **state)
{
	struct store_job job = rig_job(5);
	struct store_group group = { .id = rig_id(6), .sequence = 6, .state = JOB_RUNNING };
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);

	assert_int_equal(store_save_job(batch, &job, false), 0);
	assert_int_equal(store_save_group(batch, &group, false), 0);
	rig_commit(rig, batch);
	assert_int_equal(rig->refusal_count, 2);
	assert_true(rig->refusals[0].sequence == 5 && rig->refusals[0].why == STORE_GONE);
	assert_true(rig->refusals[1].sequence == 6 && rig->refusals[1].why == STORE_GONE);
}

static void attempts_are_listed_in_order(void **state)
{
	struct store_job job = rig_job(1);
	struct rig *rig = *state;
	struct store_batch *batch;

	rig_save(rig, &job, true);
	batch = rig_batch(rig);
	for (uint16_t i = 3; i > 0; i--) {
		struct store_attempt attempt = { .sequence = 1,
						 .attempt = i,
						 .slot = i,
						 .started_wall = 100 + i,
						 .ended_wall = 200 + i,
						 .outcome = OUTCOME_FAILED,
						 .error_signal = i == 2 ? 9 : 0,
						 .error_code = SPAN("failed"),
						 .error_message = SPAN("it did"),
						 .log = SPAN("a\nb\n") };

		assert_int_equal(store_save_attempt(batch, &attempt), 0);
		if (i == 2) {
			attempt.outcome = 0;
			assert_int_equal(store_save_attempt(batch, &attempt), 0);
		}
	}
	rig_commit(rig, batch);
	rig_read_attempts(rig, 1, &answer);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.attempt_count, 3);
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(answer.attempts[i].attempt, i + 1);
		assert_int_equal(answer.attempts[i].ended_wall, 201 + i);
		assert_span(answer.attempts[i].log, "a\nb\n");
	}
	assert_int_equal(answer.attempts[1].outcome, 0);
	assert_int_equal(answer.attempts[1].error_signal, 9);
	answer_done(&answer);
	rig_read_attempts(rig, 77, &answer);
	assert_true(answer.error == 0 && answer.attempt_count == 0);
}

static void attempts_of_no_job_are_not_kept(void **state)
{
	struct store_attempt attempt = { .sequence = 9, .attempt = 1, .outcome = OUTCOME_FAILED };
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);

	assert_int_equal(store_save_attempt(batch, &attempt), 0);
	rig_commit(rig, batch);
	rig_read_attempts(rig, 9, &answer);
	assert_int_equal(answer.attempt_count, 0);
}

static void a_group_comes_back_whole_and_grows(void **state)
{
	static uint64_t members[10000];
	struct store_group group = { .id = rig_id(10),
				     .sequence = 10,
				     .parent = 4,
				     .member = 2,
				     .spec = SPAN("{\"kind\":\"map\"}"),
				     .progress = SPAN("{\"cursor\":1}"),
				     .state = JOB_RUNNING,
				     .accepted_wall = 1700000000000000000 };
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);

	for (size_t i = 0; i < 10000; i++)
		members[i] = 11 + i;
	group.members = (struct span){ (const char *)members, 16 };
	assert_int_equal(store_save_group(batch, &group, true), 0);
	rig_commit(rig, batch);
	group.spec = SPAN("{}"); /* once */
	group.members.size = sizeof(members);
	group.state = JOB_FAILED;
	group.error = SPAN("{\"code\":\"x\"}");
	group.progress = (struct span){ 0 };
	group.finished_wall = 1700000000000000001;
	group.expires_wall = rig_now() + 60 * NSEC_PER_SEC;
	batch = rig_batch(rig);
	assert_int_equal(store_save_group(batch, &group, false), 0);
	rig_commit(rig, batch);
	rig_read_group(rig, &group.id, &answer);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.group_count, 1);
	assert_int_equal(answer.group.sequence, 10);
	assert_int_equal(answer.group.parent, 4);
	assert_int_equal(answer.group.member, 2);
	assert_span(answer.group.spec, "{\"kind\":\"map\"}");
	assert_span(answer.group.error, "{\"code\":\"x\"}");
	assert_true(span_equal(answer.group.members, group.members));
	assert_int_equal(answer.group.progress.size, 0);
	assert_int_equal(answer.group.state, JOB_FAILED);
	assert_int_equal(answer.group.expires_wall, group.expires_wall);
	answer_done(&answer);
	rig_read_sequence(rig, 10, &answer);
	assert_int_equal(answer.group_count, 1);
	assert_int_equal(answer.job_count, 0);
	assert_int_equal(answer.group.parent, 4);
	answer_done(&answer);
	group.id = rig_id(11);
	rig_read_group(rig, &group.id, &answer);
	assert_int_equal(answer.error, -ENOENT);
}

static void removal_takes_all_that_belongs_to_it(void **state)
{
	struct store_job job = rig_finished(1, JOB_FAILED);
	struct store_group group = { .id = rig_id(2), .sequence = 2, .state = JOB_SUCCEEDED };
	struct store_attempt attempt = { .sequence = 1, .attempt = 1, .outcome = OUTCOME_FAILED };
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);

	assert_int_equal(store_save_job(batch, &job, true), 0);
	assert_int_equal(store_save_attempt(batch, &attempt), 0);
	assert_int_equal(store_save_group(batch, &group, true), 0);
	rig_commit(rig, batch);
	assert_int_equal(rig_finished_count(rig), 1);
	batch = rig_batch(rig);
	assert_int_equal(store_remove(batch, 1), 0);
	assert_int_equal(store_remove(batch, 2), 0);
	assert_int_equal(store_remove(batch, 3), 0);
	rig_commit(rig, batch);
	assert_int_equal(rig_finished_count(rig), 0);
	rig_read_sequence(rig, 1, &answer);
	assert_int_equal(answer.error, -ENOENT);
	rig_read_attempts(rig, 1, &answer);
	assert_int_equal(answer.attempt_count, 0);
	rig_read_group(rig, &group.id, &answer);
	assert_int_equal(answer.error, -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_job_comes_back_whole),
		BOTH(a_job_is_found_by_its_id),
		BOTH(an_id_is_found_when_sequences_have_outgrown_it),
		BOTH(what_is_marked_once_is_written_once),
		BOTH(texts_under_4_kib_are_copied_at_once),
		BOTH(large_bodies_come_back),
		BOTH(bytes_of_any_value_are_kept),
		BOTH(batches_are_answered_in_order),
		BOTH(an_empty_batch_is_answered),
		BOTH(reads_see_what_was_handed_over_before),
		BOTH(a_taken_key_refuses_its_job_alone),
		BOTH(the_first_of_a_batch_has_the_key),
		BOTH(a_key_outlives_its_job_and_then_expires),
		BOTH(a_later_save_of_what_is_gone_is_told),
		BOTH(attempts_are_listed_in_order),
		BOTH(attempts_of_no_job_are_not_kept),
		BOTH(a_group_comes_back_whole_and_grows),
		BOTH(removal_takes_all_that_belongs_to_it),
	};

	return TAP_RUN(tests);
}
