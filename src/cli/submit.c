#include "arguments.h"
#include "bulk.h"
#include "columns.h"
#include "job_fields.h"
#include "output.h"
#include "results.h"
#include "session.h"
#include "type_info.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Either one job of the command line, or a list of job objects, one a line. They outlive this command: all are
 * detached.
 */
struct submit {
	struct context *x;
	struct bulk bulk;
	json_t *defaults;     /* fields that a line without them gets */
	char *type, *options; /* of the line being handed over */
	char error[240];
};

static void put_accepted(const struct context *x, const struct ga_client_event *e, struct strbuf *out)
{
	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL) {
		sb_printf(out, "{\"id\":\"%s\",\"durability\":\"%s\"}", e->id, e->durability);
	} else if (x->format != FORMAT_NONE) {
		sb_text(out, e->id);
		sb_char(out, '\n');
	}
}

/* ---- one job ---- */

static int say_refused(const struct ga_client_event *e)
{
	struct strbuf reason = { 0 };

	put_reason(&reason, e);
	say("refused: %s", sb_string(&reason));
	sb_free(&reason);
	return status_of_http(e->status);
}

static int hand_over(struct context *x, const struct ga_submission *s)
{
	struct ga_client_event e;
	int result, status = session_open(x);

	if (status != STATUS_OK)
		return status;
	result = ga_client_submit(x->client, s);
	do {
		if (result >= 0)
			result = ga_client_next(x->client, GA_CLIENT_FOREVER, &e);
	} while (result == -EINTR && !interrupted());
	if (result < 0)
		return session_failed(x, result);
	if (e.kind == GA_EVENT_REFUSED)
		return say_refused(&e);
	put_accepted(x, &e, output());
	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
		sb_char(output(), '\n');
	return STATUS_OK;
}

static int submit_one(struct context *x, const char *options)
{
	const struct words *operands = &x->command.operands;
	struct arguments a = { 0 };
	struct strbuf args = { 0 };
	int status = STATUS_OK;
	char why[400];

	for (size_t i = 1; i < operands->count && status == STATUS_OK; i++) {
		if (!arguments_add(&a, operands->item[i], false, why, sizeof(why)))
			status = usage(x, "%s", why);
	}
	if (status == STATUS_OK && a.count > 0)
		status = type_shape(x, operands->item[0], &a, false);
	if (status == STATUS_OK && !arguments_write(&a, "", 0, &args, why, sizeof(why)))
		status = usage(x, "%s", why);
	if (status == STATUS_OK)
		status = hand_over(x, &(struct ga_submission){ .type = operands->item[0],
							       .args = sb_string(&args),
							       .options = options,
							       .want_accepted = true });
	arguments_free(&a);
	sb_free(&args);
	return status;
}

/* ---- a list ---- */

static enum source_result next(void *arg, struct strbuf *label)
{
	struct submit *s = arg;

	return bulk_next_line(&s->bulk, label);
}

static int read_more(void *arg)
{
	struct submit *s = arg;

	return lines_read(&s->bulk.lines);
}

/* Take `key` out of the object as text of its own. NULL: it has none, or no memory. */
static char *take_text(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	char *text = json_is_string(value) ? strdup(json_string_value(value))
		     : value               ? document_text(value, JSON_COMPACT | JSON_ENCODE_ANY)
					   : NULL;

	json_object_del(object, key);
	return text;
}

static const char *build(void *arg, const char *label, size_t size, struct job_text *job)
{
	struct submit *s = arg;
	json_error_t error;
	json_t *object = json_loadb(label, size, JSON_REJECT_DUPLICATES, &error);
	char *args;

	free(s->type);
	free(s->options);
	s->type = s->options = NULL;
	if (!json_is_object(object)) {
		snprintf(s->error, sizeof(s->error), "not a JSON object on one line: %s",
			 object ? "something else" : error.text);
		json_decref(object);
		return s->error;
	}
	s->type = take_text(object, "type");
	args = take_text(object, "args");
	json_object_update_missing(object, s->defaults);
	s->options = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (args)
		sb_text(&job->args, args);
	else
		sb_text(&job->args, "{}");
	free(args);
	job->type = s->type;
	job->options = s->options;
	return s->type ? NULL : "type: missing: {\"type\": \"http\", \"args\": {...}}";
}

static void render(void *arg, const struct outcome *o, struct strbuf *out, struct strbuf *err)
{
	struct submit *s = arg;
	const struct ga_client_event *e = o->event;
	bool json = s->x->format == FORMAT_JSON || s->x->format == FORMAT_JSONL;

	if (event_ok(e)) {
		put_accepted(s->x, e, out);
	} else if (json) {
		sb_printf(out, "{\"index\":%llu", (unsigned long long)o->seq - 1);
		put_error(out, e);
		sb_char(out, '}');
	} else {
		sb_printf(err, "job %llu: ", (unsigned long long)o->seq);
		put_reason(err, e);
		sb_char(err, '\n');
	}
	if (s->x->format == FORMAT_JSONL)
		sb_char(out, '\n');
}

static void command(void *arg, const char *label, size_t size, struct strbuf *out)
{
	(void)arg;
	sb_text(out, "gather submit - <<< ");
	sb_json_lossy(out, label, size);
}

static int submit_list(struct context *x, int fd, const char *options)
{
	struct submit s = { .x = x, .defaults = json_loads(options, 0, NULL) };
	struct window w = { .arg = &s,
			    .next = next,
			    .read = read_more,
			    .fd = fd,
			    .build = build,
			    .render = render,
			    .command = command,
			    .ordered = true,
			    .accepted_only = true };
	int status;

	lines_init(&s.bulk.lines, fd);
	status = bulk_run(&s.bulk, x, &w, NULL, 1000);
	lines_done(&s.bulk.lines);
	json_decref(s.defaults);
	free(s.type);
	free(s.options);
	return status;
}

/* Whether a single operand names a list: "-", a path, or a file that is here. */
static bool is_list(const struct words *operands)
{
	const char *word = operands->item[0];
	struct stat s;

	if (operands->count != 1)
		return false;
	return strcmp(word, "-") == 0 || strchr(word, '/') ||
	       (stat(word, &s) == 0 && !S_ISDIR(s.st_mode));
}

static int open_and_submit(struct context *x, const char *path, const char *options)
{
	int fd, status;

	if (strcmp(path, "-") == 0)
		return submit_list(x, STDIN_FILENO, options);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return usage(x, "%s: %s", path, strerror(errno));
	status = submit_list(x, fd, options);
	close(fd);
	return status;
}

static int run(struct context *x)
{
	const struct words *operands = &x->command.operands;
	struct strbuf options = { 0 };
	char why[200];
	int status;

	if (operands->count == 0)
		return usage(x, "it takes a job type, a file of jobs, or - for standard input");
	job_fields.detach = true;
	if (!job_fields_write(&job_fields, &options, why, sizeof(why)))
		return usage(x, "%s", why);
	if (is_list(operands))
		status = open_and_submit(x, operands->item[0], sb_string(&options));
	else
		status = submit_one(x, sb_string(&options));
	sb_free(&options);
	return status;
}

const struct verb verb_submit = {
	.name = "submit",
	.operands = "TYPE [name=value]... | FILE | -",
	.summary = "hand over jobs and print their ids",
	.details = "A file, or standard input with -, holds one job object a line. The jobs go on "
		   "without this command:\n`gather wait ID` waits for one, `gather result ID` prints "
		   "its result.\n",
	.examples = "  gather submit http url=https://example.com/ --retries 3\n"
		    "  gather submit jobs.ndjson\n"
		    "  echo '{\"type\":\"sleep\",\"args\":{\"seconds\":1}}' | gather submit -\n",
	.flags_too = bulk_flags,
	.has_job_fields = true,
	.not_local = "its job would die with the private daemon; `gather --local run` waits for it",
	.run = run,
};
