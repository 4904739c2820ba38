/*
 * job_args.c — the arguments and the job as its handler sees them.
 */
#include "attempt.h"

#include <assert.h>

/* Names are mostly the very literals of the declaration, so that comparing addresses finds them. */
static ptrdiff_t param_index(const struct job_type *type, const char *name)
{
	for (size_t i = 0; i < type->param_count; i++)
		if (type->params[i].name == name)
			return (ptrdiff_t)i;
	for (size_t i = 0; i < type->param_count; i++)
		if (strcmp(type->params[i].name, name) == 0)
			return (ptrdiff_t)i;
	return -1;
}

static json_t *value_of(const ga_job *job, const char *name)
{
	const struct loaded_type *type = attempt_type(job);
	ptrdiff_t i = param_index(type->entry, name);
	json_t *value = NULL;

	assert(job->magic == ATTEMPT_MAGIC);
	if (i < 0)
		return NULL;
	if (job->args)
		value = json_object_get(job->args, name);
	return value ? value : type->presets[i];
}

bool ga_job_has(const ga_job *job, const char *param)
{
	return value_of(job, param) != NULL;
}

const char *ga_job_text(const ga_job *job, const char *param)
{
	return json_string_value(value_of(job, param));
}

int64_t ga_job_integer(const ga_job *job, const char *param)
{
	const struct job_type *type = attempt_type(job)->entry;
	ptrdiff_t i = param_index(type, param);
	const json_t *value = value_of(job, param);

	if (!value)
		return 0;
	if (type->params[i].type == GA_DURATION)
		return param_duration(value);
	if (type->params[i].type == GA_SIZE)
		return param_size(value);
	return json_integer_value(value);
}

double ga_job_number(const ga_job *job, const char *param)
{
	return json_number_value(value_of(job, param));
}

bool ga_job_boolean(const ga_job *job, const char *param)
{
	return json_is_true(value_of(job, param));
}

struct json_t *ga_job_json(const ga_job *job, const char *param)
{
	return value_of(job, param);
}

const char *ga_job_id(const ga_job *job)
{
	struct attempt_output *o = attempt_output((ga_job *)(uintptr_t)job);

	if (!o)
		return "";
	if (!o->id[0])
		uuid_format(&job->id, o->id);
	return o->id;
}

unsigned ga_job_attempt(const ga_job *job)
{
	return job->attempt;
}

int64_t ga_job_deadline(const ga_job *job)
{
	return job->deadline;
}

void *ga_job_data(const ga_job *job)
{
	return (void *)(uintptr_t)job->data;
}
