#include "filters.h"
#include "ids.h"

static int retry(struct context *x, const char *id)
{
	return change_job(x, id, "/retry");
}

static int run(struct context *x)
{
	return ids_or_bulk(x, "retry", retry);
}

const struct verb verb_retry = {
	.name = "retry",
	.operands = "[ID... | -]",
	.summary = "run failed jobs again",
	.details = "Instead of ids, filters name all jobs that they take: by default the failed ones of them.\n",
	.examples = "  gather retry 01981f2c-8a3b-7000-8000-0123456789ab\n"
		    "  gather ls --state failed -o id | gather retry -\n"
		    "  gather retry --state failed --since 1h\n",
	.flags = filter_flags,
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
