/*
 * family.c — job types with children: what the daemon promises of jobs that handlers submit.
 */
#include <errno.h>
#include <gather/worker.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHILDREN_MAX 64

static const struct ga_param fan_params[] = {
	{ .name = "jobs", .type = GA_ARRAY, .flags = GA_REQUIRED, .help = "the children: job objects" },
	{ .name = "how",
	  .type = GA_CHOICE,
	  .preset = "\"gather\"",
	  .choices = "gather|exceptions|await|leave|cancel",
	  .help = "what it does with them" },
	{ .name = "fail_after", .type = GA_DURATION, .preset = "0", .help = "of `leave`: fails then" },
	{ 0 },
};

static ga_future *submit(ga_job *job, const json_t *child)
{
	char *args = json_dumps(json_object_get(child, "args"), JSON_COMPACT);
	char *options = json_dumps(json_object_get(child, "options"), JSON_COMPACT);
	ga_future *f =
		ga_job_submit(job, json_string_value(json_object_get(child, "type")), args, options);

	free(args);
	free(options);
	return f;
}

static void put_child(const ga_future *f, json_t *list)
{
	struct ga_child_result r = { 0 };
	int result = f ? ga_result(f, NULL) : -ENOMEM;

	if (f && ga_child_result(f, &r) == 0)
		json_array_append_new(list, json_pack("{s:i,s:s,s:s,s:s%}", "result", result,
						      "code", r.code, "meta", r.meta, "body",
						      r.body, r.body_size));
	else
		json_array_append_new(list, json_pack("{s:i}", "result", result));
}

static int wait_for(ga_job *job, const char *how, ga_future **children, size_t count)
{
	int result = 0;

	if (strcmp(how, "gather") == 0)
		return ga_job_gather(job, children, count, 0);
	if (strcmp(how, "exceptions") == 0)
		return ga_job_gather(job, children, count, GA_RETURN_EXCEPTIONS);
	if (strcmp(how, "cancel") == 0) {
		ga_sleep(GA_MILLISECONDS(200));
		for (size_t i = 0; i < count; i++)
			ga_cancel(children[i]);
		return ga_job_gather(job, children, count, GA_RETURN_EXCEPTIONS);
	}
	for (size_t i = 0; strcmp(how, "await") == 0 && i < count && result == 0; i++)
		result = ga_await(children[i]);
	return result;
}

static int fan_run(ga_job *job)
{
	const json_t *jobs = ga_job_json(job, "jobs");
	const char *how = ga_job_text(job, "how");
	size_t count = json_array_size(jobs);
	ga_future *children[CHILDREN_MAX];
	json_t *list = json_array();
	int result;
	char *text;

	if (count > CHILDREN_MAX)
		count = CHILDREN_MAX;
	for (size_t i = 0; i < count; i++)
		children[i] = submit(job, json_array_get(jobs, i));
	result = wait_for(job, how, children, count);
	if (strcmp(how, "leave") == 0 && ga_job_integer(job, "fail_after") > 0) {
		ga_sleep(ga_job_integer(job, "fail_after"));
		result = ga_job_fail(job, "left", "it left its children behind");
	}
	for (size_t i = 0; i < count; i++)
		put_child(children[i], list);
	text = json_dumps(list, JSON_COMPACT);
	if (text)
		ga_job_meta_json(job, "children", text, strlen(text));
	free(text);
	json_decref(list);
	ga_release_all(children, count);
	return result;
}

static const struct ga_job_type fan = {
	.name = "fan", .help = "submits children", .params = fan_params, .run = fan_run
};

GA_PLUGIN(&fan);
