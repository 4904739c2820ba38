#include "filters.h"

static int run(struct context *x)
{
	return ids_or_bulk(x, "purge", NULL);
}

const struct verb verb_purge = {
	.name = "purge",
	.operands = "",
	.summary = "forget finished jobs, all that a filter takes",
	.details = "Their results and histories go with them. Unfinished jobs stay.\n",
	.examples = "  gather purge --state failed --queue nightly\n"
		    "  gather purge --tag import-7\n",
	.flags = filter_flags,
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
