/*
 * Damage of every kind to the files of a store: it opens with all that was committed, or it is refused with a reason.
 * Never anything else, and never a signal.
 */
#include "clock.h"
#include "crc32c.h"
#include "random.h"
#include "store_rig.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOBS = 60, FILES = 3, FLIPS = 1200, DB = 0, WAL = 1, MARK = 2 };
static const char *const names[FILES] = { "store.db", "store.db-wal", "store.mark" };

struct image {
	char *data[FILES]; /* NULL: there is no such file */
	size_t size[FILES];
	uint32_t digest; /* of its content */
};

/* One as its process left it by dying, one that was closed. */
static struct image crashed, closed;
static struct rig rig;
static unsigned refused, recovered;

/* ---- images ---- */

static void image_take(struct image *image, const struct rig *from)
{
	for (int i = 0; i < FILES; i++) {
		int fd = open(rig_path(from, names[i]), O_RDONLY);
		struct stat st;

		image->data[i] = NULL;
		if (fd < 0)
			continue;
		assert_int_equal(fstat(fd, &st), 0);
		image->size[i] = (size_t)st.st_size;
		image->data[i] = malloc(image->size[i] + 1);
		assert_non_null(image->data[i]);
		assert_int_equal(read(fd, image->data[i], image->size[i]), st.st_size);
		close(fd);
	}
}

static void image_free(struct image *image)
{
	for (int i = 0; i < FILES; i++)
		free(image->data[i]);
}

static void file_write(const char *name, const char *data, size_t size)
{
	int fd = open(rig_path(&rig, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
	close(fd);
}

static void image_put(const struct image *image)
{
	rig_remove_files(rig.directory);
	for (int i = 0; i < FILES; i++) {
		if (image->data[i])
			file_write(names[i], image->data[i], image->size[i]);
	}
}

/* ---- content ---- */

static uint32_t digest_text(uint32_t digest, struct span text)
{
	digest = crc32c(digest, &text.size, sizeof(text.size));
	return text.size ? crc32c(digest, text.data, text.size) : digest;
}

static uint32_t digest_job(uint32_t digest, const struct store_job *job)
{
	uint64_t numbers[] = { job->sequence, (uint64_t)job->state, job->token,
			       (uint64_t)job->attempts };

	digest = crc32c(digest, numbers, sizeof(numbers));
	digest = crc32c(digest, &job->id, sizeof(job->id));
	digest = digest_text(digest, job->type);
	digest = digest_text(digest, job->key);
	digest = digest_text(digest, job->args);
	return digest_text(digest, job->body);
}

static int visit_job(void *arg, const struct store_job *job)
{
	*(uint32_t *)arg = digest_job(*(uint32_t *)arg, job);
	return 0;
}

static int visit_group(void *arg, const struct store_group *group)
{
	uint32_t *digest = arg;

	*digest = crc32c(*digest, &group->sequence, sizeof(group->sequence));
	*digest = digest_text(*digest, group->members);
	return 0;
}

static int visit_document(void *arg, const struct store_document *document)
{
	*(uint32_t *)arg = digest_text(*(uint32_t *)arg, document->body);
	return 0;
}

struct reading {
	uint32_t digest;
	int error;
	unsigned told;
};

static void read_row(void *arg, const struct store_rows *rows)
{
	struct reading *r = arg;

	r->told++;
	if (rows->error)
		r->error = rows->error;
	for (size_t i = 0; i < rows->job_count; i++)
		r->digest = digest_job(r->digest, &rows->jobs[i]);
	for (size_t i = 0; i < rows->attempt_count; i++)
		r->digest = digest_text(r->digest, rows->attempts[i].log);
}

/* All that an open store has: 0, or what a read said. */
static int content(uint32_t *ret_digest)
{
	struct reading reading = { 0 };
	const struct store_visitor v = { visit_job, visit_group, visit_document, &reading.digest };
	int r = store_load(rig.store, &v);
	struct store_read *read;

	if (r < 0)
		return r;
	for (uint64_t i = 1; i <= JOBS; i++) {
		assert_int_equal(store_read_sequence(rig.store, i, read_row, &reading, &read), 0);
		assert_int_equal(store_read_attempts(rig.store, i, read_row, &reading, &read), 0);
	}
	while (reading.told < 2 * JOBS)
		rig_turn(&rig, 1000);
	*ret_digest = reading.digest;
	return reading.error;
}

static void commit_job(uint64_t i, const char *body)
{
	struct store_attempt attempt = { .sequence = i, .attempt = 1, .log = SPAN("first\n") };
	struct store_group group = { .id = rig_id(1000 + i),
				     .sequence = 1000 + i,
				     .state = JOB_RUNNING,
				     .members = { body, 64 } };
	struct store_document document = { SPAN("timetable"), { body, 3 }, { body, 200 } };
	struct store_job job = i % 3 ? rig_job(i) : rig_finished(i, JOB_SUCCEEDED);
	struct store_batch *batch = rig_batch(&rig);
	char key[32];

	snprintf(key, sizeof(key), "key-%d", (int)i);
	job.key = span_of(key);
	job.accepted_wall = rig_now();
	if (i % 3 == 0)
		job.body = (struct span){ body, i * 200 };
	job.args = (struct span){ body + 100, i % 7 * 300 };
	assert_int_equal(store_save_job(batch, &job, true), 0);
	assert_int_equal(store_save_attempt(batch, &attempt), 0);
	assert_int_equal(store_save_group(batch, &group, true), 0);
	assert_int_equal(store_save_document(batch, &document), 0);
	rig_commit(&rig, batch);
}

static void fill(uint64_t from, uint64_t to)
{
	static char body[16384];

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)('a' + i * 7 % 26);
	for (uint64_t i = from; i <= to; i++)
		commit_job(i, body + i);
}

/* Leaves a list of free pages behind. */
static void fill_and_remove(void)
{
	static char body[65536];
	struct store_job job = rig_finished(5000, JOB_SUCCEEDED);
	struct store_batch *batch = rig_batch(&rig);

	job.body = (struct span){ body, sizeof(body) };
	rig_save(&rig, &job, true);
	assert_int_equal(store_remove(batch, 5000), 0);
	rig_commit(&rig, batch);
}

static int group_setup(void **state)
{
	(void)state;
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1); /* each trial opens a store, with its syncs */
	rig_init(&rig, false);
	rig_open(&rig);
	fill_and_remove();
	fill(1, JOBS / 2);
	fill_and_remove();
	rig_close(&rig);
	rig_open(&rig);
	fill(JOBS / 2 + 1, JOBS);
	image_take(&crashed, &rig);
	assert_int_equal(content(&crashed.digest), 0);
	rig_close(&rig);
	image_take(&closed, &rig);
	closed.digest = crashed.digest;
	assert_null(closed.data[WAL]);
	assert_true(crashed.size[WAL] > 4096L * JOBS / 2);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	image_free(&crashed);
	image_free(&closed);
	rig_done(&rig);
	return 0;
}

/* ---- trials ---- */

/* Open what is there: with all its content, or not at all. */
static void try_it(const struct image *image, const char *what, size_t place)
{
	uint32_t digest = 0;
	int r = rig_try_open(&rig);

	if (r < 0) {
		if (r != -EBADMSG || !rig.why[0])
			print_message("# %s %zu: %d %s\n", what, place, r, rig.why);
		assert_int_equal(r, -EBADMSG);
		assert_true(rig.why[0]);
		refused++;
		return;
	}
	r = content(&digest);
	if (r < 0)
		print_message("# %s\n", store_why(rig.store));
	rig_close(&rig);
	if (r < 0 || digest != image->digest)
		print_message("# %s %zu: %s\n", what, place, r ? strerror(-r) : "other content");
	assert_int_equal(r, 0);
	assert_int_equal(digest, image->digest);
	recovered++;
}

static void refused_for(const char *word)
{
	int r = rig_try_open(&rig);

	if (r != -EBADMSG)
		print_message("# '%s': %d %s\n", word, r, rig.why);
	assert_int_equal(r, -EBADMSG);
	if (!strstr(rig.why, word))
		print_message("# '%s' isn't in: %s\n", word, rig.why);
	assert_non_null(strstr(rig.why, word));
}

static void images_that_nobody_touched_are_recovered(void **state)
{
	(void)state;
	recovered = 0;
	image_put(&crashed);
	try_it(&crashed, "crashed", 0);
	image_put(&closed);
	try_it(&closed, "closed", 0);
	assert_int_equal(recovered, 2);
}

static void truncate_everywhere(struct image *image, int file, size_t step)
{
	size_t size = image->size[file];

	for (size_t at = 0; at < size; at += step) {
		image->size[file] = at;
		image_put(image);
		image->size[file] = size;
		try_it(image, names[file], at);
	}
}

static void a_file_that_was_cut_is_noticed(void **state)
{
	(void)state;
	refused = recovered = 0;
	truncate_everywhere(&crashed, DB, 2048);
	truncate_everywhere(&crashed, WAL, 4120);
	truncate_everywhere(&crashed, MARK, 1);
	truncate_everywhere(&closed, DB, 2048);
	print_message("# %u refused, %u recovered\n", refused, recovered);
	assert_true(refused > 100); /* recovered: what was cut off stood in the log as well */
}

static void flip(struct image *image, int file, uint64_t bit)
{
	char *byte = &image->data[file][bit / 8];

	*byte = (char)(*byte ^ 1 << bit % 8);
	image_put(image);
	*byte = (char)(*byte ^ 1 << bit % 8);
	try_it(image, names[file], bit);
}

static void flip_many(struct image *image, int file, unsigned count, uint64_t seed)
{
	struct random random;

	random_seed(&random, seed);
	for (unsigned i = 0; i < count; i++)
		flip(image, file, random_below(&random, image->size[file] * 8));
}

static void a_bit_that_was_flipped_is_noticed_or_harmless(void **state)
{
	(void)state;
	refused = recovered = 0;
	flip_many(&crashed, DB, FLIPS / 3, 1);
	flip_many(&crashed, WAL, FLIPS / 3, 2);
	flip_many(&closed, DB, FLIPS / 3, 3);
	for (uint64_t bit = 0; bit < crashed.size[MARK] * 8; bit += 5)
		flip(&crashed, MARK, bit);
	for (uint64_t bit = 0; bit < 800; bit++) /* the header */
		flip(&closed, DB, bit);
	print_message("# %u refused, %u recovered\n", refused, recovered);
	assert_true(refused > FLIPS / 2);
}

/* Put an image with one byte changed wherever a text stands in its database. */
static void put_changed(const struct image *image, const char *text)
{
	size_t size = strlen(text), found = 0;

	for (size_t i = 0; i + size <= image->size[DB]; i++) {
		if (memcmp(image->data[DB] + i, text, size) != 0)
			continue;
		image->data[DB][i] ^= 32;
		found++;
	}
	assert_true(found > 0);
	image_put(image);
	for (size_t i = 0; i + size <= image->size[DB]; i++) {
		image->data[DB][i] ^= 32;
		if (memcmp(image->data[DB] + i, text, size) != 0)
			image->data[DB][i] ^= 32;
	}
}

static void a_row_that_was_changed_is_told_when_it_is_read(void **state)
{
	static struct answer answer;
	struct store_filter filter = { .limit = 10 };
	unsigned damaged = 0;

	(void)state;
	rig.options.quick_check_pages = 1; /* it is too large to be checked whole */
	put_changed(&closed, "status\":200}");
	rig_open(&rig);
	for (uint64_t i = 3; i <= JOBS; i += 3) {
		rig_read_sequence(&rig, i, &answer);
		assert_true(answer.error == 0 || answer.error == -EBADMSG);
		damaged += answer.error == -EBADMSG;
		answer_done(&answer);
	}
	assert_int_equal(damaged, JOBS / 3);
	rig_list(&rig, &filter, &answer); /* doesn't look at results */
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
	rig_close(&rig);
	put_changed(&closed, "sleepdefault");
	rig_open(&rig);
	rig_list(&rig, &filter, &answer);
	assert_int_equal(answer.error, -EBADMSG);
	rig_close(&rig);
	put_changed(&closed, "first\n");
	rig_open(&rig);
	rig_read_attempts(&rig, 3, &answer);
	assert_int_equal(answer.error, -EBADMSG);
	rig_close(&rig);
	rig.options.quick_check_pages = 0;
}

static void what_was_changed_ends_the_load(void **state)
{
	static const char *const texts[] = { "sleepdefault", "timetable" };
	static struct loaded loaded;

	(void)state;
	rig.options.quick_check_pages = 1;
	for (size_t i = 0; i < 2; i++) {
		put_changed(&closed, texts[i]);
		rig_open(&rig);
		assert_int_equal(rig_try_load(&rig, &loaded), -EBADMSG);
		assert_non_null(strstr(store_why(rig.store), "is damaged"));
		loaded_done(&loaded);
		rig_close(&rig);
	}
	rig.options.quick_check_pages = 0;
}

static void what_is_missing_is_noticed(void **state)
{
	struct image image = crashed;

	(void)state;
	image.data[DB] = NULL;
	image_put(&image);
	refused_for("store.db is missing");
	image.data[MARK] = NULL;
	image_put(&image);
	refused_for("store.db is missing");
	image = closed;
	image.data[DB] = NULL;
	image_put(&image);
	refused_for("store.db is missing");
	image = crashed;
	image.data[WAL] = NULL;
	image_put(&image);
	refused_for("commits are lost");
	image = crashed;
	image.size[DB] = 0;
	image_put(&image);
	refused_for("is empty");
}

static void a_mark_that_is_missing_is_made_anew(void **state)
{
	struct image image = crashed;

	(void)state;
	recovered = 0;
	image.data[MARK] = NULL;
	image_put(&image);
	try_it(&crashed, "mark", 0);
	assert_int_equal(recovered, 1);
	assert_int_equal(access(rig_path(&rig, "store.mark"), F_OK), 0);
}

static void an_older_copy_is_refused_beside_a_newer_mark(void **state)
{
	struct image image = closed;

	(void)state;
	image_put(&closed);
	rig_open(&rig);
	fill(JOBS + 1, JOBS + 1);
	rig_close(&rig);
	file_write("store.db", image.data[DB], image.size[DB]);
	refused_for("commits are lost");
	rig_remove_files(rig.directory);
	rig_open(&rig); /* another store */
	rig_close(&rig);
	file_write("store.mark", image.data[MARK], image.size[MARK]);
	refused_for("belongs to another store");
}

static void what_is_not_a_store_is_refused(void **state)
{
	static const char zeros[8192], text[200] = "SQLite format 3";

	(void)state;
	rig_remove_files(rig.directory);
	file_write("store.db", zeros, sizeof(zeros));
	refused_for("is not an SQLite database");
	file_write("store.db", "x", 1);
	refused_for("is not an SQLite database");
	file_write("store.db", text, sizeof(text));
	refused_for("another application");
	rig_remove_files(rig.directory);
	assert_int_equal(mkdir(rig_path(&rig, "store.db"), 0700), 0);
	refused_for("is not a file");
	assert_int_equal(rmdir(rig_path(&rig, "store.db")), 0);
	assert_int_equal(symlink("/dev/zero", rig_path(&rig, "store.db")), 0);
	refused_for("is not a file");
}

static void change_database(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(rig_path(&rig, "store.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void refused_after(const char *sql, const char *word)
{
	image_put(&closed);
	change_database(sql);
	refused_for(word);
}

static void what_others_wrote_is_refused(void **state)
{
	(void)state;
	refused_after("PRAGMA user_version=99", "newer");
	refused_after("PRAGMA user_version=0", "schema version 0");
	refused_after("CREATE VIEW other AS SELECT 1", "schema was changed");
	refused_after("CREATE TABLE other(x)", "schema was changed");
	refused_after("DELETE FROM jobs WHERE sequence=7", "more or fewer");
	refused_after("UPDATE jobs SET state=3 WHERE sequence=7", "row 7 is damaged");
	refused_after("UPDATE jobs SET id=x'00' WHERE sequence=7", "row 7 is damaged");
	refused_after("UPDATE facts SET commit_seq=1", "facts");
	refused_after("DELETE FROM facts", "facts");
	refused_after("DROP TABLE facts", "facts");
	refused_after("UPDATE blocks SET unfinished=unfinished+1", "damaged");
	refused_after("UPDATE keys SET payload=x'00' WHERE sequence=7", "keys: row 7");
	refused_after("UPDATE keys SET sequence=-7 WHERE sequence=7", "keys: row -7");
	refused_after("UPDATE boots SET boot_id='x'", "boots");
	refused_after("UPDATE attempts SET log=1.5 WHERE sequence=3", "attempts");
	refused_after("UPDATE groups SET members=NULL WHERE sequence=1003", "groups");
	refused_after("UPDATE documents SET body='x'", "documents");
	refused_after("PRAGMA journal_mode=DELETE; PRAGMA auto_vacuum=FULL; VACUUM", "auto_vacuum");
	refused_after("PRAGMA journal_mode=DELETE; PRAGMA page_size=8192; VACUUM", "page_size");
}

static void refusal_changes_nothing(void **state)
{
	struct image after;

	(void)state;
	crashed.data[WAL][5000] ^= 1;
	image_put(&crashed);
	refused_for("commits are lost");
	image_take(&after, &rig);
	for (int i = 0; i < FILES; i++) {
		assert_int_equal(after.size[i], crashed.size[i]);
		assert_memory_equal(after.data[i], crashed.data[i], after.size[i]);
	}
	crashed.data[WAL][5000] ^= 1;
	image_free(&after);
}

static void a_file_that_is_taken_away_under_way_is_noticed(void **state)
{
	(void)state;
	for (int i = 0; i < FILES; i++) {
		struct store_job job = rig_job(1);
		struct store_batch *batch;

		rig_remove_files(rig.directory);
		rig_open(&rig);
		rig_save(&rig, &job, true);
		assert_int_equal(unlink(rig_path(&rig, names[i])), 0);
		job = rig_job(2);
		batch = rig_batch(&rig);
		assert_int_equal(store_save_job(batch, &job, true), 0);
		rig_hand_over(&rig, batch, STORE_SYNC);
		rig_wait(&rig);
		assert_int_equal(rig.error, -ESTALE);
		assert_non_null(strstr(store_why(rig.store), "was removed"));
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_that_nobody_touched_are_recovered),
		cmocka_unit_test(a_file_that_was_cut_is_noticed),
		cmocka_unit_test(a_bit_that_was_flipped_is_noticed_or_harmless),
		cmocka_unit_test(a_row_that_was_changed_is_told_when_it_is_read),
		cmocka_unit_test(what_was_changed_ends_the_load),
		cmocka_unit_test(what_is_missing_is_noticed),
		cmocka_unit_test(a_mark_that_is_missing_is_made_anew),
		cmocka_unit_test(an_older_copy_is_refused_beside_a_newer_mark),
		cmocka_unit_test(what_is_not_a_store_is_refused),
		cmocka_unit_test(what_others_wrote_is_refused),
		cmocka_unit_test(refusal_changes_nothing),
		cmocka_unit_test(a_file_that_is_taken_away_under_way_is_noticed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
