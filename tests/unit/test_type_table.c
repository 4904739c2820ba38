#include "tap_main.h"

#include "type_table.h"
#include <errno.h>
#include <stdlib.h>

static const struct ga_param all_params[] = {
	{ "url", GA_TEXT, GA_REQUIRED, NULL, 1, 10, NULL, NULL, "a text of 1 to 10 bytes" },
	{ "count", GA_INTEGER, 0, "5", 1, 10, NULL, NULL, "a whole number" },
	{ "ratio", GA_NUMBER, 0, NULL, -1, 1, NULL, NULL, "a number" },
	{ "verify", GA_BOOLEAN, 0, "true", 0, 0, NULL, NULL, "a boolean" },
	{ "wait", GA_DURATION, 0, "\"1m\"", 0, 3600, "s", NULL, "a duration" },
	{ "room", GA_SIZE, 0, "\"1MiB\"", 0, 1 << 24, "bytes", NULL, "a size" },
	{ "save", GA_CHOICE, 0, "\"none\"", 0, 0, NULL, "none|head|body", "a word" },
	{ "headers", GA_OBJECT, 0, NULL, 0, 0, NULL, NULL, "an object" },
	{ "list", GA_ARRAY, 0, NULL, 0, 0, NULL, NULL, "an array" },
	{ "echo", GA_ANY, 0, NULL, 0, 0, NULL, NULL, "anything" },
	{ "token", GA_INTEGER, GA_SECRET, NULL, 0, 0, NULL, NULL, "a secret" },
	{ 0 },
};

static int nothing(ga_job *job)
{
	(void)job;
	return 0;
}

static const struct ga_job_type all = { .name = "all",
					.help = "takes everything",
					.params = all_params,
					.work = nothing,
					.limit_param = "url" };
static const struct ga_job_type bare = {
	.name = "bare", .help = "takes nothing", .job_class = GA_CLASS_CPU, .work = nothing, .example = ""
};

static struct type_table *table_of_two(void)
{
	const struct ga_job_type *const types[] = { &bare, &all };
	struct type_table *t = NULL;
	char why[256] = "";

	assert_int_equal(type_table_new(types, 2, &t, why, sizeof(why)), 0);
	return t;
}

static void a_table_is_sorted_and_found_by_name(void **state)
{
	struct type_table *t = table_of_two();

	(void)state;
	assert_int_equal(type_table_size(t), 2);
	assert_string_equal(type_at(t, 0)->name, "all");
	assert_string_equal(type_at(t, 1)->name, "bare");
	assert_int_equal(type_at(t, 1)->index, 1);
	assert_int_equal(type_at(t, 1)->job_class, CLASS_CPU);
	assert_null(type_at(t, 2));
	assert_ptr_equal(type_find(t, SPAN("all")), type_at(t, 0));
	assert_ptr_equal(type_find(t, SPAN("bare")), type_at(t, 1));
	assert_null(type_find(t, SPAN("bar")));
	assert_null(type_find(t, SPAN("barely")));
	assert_null(type_find(t, SPAN("")));
	assert_null(type_find(t, SPAN("zzz")));
	assert_true(type_at(t, 0)->required == 1);
	type_table_free(t);
}

static void a_dumped_table_loads_with_the_same_hash(void **state)
{
	struct type_table *t = table_of_two(), *copy = NULL;
	char *text = type_table_dump(t), *again;

	(void)state;
	assert_non_null(text);
	assert_int_equal(type_table_load(span_of(text), &copy), 0);
	assert_true(type_table_hash(t) == type_table_hash(copy));
	again = type_table_dump(copy);
	assert_string_equal(text, again);
	assert_string_equal(type_at(copy, 0)->params[6].choices, "none|head|body");
	assert_int_equal(type_at(copy, 0)->param_count, 11);
	assert_null(type_at(copy, 0)->params[11].name);
	assert_string_equal(type_at(copy, 0)->limit_param, "url");
	assert_null(type_at(copy, 1)->limit_param);
	free(again);
	free(text);
	type_table_free(copy);
	type_table_free(t);
}

static void a_changed_declaration_changes_the_hash(void **state)
{
	struct ga_job_type other = all;
	const struct ga_job_type *const types[] = { &bare, &other };
	struct type_table *t = table_of_two(), *changed = NULL;
	char why[256];

	(void)state;
	other.help = "takes nearly everything";
	assert_int_equal(type_table_new(types, 2, &changed, why, sizeof(why)), 0);
	assert_true(type_table_hash(t) != type_table_hash(changed));
	type_table_free(changed);
	type_table_free(t);
}

static void what_is_no_table_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"version\":1}",
		"{\"version\":2,\"types\":[]}",
		"{\"version\":1,\"types\":{}}",
		"{\"version\":1,\"types\":[1]}",
		"{\"version\":1,\"types\":[{\"name\":\"x\"}]}",
		"{\"version\":1,\"types\":[{\"name\":\"X\",\"help\":\"h\",\"class\":0,\"params\":[]}]}",
		"{\"version\":1,\"types\":[{\"name\":\"x\",\"help\":\"h\",\"class\":9,\"params\":[]}]}",
		"{\"version\":1,\"types\":[{\"name\":\"x\",\"help\":\"h\",\"class\":0,\"params\":[{}]}]}",
		"{\"version\":1,\"types\":[{\"name\":\"x\",\"help\":\"h\",\"class\":0,\"params\":3}],\"y\":1}",
		"{\"version\":1,\"types\":[]} x",
	};
	struct type_table *t = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(type_table_load(span_of(bad[i]), &t), -EPROTO);
	assert_null(t);
}

static void the_dump_is_refused_truncated_at_each_byte(void **state)
{
	struct type_table *t = table_of_two(), *copy = NULL;
	char *text = type_table_dump(t);
	size_t size = strlen(text);

	(void)state;
	for (size_t i = 0; i < size; i++)
		assert_int_equal(type_table_load((struct span){ text, i }, &copy), -EPROTO);
	free(text);
	type_table_free(t);
}

static void expect_bad_type(const struct ga_job_type *type, int error, const char *fragment)
{
	const struct ga_job_type *const types[] = { &bare, type };
	struct type_table *t = NULL;
	char why[256] = "";

	assert_int_equal(type_table_new(types, 2, &t, why, sizeof(why)), error);
	if (!strstr(why, fragment))
		print_message("# \"%s\" lacks \"%s\"\n", why, fragment);
	assert_non_null(strstr(why, fragment));
}

static void expect_bad_param(struct ga_param param, const char *fragment)
{
	const struct ga_param params[] = { param, { 0 } };

	expect_bad_type(
		&(struct ga_job_type){ .name = "x", .help = "h", .params = params, .work = nothing },
		-EINVAL, fragment);
}

static void a_wrong_declaration_is_refused_with_the_reason(void **state)
{
	const struct ga_param twice[] = { { .name = "a", .help = "h" },
					  { .name = "a", .help = "h" },
					  { 0 } };

	(void)state;
	expect_bad_type(&bare, -EEXIST, "bare");
	expect_bad_type(&(struct ga_job_type){ .name = "Big", .help = "h" }, -EINVAL, "name");
	expect_bad_type(&(struct ga_job_type){ .name = "../x", .help = "h" }, -EINVAL, "name");
	expect_bad_type(&(struct ga_job_type){ .help = "h" }, -EINVAL, "name");
	expect_bad_type(&(struct ga_job_type){ .name = "x" }, -EINVAL, "help");
	expect_bad_type(&(struct ga_job_type){ .name = "x", .help = "a\nb" }, -EINVAL, "help");
	expect_bad_type(&(struct ga_job_type){ .name = "x", .help = "h", .job_class = 9 }, -EINVAL,
			"class");
	expect_bad_type(&(struct ga_job_type){ .name = "x", .help = "h", .params = twice }, -EINVAL,
			"two");
	expect_bad_type(&(struct ga_job_type){ .name = "x", .help = "h", .limit_param = "url" },
			-EINVAL, "limit_param");
	expect_bad_type(
		&(struct ga_job_type){
			.name = "x", .help = "h", .params = all_params, .limit_param = "count" },
		-EINVAL, "no text");
	expect_bad_param((struct ga_param){ .name = "A", .help = "h" }, "name");
	expect_bad_param((struct ga_param){ .name = "a" }, "help");
	expect_bad_param((struct ga_param){ .name = "a", .help = "h", .type = 77 }, "unknown type");
	expect_bad_param((struct ga_param){ .name = "a", .help = "h", .flags = 8 }, "flags");
	expect_bad_param((struct ga_param){ .name = "a", .help = "h", .min = 2, .max = 1 }, "min");
	expect_bad_param((struct ga_param){ .name = "a", .help = "h", .type = GA_CHOICE }, "choices");
	expect_bad_param((struct ga_param){ .name = "a", .help = "h", .preset = "x" }, "JSON");
	expect_bad_param((struct ga_param){ .name = "a", .help = "h", .preset = "1" }, "string");
	expect_bad_param(
		(struct ga_param){ .name = "a", .help = "h", .preset = "\"\"", .flags = GA_REQUIRED },
		"default");
}

/* Check `args` against the type "all"; returns what type_check_args() does. */
static int check(const char *args, struct refusal *r)
{
	struct type_table *t = table_of_two();
	json_t *object = NULL;
	int error;

	memset(r, 0, sizeof(*r));
	error = json_read_object(span_of(args), "args", &object, r);
	if (error == 0)
		error = type_check_args(type_find(t, SPAN("all")), object, r);
	json_decref(object);
	type_table_free(t);
	return error;
}

static void right_arguments_pass(void **state)
{
	static const char *const good[] = {
		"{\"url\":\"x\"}",
		"{\"url\":\"1234567890\",\"count\":1,\"ratio\":-1,\"verify\":false}",
		"{\"url\":\"x\",\"count\":10,\"ratio\":0.5,\"wait\":\"1.5s\",\"room\":\"1KiB\"}",
		"{\"url\":\"x\",\"wait\":3600,\"room\":16777216,\"save\":\"head\"}",
		"{\"url\":\"x\",\"wait\":0.25,\"headers\":{\"a\":[1,2]},\"list\":[],\"echo\":null,\"token\":7}",
	};
	struct refusal r;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(check(good[i], &r), 0);
}

static void a_wrong_argument_is_named_with_what_it_takes(void **state)
{
	static const struct {
		const char *args, *code, *field, *fragment;
	} bad[] = {
		{ "{}", "missing_argument", "args.url", "a string" },
		{ "{\"url\":1}", "bad_argument", "args.url", "string" },
		{ "{\"url\":null}", "bad_argument", "args.url", "null" },
		{ "{\"url\":\"\"}", "bad_argument", "args.url", "1 to 10" },
		{ "{\"url\":\"12345678901\"}", "bad_argument", "args.url", "11 bytes" },
		{ "{\"url\":\"x\",\"count\":0}", "bad_argument", "args.count", "from 1 to 10" },
		{ "{\"url\":\"x\",\"count\":11}", "bad_argument", "args.count", "11" },
		{ "{\"url\":\"x\",\"count\":1.5}", "bad_argument", "args.count", "whole" },
		{ "{\"url\":\"x\",\"count\":\"1\"}", "bad_argument", "args.count", "\"1\"" },
		{ "{\"url\":\"x\",\"ratio\":1.01}", "bad_argument", "args.ratio", "number" },
		{ "{\"url\":\"x\",\"ratio\":true}", "bad_argument", "args.ratio", "boolean" },
		{ "{\"url\":\"x\",\"verify\":1}", "bad_argument", "args.verify", "true or false" },
		{ "{\"url\":\"x\",\"wait\":-1}", "bad_argument", "args.wait", "duration" },
		{ "{\"url\":\"x\",\"wait\":3601}", "bad_argument", "args.wait", "3600" },
		{ "{\"url\":\"x\",\"wait\":\"soon\"}", "bad_argument", "args.wait", "soon" },
		{ "{\"url\":\"x\",\"wait\":1e300}", "bad_argument", "args.wait", "duration" },
		{ "{\"url\":\"x\",\"room\":-1}", "bad_argument", "args.room", "size" },
		{ "{\"url\":\"x\",\"room\":\"1GiB\"}", "bad_argument", "args.room", "1GiB" },
		{ "{\"url\":\"x\",\"room\":1.5}", "bad_argument", "args.room", "1.5" },
		{ "{\"url\":\"x\",\"save\":\"all\"}", "bad_argument", "args.save", "none, head, body" },
		{ "{\"url\":\"x\",\"save\":\"none|head\"}", "bad_argument", "args.save", "one of" },
		{ "{\"url\":\"x\",\"save\":\"\"}", "bad_argument", "args.save", "one of" },
		{ "{\"url\":\"x\",\"headers\":[]}", "bad_argument", "args.headers", "an object" },
		{ "{\"url\":\"x\",\"list\":{}}", "bad_argument", "args.list", "an array" },
		{ "{\"url\":\"x\",\"counts\":1}", "unknown_argument", "args.counts", "mean count?" },
		{ "{\"url\":\"x\",\"nonsense\":1}", "unknown_argument", "args.nonsense", "ratio" },
		{ "{\"url\":\"x\",\"a\\u001b\":1}", "unknown_argument", "args.a\\x1b", "url" },
	};
	struct refusal r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(check(bad[i].args, &r), -EINVAL);
		if (!strstr(r.message, bad[i].fragment))
			print_message("# %s: \"%s\" lacks \"%s\"\n", bad[i].args, r.message,
				      bad[i].fragment);
		assert_non_null(strstr(r.message, bad[i].fragment));
		assert_string_equal(r.code, bad[i].code);
		assert_string_equal(r.field, bad[i].field);
		assert_int_equal(r.status, 422);
	}
}

static void a_secret_value_is_never_shown(void **state)
{
	struct refusal r;

	(void)state;
	assert_int_equal(check("{\"url\":\"x\",\"token\":\"hunter2\"}", &r), -EINVAL);
	assert_null(strstr(r.message, "hunter2"));
}

static void a_type_without_parameters_says_so(void **state)
{
	struct type_table *t = table_of_two();
	json_t *args = json_pack("{s:i}", "x", 1), *none = json_object();
	const struct job_type *type = type_find(t, SPAN("bare"));
	struct refusal r = { 0 };

	(void)state;
	assert_int_equal(type_check_args(type, args, &r), -EINVAL);
	assert_non_null(strstr(r.message, "takes no arguments"));
	assert_int_equal(type_check_args(type, none, &r), 0);
	assert_int_equal(type_check_args(type, NULL, &r), 0);
	json_decref(args);
	json_decref(none);
	type_table_free(t);
}

static void text_that_is_no_json_object_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"nonsense",
		"{\"a\":1}x",
		"{\"a\":1,\"a\":2}",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":\"\xc0\xaf\"}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":1e999}",
		"{\"a\":18446744073709551616}",
		"{\"a\":NaN}",
		"\xef\xbb\xbf{}",
		"[]",
		"1",
	};
	json_t *object = NULL;
	struct refusal r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&r, 0, sizeof(r));
		assert_int_equal(json_read_object(span_of(bad[i]), "the job", &object, &r), -EINVAL);
		assert_string_equal(r.code, "bad_json");
		assert_non_null(strstr(r.message, "the job"));
	}
	assert_null(object);
}

static void nesting_is_limited_to_32(void **state)
{
	size_t big = 100000;
	char *flood = malloc(big);
	json_t *object = NULL;
	struct refusal r;
	char text[160];

	(void)state;
	memset(flood, '[', big);
	assert_int_equal(json_read_object((struct span){ flood, big }, "x", &object, &r), -EINVAL);
	assert_non_null(strstr(r.message, "32"));
	free(flood);
	for (int depth = 31; depth <= 32; depth++) { /* and the object around them */
		memcpy(text, "{\"a\":", 5);
		memset(text + 5, '[', (size_t)depth);
		memset(text + 5 + depth, ']', (size_t)depth);
		strcpy(text + 5 + 2 * depth, "}");
		assert_int_equal(json_read_object(span_of(text), "x", &object, &r),
				 depth == 31 ? 0 : -EINVAL);
	}
	json_decref(object);
	object = NULL;
	assert_int_equal(json_read_object(SPAN("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"\"}"),
					  "x", &object, &r),
			 0);
	json_decref(object);
}

static void durations_and_sizes_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t duration;
	} values[] = { { "\"10s\"", 10000000000 },
		       { "2.5", 2500000000 },
		       { "3", 3000000000 },
		       { "\"250ms\"", 250000000 } };
	json_t *size = json_string("64KiB"), *number = json_integer(4096);

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		json_t *value = json_loads(values[i].text, JSON_DECODE_ANY, NULL);

		assert_true(param_duration(value) == values[i].duration);
		json_decref(value);
	}
	assert_true(param_size(size) == 65536);
	assert_true(param_size(number) == 4096);
	json_decref(size);
	json_decref(number);
}

static void a_field_of_the_job_has_no_prefix(void **state)
{
	const struct ga_param p = {
		.name = "priority", .type = GA_INTEGER, .min = -100, .max = 100, .help = "h"
	};
	json_t *value = json_integer(101);
	struct refusal r;

	(void)state;
	assert_int_equal(param_check(&p, "", value, &r), -EINVAL);
	assert_string_equal(r.field, "priority");
	assert_string_equal(r.code, "bad_field");
	json_decref(value);
}

static void a_type_describes_itself(void **state)
{
	struct type_table *t = table_of_two();
	json_t *all_text = type_describe(type_at(t, 0)), *params, *p;

	(void)state;
	assert_non_null(all_text);
	assert_string_equal(json_string_value(json_object_get(all_text, "class")), "light");
	params = json_object_get(all_text, "params");
	assert_int_equal(json_array_size(params), 11);
	p = json_array_get(params, 0);
	assert_true(json_is_true(json_object_get(p, "required")));
	assert_null(json_object_get(p, "default"));
	p = json_array_get(params, 6);
	assert_int_equal(json_array_size(json_object_get(p, "choices")), 3);
	assert_string_equal(json_string_value(json_object_get(p, "default")), "none");
	assert_true(json_is_true(json_object_get(json_array_get(params, 10), "secret")));
	json_decref(all_text);
	type_table_free(t);
}

static void secrets_and_credentials_are_redacted(void **state)
{
	struct type_table *t = table_of_two();
	json_t *args = json_loads(
		"{\"token\":5,\"count\":3,\"headers\":{\"AUTHORIZATION\":\"Bearer x\",\"X\":\"y\",\"Cookie\":[\"c\"]}}",
		0, NULL);
	json_t *right = json_loads(
		"{\"token\":\"[redacted]\",\"count\":3,\"headers\":{\"AUTHORIZATION\":\"[redacted]\","
		"\"X\":\"y\",\"Cookie\":\"[redacted]\"}}",
		0, NULL);

	(void)state;
	type_redact(type_at(t, 0), args);
	assert_true(json_equal(args, right));
	json_decref(args);
	json_decref(right);
	type_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_sorted_and_found_by_name),
		cmocka_unit_test(a_dumped_table_loads_with_the_same_hash),
		cmocka_unit_test(a_changed_declaration_changes_the_hash),
		cmocka_unit_test(what_is_no_table_is_refused),
		cmocka_unit_test(the_dump_is_refused_truncated_at_each_byte),
		cmocka_unit_test(a_wrong_declaration_is_refused_with_the_reason),
		cmocka_unit_test(right_arguments_pass),
		cmocka_unit_test(a_wrong_argument_is_named_with_what_it_takes),
		cmocka_unit_test(a_secret_value_is_never_shown),
		cmocka_unit_test(a_type_without_parameters_says_so),
		cmocka_unit_test(text_that_is_no_json_object_is_refused),
		cmocka_unit_test(nesting_is_limited_to_32),
		cmocka_unit_test(durations_and_sizes_are_read),
		cmocka_unit_test(a_field_of_the_job_has_no_prefix),
		cmocka_unit_test(a_type_describes_itself),
		cmocka_unit_test(secrets_and_credentials_are_redacted),
	};

	return TAP_RUN(tests);
}
