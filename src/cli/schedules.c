#include "columns.h"
#include "output.h"
#include "session.h"
#include <string.h>

/* {"cron": ..., "tz": ...} or {"every": ...}, for a column. */
static void put_times(struct strbuf *out, const json_t *times)
{
	const json_t *cron = json_object_get(times, "cron");

	if (!cron) {
		sb_text(out, "every ");
		put_value(out, json_object_get(times, "every"));
		return;
	}
	put_value(out, cron);
	sb_char(out, ' ');
	put_value(out, json_object_get(times, "tz"));
}

static void put_paused(struct strbuf *out, const json_t *paused)
{
	sb_text(out, json_is_true(paused) ? "paused" : "");
}

static void put_trouble(struct strbuf *out, const json_t *trouble)
{
	put_value(out, json_object_get(trouble, "code"));
}

static const struct column columns[] = {
	{ "name", "SCHEDULE", false, NULL },
	{ "schedule", "TIMES", false, put_times },
	{ "type", "TYPE", false, NULL },
	{ "next_at", "NEXT", false, put_instant },
	{ "paused", "", false, put_paused },
	{ "last_at", "LAST", false, put_instant },
	{ "last_job", "LAST JOB", false, NULL },
	{ "runs", "RUNS", true, NULL },
	{ "last_error", "ERROR", false, put_trouble },
	{ 0 },
};

/* All pages of the list. */
static int collect(struct context *x, json_t *rows)
{
	char target[160] = "/v1/schedules";
	const char *cursor;

	do {
		struct ga_response response;
		int status = ask(x, "GET", target, &response);

		if (status != STATUS_OK)
			return status;
		json_t *page = json_loadb(response.body.data, response.body.size, 0, NULL);

		json_array_extend(rows, json_object_get(page, "schedules"));
		cursor = json_string_value(json_object_get(page, "cursor"));
		if (cursor)
			snprintf(target, sizeof(target), "/v1/schedules?cursor=%s", cursor);
		json_decref(page);
	} while (cursor);
	return STATUS_OK;
}

static int run(struct context *x)
{
	json_t *rows = json_array();
	int status;

	if (x->command.operands.count > 0)
		return usage(x, "it takes no operands; `gather schedule` changes one");
	status = collect(x, rows);
	if (status == STATUS_OK)
		put_rows(x, rows, "name", columns);
	json_decref(rows);
	return status;
}

const struct verb verb_schedules = {
	.name = "schedules",
	.operands = "",
	.summary = "list the schedules and when they are due",
	.examples = "  gather schedules\n"
		    "  gather schedules -o jsonl\n",
	.not_local = "a private daemon has no schedules",
	.run = run,
};
