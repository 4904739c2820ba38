#include "field_retries.h"
#include "clock.h"
#include "type_table.h"
#include <stdio.h>

enum retry_field {
	RETRY_MAX,
	RETRY_INITIAL,
	RETRY_FACTOR,
	RETRY_MAXIMUM,
	RETRY_JITTER,
	RETRY_COUNT
};

static const struct ga_param retry_params[RETRY_COUNT] = {
	[RETRY_MAX] = { "max", GA_INTEGER, 0, "5", 0, 1000, NULL, NULL, "further attempts" },
	[RETRY_INITIAL] = { "initial", GA_DURATION, 0, "\"1s\"", 0, 86400, "s", NULL,
			    "wait before the first retry" },
	[RETRY_FACTOR] = { "factor", GA_NUMBER, 0, "2", 1, 100, NULL, NULL, "growth of the wait" },
	[RETRY_MAXIMUM] = { "maximum", GA_DURATION, 0, "\"1h\"", 0, 2592000, "s", NULL, "longest wait" },
	[RETRY_JITTER] = { "jitter", GA_NUMBER, 0, "0.2", 0, 1, NULL, NULL, "random part of the wait" },
};

const struct retry_policy retries_default = {
	.max = 5, .initial_ms = 1000, .maximum_ms = 3600 * 1000, .factor = 2, .jitter = 0.2F
};

static uint32_t as_ms(int64_t ns)
{
	return (uint32_t)MIN(MAX(ns / NSEC_PER_MSEC, 1), (int64_t)UINT32_MAX);
}

static const struct ga_param *find_retry(const char *name)
{
	for (size_t i = 0; i < RETRY_COUNT; i++) {
		if (strcmp(retry_params[i].name, name) == 0)
			return &retry_params[i];
	}
	return NULL;
}

static int check_retries(const json_t *object, struct refusal *r)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct ga_param *param = find_retry(key);
		char field[64];

		snprintf(field, sizeof(field), "retries.%.40s", key);
		if (!param)
			return refuse(r, 422, "unknown_field", field,
				      "unknown field \"%s\": known are max initial factor maximum jitter",
				      field);
		int error = param_check(param, "retries.", value, r);

		if (error < 0)
			return error;
	}
	return 0;
}

int retries_read(const json_t *value, struct retry_policy *policy, struct refusal *r)
{
	const json_t *v;

	if (json_is_integer(value)) {
		policy->max = (uint16_t)json_integer_value(value);
		return param_check(&retry_params[RETRY_MAX], "retries.", value, r);
	}
	if (!json_is_object(value))
		return refuse(r, 422, "bad_field", "retries",
			      "retries takes a number from 0 to 1000, or an object like "
			      "{\"max\": 5, \"initial\": \"1s\", \"factor\": 2}");
	int error = check_retries(value, r);

	if (error < 0)
		return error;
	if ((v = json_object_get(value, "max")))
		policy->max = (uint16_t)json_integer_value(v);
	if ((v = json_object_get(value, "initial")))
		policy->initial_ms = as_ms(param_duration(v));
	if ((v = json_object_get(value, "factor")))
		policy->factor = (float)json_number_value(v);
	if ((v = json_object_get(value, "maximum")))
		policy->maximum_ms = as_ms(param_duration(v));
	if ((v = json_object_get(value, "jitter")))
		policy->jitter = (float)json_number_value(v);
	return 0;
}
