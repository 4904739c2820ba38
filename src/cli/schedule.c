#include "arguments.h"
#include "columns.h"
#include "job_fields.h"
#include "output.h"
#include "session.h"
#include "type_info.h"
#include <stdio.h>
#include <string.h>

static struct {
	const char *cron, *tz, *every, *missed;
	bool paused;
} given;

static const struct flag flags[] = {
	{ "cron", 0, "TIMES", "five fields: minute hour day month weekday", .text = &given.cron },
	{ "tz", 0, "ZONE", "the time zone of --cron, e.g. Europe/Berlin (UTC)", .text = &given.tz },
	{ "every", 0, "TIME", "instead of --cron: so much time between two", .text = &given.every },
	{ "missed", 0, "WHAT", "skip (default) or once: missed times are made good once",
	  .text = &given.missed },
	{ "paused", 0, NULL, "it rests until `gather schedule resume`", .on = &given.paused },
	{ 0 },
};

static bool is_any_given(void)
{
	return given.cron || given.tz || given.every || given.missed || given.paused;
}

/* One line about it, or as the format says. */
static void put_schedule(const struct context *x, const json_t *s)
{
	struct strbuf *out = output();
	const json_t *next = json_object_get(s, "next_at");

	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL) {
		put_document(out, s, x->format);
	} else if (x->format != FORMAT_NONE) {
		put_value(out, json_object_get(s, "name"));
		if (x->format == FORMAT_TEXT && json_is_true(json_object_get(s, "removed")))
			sb_text(out, " removed");
		else if (x->format == FORMAT_TEXT && json_is_true(json_object_get(s, "paused")))
			sb_text(out, " paused");
		if (x->format == FORMAT_TEXT && next) {
			sb_text(out, " next ");
			put_instant(out, next);
		}
		sb_char(out, '\n');
	}
}

static int target_of(struct context *x, const char *name, const char *suffix, char *out, size_t size)
{
	/* A name has none of these: they would be another path. */
	if (!*name || strlen(name) > 64 || strpbrk(name, "/?#%"))
		return usage(x, "'%.80s' is no name of a schedule", name);
	snprintf(out, size, "/v1/schedules/%s%s", name, suffix);
	return STATUS_OK;
}

/* The answer's JSON, to be released; NULL: *ret_status says why. */
static json_t *change(struct context *x, const char *method, const char *name, const char *suffix,
		      struct strbuf *body, int *ret_status)
{
	struct ga_response response;
	char target[128];

	*ret_status = target_of(x, name, suffix, target, sizeof(target));
	if (*ret_status == STATUS_OK)
		*ret_status = ask_with(x, method, target, body, &response);
	return *ret_status == STATUS_OK ? json_loadb(response.body.data, response.body.size, 0, NULL)
					: NULL;
}

static int change_and_put(struct context *x, const char *method, const char *name,
			  const char *suffix, struct strbuf *body)
{
	int status;
	json_t *answer = change(x, method, name, suffix, body, &status);

	if (answer)
		put_schedule(x, answer);
	json_decref(answer);
	return status;
}

/* ---- set ---- */

static void put_member(struct strbuf *out, const char *key, const char *text)
{
	if (!text)
		return;
	if (out->data[out->size - 1] != '{')
		sb_char(out, ',');
	sb_printf(out, "\"%s\":", key);
	sb_json_lossy(out, text, strlen(text));
}

/* The definition, around the job's fields and arguments, which are objects of their own. */
static void put_definition(struct strbuf *out, const char *type, struct strbuf *fields,
			   struct strbuf *args)
{
	sb_text(out, "{\"schedule\":{");
	put_member(out, "cron", given.cron);
	put_member(out, "tz", given.tz);
	put_member(out, "every", given.every);
	sb_char(out, '}');
	put_member(out, "missed", given.missed);
	if (given.paused)
		sb_text(out, ",\"paused\":true");
	sb_text(out, ",\"job\":{");
	put_member(out, "type", type);
	if (args->size > 0)
		sb_printf(out, ",\"args\":%s", sb_string(args));
	if (fields->size > 2)
		sb_printf(out, ",%.*s", (int)fields->size - 2, fields->data + 1);
	sb_text(out, "}}");
}

static int read_arguments(struct context *x, const char *type, struct strbuf *args)
{
	const struct words *operands = &x->command.operands;
	struct arguments a = { 0 };
	int status = STATUS_OK;
	char why[400];

	for (size_t i = 3; i < operands->count && status == STATUS_OK; i++) {
		if (!arguments_add(&a, operands->item[i], false, why, sizeof(why)))
			status = usage(x, "%s", why);
	}
	if (status == STATUS_OK && a.count > 0)
		status = type_shape(x, type, &a, false);
	if (status == STATUS_OK && a.count > 0 && !arguments_write(&a, "", 0, args, why, sizeof(why)))
		status = usage(x, "%s", why);
	arguments_free(&a);
	return status;
}

static int set(struct context *x)
{
	const struct words *operands = &x->command.operands;
	struct strbuf fields = { 0 }, args = { 0 }, body = { 0 };
	char why[400];
	int status;

	if (operands->count < 3)
		return usage(x, "set takes a name and a job: set NAME TYPE [k=v ...]");
	if (!given.cron == !given.every)
		return usage(x, "set takes either --cron or --every");
	if (!job_fields_write(&job_fields, &fields, why, sizeof(why))) {
		sb_free(&fields);
		return usage(x, "%s", why);
	}
	status = read_arguments(x, operands->item[2], &args);
	if (status == STATUS_OK) {
		put_definition(&body, operands->item[2], &fields, &args);
		status = change_and_put(x, "PUT", operands->item[1], "", &body);
	}
	sb_free(&fields);
	sb_free(&args);
	sb_free(&body);
	return status;
}

/* ---- what is done to each of several ---- */

static int show(struct context *x, const char *name)
{
	int status;
	json_t *s = change(x, "GET", name, "", NULL, &status);

	if (s && x->format == FORMAT_TEXT)
		put_document(output(), s, FORMAT_JSON);
	else if (s)
		put_schedule(x, s);
	json_decref(s);
	return status;
}

static int remove_one(struct context *x, const char *name)
{
	return change_and_put(x, "DELETE", name, "", NULL);
}

static int pause_one(struct context *x, const char *name)
{
	return change_and_put(x, "POST", name, "/pause", NULL);
}

static int resume_one(struct context *x, const char *name)
{
	return change_and_put(x, "POST", name, "/resume", NULL);
}

/* The id of the job, as `gather submit` prints it. */
static int run_one(struct context *x, const char *name)
{
	int status;
	json_t *job = change(x, "POST", name, "/run", NULL, &status);

	if (job && (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)) {
		put_document(output(), job, x->format);
	} else if (job && x->format != FORMAT_NONE) {
		put_value(output(), json_object_get(job, "id"));
		sb_char(output(), '\n');
	}
	json_decref(job);
	return status;
}

static const struct {
	const char *name;
	int (*fn)(struct context *x, const char *name);
} actions[] = {
	{ "show", show },         { "rm", remove_one }, { "pause", pause_one },
	{ "resume", resume_one }, { "run", run_one },
};

static int run(struct context *x)
{
	const struct words *operands = &x->command.operands;
	const char *what = operands->count > 0 ? operands->item[0] : "";
	size_t i = 0;
	int status = STATUS_OK;

	if (strcmp(what, "set") == 0)
		return set(x);
	while (i < sizeof(actions) / sizeof(actions[0]) && strcmp(actions[i].name, what) != 0)
		i++;
	if (i == sizeof(actions) / sizeof(actions[0]))
		return usage(x, "takes set, show, rm, pause, resume or run, not '%.40s'", what);
	if (operands->count < 2)
		return usage(x, "%s takes the name of a schedule", what);
	if (is_any_given())
		return usage(x, "--cron, --tz, --every, --missed and --paused go with set");
	for (size_t n = 1; n < operands->count; n++) {
		int one = actions[i].fn(x, operands->item[n]);

		status = status == STATUS_OK ? one : status;
		if (one == STATUS_UNREACHABLE || one == STATUS_INTERRUPTED)
			break;
	}
	return status;
}

const struct verb verb_schedule = {
	.name = "schedule",
	.operands = "set NAME TYPE [k=v ...] | show|rm|pause|resume|run NAME ...",
	.summary = "define a schedule, or change one",
	.details = "`set` defines it, or defines it anew. `run` hands its job in now, besides its times.\n",
	.examples = "  gather schedule set report --cron '0 3 * * mon-fri' --tz Europe/Berlin \\\n"
		    "      http url=https://example.com/report\n"
		    "  gather schedule set pulse --every 30s --retries 0 http url=https://example.com/\n"
		    "  gather schedule pause report\n"
		    "  gather schedule run report\n",
	.flags = flags,
	.has_job_fields = true,
	.not_local = "a private daemon has no schedules",
	.run = run,
};
