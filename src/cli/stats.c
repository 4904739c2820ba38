#include "columns.h"
#include "output.h"
#include "session.h"

/* {"jobs": {"ready": 1}} as "jobs.ready 1". */
static void put_members(const char *prefix, json_t *object)
{
	struct strbuf name = { 0 };
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		name.size = 0;
		sb_printf(&name, "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_is_object(value)) {
			put_members(sb_string(&name), value);
			continue;
		}
		sb_printf(output(), "%-24s ", sb_string(&name));
		put_value(output(), value);
		sb_char(output(), '\n');
	}
	sb_free(&name);
}

static int run(struct context *x)
{
	struct ga_response response;
	json_t *stats;
	int status;

	if (x->command.operands.count > 0)
		return usage(x, "it takes no operands");
	status = ask(x, "GET", "/v1/stats", &response);
	if (status != STATUS_OK)
		return status;
	stats = json_loadb(response.body.data, response.body.size, 0, NULL);
	if (x->format == FORMAT_TEXT)
		put_members("", stats);
	else if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
		put_document(output(), stats, x->format);
	json_decref(stats);
	return STATUS_OK;
}

const struct verb verb_stats = {
	.name = "stats",
	.operands = "",
	.summary = "count jobs by state, and what happened so far",
	.examples = "  gather stats\n"
		    "  gather stats -o json\n",
	.run = run,
};
