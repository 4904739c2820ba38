#include "columns.h"
#include "ids.h"
#include "output.h"
#include "period.h"
#include "session.h"
#include <stdio.h>
#include <string.h>

#define ASK_SECONDS 30

static const char *limit;
static int64_t deadline; /* for all of the jobs together */

static const struct flag flags[] = {
	{ "wait", 'w', "TIME", "give up after so long (never); the jobs go on", .text = &limit },
	{ 0 },
};

/* Long-poll until the job has ended or the time is over. The job's JSON, or NULL. */
static json_t *wait_for_end(struct context *x, const char *id, int *ret_status)
{
	for (;;) {
		double left = (double)(deadline - ga_client_now()) / 1e9;
		const char *state;
		char suffix[48];
		json_t *job;

		left = left < 0 ? 0 : left > ASK_SECONDS ? ASK_SECONDS : left;
		snprintf(suffix, sizeof(suffix), "?wait=%.3f", left);
		job = ask_job(x, "GET", id, left > 0.001 ? suffix : "", ret_status);
		state = json_string_value(json_object_get(job, "state"));
		if (!job || !state)
			return job;
		if (strcmp(state, "succeeded") == 0)
			return job;
		if (strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0 ||
		    strcmp(state, "expired") == 0) {
			*ret_status = STATUS_FAILED;
			return job;
		}
		if (ga_client_now() >= deadline) {
			*ret_status = STATUS_PENDING;
			return job;
		}
		json_decref(job);
	}
}

static int wait_one(struct context *x, const char *id)
{
	int status;
	json_t *job = wait_for_end(x, id, &status);
	const char *state = json_string_value(json_object_get(job, "state"));
	const json_t *message = json_object_get(json_object_get(job, "error"), "message");

	if (!job)
		return status;
	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL) {
		put_document(output(), job, x->format);
	} else if (x->format == FORMAT_ID) {
		sb_printf(output(), "%s\n", id);
	} else if (x->format == FORMAT_TEXT) {
		sb_printf(output(), "%s ", id);
		put_coloured(output(), state ? state : "?", state ? state : "?");
		if (message) {
			sb_text(output(), ": ");
			put_value(output(), message);
		}
		sb_char(output(), '\n');
	}
	json_decref(job);
	return status;
}

static int run(struct context *x)
{
	int64_t ns;

	deadline = GA_CLIENT_FOREVER;
	if (limit && !period_parse(limit, &ns))
		return usage(x, "--wait takes " PERIOD_FORMS ", not '%s'", limit);
	if (limit)
		deadline = ga_client_now() + ns;
	return each_id(x, wait_one);
}

const struct verb verb_wait = {
	.name = "wait",
	.operands = "ID... | -",
	.summary = "wait until jobs have ended",
	.details = "Exit status 0: all succeeded; 1: one failed, was cancelled or expired;\n3: still pending.\n",
	.examples = "  gather wait $(gather submit http url=https://example.com/)\n"
		    "  gather submit jobs.ndjson | gather wait --wait 5m -\n",
	.flags = flags,
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
