#include "group_form.h"
#include "json_write.h"
#include "type_table.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_DEFAULT 100

enum option {
	OPTION_TIMEOUT,
	OPTION_DURABILITY,
	OPTION_EXCEPTIONS,
	OPTION_UNTIL,
	OPTION_CANCEL_REST,
	OPTION_OVER,
	OPTION_WINDOW,
	OPTION_ORDER,
	OPTION_COUNT
};

#define IN(kind) (1u << (kind))
#define IN_ALL (IN(GROUP_GATHER) | IN(GROUP_WAIT) | IN(GROUP_CHAIN) | IN(GROUP_MAP))

static const struct {
	struct ga_param param;
	unsigned kinds; /* that it is for */
} options[OPTION_COUNT] = {
	[OPTION_TIMEOUT] = { { "timeout", GA_DURATION, 0, NULL, 0.001, 2592000, "s", NULL,
			       "of the whole" },
			     IN_ALL },
	[OPTION_DURABILITY] = { { "durability", GA_CHOICE, 0, NULL, 0, 0, NULL,
				  "memory|write|fsync", "of it and all its members" },
				IN_ALL },
	[OPTION_EXCEPTIONS] = { { "return_exceptions", GA_BOOLEAN, 0, "false", 0, 0, NULL, NULL,
				  "errors are results" },
				IN(GROUP_GATHER) | IN(GROUP_MAP) },
	[OPTION_UNTIL] = { { "until", GA_ANY, 0, "\"all\"", 0, 0, NULL, NULL, "what ends it" },
			   IN(GROUP_WAIT) },
	[OPTION_CANCEL_REST] = { { "cancel_rest", GA_BOOLEAN, 0, "false", 0, 0, NULL, NULL,
				   "what is left is cancelled" },
				 IN(GROUP_WAIT) },
	[OPTION_OVER] = { { "over", GA_ARRAY, GA_REQUIRED, NULL, 0, 0, NULL, NULL,
			    "what the template is filled with" },
			  IN(GROUP_MAP) },
	[OPTION_WINDOW] = { { "window", GA_INTEGER, 0, "100", 1, GROUP_MEMBERS_MAX, NULL, NULL,
			      "unfinished members at a time" },
			    IN(GROUP_MAP) },
	[OPTION_ORDER] = { { "order", GA_CHOICE, 0, "\"input\"", 0, 0, NULL, "input|completed",
			     "of the results" },
			   IN(GROUP_MAP) },
};

static const char *const keys[] = {
	[GROUP_GATHER] = "gather", [GROUP_WAIT] = "wait", [GROUP_CHAIN] = "chain", [GROUP_MAP] = "map"
};

static enum group_kind kind_of_key(const char *key)
{
	for (int k = GROUP_GATHER; k <= GROUP_MAP; k++) {
		if (strcmp(keys[k], key) == 0)
			return (enum group_kind)k;
	}
	return 0;
}

static int option_of_key(const char *key)
{
	for (int o = 0; o < OPTION_COUNT; o++) {
		if (strcmp(options[o].param.name, key) == 0)
			return o;
	}
	return -1;
}

bool group_form_is(const json_t *member)
{
	/* A job may "wait", on a door where it is asked to; it has a type. */
	for (int k = GROUP_GATHER; k <= GROUP_MAP; k++) {
		if (json_object_get(member, keys[k]) && !json_object_get(member, "type"))
			return true;
	}
	return false;
}

static int find_kind(const json_t *object, enum group_kind *ret_kind, struct refusal *r)
{
	enum group_kind found = 0;

	if (!json_is_object(object))
		return refuse(r, 400, "bad_group", "",
			      "a group is a JSON object like {\"gather\": [{\"type\": \"noop\"}]}");
	for (int k = GROUP_GATHER; k <= GROUP_MAP; k++) {
		if (!json_object_get(object, keys[k]))
			continue;
		if (found)
			return refuse(r, 422, "bad_group", keys[k],
				      "a group is one of gather, wait, chain and map, and this is %s and %s",
				      keys[found], keys[k]);
		found = (enum group_kind)k;
	}
	if (!found)
		return refuse(r, 422, "bad_group", "",
			      "a group takes one of gather, wait, chain and map: "
			      "{\"gather\": [{\"type\": \"noop\"}]}");
	*ret_kind = found;
	return 0;
}

static int refuse_option(const char *key, enum group_kind kind, struct refusal *r)
{
	char known[128] = "";

	for (int o = 0; o < OPTION_COUNT; o++) {
		if (options[o].kinds & IN(kind)) {
			strcat(known, " ");
			strcat(known, options[o].param.name);
		}
	}
	return refuse(r, 422, "unknown_field", key, "unknown field \"%.40s\": a %s takes%s", key,
		      keys[kind], known);
}

static int check_options(const json_t *object, enum group_kind kind, struct refusal *r)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		int o = option_of_key(key), error;

		if (kind_of_key(key) == kind)
			continue;
		if (o < 0 || !(options[o].kinds & IN(kind)))
			return refuse_option(key, kind, r);
		error = param_check(&options[o].param, "", value, r);
		if (error < 0)
			return error;
	}
	return 0;
}

static int check_count(size_t count, const char *key, struct refusal *r)
{
	if (count > GROUP_MEMBERS_MAX)
		return refuse(r, 413, "group_too_large", key,
			      "%s has %zu members: a group has at most %u in all", key, count,
			      GROUP_MEMBERS_MAX);
	return 0;
}

static int read_until(const json_t *value, struct group_form *f, struct refusal *r)
{
	const char *word = json_string_value(value);

	if (!value || (word && strcmp(word, "all") == 0))
		return 0;
	f->options.until = UNTIL_COUNT;
	f->options.until_count = 1;
	if (word && strcmp(word, "first_completed") == 0)
		return 0;
	if (word && strcmp(word, "first_exception") == 0) {
		f->options.until = UNTIL_FIRST_EXCEPTION;
		return 0;
	}
	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
	    json_integer_value(value) > (json_int_t)f->count)
		return refuse(r, 422, "bad_field", "until",
			      "until takes all, first_completed, first_exception, or how many, from 1 to "
			      "the number of members");
	f->options.until_count = (uint32_t)json_integer_value(value);
	return 0;
}

static int read_members(const json_t *value, bool stored, struct group_form *f, struct refusal *r)
{
	int error;

	if (stored && json_is_integer(value)) {
		f->count = (uint32_t)json_integer_value(value);
		return check_count((size_t)json_integer_value(value), f->key, r);
	}
	if (!json_is_array(value))
		return refuse(r, 422, "bad_field", f->key, "%s takes an array of jobs and groups",
			      f->key);
	f->members = value;
	error = check_count(json_array_size(value), f->key, r);
	f->count = (uint32_t)json_array_size(value);
	if (error == 0 && f->options.kind == GROUP_WAIT && f->count == 0)
		return refuse(r, 422, "bad_field", f->key,
			      "wait takes at least one member: there is nothing to wait for");
	return error;
}

static int read_map(const json_t *object, const json_t *template, struct group_form *f,
		    struct refusal *r)
{
	const json_t *v;

	f->over = json_object_get(object, "over");
	f->template = template;
	if (!json_is_object(template) || group_form_is(template))
		return refuse(r, 422, "bad_field", "map",
			      "map takes a job: {\"map\": {\"type\": \"noop\"}, \"over\": [1, 2]}");
	if (!f->over)
		return refuse(r, 422, "missing_field", "over",
			      "over is missing: map takes a list to go over");
	f->count = (uint32_t)json_array_size(f->over);
	f->options.window = WINDOW_DEFAULT;
	if ((v = json_object_get(object, "window")))
		f->options.window = (uint32_t)json_integer_value(v);
	v = json_object_get(object, "order");
	f->options.by_completion = v && strcmp(json_string_value(v), "completed") == 0;
	/* A long list is to be gone through, whatever becomes of one. */
	f->options.return_exceptions = !json_is_false(json_object_get(object, "return_exceptions"));
	return check_count(json_array_size(f->over), "over", r);
}

int group_form_read(const json_t *object, bool stored, struct group_form *ret_form, struct refusal *r)
{
	struct group_form f = { 0 };
	const json_t *v;
	int error = find_kind(object, &f.options.kind, r);

	if (error == 0)
		error = check_options(object, f.options.kind, r);
	if (error != 0)
		return error;
	f.key = keys[f.options.kind];
	f.options.return_exceptions = json_is_true(json_object_get(object, "return_exceptions"));
	f.options.cancel_rest = json_is_true(json_object_get(object, "cancel_rest"));
	f.durability = json_string_value(json_object_get(object, "durability"));
	if ((v = json_object_get(object, "timeout")))
		f.options.timeout = MAX(param_duration(v), 1);
	v = json_object_get(object, f.key);
	if (f.options.kind == GROUP_MAP)
		error = read_map(object, v, &f, r);
	else
		error = read_members(v, stored, &f, r);
	if (error == 0)
		error = read_until(json_object_get(object, "until"), &f, r);
	if (error == 0)
		*ret_form = f;
	return error;
}

void group_form_count(const json_t *object, uint32_t *jobs, uint32_t *groups)
{
	struct group_form f;
	struct refusal unused;

	if (!group_form_is(object) || group_form_read(object, false, &f, &unused) != 0) {
		++*jobs;
		return;
	}
	++*groups;
	if (f.options.kind == GROUP_MAP)
		*jobs += f.count;
	for (uint32_t i = 0; f.members && i < f.count; i++)
		group_form_count(json_array_get(f.members, i), jobs, groups);
}

int group_form_spec(const json_t *object, const struct group_form *f, struct buf *out)
{
	json_t *spec = json_copy((json_t *)(uintptr_t)object);
	char *text = NULL;
	int error = -ENOMEM;

	if (spec && (!f->members || json_object_set_new(spec, f->key, json_integer(f->count)) == 0))
		text = json_dumps(spec, JSON_COMPACT);
	if (text)
		error = buf_append_text(out, text);
	free(text);
	json_decref(spec);
	return error;
}

/* ---- places ---- */

static void put_place(const struct form_place *place, struct buf *out)
{
	if (!place)
		return;
	put_place(place->outer, out);
	if (buf_size(out) > 0)
		json_put_literal(out, ".");
	json_put_raw(out, span_of(place->key));
	if (place->member == PLACE_ALL)
		return;
	json_put_literal(out, "[");
	json_put_integer(out, place->member);
	json_put_literal(out, "]");
}

int refusal_at(struct refusal *r, const struct form_place *place)
{
	char field[sizeof(r->field)], message[sizeof(r->message)];
	struct buf text = BUF_INIT;

	if (!place)
		return -EINVAL;
	put_place(place, &text);
	snprintf(field, sizeof(field), "%.*s%s%.32s", (int)MIN(buf_size(&text), (size_t)63),
		 buf_data(&text), r->field[0] ? "." : "", r->field);
	snprintf(message, sizeof(message), "%.*s: %.240s", (int)MIN(buf_size(&text), (size_t)72),
		 buf_data(&text), r->message);
	buf_done(&text);
	memcpy(r->field, field, sizeof(field));
	memcpy(r->message, message, sizeof(message));
	return -EINVAL;
}
