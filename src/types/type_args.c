#include "reference.h"
#include "type_internal.h"

#include <errno.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 32

/* Counted without a parser: jansson's own limit is 2,048, and fixed when it is built. */
unsigned json_nesting(struct span text)
{
	unsigned depth = 0, deepest = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c == '"') {
			quoted = !quoted;
		} else if (quoted) {
			i += c == '\\';
		} else if (c == '{' || c == '[') {
			if (++depth > deepest)
				deepest = depth;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return deepest;
}

int json_read_any(struct span text, const char *what, json_t **ret_value, struct refusal *r)
{
	json_error_t error;
	json_t *value;

	if (json_nesting(text) > JSON_DEPTH_MAX)
		return refuse(r, 400, "bad_json", "", "%s is nested more than %d deep", what,
			      JSON_DEPTH_MAX);
	value = json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, &error);
	if (!value)
		return refuse(r, 400, "bad_json", "", "%s isn't JSON: %s (line %d, column %d)",
			      what, error.text, error.line, error.column);
	*ret_value = value;
	return 0;
}

int json_read_object(struct span text, const char *what, json_t **ret_object, struct refusal *r)
{
	json_t *value = NULL;
	int error = json_read_any(text, what, &value, r);

	if (error < 0)
		return error;
	if (!json_is_object(value)) {
		json_decref(value);
		return refuse(r, 422, "bad_json", "", "%s takes a JSON object", what);
	}
	*ret_object = value;
	return 0;
}

/* Levenshtein's distance, for names of at most TYPE_NAME_MAX bytes. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[TYPE_NAME_MAX + 1];
	size_t size = strlen(b);

	if (size > TYPE_NAME_MAX || strlen(a) > TYPE_NAME_MAX)
		return TYPE_NAME_MAX;
	for (unsigned j = 0; j <= size; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= size; j++) {
			unsigned swap = corner + (*a != b[j - 1]);
			unsigned shift = MIN(row[j - 1], row[j]) + 1;

			corner = row[j];
			row[j] = MIN(swap, shift);
		}
	}
	return row[size];
}

static const struct ga_param *nearest(const struct job_type *type, const char *name)
{
	const struct ga_param *best = NULL;
	unsigned best_distance = 3; /* further apart, and a hint would only mislead */

	for (size_t i = 0; i < type->param_count; i++) {
		unsigned d = distance(name, type->params[i].name);

		if (d < best_distance) {
			best_distance = d;
			best = &type->params[i];
		}
	}
	return best;
}

static int refuse_unknown(const struct job_type *type, const char *name, struct refusal *r)
{
	const struct ga_param *hint = nearest(type, name);
	char field[80], list[200] = "";
	size_t used = 0;

	snprintf(field, sizeof(field), "args.%s", name);
	if (hint)
		return refuse(r, 422, "unknown_argument", field,
			      "%s has no argument %.64s; did you mean %s?", type->name, name,
			      hint->name);
	if (type->param_count == 0)
		return refuse(r, 422, "unknown_argument", field, "%s takes no arguments", type->name);
	for (size_t i = 0; i < type->param_count && used + TYPE_NAME_MAX + 2 < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, " %s", type->params[i].name);
	return refuse(r, 422, "unknown_argument", field, "%s has no argument %.64s; it takes:%s",
		      type->name, name, list);
}

static int refuse_missing(const struct job_type *type, uint64_t missing, struct refusal *r)
{
	const struct ga_param *p = &type->params[__builtin_ctzll(missing)];
	char field[80], takes[160];

	snprintf(field, sizeof(field), "args.%s", p->name);
	return refuse(r, 422, "missing_argument", field, "%s needs the argument %s: %s", type->name,
		      p->name, param_takes(p, takes, sizeof(takes)));
}

/* Whether the value is, or will become, what the results of others say: that is checked when they are known. */
static bool is_open(const struct ga_param *p, const json_t *value)
{
	if (reference_is(value))
		return true;
	return p->type != GA_INTEGER && p->type != GA_NUMBER && p->type != GA_BOOLEAN &&
	       reference_within(value);
}

static int check_args(const struct job_type *type, const json_t *args, bool references,
		      struct refusal *r)
{
	uint64_t missing = type->required;
	const char *name;
	json_t *value;

	if (args && !json_is_object(args))
		return refuse(r, 422, "bad_argument", "args", "args takes a JSON object");
	json_object_foreach((json_t *)(uintptr_t)args, name, value)
	{
		size_t i = 0;
		int error;

		while (i < type->param_count && strcmp(type->params[i].name, name) != 0)
			i++;
		if (i == type->param_count)
			return refuse_unknown(type, name, r);
		if (!references || !is_open(&type->params[i], value)) {
			error = param_check(&type->params[i], "args.", value, r);
			if (error < 0)
				return error;
		}
		missing &= ~(UINT64_C(1) << i);
	}
	return missing ? refuse_missing(type, missing, r) : 0;
}

int type_check_args(const struct job_type *type, const json_t *args, struct refusal *r)
{
	return check_args(type, args, false, r);
}

int type_check_template(const struct job_type *type, const json_t *args, struct refusal *r)
{
	return check_args(type, args, true, r);
}
