#include "filters.h"
#include "ids.h"

static int cancel(struct context *x, const char *id)
{
	return change_job(x, id, "/cancel");
}

static int run(struct context *x)
{
	return ids_or_bulk(x, "cancel", cancel);
}

const struct verb verb_cancel = {
	.name = "cancel",
	.operands = "[ID... | -]",
	.summary = "stop jobs, waiting or running",
	.details = "A running job really stops: its connection is closed, its process killed.\n"
		   "Instead of ids, filters name all jobs that they take.\n",
	.examples = "  gather cancel 01981f2c-8a3b-7000-8000-0123456789ab\n"
		    "  gather ls --queue nightly -o id | gather cancel -\n"
		    "  gather cancel --queue nightly --state ready\n",
	.flags = filter_flags,
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
