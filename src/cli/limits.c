#include "limited.h"

static int run(struct context *x)
{
	if (x->command.operands.count > 0)
		return usage(x, "it takes no operands");
	return show_list(x, "/v1/limits", "limits", "key", limit_columns);
}

const struct verb verb_limits = {
	.name = "limits",
	.operands = "",
	.summary = "list the limit keys: how much runs, and may",
	.details = "A limit key is what jobs share limits by: of http jobs, the URL's host.\n",
	.examples = "  gather limits\n"
		    "  gather limits -o jsonl\n",
	.run = run,
};
