#include "clock.h"
#include "random.h"
#include "tap_main.h"
#include "uuid.h"
#include <errno.h>
#include <string.h>

static void a_uuid_holds_its_parts_where_rfc_9562_says(void **state)
{
	char text[UUID_TEXT_SIZE];
	struct uuid id;

	(void)state;
	/* RFC 9562, appendix A.6 */
	uuid7_make(&id, UINT64_C(0x017F22E279B0), 0xCC3, UINT64_C(0x18C4DC0C0C07398F));
	uuid_format(&id, text);
	assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
	uuid7_make(&id, UINT64_MAX, UINT16_MAX, UINT64_MAX);
	uuid_format(&id, text);
	assert_string_equal(text, "ffffffff-ffff-7fff-bfff-ffffffffffff");
	uuid7_make(&id, 0, 0, 0);
	uuid_format(&id, text);
	assert_string_equal(text, "00000000-0000-7000-8000-000000000000");
}

static void a_uuid_reads_back(void **state)
{
	char text[UUID_TEXT_SIZE];
	struct random r;

	(void)state;
	random_seed(&r, 1);
	for (int i = 0; i < 1000; i++) {
		struct uuid id, back;

		uuid7_make(&id, random_next(&r), (uint16_t)random_next(&r), random_next(&r));
		uuid_format(&id, text);
		assert_int_equal(uuid_parse(text, strlen(text), &back), 0);
		assert_true(uuid_equal(&id, &back));
		assert_true(uuid_hash(&id) == uuid_hash(&back));
		back.b[15] ^= 1;
		assert_false(uuid_equal(&id, &back));
		assert_true(uuid_hash(&id) != uuid_hash(&back));
	}
}

static void what_is_no_uuid_is_refused(void **state)
{
	static const char right[] = "017F22e2-79B0-7cc3-98c4-dc0c0c07398f";
	char text[UUID_TEXT_SIZE];
	struct uuid id = { { 0 } }, before = id;

	(void)state;
	assert_int_equal(uuid_parse(right, 35, &id), -EINVAL);
	assert_int_equal(uuid_parse(right, 37, &id), -EINVAL);
	assert_int_equal(uuid_parse("", 0, &id), -EINVAL);
	for (size_t i = 0; i < sizeof(right) - 1; i++) {
		memcpy(text, right, sizeof(text));
		text[i] = text[i] == '-' ? '0' : 'g';
		assert_int_equal(uuid_parse(text, sizeof(text) - 1, &id), -EINVAL);
		text[i] = '-';
		if (right[i] != '-')
			assert_int_equal(uuid_parse(text, sizeof(text) - 1, &id), -EINVAL);
	}
	assert_true(uuid_equal(&id, &before));
	assert_int_equal(uuid_parse(right, 36, &id), 0);
}

static void uuids_of_one_millisecond_hash_apart(void **state)
{
	unsigned counts[64] = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 64000; i++) {
		struct uuid id;

		uuid7_make(&id, 1, 0, i << 22);
		counts[uuid_hash(&id) & 63]++;
	}
	for (int i = 0; i < 64; i++)
		assert_in_range(counts[i], 750, 1250);
}

static void the_generator_matches_its_reference(void **state)
{
	/* From the state 1, 2, 3, 4, as the authors' program prints them. */
	static const uint64_t expected[] = { 11520,
					     0,
					     1509978240,
					     1215971899390074240,
					     1216172134540287360,
					     607988272756665600,
					     UINT64_C(16172922978634559625),
					     8476171486693032832,
					     UINT64_C(10595114339597558777),
					     2904607092377533576 };
	struct random r = { { 1, 2, 3, 4 } }, a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_true(random_next(&r) == expected[i]);
	random_seed(&a, 99);
	random_seed(&b, 99);
	for (int i = 0; i < 100; i++)
		assert_true(random_next(&a) == random_next(&b));
	random_seed(&b, 100);
	assert_true(random_next(&a) != random_next(&b));
	random_seed_from_system(&a);
	random_seed_from_system(&b);
	assert_true(random_next(&a) != random_next(&b));
}

static void random_below_is_fair_and_below(void **state)
{
	unsigned counts[10] = { 0 };
	struct random r;

	(void)state;
	random_seed(&r, 6);
	for (int i = 0; i < 100000; i++) {
		counts[random_below(&r, 10)]++;
		assert_true(random_below(&r, 1) == 0);
		assert_true(random_below(&r, UINT64_MAX) < UINT64_MAX);
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(counts[i], 9500, 10500);
}

static void random_unit_is_in_zero_to_one(void **state)
{
	double sum = 0;
	struct random r;

	(void)state;
	random_seed(&r, 8);
	for (int i = 0; i < 100000; i++) {
		double x = random_unit(&r);

		assert_true(x >= 0 && x < 1);
		sum += x;
	}
	assert_true(sum > 49500 && sum < 50500);
}

static void clocks_go_forward_and_times_saturate(void **state)
{
	int64_t before = clock_monotonic(), boot = clock_boottime();

	(void)state;
	assert_true(before > 0 && clock_monotonic() >= before);
	assert_true(boot > 0 && clock_boottime() >= boot);
	assert_true(clock_wall() > INT64_C(1700000000) * NSEC_PER_SEC);
	assert_true(time_add(1, 2) == 3);
	assert_true(time_add(-5, 2) == -3);
	assert_true(time_add(TIME_NEVER - 1, 1) == TIME_NEVER);
	assert_true(time_add(TIME_NEVER - 1, 2) == TIME_NEVER);
	assert_true(time_add(2, TIME_NEVER) == TIME_NEVER);
	assert_true(time_add(0, TIME_NEVER) == TIME_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uuid_holds_its_parts_where_rfc_9562_says),
		cmocka_unit_test(a_uuid_reads_back),
		cmocka_unit_test(what_is_no_uuid_is_refused),
		cmocka_unit_test(uuids_of_one_millisecond_hash_apart),
		cmocka_unit_test(the_generator_matches_its_reference),
		cmocka_unit_test(random_below_is_fair_and_below),
		cmocka_unit_test(random_unit_is_in_zero_to_one),
		cmocka_unit_test(clocks_go_forward_and_times_saturate),
	};

	return TAP_RUN(tests);
}
