#include "clock.h"
#include "json_write.h"
#include "tap_main.h"
#include "text.h"

/* Compare what was written with `expected`, and start anew. */
static void expect(struct buf *out, const char *expected)
{
	assert_int_equal(buf_append(out, "", 1), 0);
	assert_string_equal(buf_data(out), expected);
	buf_clear(out);
}

static void strings_are_quoted_and_escaped(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	json_put_string(&out, SPAN("plain é 🌍"));
	expect(&out, "\"plain é 🌍\"");
	json_put_string(&out, SPAN("\"\\\b\f\n\r\t/"));
	expect(&out, "\"\\\"\\\\\\b\\f\\n\\r\\t/\"");
	json_put_string(&out, SPAN("\x00\x1f\x7f"));
	expect(&out, "\"\\u0000\\u001f\\u007f\"");
	json_put_string(&out, (struct span){ 0 });
	expect(&out, "\"\"");
	buf_done(&out);
}

static void broken_utf8_becomes_replacement_characters(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	json_put_string(&out, SPAN("a\xff\xe6\x97"));
	expect(&out, "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	json_put_string(&out, SPAN("\xf0\x9f\x8c"));
	expect(&out, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	for (int i = 0; i < 65536; i++) {
		const char pair[] = { (char)(i >> 8), (char)i };

		json_put_string(&out, (struct span){ pair, 2 });
		assert_true(utf8_valid(buf_data(&out), buf_size(&out)));
		buf_clear(&out);
	}
	buf_done(&out);
}

static void numbers_and_instants_are_exact(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	json_put_integer(&out, INT64_MIN);
	expect(&out, "-9223372036854775808");
	json_put_integer(&out, INT64_MAX);
	expect(&out, "9223372036854775807");
	json_put_milliseconds(&out, INT64_C(1234567999));
	expect(&out, "1234.567");
	json_put_milliseconds(&out, 0);
	expect(&out, "0.000");
	json_put_milliseconds(&out, -NSEC_PER_MSEC / 2);
	expect(&out, "-0.500");
	json_put_milliseconds(&out, -3 * NSEC_PER_MSEC / 2);
	expect(&out, "-1.500");
	json_put_boolean(&out, true);
	json_put_boolean(&out, false);
	expect(&out, "truefalse");
	json_put_instant(&out, INT64_C(1700000000123) * NSEC_PER_MSEC);
	expect(&out, "\"2023-11-14T22:13:20.123Z\"");
	json_put_instant(&out, 0);
	expect(&out, "null");
	buf_done(&out);
}

static void commas_come_between_elements(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	json_put_literal(&out, "{");
	json_put_key(&out, "a");
	json_put_literal(&out, "[");
	json_put_separator(&out);
	json_put_integer(&out, 1);
	json_put_separator(&out);
	json_put_integer(&out, 2);
	json_put_literal(&out, "]");
	json_put_key(&out, "b");
	json_put_boolean(&out, true);
	json_put_literal(&out, "}");
	expect(&out, "{\"a\":[1,2],\"b\":true}");
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_quoted_and_escaped),
		cmocka_unit_test(broken_utf8_becomes_replacement_characters),
		cmocka_unit_test(numbers_and_instants_are_exact),
		cmocka_unit_test(commas_come_between_elements),
	};

	return TAP_RUN(tests);
}
