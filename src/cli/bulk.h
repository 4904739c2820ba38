/*
 * bulk.h — what the verbs that run many jobs share: their flags, the list on standard input, the summary at the end.
 */
#pragma once
#include "lines.h"
#include "window.h"

extern const struct flag bulk_flags[]; /* -j, --joblog, --resume, --resume-failed */

#define BULK_FAILED_SHOWN 8

struct bulk {
	struct lines lines; /* for the verb to open and close, if it reads any */
	/* The first labels in order that failed, if the verb adds them; one more than are shown says that there are more. */
	struct failed_label {
		uint64_t seq;
		char *label;
	} failed[BULK_FAILED_SHOWN + 1];
	size_t failed_count;
	const char *literal_flag; /* makes labels with [ ] { } or \ mean themselves as operands; NULL: they do */
	struct tally *tally;
};

/* The next line as a label; says what is wrong with it. */
enum source_result bulk_next_line(struct bulk *b, struct strbuf *label);
/* "LABEL: why", for standard error. */
void bulk_error(const struct outcome *o, struct strbuf *err);
/* Run the window with the command line's flags and job fields, `jobs` at once by default; then the summary. */
int bulk_run(struct bulk *b, struct context *x, struct window *w, const char *type, unsigned jobs);
/* Remember what failed, for the command that reruns it. */
void bulk_failed(struct bulk *b, const struct outcome *o);
