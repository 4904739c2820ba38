/*
 * noop.c — does nothing, and says so at once: for measurements, and to try the way there and back.
 */
#include <errno.h>
#include <gather/worker.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct ga_param params[] = {
	{ .name = "echo", .type = GA_ANY, .help = "given back in the result" },
	{ 0 },
};

/* Ended before it began: a resolved future costs less than a task. */
static ga_future *start(ga_job *job)
{
	const json_t *echo = ga_job_json(job, "echo");
	ga_future *f;

	if (echo) {
		char *text = json_dumps(echo, JSON_COMPACT | JSON_ENCODE_ANY);
		int error = text ? ga_job_meta_json(job, "echo", text, strlen(text)) : -ENOMEM;

		free(text);
		if (error < 0) {
			ga_job_fail(job, "echo_too_large",
				    "the result holds at most 62 KiB of metadata");
			return NULL;
		}
	}
	f = ga_future_new();
	if (f)
		ga_resolve(f, 0, NULL);
	return f;
}

static const struct ga_job_type noop = {
	.name = "noop",
	.help = "does nothing",
	.job_class = GA_CLASS_LIGHT,
	.params = params,
	.start = start,
	.example = "echo=hello",
};

GA_PLUGIN(&noop);
