#include "bulk.h"
#include "fetch_args.h"
#include "output.h"
#include "period.h"
#include "results.h"
#include "save_dir.h"
#include "session.h"
#include "urlglob.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *head, *output_dir;
static bool globoff, with_body;

static const struct flag flags[] = {
	{ "head", 0, "N", "show the first N characters of each body", .text = &head },
	{ "output-dir", 0, "DIR", "save each body as a file in DIR", .text = &output_dir },
	{ "body", 0, NULL, "with -o json or jsonl: the body too", .on = &with_body },
	{ "globoff", 'g', NULL, "[ ] { } in URLs mean themselves", .on = &globoff },
	{ 0 },
};

/*
 * URLs come from the operands, each of which may stand for many, and "-" for those on standard input.
 */
struct fetch {
	struct context *x;
	struct bulk bulk;
	struct fetch_args args;
	struct urlglob **globs; /* one an operand; NULL for "-" */
	size_t operand;         /* the current one */
	uint64_t index;         /* in its glob */
	uint64_t head;          /* characters; 0: none */
	bool single;            /* one URL: its body, as curl prints it */
	struct save_dir dir;
};

static enum source_result next(void *arg, struct strbuf *label)
{
	struct fetch *f = arg;

	for (; f->operand < f->x->command.operands.count; f->operand++, f->index = 0) {
		const struct urlglob *g = f->globs[f->operand];
		enum source_result result;

		if (g && f->index < urlglob_count(g)) {
			urlglob_write(g, f->index++, label);
			return SOURCE_ONE;
		}
		result = g ? SOURCE_END : bulk_next_line(&f->bulk, label);
		if (result != SOURCE_END)
			return result;
	}
	return SOURCE_END;
}

static int read_more(void *arg)
{
	struct fetch *f = arg;

	return lines_read(&f->bulk.lines);
}

static const char *build(void *arg, const char *label, size_t size, struct job_text *job)
{
	struct fetch *f = arg;

	return fetch_args_write(&f->args, label, size, &job->args) ? NULL : "the URL is not UTF-8 text";
}

static void put_object(const struct outcome *o, struct strbuf *out)
{
	const struct ga_client_event *e = o->event;
	int64_t status;

	sb_text(out, "{\"index\":");
	sb_unsigned(out, o->seq - 1);
	sb_text(out, ",\"url\":");
	sb_json_lossy(out, o->label, o->label_size);
	sb_text(out, ",\"status\":");
	if (meta_integer(e->meta, "status", &status))
		sb_printf(out, "%" PRId64, status);
	else
		sb_text(out, "null");
	sb_text(out, ",\"bytes\":");
	sb_unsigned(out, e->body.size);
	sb_text(out, ",\"elapsed_ms\":");
	sb_milliseconds(out, e->elapsed_us);
	put_error(out, e);
	if (with_body)
		put_body(out, e->body);
	sb_char(out, '}');
}

/* "200  1024 B  52 ms  URL" */
static void put_line(const struct fetch *f, const struct outcome *o, struct strbuf *out)
{
	const struct ga_client_event *e = o->event;
	int64_t status = 0;
	bool known = meta_integer(e->meta, "status", &status);

	if (known)
		sb_printf(out, "%" PRId64, status);
	else
		sb_text(out, "-");
	sb_text(out, "  ");
	sb_unsigned(out, e->body.size);
	sb_text(out, " B  ");
	sb_unsigned(out, (e->elapsed_us + 500) / 1000);
	sb_text(out, " ms  ");
	sb_head(out, o->label, o->label_size, UINT64_MAX);
	sb_char(out, '\n');
	if (f->head && e->body.size) {
		sb_head(out, e->body.data, e->body.size, f->head);
		if (out->data[out->size - 1] != '\n')
			sb_char(out, '\n');
	}
}

static void put_text(struct fetch *f, const struct outcome *o, struct strbuf *out, struct strbuf *err)
{
	if (!event_ok(o->event))
		bulk_error(o, err);
	else if (f->single)
		put_raw_body(out, o->event->body, false);
	else
		put_line(f, o, out);
}

static void render(void *arg, const struct outcome *o, struct strbuf *out, struct strbuf *err)
{
	struct fetch *f = arg;

	if (!event_ok(o->event))
		bulk_failed(&f->bulk, o);
	else if (output_dir && !save_dir_put(&f->dir, o->seq, o->label, o->label_size,
					     o->event->body.data, o->event->body.size, err))
		f->bulk.tally->unsaved++;
	switch (f->x->format) {
	case FORMAT_JSON:
		put_object(o, out);
		break;
	case FORMAT_JSONL:
		put_object(o, out);
		sb_char(out, '\n');
		break;
	case FORMAT_ID:
		if (o->event->id[0])
			sb_printf(out, "%s\n", o->event->id);
		break;
	case FORMAT_TEXT:
		put_text(f, o, out, err);
		break;
	default:
		break;
	}
}

static void command(void *arg, const char *label, size_t size, struct strbuf *out)
{
	struct strbuf word = { 0 };

	(void)arg;
	sb_put(&word, label, size);
	sb_text(out, "gather fetch --globoff ");
	sb_shell_word(out, sb_string(&word));
	sb_free(&word);
}

/* How many URLs there are; 0: unknown, as they come from standard input. -1: one isn't right, which was said. */
static int64_t parse_urls(struct fetch *f)
{
	const struct words *operands = &f->x->command.operands;
	bool unknown = false;
	int64_t total = 0;
	char why[160];

	for (size_t i = 0; i < operands->count; i++) {
		if (strcmp(operands->item[i], "-") == 0) {
			if (unknown) {
				usage(f->x, "standard input can be read once");
				return -1;
			}
			unknown = true;
			continue;
		}
		f->globs[i] = urlglob_new(operands->item[i], globoff, why, sizeof(why));
		if (!f->globs[i]) {
			usage(f->x, "%s: %s", operands->item[i], why);
			return -1;
		}
		total += (int64_t)urlglob_count(f->globs[i]);
	}
	return unknown ? 0 : total;
}

static int parse_command(struct fetch *f, struct window *w)
{
	int64_t total, characters = 0;
	char why[300];

	if (f->x->command.operands.count == 0)
		return usage(f->x, "it takes URLs, or - to read them from standard input");
	if (head && !number_parse(head, 1, INT64_MAX, &characters))
		return usage(f->x, "--head takes a number of characters, not '%s'", head);
	total = parse_urls(f);
	if (total < 0)
		return STATUS_USAGE;
	if (!fetch_args_init(&f->args, why, sizeof(why)))
		return usage(f->x, "%s", why);
	if (output_dir && !save_dir_open(&f->dir, output_dir, why, sizeof(why)))
		return usage(f->x, "--output-dir: %s", why);
	f->head = (uint64_t)characters;
	f->single = total == 1 && !head && !output_dir;
	w->tally.total = (uint64_t)total;
	return STATUS_OK;
}

static int run(struct context *x)
{
	const size_t operands = x->command.operands.count;
	struct fetch f = { .x = x, .globs = calloc(operands + 1, sizeof(struct urlglob *)) };
	struct window w = { .arg = &f,
			    .next = next,
			    .read = read_more,
			    .fd = STDIN_FILENO,
			    .build = build,
			    .render = render,
			    .command = command,
			    .ordered = true };
	int status = f.globs ? parse_command(&f, &w) : STATUS_FAILED;

	if (status == STATUS_OK) {
		lines_init(&f.bulk.lines, STDIN_FILENO);
		f.bulk.literal_flag = globoff ? NULL : "--globoff";
		status = bulk_run(&f.bulk, x, &w, "http", 100);
		lines_done(&f.bulk.lines);
		if (status == STATUS_OK && w.tally.unsaved)
			status = STATUS_FAILED;
	}
	for (size_t i = 0; f.globs && i < operands; i++)
		urlglob_free(f.globs[i]);
	free(f.globs);
	fetch_args_done(&f.args);
	save_dir_close(&f.dir);
	return status;
}

const struct verb verb_fetch = {
	.name = "fetch",
	.operands = "URL...",
	.summary = "fetch URLs, all at once, and print them in order",
	.details = "URLs may hold ranges and sets: [1-100], [001-100], [a-z], {one,two}; - reads them "
		   "from standard\ninput. The body of a single URL is printed as it is; of several, a "
		   "line each: status, size, time, URL.\nA failure is a line on standard error in its "
		   "place of order; the exit status is then 1.\n",
	.examples = "  gather fetch https://example.com/\n"
		    "  gather --local fetch --head 60 https://example.com https://example.org\n"
		    "  gather fetch -j 200 --output-dir pages 'https://example.com/[001-500].html'\n"
		    "  gather fetch -o jsonl - < urls.txt\n",
	.flags = flags,
	.flags_too = fetch_flags,
	.flags_more = bulk_flags,
	.has_job_fields = true,
	.run = run,
};
