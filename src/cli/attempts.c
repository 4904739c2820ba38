#include "columns.h"
#include "ids.h"
#include "output.h"

static void put_reason_code(struct strbuf *out, const json_t *value)
{
	const json_t *code = json_object_get(value, "code"),
		     *message = json_object_get(value, "message");

	put_value(out, code);
	sb_text(out, ": ");
	put_value(out, message);
}

static const struct column columns[] = {
	{ "attempt", "ATTEMPT", true, NULL },
	{ "outcome", "OUTCOME", false, NULL },
	{ "worker", "WORKER", true, NULL },
	{ "started_at", "STARTED", false, put_instant },
	{ "ended_at", "ENDED", false, put_instant },
	{ "error", "ERROR", false, put_reason_code },
	{ 0 },
};

static int show(struct context *x, const char *id)
{
	int status;
	json_t *history = ask_job(x, "GET", id, "/attempts", &status);

	if (!history)
		return status;
	if (x->format == FORMAT_TEXT)
		put_table(output(), json_object_get(history, "attempts"), columns);
	else if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
		put_document(output(), history, x->format);
	else if (x->format == FORMAT_ID)
		sb_printf(output(), "%s\n", id);
	json_decref(history);
	return STATUS_OK;
}

static int run(struct context *x)
{
	return each_id(x, show);
}

const struct verb verb_attempts = {
	.name = "attempts",
	.operands = "ID... | -",
	.summary = "show each attempt at jobs, and how it ended",
	.examples = "  gather attempts 01981f2c-8a3b-7000-8000-0123456789ab\n",
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
