#include "slab.h"
#include "tap_main.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY 20000
#define BYTES 77

static unsigned char *objects[MANY];

static void take_all(struct slab *s)
{
	for (int i = 0; i < MANY; i++) {
		objects[i] = slab_take(s);
		assert_non_null(objects[i]);
		assert_int_equal((uintptr_t)objects[i] % 8, 0);
		memset(objects[i], i % 251, BYTES);
	}
}

static void expect_own_bytes(int i)
{
	for (int k = 0; k < BYTES; k++)
		assert_int_equal(objects[i][k], i % 251);
}

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Whether objects stand in chunks; not so under valgrind and the sanitizers. */
static bool has_chunks(struct slab *s)
{
	char *first = slab_take(s), *second = slab_take(s);
	bool side_by_side = second - first == (BYTES + 7) / 8 * 8;

	slab_give(first);
	slab_give(second);
	return side_by_side;
}

static void no_two_objects_share_a_byte(void **state)
{
	struct slab s;

	(void)state;
	slab_init(&s, BYTES);
	take_all(&s);
	for (int i = 0; i < MANY; i += 2)
		slab_give(objects[i]);
	for (int i = 0; i < MANY; i += 2) {
		objects[i] = slab_take(&s);
		memset(objects[i], i % 251, BYTES);
	}
	for (int i = 0; i < MANY; i++)
		expect_own_bytes(i);
	for (int i = 0; i < MANY; i++)
		slab_give(objects[i]);
	slab_done(&s);
}

static void a_freed_object_is_the_next_one(void **state)
{
	struct slab s;
	void *object;

	(void)state;
	slab_init(&s, BYTES);
	if (!has_chunks(&s)) {
		slab_done(&s);
		TAP_SKIP("no chunks here");
	}
	object = slab_take(&s);
	slab_give(object);
	assert_ptr_equal(slab_take(&s), object);
	slab_give(object);
	slab_give(NULL);
	slab_done(&s);
}

static void chunks_without_objects_go_back_to_the_system(void **state)
{
	struct slab s;
	long before, full;

	(void)state;
	slab_init(&s, BYTES);
	if (!has_chunks(&s)) {
		slab_done(&s);
		TAP_SKIP("no chunks here");
	}
	before = resident_kib();
	for (int round = 0; round < 3; round++) {
		take_all(&s);
		full = resident_kib();
		assert_true(full - before > MANY * BYTES / 1024 / 2);
		for (int i = 0; i < MANY; i++)
			slab_give(objects[i]);
		assert_true(resident_kib() - before < (full - before) / 2);
	}
	slab_done(&s);
}

static void objects_may_outlive_their_slab(void **state)
{
	struct slab *s = malloc(sizeof(*s));

	(void)state;
	assert_non_null(s);
	slab_init(s, BYTES);
	take_all(s);
	slab_give(objects[0]);
	slab_done(s);
	free(s);
	for (int i = 1; i < MANY; i++)
		expect_own_bytes(i);
	for (int i = 1; i < MANY; i++)
		slab_give(objects[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_objects_share_a_byte),
		cmocka_unit_test(a_freed_object_is_the_next_one),
		cmocka_unit_test(chunks_without_objects_go_back_to_the_system),
		cmocka_unit_test(objects_may_outlive_their_slab),
	};

	return TAP_RUN(tests);
}
