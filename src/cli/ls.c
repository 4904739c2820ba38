#include "columns.h"
#include "filters.h"
#include "output.h"
#include "period.h"
#include "session.h"
#include <stdio.h>
#include <string.h>

#define PAGE_JOBS 1000

static const char *limit_text;

static const struct flag flags[] = {
	{ "limit", 'n', "N", "so many at most (50)", .text = &limit_text },
	{ 0 },
};

static void put_error_code(struct strbuf *out, const json_t *value)
{
	const json_t *code = json_object_get(value, "code");

	put_value(out, code ? code : value);
}

static const struct column columns[] = {
	{ "id", "ID", false, NULL },
	{ "type", "TYPE", false, NULL },
	{ "queue", "QUEUE", false, NULL },
	{ "state", "STATE", false, NULL },
	{ "attempts", "ATTEMPTS", true, NULL },
	{ "accepted_at", "ACCEPTED", false, put_instant },
	{ "elapsed_ms", "MS", true, NULL },
	{ "error", "ERROR", false, put_error_code },
	{ 0 },
};

/* One page into `jobs`; the next page's cursor into `cursor`, "" at the end. */
static int read_page(struct context *x, int64_t left, char cursor[64], json_t *jobs)
{
	struct strbuf target = { 0 };
	struct ga_response response;
	char count[24];
	json_t *root;
	int status;

	snprintf(count, sizeof(count), "%lld", (long long)(left < PAGE_JOBS ? left : PAGE_JOBS));
	sb_text(&target, "/v1/jobs");
	filters_put_query(&target);
	put_parameter(&target, "limit", count);
	put_parameter(&target, "cursor", cursor[0] ? cursor : NULL);
	status = ask(x, "GET", sb_string(&target), &response);
	sb_free(&target);
	if (status != STATUS_OK)
		return status;
	root = json_loadb(response.body.data, response.body.size, 0, NULL);
	json_array_extend(jobs, json_object_get(root, "jobs"));
	snprintf(cursor, 64, "%s",
		 json_is_string(json_object_get(root, "cursor"))
			 ? json_string_value(json_object_get(root, "cursor"))
			 : "");
	json_decref(root);
	return STATUS_OK;
}

static int run(struct context *x)
{
	char cursor[64] = "";
	json_t *jobs;
	int64_t limit = 50;
	int status;

	if (x->command.operands.count > 0)
		return usage(
			x, "it takes no operands: --state, --type, --queue, --tag and --since filter");
	if (limit_text && !number_parse(limit_text, 1, 10000000, &limit))
		return usage(x, "--limit takes a number from 1, not '%s'", limit_text);
	jobs = json_array();
	do
		status = read_page(x, limit - (int64_t)json_array_size(jobs), cursor, jobs);
	while (status == STATUS_OK && cursor[0] && (int64_t)json_array_size(jobs) < limit);
	if (status == STATUS_OK)
		put_rows(x, jobs, "id", columns);
	json_decref(jobs);
	return status;
}

const struct verb verb_ls = {
	.name = "ls",
	.operands = "",
	.summary = "list jobs, the newest first",
	.examples = "  gather ls --state failed\n"
		    "  gather ls --type http --limit 1000 -o jsonl\n"
		    "  gather ls --tag nightly --since 24h\n",
	.flags = filter_flags,
	.flags_too = flags,
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
