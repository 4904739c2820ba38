#include "type_table.h"

#include "type_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLE_VERSION 1
#define TABLE_TYPES_MAX 4096

struct type_table {
	struct job_type *types; /* sorted by name */
	size_t count;
	uint64_t hash;
	json_t *source;          /* of a loaded table: the strings live in it */
	struct ga_param *params; /* of a loaded table: all of them, one array */
};

static int by_name(const void *a, const void *b)
{
	const struct job_type *x = a, *y = b;

	return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

/* FNV-1a (RFC 9923): the same in every process, as hash_bytes() isn't. */
static uint64_t stable_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

/* Sort, check, number and hash what stands in t->types. */
static int table_complete(struct type_table *t, char *why, size_t why_size)
{
	char *text, detail[256];

	qsort(t->types, t->count, sizeof(*t->types), by_name);
	for (size_t i = 0; i < t->count; i++) {
		struct job_type *type = &t->types[i];

		if (declaration_check(type, detail, sizeof(detail)) < 0) {
			snprintf(why, why_size, "type %s: %s", type->name ? type->name : "?", detail);
			return -EINVAL;
		}
		if (i > 0 && strcmp(type[-1].name, type->name) == 0) {
			snprintf(why, why_size, "two types have the name %s", type->name);
			return -EEXIST;
		}
		type->index = (uint16_t)i;
		for (size_t p = 0; p < type->param_count; p++)
			if (type->params[p].flags & GA_REQUIRED)
				type->required |= UINT64_C(1) << p;
	}
	text = type_table_dump(t);
	if (!text)
		return -ENOMEM;
	t->hash = stable_hash(text);
	free(text);
	return 0;
}

static struct type_table *table_alloc(size_t count)
{
	struct type_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->types = calloc(count + 1, sizeof(*t->types));
	if (!t->types) {
		free(t);
		return NULL;
	}
	t->count = count;
	return t;
}

int type_table_new(const struct ga_job_type *const *types, size_t count,
		   struct type_table **ret_table, char *ret_why, size_t why_size)
{
	struct type_table *t;
	int error;

	if (count > TABLE_TYPES_MAX) {
		snprintf(ret_why, why_size, "more than %d types", TABLE_TYPES_MAX);
		return -EINVAL;
	}
	t = table_alloc(count);
	if (!t)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct ga_job_type *from = types[i];
		struct job_type *to = &t->types[i];

		to->name = from->name;
		to->help = from->help;
		to->example = from->example;
		to->limit_param = from->limit_param;
		to->job_class = (enum job_class)from->job_class;
		to->params = from->params;
		while (from->params && from->params[to->param_count].name)
			to->param_count++;
	}
	error = table_complete(t, ret_why, why_size);
	if (error < 0) {
		type_table_free(t);
		return error;
	}
	*ret_table = t;
	return 0;
}

static json_t *param_dump(const struct ga_param *p)
{
	return json_pack("{s:s, s:i, s:i, s:s*, s:f, s:f, s:s*, s:s*, s:s*}", "name", p->name, "type",
			 (int)p->type, "flags", (int)p->flags, "preset", p->preset, "min", p->min,
			 "max", p->max, "unit", p->unit, "choices", p->choices, "help", p->help);
}

static json_t *type_dump(const struct job_type *type)
{
	json_t *params = json_array();

	for (size_t i = 0; i < type->param_count; i++)
		if (json_array_append_new(params, param_dump(&type->params[i])) < 0) {
			json_decref(params);
			return NULL;
		}
	return json_pack("{s:s, s:s, s:s*, s:s*, s:i, s:o}", "name", type->name, "help", type->help,
			 "example", type->example, "limit_param", type->limit_param, "class",
			 (int)type->job_class, "params", params);
}

char *type_table_dump(const struct type_table *t)
{
	json_t *types = json_array(), *root;
	char *text = NULL;

	for (size_t i = 0; i < t->count; i++)
		if (json_array_append_new(types, type_dump(&t->types[i])) < 0) {
			json_decref(types);
			return NULL;
		}
	root = json_pack("{s:i, s:o}", "version", TABLE_VERSION, "types", types);
	if (root)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

static int param_load(json_t *from, struct ga_param *to)
{
	int type, flags;

	if (json_unpack(from, "{s:s, s:i, s:i, s?s, s:F, s:F, s?s, s?s, s?s !}", "name", &to->name,
			"type", &type, "flags", &flags, "preset", &to->preset, "min", &to->min, "max",
			&to->max, "unit", &to->unit, "choices", &to->choices, "help", &to->help) < 0)
		return -EPROTO;
	to->type = (enum ga_param_type)type;
	to->flags = (unsigned)flags;
	return 0;
}

/* `room` is where this type's parameters go; it moves behind them and the empty one that ends them. */
static int type_load(json_t *from, struct job_type *to, struct ga_param **room)
{
	json_t *params;
	int job_class;

	if (json_unpack(from, "{s:s, s:s, s?s, s?s, s:i, s:o !}", "name", &to->name, "help",
			&to->help, "example", &to->example, "limit_param", &to->limit_param,
			"class", &job_class, "params", &params) < 0)
		return -EPROTO;
	to->job_class = (enum job_class)job_class;
	to->params = *room;
	to->param_count = json_array_size(params);
	for (size_t i = 0; i < to->param_count; i++)
		if (param_load(json_array_get(params, i), (*room)++) < 0)
			return -EPROTO;
	(*room)++;
	return 0;
}

static int table_load_types(struct type_table *t, const json_t *types)
{
	struct ga_param *room;
	size_t params = 0;

	for (size_t i = 0; i < t->count; i++)
		params += json_array_size(json_object_get(json_array_get(types, i), "params")) + 1;
	room = t->params = calloc(params + 1, sizeof(*t->params));
	if (!room)
		return -ENOMEM;
	for (size_t i = 0; i < t->count; i++)
		if (type_load(json_array_get(types, i), &t->types[i], &room) < 0)
			return -EPROTO;
	return 0;
}

int type_table_load(struct span json, struct type_table **ret_table)
{
	json_t *root = json_loadb(json.data ? json.data : "", json.size, JSON_REJECT_DUPLICATES, NULL);
	struct type_table *t;
	char why[256];
	json_t *types;
	int version, error;

	if (json_unpack(root, "{s:i, s:o !}", "version", &version, "types", &types) < 0 ||
	    version != TABLE_VERSION || !json_is_array(types) ||
	    json_array_size(types) > TABLE_TYPES_MAX) {
		json_decref(root);
		return -EPROTO;
	}
	t = table_alloc(json_array_size(types));
	if (!t) {
		json_decref(root);
		return -ENOMEM;
	}
	t->source = root;
	error = table_load_types(t, types);
	if (error == 0)
		error = table_complete(t, why, sizeof(why));
	if (error < 0) {
		type_table_free(t);
		return error == -ENOMEM ? error : -EPROTO;
	}
	*ret_table = t;
	return 0;
}

void type_table_free(struct type_table *t)
{
	if (!t)
		return;
	json_decref(t->source);
	free(t->params);
	free(t->types);
	free(t);
}

uint64_t type_table_hash(const struct type_table *t)
{
	return t->hash;
}

size_t type_table_size(const struct type_table *t)
{
	return t->count;
}

const struct job_type *type_at(const struct type_table *t, size_t index)
{
	return index < t->count ? &t->types[index] : NULL;
}

const struct job_type *type_find(const struct type_table *t, struct span name)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct span at = span_of(t->types[middle].name);
		int order = name.size ? memcmp(name.data, at.data, MIN(name.size, at.size)) : 0;

		if (order == 0 && name.size == at.size)
			return &t->types[middle];
		if (order < 0 || (order == 0 && name.size < at.size))
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
