/* What store.h promises, over each implementation: lists, counts, expiry, and answers that aren't wanted any more. */
#include "clock.h"
#include "store_rig.h"
#include <errno.h>
#include <poll.h>
#include <string.h>

static struct answer answer;

/* 1 .. 100: every third failed, every fifth unfinished, odd ones of type http, every tenth tagged. */
static void fill(struct rig *rig)
{
	struct store_batch *batch = rig_batch(rig);

	for (uint64_t i = 1; i <= 100; i++) {
		struct store_job job = rig_finished(i, i % 3 ? JOB_SUCCEEDED : JOB_FAILED);

		if (i % 5 == 0)
			job = rig_job(i);
		if (i % 2)
			job.type = SPAN("http");
		if (i % 4 == 0)
			job.queue = SPAN("slow");
		if (i % 10 == 1)
			job.tags = SPAN("\nred\ngreen\n");
		assert_int_equal(store_save_job(batch, &job, true), 0);
	}
	rig_commit(rig, batch);
}

static void a_list_is_newest_first_in_pages(void **state)
{
	struct store_filter filter = { .limit = 7 };
	struct rig *rig = *state;
	uint64_t expected = 99;
	size_t pages = 0, rows = 0;

	fill(rig);
	do {
		rig_list(rig, &filter, &answer);
		assert_int_equal(answer.error, 0);
		assert_true(answer.job_count <= 7);
		for (size_t i = 0; i < answer.job_count; i++) {
			assert_int_equal(answer.jobs[i].sequence, expected);
			assert_int_equal(answer.jobs[i].args.size + answer.jobs[i].body.size +
						 answer.jobs[i].meta.size + answer.jobs[i].options.size,
					 0);
			expected -= expected % 5 == 1 ? 2 : 1;
		}
		rows += answer.job_count;
		filter.below = answer.next;
		answer_done(&answer);
		assert_true(++pages < 200);
	} while (filter.below);
	assert_int_equal(rows, 80);
}

/* 1 .. 60: every third a group; every second of them ended, the others run; 30 is a member of 60. */
static void fill_with_groups(struct rig *rig)
{
	struct store_batch *batch = rig_batch(rig);

	for (uint64_t i = 1; i <= 60; i++) {
		struct store_job job = rig_finished(i, JOB_SUCCEEDED);
		struct store_group group = { .id = rig_id(i),
					     .sequence = i,
					     .parent = i == 30 ? 60 : 0,
					     .spec = SPAN("{}"),
					     .state = i % 2   ? JOB_RUNNING
						      : i % 4 ? JOB_SUCCEEDED
							      : JOB_FAILED,
					     .accepted_wall = rig_now(),
					     .finished_wall = i % 2 ? 0 : rig_now(),
					     .expires_wall = i % 2 ? 0 : rig_now() + 60 * NSEC_PER_SEC };

		assert_int_equal(i % 3 ? store_save_job(batch, &job, true)
				       : store_save_group(batch, &group, true),
				 0);
	}
	rig_commit(rig, batch);
}

static void a_list_of_groups_is_newest_first_in_pages(void **state)
{
	static const uint64_t expected[] = { 60, 54, 48, 42, 36, 24, 18, 12, 6 };
	struct store_filter filter = { .limit = 4 };
	struct rig *rig = *state;
	size_t rows = 0, pages = 0;

	fill_with_groups(rig);
	do {
		rig_list_groups(rig, &filter, &answer);
		assert_int_equal(answer.error, 0);
		assert_int_equal(answer.job_count, 0);
		assert_true(answer.group_count <= 4);
		for (size_t i = 0; i < answer.group_count; i++)
			assert_int_equal(answer.groups[i], expected[rows++]);
		filter.below = answer.next;
		answer_done(&answer);
		assert_true(++pages < 20);
	} while (filter.below);
	assert_int_equal(rows, ARRAY_SIZE(expected));
	rig_list_groups(rig, &(struct store_filter){ .limit = 20, .states = 1u << JOB_FAILED },
			&answer);
	assert_int_equal(answer.group_count, 5);
	assert_int_equal(answer.groups[4], 12);
	answer_done(&answer);
}

/* However many may be on a page. */
static void a_page_of_large_groups_is_short(void **state)
{
	static char members[GROUPS_BYTES / 2];
	struct store_filter filter = { .limit = 20 };
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);
	size_t rows = 0;

	for (uint64_t i = 1; i <= 5; i++) {
		struct store_group group = { .id = rig_id(i),
					     .sequence = i,
					     .spec = SPAN("{}"),
					     .members = { members, sizeof(members) },
					     .state = JOB_SUCCEEDED,
					     .finished_wall = rig_now(),
					     .expires_wall = rig_now() + 60 * NSEC_PER_SEC };

		assert_int_equal(store_save_group(batch, &group, true), 0);
	}
	rig_commit(rig, batch);
	do {
		rig_list_groups(rig, &filter, &answer);
		assert_true(answer.group_count <= 2);
		rows += answer.group_count;
		filter.below = answer.next;
		answer_done(&answer);
	} while (filter.below);
	assert_int_equal(rows, 5);
}

static size_t list_count(struct rig *rig, struct store_filter filter)
{
	size_t rows = 0;

	filter.limit = 50;
	do {
		rig_list(rig, &filter, &answer);
		assert_int_equal(answer.error, 0);
		rows += answer.job_count;
		filter.below = answer.next;
		answer_done(&answer);
	} while (filter.below);
	return rows;
}

static void a_list_is_filtered(void **state)
{
	struct rig *rig = *state;
	int64_t from_51 = rig_job(51).accepted_wall;

	fill(rig);
	assert_int_equal(list_count(rig, (struct store_filter){ .states = 1u << JOB_FAILED }), 27);
	assert_int_equal(list_count(rig, (struct store_filter){ .states = 1u << JOB_EXPIRED }), 0);
	assert_int_equal(list_count(rig, (struct store_filter){ .type = SPAN("http") }), 40);
	assert_int_equal(list_count(rig, (struct store_filter){ .type = SPAN("htt") }), 0);
	assert_int_equal(list_count(rig, (struct store_filter){ .queue = SPAN("slow") }), 20);
	assert_int_equal(list_count(rig, (struct store_filter){ .tag = SPAN("green") }), 10);
	assert_int_equal(list_count(rig, (struct store_filter){ .tag = SPAN("gree") }), 0);
	assert_int_equal(list_count(rig, (struct store_filter){ .tag = SPAN("red\ngreen") }), 0);
	assert_int_equal(list_count(rig, (struct store_filter){ .since_wall = from_51 }), 40);
	assert_int_equal(list_count(rig, (struct store_filter){ .since_wall = from_51,
								.type = SPAN("http"),
								.states = 1u << JOB_FAILED }),
			 8);
	assert_int_equal(list_count(rig, (struct store_filter){ .below = 1 }), 0);
}

static void finished_jobs_are_counted_by_state(void **state)
{
	struct store_job job = rig_job(1);
	struct store_facts facts;
	struct rig *rig = *state;

	rig_save(rig, &job, true);
	store_facts(rig->store, &facts);
	assert_int_equal(rig_finished_count(rig), 0);
	job = rig_finished(1, JOB_FAILED);
	rig_save(rig, &job, false);
	store_facts(rig->store, &facts);
	assert_int_equal(facts.finished[JOB_FAILED], 1);
	job.state = JOB_READY; /* retried by hand */
	rig_save(rig, &job, false);
	assert_int_equal(rig_finished_count(rig), 0);
	job = rig_finished(1, JOB_SUCCEEDED);
	rig_save(rig, &job, false);
	rig_save(rig, &job, false);
	store_facts(rig->store, &facts);
	assert_int_equal(facts.finished[JOB_SUCCEEDED], 1);
	assert_int_equal(rig_finished_count(rig), 1);
	assert_int_equal(facts.last_sequence, 1);
	assert_true(facts.last_wall >= job.finished_wall);
	assert_true(facts.bytes > 0 && facts.commits >= 5);
}

static void expired_jobs_and_groups_leave(void **state)
{
	struct store_group group = { .id = rig_id(900), .sequence = 900, .state = JOB_SUCCEEDED };
	struct rig *rig = *state;
	struct store_batch *batch = rig_batch(rig);
	int64_t soon = rig_now() + 100 * NSEC_PER_MSEC;

	for (uint64_t i = 1; i <= 400; i++) {
		struct store_job job = rig_finished(i, JOB_SUCCEEDED);

		if (i % 4)
			job.expires_wall = soon;
		assert_int_equal(store_save_job(batch, &job, true), 0);
	}
	group.expires_wall = soon;
	assert_int_equal(store_save_group(batch, &group, true), 0);
	rig_commit(rig, batch);
	assert_true(rig_finished_become(rig, 100));
	assert_true(rig_now() >= soon);
	rig_read_sequence(rig, 399, &answer);
	assert_int_equal(answer.error, -ENOENT);
	rig_read_sequence(rig, 400, &answer);
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
	for (int i = 0; i < 100; i++) {
		rig_read_group(rig, &group.id, &answer);
		if (answer.error)
			break;
		answer_done(&answer);
		poll(NULL, 0, 10);
	}
	assert_int_equal(answer.error, -ENOENT);
}

static void unfinished_jobs_do_not_expire(void **state)
{
	struct store_job job = rig_job(1), finished = rig_finished(2, JOB_SUCCEEDED);
	struct rig *rig = *state;

	job.expires_wall = 1;
	finished.expires_wall = 1;
	rig_save(rig, &job, true);
	rig_save(rig, &finished, true);
	assert_true(rig_finished_become(rig, 0));
	rig_read_sequence(rig, 1, &answer);
	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.jobs[0].expires_wall, 0);
	answer_done(&answer);
}

static void told_nothing(void *arg, const struct store_rows *rows)
{
	(void)rows;
	*(bool *)arg = true;
}

static void a_cancelled_read_is_not_answered(void **state)
{
	struct store_job job = rig_job(1);
	struct rig *rig = *state;
	struct store_read *read;
	bool told = false;

	rig_save(rig, &job, true);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(store_read_sequence(rig->store, 1, told_nothing, &told, &read), 0);
		if (i % 2)
			poll(NULL, 0, 1); /* it has been answered, and not told */
		store_read_cancel(read);
	}
	rig_read_sequence(rig, 1, &answer);
	answer_done(&answer);
	assert_false(told);
}

static void closing_drops_what_waits(void **state)
{
	struct store_job job = rig_job(1);
	struct rig *rig = *state;
	struct store_read *read;
	bool told = false;

	for (int i = 0; i < 50; i++) {
		struct store_batch *batch = rig_batch(rig);

		job = rig_job((uint64_t)i + 1);
		assert_int_equal(store_save_job(batch, &job, true), 0);
		rig_hand_over(rig, batch, STORE_WRITE);
		assert_int_equal(store_read_sequence(rig->store, 1, told_nothing, &told, &read), 0);
	}
	rig_close(rig);
	assert_false(told);
	store_close(NULL);
}

static void its_kind_is_told(void **state)
{
	struct rig *rig = *state;

	assert_string_equal(store_kind(rig->store), rig->directory[0] ? "sqlite" : "memory");
	assert_string_equal(store_why(rig->store), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_list_is_newest_first_in_pages),
		BOTH(a_list_is_filtered),
		BOTH(a_list_of_groups_is_newest_first_in_pages),
		BOTH(a_page_of_large_groups_is_short),
		BOTH(finished_jobs_are_counted_by_state),
		BOTH(expired_jobs_and_groups_leave),
		BOTH(unfinished_jobs_do_not_expire),
		BOTH(a_cancelled_read_is_not_answered),
		BOTH(closing_drops_what_waits),
		BOTH(its_kind_is_told),
	};

	return TAP_RUN(tests);
}
