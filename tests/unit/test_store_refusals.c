/* What is refused, and with which words: files that are missing, old, of others, or written by others. */
#include "store_image.h"
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* In a database that is too large to be checked whole. */
static void load_refused_after(const char *sql, const char *word)
{
	static struct loaded loaded;

	image_put(&closed);
	change_database(sql);
	rig_open(&rig);
	assert_int_equal(rig_try_load(&rig, &loaded), -EBADMSG);
	if (!strstr(store_why(rig.store), word))
		print_message("# '%s' isn't in: %s\n", word, store_why(rig.store));
	assert_non_null(strstr(store_why(rig.store), word));
	loaded_done(&loaded);
	rig_close(&rig);
}

static void what_others_wrote_is_noticed_when_it_is_read(void **state)
{
	struct store_job job = rig_job(9000);
	struct uuid id = rig_id(1003);
	static struct answer answer;
	struct store_batch *batch;

	(void)state;
	rig.options.quick_check_pages = 1;
	load_refused_after("DELETE FROM jobs WHERE sequence=7", "block 0: 39 unfinished jobs, not 40");
	load_refused_after("UPDATE groups SET members=NULL WHERE sequence=1003", "groups: row 1003");
	load_refused_after("UPDATE documents SET body='x'", "documents");
	rig_open(&rig); /* as it was left */
	rig_close(&rig);
	image_put(&closed);
	change_database("UPDATE groups SET members=NULL WHERE sequence=1003;"
			"UPDATE keys SET payload=x'00112233445566778899aabbccddeeff' WHERE sequence=7;"
			"UPDATE jobs SET state=77 WHERE sequence=3");
	rig_open(&rig);
	rig_read_group(&rig, &id, &answer);
	assert_int_equal(answer.error, -EBADMSG);
	job.key = SPAN("key-7");
	job.accepted_wall = rig_now();
	batch = rig_batch(&rig);
	assert_int_equal(store_save_job(batch, &job, true), 0);
	rig_hand_over(&rig, batch, STORE_SYNC);
	rig_wait(&rig);
	assert_int_equal(rig.error, -EBADMSG);
	assert_non_null(strstr(store_why(rig.store), "keys: row 7"));
	rig_close(&rig);
	rig_open(&rig);
	batch = rig_batch(&rig);
	assert_int_equal(store_remove(batch, 3), 0);
	rig_hand_over(&rig, batch, STORE_SYNC);
	rig_wait(&rig);
	assert_int_equal(rig.error, -EBADMSG);
	rig_close(&rig);
	rig.options.quick_check_pages = 0;
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
		assert_int_equal(unlink(rig_path(&rig, image_names[i])), 0);
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
		cmocka_unit_test(what_is_missing_is_noticed),
		cmocka_unit_test(a_mark_that_is_missing_is_made_anew),
		cmocka_unit_test(an_older_copy_is_refused_beside_a_newer_mark),
		cmocka_unit_test(what_is_not_a_store_is_refused),
		cmocka_unit_test(what_others_wrote_is_refused),
		cmocka_unit_test(what_others_wrote_is_noticed_when_it_is_read),
		cmocka_unit_test(refusal_changes_nothing),
		cmocka_unit_test(a_file_that_is_taken_away_under_way_is_noticed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, images_make, images_free);
}
