#include "ids.h"

static int cancel(struct context *x, const char *id)
{
	return change_job(x, id, "/cancel");
}

static int run(struct context *x)
{
	return each_id(x, cancel);
}

const struct verb verb_cancel = {
	.name = "cancel",
	.operands = "ID... | -",
	.summary = "stop jobs, waiting or running",
	.details = "A running job really stops: its connection is closed, its process killed.\n",
	.examples = "  gather cancel 01981f2c-8a3b-7000-8000-0123456789ab\n"
		    "  gather ls --queue nightly -o id | gather cancel -\n",
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
