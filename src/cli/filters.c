#include "filters.h"
#include "columns.h"
#include "ids.h"
#include "output.h"
#include "session.h"
#include <string.h>

static struct {
	const char *state, *type, *queue, *tag, *since;
} given;

const struct flag filter_flags[] = {
	{ "state", 's', "STATE", "only of this state, or of several with commas between",
	  .text = &given.state },
	{ "type", 't', "TYPE", "only of this type", .text = &given.type },
	{ "queue", 0, "NAME", "only of this queue", .text = &given.queue },
	{ "tag", 0, "TAG", "only with this tag", .text = &given.tag },
	{ "since", 0, "TIME", "only accepted so long ago, or since an instant", .text = &given.since },
	{ 0 },
};

static const struct {
	const char *name, **value;
} parts[] = {
	{ "state", &given.state }, { "type", &given.type },   { "queue", &given.queue },
	{ "tag", &given.tag },     { "since", &given.since },
};
#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

bool filters_given(void)
{
	return given.state || given.type || given.queue || given.tag || given.since;
}

void put_parameter(struct strbuf *target, const char *name, const char *value)
{
	if (!value)
		return;
	sb_printf(target, "%c%s=", memchr(target->data, '?', target->size) ? '&' : '?', name);
	for (; *value; value++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", *value))
			sb_char(target, *value);
		else
			sb_printf(target, "%%%02X", (unsigned char)*value);
	}
}

void filters_put_query(struct strbuf *target)
{
	for (size_t i = 0; i < PART_COUNT; i++)
		put_parameter(target, parts[i].name, *parts[i].value);
}

static void put_request(struct strbuf *body, const char *action)
{
	bool any = false;

	sb_printf(body, "{\"action\":\"%s\",\"filter\":{", action);
	for (size_t i = 0; i < PART_COUNT; i++) {
		if (!*parts[i].value)
			continue;
		sb_printf(body, "%s\"%s\":", any ? "," : "", parts[i].name);
		sb_json_lossy(body, *parts[i].value, strlen(*parts[i].value));
		any = true;
	}
	sb_text(body, "}}");
}

static int bulk_answer(const struct context *x, const char *action, const json_t *answer)
{
	long long matched = json_integer_value(json_object_get(answer, "matched")),
		  done = json_integer_value(json_object_get(answer, "done"));

	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
		put_document(output(), answer, x->format);
	else if (x->format == FORMAT_TEXT)
		sb_printf(output(), "%s: %lld of %lld jobs\n", action, done, matched);
	return done == matched ? STATUS_OK : STATUS_FAILED;
}

static int bulk(struct context *x, const char *action)
{
	struct strbuf body = { 0 };
	struct ga_response response;
	json_t *answer;
	int status;

	put_request(&body, action);
	status = ask_with(x, "POST", "/v1/bulk", &body, &response);
	sb_free(&body);
	if (status != STATUS_OK)
		return status;
	answer = json_loadb(response.body.data, response.body.size, 0, NULL);
	status = bulk_answer(x, action, answer);
	json_decref(answer);
	return status;
}

int ids_or_bulk(struct context *x, const char *action, int (*each)(struct context *x, const char *id))
{
	bool ids = x->command.operands.count > 0;

	if (ids && filters_given())
		return usage(x, "ids and filters exclude each other");
	if (!ids && !filters_given())
		return usage(x, "it takes %sfilters: --state, --type, --queue, --tag, --since",
			     each ? "the ids of jobs, - to read them from standard input, or " : "");
	if (ids && !each)
		return usage(x, "it takes no ids, but filters: --state, --type, --queue, --tag, --since");
	return ids ? each_id(x, each) : bulk(x, action);
}
