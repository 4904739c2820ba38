#include "ids.h"

static int retry(struct context *x, const char *id)
{
	return change_job(x, id, "/retry");
}

static int run(struct context *x)
{
	return each_id(x, retry);
}

const struct verb verb_retry = {
	.name = "retry",
	.operands = "ID... | -",
	.summary = "run failed jobs again",
	.examples = "  gather retry 01981f2c-8a3b-7000-8000-0123456789ab\n"
		    "  gather ls --state failed -o id | gather retry -\n",
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
