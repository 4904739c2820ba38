/*
 * bad_type.c — declares a type with two handlers.
 */
#include <gather/worker.h>

static int nothing(ga_job *job)
{
	(void)job;
	return 0;
}

static const struct ga_job_type bad = {
	.name = "bad", .help = "has two handlers", .run = nothing, .work = nothing
};

GA_PLUGIN(&bad);
