#include "limited.h"
#include "output.h"
#include <stdio.h>
#include <string.h>

#define NAME_MAX_SIZE 255

static void put_yes(struct strbuf *out, const json_t *value)
{
	if (json_is_true(value))
		sb_text(out, "yes");
}

static void put_wait(struct strbuf *out, const json_t *value)
{
	sb_printf(out, "%.1fs", json_number_value(value) / 1000);
}

const struct column limit_columns[] = {
	{ "key", "KEY", false, NULL },
	{ "running", "RUNNING", true, NULL },
	{ "pending", "PENDING", true, NULL },
	{ "concurrency", "CONCURRENCY", true, NULL },
	{ "slowed_to", "SLOWED TO", true, NULL },
	{ "busy_ms", "BUSY FOR", true, put_wait },
	{ "rate", "RATE", true, NULL },
	{ "burst", "BURST", true, NULL },
	{ "max_pending", "MAX PENDING", true, NULL },
	{ "own", "SET", false, put_yes },
	{ "paused", "PAUSED", false, put_yes },
	{ 0 },
};

const struct column queue_columns[] = {
	{ "name", "QUEUE", false, NULL },
	{ "ready", "READY", true, NULL },
	{ "running", "RUNNING", true, NULL },
	{ "scheduled", "LATER", true, NULL },
	{ "concurrency", "CONCURRENCY", true, NULL },
	{ "rate", "RATE", true, NULL },
	{ "burst", "BURST", true, NULL },
	{ "max_pending", "MAX PENDING", true, NULL },
	{ "paused", "PAUSED", false, put_yes },
	{ 0 },
};

/* What has a meaning in a target is escaped (RFC 3986, section 3.3). */
static void put_segment(struct strbuf *out, const char *name)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:@";

	for (; *name; name++) {
		if (strchr(plain, *name))
			sb_char(out, *name);
		else
			sb_printf(out, "%%%02X", (unsigned char)*name);
	}
}

static void put_one(struct context *x, const json_t *document, enum limited kind)
{
	json_t *rows = json_pack("[O]", document);

	if (x->format == FORMAT_JSON)
		put_document(output(), document, x->format);
	else if (kind == LIMITED_QUEUE)
		put_rows(x, rows, "name", queue_columns);
	else
		put_rows(x, rows, "key", limit_columns);
	json_decref(rows);
}

int limit_ask(struct context *x, const char *method, enum limited kind, const char *name,
	      const char *suffix, const struct strbuf *body)
{
	struct strbuf target = { 0 };
	struct ga_response response;
	json_t *document;
	int status;

	if (!*name || strlen(name) > NAME_MAX_SIZE || strchr(name, '/'))
		return usage(x, "'%.80s' is no name of a %s", name,
			     kind == LIMITED_QUEUE ? "queue"
						   : "limit key (of a URL, that is its host)");
	sb_text(&target, kind == LIMITED_QUEUE ? "/v1/queues/" : "/v1/limits/");
	put_segment(&target, name);
	sb_text(&target, suffix);
	status = ask_with(x, method, sb_string(&target), body, &response);
	sb_free(&target);
	if (status != STATUS_OK)
		return status;
	document = json_loadb(response.body.data, response.body.size, 0, NULL);
	if (document)
		put_one(x, document, kind);
	json_decref(document);
	return STATUS_OK;
}
