/* test_group_form.c — groups as clients write them: what is taken, what is refused and how, what a map makes. */
#include "tap_main.h"

#include "buf.h"
#include "group_form.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *tree(const char *text)
{
	json_t *t = json_loads(text, JSON_DECODE_ANY, NULL);

	if (!t)
		fail_msg("not JSON: %s", text);
	return t;
}

/* The tree is the caller's to free once the form is no longer looked at. */
static struct group_form read_form(const char *text, json_t **ret_tree)
{
	struct group_form f = { 0 };
	struct refusal r;

	*ret_tree = tree(text);
	if (group_form_read(*ret_tree, false, &f, &r) < 0)
		fail_msg("%s: %s", text, r.message);
	return f;
}

static void each_kind_has_its_options(void **state)
{
	struct group_form f;
	json_t *t;

	(void)state;
	f = read_form("{\"gather\":[{},{}],\"return_exceptions\":true,\"timeout\":\"5s\","
		      "\"durability\":\"memory\"}",
		      &t);
	assert_int_equal(f.options.kind, GROUP_GATHER);
	assert_int_equal(f.count, 2);
	assert_true(f.options.return_exceptions);
	assert_int_equal(f.options.timeout, INT64_C(5000000000));
	assert_string_equal(f.durability, "memory");
	json_decref(t);
	f = read_form("{\"wait\":[1,2,3],\"until\":2,\"cancel_rest\":true}", &t);
	assert_int_equal(f.options.kind, GROUP_WAIT);
	assert_int_equal(f.options.until, UNTIL_COUNT);
	assert_int_equal(f.options.until_count, 2);
	assert_true(f.options.cancel_rest);
	json_decref(t);
	f = read_form("{\"wait\":[1,2,3],\"until\":\"first_completed\"}", &t);
	assert_int_equal(f.options.until_count, 1);
	json_decref(t);
	f = read_form("{\"wait\":[1],\"until\":\"first_exception\"}", &t);
	assert_int_equal(f.options.until, UNTIL_FIRST_EXCEPTION);
	json_decref(t);
	f = read_form("{\"wait\":[1],\"until\":\"all\"}", &t);
	assert_int_equal(f.options.until, UNTIL_ALL);
	json_decref(t);
	f = read_form("{\"chain\":[]}", &t);
	assert_int_equal(f.options.kind, GROUP_CHAIN);
	assert_int_equal(f.count, 0);
	json_decref(t);
	f = read_form("{\"map\":{\"type\":\"noop\"},\"over\":[1,2],\"order\":\"completed\"}", &t);
	assert_int_equal(f.options.kind, GROUP_MAP);
	assert_int_equal(f.options.window, 100);
	assert_true(f.options.return_exceptions);
	assert_true(f.options.by_completion);
	json_decref(t);
	f = read_form("{\"map\":{\"type\":\"noop\"},\"over\":[],\"window\":7,\"return_exceptions\":false}",
		      &t);
	assert_int_equal(f.options.window, 7);
	assert_false(f.options.return_exceptions);
	json_decref(t);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *code, *field;
	} cases[] = {
		{ "[]", "bad_group", "" },
		{ "{}", "bad_group", "" },
		{ "{\"type\":\"noop\"}", "bad_group", "" },
		{ "{\"gather\":[],\"chain\":[]}", "bad_group", "chain" },
		{ "{\"gather\":{}}", "bad_field", "gather" },
		{ "{\"gather\":7}", "bad_field", "gather" },
		{ "{\"gather\":[],\"until\":\"all\"}", "unknown_field", "until" },
		{ "{\"gather\":[],\"frob\":1}", "unknown_field", "frob" },
		{ "{\"gather\":[],\"timeout\":-1}", "bad_field", "timeout" },
		{ "{\"gather\":[],\"return_exceptions\":1}", "bad_field", "return_exceptions" },
		{ "{\"gather\":[],\"durability\":\"disk\"}", "bad_field", "durability" },
		{ "{\"chain\":[],\"return_exceptions\":true}", "unknown_field", "return_exceptions" },
		{ "{\"wait\":[]}", "bad_field", "wait" },
		{ "{\"wait\":[1],\"until\":2}", "bad_field", "until" },
		{ "{\"wait\":[1],\"until\":0}", "bad_field", "until" },
		{ "{\"wait\":[1],\"until\":\"some\"}", "bad_field", "until" },
		{ "{\"wait\":[1],\"until\":1.5}", "bad_field", "until" },
		{ "{\"map\":[],\"over\":[]}", "bad_field", "map" },
		{ "{\"map\":{\"gather\":[]},\"over\":[]}", "bad_field", "map" },
		{ "{\"map\":{\"type\":\"noop\"}}", "missing_field", "over" },
		{ "{\"map\":{\"type\":\"noop\"},\"over\":3}", "bad_field", "over" },
		{ "{\"map\":{\"type\":\"noop\"},\"over\":[],\"window\":0}", "bad_field", "window" },
		{ "{\"map\":{\"type\":\"noop\"},\"over\":[],\"order\":\"random\"}", "bad_field",
		  "order" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct refusal r = { 0 };
		struct group_form f;
		json_t *t = tree(cases[i].text);

		if (group_form_read(t, false, &f, &r) != -EINVAL)
			fail_msg("%s was taken", cases[i].text);
		assert_string_equal(r.code, cases[i].code);
		assert_string_equal(r.field, cases[i].field);
		json_decref(t);
	}
}

static void too_many_members_are_refused(void **state)
{
	json_t *list = json_array(), *group = json_object();
	struct refusal r;
	struct group_form f;

	(void)state;
	for (int i = 0; i <= (int)GROUP_MEMBERS_MAX; i++)
		json_array_append_new(list, json_integer(i));
	json_object_set_new(group, "gather", list);
	assert_int_equal(group_form_read(group, false, &f, &r), -EINVAL);
	assert_int_equal(r.status, 413);
	json_array_remove(list, 0);
	assert_int_equal(group_form_read(group, false, &f, &r), 0);
	json_decref(group);
}

static void all_levels_are_counted(void **state)
{
	json_t *t = tree("{\"chain\":[{\"type\":\"a\"},{\"gather\":[{\"type\":\"a\"},{\"wait\":[{},{}]}]},"
			 "{\"map\":{\"type\":\"x\"},\"over\":[1,2,3]},{\"nonsense\":1}]}");
	uint32_t jobs = 0, groups = 0;

	(void)state;
	group_form_count(t, &jobs, &groups);
	assert_int_equal(jobs, 8);
	assert_int_equal(groups, 4);
	json_decref(t);
}

static void assert_same_options(const struct group_options *a, const struct group_options *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->return_exceptions, b->return_exceptions);
	assert_int_equal(a->until, b->until);
	assert_int_equal(a->cancel_rest, b->cancel_rest);
	assert_int_equal(a->until_count, b->until_count);
	assert_int_equal(a->window, b->window);
	assert_int_equal(a->by_completion, b->by_completion);
	assert_int_equal(a->timeout, b->timeout);
}

static void assert_spec(const char *text, const char *expected)
{
	struct buf out = BUF_INIT;
	struct group_form again;
	struct refusal r;
	json_t *t, *spec;
	struct group_form f = read_form(text, &t);

	assert_int_equal(group_form_spec(t, &f, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal(buf_data(&out), expected);
	spec = tree(buf_data(&out));
	assert_int_equal(group_form_read(spec, true, &again, &r), 0);
	assert_same_options(&again.options, &f.options);
	assert_int_equal(again.count, f.count);
	json_decref(spec);
	json_decref(t);
	buf_done(&out);
}

static void what_is_kept_is_read_again(void **state)
{
	(void)state;
	assert_spec("{\"wait\":[{\"type\":\"a\"},{\"gather\":[]}],\"until\":2}",
		    "{\"wait\":2,\"until\":2}");
	assert_spec("{\"timeout\":3,\"chain\":[]}", "{\"timeout\":3,\"chain\":0}");
	assert_spec(
		"{\"map\":{\"type\":\"a\",\"args\":{\"u\":\"{}\"}},\"over\":[1,\"b\"],\"window\":5}",
		"{\"map\":{\"type\":\"a\",\"args\":{\"u\":\"{}\"}},\"over\":[1,\"b\"],\"window\":5}");
}

/* ---- references: chain [ job, gather [ job, job ], map of 2, chain [ job, HERE ], job ] ---- */

static const char nest[] =
	"{\"chain\":[{\"type\":\"a\"},{\"gather\":[{\"type\":\"a\"},{\"type\":\"b\"}]},"
	"{\"map\":{\"type\":\"c\"},\"over\":[1,2]},"
	"{\"chain\":[{\"type\":\"d\"},{\"gather\":[{\"type\":\"here\"}]}]},{\"type\":\"e\"}]}";

static int refer(const char *reference, struct refusal *r)
{
	json_t *outer_tree, *args = json_pack("{s:{s:s}}", "x", "$ref", reference);
	struct group_form outer = read_form(nest, &outer_tree), inner, gather;
	int error;

	assert_int_equal(group_form_read(json_array_get(outer.members, 3), false, &inner, r), 0);
	assert_int_equal(group_form_read(json_array_get(inner.members, 1), false, &gather, r), 0);
	const struct form_place first = { NULL, &outer, "chain", 3 };
	const struct form_place second = { &first, &inner, "chain", 1 };
	const struct form_place third = { &second, &gather, "gather", 0 };

	error = group_form_references(args, &third, r);
	json_decref(args);
	json_decref(outer_tree);
	return error;
}

static void a_reference_names_a_job_before(void **state)
{
	static const char *const good[] = { "0#/json", "../0#", "../1/0#/status", "../1/1#", "../2/1#" };
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "1#", "itself or a later member" },
		{ "2#", "itself or a later member" },
		{ "../3#", "itself or a later member" },
		{ "../4#", "itself or a later member" },
		{ "../../0#", "a chain further out" },
		{ "../1#", "names a group" },
		{ "../1/2#", "past the last member" },
		{ "../2/2#", "past the last member" },
		{ "0/0#", "goes into a job" },
		{ "../2/0/0#", "goes into a job" },
		{ "token", "takes a place in the chain" },
		{ "999999#", "itself or a later member" },
	};
	struct refusal r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (refer(good[i], &r) < 0)
			fail_msg("%s: %s", good[i], r.message);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(refer(bad[i].text, &r), -EINVAL);
		assert_string_equal(r.field, "args.x");
		if (!strstr(r.message, bad[i].says))
			fail_msg("%s: %s", bad[i].text, r.message);
	}
}

static void outside_of_chains_arguments_mean_nothing(void **state)
{
	json_t *t, *args = json_pack("{s:{s:s}}", "x", "$ref", "0#");
	struct group_form f = read_form("{\"gather\":[{},{}]}", &t);
	const struct form_place place = { NULL, &f, "gather", 1 };
	struct refusal r;

	(void)state;
	assert_false(place_is_in_chain(&place));
	assert_int_equal(group_form_references(args, &place, &r), 0);
	json_decref(args);
	json_decref(t);
}

static void a_refusal_says_where(void **state)
{
	struct group_form f = { 0 };
	const struct form_place outer = { NULL, &f, "chain", 2 };
	const struct form_place inner = { &outer, &f, "gather", 0 };
	const struct form_place all = { &inner, &f, "map", PLACE_ALL };
	struct refusal r;

	(void)state;
	refuse(&r, 422, "bad_argument", "args.url", "args.url takes a string, not 5");
	assert_int_equal(refusal_at(&r, &inner), -EINVAL);
	assert_string_equal(r.field, "chain[2].gather[0].args.url");
	assert_string_equal(r.message, "chain[2].gather[0]: args.url takes a string, not 5");
	refuse(&r, 422, "bad", "", "nothing");
	refusal_at(&r, &all);
	assert_string_equal(r.field, "chain[2].gather[0].map");
	refusal_at(&r, NULL);
	assert_string_equal(r.field, "chain[2].gather[0].map");
}

/* ---- maps ---- */

static void assert_mapped(const char *template, const char *value, const char *only, const char *expected)
{
	json_t *t = template ? tree(template) : NULL, *v = tree(value), *args = NULL;
	struct refusal r = { 0 };
	int error = map_args(t, v, only, &args, &r);
	char *text;

	if (!expected) {
		assert_int_equal(error, -EINVAL);
		assert_string_equal(r.code, "bad_field");
		json_decref(t);
		json_decref(v);
		return;
	}
	if (error < 0)
		fail_msg("%s: %s", value, r.message);
	text = json_dumps(args, JSON_COMPACT);
	assert_string_equal(text, expected);
	free(text);
	json_decref(args);
	json_decref(t);
	json_decref(v);
}

static void a_template_takes_values_in(void **state)
{
	(void)state;
	assert_mapped("{\"url\":\"http://a/{}\"}", "\"x\"", NULL, "{\"url\":\"http://a/x\"}");
	assert_mapped("{\"url\":\"http://a/{}/{}\",\"n\":[{\"id\":\"{}\"}]}", "5", NULL,
		      "{\"url\":\"http://a/5/5\",\"n\":[{\"id\":5}]}");
	assert_mapped("{\"n\":\"{}\",\"plain\":true}", "[1,2]", NULL, "{\"n\":[1,2],\"plain\":true}");
	assert_mapped("{\"method\":\"GET\"}", "\"x\"", "url", "{\"method\":\"GET\",\"url\":\"x\"}");
	assert_mapped(NULL, "2", "seconds", "{\"seconds\":2}");
	assert_mapped("{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":\"{}\"}", NULL,
		      "{\"a\":1,\"b\":3,\"c\":\"{}\"}");
	assert_mapped("{\"url\":\"{}\"}", "\"{}\"", NULL, "{\"url\":\"{}\"}"); /* filled in once */
	assert_mapped("{\"a\":1}", "\"x\"", NULL, NULL);
	assert_mapped(NULL, "\"x\"", NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_its_options),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(too_many_members_are_refused),
		cmocka_unit_test(all_levels_are_counted),
		cmocka_unit_test(what_is_kept_is_read_again),
		cmocka_unit_test(a_reference_names_a_job_before),
		cmocka_unit_test(outside_of_chains_arguments_mean_nothing),
		cmocka_unit_test(a_refusal_says_where),
		cmocka_unit_test(a_template_takes_values_in),
	};

	return TAP_RUN(tests);
}
