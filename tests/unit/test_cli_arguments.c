#include "tap_main.h"

#include "arguments.h"
#include "job_fields.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct arguments parse(const char *const *words, bool lines)
{
	struct arguments a = { 0 };
	char why[300];

	for (; *words; words++)
		assert_true(arguments_add(&a, *words, lines, why, sizeof(why)));
	return a;
}

static void assert_becomes(const struct arguments *a, const char *line, const char *json)
{
	struct strbuf out = { 0 };
	char why[200];

	assert_true(arguments_write(a, line, strlen(line), &out, why, sizeof(why)));
	assert_string_equal(sb_string(&out), json);
	sb_free(&out);
}

static void values_become_what_their_parameter_is(void **state)
{
	const char *const words[] = { "s=0.5",       "n=12",    "b=true", "t=12",
				      "o={\"a\":1}", "x=maybe", NULL };
	struct arguments a = parse(words, false);

	(void)state;
	assert_becomes(&a, "",
		       "{\"s\":\"0.5\",\"n\":\"12\",\"b\":\"true\",\"t\":\"12\",\"o\":\"{\\\"a\\\":1}\","
		       "\"x\":\"maybe\"}");
	arguments_find(&a, "s")->shape = shape_of("duration");
	arguments_find(&a, "n")->shape = shape_of("integer");
	arguments_find(&a, "b")->shape = shape_of("boolean");
	arguments_find(&a, "t")->shape = shape_of("text");
	arguments_find(&a, "o")->shape = shape_of("object");
	arguments_find(&a, "x")->shape = shape_of("boolean");
	/* What isn't a boolean stays a string: the daemon says what it takes. */
	assert_becomes(&a, "",
		       "{\"s\":0.5,\"n\":12,\"b\":true,\"t\":\"12\",\"o\":{\"a\":1},\"x\":\"maybe\"}");
	arguments_free(&a);
}

static void json_values_are_taken_as_they_are(void **state)
{
	const char *const words[] = { "a:=[1, {\"b\":null}]", "c:=\"d\"", "e:=0.10", NULL };
	struct arguments a = parse(words, false);

	(void)state;
	assert_becomes(&a, "", "{\"a\":[1, {\"b\":null}],\"c\":\"d\",\"e\":0.10}");
	arguments_free(&a);
}

static void wrong_words_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *word, *part;
	} wrong[] = { { "novalue", "not an argument" },
		      { "=x", "not an argument" },
		      { "a b=1", "not an argument" },
		      { "a:=[1", "not JSON" },
		      { "c:={\"x\":1,\"x\":2}", "duplicate" },
		      { "d=@/nonexistent/file", "No such file" },
		      { "seen=2", "given twice" } };
	const char *const words[] = { "seen=1", NULL };
	struct arguments a = parse(words, false);
	char why[300];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		strcpy(why, "");
		assert_false(arguments_add(&a, wrong[i].word, false, why, sizeof(why)));
		assert_non_null(strstr(why, wrong[i].part));
	}
	arguments_free(&a);
}

static void a_file_is_an_argument(void **state)
{
	char path[] = "/tmp/test-cli-XXXXXX", word[64], why[300];
	struct arguments a = { 0 };
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "{\"k\": {}}\n", 10), 10);
	close(fd);
	snprintf(word, sizeof(word), "text=@%s", path);
	assert_true(arguments_add(&a, word, true, why, sizeof(why)));
	snprintf(word, sizeof(word), "json:=@%s", path);
	assert_true(arguments_add(&a, word, true, why, sizeof(why)));
	/* {} in a file is the file's own. */
	assert_becomes(&a, "LINE", "{\"text\":\"{\\\"k\\\": {}}\\n\",\"json\":{\"k\": {}}\n}");
	unlink(path);
	arguments_free(&a);
}

static void lines_go_where_braces_stand(void **state)
{
	const char *const words[] = { "url=http://h/{}/{}", "n={}",
				      "j:={\"id\": {}, \"s\": \"a{}b\"}", NULL };
	struct arguments a = parse(words, true);

	(void)state;
	arguments_find(&a, "n")->shape = SHAPE_NUMBER;
	assert_becomes(&a, "42",
		       "{\"url\":\"http://h/42/42\",\"n\":42,\"j\":{\"id\": 42, \"s\": \"a42b\"}}");
	assert_becomes(&a, "\"x\"",
		       "{\"url\":\"http://h/\\\"x\\\"/\\\"x\\\"\",\"n\":\"\\\"x\\\"\","
		       "\"j\":{\"id\": \"x\", \"s\": \"a\\\"x\\\"b\"}}");
	arguments_free(&a);
}

static void braces_are_plain_text_without_lines(void **state)
{
	const char *const words[] = { "url=http://h/{}", "headers:={}", NULL };
	struct arguments a = parse(words, false);

	(void)state;
	assert_becomes(&a, "", "{\"url\":\"http://h/{}\",\"headers\":{}}");
	arguments_free(&a);
}

static void bytes_that_are_no_text_are_named(void **state)
{
	const char *const words[] = { "a=1", "b={}", NULL };
	struct arguments a = parse(words, true);
	struct strbuf out = { 0 };
	char why[200];

	(void)state;
	assert_false(arguments_write(&a, "\xff", 1, &out, why, sizeof(why)));
	assert_string_equal(why, "b: not UTF-8 text");
	sb_free(&out);
	arguments_free(&a);
}

static void a_line_is_no_more_than_a_value(void **state)
{
	const char *const words[] = { "url=https://example.com/", "json:={\"id\": {}}", NULL };
	static const char escape[] = "1},\"verify\":false,\"form\":{\"a\":1";
	struct arguments a = parse(words, true);
	struct strbuf out = { 0 };
	char why[200];

	(void)state;
	assert_becomes(&a, "1", "{\"url\":\"https://example.com/\",\"json\":{\"id\": 1}}");
	assert_false(arguments_write(&a, escape, strlen(escape), &out, why, sizeof(why)));
	assert_non_null(strstr(why, "json: not JSON with this line in it"));
	sb_free(&out);
	assert_false(arguments_add(&a, "body=@-", true, why, sizeof(why)));
	arguments_free(&a);
}

static void job_fields_become_options(void **state)
{
	struct job_fields f = {
		.timeout = "5s", .retries = "3", .priority = "-7", .queue = "q\"", .detach = true
	};
	struct strbuf out = { 0 };
	char why[200] = "";

	(void)state;
	assert_true(job_fields_write(&f, &out, why, sizeof(why)));
	assert_string_equal(sb_string(&out), "{\"timeout\":\"5s\",\"priority\":-7,\"retries\":3,"
					     "\"queue\":\"q\\\"\",\"detach\":true}");
	out.size = 0;
	f = (struct job_fields){ .retries = "{\"max\":2}" };
	assert_true(job_fields_write(&f, &out, why, sizeof(why)));
	assert_string_equal(sb_string(&out), "{\"retries\":{\"max\":2}}");
	out.size = 0;
	f = (struct job_fields){ .priority = "101" };
	assert_false(job_fields_write(&f, &out, why, sizeof(why)));
	assert_non_null(strstr(why, "--priority"));
	f = (struct job_fields){ .timeout = "soon" };
	assert_false(job_fields_write(&f, &out, why, sizeof(why)));
	assert_non_null(strstr(why, "--timeout"));
	f = (struct job_fields){ .retries = "{\"max\":2" };
	assert_false(job_fields_write(&f, &out, why, sizeof(why)));
	assert_non_null(strstr(why, "--retries"));
	sb_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_become_what_their_parameter_is),
		cmocka_unit_test(json_values_are_taken_as_they_are),
		cmocka_unit_test(wrong_words_are_refused_with_a_reason),
		cmocka_unit_test(a_file_is_an_argument),
		cmocka_unit_test(lines_go_where_braces_stand),
		cmocka_unit_test(braces_are_plain_text_without_lines),
		cmocka_unit_test(bytes_that_are_no_text_are_named),
		cmocka_unit_test(a_line_is_no_more_than_a_value),
		cmocka_unit_test(job_fields_become_options),
	};

	return TAP_RUN(tests);
}
