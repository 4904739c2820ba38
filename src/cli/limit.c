#include "limited.h"
#include "period.h"
#include <stdio.h>
#include <string.h>

static struct {
	const char *concurrency, *rate, *burst, *max_pending;
	bool queue;
} given;

static const struct flag flags[] = {
	{ "concurrency", 0, "N", "so many jobs run at once", .text = &given.concurrency },
	{ "rate", 0, "RATE", "so many start in a time: 100/s, 10/m, 5/10s", .text = &given.rate },
	{ "burst", 0, "N", "so many of them at once", .text = &given.burst },
	{ "max-pending", 0, "N", "so many wait; then more are refused", .text = &given.max_pending },
	{ "queue", 0, NULL, "NAME is a queue's", .on = &given.queue },
	{ 0 },
};

static void put_key(struct strbuf *out, const char *key)
{
	if (out->data[out->size - 1] != '{')
		sb_char(out, ',');
	sb_printf(out, "\"%s\":", key);
}

/* A number from 1 on, or "none". */
static bool put_number(struct strbuf *out, const char *key, const char *text)
{
	int64_t value;

	if (!text)
		return true;
	put_key(out, key);
	if (strcmp(text, "none") == 0)
		sb_text(out, "null");
	else if (number_parse(text, 1, 1000000000, &value))
		sb_printf(out, "%lld", (long long)value);
	else
		return false;
	return true;
}

static void put_rate(struct strbuf *out, const char *text)
{
	if (!text)
		return;
	put_key(out, "rate");
	if (strcmp(text, "none") == 0)
		sb_text(out, "null");
	else
		sb_json_lossy(out, text, strlen(text));
}

static int set(struct context *x, const char *name, enum limited kind)
{
	struct strbuf body = { 0 };
	int status;

	sb_char(&body, '{');
	if (!put_number(&body, "concurrency", given.concurrency))
		status = usage(x, "--concurrency takes a number from 1 on, or none");
	else if (!put_number(&body, "burst", given.burst))
		status = usage(x, "--burst takes a number from 1 on, or none");
	else if (!put_number(&body, "max_pending", given.max_pending))
		status = usage(x, "--max-pending takes a number from 1 on, or none");
	else
		status = STATUS_OK;
	put_rate(&body, given.rate);
	if (status == STATUS_OK && body.size == 1)
		status = usage(
			x, "set takes at least one of --concurrency, --rate, --burst and --max-pending");
	sb_char(&body, '}');
	if (status == STATUS_OK)
		status = limit_ask(x, "POST", kind, name, "", &body);
	sb_free(&body);
	return status;
}

static int run(struct context *x)
{
	const struct words *operands = &x->command.operands;
	enum limited kind = given.queue ? LIMITED_QUEUE : LIMITED_KEY;
	const char *what = operands->count > 0 ? operands->item[0] : "";

	if (operands->count != 2)
		return usage(
			x, "it takes set, unset or show, and a name: limit set api.example.com --concurrency 20");
	if (strcmp(what, "set") == 0)
		return set(x, operands->item[1], kind);
	if (given.concurrency || given.rate || given.burst || given.max_pending)
		return usage(x, "only set takes limits");
	if (strcmp(what, "unset") == 0)
		return limit_ask(x, "DELETE", kind, operands->item[1], "", NULL);
	if (strcmp(what, "show") == 0)
		return limit_ask(x, "GET", kind, operands->item[1], "", NULL);
	return usage(x, "'%.40s' is not one of set, unset and show", what);
}

const struct verb verb_limit = {
	.name = "limit",
	.operands = "set | unset | show NAME",
	.summary = "limit a host, another key, or a queue",
	.details = "NAME is a limit key: of http jobs, the URL's host, with its port if that is unusual. What isn't\n"
		   "given stays as it is; \"none\" takes a limit away, and unset all of them: the defaults hold then.\n",
	.examples = "  gather limit set api.example.com --concurrency 20 --rate 100/s\n"
		    "  gather limit set --queue reports --max-pending 1000\n"
		    "  gather limit unset api.example.com\n",
	.flags = flags,
	.not_local = "a private daemon ends with this command",
	.run = run,
};
