#include "columns.h"
#include "output.h"
#include "session.h"

/* {"light": 3, "net": 120}: only what isn't zero. */
static void put_classes(struct strbuf *out, const json_t *value)
{
	size_t start = out->size;
	const char *name;
	const json_t *count;

	/* The macro wants a mutable object to iterate, and changes nothing. */
	json_object_foreach((json_t *)(uintptr_t)value, name, count)
	{
		if (json_integer_value(count) != 0)
			sb_printf(out, "%s%s %lld", out->size > start ? ", " : "", name,
				  (long long)json_integer_value(count));
	}
	if (out->size == start)
		sb_char(out, '-');
}

static const struct column columns[] = {
	{ "slot", "WORKER", true, NULL },
	{ "pid", "PID", true, NULL },
	{ "state", "STATE", false, NULL },
	{ "running", "RUNNING", false, put_classes },
	{ "capacity", "CAPACITY", false, put_classes },
	{ "dispatched", "DISPATCHED", true, NULL },
	{ "finished", "FINISHED", true, NULL },
	{ 0 },
};

static int run(struct context *x)
{
	if (x->command.operands.count > 0)
		return usage(x, "it takes no operands");
	return show_list(x, "/v1/workers", "workers", "slot", columns);
}

const struct verb verb_workers = {
	.name = "workers",
	.operands = "",
	.summary = "list the workers and what they do",
	.examples = "  gather workers\n"
		    "  gather workers -o json\n",
	.run = run,
};
