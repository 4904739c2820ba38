#include "tap_main.h"

#include "period.h"
#include "results.h"
#include "save_dir.h"
#include "strbuf.h"
#include <string.h>

static void assert_text(struct strbuf *s, const char *text)
{
	assert_string_equal(sb_string(s), text);
	s->size = 0;
}

static void json_strings_are_escaped_as_json_wants(void **state)
{
	struct strbuf s = { 0 };

	(void)state;
	assert_true(sb_json(&s, "a\"b\\c\n\t\x01\x7f/", 10));
	assert_text(&s, "\"a\\\"b\\\\c\\n\\t\\u0001\x7f/\"");
	assert_true(sb_json(&s, "\0", 1));
	assert_text(&s, "\"\\u0000\"");
	assert_true(sb_json(&s, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7", 11));
	assert_text(&s, "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7\"");
	assert_true(sb_json(&s, NULL, 0));
	assert_text(&s, "\"\"");
	sb_free(&s);
}

static void what_is_no_utf8_becomes_no_json_string(void **state)
{
	static const char *const broken[] = { "\x80",         "\xc0\x80",         "\xe2\x82",
					      "\xed\xa0\x80", "\xf4\x90\x80\x80", "ok\xff" };
	struct strbuf s = { 0 };

	(void)state;
	sb_text(&s, "before");
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_false(sb_json(&s, broken[i], strlen(broken[i])));
	assert_text(&s, "before");
	sb_json_lossy(&s,
		      "a\xff"
		      "b",
		      3);
	assert_text(&s, "\"a\xef\xbf\xbd"
			"b\"");
	sb_free(&s);
}

static void base64_is_padded(void **state)
{
	struct strbuf s = { 0 };

	(void)state;
	sb_base64(&s, "foobar", 6);
	assert_text(&s, "Zm9vYmFy");
	sb_base64(&s, "fooba", 5);
	assert_text(&s, "Zm9vYmE=");
	sb_base64(&s, "foob", 4);
	assert_text(&s, "Zm9vYg==");
	sb_base64(&s, "\xff\xfe", 2);
	assert_text(&s, "//4=");
	sb_base64(&s, "", 0);
	assert_text(&s, "");
	sb_free(&s);
}

static void a_head_counts_characters_not_bytes(void **state)
{
	struct strbuf s = { 0 };

	(void)state;
	sb_head(&s, "\xc3\xa4\xc3\xb6\xc3\xbc", 6, 2);
	assert_text(&s, "\xc3\xa4\xc3\xb6");
	sb_head(&s, "abc", 3, 10);
	assert_text(&s, "abc");
	/* Neither an escape sequence nor a cut character reaches the terminal. */
	sb_head(&s, "\x1b[2J", 4, 4);
	assert_text(&s, "\xef\xbf\xbd[2J");
	sb_head(&s,
		"\xc2\x9b"
		"1m\xe2\x82",
		6, 9);
	assert_text(&s, "\xef\xbf\xbd"
			"1m\xef\xbf\xbd\xef\xbf\xbd");
	sb_head(&s, "a\tb\nc", 5, 5);
	assert_text(&s, "a\tb\nc");
	sb_free(&s);
}

static void shell_words_are_quoted_where_needed(void **state)
{
	struct strbuf s = { 0 };

	(void)state;
	sb_shell_word(&s, "http://a.b/c_d-e%20");
	assert_text(&s, "http://a.b/c_d-e%20");
	sb_shell_word(&s, "it's $HOME");
	assert_text(&s, "'it'\\''s $HOME'");
	sb_shell_word(&s, "");
	assert_text(&s, "''");
	sb_free(&s);
}

static void numbers_are_written_exactly(void **state)
{
	struct strbuf s = { 0 };

	(void)state;
	sb_unsigned(&s, UINT64_MAX);
	assert_text(&s, "18446744073709551615");
	sb_unsigned(&s, 0);
	assert_text(&s, "0");
	sb_milliseconds(&s, 1005);
	assert_text(&s, "1.005");
	sb_milliseconds(&s, 52340);
	assert_text(&s, "52.340");
	sb_free(&s);
}

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = { { "250ms", 250000000 },
		     { "10s", 10000000000 },
		     { "0.5", 500000000 },
		     { "5m", 300000000000 },
		     { "1h", 3600000000000 },
		     { "7d", INT64_C(604800000000000) },
		     { "0", 0 } };
	static const char *const bad[] = { "",    "s",   "-1s", "1e3",  "1 s", "1x",    ".5",
					   "5.s", "inf", "nan", "0x10", "1ss", "40000d" };
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(period_parse(good[i].text, &ns));
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(period_parse(bad[i], &ns));
}

static void short_times_are_shown_with_three_digits(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(period_show_fine(84210, text), "84.2 us");
	assert_string_equal(period_show_fine(999499, text), "999 us");
	assert_string_equal(period_show_fine(999500, text), "1 ms");
	assert_string_equal(period_show_fine(3214000, text), "3.21 ms");
	assert_string_equal(period_show_fine(999499999, text), "999 ms");
	assert_string_equal(period_show_fine(999500000, text), "1 s");
	assert_string_equal(period_show_fine(INT64_C(125000000000), text), "2 min 05 s");
}

static void whole_numbers_are_read_within_limits(void **state)
{
	int64_t n;

	(void)state;
	assert_true(number_parse("-100", -100, 100, &n));
	assert_int_equal(n, -100);
	assert_false(number_parse("101", -100, 100, &n));
	assert_false(number_parse("+5", 0, 10, &n));
	assert_false(number_parse(" 5", 0, 10, &n));
	assert_false(number_parse("5x", 0, 10, &n));
	assert_false(number_parse("-", -10, 10, &n));
	assert_false(number_parse("99999999999999999999", 0, INT64_MAX, &n));
}

static void json_numbers_are_told_from_other_texts(void **state)
{
	static const char *const good[] = { "0", "-1", "0.5", "1e9", "12.5E-3" };
	static const char *const bad[] = { "", "-", "01", ".5", "1.", "1e", "+1", "0x1", "1 ", "NaN" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(json_number(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(json_number(bad[i], strlen(bad[i])));
}

static bool meta(const char *text, int64_t *ret_value)
{
	return meta_integer((struct ga_bytes){ text, strlen(text) }, "status", ret_value);
}

static void only_the_first_level_of_metadata_is_looked_at(void **state)
{
	static const char *const bad[] = { "",
					   "{}",
					   "{\"a\":\"status\"}",
					   "{\"a\":{\"status\":1}}",
					   "{\"xstatus\":1,\"statusx\":2}",
					   "{\"status\":\"200\"}",
					   "{\"status\":null}",
					   "{\"status\":",
					   "{\"status",
					   "{\"a\\" };
	int64_t value = 0;

	(void)state;
	assert_true(meta("{\"status\":200,\"url\":\"x\"}", &value));
	assert_int_equal(value, 200);
	assert_true(meta("{\"h\":{\"status\":1,\"x\":[\"}\\\"\"]}, \"status\" : 503}", &value));
	assert_int_equal(value, 503);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(meta(bad[i], &value));
}

static void file_names_made_of_urls_are_harmless(void **state)
{
	char name[SAVE_NAME_SIZE], longest[4096];

	(void)state;
	save_name(7, "https://a.example/b/../c?d=e&f", 30, name);
	assert_string_equal(name, "000007-a.example_b_.._c_d_e_f");
	save_name(1, "http://x/", 9, name);
	assert_string_equal(name, "000001-x");
	save_name(1, "", 0, name);
	assert_string_equal(name, "000001-");
	memset(longest, '/', sizeof(longest));
	for (size_t i = 0; i < sizeof(longest); i += 2)
		longest[i] = 'a';
	save_name(UINT64_MAX, longest, sizeof(longest), name);
	assert_true(strlen(name) < SAVE_NAME_SIZE);
	assert_null(strchr(name, '/'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_strings_are_escaped_as_json_wants),
		cmocka_unit_test(what_is_no_utf8_becomes_no_json_string),
		cmocka_unit_test(base64_is_padded),
		cmocka_unit_test(a_head_counts_characters_not_bytes),
		cmocka_unit_test(shell_words_are_quoted_where_needed),
		cmocka_unit_test(numbers_are_written_exactly),
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(short_times_are_shown_with_three_digits),
		cmocka_unit_test(whole_numbers_are_read_within_limits),
		cmocka_unit_test(json_numbers_are_told_from_other_texts),
		cmocka_unit_test(only_the_first_level_of_metadata_is_looked_at),
		cmocka_unit_test(file_names_made_of_urls_are_harmless),
	};

	return TAP_RUN(tests);
}
