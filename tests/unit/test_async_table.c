/* The table of tasks as memory: its slots, and bytes that are no table. */
#include "async_check.h"
#include "tap_main.h"
#include "task_reader.h"
#include "task_slab.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int nap(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(1));
}

static int await_it(const void *future)
{
	return ga_await((ga_future *)(uintptr_t)future);
}

static int gather_two(const void *futures)
{
	ga_future *const *both = futures;

	return ga_gather(both, 2, 0);
}

/* A deterministic generator: a failing case can be run again. */
static uint64_t random_state = 1;

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void slots_are_distinct_whatever_order_they_come_and_go_in(void **state GA_UNUSED)
{
	enum { SLOTS = 3000 };
	static struct task_row *slots[SLOTS];
	struct task_slab *slab;
	uint32_t used = 0;

	assert_int_equal(task_slab_new(208, &slab), 0);
	for (int i = 0; i < 200000; i++) {
		size_t at = draw() % SLOTS;

		if (slots[at]) {
			assert_int_equal(slots[at]->stack_bytes, at);
			task_slab_give(slab, slots[at]);
			slots[at] = NULL;
			used--;
		} else {
			slots[at] = task_slab_take(slab);
			assert_non_null(slots[at]);
			slots[at]->stack_bytes = (uint32_t)at;
			used++;
		}
		assert_int_equal(slab->used - slab->hot_count, used);
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (slots[i])
			task_slab_give(slab, slots[i]);
	task_slab_close(slab);
}

/* ---- garbage ---- */

/* All that a reader can be asked, of whatever stands in the file. */
static void read_all(int fd)
{
	const struct ga_task_info *info;
	const struct ga_site_use *use;
	struct ga_loop_info loop;
	ga_tasks *tasks;
	size_t length = 0;

	if (tasks_open_fd(fd, &tasks) < 0)
		return;
	for (int pass = 0; pass < 2; pass++) {
		while ((info = ga_tasks_next(tasks)) != NULL) {
			assert_in_range(info->state, GA_TASK_NEW, GA_TASK_DONE);
			assert_true(info->age_ns >= 0 && info->since_ns >= 0);
			length += strlen(info->name) + strlen(info->site) + strlen(info->waits_for);
		}
		while ((use = ga_tasks_next_site(tasks)) != NULL)
			length += strlen(use->name) + strlen(use->site);
		ga_tasks_rewind(tasks);
	}
	assert_true(ga_tasks_loop(tasks, 0, &loop));
	assert_false(ga_tasks_loop(tasks, 1, &loop));
	ga_tasks_close(tasks);
	assert_true(length < 1000000000);
}

/* A table with tasks in all relations, as a file. */
static unsigned char *sample;
static size_t sample_size;

static void damage(unsigned char *table, size_t size)
{
	size_t places[] = { sizeof(struct table_header), 4096, 8192, size };
	unsigned count = 1 + (unsigned)(draw() % 40);
	struct table_header header;

	memcpy(&header, sample, sizeof(header));
	for (unsigned i = 0; i < 4; i++) { /* rows that are still rows */
		size_t row = TABLE_CHUNKS_AT + draw() % 8 * header.row_bytes;
		size_t field = draw() % sizeof(struct task_row);

		table[row + field] = (unsigned char)(draw() % 6);
		table[row + offsetof(struct task_row, target_is)] = (unsigned char)(draw() % 6);
	}
	for (unsigned i = 0; i < count; i++) {
		size_t at = (draw() % 4 == 0) ? TABLE_CHUNKS_AT + draw() % 16384
					      : draw() % places[draw() % 4];

		if (at + 8 > size || (at < 12 && draw() % 16))
			continue; /* mostly a table that still says it is one */
		switch (draw() % 4) {
		case 0:
			table[at] = (unsigned char)draw();
			break;
		case 1:
			memset(table + at, 0xff, 8);
			break;
		case 2:
			table[at] ^= (unsigned char)(1u << draw() % 8);
			break;
		default:
			memset(table + at, 0, 8);
		}
	}
}

CASE(take_a_sample)
{
	GA_AUTO ga_future *one = ga_spawn(nap, NULL);
	GA_AUTO ga_future *two = ga_spawn(nap, NULL);
	ga_future *children[] = { one, two };
	GA_AUTO ga_future *parent = ga_spawn(gather_two, children);
	GA_AUTO ga_future *waiter = ga_spawn(await_it, parent);
	const char *header;

	EXPECT(one_turn() == 0);
	header = (const char *)runtime_current()->slab->header;
	sample_size = TABLE_CHUNKS_AT + TABLE_CHUNK_BYTES;
	sample = malloc(sample_size);
	memcpy(sample, header, TABLE_CHUNKS_AT);
	memset(sample + TABLE_CHUNKS_AT, 0, TABLE_CHUNK_BYTES);
	memcpy(sample + TABLE_CHUNKS_AT, header + TABLE_CHUNKS_AT,
	       16 * runtime_current()->slab->row_bytes);
	ga_cancel(waiter);
	EXPECT(ga_await(waiter) == -ECANCELED); /* the others hold what lies on this stack */
	return 0;
}

static void no_bytes_in_a_table_hurt_its_reader(void **state GA_UNUSED)
{
	int fd = memfd_create("damaged", MFD_CLOEXEC);
	unsigned char *bytes;

	assert_true(fd >= 0);
	take_a_sample(NULL);
	bytes = malloc(sample_size);
	assert_int_equal(pwrite(fd, sample, sample_size, 0), sample_size);
	read_all(fd);
	for (int i = 0; i < 10000; i++) {
		size_t hot = TABLE_CHUNKS_AT + 16384;

		/* What a change can reach is written again, not all of the megabyte. */
		memcpy(bytes, sample, sample_size);
		damage(bytes, sample_size);
		assert_true(pwrite(fd, bytes, 8192, 0) == 8192);
		assert_true(pwrite(fd, bytes + TABLE_CHUNKS_AT, hot - TABLE_CHUNKS_AT,
				   TABLE_CHUNKS_AT) > 0);
		if (i % 10 == 9)
			assert_int_equal(ftruncate(fd, (off_t)(draw() % (2 * sample_size))), 0);
		read_all(fd);
	}
	free(bytes);
	free(sample);
	close(fd);
}

static void random_bytes_and_odd_files_are_no_table(void **state GA_UNUSED)
{
	int fd = memfd_create("random", MFD_CLOEXEC), ends[2];
	uint64_t words[1024];
	ga_tasks *tasks;

	for (int i = 0; i < 1000; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(words); k++)
			words[k] = draw();
		assert_int_equal(pwrite(fd, words, sizeof(words), 0), sizeof(words));
		assert_int_equal(tasks_open_fd(fd, &tasks), -EPROTO);
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(tasks_open_fd(fd, &tasks), -EPROTO);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(tasks_open_fd(ends[0], &tasks), -EPROTO);
	assert_int_equal(tasks_open_fd(-1, &tasks), -EPROTO);
	close(ends[0]);
	close(ends[1]);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_distinct_whatever_order_they_come_and_go_in),
		cmocka_unit_test(no_bytes_in_a_table_hurt_its_reader),
		cmocka_unit_test(random_bytes_and_odd_files_are_no_table),
	};

	return TAP_RUN(tests);
}
