/* test_reference.c — references to earlier results: their grammar, JSON Pointers, filling in. */
#include "tap_main.h"

#include "reference.h"
#include "type_table.h"
#include <errno.h>
#include <stdlib.h>

static json_t *tree(const char *text)
{
	json_t *t = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(t);
	return t;
}

static void assert_parts(const char *text, const char *whose, const char *pointer)
{
	struct reference ref;

	assert_int_equal(reference_parse(span_of(text), &ref), 0);
	assert_true(span_equal(ref.whose, span_of(whose)));
	assert_true(span_equal(ref.pointer, span_of(pointer)));
}

static void a_reference_says_whose_and_where(void **state)
{
	(void)state;
	assert_parts("0#/json/token", "0", "/json/token");
	assert_parts("12#", "12", "");
	assert_parts("2/0/11#/a", "2/0/11", "/a");
	assert_parts("../0#/a", "../0", "/a");
	assert_parts("../../3/1#/", "../../3/1", "/");
	assert_parts("0#/a~1b~0c", "0", "/a~1b~0c");
	assert_parts("0#/a#b", "0", "/a#b");
}

static void what_is_no_reference_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",     "#",     "#/a",   "0",       "00#",         "01#",   "-1#",    "0/#",
		"/0#",  "..#",   "../#",  "0/../1#", "0#a",         "0#/a~", "0#/a~2", " 0#/a",
		"x#/a", "0 #/a", "0//1#", "+1#/a",   "1000000000#", "$ref",  "0#~0"
	};
	struct reference ref;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (reference_parse(span_of(wrong[i]), &ref) != -EINVAL)
			fail_msg("\"%s\" was taken for a reference", wrong[i]);
	}
}

static void assert_at(const char *document, const char *pointer, const char *expected)
{
	json_t *d = tree(document);
	const json_t *value = reference_resolve(d, span_of(pointer));
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	if (expected)
		assert_string_equal(text, expected);
	else
		assert_null(text);
	free(text);
	json_decref(d);
}

/* RFC 6901, section 5, and what it says of arrays in section 4. */
static void pointers_resolve_as_rfc_6901_says(void **state)
{
	static const char document[] =
		"{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
		"\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"~1\":9}";

	(void)state;
	assert_at("{\"a\":1}", "", "{\"a\":1}");
	assert_at(document, "/foo", "[\"bar\",\"baz\"]");
	assert_at(document, "/foo/0", "\"bar\"");
	assert_at(document, "/", "0");
	assert_at(document, "/a~1b", "1");
	assert_at(document, "/c%d", "2");
	assert_at(document, "/e^f", "3");
	assert_at(document, "/g|h", "4");
	assert_at(document, "/i\\j", "5");
	assert_at(document, "/k\"l", "6");
	assert_at(document, "/ ", "7");
	assert_at(document, "/m~0n", "8");
	assert_at(document, "/~01", "9");
	assert_at(document, "/foo/2", NULL);
	assert_at(document, "/foo/-", NULL);
	assert_at(document, "/foo/00", NULL);
	assert_at(document, "/foo/", NULL);
	assert_at(document, "/foo/0/x", NULL);
	assert_at(document, "/none", NULL);
	assert_at("null", "/a", NULL);
	assert_at("{\"a\":null}", "/a", "null");
}

#define INPUTS                                                                                     \
	"{\"0\":{\"meta\":{\"status\":200,\"headers\":{\"x-a\":\"b\"},\"body\":\"meta's\"},"       \
	"\"body\":\"{\\\"token\\\":\\\"s\\\\\\\"3\\\",\\\"n\\\":1.5,\\\"no\\\":null,"              \
	"\\\"list\\\":[1,{\\\"$ref\\\":\\\"0#/status\\\"},\\\"{{0#/status}}\\\"]}\"},"             \
	"\"../2/1\":{\"body\":\"plain\"},\"3\":{\"body_base64\":\"AA==\"},\"4\":{},"               \
	"\"5\":{\"body\":\"\\\"text\\\"\"}}"

static int fill(const char *args, struct refusal *r, char **ret_text)
{
	json_t *a = tree(args), *inputs = tree(INPUTS);
	int error = references_fill(a, inputs, r);

	*ret_text = json_dumps(a, JSON_COMPACT);
	json_decref(a);
	json_decref(inputs);
	return error;
}

static void assert_filled(const char *args, const char *expected)
{
	struct refusal r = { 0 };
	char *text;

	if (fill(args, &r, &text) < 0)
		fail_msg("%s: %s", args, r.message);
	assert_string_equal(text, expected);
	free(text);
}

static void values_keep_their_type(void **state)
{
	(void)state;
	assert_filled("{\"a\":{\"$ref\":\"0#/json/token\"}}", "{\"a\":\"s\\\"3\"}");
	assert_filled("{\"a\":{\"$ref\":\"0#/json/n\"}}", "{\"a\":1.5}");
	assert_filled("{\"a\":{\"$ref\":\"0#/json/no\"}}", "{\"a\":null}");
	assert_filled("{\"a\":[1,{\"$ref\":\"0#/status\"}]}", "{\"a\":[1,200]}");
	assert_filled("{\"a\":{\"b\":{\"$ref\":\"0#/headers\"}}}", "{\"a\":{\"b\":{\"x-a\":\"b\"}}}");
	assert_filled("{\"a\":{\"$ref\":\"0#/meta/status\"}}", "{\"a\":200}");
	assert_filled("{\"a\":{\"$ref\":\"0#/meta/body\"}}", "{\"a\":\"meta's\"}");
	assert_filled("{\"a\":{\"$ref\":\"../2/1#/body\"}}", "{\"a\":\"plain\"}");
	assert_filled("{\"a\":{\"$ref\":\"3#/body_base64\"}}", "{\"a\":\"AA==\"}");
	assert_filled("{\"a\":{\"$ref\":\"5#/json\"}}", "{\"a\":\"text\"}");
}

static void strings_take_values_in(void **state)
{
	(void)state;
	assert_filled("{\"a\":\"Bearer {{0#/json/token}}\"}", "{\"a\":\"Bearer s\\\"3\"}");
	assert_filled("{\"a\":\"{{0#/status}}{{0#/json/n}}-{{0#/json/no}}.\"}",
		      "{\"a\":\"2001.5-null.\"}");
	assert_filled("{\"a\":\"{{0#/headers}}\"}", "{\"a\":\"{\\\"x-a\\\":\\\"b\\\"}\"}");
	assert_filled("{\"a\":[\"{{{0#/status}}}\"]}", "{\"a\":[\"{200}\"]}");
	assert_filled("{\"a\":\"{{name}} {{}} {{ 0#/status }} }} {{0#/status\"}",
		      "{\"a\":\"{{name}} {{}} {{ 0#/status }} }} {{0#/status\"}");
}

/* What comes from outside is data: references in it mean nothing. */
static void results_are_not_read_for_references(void **state)
{
	(void)state;
	assert_filled("{\"a\":{\"$ref\":\"0#/json/list\"},\"b\":\"{{0#/json/list/2}}\"}",
		      "{\"a\":[1,{\"$ref\":\"0#/status\"},\"{{0#/status}}\"],\"b\":\"{{0#/status}}\"}");
}

static void a_missing_value_is_an_error_that_names_it(void **state)
{
	static const char *const wrong[] = {
		"{\"a\":{\"$ref\":\"0#/json/nothing\"}}", "{\"a\":\"x{{0#/nothing}}\"}",
		"{\"a\":{\"$ref\":\"9#/json/nothing\"}}", "{\"a\":{\"$ref\":\"4#/body\"}}",
		"{\"a\":{\"$ref\":\"../2/1#/json\"}}",    "{\"a\":{\"$ref\":\"3#/body\"}}",
	};
	struct refusal r;
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(fill(wrong[i], &r, &text), -EINVAL);
		assert_string_equal(r.code, "bad_argument");
		assert_non_null(strstr(r.message, "has no such value"));
		free(text);
	}
	assert_int_equal(fill("{\"a\":{\"$ref\":\"0#/json/nothing\"}}", &r, &text), -EINVAL);
	assert_non_null(strstr(r.message, "0#/json/nothing"));
	free(text);
}

/* A string of a hundred references to 64 KiB would be 6.4 MB. */
static void arguments_do_not_grow_without_bound(void **state)
{
	json_t *inputs = json_object(), *args = json_object();
	char *big = calloc(1, 65537), text[2000] = "";
	struct refusal r;

	(void)state;
	memset(big, 'x', 65536);
	json_object_set_new(inputs, "0", json_pack("{s:s}", "body", big));
	for (int i = 0; i < 100; i++)
		strcat(text, "{{0#/body}}");
	json_object_set_new(args, "a", json_string(text));
	assert_int_equal(references_fill(args, inputs, &r), -EINVAL);
	assert_string_equal(r.code, "bad_argument");
	json_decref(inputs);
	json_decref(args);
	free(big);
}

static void many_braces_cost_no_more_than_other_text(void **state)
{
#ifdef __SANITIZE_THREAD__
	size_t size = 1 << 16; /* its memmem() looks at all of the text at each call */
#else
	size_t size = 1 << 20;
#endif
	char *text = calloc(1, size + 1);
	json_t *value;

	(void)state;
	for (size_t i = 0; i + 4 <= size; i += 4)
		memcpy(text + i, "{{0#", 4);
	value = json_string(text);
	assert_false(reference_within(value)); /* quadratic, it would take minutes */
	json_decref(value);
	memset(text, '{', size);
	memcpy(text + size - 2, "}}", 2);
	value = json_string(text);
	assert_false(reference_within(value));
	json_decref(value);
	free(text);
}

struct seen {
	char text[400];
};

static int see(void *arg, const struct reference *ref, const char *field, struct refusal *r)
{
	struct seen *s = arg;
	size_t used = strlen(s->text);

	(void)r;
	snprintf(s->text + used, sizeof(s->text) - used, "%s=%.*s|%.*s ", field,
		 (int)ref->whose.size, ref->whose.data, (int)ref->pointer.size, ref->pointer.data);
	return span_equal(ref->whose, SPAN("7")) ? -ECANCELED : 0;
}

static void a_visit_meets_each_reference_with_its_place(void **state)
{
	json_t *args = tree("{\"url\":\"http://{{0#/json/host}}/{{1#/body}}\",\"plain\":\"{{x}}\","
			    "\"json\":{\"a\":[1,{\"$ref\":\"2#/status\"}],\"$ref\":3}}");
	struct seen seen = { "" };
	struct refusal r;

	(void)state;
	assert_int_equal(references_visit(args, see, &seen, &r), 0);
	assert_string_equal(seen.text,
			    "args.url=0|/json/host args.url=1|/body args.json.a[1]=2|/status ");
	json_decref(args);
	args = tree("{\"a\":\"{{7#}}{{8#}}\"}");
	assert_int_equal(references_visit(args, see, &seen, &r), -ECANCELED);
	assert_null(strstr(seen.text, "8"));
	json_decref(args);
	args = tree("{\"a\":{\"b\":{\"$ref\":\"nonsense\"}}}");
	assert_int_equal(references_visit(args, see, &seen, &r), -EINVAL);
	assert_string_equal(r.code, "bad_reference");
	assert_string_equal(r.field, "args.a.b");
	json_decref(args);
}

static void an_input_holds_text_or_base64(void **state)
{
	json_t *input = reference_input(SPAN("{\"status\":200}"), SPAN("{\"a\":1}"));
	char *text = json_dumps(input, JSON_COMPACT);

	(void)state;
	assert_string_equal(text, "{\"meta\":{\"status\":200},\"body\":\"{\\\"a\\\":1}\"}");
	free(text);
	json_decref(input);
	input = reference_input((struct span){ 0 }, SPAN("a\0b"));
	text = json_dumps(input, JSON_COMPACT);
	assert_string_equal(text, "{\"body_base64\":\"YQBi\"}");
	free(text);
	json_decref(input);
	input = reference_input((struct span){ 0 }, (struct span){ 0 });
	assert_int_equal(json_object_size(input), 0);
	json_decref(input);
}

static const struct ga_param params[] = {
	{ "url", GA_TEXT, GA_REQUIRED, NULL, 1, 10, NULL, NULL, "a text of 1 to 10 bytes" },
	{ "count", GA_INTEGER, 0, "5", 1, 10, NULL, NULL, "a whole number" },
	{ "wait", GA_DURATION, 0, "\"1m\"", 0, 3600, "s", NULL, "a duration" },
	{ 0 },
};

static void the_door_takes_references_for_values(void **state)
{
	static const struct {
		const char *args;
		int result;
	} cases[] = {
		{ "{\"url\":\"{{0#/json/url/that/is/long}}\"}", 0 },
		{ "{\"url\":{\"$ref\":\"0#/body\"},\"count\":{\"$ref\":\"0#/json/n\"}}", 0 },
		{ "{\"url\":\"a\",\"wait\":\"{{0#/json/n}}s\"}", 0 },
		{ "{\"url\":\"a\",\"count\":\"{{0#/json/n}}\"}", -EINVAL }, /* would be a string */
		{ "{\"url\":\"a much longer text\"}", -EINVAL },
		{ "{\"url\":{\"$ref\":\"x\"}}", -EINVAL },
		{ "{\"count\":{\"$ref\":\"0#/json/n\"}}", -EINVAL },
	};
	const struct job_type type = { .name = "t", .params = params, .param_count = 3, .required = 1 };
	struct refusal r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *args = tree(cases[i].args);

		assert_int_equal(type_check_template(&type, args, &r), cases[i].result);
		json_decref(args);
	}
	json_t *args = tree(cases[1].args);

	assert_int_equal(type_check_args(&type, args, &r), -EINVAL);
	json_decref(args);
}

static void texts_without_any_are_told_cheaply(void **state)
{
	(void)state;
	assert_false(references_possible(SPAN("{\"url\":\"http://a/{b}\"}")));
	assert_true(references_possible(SPAN("{\"url\":{\"$ref\":\"0#\"}}")));
	assert_true(references_possible(SPAN("{\"url\":{\"\\u0024ref\":\"0#\"}}")));
	assert_true(references_possible(SPAN("{\"url\":\"{{0#}}\"}")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reference_says_whose_and_where),
		cmocka_unit_test(what_is_no_reference_is_refused),
		cmocka_unit_test(pointers_resolve_as_rfc_6901_says),
		cmocka_unit_test(values_keep_their_type),
		cmocka_unit_test(strings_take_values_in),
		cmocka_unit_test(results_are_not_read_for_references),
		cmocka_unit_test(a_missing_value_is_an_error_that_names_it),
		cmocka_unit_test(arguments_do_not_grow_without_bound),
		cmocka_unit_test(many_braces_cost_no_more_than_other_text),
		cmocka_unit_test(a_visit_meets_each_reference_with_its_place),
		cmocka_unit_test(an_input_holds_text_or_base64),
		cmocka_unit_test(the_door_takes_references_for_values),
		cmocka_unit_test(texts_without_any_are_told_cheaply),
	};

	return TAP_RUN(tests);
}
