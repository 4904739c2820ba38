#include "arguments.h"
#include "job_fields.h"
#include "output.h"
#include "period.h"
#include "results.h"
#include "session.h"
#include "type_info.h"
#include <errno.h>
#include <string.h>

#define TAG 1
#define CANCEL_NS INT64_C(3000000000)

static const char *wait_limit;

static const struct flag flags[] = {
	{ "wait", 'w', "TIME", "give up after so long (never)", .text = &wait_limit },
	{ 0 },
};

/* What is known of the job while it is waited for. */
struct watch {
	char id[37];
	int64_t deadline;
	bool cancelled;
};

static int parse_command(struct context *x, struct arguments *a, struct watch *w)
{
	const struct words *operands = &x->command.operands;
	bool shaped = false;
	char why[400];
	int64_t ns = 0;

	if (operands->count == 0)
		return usage(x, "it takes a job type: `gather types` lists them");
	for (size_t i = 1; i < operands->count; i++) {
		if (!arguments_add(a, operands->item[i], false, why, sizeof(why)))
			return usage(x, "%s", why);
		shaped |= !a->item[a->count - 1].verbatim;
	}
	if (wait_limit && !period_parse(wait_limit, &ns))
		return usage(x, "--wait takes " PERIOD_FORMS ", not '%s'", wait_limit);
	/* The daemon knows the types; it need not be asked where nothing depends on them. */
	if (shaped) {
		int status = type_shape(x, operands->item[0], a, false);

		if (status != STATUS_OK)
			return status;
	}
	w->deadline = wait_limit ? ga_client_now() + ns : GA_CLIENT_FOREVER;
	return STATUS_OK;
}

static int submit(struct context *x, const struct arguments *a)
{
	struct strbuf args = { 0 }, options = { 0 };
	char why[300];
	int status;

	if (!job_fields_write(&job_fields, &options, why, sizeof(why))) {
		status = usage(x, "%s", why);
	} else if (!arguments_write(a, "", 0, &args, why, sizeof(why))) {
		status = usage(x, "%s", why);
	} else {
		status = session_open(x);
		if (status == STATUS_OK) {
			const struct ga_submission s = { .type = x->command.operands.item[0],
							 .args = sb_string(&args),
							 .options = sb_string(&options),
							 .tag = TAG,
							 .want_accepted = true,
							 .want_result = true };
			int result = ga_client_submit(x->client, &s);

			status = result < 0 ? session_failed(x, result) : STATUS_OK;
		}
	}
	sb_free(&args);
	sb_free(&options);
	return status;
}

static void put_event(struct context *x, const struct ga_client_event *e)
{
	struct strbuf *out = output();

	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL) {
		sb_text(out, "{\"type\":");
		sb_json_lossy(out, x->command.operands.item[0], strlen(x->command.operands.item[0]));
		put_outcome(out, e);
		put_meta(out, e->meta);
		put_body(out, e->body);
		put_error(out, e);
		sb_text(out, "}\n");
	} else if (x->format == FORMAT_ID && e->id[0]) {
		sb_printf(out, "%s\n", e->id);
	} else if (x->format == FORMAT_TEXT && event_ok(e)) {
		put_raw_body(out, e->body.size ? e->body : e->meta, e->body.size == 0);
	}
}

static void say_reason(const struct ga_client_event *e)
{
	struct strbuf reason = { 0 };

	put_reason(&reason, e);
	say("%s: %s", state_name(e), sb_string(&reason));
	if (e->kind == GA_EVENT_REFUSED && e->retry_after_ms)
		say("try again in %u ms", e->retry_after_ms);
	sb_free(&reason);
}

/* Interrupted, or out of time. False: stop waiting now. */
static bool give_up(struct context *x, struct watch *w)
{
	bool late = ga_client_now() >= w->deadline;

	if (w->cancelled || interruptions() > 1)
		return false;
	if (job_fields.detach || (late && !interrupted())) {
		if (w->id[0] && job_fields.detach)
			say("still running: gather wait %s", w->id);
		else
			say("not finished in %s: cancelled", wait_limit);
		if (job_fields.detach)
			return false;
	}
	w->cancelled = true;
	w->deadline = ga_client_now() + CANCEL_NS;
	return ga_client_cancel(x->client, TAG) == 0;
}

static int wait_for_result(struct context *x, struct watch *w)
{
	int status = STATUS_OK;

	for (;;) {
		struct ga_client_event e;
		int result = ga_client_next(x->client, w->deadline, &e);

		if (result == 0 || result == -EINTR) {
			/* A signal that changes nothing, such as SIGCONT. */
			if (result == -EINTR && !interrupted())
				continue;
			if (!status)
				status = result ? interrupted_status() : STATUS_PENDING;
			if (!give_up(x, w))
				return status;
			continue;
		}
		if (result < 0)
			return session_failed(x, result);
		if (e.kind == GA_EVENT_ACCEPTED) {
			memcpy(w->id, e.id, sizeof(w->id));
			continue;
		}
		put_event(x, &e);
		if (!event_ok(&e) && !w->cancelled)
			say_reason(&e);
		return status ? status : event_status(&e);
	}
}

static int run(struct context *x)
{
	struct arguments arguments = { 0 };
	struct watch watch = { 0 };
	int status = parse_command(x, &arguments, &watch);

	if (status == STATUS_OK)
		status = submit(x, &arguments);
	if (status == STATUS_OK)
		status = wait_for_result(x, &watch);
	arguments_free(&arguments);
	return status;
}

static int more_help(struct context *x)
{
	return type_help(x, x->command.operands.item[0]);
}

const struct verb verb_run = {
	.name = "run",
	.operands = "TYPE [name=value | name:=JSON | name=@FILE]...",
	.summary = "run one job and print its result",
	.details = "Prints the result's body, or its metadata if it has none. `gather run TYPE --help` "
		   "lists TYPE's\narguments. Ctrl-C cancels the job. Exit status 1: it failed; 3: it "
		   "took too long.\n",
	.examples = "  gather run http url=https://example.com/\n"
		    "  gather run http url=https://example.com/api method=POST json:='{\"n\": 1}'\n"
		    "  gather --local run sleep seconds=0.5\n"
		    "  gather run hash --timeout 5s -o json text=@FILE\n",
	.flags = flags,
	.has_job_fields = true,
	.run = run,
	.more_help = more_help,
};
