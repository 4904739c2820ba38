#include "job_terms.h"
#include <errno.h>
#include <string.h>

static const char *const state_names[JOB_STATE_LIMIT] = {
	[JOB_READY] = "ready",         [JOB_RUNNING] = "running", [JOB_RETRYING] = "retrying",
	[JOB_SUCCEEDED] = "succeeded", [JOB_FAILED] = "failed",   [JOB_CANCELLED] = "cancelled",
	[JOB_SCHEDULED] = "scheduled", [JOB_BLOCKED] = "blocked", [JOB_EXPIRED] = "expired",
	[JOB_ACCEPTED] = "accepted",
};

static const char *const class_names[CLASS_COUNT] = {
	[CLASS_LIGHT] = "light",
	[CLASS_NET] = "net",
	[CLASS_PROC] = "proc",
	[CLASS_CPU] = "cpu",
};

const char *job_state_name(enum job_state state)
{
	return (unsigned)state < JOB_STATE_LIMIT && state_names[state] ? state_names[state] : "?";
}

int job_state_parse(const char *name, enum job_state *ret_state)
{
	for (int i = 0; i < JOB_STATE_LIMIT; i++)
		if (state_names[i] && strcmp(state_names[i], name) == 0) {
			*ret_state = (enum job_state)i;
			return 0;
		}
	return -EINVAL;
}

const char *job_class_name(enum job_class job_class)
{
	return (unsigned)job_class < CLASS_COUNT ? class_names[job_class] : "?";
}

static const char *const durability_names[] = {
	[DURABILITY_MEMORY] = "memory",
	[DURABILITY_WRITE] = "write",
	[DURABILITY_FSYNC] = "fsync",
};

const char *job_durability_name(enum job_durability durability)
{
	return (unsigned)durability < ARRAY_SIZE(durability_names) ? durability_names[durability] : "?";
}

int job_durability_parse(const char *name, enum job_durability *ret_durability)
{
	for (size_t i = 0; i < ARRAY_SIZE(durability_names); i++)
		if (strcmp(durability_names[i], name) == 0) {
			*ret_durability = (enum job_durability)i;
			return 0;
		}
	return -EINVAL;
}
