/* Arguments of members: references to earlier results in a chain, a map's template filled in. */
#include "buf.h"
#include "group_form.h"
#include "reference.h"
#include <errno.h>
#include <stdlib.h>

/* ---- references ---- */

static const struct form_place *enclosing_chain(const struct form_place *place)
{
	while (place && place->form->options.kind != GROUP_CHAIN)
		place = place->outer;
	return place;
}

bool place_is_in_chain(const struct form_place *place)
{
	return enclosing_chain(place) != NULL;
}

static int refuse_reference(const struct reference *ref, const char *field, struct refusal *r,
			    const char *what)
{
	return refuse(r, 422, "bad_reference", field, "%.60s: %.*s# %s", field,
		      (int)MIN(ref->whose.size, (size_t)40), ref->whose.data, what);
}

/* What stands in a place of a group; NULL: no such place. */
static const json_t *member_at(const struct group_form *form, unsigned long member)
{
	if (member >= form->count)
		return NULL;
	return form->members ? json_array_get(form->members, member) : form->template;
}

static int check_reference(void *arg, const struct reference *ref, const char *field, struct refusal *r)
{
	const struct form_place *chain = enclosing_chain(arg);
	const char *at = ref->whose.data, *end = at + ref->whose.size;
	const json_t *member;
	char *next;

	for (; end - at >= 3 && memcmp(at, "../", 3) == 0; at += 3)
		chain = chain ? enclosing_chain(chain->outer) : NULL;
	if (!chain)
		return refuse_reference(ref, field, r, "is of a chain further out, and there is none");
	unsigned long place = strtoul(at, &next, 10);

	if (place >= chain->member)
		return refuse_reference(ref, field, r, "refers to itself or a later member");
	member = member_at(chain->form, place);
	while (next < end) {
		struct group_form form;
		struct refusal unused;

		if (!group_form_is(member) || group_form_read(member, false, &form, &unused) < 0)
			return refuse_reference(ref, field, r, "goes into a job: that has no members");
		member = member_at(&form, strtoul(next + 1, &next, 10));
		if (!member)
			return refuse_reference(ref, field, r, "goes past the last member of a group");
	}
	if (group_form_is(member))
		return refuse_reference(ref, field, r,
					"names a group: name one of its members, as in 1/0#");
	return 0;
}

int group_form_references(const json_t *args, const struct form_place *place, struct refusal *r)
{
	if (!place_is_in_chain(place))
		return 0;
	return references_visit(args, check_reference, (void *)(uintptr_t)place, r);
}

/* ---- maps ---- */

static const char *value_text(const json_t *value, char **ret_made)
{
	*ret_made = NULL;
	if (json_is_string(value))
		return json_string_value(value);
	*ret_made = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	return *ret_made;
}

static json_t *fill_string(const char *text, const json_t *value)
{
	struct buf out = BUF_INIT;
	json_t *filled = NULL;
	const char *braces;
	char *made;
	const char *with = value_text(value, &made);
	int error = with ? 0 : -ENOMEM;

	while (error == 0 && (braces = strstr(text, "{}"))) {
		error = buf_append(&out, text, (size_t)(braces - text));
		if (error == 0)
			error = buf_append_text(&out, with);
		text = braces + 2;
	}
	if (error == 0)
		error = buf_append_text(&out, text);
	if (error == 0)
		filled = json_stringn(buf_data(&out), buf_size(&out));
	buf_done(&out);
	free(made);
	return filled;
}

/* The value with "{}" filled in: a new reference; counts how many strings had any. NULL: no memory. */
static json_t *fill(const json_t *in, const json_t *value, unsigned *filled)
{
	const char *key;
	json_t *v, *out;

	if (json_is_string(in) && strstr(json_string_value(in), "{}")) {
		++*filled;
		return strcmp(json_string_value(in), "{}") == 0
			       ? json_incref((json_t *)(uintptr_t)value)
			       : fill_string(json_string_value(in), value);
	}
	if (json_is_array(in)) {
		out = json_array();
		for (size_t i = 0; i < json_array_size(in); i++)
			json_array_append_new(out, fill(json_array_get(in, i), value, filled));
		return out;
	}
	if (!json_is_object(in))
		return json_incref((json_t *)(uintptr_t)in);
	out = json_object();
	json_object_foreach((json_t *)(uintptr_t)in, key, v)
	{
		json_object_set_new(out, key, fill(v, value, filled));
	}
	return out;
}

int map_args(const json_t *template_args, const json_t *value, const char *only, json_t **ret_args,
	     struct refusal *r)
{
	unsigned filled = 0;
	json_t *args;

	if (json_is_object(value)) {
		args = template_args ? json_copy((json_t *)(uintptr_t)template_args) : json_object();
		if (json_object_update(args, (json_t *)(uintptr_t)value) < 0) {
			json_decref(args);
			return refuse(r, 503, "no_memory", "", "no memory for the arguments");
		}
		*ret_args = args;
		return 0;
	}
	args = template_args ? fill(template_args, value, &filled) : json_object();
	if (!args)
		return refuse(r, 503, "no_memory", "", "no memory for the arguments");
	if (filled == 0 && only) {
		json_object_set(args, only, (json_t *)(uintptr_t)value);
	} else if (filled == 0) {
		json_decref(args);
		return refuse(r, 422, "bad_field", "",
			      "the template has no place for this value: write \"{}\" into its arguments, or "
			      "make the value an object of arguments");
	}
	*ret_args = args;
	return 0;
}
