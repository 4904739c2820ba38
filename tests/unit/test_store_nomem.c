/*
 * What the store promises when memory runs out: -ENOMEM, and everything as it was. The linker gives this program's
 * allocations to the functions below (--wrap); SQLite's are given to it by its configuration.
 */
#include "store_rig.h"
#include <errno.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* The n-th allocation from now fails, of any thread; 0: none. */
static atomic_int ours, sqlites;

static bool is_due(atomic_int *countdown)
{
	return atomic_load(countdown) > 0 && atomic_fetch_sub(countdown, 1) == 1;
}

void *__wrap_malloc(size_t size)
{
	return is_due(&ours) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_due(&ours) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return is_due(&ours) ? NULL : __real_realloc(old, size);
}

static sqlite3_mem_methods real_memory;

static void *sqlite_malloc(int size)
{
	return is_due(&sqlites) ? NULL : real_memory.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
	return is_due(&sqlites) ? NULL : real_memory.xRealloc(old, size);
}

static struct rig rig;
static struct answer answer;

static int group_setup(void **state)
{
	sqlite3_mem_methods memory;

	(void)state;
	setenv("TMPDIR", "/dev/shm", 1);
	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
	memory = real_memory;
	memory.xMalloc = sqlite_malloc;
	memory.xRealloc = sqlite_realloc;
	return sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
}

static int setup_kind(bool in_memory)
{
	rig_init(&rig, in_memory);
	rig_open(&rig);
	return 0;
}

static int setup_memory(void **state)
{
	(void)state;
	return setup_kind(true);
}

static int setup_sqlite(void **state)
{
	(void)state;
	return setup_kind(false);
}

static int teardown(void **state)
{
	(void)state;
	atomic_store(&ours, 0);
	atomic_store(&sqlites, 0);
	rig_done(&rig);
	return 0;
}

/* One of each kind of change. */
static int save_one(struct store_batch *batch, uint64_t i)
{
	struct store_job job = rig_job(i);
	struct store_attempt attempt = { .sequence = i, .attempt = 1, .log = SPAN("log") };
	struct store_group group = { .id = rig_id(i), .sequence = i, .state = JOB_RUNNING };
	struct store_document document = { SPAN("kind"), SPAN("name"), SPAN("{}") };

	switch (i % 5) {
	case 0:
		return store_save_attempt(batch, &attempt);
	case 1:
		return store_save_group(batch, &group, true);
	case 2:
		return store_save_document(batch, &document);
	case 3:
		return store_remove(batch, 100000 + i);
	default:
		return store_save_job(batch, &job, true);
	}
}

static void a_batch_is_as_it_was_after_a_failed_save(void **state)
{
	struct store_batch *batch = rig_batch(&rig);
	unsigned failed = 0;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		atomic_store(&ours, 1);
		int r = save_one(batch, i);

		atomic_store(&ours, 0);
		assert_true(r == 0 || r == -ENOMEM);
		failed += r < 0;
		if (r < 0)
			assert_int_equal(save_one(batch, i), 0);
	}
	assert_true(failed > 3);
	rig_commit(&rig, batch);
	assert_int_equal(rig.refusal_count, 0);
	for (uint64_t i = 4; i <= 1000; i += 5) {
		rig_read_sequence(&rig, i, &answer);
		assert_int_equal(answer.error, 0);
		answer_done(&answer);
	}
}

static void no_memory_for_a_batch_or_a_read_is_told(void **state)
{
	struct store_filter filter = { .type = SPAN("sleep"), .limit = 1 };
	struct uuid id = rig_id(1);
	struct store_read *read;

	(void)state;
	atomic_store(&ours, 1);
	assert_null(store_batch_new(rig.store));
	atomic_store(&ours, 1);
	assert_int_equal(store_read_job(rig.store, &id, NULL, NULL, &read), -ENOMEM);
	atomic_store(&ours, 2);
	assert_int_equal(store_list(rig.store, &filter, NULL, NULL, &read), -ENOMEM);
	atomic_store(&ours, 2);
	assert_int_equal(store_backup(rig.store, "x", NULL, NULL, &read), -ENOMEM);
	atomic_store(&ours, 0);
}

static void an_answer_without_memory_says_so(void **state)
{
	struct store_filter filter = { .limit = 10 };
	struct store_job job = rig_finished(1, JOB_FAILED);
	struct store_attempt attempt = { .sequence = 1, .attempt = 1, .log = SPAN("log") };
	struct store_group group = { .id = rig_id(2), .sequence = 2, .spec = SPAN("{}") };
	struct store_batch *batch = rig_batch(&rig);

	(void)state;
	group.state = JOB_RUNNING;
	assert_int_equal(store_save_job(batch, &job, true), 0);
	assert_int_equal(store_save_attempt(batch, &attempt), 0);
	assert_int_equal(store_save_group(batch, &group, true), 0);
	rig_commit(&rig, batch);
	for (int kind = 0; kind < 4; kind++) {
		/* The first allocation is the read itself. */
		for (int n = 2; n < 20; n++) {
			atomic_store(&ours, n);
			if (kind == 0)
				rig_read_sequence(&rig, 1, &answer);
			else if (kind == 1)
				rig_read_attempts(&rig, 1, &answer);
			else if (kind == 2)
				rig_read_group(&rig, &group.id, &answer);
			else
				rig_list(&rig, &filter, &answer);
			int left = atomic_exchange(&ours, 0);

			answer_done(&answer);
			assert_true(answer.error == 0 || answer.error == -ENOMEM);
			if (left > 0)
				break;
			assert_true(n > 2 || answer.error == -ENOMEM);
		}
	}
}

/* What is refused has to be noted: without memory for it, nothing of the transaction is told as kept. */
static void a_commit_without_memory_is_told(void **state)
{
	struct store_batch *batch = rig_batch(&rig);
	struct store_job job = rig_job(7);

	(void)state;
	assert_int_equal(store_save_job(batch, &job, false), 0); /* gone */
	atomic_store(&ours, 1);
	rig_hand_over(&rig, batch, STORE_SYNC);
	rig_wait(&rig);
	assert_int_equal(rig.error, -ENOMEM);
	assert_true(store_why(rig.store)[0]);
}

static void an_open_without_memory_fails_and_leaves_nothing(void **state)
{
	struct store_job job = rig_job(1);
	int n, r;

	(void)state;
	rig_save(&rig, &job, true);
	rig_close(&rig);
	for (n = 1; n < 500; n++) {
		atomic_store(&ours, n);
		r = rig_try_open(&rig);
		if (atomic_exchange(&ours, 0) > 0)
			break;
		if (r == 0)
			rig_close(&rig);
		else
			assert_int_equal(r, -ENOMEM);
	}
	assert_true(n > 3 && n < 500);
	assert_int_equal(r, 0);
}

static void sqlite_without_memory_fails_to_open(void **state)
{
	struct store_job job = rig_job(1);
	int n, r = 0;

	(void)state;
	rig_save(&rig, &job, true);
	rig_close(&rig);
	for (n = 1; n < 20000; n += 1 + n / 50) {
		atomic_store(&sqlites, n);
		r = rig_try_open(&rig);
		if (atomic_exchange(&sqlites, 0) > 0)
			break;
		if (r != 0 && r != -ENOMEM)
			print_message("# %d: %d %s\n", n, r, rig.why);
		if (r == 0)
			rig_close(&rig); /* it did without */
		else
			assert_int_equal(r, -ENOMEM);
	}
	assert_true(n > 100);
	assert_int_equal(r, 0);
	rig_read_sequence(&rig, 1, &answer);
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
}

/* Each commit is kept whole, or told to have failed: on a store that was just opened, each time. */
static void sqlite_without_memory_fails_commits(void **state)
{
	int left = 0, failed = 0;

	(void)state;
	for (int n = 1; left == 0 && n < 5000; n += 1 + n / 50) {
		uint64_t i = (uint64_t)n * 10;
		struct store_job job = rig_job(i), other = rig_finished(i + 1, JOB_FAILED);
		struct store_batch *batch = rig_batch(&rig);
		int error;

		other.key = SPAN("key");
		assert_int_equal(store_save_job(batch, &job, true), 0);
		assert_int_equal(store_save_job(batch, &other, true), 0);
		atomic_store(&sqlites, n);
		rig_hand_over(&rig, batch, STORE_SYNC);
		rig_wait(&rig);
		left = atomic_exchange(&sqlites, 0);
		error = rig.error;
		assert_true(error == 0 || error == -ENOMEM);
		failed += error != 0;
		rig_close(&rig); /* upkeep may have had none either */
		rig_open(&rig);
		rig_read_sequence(&rig, i, &answer);
		assert_int_equal(answer.error, error ? -ENOENT : 0);
		answer_done(&answer);
	}
	assert_true(failed > 20 && left > 0);
}

#define ON_BOTH(test)                                                                              \
	{ #test " (memory)", test, setup_memory, teardown, NULL },                                 \
	{                                                                                          \
#test " (sqlite)", test, setup_sqlite, teardown, NULL                              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(a_batch_is_as_it_was_after_a_failed_save),
		ON_BOTH(no_memory_for_a_batch_or_a_read_is_told),
		ON_BOTH(an_answer_without_memory_says_so),
		ON_BOTH(a_commit_without_memory_is_told),
		{ "an_open_without_memory_fails_and_leaves_nothing",
		  an_open_without_memory_fails_and_leaves_nothing, setup_sqlite, teardown, NULL },
		{ "sqlite_without_memory_fails_to_open", sqlite_without_memory_fails_to_open,
		  setup_sqlite, teardown, NULL },
		{ "sqlite_without_memory_fails_commits", sqlite_without_memory_fails_commits,
		  setup_sqlite, teardown, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
