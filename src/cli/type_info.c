#include "type_info.h"
#include "columns.h"
#include "output.h"
#include "session.h"
#include <stdio.h>
#include <string.h>

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static const char *type_at(const void *arg, size_t index)
{
	const char *name = json_string_value(json_object_get(json_array_get(arg, index), "name"));

	return name ? name : "";
}

static void say_unknown(struct context *x, const char *type)
{
	struct ga_response response;
	const char *near = NULL;
	json_t *root = NULL, *types;

	if (ask(x, "GET", "/v1/types", &response) == STATUS_OK)
		root = json_loadb(response.body.data, response.body.size, 0, NULL);
	types = json_object_get(root, "types");
	near = nearest_name(type, type_at, types, json_array_size(types));
	if (near)
		say("there is no job type '%s'; did you mean '%s'?", type, near);
	else
		say("there is no job type '%s': `gather types` lists them", type);
	json_decref(root);
}

static int fetch_type(struct context *x, const char *type, json_t **ret_type)
{
	struct ga_response response;
	char target[128];
	int status;

	if (!*type || strlen(type) > 64 || strspn(type, NAME_CHARACTERS) != strlen(type))
		return usage(x, "'%.80s' is not the name of a job type: `gather types` lists them",
			     type);
	snprintf(target, sizeof(target), "/v1/types/%s", type);
	status = ask_any(x, "GET", target, GA_CLIENT_FOREVER, &response);
	if (status != STATUS_OK)
		return status;
	if (response.status == 404) {
		say_unknown(x, type);
		return STATUS_USAGE;
	}
	if (response.status >= 400)
		return say_problem(NULL, &response);
	*ret_type = json_loadb(response.body.data, response.body.size, 0, NULL);
	return STATUS_OK;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void shape(const json_t *params, struct arguments *a, bool lines)
{
	const char *missing = NULL;
	size_t missing_count = 0;
	bool has_line = false;

	for (size_t i = 0; i < json_array_size(params); i++) {
		const json_t *param = json_array_get(params, i);
		struct argument *arg = arguments_find(a, text_of(param, "name"));

		if (arg) {
			arg->shape = shape_of(text_of(param, "type"));
		} else if (json_is_true(json_object_get(param, "required"))) {
			missing = text_of(param, "name");
			missing_count++;
		}
	}
	for (size_t i = 0; i < a->count; i++)
		has_line |= a->item[i].has_line;
	if (lines && !has_line && missing_count == 1)
		arguments_add_line(a, missing);
}

int type_shape(struct context *x, const char *type, struct arguments *a, bool lines)
{
	json_t *description = NULL;
	int status = fetch_type(x, type, &description);

	if (status != STATUS_OK)
		return status;
	shape(json_object_get(description, "params"), a, lines);
	json_decref(description);
	return STATUS_OK;
}

static void put_notes(struct strbuf *out, const json_t *param)
{
	static const char *const keys[] = { "default", "min", "max", "unit", "choices" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const json_t *value = json_object_get(param, keys[i]);

		if (!value || json_is_null(value))
			continue;
		sb_printf(out, ", %s ", keys[i]);
		put_value(out, value);
	}
	if (json_is_true(json_object_get(param, "secret")))
		sb_text(out, ", never shown");
}

int type_help(struct context *x, const char *type)
{
	struct strbuf *out = output();
	json_t *description = NULL, *params;
	int status = fetch_type(x, type, &description);

	if (status != STATUS_OK)
		return status;
	if (x->format != FORMAT_TEXT) {
		if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
			put_document(out, description, x->format);
		else if (x->format == FORMAT_ID)
			sb_printf(out, "%s\n", type);
		json_decref(description);
		return STATUS_OK;
	}
	params = json_object_get(description, "params");
	sb_printf(out, "%s: %s\n", type, text_of(description, "help"));
	sb_text(out, json_array_size(params) ? "\nArguments:\n" : "\nIt takes no arguments.\n");
	for (size_t i = 0; i < json_array_size(params); i++) {
		const json_t *param = json_array_get(params, i);

		sb_printf(out, "  %-14s %s\n", text_of(param, "name"), text_of(param, "help"));
		sb_printf(out, "  %-14s (%s%s", "", text_of(param, "type"),
			  json_is_true(json_object_get(param, "required")) ? ", required" : "");
		put_notes(out, param);
		sb_text(out, ")\n");
	}
	if (*text_of(description, "example"))
		sb_printf(out, "\nExample:\n  gather run %s %s\n", type,
			  text_of(description, "example"));
	json_decref(description);
	return STATUS_OK;
}
