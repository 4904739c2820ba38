#include "columns.h"
#include "ids.h"
#include "output.h"
#include <string.h>

/* Its words are a handler's or a server's: put_value() keeps a terminal from obeying them. */
static void put_error(struct strbuf *out, const json_t *error)
{
	const json_t *code = json_object_get(error, "code"),
		     *message = json_object_get(error, "message");

	if (code)
		put_value(out, code);
	sb_text(out, ": ");
	if (message)
		put_value(out, message);
}

/* Members that are no one-line texts. */
static void put_member(const char *key, const json_t *value)
{
	struct strbuf *out = output();

	sb_printf(out, "%-12s ", key);
	if (strcmp(key, "state") == 0 && json_is_string(value))
		put_coloured(out, json_string_value(value), json_string_value(value));
	else if (strcmp(key, "error") == 0 && json_is_object(value))
		put_error(out, value);
	else if (strcmp(key, "body") == 0 || strcmp(key, "body_base64") == 0)
		sb_printf(out, "%zu %s; `gather result ID` prints it", json_string_length(value),
			  strcmp(key, "body") == 0 ? "bytes" : "characters of base64");
	else if (strlen(key) > 3 && strcmp(key + strlen(key) - 3, "_at") == 0)
		put_instant(out, value);
	else
		put_value(out, value);
	sb_char(out, '\n');
}

static int show(struct context *x, const char *id)
{
	int status;
	json_t *job = ask_job(x, "GET", id, "", &status);
	const char *key;
	json_t *value;

	if (!job)
		return status;
	if (x->format == FORMAT_ID)
		sb_printf(output(), "%s\n", id);
	else if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
		put_document(output(), job, x->format);
	if (x->format == FORMAT_TEXT) {
		json_object_foreach(job, key, value)
		{
			put_member(key, value);
		}
		if (x->command.operands.count > 1)
			sb_char(output(), '\n');
	}
	json_decref(job);
	return STATUS_OK;
}

static int run(struct context *x)
{
	return each_id(x, show);
}

const struct verb verb_show = {
	.name = "show",
	.operands = "ID... | -",
	.summary = "show all that is known of jobs",
	.details = "Arguments marked as secret are never shown.\n",
	.examples = "  gather show 01981f2c-8a3b-7000-8000-0123456789ab\n"
		    "  gather ls --state failed -o id | gather show -o jsonl -\n",
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
