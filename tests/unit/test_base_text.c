#include "clock.h"
#include "random.h"
#include "tap_main.h"
#include "text.h"
#include <errno.h>
#include <string.h>

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{ "250ms", 250 * NSEC_PER_MSEC },
		{ "10s", 10 * NSEC_PER_SEC },
		{ "5m", 300 * NSEC_PER_SEC },
		{ "1h", 3600 * NSEC_PER_SEC },
		{ "7d", 7 * 86400 * NSEC_PER_SEC },
		{ "0.5", 500 * NSEC_PER_MSEC },
		{ "3", 3 * NSEC_PER_SEC },
		{ "0", 0 },
		{ "1.5h", 5400 * NSEC_PER_SEC },
		{ "0.000000001", 1 },
		{ "0.0000000019", 1 },
		{ "7ns", 7 },
		{ "7us", 7000 },
		{ "000000000000000000000000001s", NSEC_PER_SEC },
		{ "36525d", INT64_C(36525) * 86400 * NSEC_PER_SEC },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ns = -1;

		assert_int_equal(duration_parse(cases[i].text, &ns), 0);
		assert_int_equal(ns, cases[i].ns);
	}
}

static void what_is_no_duration_is_refused(void **state)
{
	static const char *const wrong[] = { "",    " ",    "s",    "-1s", "+1",   "1 s",   " 1s",
					     "1s ", ".5",   "5.",   "1.s", "1..2", "1e3",   "1hr",
					     "1M",  "1S",   "0x1",  "inf", "nan",  "1h30m", "1,5",
					     "١s",  "1min", "1sec", "1\n", "1.5.2" };
	static const char *const big[] = { "36526d", "99999999999999999999999s",
					   "18446744073709551615d", "18446744073709551616ns",
					   "3155760000.000000001" };
	int64_t ns = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(duration_parse(wrong[i], &ns), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(big); i++)
		assert_int_equal(duration_parse(big[i], &ns), -ERANGE);
	assert_int_equal(ns, 77);
}

static void durations_are_shown_so_that_they_read_back(void **state)
{
	char text[DURATION_TEXT_SIZE];
	struct random r;
	int64_t back;

	(void)state;
	assert_string_equal(duration_format(0, text), "0s");
	assert_string_equal(duration_format(1500 * NSEC_PER_MSEC, text), "1500ms");
	assert_string_equal(duration_format(60 * NSEC_PER_SEC, text), "1m");
	assert_string_equal(duration_format(90 * NSEC_PER_SEC, text), "90s");
	assert_string_equal(duration_format(86400 * NSEC_PER_SEC, text), "1d");
	assert_string_equal(duration_format(1, text), "1ns");
	assert_string_equal(duration_format(INT64_MAX, text), "9223372036854775807ns");
	random_seed(&r, 3);
	for (int i = 0; i < 10000; i++) {
		int64_t ns = (int64_t)(random_next(&r) >> (2 + random_below(&r, 60)));

		if (ns > INT64_C(3155760000) * NSEC_PER_SEC)
			continue;
		assert_int_equal(duration_parse(duration_format(ns, text), &back), 0);
		assert_int_equal(back, ns);
	}
}

static void sizes_are_read(void **state)
{
	static const char *const wrong[] = { "",     "MiB",    "-1", "1 MiB", "1MB",
					     "1mib", "1.5MiB", "1M", "0x10",  "1KiBB" };
	uint64_t size = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(size_parse(wrong[i], &size), -EINVAL);
	assert_int_equal(size_parse("18446744073709551616", &size), -ERANGE);
	assert_int_equal(size_parse("99999999999TiB", &size), -ERANGE);
	assert_true(size == 7);
	assert_int_equal(size_parse("1MiB", &size), 0);
	assert_true(size == 1048576);
	assert_int_equal(size_parse("64KiB", &size), 0);
	assert_true(size == 65536);
	assert_int_equal(size_parse("2GiB", &size), 0);
	assert_true(size == UINT64_C(2147483648));
	assert_int_equal(size_parse("4096", &size), 0);
	assert_true(size == 4096);
	assert_int_equal(size_parse("0B", &size), 0);
	assert_true(size == 0);
}

/* A decoder that follows the definition rather than table 3-7: decode, then check the range and the shortest form. */
static bool utf8_valid_by_definition(const unsigned char *p, size_t size)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };

	for (size_t i = 0; i < size;) {
		size_t n = p[i] < 0x80       ? 1
			   : p[i] >> 5 == 6  ? 2
			   : p[i] >> 4 == 14 ? 3
			   : p[i] >> 3 == 30 ? 4
					     : 0;
		uint32_t c;

		if (n == 0 || n > size - i)
			return false;
		c = n == 1 ? p[i] : p[i] & (0xffu >> (n + 1));
		for (size_t k = 1; k < n; k++) {
			if (p[i + k] >> 6 != 2)
				return false;
			c = c << 6 | (p[i + k] & 63u);
		}
		if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
		i += n;
	}
	return true;
}

static void utf8_is_judged_as_its_definition_says(void **state)
{
	static const unsigned char edges[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
					       0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
					       0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff };
	unsigned char text[4];
	const size_t n = ARRAY_SIZE(edges);

	(void)state;
	for (size_t i = 0; i < n * n * n * n; i++) {
		text[0] = edges[i % n];
		text[1] = edges[i / n % n];
		text[2] = edges[i / n / n % n];
		text[3] = edges[i / n / n / n];
		for (size_t size = 0; size <= 4; size++)
			if (utf8_valid(text, size) != utf8_valid_by_definition(text, size))
				fail_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
	}
	assert_true(utf8_valid("grün, 日本語, 🌍 and plain text",
			       strlen("grün, 日本語, 🌍 and plain text")));
	assert_false(utf8_valid("12345678\xff", 9));
}

static void names_are_checked(void **state)
{
	const char longest[] = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12345";

	(void)state;
	assert_true(name_valid("default", 7));
	assert_true(name_valid("a.b_c-D9", 8));
	assert_true(name_valid("-", 1));
	assert_true(name_valid(longest, 64));
	assert_false(name_valid(longest, 65));
	assert_false(name_valid("", 0));
	assert_false(name_valid(".hidden", 7));
	assert_false(name_valid("a b", 3));
	assert_false(name_valid("a/b", 3));
	assert_false(name_valid("a\0b", 3));
	assert_false(name_valid("\xc3\xa9", 2));
}

static void escapes_show_what_would_harm_a_terminal(void **state)
{
	char out[64];

	(void)state;
#define ESCAPED(text) text_escape(text, sizeof(text) - 1, out, sizeof(out))
	assert_string_equal(ESCAPED("plain é 日 🌍"), "plain é 日 🌍");
	assert_string_equal(ESCAPED("a\nb\0\x1b[2J\x7f"), "a\\x0ab\\x00\\x1b[2J\\x7f");
	assert_string_equal(ESCAPED("\xc2\x9b"), "\\xc2\\x9b"); /* CSI, as a C1 control */
	assert_string_equal(ESCAPED("\xff\xc3"), "\\xff\\xc3"); /* broken */
	assert_string_equal(ESCAPED("\xe6\x97"), "\\xe6\\x97"); /* cut off */
	assert_string_equal(ESCAPED(""), "");
#undef ESCAPED
}

static void escapes_are_cut_between_characters(void **state)
{
	static const char text[] = "ab\n日x";
	char out[32];

	(void)state;
	for (size_t size = 1; size < sizeof(out); size++) {
		memset(out, 'Z', sizeof(out));
		text_escape(text, sizeof(text) - 1, out, size);
		assert_in_range(strlen(out), 0, size - 1);
		assert_true(utf8_valid(out, strlen(out)));
		assert_true(strncmp(out, "ab\\x0a日x", strlen(out)) == 0);
		assert_true(size == sizeof(out) - 1 || out[size] == 'Z');
	}
	assert_string_equal(text_escape(text, sizeof(text) - 1, out, 6), "ab");
	assert_string_equal(text_escape(text, sizeof(text) - 1, out, 7), "ab\\x0a");
	assert_string_equal(text_escape(text, sizeof(text) - 1, out, 9), "ab\\x0a");
}

static void base64_matches_the_vectors_of_rfc_4648(void **state)
{
	static const char *const vectors[][2] = { { "", "" },
						  { "f", "Zg==" },
						  { "fo", "Zm8=" },
						  { "foo", "Zm9v" },
						  { "foob", "Zm9vYg==" },
						  { "fooba", "Zm9vYmE=" },
						  { "foobar", "Zm9vYmFy" } };
	char text[BASE64_SIZE(6)], back[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		size_t size = strlen(vectors[i][0]);

		base64_encode(vectors[i][0], size, text);
		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(base64_decode(text, strlen(text), back), size);
		assert_memory_equal(back, vectors[i][0], size);
	}
}

static void base64_gives_back_any_bytes(void **state)
{
	unsigned char data[100], back[102];
	char text[BASE64_SIZE(sizeof(data))];
	struct random r;

	(void)state;
	random_seed(&r, 5);
	for (size_t size = 0; size <= sizeof(data); size++) {
		for (size_t i = 0; i < size; i++)
			data[i] = (unsigned char)random_next(&r);
		base64_encode(data, size, text);
		assert_int_equal(strlen(text), BASE64_SIZE(size) - 1);
		assert_int_equal(base64_decode(text, strlen(text), back), size);
		assert_memory_equal(back, data, size);
	}
}

static void base64_refuses_what_it_would_not_write(void **state)
{
	static const char *const wrong[] = {
		"Z",    "Zg",       "Zg=",    "Zh==", "Zm9=", "=",        "==",      "====",
		"Z===", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "Zm9vZ===", "Zm\x80v", "Z=9v"
	};
	char back[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(base64_decode(wrong[i], strlen(wrong[i]), back), -EINVAL);
}

static void rates_are_read_and_shown(void **state)
{
	static const struct {
		const char *text;
		uint32_t count;
		int64_t per;
		const char *shown;
	} good[] = {
		{ "100/s", 100, NSEC_PER_SEC, "100/s" },
		{ "1/1s", 1, NSEC_PER_SEC, "1/s" },
		{ "10/m", 10, 60 * NSEC_PER_SEC, "10/m" },
		{ "1000/h", 1000, 3600 * NSEC_PER_SEC, "1000/h" },
		{ "1/d", 1, 86400 * NSEC_PER_SEC, "1/d" },
		{ "5/10s", 5, 10 * NSEC_PER_SEC, "5/10s" },
		{ "1000000/s", 1000000, NSEC_PER_SEC, "1000000/s" },
	};
	static const char *const bad[] = { "",     "/s",   "5",    "5/",   "5/x",
					   "-1/s", "+1/s", " 1/s", "1/s ", "1.5/s" },
				 *const beyond[] = { "0/s", "1000001/s", "99999999999/s",
						     "99999999999999999999/s", "1/0s" };
	char shown[RATE_TEXT_SIZE];
	uint32_t count;
	int64_t per;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(rate_parse(good[i].text, &count, &per), 0);
		assert_int_equal(count, good[i].count);
		assert_int_equal(per, good[i].per);
		assert_string_equal(rate_format(count, per, shown), good[i].shown);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(rate_parse(bad[i], &count, &per), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++)
		assert_int_equal(rate_parse(beyond[i], &count, &per), -ERANGE);
}

static void instants_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t wall;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "2026-12-01T08:00:00Z", INT64_C(1796112000) * NSEC_PER_SEC },
		{ "2026-12-01t08:00:00.5z", INT64_C(1796112000) * NSEC_PER_SEC + NSEC_PER_SEC / 2 },
		{ "2026-12-01 03:30:00.000000001999-04:30", INT64_C(1796112000) * NSEC_PER_SEC + 1 },
		{ "2000-02-29T12:00:00Z", INT64_C(951825600) * NSEC_PER_SEC },
		{ "2016-12-31T23:59:60Z", INT64_C(1483228800) * NSEC_PER_SEC },
		{ "9999-12-31T23:59:59Z", TIME_NEVER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t wall = -1;

		assert_int_equal(instant_parse(cases[i].text, &wall), 0);
		assert_true(wall == cases[i].wall);
	}
}

static void what_is_no_instant_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"now",
		"2026-12-01",
		"2026-12-01T08:00Z",
		"2026-12-01T08:00:00",
		"2026-12-01T08:00:00 Z",
		"2026-12-01T08:00:00Zx",
		"2026-12-01T08:00:00.Z",
		"2026-12-01T08:00:00+01",
		"2026-12-01T08:00:00+0100",
		"2026-12-01T08:00:00+24:00",
		"2026-13-01T08:00:00Z",
		"2026-00-01T08:00:00Z",
		"2026-02-29T08:00:00Z",
		"2100-02-29T08:00:00Z",
		"2026-04-31T08:00:00Z",
		"2026-12-00T08:00:00Z",
		"2026-12-01T24:00:00Z",
		"2026-12-01T08:60:00Z",
		"2026-12-01T08:00:61Z",
		"26-12-01T08:00:00Z",
		"-2026-12-01T08:00:00Z",
		"2026-12-01T08:00:0",
	};
	int64_t wall = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(instant_parse(wrong[i], &wall), -EINVAL);
	assert_int_equal(instant_parse("1969-12-31T23:59:59Z", &wall), -ERANGE);
	assert_int_equal(instant_parse("1970-01-01T00:00:00+00:01", &wall), -ERANGE);
	assert_int_equal(instant_parse("0000-01-01T00:00:00Z", &wall), -ERANGE);
	assert_int_equal(wall, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(durations_are_shown_so_that_they_read_back),
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(utf8_is_judged_as_its_definition_says),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(escapes_show_what_would_harm_a_terminal),
		cmocka_unit_test(escapes_are_cut_between_characters),
		cmocka_unit_test(base64_matches_the_vectors_of_rfc_4648),
		cmocka_unit_test(base64_gives_back_any_bytes),
		cmocka_unit_test(base64_refuses_what_it_would_not_write),
		cmocka_unit_test(rates_are_read_and_shown),
		cmocka_unit_test(instants_are_read),
		cmocka_unit_test(what_is_no_instant_is_refused),
	};

	return TAP_RUN(tests);
}
