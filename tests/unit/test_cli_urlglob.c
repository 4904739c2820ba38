#include "tap_main.h"

#include "urlglob.h"
#include <string.h>

static void assert_expands(const char *text, bool literal, const char *const *expected)
{
	char why[160] = "";
	struct urlglob *g = urlglob_new(text, literal, why, sizeof(why));
	struct strbuf out = { 0 };
	uint64_t i = 0;

	assert_non_null(g);
	for (; expected[i]; i++) {
		out.size = 0;
		assert_true(i < urlglob_count(g));
		urlglob_write(g, i, &out);
		assert_string_equal(sb_string(&out), expected[i]);
	}
	assert_int_equal(urlglob_count(g), i);
	sb_free(&out);
	urlglob_free(g);
}

#define EXPANDS(text, ...) assert_expands(text, false, (const char *const[]){ __VA_ARGS__, NULL })

static void ranges_and_sets_expand(void **state)
{
	(void)state;
	EXPANDS("http://h/", "http://h/");
	EXPANDS("", "");
	EXPANDS("a[8-11]b", "a8b", "a9b", "a10b", "a11b");
	EXPANDS("[08-11]", "08", "09", "10", "11");
	EXPANDS("[000-100:50]", "000", "050", "100");
	EXPANDS("[a-e:2]", "a", "c", "e");
	EXPANDS("{one,,two}", "one", "", "two");
	EXPANDS("[5-5]", "5");
}

static void the_rightmost_part_varies_fastest(void **state)
{
	(void)state;
	EXPANDS("{a,b}/[1-2]x", "a/1x", "a/2x", "b/1x", "b/2x");
}

static void backslashes_and_addresses_are_literal(void **state)
{
	(void)state;
	EXPANDS("a\\[1-2\\]", "a[1-2]");
	EXPANDS("{a\\,b,c\\}}", "a,b", "c}");
	EXPANDS("http://[::1]:8080/[1-2]", "http://[::1]:8080/1", "http://[::1]:8080/2");
	EXPANDS("http://u@[fe80::1%25eth]/", "http://u@[fe80::1%25eth]/");
}

static void globoff_takes_everything_as_it_is(void **state)
{
	(void)state;
	assert_expands("x[1-2]{a,b}\\", true, (const char *const[]){ "x[1-2]{a,b}\\", NULL });
}

static void wrong_patterns_say_where(void **state)
{
	static const char *const wrong[] = { "a[",     "a[1",    "a[1-",   "a[1-2",
					     "a[2-1]", "a[a-9]", "a[a-Z]", "a[1-2:0]",
					     "a]",     "a{b",    "a{b,",   "a{b[1-2]}",
					     "a}",     "[-]",    "[1-2:]", "[x1-x2]" };
	char why[160];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		strcpy(why, "");
		assert_null(urlglob_new(wrong[i], false, why, sizeof(why)));
		assert_non_null(strstr(why, "column"));
	}
	assert_null(urlglob_new("[1-100000][1-100000]", false, why, sizeof(why)));
	assert_non_null(strstr(why, "more than"));
	assert_null(urlglob_new("[0-999999999999999999]", false, why, sizeof(why)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_and_sets_expand),
		cmocka_unit_test(the_rightmost_part_varies_fastest),
		cmocka_unit_test(backslashes_and_addresses_are_literal),
		cmocka_unit_test(globoff_takes_everything_as_it_is),
		cmocka_unit_test(wrong_patterns_say_where),
	};

	return TAP_RUN(tests);
}
