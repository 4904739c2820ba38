#include "type_internal.h"

#include <strings.h>

/* "a|b|c" as ["a","b","c"]; NULL for none. */
static json_t *choices_array(const char *choices)
{
	json_t *array;

	if (!choices)
		return NULL;
	array = json_array();
	while (choices) {
		const char *end = strchr(choices, '|');

		json_array_append_new(array, json_stringn(choices, end ? (size_t)(end - choices)
								       : strlen(choices)));
		choices = end ? end + 1 : NULL;
	}
	return array;
}

static json_t *param_describe(const struct ga_param *p)
{
	bool limited = p->min != 0 || p->max != 0;
	json_t *preset = p->preset ? json_loads(p->preset, JSON_DECODE_ANY, NULL) : NULL;

	return json_pack("{s:s, s:s, s:b, s:b, s:o*, s:o*, s:o*, s:s*, s:o*, s:s}", "name", p->name,
			 "type", param_type_name(p->type), "required", !!(p->flags & GA_REQUIRED),
			 "secret", !!(p->flags & GA_SECRET), "default", preset, "min",
			 limited ? json_real(p->min) : NULL, "max", limited ? json_real(p->max) : NULL,
			 "unit", p->unit, "choices", choices_array(p->choices), "help", p->help);
}

json_t *type_describe(const struct job_type *type)
{
	json_t *params = json_array();

	for (size_t i = 0; i < type->param_count; i++)
		json_array_append_new(params, param_describe(&type->params[i]));
	return json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:o}", "name", type->name, "help", type->help,
			 "class", job_class_name(type->job_class), "example", type->example,
			 "limit_param", type->limit_param, "params", params);
}

/* Of an object like http's headers: what carries credentials by its very name (RFC 9110, section 11; RFC 6265). */
static void redact_members(json_t *object)
{
	static const char *const names[] = { "authorization", "proxy-authorization", "cookie",
					     "set-cookie" };
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) for (size_t i = 0; i < ARRAY_SIZE(names);
						     i++) if (strcasecmp(key, names[i]) == 0)
		json_object_set_new(object, key, json_string("[redacted]"));
}

/* What stands before the @ in a URL's authority (RFC 3986, section 3.2.1). */
static void redact_user(json_t *args, const char *name, const char *url)
{
	const char *start = strstr(url, "://"), *user, *at = NULL;

	if (!start)
		return;
	user = start + 3;
	for (const char *c = user; *c && !strchr("/?#", *c); c++)
		at = *c == '@' ? c : at;
	if (at)
		json_object_set_new(args, name,
				    json_sprintf("%.*s[redacted]%s", (int)(user - url), url, at));
}

bool type_has_secrets(const struct job_type *type)
{
	for (size_t i = 0; i < type->param_count; i++) {
		const struct ga_param *param = &type->params[i];

		if ((param->flags & GA_SECRET) || param->type == GA_OBJECT || param->type == GA_TEXT)
			return true;
	}
	return false;
}

void type_redact(const struct job_type *type, json_t *args)
{
	for (size_t i = 0; i < type->param_count; i++) {
		const struct ga_param *param = &type->params[i];
		json_t *value = json_object_get(args, param->name);

		if (!value)
			continue;
		if (param->flags & GA_SECRET)
			json_object_set_new(args, param->name, json_string("[redacted]"));
		else if (param->type == GA_OBJECT)
			redact_members(value);
		else if (json_is_string(value))
			redact_user(args, param->name, json_string_value(value));
	}
}
