/* What the store in SQLite promises beyond the suite: that it outlives its process, and what stands in its directory. */
#include "clock.h"
#include "store_rig.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct answer answer;
static struct loaded loaded;

static int setup(void **state)
{
	static struct rig rig;

	rig_init(&rig, false);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_done(*state);
	return 0;
}

static void save_group(struct rig *rig, uint64_t sequence, enum job_state group_state)
{
	struct store_group group = { .id = rig_id(sequence),
				     .sequence = sequence,
				     .spec = SPAN("{}"),
				     .state = group_state,
				     .expires_wall = rig_now() + 60 * NSEC_PER_SEC };
	struct store_batch *batch = rig_batch(rig);

	assert_int_equal(store_save_group(batch, &group, true), 0);
	rig_commit(rig, batch);
}

static void save_document(struct rig *rig, const char *kind, const char *name, const char *body)
{
	const struct store_document document = { span_of(kind), span_of(name), span_of(body) };
	struct store_batch *batch = rig_batch(rig);

	assert_int_equal(store_save_document(batch, &document), 0);
	rig_commit(rig, batch);
}

static void unfinished_ones_are_loaded_in_order_of_sequence(void **state)
{
	static const uint64_t jobs[] = { 7, 3, 9000, 5, 12, 1000000 };
	static const uint64_t expected[] = { 3, 4, 5, 12, 9000, 9001, 1000000, 1000001 };
	struct rig *rig = *state;

	rig_open(rig);
	for (size_t i = 0; i < 6; i++) {
		struct store_job job = rig_job(jobs[i]);

		rig_save(rig, &job, true);
	}
	struct store_job job = rig_finished(7, JOB_CANCELLED);

	rig_save(rig, &job, false);
	save_group(rig, 1000001, JOB_RUNNING);
	save_group(rig, 9001, JOB_RUNNING);
	save_group(rig, 9002, JOB_SUCCEEDED);
	save_group(rig, 4, JOB_RUNNING);
	rig_close(rig);
	rig_open(rig);
	rig_load(rig, &loaded);
	assert_int_equal(loaded.order_count, 8);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(loaded.order[i], expected[i]);
	assert_span(loaded.jobs[0].args, "{\"seconds\":1}");
	loaded_done(&loaded);
	rig_read_sequence(rig, 7, &answer);
	assert_int_equal(answer.jobs[0].state, JOB_CANCELLED);
	answer_done(&answer);
}

static void documents_are_kept_by_kind_and_name(void **state)
{
	struct rig *rig = *state;

	rig_open(rig);
	save_document(rig, "schedule", "nightly", "{\"cron\":\"0 3 * * *\"}");
	save_document(rig, "limit", "b", "{\"rate\":1}");
	save_document(rig, "limit", "a", "{\"rate\":2}");
	save_document(rig, "limit", "b", "{\"rate\":3}");
	save_document(rig, "paused", "default", "{}");
	save_document(rig, "paused", "default", "");
	rig_close(rig);
	rig_open(rig);
	rig_load(rig, &loaded);
	assert_int_equal(loaded.document_count, 3);
	assert_span(loaded.documents[0].name, "a");
	assert_span(loaded.documents[1].body, "{\"rate\":3}");
	assert_span(loaded.documents[2].kind, "schedule");
	loaded_done(&loaded);
}

static void facts_outlive_the_process(void **state)
{
	struct store_job job = rig_finished(70, JOB_FAILED);
	struct store_facts before, after;
	struct rig *rig = *state;

	rig_open(rig);
	rig_save(rig, &job, true);
	store_facts(rig->store, &before);
	rig_close(rig);
	rig_open(rig);
	store_facts(rig->store, &after);
	assert_int_equal(after.last_sequence, 70);
	assert_int_equal(after.last_wall, before.last_wall);
	assert_int_equal(after.finished[JOB_FAILED], 1);
	assert_false(after.full);
}

static void a_time_to_come_knows_its_boot(void **state)
{
	struct store_job job = rig_job(1);
	struct rig *rig = *state;

	rig->options.boot_id = "first";
	rig_open(rig);
	job.state = JOB_SCHEDULED;
	job.due = (struct store_due){ .boot = 5, .wall = 6 };
	job.deadline = (struct store_due){ .wall = 7 };
	rig_save(rig, &job, true);
	for (int i = 0; i < 3; i++) {
		rig_close(rig);
		rig->options.boot_id = i == 1 ? "second" : "first";
		rig_open(rig);
		rig_load(rig, &loaded);
		assert_int_equal(loaded.jobs[0].due.boot, 5);
		assert_int_equal(loaded.jobs[0].due.wall, 6);
		assert_int_equal(loaded.jobs[0].due.same_boot, i != 1);
		assert_int_equal(loaded.jobs[0].deadline.boot, 0);
		assert_false(loaded.jobs[0].deadline.same_boot);
		loaded_done(&loaded);
	}
}

static void a_boot_without_an_id_is_a_new_one(void **state)
{
	struct store_job job = rig_job(1);
	struct rig *rig = *state;

	rig->options.boot_id = "";
	rig_open(rig);
	job.state = JOB_SCHEDULED;
	job.due = (struct store_due){ .boot = 5, .wall = 6 };
	rig_save(rig, &job, true);
	rig_close(rig);
	rig_open(rig);
	rig_load(rig, &loaded);
	assert_false(loaded.jobs[0].due.same_boot);
	loaded_done(&loaded);
}

static void a_visitor_can_end_the_load(void **state)
{
	struct rig *rig = *state;
	struct store_batch *batch;

	rig_open(rig);
	batch = rig_batch(rig);
	for (uint64_t i = 1; i <= 300; i++) {
		struct store_job job = rig_job(i);

		assert_int_equal(store_save_job(batch, &job, true), 0);
	}
	rig_commit(rig, batch);
	rig_close(rig);
	rig_open(rig);
	assert_int_equal(rig_try_load(rig, &loaded), -E2BIG);
	loaded_done(&loaded);
}

static void two_do_not_open_one_directory(void **state)
{
	struct rig *rig = *state, second = *rig;

	rig_open(rig);
	assert_int_equal(rig_try_open(&second), -EBUSY);
	assert_non_null(strstr(second.why, "another process"));
	rig_close(rig);
	assert_int_equal(rig_try_open(&second), 0);
	rig_close(&second);
}

static void a_directory_that_is_not_there_is_refused(void **state)
{
	struct rig *rig = *state;
	char path[600];

	rig->options.directory = "/nonexistent/gather";
	assert_int_equal(rig_try_open(rig), -ENOENT);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	rig->options.directory = path;
	assert_int_equal(rig_try_open(rig), -ENAMETOOLONG);
	rig->options.directory = "/dev/null";
	assert_int_equal(rig_try_open(rig), -ENOTDIR);
	rig->options.directory = rig->directory;
}

static void files_are_for_their_owner_alone(void **state)
{
	static const char *const names[] = { "store.db", "store.db-wal", "store.mark", "store.lock",
					     "store.ballast" };
	struct rig *rig = *state;
	struct store_job job = rig_job(1);
	mode_t mask = umask(0);

	rig_open(rig);
	rig_save(rig, &job, true);
	umask(mask);
	for (size_t i = 0; i < 5; i++) {
		struct stat st;

		assert_int_equal(stat(rig_path(rig, names[i]), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

/* ---- what is written without a sync ---- */

static uint64_t mark_seq(struct rig *rig)
{
	char line[128] = "";
	int fd = open(rig_path(rig, "store.mark"), O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, line, sizeof(line) - 1) > 0);
	close(fd);
	return strtoull(line + 49, NULL, 10);
}

static void what_was_only_written_is_synced_soon(void **state)
{
	struct rig *rig = *state;
	struct store_job job = rig_job(1);
	struct store_batch *batch;
	struct store_facts before, after;
	uint64_t mark;

	rig_open(rig);
	mark = mark_seq(rig);
	store_facts(rig->store, &before);
	batch = rig_batch(rig);
	assert_int_equal(store_save_job(batch, &job, true), 0);
	rig_hand_over(rig, batch, STORE_WRITE);
	rig_wait(rig);
	store_facts(rig->store, &after);
	assert_int_equal(after.commits, before.commits + 1);
	for (int i = 0; i < 500 && mark_seq(rig) == mark; i++)
		poll(NULL, 0, 10);
	assert_int_equal(mark_seq(rig), mark + 1);
}

static void an_empty_synced_batch_syncs_what_was_written(void **state)
{
	struct rig *rig = *state;
	struct store_job job = rig_job(1);
	struct store_batch *batch;
	uint64_t mark;

	rig_open(rig);
	mark = mark_seq(rig);
	batch = rig_batch(rig);
	assert_int_equal(store_save_job(batch, &job, true), 0);
	rig_hand_over(rig, batch, STORE_WRITE);
	rig_commit(rig, rig_batch(rig));
	assert_int_equal(mark_seq(rig), mark + 1);
}

/* ---- room ---- */

static void first_saves_are_refused_below_the_reserve(void **state)
{
	struct rig *rig = *state;
	struct store_job job = rig_job(1), other = rig_job(2), following = rig_job(4);
	struct store_group group = { .id = rig_id(3), .sequence = 3, .state = JOB_RUNNING };
	struct store_batch *batch;
	struct store_facts facts;

	rig_open(rig);
	rig_save(rig, &job, true);
	rig_close(rig);
	rig->options.reserve_bytes = INT64_MAX / 2;
	rig_open(rig);
	store_facts(rig->store, &facts);
	assert_true(facts.full);
	job = rig_finished(1, JOB_SUCCEEDED);
	batch = rig_batch(rig);
	assert_int_equal(store_save_job(batch, &job, false), 0);
	assert_int_equal(store_save_job(batch, &other, true), 0);
	assert_int_equal(store_save_group(batch, &group, true), 0);
	following.follows = true; /* from the end of the first */
	assert_int_equal(store_save_job(batch, &following, true), 0);
	rig_commit(rig, batch);
	assert_int_equal(rig->refusal_count, 2);
	assert_true(rig->refusals[0].sequence == 2 && rig->refusals[0].why == STORE_NO_SPACE);
	assert_true(rig->refusals[1].sequence == 3 && rig->refusals[1].why == STORE_NO_SPACE);
	rig_read_sequence(rig, 1, &answer);
	assert_int_equal(answer.jobs[0].state, JOB_SUCCEEDED);
	answer_done(&answer);
	rig_read_sequence(rig, 4, &answer);
	assert_int_equal(answer.job_count, 1);
	answer_done(&answer);
}

/* Finished jobs of 8 KiB each. */
static void fill_finished(struct rig *rig, uint64_t from, uint64_t count)
{
	static char body[8192];

	memset(body, 'r', sizeof(body));
	while (count > 0) {
		struct store_batch *batch = rig_batch(rig);

		for (int i = 0; i < 50 && count > 0; i++, count--) {
			struct store_job job = rig_finished(from++, JOB_SUCCEEDED);

			job.expires_wall += (int64_t)from;
			job.body = (struct span){ body, sizeof(body) };
			assert_int_equal(store_save_job(batch, &job, true), 0);
		}
		rig_commit(rig, batch);
	}
}

static void the_oldest_leave_early_when_there_is_too_much(void **state)
{
	struct rig *rig = *state;
	struct store_facts facts = { 0 };
	uint64_t kept;

	rig->options.max_bytes = 4 << 20;
	rig_open(rig);
	fill_finished(rig, 1, 1000);
	for (int i = 0; i < 50; i++) {
		uint64_t removed = facts.removed_early;

		store_facts(rig->store, &facts);
		if (facts.removed_early == removed && rig_finished_count(rig) < 512)
			break;
		poll(NULL, 0, 400); /* removal that isn't over goes on within 100 ms */
	}
	kept = rig_finished_count(rig);
	assert_true(kept > 128 && kept < 512);
	store_facts(rig->store, &facts);
	assert_int_equal(facts.removed_early, 1000 - kept);
	rig_read_sequence(rig, 1000 - kept, &answer);
	assert_int_equal(answer.error, -ENOENT);
	rig_read_sequence(rig, 1001 - kept, &answer);
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
	rig_close(rig);
	rig_open(rig);
	store_facts(rig->store, &facts);
	assert_int_equal(facts.removed_early, 1000 - rig_finished_count(rig));
}

static int64_t file_size(struct rig *rig, const char *name)
{
	struct stat st;

	return stat(rig_path(rig, name), &st) == 0 ? st.st_size : -1;
}

static void freed_pages_go_back_to_the_file_system(void **state)
{
	struct rig *rig = *state;
	struct store_batch *batch;
	int64_t full;

	rig_open(rig);
	fill_finished(rig, 1, 1500);
	batch = rig_batch(rig);
	for (uint64_t i = 1; i <= 1500; i++)
		assert_int_equal(store_remove(batch, i), 0);
	rig_commit(rig, batch);
	rig_close(rig);
	full = file_size(rig, "store.db");
	assert_true(full > 12 << 20);
	rig_open(rig);
	rig_load(rig, &loaded);
	for (int i = 0; i < 200; i++) {
		struct store_facts facts;

		store_facts(rig->store, &facts);
		if (facts.bytes < full / 2)
			break;
		poll(NULL, 0, 20);
	}
	rig_close(rig);
	assert_true(file_size(rig, "store.db") < full / 2);
}

static void the_log_is_checkpointed_before_it_grows_large(void **state)
{
	struct rig *rig = *state;

	rig_open(rig);
	fill_finished(rig, 1, 5000); /* 40 MB */
	assert_true(file_size(rig, "store.db-wal") < 24 << 20);
	assert_true(file_size(rig, "store.db") > 20 << 20);
}

/* ---- reads at length ---- */

static void a_list_over_many_unfinished_is_cut_into_pages(void **state)
{
	struct rig *rig = *state;
	struct store_filter filter = { .limit = 10 };
	struct store_job job = rig_finished(1, JOB_SUCCEEDED);
	size_t found = 0, pages = 0;

	rig_open(rig);
	rig_save(rig, &job, true);
	for (uint64_t i = 0; i < 30; i++) {
		struct store_batch *batch = rig_batch(rig);

		for (uint64_t k = 0; k < 1000; k++) {
			job = rig_job(2 + i * 1000 + k);
			assert_int_equal(store_save_job(batch, &job, true), 0);
		}
		rig_hand_over(rig, batch, STORE_WRITE);
	}
	rig_wait(rig);
	do {
		rig_list(rig, &filter, &answer);
		assert_int_equal(answer.error, 0);
		found += answer.job_count;
		filter.below = answer.next;
		answer_done(&answer);
	} while (filter.below && ++pages < 1000);
	assert_int_equal(found, 1);
}

/* ---- backup ---- */

static void told(void *arg, const struct store_rows *rows)
{
	int *result = arg;

	*result = rows->error;
}

static void a_backup_has_all_that_was_committed_before_it(void **state)
{
	struct rig *rig = *state, copy;
	struct store_read *read;
	struct store_facts facts;
	uint64_t sequence = 1001;
	char path[256];
	int result = 1;

	rig_open(rig);
	rig_init(&copy, false);
	snprintf(path, sizeof(path), "%s", rig_path(&copy, "store.db"));
	fill_finished(rig, 1, 1000);
	assert_int_equal(store_backup(rig->store, path, told, &result, &read), 0);
	while (result == 1) { /* it goes on while we write */
		struct store_job job = rig_finished(sequence++, JOB_FAILED);

		rig_save(rig, &job, true);
	}
	assert_int_equal(result, 0);
	assert_int_equal(rig_backup(rig, path), -EEXIST);
	rig_open(&copy); /* checks all of it */
	store_facts(copy.store, &facts);
	assert_int_equal(facts.finished[JOB_SUCCEEDED], 1000);
	assert_true(facts.finished[JOB_FAILED] < sequence - 1000);
	rig_done(&copy);
}

static void a_backup_that_cannot_be_made_leaves_nothing(void **state)
{
	struct rig *rig = *state, copy;
	struct store_read *read;
	int result = 1;
	char path[256];

	rig_open(rig);
	rig_init(&copy, false);
	fill_finished(rig, 1, 1000);
	assert_int_equal(rig_backup(rig, "/nonexistent/x"), -ENOENT);
	snprintf(path, sizeof(path), "%s", rig_path(&copy, "cancelled"));
	assert_int_equal(store_backup(rig->store, path, told, &result, &read), 0);
	store_read_cancel(read);
	assert_int_equal(store_backup(rig->store, path, told, &result, &read), 0);
	rig_close(rig); /* under way */
	assert_int_equal(result, 1);
	assert_int_equal(rmdir(copy.directory), 0); /* it is empty */
}

/* ---- for people ---- */

static int one_row(void *arg, int count, char **values, char **names)
{
	char *out = arg;

	(void)names;
	for (int i = 0; i < count; i++)
		out += sprintf(out, "%s|", values[i] ? values[i] : "");
	return 0;
}

static void expect_row(sqlite3 *db, const char *sql, const char *expected)
{
	char text[512] = "";

	assert_int_equal(sqlite3_exec(db, sql, one_row, text, NULL), SQLITE_OK);
	assert_string_equal(text, expected);
}

static sqlite3 *open_with_views(const char *path)
{
	static char sql[16384];
	int fd = open(STORE_VIEWS, O_RDONLY);
	sqlite3 *db;

	assert_true(fd >= 0);
	assert_true(read(fd, sql, sizeof(sql) - 1) > 0);
	close(fd);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void views_show_words_and_times(void **state)
{
	struct rig *rig = *state;
	struct store_job job = rig_finished(1, JOB_SUCCEEDED);
	struct store_attempt attempt = { .sequence = 1, .attempt = 1, .started_wall = 1, .outcome = 0 };
	struct store_batch *batch;
	char path[256];
	sqlite3 *db;

	rig->options.key_ttl *= 24 * 365 * 50;
	rig_open(rig);
	job.tags = SPAN("\nred\ngreen\n");
	job.key = SPAN("k");
	job.accepted_wall = 1700000000123000000;
	job.due.wall = 1700000000000000000;
	batch = rig_batch(rig);
	assert_int_equal(store_save_job(batch, &job, true), 0);
	assert_int_equal(store_save_attempt(batch, &attempt), 0);
	rig_commit(rig, batch);
	save_group(rig, 2, JOB_RUNNING);
	snprintf(path, sizeof(path), "%s", rig_path(rig, "copy"));
	assert_int_equal(rig_backup(rig, path), 0);
	db = open_with_views(path);
	expect_row(db, "SELECT state, id, durability, accepted, due, tags FROM job_list",
		   "succeeded|018bcfe5-6801-7123-8000-00000040004d|fsync|"
		   "2023-11-14T22:13:20.123Z|2023-11-14T22:13:20.000Z|red green|");
	expect_row(db, "SELECT outcome, started, ended FROM attempt_list",
		   "worker died|1970-01-01T00:00:00.000Z||");
	expect_row(db, "SELECT state, members FROM group_list", "running||");
	expect_row(db, "SELECT key, sequence FROM key_list", "k|1|");
	sqlite3_close(db);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(unfinished_ones_are_loaded_in_order_of_sequence),
		CASE(documents_are_kept_by_kind_and_name),
		CASE(facts_outlive_the_process),
		CASE(a_time_to_come_knows_its_boot),
		CASE(a_boot_without_an_id_is_a_new_one),
		CASE(a_visitor_can_end_the_load),
		CASE(two_do_not_open_one_directory),
		CASE(a_directory_that_is_not_there_is_refused),
		CASE(files_are_for_their_owner_alone),
		CASE(what_was_only_written_is_synced_soon),
		CASE(an_empty_synced_batch_syncs_what_was_written),
		CASE(first_saves_are_refused_below_the_reserve),
		CASE(the_oldest_leave_early_when_there_is_too_much),
		CASE(freed_pages_go_back_to_the_file_system),
		CASE(the_log_is_checkpointed_before_it_grows_large),
		CASE(a_list_over_many_unfinished_is_cut_into_pages),
		CASE(a_backup_has_all_that_was_committed_before_it),
		CASE(a_backup_that_cannot_be_made_leaves_nothing),
		CASE(views_show_words_and_times),
	};

	return TAP_RUN(tests);
}
