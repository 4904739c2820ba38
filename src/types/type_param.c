#include "type_internal.h"

#include "clock.h"
#include "text.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>

#define DURATION_MAX_SECONDS (100.0 * 365.25 * 86400) /* as duration_parse() has it */

const char *param_type_name(enum ga_param_type type)
{
	static const char *const names[] = {
		[GA_TEXT] = "text",       [GA_INTEGER] = "integer",   [GA_NUMBER] = "number",
		[GA_BOOLEAN] = "boolean", [GA_DURATION] = "duration", [GA_SIZE] = "size",
		[GA_CHOICE] = "choice",   [GA_OBJECT] = "object",     [GA_ARRAY] = "array",
		[GA_ANY] = "any",
	};

	return (unsigned)type < ARRAY_SIZE(names) ? names[type] : NULL;
}

bool choice_has(const char *choices, const char *word)
{
	size_t size = strlen(word);

	while (choices) {
		const char *end = strchr(choices, '|');
		size_t length = end ? (size_t)(end - choices) : strlen(choices);

		if (length == size && memcmp(choices, word, size) == 0)
			return true;
		choices = end ? end + 1 : NULL;
	}
	return false;
}

static bool is_limited(const struct ga_param *p)
{
	return p->min != 0 || p->max != 0;
}

static void takes_choice(const struct ga_param *p, char *out, size_t out_size)
{
	size_t used = (size_t)snprintf(out, out_size, "one of ");

	for (const char *c = p->choices; c && *c && used + 3 < out_size; c++) {
		if (*c == '|') {
			out[used++] = ',';
			out[used++] = ' ';
		} else {
			out[used++] = *c;
		}
	}
	out[used] = '\0';
}

char *param_takes(const struct ga_param *p, char *out, size_t out_size)
{
	static const char *const plain[] = {
		[GA_TEXT] = "a string",
		[GA_INTEGER] = "a whole number",
		[GA_NUMBER] = "a number",
		[GA_BOOLEAN] = "true or false",
		[GA_DURATION] = "a duration such as \"10s\" or a number of seconds",
		[GA_SIZE] = "a size such as \"64KiB\" or a number of bytes",
		[GA_CHOICE] = "a word",
		[GA_OBJECT] = "an object",
		[GA_ARRAY] = "an array",
		[GA_ANY] = "any value",
	};

	if (p->type == GA_CHOICE)
		takes_choice(p, out, out_size);
	else if (is_limited(p) && p->type == GA_TEXT)
		snprintf(out, out_size, "%s of %.0f to %.0f bytes", plain[p->type], p->min, p->max);
	else if (is_limited(p) && p->type < GA_CHOICE)
		snprintf(out, out_size, "%s from %.15g to %.15g%s%s", plain[p->type], p->min,
			 p->max, p->unit ? " " : "", p->unit ? p->unit : "");
	else
		snprintf(out, out_size, "%s", plain[p->type]);
	return out;
}

static const char *kind_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

static bool in_range(const struct ga_param *p, double value)
{
	return !is_limited(p) || (value >= p->min && value <= p->max);
}

/* Seconds, or NAN if the value is no duration. */
static double duration_seconds(const json_t *value)
{
	int64_t ns;

	if (json_is_number(value)) {
		double seconds = json_number_value(value);

		return seconds >= 0 && seconds <= DURATION_MAX_SECONDS ? seconds : NAN;
	}
	if (json_is_string(value) && duration_parse(json_string_value(value), &ns) == 0)
		return (double)ns / NSEC_PER_SEC;
	return NAN;
}

/* Bytes, or NAN if the value is no size. */
static double size_bytes(const json_t *value)
{
	uint64_t size;

	if (json_is_integer(value))
		return json_integer_value(value) >= 0 ? (double)json_integer_value(value) : NAN;
	if (json_is_string(value) && size_parse(json_string_value(value), &size) == 0 &&
	    size <= INT64_MAX)
		return (double)size;
	return NAN;
}

static bool value_fits(const struct ga_param *p, const json_t *value)
{
	double number;

	switch (p->type) {
	case GA_TEXT:
		return json_is_string(value) && in_range(p, (double)json_string_length(value));
	case GA_INTEGER:
		return json_is_integer(value) && in_range(p, (double)json_integer_value(value));
	case GA_NUMBER:
		return json_is_number(value) && in_range(p, json_number_value(value));
	case GA_BOOLEAN:
		return json_is_boolean(value);
	case GA_DURATION:
		number = duration_seconds(value);
		return !isnan(number) && in_range(p, number);
	case GA_SIZE:
		number = size_bytes(value);
		return !isnan(number) && in_range(p, number);
	case GA_CHOICE:
		return json_is_string(value) && choice_has(p->choices, json_string_value(value));
	case GA_OBJECT:
		return json_is_object(value);
	case GA_ARRAY:
		return json_is_array(value);
	case GA_ANY:
		return true;
	}
	return false;
}

/* The offending value for the message: short scalars as they stand (secrets never), others by their kind. */
static const char *shown(const struct ga_param *p, const json_t *value, char *out, size_t out_size)
{
	if (p->flags & GA_SECRET)
		return kind_of(value);
	if (json_is_integer(value))
		snprintf(out, out_size, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(out, out_size, "%.15g", json_real_value(value));
	else if (json_is_string(value) && p->type != GA_TEXT && json_string_length(value) <= 40)
		snprintf(out, out_size, "\"%s\"", json_string_value(value));
	else if (json_is_string(value) && p->type == GA_TEXT)
		snprintf(out, out_size, "%zu bytes", json_string_length(value));
	else
		return kind_of(value);
	return out;
}

int param_check(const struct ga_param *param, const char *prefix, const json_t *value,
		struct refusal *r)
{
	char field[128], takes[160], got[64];
	bool own = !prefix || !*prefix; /* a field of the job itself */

	if (GA_LIKELY(value_fits(param, value)))
		return 0;
	snprintf(field, sizeof(field), "%s%s%s", own ? "" : prefix,
		 own || prefix[strlen(prefix) - 1] == '.' ? "" : ".", param->name);
	return refuse(r, 422, own ? "bad_field" : "bad_argument", field, "%s takes %s, not %s",
		      field, param_takes(param, takes, sizeof(takes)),
		      shown(param, value, got, sizeof(got)));
}

int64_t param_duration(const json_t *value)
{
	int64_t ns;

	if (json_is_integer(value))
		return json_integer_value(value) * NSEC_PER_SEC;
	if (json_is_real(value))
		return (int64_t)(json_real_value(value) * NSEC_PER_SEC);
	if (json_is_string(value) && duration_parse(json_string_value(value), &ns) == 0)
		return ns;
	return 0;
}

int64_t param_size(const json_t *value)
{
	uint64_t size;

	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_string(value) && size_parse(json_string_value(value), &size) == 0)
		return (int64_t)size;
	return 0;
}
