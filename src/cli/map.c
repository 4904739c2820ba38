#include "arguments.h"
#include "bulk.h"
#include "job_fields.h"
#include "output.h"
#include "results.h"
#include "session.h"
#include "type_info.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool keep_order, dry_run;

static const struct flag flags[] = {
	{ "keep-order", 'k', NULL, "results in the order of the lines", .on = &keep_order },
	{ "dry-run", 'n', NULL, "print the jobs' arguments, run none", .on = &dry_run },
	{ 0 },
};

struct map {
	struct context *x;
	struct arguments arguments;
	struct bulk bulk;
	char error[300];
};

static const char *build(void *arg, const char *label, size_t size, struct job_text *job)
{
	struct map *m = arg;

	return arguments_write(&m->arguments, label, size, &job->args, m->error, sizeof(m->error))
		       ? NULL
		       : m->error;
}

static enum source_result next(void *arg, struct strbuf *label)
{
	struct map *m = arg;

	return bulk_next_line(&m->bulk, label);
}

static int read_more(void *arg)
{
	struct map *m = arg;

	return lines_read(&m->bulk.lines);
}

static void put_object(const struct outcome *o, struct strbuf *out)
{
	sb_text(out, "{\"index\":");
	sb_unsigned(out, o->seq - 1);
	sb_text(out, ",\"input\":");
	sb_json_lossy(out, o->label, o->label_size);
	put_outcome(out, o->event);
	put_meta(out, o->event->meta);
	put_body(out, o->event->body);
	put_error(out, o->event);
	sb_char(out, '}');
}

static void render(void *arg, const struct outcome *o, struct strbuf *out, struct strbuf *err)
{
	struct map *m = arg;

	switch (m->x->format) {
	case FORMAT_JSON:
	case FORMAT_JSONL:
		put_object(o, out);
		if (m->x->format == FORMAT_JSONL)
			sb_char(out, '\n');
		break;
	case FORMAT_ID:
		if (o->event->id[0])
			sb_printf(out, "%s\n", o->event->id);
		break;
	case FORMAT_TEXT:
		if (event_ok(o->event))
			put_raw_body(out, o->event->body, true);
		else
			bulk_error(o, err);
		break;
	default:
		break;
	}
}

/* As `gather run` would take it. */
static void command(void *arg, const char *label, size_t size, struct strbuf *out)
{
	struct map *m = arg;
	struct strbuf word = { 0 };

	sb_printf(out, "gather run %s", m->x->command.operands.item[0]);
	for (size_t i = 0; i < m->arguments.count; i++) {
		const struct argument *a = &m->arguments.item[i];

		word.size = 0;
		sb_printf(&word, "%s%s", a->name, a->verbatim ? ":=" : "=");
		argument_fill(a, label, size, &word);
		sb_char(out, ' ');
		sb_shell_word(out, sb_string(&word));
	}
	sb_free(&word);
}

static int parse_command(struct context *x, struct arguments *a)
{
	const struct words *operands = &x->command.operands;
	char why[400];

	if (operands->count == 0)
		return usage(x, "it takes a job type: `gather types` lists them");
	for (size_t i = 1; i < operands->count; i++) {
		if (!arguments_add(a, operands->item[i], true, why, sizeof(why)))
			return usage(x, "%s", why);
	}
	return type_shape(x, operands->item[0], a, true);
}

static int dry(struct map *m)
{
	struct strbuf label = { 0 };
	struct job_text job = { 0 };
	enum source_result result;

	do {
		const char *why;

		label.size = job.args.size = 0;
		result = bulk_next_line(&m->bulk, &label);
		if (result == SOURCE_WAIT && lines_read(&m->bulk.lines) < 0 && !interrupted()) {
			say("reading the list failed: %s", strerror(errno));
			result = SOURCE_FAILED;
		}
		if (result != SOURCE_ONE)
			continue;
		why = build(m, label.data, label.size, &job);
		if (why)
			say("%s", why);
		else
			sb_printf(output(), "{\"type\":\"%s\",\"args\":%s}\n",
				  m->x->command.operands.item[0], sb_string(&job.args));
		output_check();
	} while (result != SOURCE_END && result != SOURCE_FAILED && !output_failed() && !interrupted());
	sb_free(&label);
	sb_free(&job.args);
	return result == SOURCE_FAILED ? STATUS_FAILED : STATUS_OK;
}

static int run(struct context *x)
{
	struct map m = { .x = x };
	struct window w = { .arg = &m,
			    .next = next,
			    .read = read_more,
			    .fd = STDIN_FILENO,
			    .build = build,
			    .render = render,
			    .command = command,
			    .ordered = keep_order };
	int status = parse_command(x, &m.arguments);

	if (status == STATUS_OK) {
		lines_init(&m.bulk.lines, STDIN_FILENO);
		status = dry_run ? dry(&m)
				 : bulk_run(&m.bulk, x, &w, x->command.operands.item[0], 1000);
		lines_done(&m.bulk.lines);
	}
	arguments_free(&m.arguments);
	return status;
}

static int more_help(struct context *x)
{
	return type_help(x, x->command.operands.item[0]);
}

const struct verb verb_map = {
	.name = "map",
	.operands = "TYPE [name=value | name:=JSON | name=@FILE]... < LIST",
	.summary = "run one job for each line of standard input",
	.details = "{} in a value stands for the line. Without any, the line goes to the argument that "
		   "TYPE requires\nand that was not given, if there is just one. Results come as they "
		   "are ready, or with -k in order.\nA failure is a line on standard error; the exit "
		   "status is then 1.\n",
	.examples = "  seq 1000 | gather --local map sleep seconds=0.5\n"
		    "  gather map http url={} -j 200 --joblog log < urls.txt\n"
		    "  gather map http url={} --joblog log --resume-failed < urls.txt\n"
		    "  gather map http url=https://example.com/ 'json:={\"id\": {}}' method=POST < ids\n",
	.flags = flags,
	.flags_too = bulk_flags,
	.has_job_fields = true,
	.run = run,
	.more_help = more_help,
};
