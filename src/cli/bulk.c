#include "bulk.h"
#include "job_fields.h"
#include "output.h"
#include "period.h"
#include "results.h"
#include "session.h"
#include <stdlib.h>
#include <string.h>

#define JOBS_MAX 1000000

static struct {
	const char *jobs, *joblog;
	bool resume, resume_failed;
} given;

const struct flag bulk_flags[] = {
	{ "jobs", 'j', "N", "so many at once", .text = &given.jobs },
	{ "joblog", 0, "FILE", "log each job, in GNU parallel's columns", .text = &given.joblog },
	{ "resume", 0, NULL, "skip those that the log has", .on = &given.resume },
	{ "resume-failed", 0, NULL, "skip those that succeeded according to the log",
	  .on = &given.resume_failed },
	{ 0 },
};

enum source_result bulk_next_line(struct bulk *b, struct strbuf *label)
{
	const char *line;
	size_t size;

	for (;;) {
		switch (lines_next(&b->lines, &line, &size)) {
		case LINES_ONE:
			sb_put(label, line, size);
			if (b->tally && b->lines.file_size)
				b->tally->fraction = (double)b->lines.bytes / (double)b->lines.file_size;
			return SOURCE_ONE;
		case LINES_END:
			return SOURCE_END;
		case LINES_TOO_LONG:
			say("line %llu is longer than 1 MiB", (unsigned long long)b->lines.number + 1);
			return SOURCE_FAILED;
		default:
			/* A file is there already: read on at once. */
			if (!lines_never_block(&b->lines) || lines_read(&b->lines) < 0)
				return SOURCE_WAIT;
		}
	}
}

void bulk_error(const struct outcome *o, struct strbuf *err)
{
	sb_head(err, o->label, o->label_size, 2000);
	sb_text(err, ": ");
	put_reason(err, o->event);
	sb_char(err, '\n');
}

void bulk_failed(struct bulk *b, const struct outcome *o)
{
	size_t i = b->failed_count;

	if (i > BULK_FAILED_SHOWN)
		return;
	for (; i > 0 && b->failed[i - 1].seq > o->seq; i--)
		b->failed[i] = b->failed[i - 1];
	b->failed[i] =
		(struct failed_label){ .seq = o->seq, .label = strndup(o->label, o->label_size) };
	b->failed_count++;
}

static int parse_flags(struct context *x, struct window *w, struct strbuf *options, unsigned jobs)
{
	enum resume resume = given.resume_failed ? RESUME_FAILED
			     : given.resume      ? RESUME_UNLOGGED
						 : RESUME_NOT;
	int64_t number = jobs;
	char why[300];

	if (given.jobs && !number_parse(given.jobs, 1, JOBS_MAX, &number))
		return usage(x, "--jobs takes a number from 1 to %d, not '%s'", JOBS_MAX, given.jobs);
	if (resume != RESUME_NOT && !given.joblog)
		return usage(x, "--resume%s needs --joblog FILE", given.resume_failed ? "-failed" : "");
	if (!job_fields_write(&job_fields, options, why, sizeof(why)))
		return usage(x, "%s", why);
	if (given.joblog && !joblog_open(&w->log, given.joblog, resume, why, sizeof(why)))
		return usage(x, "--joblog: %s", why);
	w->jobs = (unsigned)number;
	return STATUS_OK;
}

static bool has_pattern(const struct bulk *b)
{
	for (size_t i = 0; i < b->failed_count; i++) {
		if (b->failed[i].label && strpbrk(b->failed[i].label, "[]{}\\"))
			return true;
	}
	return false;
}

/* The command line as it was, with --resume-failed. */
static void put_rerun(const struct bulk *b, const struct context *x, struct strbuf *out)
{
	bool few = b->failed_count > 0 && b->failed_count <= BULK_FAILED_SHOWN && !given.joblog;

	if (!few && !given.joblog) {
		sb_text(out, "to rerun failures only: --joblog FILE, and next time "
			     "--joblog FILE --resume-failed\n");
		return;
	}
	sb_printf(out, "rerun failures: gather %s", x->verb->name);
	for (size_t i = 0; i < x->command.flags.count; i++) {
		if (strcmp(x->command.flags.item[i], "--resume-failed") == 0 ||
		    strcmp(x->command.flags.item[i], "--resume") == 0)
			continue;
		sb_char(out, ' ');
		sb_shell_word(out, x->command.flags.item[i]);
	}
	if (given.joblog)
		sb_text(out, " --resume-failed");
	if (few && b->literal_flag && has_pattern(b))
		sb_printf(out, " %s", b->literal_flag);
	for (size_t i = 0; i < (few ? b->failed_count : x->command.operands.count); i++) {
		const char *operand = few ? b->failed[i].label : x->command.operands.item[i];

		sb_char(out, ' ');
		sb_shell_word(out, operand ? operand : "");
	}
	sb_text(out, !few && b->lines.number ? " < LIST\n" : "\n");
}

static void summarize(const struct bulk *b, const struct context *x, const struct window *w)
{
	struct strbuf text = { 0 };

	if (x->quiet || (w->tally.ok + w->tally.failed < 2 && !w->log.skipped) ||
	    (w->accepted_only && !w->tally.failed))
		return;
	if (w->log.skipped)
		sb_printf(&text, "%llu skipped  ", (unsigned long long)w->log.skipped);
	tally_write(&w->tally, ga_client_now(), &text);
	if (w->tally.failed)
		put_rerun(b, x, &text);
	error_put(text.data, text.size);
	sb_free(&text);
}

int bulk_run(struct bulk *b, struct context *x, struct window *w, const char *type, unsigned jobs)
{
	struct strbuf options = { 0 };
	int status = parse_flags(x, w, &options, jobs);

	if (status == STATUS_OK)
		status = session_open(x);
	if (status == STATUS_OK) {
		w->array = x->format == FORMAT_JSON;
		w->type = type;
		w->options = options.size > 2 ? sb_string(&options) : NULL; /* more than {} */
		b->tally = &w->tally;
		tally_start(&w->tally, w->tally.total);
		if (w->accepted_only) {
			w->tally.ok_word = "accepted";
			w->tally.failed_word = "refused";
		}
		status = window_run(x, w);
		summarize(b, x, w);
	}
	if (!joblog_close(&w->log)) {
		say("the job log may be incomplete: writing it failed");
		status = status ? status : STATUS_FAILED;
	}
	for (size_t i = 0; i < b->failed_count; i++)
		free(b->failed[i].label);
	sb_free(&options);
	return status;
}
