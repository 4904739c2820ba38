/*
 * sleep.c — waits for a while. A future without a stack: a hundred thousand of them fit into a worker.
 */
#include <gather/worker.h>

#define YEAR_SECONDS (365.0 * 86400)

static const struct ga_param params[] = {
	{ .name = "seconds",
	  .type = GA_DURATION,
	  .flags = GA_REQUIRED,
	  .max = YEAR_SECONDS,
	  .unit = "s",
	  .help = "how long: a number of seconds, or a duration like 250ms or 2m" },
	{ 0 },
};

static ga_future *start(ga_job *job)
{
	return ga_sleep_future(ga_job_integer(job, "seconds"));
}

static const struct ga_job_type sleep_type = {
	.name = "sleep",
	.help = "waits for a while",
	.job_class = GA_CLASS_LIGHT,
	.params = params,
	.start = start,
	.example = "seconds=0.5",
};

GA_PLUGIN(&sleep_type);
