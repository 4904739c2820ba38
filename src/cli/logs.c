#include "columns.h"
#include "ids.h"
#include "output.h"
#include "session.h"
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define PAUSE_NS 300000000 /* between two looks */

static bool follow;

static const struct flag flags[] = {
	{ "follow", 'f', NULL, "go on until the job has ended", .on = &follow },
	{ 0 },
};

/* How much of which attempt's log is known. */
struct position {
	json_int_t attempt, end;
};

static bool has_ended(const char *state)
{
	static const char *const ends[] = { "succeeded", "failed", "cancelled", "expired" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (strcmp(state, ends[i]) == 0)
			return true;
	}
	return false;
}

/* What is new in the log, printed. An exit status; *ret_ended: there will be no more. */
static int look(struct context *x, const char *id, struct position *at, bool *ret_ended)
{
	char suffix[80];
	int status;

	snprintf(suffix, sizeof(suffix), "/logs?attempt=%" PRId64 "&after=%" PRId64,
		 (int64_t)at->attempt, (int64_t)at->end);
	json_t *answer = ask_job(x, "GET", id, suffix, &status);
	const char *state = json_string_value(json_object_get(answer, "state"));
	const json_t *log = json_object_get(answer, "log");

	if (!answer)
		return status;
	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
		put_document(output(), answer, x->format);
	else if (x->format == FORMAT_TEXT)
		sb_put(output(), json_string_value(log), json_string_length(log));
	at->attempt = json_integer_value(json_object_get(answer, "attempt"));
	at->end = json_integer_value(json_object_get(answer, "end"));
	*ret_ended = !state || has_ended(state);
	json_decref(answer);
	return STATUS_OK;
}

static int logs(struct context *x, const char *id)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct position at = { 0 };
	bool ended = false;
	int status = look(x, id, &at, &ended);

	while (status == STATUS_OK && follow && !ended) {
		output_flush();
		nanosleep(&pause, NULL);
		status = interrupted() ? interrupted_status() : look(x, id, &at, &ended);
	}
	return status;
}

static int run(struct context *x)
{
	return each_id(x, logs);
}

const struct verb verb_logs = {
	.name = "logs",
	.operands = "ID... | -",
	.summary = "print what a job's latest attempt has logged",
	.details = "The latest 16 KiB of each attempt are kept.\n",
	.examples = "  gather logs 01981f2c-8a3b-7000-8000-0123456789ab\n"
		    "  gather logs -f 01981f2c-8a3b-7000-8000-0123456789ab\n",
	.flags = flags,
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
