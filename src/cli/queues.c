#include "columns.h"
#include "session.h"

static const struct column columns[] = {
	{ "name", "QUEUE", false, NULL },
	{ "ready", "READY", true, NULL },
	{ "running", "RUNNING", true, NULL },
	{ 0 },
};

static int run(struct context *x)
{
	if (x->command.operands.count > 0)
		return usage(x, "it takes no operands");
	return show_list(x, "/v1/queues", "queues", "name", columns);
}

const struct verb verb_queues = {
	.name = "queues",
	.operands = "",
	.summary = "list the queues and how full they are",
	.examples = "  gather queues\n"
		    "  gather queues -o jsonl\n",
	.run = run,
};
