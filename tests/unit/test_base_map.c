#include "map.h"
#include "random.h"
#include "tap_main.h"
#include <stdlib.h>
#include <string.h>

struct item {
	uint64_t key;
	bool inside;
};

static bool item_matches(const void *item, const void *key)
{
	return ((const struct item *)item)->key == *(const uint64_t *)key;
}

static void an_empty_map_finds_nothing(void **state)
{
	uint64_t key = 1;
	uint32_t pos = 0;
	struct map m;

	(void)state;
	map_init(&m, item_matches);
	assert_null(map_get(&m, 1, &key));
	assert_null(map_take(&m, 1, &key));
	assert_null(map_take_any(&m));
	assert_null(map_next(&m, &pos));
	map_done(&m);
	map_done(&m);
}

/* Run the map against an array of flags; `mask` narrows the hashes to force collisions. */
static void compare_with_flags(uint64_t seed, uint64_t mask)
{
	struct item items[500] = { 0 };
	struct random r;
	struct map m;
	uint32_t inside = 0;

	random_seed(&r, seed);
	map_init(&m, item_matches);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		items[i].key = i;
	for (int step = 0; step < 40000; step++) {
		/* Alternate between filling and emptying, so that every load is met. */
		bool fill = random_below(&r, 100) < (step / 4000 % 2 ? 20u : 80u);
		struct item *it = &items[random_below(&r, ARRAY_SIZE(items))];
		uint64_t hash = it->key & mask;

		assert_ptr_equal(map_get(&m, hash, &it->key), it->inside ? it : NULL);
		if (fill && !it->inside) {
			assert_int_equal(map_put(&m, hash, it), 0);
			it->inside = true;
			inside++;
		} else if (!fill) {
			assert_ptr_equal(map_take(&m, hash, &it->key), it->inside ? it : NULL);
			inside -= it->inside;
			it->inside = false;
		}
		assert_int_equal(m.used, inside);
	}
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		assert_ptr_equal(map_get(&m, items[i].key & mask, &items[i].key),
				 items[i].inside ? &items[i] : NULL);
	map_done(&m);
}

static void it_does_what_an_array_of_flags_does(void **state)
{
	(void)state;
	compare_with_flags(1, UINT64_MAX);
}

static void it_does_so_when_hashes_collide(void **state)
{
	(void)state;
	compare_with_flags(2, 15);
	compare_with_flags(3, 0);
}

static struct item *filled(struct map *m, size_t count)
{
	struct item *items = calloc(count, sizeof(*items));

	assert_non_null(items);
	map_init(m, item_matches);
	for (size_t i = 0; i < count; i++) {
		items[i].key = i;
		assert_int_equal(
			map_put(m, hash_bytes(&items[i].key, sizeof(items[i].key)), &items[i]), 0);
	}
	return items;
}

static void iteration_meets_each_item_once(void **state)
{
	const size_t count = 1000;
	struct item *items, *it;
	uint32_t pos = 0;
	struct map m;

	(void)state;
	items = filled(&m, count);
	while ((it = map_next(&m, &pos))) {
		assert_false(it->inside);
		it->inside = true;
	}
	for (size_t i = 0; i < count; i++)
		assert_true(items[i].inside);
	map_done(&m);
	free(items);
}

static void emptying_takes_each_item_once(void **state)
{
	const size_t count = 100000;
	struct item *items, *it;
	size_t taken = 0;
	struct map m;

	(void)state;
	items = filled(&m, count);
	for (; (it = map_take_any(&m)); taken++) {
		assert_false(it->inside);
		it->inside = true;
	}
	assert_int_equal(taken, count);
	assert_int_equal(m.used, 0);
	assert_int_equal(map_put(&m, 5, &items[5]), 0); /* still usable */
	assert_ptr_equal(map_take_any(&m), &items[5]);
	map_done(&m);
	free(items);
}

static void it_grows_at_seven_eighths(void **state)
{
	struct item items[15] = { 0 };
	struct map m;

	(void)state;
	map_init(&m, item_matches);
	for (size_t i = 0; i < 14; i++)
		assert_int_equal(map_put(&m, i, &items[i]), 0);
	assert_int_equal(m.size, 16);
	assert_int_equal(map_put(&m, 14, &items[14]), 0);
	assert_int_equal(m.size, 32);
	map_done(&m);
}

static void hash_bytes_sees_every_bit_and_the_size(void **state)
{
	char text[100] = { 0 };

	(void)state;
	for (size_t size = 0; size <= sizeof(text); size++) {
		uint64_t hash = hash_bytes(text, size);

		assert_true(hash == hash_bytes(text, size));
		if (size > 0)
			assert_true(hash != hash_bytes(text, size - 1));
		for (size_t bit = 0; bit < size * 8; bit++) {
			text[bit / 8] ^= (char)(1 << bit % 8);
			assert_true(hash != hash_bytes(text, size));
			text[bit / 8] ^= (char)(1 << bit % 8);
		}
	}
}

static void hash_bytes_sees_the_order_of_its_blocks(void **state)
{
	char text[64], swapped[64];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('A' + i);
	for (size_t i = 0; i < sizeof(text); i += 8)
		for (size_t j = 0; j < i; j += 8) {
			memcpy(swapped, text, sizeof(text));
			memcpy(swapped + i, text + j, 8);
			memcpy(swapped + j, text + i, 8);
			assert_true(hash_bytes(text, sizeof(text)) !=
				    hash_bytes(swapped, sizeof(swapped)));
		}
}

static void hash_bytes_ignores_alignment(void **state)
{
	char room[64];
	uint64_t hash = hash_bytes("queue-name-of-33-bytes-xxxxxxxxxx", 33);

	(void)state;
	for (size_t i = 0; i < 16; i++) {
		memcpy(room + i, "queue-name-of-33-bytes-xxxxxxxxxx", 33);
		assert_true(hash_bytes(room + i, 33) == hash);
	}
}

/* With 64 buckets, 64,000 keys: each bucket is within 8 standard deviations of 1,000, on all six-bit windows. */
static void hash_bytes_spreads_similar_keys(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift <= 58; shift++) {
		unsigned counts[64] = { 0 };

		for (uint64_t key = 0; key < 64000; key++)
			counts[hash_bytes(&key, sizeof(key)) >> shift & 63]++;
		for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
			assert_in_range(counts[i], 750, 1250);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_finds_nothing),
		cmocka_unit_test(it_does_what_an_array_of_flags_does),
		cmocka_unit_test(it_does_so_when_hashes_collide),
		cmocka_unit_test(iteration_meets_each_item_once),
		cmocka_unit_test(emptying_takes_each_item_once),
		cmocka_unit_test(it_grows_at_seven_eighths),
		cmocka_unit_test(hash_bytes_sees_every_bit_and_the_size),
		cmocka_unit_test(hash_bytes_sees_the_order_of_its_blocks),
		cmocka_unit_test(hash_bytes_ignores_alignment),
		cmocka_unit_test(hash_bytes_spreads_similar_keys),
	};

	return TAP_RUN(tests);
}
