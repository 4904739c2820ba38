#include "columns.h"
#include "ids.h"
#include "output.h"

static int why(struct context *x, const char *id)
{
	int status;
	json_t *answer = ask_job(x, "GET", id, "/why", &status);
	const char *text = json_string_value(json_object_get(answer, "why"));

	if (!answer)
		return status;
	if (x->format == FORMAT_TEXT && x->command.operands.count > 1)
		sb_printf(output(), "%s ", id);
	if (x->format == FORMAT_TEXT)
		sb_printf(output(), "%s\n", text ? text : "?");
	else if (x->format == FORMAT_ID)
		sb_printf(output(), "%s\n", id);
	else if (x->format != FORMAT_NONE)
		put_document(output(), answer, x->format);
	json_decref(answer);
	return STATUS_OK;
}

static int run(struct context *x)
{
	return each_id(x, why);
}

const struct verb verb_why = {
	.name = "why",
	.operands = "ID... | -",
	.summary = "say what a job waits for",
	.examples = "  gather why 01981f2c-8a3b-7000-8000-0123456789ab\n",
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
