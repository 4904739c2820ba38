#include "columns.h"
#include "session.h"
#include "type_info.h"

static const struct column columns[] = {
	{ "name", "TYPE", false, NULL },
	{ "class", "CLASS", false, NULL },
	{ "help", "DOES", false, NULL },
	{ 0 },
};

static int run(struct context *x)
{
	if (x->command.operands.count > 1)
		return usage(x, "it takes the name of one type, or nothing");
	if (x->command.operands.count == 1)
		return type_help(x, x->command.operands.item[0]);
	return show_list(x, "/v1/types", "types", "name", columns);
}

const struct verb verb_types = {
	.name = "types",
	.operands = "[TYPE]",
	.summary = "list the job types, or one type's arguments",
	.examples = "  gather types\n"
		    "  gather --local types http\n",
	.run = run,
};
