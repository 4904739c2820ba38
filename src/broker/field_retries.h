/*
 * field_retries.h — the job field `retries`: how often, or an object that says more.
 */
#pragma once
#include "job.h"
#include "refusal.h"
#include <jansson.h>

extern const struct retry_policy retries_default;
/* What isn't said stays as it is in `policy`. */
int retries_read(const json_t *value, struct retry_policy *policy, struct refusal *r) GA_MUST_CHECK;
