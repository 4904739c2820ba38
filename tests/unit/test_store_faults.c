/*
 * A disk that is full, a sync that fails, a process that is killed: nothing is acknowledged that isn't kept, and what
 * exists can still finish.
 */
#include "clock.h"
#include "store_rig.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct answer answer;
static struct rig rig;

/* ---- a VFS that fails on demand: SQLite's own, but for what is asked of its log ---- */

static struct {
	atomic_int syncs;      /* of the log, so far */
	atomic_int fail_sync;  /* the log's n-th sync from now fails; 0: none */
	atomic_int fail_write; /* so does its n-th write, with this errno's code */
	atomic_int write_code;
} fault;

static sqlite3_io_methods log_methods;
static const sqlite3_io_methods *real_methods;
static sqlite3_vfs vfs, *real_vfs;

static bool is_due(atomic_int *countdown)
{
	return atomic_load(countdown) > 0 && atomic_fetch_sub(countdown, 1) == 1;
}

static int log_sync(sqlite3_file *file, int flags)
{
	atomic_fetch_add(&fault.syncs, 1);
	return is_due(&fault.fail_sync) ? SQLITE_IOERR_FSYNC : real_methods->xSync(file, flags);
}

static int log_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at)
{
	if (is_due(&fault.fail_write))
		return atomic_load(&fault.write_code);
	return real_methods->xWrite(file, data, size, at);
}

static int vfs_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	int r = real_vfs->xOpen(real_vfs, name, file, flags, ret_flags);

	(void)self;
	if (r == SQLITE_OK && flags & SQLITE_OPEN_WAL) {
		real_methods = file->pMethods;
		log_methods = *file->pMethods;
		log_methods.xSync = log_sync;
		log_methods.xWrite = log_write;
		file->pMethods = &log_methods;
	}
	return r;
}

static int group_setup(void **state)
{
	(void)state;
	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.zName = "fails-on-demand";
	vfs.xOpen = vfs_open;
	return sqlite3_vfs_register(&vfs, 1);
}

static int setup(void **state)
{
	(void)state;
	atomic_store(&fault.fail_sync, 0);
	atomic_store(&fault.fail_write, 0);
	rig_init(&rig, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_done(&rig);
	return 0;
}

static void hand_over_job(uint64_t sequence, enum store_sync sync)
{
	struct store_job job = rig_job(sequence);
	struct store_batch *batch = rig_batch(&rig);

	assert_int_equal(store_save_job(batch, &job, true), 0);
	rig_hand_over(&rig, batch, sync);
}

/* ---- syncs ---- */

static void a_failed_sync_is_told_and_ends_the_store(void **state)
{
	int syncs;

	(void)state;
	rig_open(&rig);
	hand_over_job(1, STORE_SYNC);
	rig_wait(&rig);
	assert_int_equal(rig.error, 0);
	atomic_store(&fault.fail_sync, 1);
	hand_over_job(2, STORE_SYNC);
	rig_wait(&rig);
	assert_int_equal(rig.error, -EIO);
	assert_true(store_why(rig.store)[0]);
	syncs = atomic_load(&fault.syncs);
	hand_over_job(3, STORE_SYNC); /* nothing is tried again */
	rig_wait(&rig);
	assert_int_equal(rig.error, -EIO);
	rig_read_sequence(&rig, 1, &answer);
	assert_int_equal(answer.error, -EIO);
	rig_close(&rig);
	assert_int_equal(atomic_load(&fault.syncs), syncs);
	rig_open(&rig);
	rig_read_sequence(&rig, 1, &answer);
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
	rig_read_sequence(&rig, 3, &answer);
	assert_int_equal(answer.error, -ENOENT);
}

static void a_failed_sync_of_what_was_only_written_ends_the_store(void **state)
{
	(void)state;
	rig_open(&rig);
	hand_over_job(9, STORE_SYNC); /* the first syncs the log's header */
	rig_wait(&rig);
	atomic_store(&fault.fail_sync, 1);
	hand_over_job(1, STORE_WRITE);
	rig_wait(&rig);
	assert_int_equal(rig.error, 0);
	rig_turn(&rig, 5000);
	assert_int_equal(rig.died, -EIO); /* nobody has to ask */
	hand_over_job(2, STORE_WRITE);
	rig_wait(&rig);
	assert_int_equal(rig.error, -EIO);
	rig_close(&rig);
	rig_open(&rig);
}

static void a_failed_write_is_told(void **state)
{
	(void)state;
	rig_open(&rig);
	atomic_store(&fault.write_code, SQLITE_IOERR_WRITE);
	atomic_store(&fault.fail_write, 1);
	hand_over_job(1, STORE_SYNC);
	rig_wait(&rig);
	assert_int_equal(rig.error, -EIO);
}

static void a_store_whose_recovery_cannot_be_synced_does_not_open(void **state)
{
	struct rig copy;

	(void)state;
	rig_open(&rig);
	hand_over_job(1, STORE_SYNC);
	rig_wait(&rig);
	/* As it is after a crash. */
	rig_init(&copy, false);
	char command[600];

	snprintf(command, sizeof(command), "cp %s/store.* %s/", rig.directory, copy.directory);
	assert_int_equal(system(command), 0);
	for (int i = 1; i <= 12; i++) {
		atomic_store(&fault.fail_sync, i);
		if (rig_try_open(&copy) == 0)
			break;
		assert_true(copy.why[0]);
	}
	assert_non_null(copy.store);
	assert_true(atomic_load(&fault.fail_sync) > 0); /* the last one wasn't reached */
	rig_read_sequence(&copy, 1, &answer);
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
	atomic_store(&fault.fail_sync, 0);
	rig_done(&copy);
}

/* ---- room ---- */

static void jobs_can_finish_when_the_disk_is_full(void **state)
{
	struct store_job old = rig_job(1), new = rig_job(2);
	struct store_group group = { .id = rig_id(3), .sequence = 3, .state = JOB_RUNNING };
	struct store_attempt attempt = { .sequence = 1, .attempt = 1, .outcome = OUTCOME_FAILED };
	struct store_batch *batch;
	struct store_facts facts;

	(void)state;
	rig_open(&rig);
	rig_save(&rig, &old, true);
	old = rig_finished(1, JOB_FAILED);
	batch = rig_batch(&rig);
	assert_int_equal(store_save_job(batch, &new, true), 0);
	assert_int_equal(store_save_group(batch, &group, true), 0);
	assert_int_equal(store_save_job(batch, &old, false), 0);
	assert_int_equal(store_save_attempt(batch, &attempt), 0);
	atomic_store(&fault.write_code, SQLITE_FULL);
	atomic_store(&fault.fail_write, 2);
	rig_commit(&rig, batch);
	assert_int_equal(rig.refusal_count, 2);
	assert_true(rig.refusals[0].sequence == 2 && rig.refusals[0].why == STORE_NO_SPACE);
	assert_true(rig.refusals[1].sequence == 3 && rig.refusals[1].why == STORE_NO_SPACE);
	store_facts(rig.store, &facts);
	assert_true(facts.full);
	assert_int_equal(facts.finished[JOB_FAILED], 1);
	rig_read_attempts(&rig, 1, &answer);
	assert_int_equal(answer.attempt_count, 1);
	/* There is room after all: soon it takes new ones again. */
	for (int i = 0; i < 500; i++) {
		rig_save(&rig, &new, true);
		if (rig.refusal_count == 0)
			break;
		poll(NULL, 0, 10);
	}
	assert_int_equal(rig.refusal_count, 0);
	rig_close(&rig);
	rig_open(&rig); /* counts again */
}

static void without_any_room_it_waits_and_loses_nothing(void **state)
{
	struct store_job job = rig_job(1);
	struct store_batch *batch;

	(void)state;
	rig_open(&rig);
	rig_save(&rig, &job, true);
	job = rig_finished(1, JOB_FAILED);
	batch = rig_batch(&rig);
	assert_int_equal(store_save_job(batch, &job, false), 0);
	atomic_store(&fault.write_code, SQLITE_FULL);
	atomic_store(&fault.fail_write, 1);
	/* Each attempt fails at its first write, until we let it. */
	rig_hand_over(&rig, batch, STORE_SYNC);
	for (int i = 0; i < 40; i++) {
		if (atomic_load(&fault.fail_write) <= 0)
			atomic_store(&fault.fail_write, 1);
		rig_turn(&rig, 10);
	}
	atomic_store(&fault.fail_write, 0);
	rig_wait(&rig);
	assert_int_equal(rig.error, 0);
	rig_read_sequence(&rig, 1, &answer);
	assert_int_equal(answer.jobs[0].state, JOB_FAILED);
	answer_done(&answer);
}

/* A file system of 3 MiB: 1 for the ballast. Saves until it is full, finishes everything, gives room, saves again. */
static void fill_file_system(void)
{
	static char args[16384];
	uint64_t count = 0, from = 0;

	memset(args, 'a', sizeof(args));
	rig.refusal_count = 0;
	while (rig.refusal_count == 0 && count < 1000) {
		struct store_job job = rig_job(++count);

		job.args = (struct span){ args, sizeof(args) };
		rig_save(&rig, &job, true);
	}
	assert_true(count > 10 && count < 1000);
	assert_int_equal(rig.refusals[0].why, STORE_NO_SPACE);
	for (from = 1; from < count; from++) {
		struct store_job job = rig_finished(from, JOB_SUCCEEDED);

		rig_save(&rig, &job, false);
		assert_int_equal(rig.refusal_count, 0);
	}
	assert_int_equal(rig_finished_count(&rig), count - 1);
}

static void a_full_file_system_refuses_and_recovers(void **state)
{
	struct store_job job = rig_job(5000);
	struct store_batch *batch;

	(void)state;
	if (mount("gather-test", rig.directory, "tmpfs", 0, "size=3m") < 0)
		TAP_SKIP("mounting needs privileges");
	rig.options.ballast_bytes = 1 << 20;
	rig_open(&rig);
	fill_file_system();
	rig_close(&rig);
	rig_open(&rig);
	assert_true(rig_finished_count(&rig) > 10);
	batch = rig_batch(&rig);
	for (uint64_t i = 1; i < 1000; i++)
		assert_int_equal(store_remove(batch, i), 0);
	rig_commit(&rig, batch);
	assert_int_equal(rig_finished_count(&rig), 0);
	rig_close(&rig);
	assert_int_equal(mount("gather-test", rig.directory, "tmpfs", MS_REMOUNT, "size=16m"), 0);
	rig_open(&rig);
	rig_save(&rig, &job, true);
	assert_int_equal(rig.refusal_count, 0);
	rig_close(&rig);
	assert_int_equal(umount(rig.directory), 0);
}

/* In the log there would be room for it; but not in the database then, and the log could never be begun anew. */
static void what_does_not_fit_twice_is_refused(void **state)
{
	static char args[100000];
	struct store_job job;
	struct store_batch *batch;

	(void)state;
	if (mount("gather-test", rig.directory, "tmpfs", 0, "size=12m") < 0)
		TAP_SKIP("mounting needs privileges");
	rig.options.ballast_bytes = 1 << 20;
	memset(args, 'a', sizeof(args));
	rig_open(&rig);
	batch = rig_batch(&rig);
	for (uint64_t i = 1; i <= 60; i++) {
		job = rig_job(i);
		job.args = (struct span){ args, sizeof(args) };
		assert_int_equal(store_save_job(batch, &job, true), 0);
	}
	rig_commit(&rig, batch);
	assert_int_equal(rig.refusal_count, 60);
	job = rig_job(61);
	for (int i = 0; i < 500; i++) {
		rig_save(&rig, &job, true);
		if (rig.refusal_count == 0)
			break;
		poll(NULL, 0, 10);
	}
	assert_int_equal(rig.refusal_count, 0);
	rig_close(&rig);
	rig_open(&rig);
	rig_close(&rig);
	assert_int_equal(umount(rig.directory), 0);
}

/* What others have there leaves no byte. */
static void fill_up(void)
{
	static const char zeros[4096];
	int fd = open(rig_path(&rig, "others"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
}

static void a_start_may_use_the_ballast(void **state)
{
	struct store_facts facts;
	struct store_job job = rig_job(1);

	(void)state;
	if (mount("gather-test", rig.directory, "tmpfs", 0, "size=3m") < 0)
		TAP_SKIP("mounting needs privileges");
	rig.options.ballast_bytes = 1 << 20;
	rig_open(&rig);
	rig_save(&rig, &job, true);
	rig_close(&rig);
	fill_up();
	rig_open(&rig);
	store_facts(rig.store, &facts);
	assert_true(facts.full);
	job = rig_finished(1, JOB_SUCCEEDED);
	rig_save(&rig, &job, false);
	assert_int_equal(rig_finished_count(&rig), 1);
	rig_close(&rig);
	assert_int_equal(umount(rig.directory), 0);
}

static bool becomes_stalled(void)
{
	struct store_facts facts = { 0 };

	for (int i = 0; i < 500 && !facts.stalled; i++) {
		rig_turn(&rig, 10);
		store_facts(rig.store, &facts);
	}
	return facts.stalled;
}

static void a_start_needs_no_room(void **state)
{
	struct store_job job = rig_job(1), other = rig_job(2);
	static struct loaded loaded;
	struct store_batch *batch;
	struct store_facts facts;

	(void)state;
	if (mount("gather-test", rig.directory, "tmpfs", 0, "size=3m") < 0)
		TAP_SKIP("mounting needs privileges");
	rig.options.ballast_bytes = 1 << 20;
	rig.options.boot_id = "first";
	rig_open(&rig);
	rig_save(&rig, &job, true);
	rig_close(&rig);
	assert_int_equal(unlink(rig_path(&rig, "store.ballast")), 0);
	fill_up();
	rig.options.boot_id = "second"; /* which has to be noted, too */
	for (int i = 0; i < 2; i++) {
		rig_open(&rig);
		store_facts(rig.store, &facts);
		assert_true(facts.full);
		rig_load(&rig, &loaded);
		assert_int_equal(loaded.job_count, 1);
		loaded_done(&loaded);
		rig_save(&rig, &other, true); /* what is new is refused, and doesn't wait */
		assert_int_equal(rig.refusal_count, 1);
		assert_int_equal(rig.refusals[0].why, STORE_NO_SPACE);
		if (i == 0)
			rig_close(&rig);
	}
	job = rig_finished(1, JOB_SUCCEEDED);
	batch = rig_batch(&rig);
	assert_int_equal(store_save_job(batch, &job, false), 0);
	rig_hand_over(&rig, batch, STORE_SYNC);
	assert_true(becomes_stalled());
	assert_int_equal(unlink(rig_path(&rig, "others")), 0);
	rig_wait(&rig);
	assert_int_equal(rig.error, 0);
	assert_int_equal(rig.refusal_count, 0);
	rig_close(&rig);
	rig_open(&rig);
	assert_int_equal(rig_finished_count(&rig), 1);
	rig_save(&rig, &other, true);
	assert_int_equal(rig.refusal_count, 0);
	rig_close(&rig);
	rig.options.boot_id = NULL;
	assert_int_equal(umount(rig.directory), 0);
}

/* A limit of the size of files is no room, too; its signal goes nowhere. */
static void child_limited(void)
{
	static char args[8192];
	const struct rlimit limit = { 1 << 20, 1 << 20 };
	unsigned refused = 0;

	rig_open(&rig);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		_exit(2);
	memset(args, 'a', sizeof(args));
	for (uint64_t i = 1; i <= 80; i++) {
		struct store_job job = rig_job(i);

		job.args = (struct span){ args, sizeof(args) };
		rig_save(&rig, &job, true);
		refused += rig.refusal_count;
	}
	_exit(refused > 0 ? 0 : 1);
}

static void a_limit_of_file_sizes_is_no_room(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		child_limited();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- kill -9 ---- */

/* Commit until killed; say which are acknowledged. */
static void child_run(int out, uint64_t from)
{
	rig_open(&rig);
	for (uint64_t i = from;; i++) {
		struct store_job job = rig_job(i);
		struct store_batch *batch = rig_batch(&rig);

		assert_int_equal(store_save_job(batch, &job, true), 0);
		if (i > from) {
			job = rig_finished(i - 1, JOB_SUCCEEDED);
			assert_int_equal(store_save_job(batch, &job, false), 0);
		}
		rig_hand_over(&rig, batch, i % 2 ? STORE_SYNC : STORE_WRITE);
		rig_wait(&rig);
		if (rig.error || write(out, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

/* After so many acknowledgements, somewhere in the next one. */
static uint64_t kill_one(uint64_t from, int after)
{
	uint64_t last = from - 1, told;
	int out[2], status;
	pid_t child;

	assert_int_equal(pipe(out), 0);
	child = fork();
	if (child == 0) {
		close(out[0]);
		child_run(out[1], from);
	}
	close(out[1]);
	while (after-- > 0 && read(out[0], &told, sizeof(told)) == sizeof(told))
		last = told;
	poll(NULL, 0, (int)(from % 3));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	while (read(out[0], &told, sizeof(told)) == sizeof(told))
		last = told;
	close(out[0]);
	return last;
}

static void what_was_acknowledged_outlives_kill_9(void **state)
{
	uint64_t next = 1, last;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct store_facts facts;

		last = kill_one(next, round);
		rig_open(&rig);
		for (uint64_t i = next; i <= last; i++) {
			rig_read_sequence(&rig, i, &answer);
			assert_int_equal(answer.error, 0);
			if (i < last)
				assert_int_equal(answer.jobs[0].state, JOB_SUCCEEDED);
			answer_done(&answer);
		}
		store_facts(rig.store, &facts);
		assert_true(facts.last_sequence >= last && facts.last_sequence <= last + 1);
		next = facts.last_sequence + 1;
		rig_close(&rig);
	}
	assert_true(next > 190);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_failed_sync_is_told_and_ends_the_store),
		CASE(a_failed_sync_of_what_was_only_written_ends_the_store),
		CASE(a_failed_write_is_told),
		CASE(a_store_whose_recovery_cannot_be_synced_does_not_open),
		CASE(jobs_can_finish_when_the_disk_is_full),
		CASE(without_any_room_it_waits_and_loses_nothing),
		CASE(a_full_file_system_refuses_and_recovers),
		CASE(what_does_not_fit_twice_is_refused),
		CASE(a_start_may_use_the_ballast),
		CASE(a_start_needs_no_room),
		CASE(a_limit_of_file_sizes_is_no_room),
		CASE(what_was_acknowledged_outlives_kill_9),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
