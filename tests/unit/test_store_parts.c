/* The parts of the store by themselves: checksums, rows, the mark, time, migrations, failpoints, growth of its memory. */
#include "clock.h"
#include "crc32c.h"
#include "failpoint.h"
#include "random.h"
#include "sqlite_store.h"
#include "store_rig.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* RFC 3720, appendix B.4, and the check value of the catalogue of CRCs. */
static void crc32c_has_the_published_values(void **state)
{
	unsigned char data[32];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
	memset(data, 0, sizeof(data));
	assert_int_equal(crc32c(0, data, 32), 0x8a9136aa);
	memset(data, 0xff, sizeof(data));
	assert_int_equal(crc32c(0, data, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		data[i] = (unsigned char)i;
	assert_int_equal(crc32c(0, data, 32), 0x46dd794e);
	assert_int_equal(crc32c_software(0, data, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		data[i] = (unsigned char)(31 - i);
	assert_int_equal(crc32c(0, data, 32), 0x113fdb5c);
}

static void crc32c_is_the_same_by_instruction_and_by_table(void **state)
{
	unsigned char data[300];
	struct random random;

	(void)state;
	random_seed(&random, 7);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)random_next(&random);
	for (size_t from = 0; from < 9; from++) {
		for (size_t size = 0; size < 260; size++) {
			uint32_t whole = crc32c(5, data + from, size);

			assert_int_equal(whole, crc32c_software(5, data + from, size));
			assert_int_equal(whole, crc32c(crc32c(5, data + from, size / 3),
						       data + from + size / 3, size - size / 3));
		}
	}
}

static void a_checksum_covers_each_column_and_the_key(void **state)
{
	struct store_job job = rig_finished(9, JOB_FAILED);
	struct value row[JOBS_COLUMNS], changed[JOBS_COLUMNS];
	struct sqlite q = { .boot = 1 };

	(void)state;
	job_values(&q, &job, true, row);
	row_seal(&table_jobs, row, true);
	assert_true(row_fits(&table_jobs, row, JOBS_COLUMNS));
	for (unsigned i = 0; i < JOBS_COLUMNS; i++) {
		memcpy(changed, row, sizeof(row));
		changed[i] = row[i].kind == VALUE_INTEGER ? value_integer(row[i].integer + 1)
							  : value_integer(0);
		assert_false(row_fits(&table_jobs, changed, JOBS_COLUMNS));
		if (row[i].kind == VALUE_NULL)
			continue;
		changed[i] = (struct value){ 0 };
		assert_false(row_fits(&table_jobs, changed, JOBS_COLUMNS));
		changed[i] = (struct value){ .kind = VALUE_OTHER };
		assert_false(row_fits(&table_jobs, changed, JOBS_COLUMNS));
	}
}

static void the_mark_comes_back_or_is_damaged(void **state)
{
	struct store_mark mark = { .commit_seq = UINT64_MAX }, again;
	int directory, fd;
	char byte;
	struct rig rig;

	(void)state;
	rig_init(&rig, false);
	directory = open(rig.directory, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mark_read(directory, &again), -ENOENT);
	for (int i = 0; i < 16; i++)
		mark.store_id[i] = (uint8_t)(i * 17);
	fd = mark_create(directory, &mark);
	assert_true(fd >= 0);
	assert_int_equal(mark_read(directory, &again), 0);
	assert_memory_equal(&again, &mark, sizeof(mark));
	mark.commit_seq = 12;
	assert_int_equal(mark_write(fd, &mark), 0);
	assert_int_equal(mark_read(directory, &again), 0);
	assert_int_equal(again.commit_seq, 12);
	for (off_t at = 0; pread(fd, &byte, 1, at) == 1; at++) {
		char other = (char)(byte ^ 1);

		assert_int_equal(pwrite(fd, &other, 1, at), 1);
		assert_int_equal(mark_read(directory, &again), -EBADMSG);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_int_equal(lseek(fd, 0, SEEK_END), 79);
	assert_int_equal(pwrite(fd, "x", 1, 79), 1);
	assert_int_equal(mark_read(directory, &again), -EBADMSG);
	close(fd);
	close(directory);
	rig_done(&rig);
}

static void expiry_does_not_believe_a_clock_that_was_set_forward(void **state)
{
	struct sqlite q = { .boot_wall = 5000 * NSEC_PER_SEC, .boot_boottime = clock_boottime() };

	(void)state;
	assert_int_equal(steady_wall(&q, 4000 * NSEC_PER_SEC), 4000 * NSEC_PER_SEC);
	assert_true(steady_wall(&q, 900000 * NSEC_PER_SEC) >= 5000 * NSEC_PER_SEC);
	assert_true(steady_wall(&q, 900000 * NSEC_PER_SEC) < 5100 * NSEC_PER_SEC);
}

static void expiry_does_not_believe_a_clock_that_was_set_back(void **state)
{
	struct sqlite q = { .boot_wall = clock_wall() + 900 * NSEC_PER_SEC,
			    .boot_boottime = clock_boottime() };
	const int64_t end = 5000 * NSEC_PER_SEC;

	(void)state;
	assert_true(steady_expiry(&q, end) > end + 890 * NSEC_PER_SEC);
	assert_true(steady_expiry(&q, end) < end + 910 * NSEC_PER_SEC);
	q.boot_wall = clock_wall() - 900 * NSEC_PER_SEC;
	assert_int_equal(steady_expiry(&q, end), end);
}

/* What a future version does to a database of today. */
static void a_migration_leaves_a_store_that_older_ones_refuse(void **state)
{
	static const char *const steps[] = { NULL, "CREATE TABLE later(x)", "CREATE TABLE last(x)" };
	struct rig rig;
	char why[256];
	struct sqlite *q;
	void *opened;

	(void)state;
	rig_init(&rig, false);
	rig_open(&rig);
	rig_close(&rig);
	assert_int_equal(store_sqlite.open(&rig.options, &opened, why, sizeof(why)), 0);
	q = opened;
	assert_int_equal(migrate(q, steps, 1, 3), 0);
	assert_int_equal(sqlite_exec(q, "SELECT * FROM later, last"), 0);
	store_sqlite.close(opened);
	assert_int_equal(rig_try_open(&rig), -EBADMSG);
	assert_non_null(strstr(rig.why, "schema version 3, of a newer gatherd"));
	rig_done(&rig);
}

static void a_migration_that_fails_says_why(void **state)
{
	static const char *const steps[] = { NULL, "CREATE nonsense" };
	struct rig rig;
	char why[256];
	void *opened;

	(void)state;
	rig_init(&rig, false);
	assert_int_equal(store_sqlite.open(&rig.options, &opened, why, sizeof(why)), 0);
	assert_int_equal(migrate(opened, steps, 1, 2), -EBADMSG);
	assert_non_null(strstr(store_sqlite.why(opened), "nonsense"));
	store_sqlite.close(opened);
	rig_open(&rig); /* it is as it was */
	rig_done(&rig);
}

/* ---- failpoints ---- */

static int end_of(const char *points, const char *passed, int times)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		failpoint_set(points);
		for (int i = 0; i < times; i++)
			failpoint_pass(passed);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void a_failpoint_acts_at_its_count(void **state)
{
	int status;

	(void)state;
	assert_int_equal(end_of("a:3:kill", "a", 2), 0);
	assert_int_equal(end_of("a:3:kill", "b", 9), 0);
	status = end_of("a:3:kill", "a", 3);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = end_of("b:1:kill,a:2:abort", "a", 2);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	status = end_of("a:1:exit", "a", 1);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 70);
	assert_int_equal(end_of("a:1:sleep", "a", 1), 0);
	assert_int_equal(end_of("nonsense", "a", 1), 0);
	assert_int_equal(end_of(NULL, "a", 1), 0);
}

static void a_failpoint_fails_once_or_for_good(void **state)
{
	(void)state;
	failpoint_set("a:2:fail,b:2:broken");
	assert_false(failpoint_fails("a"));
	assert_true(failpoint_fails("a"));
	assert_false(failpoint_fails("a"));
	assert_false(failpoint_fails("b"));
	assert_true(failpoint_fails("b"));
	assert_true(failpoint_fails("b"));
	failpoint_set(NULL);
	assert_false(failpoint_fails("b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_has_the_published_values),
		cmocka_unit_test(crc32c_is_the_same_by_instruction_and_by_table),
		cmocka_unit_test(a_checksum_covers_each_column_and_the_key),
		cmocka_unit_test(the_mark_comes_back_or_is_damaged),
		cmocka_unit_test(expiry_does_not_believe_a_clock_that_was_set_back),
		cmocka_unit_test(expiry_does_not_believe_a_clock_that_was_set_forward),
		cmocka_unit_test(a_migration_leaves_a_store_that_older_ones_refuse),
		cmocka_unit_test(a_migration_that_fails_says_why),
		cmocka_unit_test(a_failpoint_acts_at_its_count),
		cmocka_unit_test(a_failpoint_fails_once_or_for_good),
	};

	return TAP_RUN(tests);
}
