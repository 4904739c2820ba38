/*
 * fuzz_group.c — any JSON is a group or a refusal that says why; what is kept of a group reads as the same group again;
 * whatever results say, references are filled in or refused, and what is filled in is JSON.
 *
 * The text is a group, a newline, and results by place ({"0": {"body": "..."}}).
 */
#include "buf.h"
#include "group_form.h"
#include "reference.h"
#include "type_table.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const json_t *object, const struct form_place *outer, const json_t *inputs,
		    unsigned depth);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void must_say_why(const struct refusal *r)
{
	must(r->status >= 400 && r->code[0] && r->message[0]);
}

static void check_spec(const json_t *object, const struct group_form *form)
{
	struct buf text = BUF_INIT;
	struct group_form again;
	struct refusal r;
	json_t *spec;

	must(group_form_spec(object, form, &text) == 0);
	spec = json_loadb(buf_data(&text), buf_size(&text), 0, NULL);
	must(spec && group_form_read(spec, true, &again, &r) == 0);
	must(memcmp(&again.options, &form->options, sizeof(form->options)) == 0);
	must(again.count == form->count);
	json_decref(spec);
	buf_done(&text);
}

static void look_at_job(const json_t *job, const struct form_place *place, const json_t *inputs)
{
	json_t *args = json_deep_copy(json_object_get(job, "args"));
	struct refusal r = { 0 };
	char *text;

	if (!json_is_object(args)) {
		json_decref(args);
		return;
	}
	if (group_form_references(args, place, &r) < 0)
		must_say_why(&r);
	memset(&r, 0, sizeof(r));
	if (references_fill(args, inputs, &r) < 0)
		must_say_why(&r);
	text = json_dumps(args, JSON_COMPACT);
	must(text);
	free(text);
	json_decref(args);
}

static void look_at_map(const struct group_form *form, const struct form_place *outer,
			const json_t *inputs)
{
	const struct form_place place = { outer, form, "map", PLACE_ALL };
	json_t *args, *job = json_object();
	struct refusal r = { 0 };

	for (uint32_t i = 0; i < form->count && i < 20; i++) {
		if (map_args(json_object_get(form->template, "args"), json_array_get(form->over, i),
			     i % 2 ? "only" : NULL, &args, &r) < 0) {
			must_say_why(&r);
			continue;
		}
		json_object_set_new(job, "args", args);
		look_at_job(job, &place, inputs);
	}
	json_decref(job);
}

static void look_at(const json_t *object, const struct form_place *outer, const json_t *inputs,
		    unsigned depth)
{
	struct refusal r = { 0 };
	struct group_form form;
	uint32_t jobs = 0, groups = 0;

	if (group_form_read(object, false, &form, &r) < 0) {
		must_say_why(&r);
		if (outer)
			must(refusal_at(&r, outer) < 0);
		return;
	}
	group_form_count(object, &jobs, &groups);
	must(groups >= 1);
	check_spec(object, &form);
	if (form.options.kind == GROUP_MAP)
		look_at_map(&form, outer, inputs);
	for (uint32_t i = 0; form.members && i < form.count; i++) {
		const struct form_place place = { outer, &form, form.key, i };
		const json_t *member = json_array_get(form.members, i);

		if (group_form_is(member) && depth < 40)
			look_at(member, &place, inputs, depth + 1);
		else
			look_at_job(member, &place, inputs);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *newline = size ? memchr(text, '\n', size) : NULL;
	size_t group_size = newline ? (size_t)(newline - text) : size;
	json_t *group, *inputs = NULL;
	struct refusal r = { 0 };

	if (json_read_object((struct span){ text, group_size }, "the group", &group, &r) < 0) {
		must_say_why(&r);
		return 0;
	}
	if (newline)
		inputs = json_loadb(newline + 1, size - group_size - 1, 0, NULL);
	if (!json_is_object(inputs)) {
		json_decref(inputs);
		inputs = json_object();
	}
	look_at(group, NULL, inputs, 0);
	json_decref(group);
	json_decref(inputs);
	return 0;
}
