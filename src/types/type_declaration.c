#include "type_internal.h"

#include "text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static int GA_PRINTF(3, 4) wrong(char *why, size_t why_size, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(why, why_size, format, values);
	va_end(values);
	return -EINVAL;
}

/* [a-z][a-z0-9_.-]*, at most 64: names are typed in shells and stand in URLs. */
static bool declared_name_valid(const char *name)
{
	size_t size = name ? strlen(name) : 0;

	if (size == 0 || size > TYPE_NAME_MAX || name[0] < 'a' || name[0] > 'z')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == size;
}

static bool one_line(const char *text)
{
	return text && *text && !strpbrk(text, "\r\n\t\033") && utf8_valid(text, strlen(text));
}

static int preset_check(const struct ga_param *p, char *why, size_t why_size)
{
	struct refusal r = { 0 };
	json_t *value;
	int error;

	if (!p->preset)
		return 0;
	if (p->flags & GA_REQUIRED)
		return wrong(why, why_size, "%s is required and has a default: take one away", p->name);
	value = json_loads(p->preset, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!value)
		return wrong(why, why_size, "the default of %s isn't JSON: %s", p->name, p->preset);
	error = param_check(p, "args.", value, &r);
	json_decref(value);
	return error < 0 ? wrong(why, why_size, "the default of %s: %s", p->name, r.message) : 0;
}

static int param_declaration_check(const struct ga_param *p, char *why, size_t why_size)
{
	if (!declared_name_valid(p->name))
		return wrong(why, why_size, "a parameter's name is [a-z][a-z0-9_.-]*, at most %d",
			     TYPE_NAME_MAX);
	if (!param_type_name(p->type))
		return wrong(why, why_size, "%s has the unknown type %d", p->name, (int)p->type);
	if (p->flags & ~(GA_REQUIRED | GA_SECRET))
		return wrong(why, why_size, "%s has unknown flags 0x%x", p->name, p->flags);
	if (!(p->min <= p->max)) /* NAN too */
		return wrong(why, why_size, "%s: min is above max", p->name);
	if ((p->type == GA_CHOICE) != (p->choices && *p->choices))
		return wrong(why, why_size, "%s: choices go with GA_CHOICE, and it needs some",
			     p->name);
	if (!one_line(p->help))
		return wrong(why, why_size, "%s needs one line of help", p->name);
	return preset_check(p, why, why_size);
}

static int limit_param_check(const struct job_type *type, char *why, size_t why_size)
{
	for (size_t i = 0; type->limit_param && i <= type->param_count; i++) {
		if (i == type->param_count)
			return wrong(why, why_size, "limit_param names %s, which is no parameter",
				     type->limit_param);
		if (strcmp(type->params[i].name, type->limit_param) != 0)
			continue;
		if (type->params[i].type != GA_TEXT)
			return wrong(why, why_size, "limit_param names %s, which is no text",
				     type->limit_param);
		break;
	}
	return 0;
}

int declaration_check(const struct job_type *type, char *why, size_t why_size)
{
	if (!declared_name_valid(type->name))
		return wrong(why, why_size, "a type's name is [a-z][a-z0-9_.-]*, at most %d",
			     TYPE_NAME_MAX);
	if (!one_line(type->help))
		return wrong(why, why_size, "it needs one line of help");
	if ((unsigned)type->job_class >= CLASS_COUNT)
		return wrong(why, why_size, "it has the unknown class %d", (int)type->job_class);
	if (type->param_count > TYPE_PARAMS_MAX)
		return wrong(why, why_size, "it has more than %d parameters", TYPE_PARAMS_MAX);
	for (size_t i = 0; i < type->param_count; i++) {
		int error = param_declaration_check(&type->params[i], why, why_size);

		if (error < 0)
			return error;
		for (size_t j = 0; j < i; j++)
			if (strcmp(type->params[i].name, type->params[j].name) == 0)
				return wrong(why, why_size, "it has two parameters %s",
					     type->params[i].name);
	}
	return limit_param_check(type, why, why_size);
}
