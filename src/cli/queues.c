#include "limited.h"

static int run(struct context *x)
{
	if (x->command.operands.count > 0)
		return usage(x, "it takes no operands");
	return show_list(x, "/v1/queues", "queues", "name", queue_columns);
}

const struct verb verb_queues = {
	.name = "queues",
	.operands = "",
	.summary = "list the queues: how full they are, and their limits",
	.examples = "  gather queues\n"
		    "  gather queues -o jsonl\n",
	.run = run,
};
