/*
 * bad_twin.c — declares a type whose name is taken.
 */
#include <gather/worker.h>

static int nothing(ga_job *job)
{
	(void)job;
	return 0;
}

static const struct ga_job_type twin = { .name = "echo",
					 .help = "is declared elsewhere too",
					 .run = nothing };

GA_PLUGIN(&twin);
