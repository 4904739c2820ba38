/*
 * window.h — a long list of jobs, so many at a time: hands them over, shows each as it ends, in order or as they come.
 *
 * A source gives labels (a URL, a line) one by one and makes each into a job; the verb renders what comes back. What
 * ended out of order is kept as rendered text only, and no more is handed over while too much of it waits for its
 * turn. Refusals for backpressure (429, 503) are tried again when the daemon said so. Ctrl-C cancels what is under
 * way.
 */
#pragma once
#include "cli.h"
#include "joblog.h"
#include "tally.h"

struct job_text {
	const char *type, *options; /* NUL-terminated; options may be NULL */
	struct strbuf args;         /* written anew for each job */
};

enum source_result { SOURCE_END, SOURCE_ONE, SOURCE_WAIT, SOURCE_FAILED };

struct outcome {
	uint64_t seq; /* place in the input, from 1 */
	const char *label;
	size_t label_size;
	const struct ga_client_event *event;
};

struct window {
	void *arg; /* for the functions below */
	/* Append the next label. SOURCE_WAIT: read() once `fd` is readable. SOURCE_FAILED: it said why. */
	enum source_result (*next)(void *arg, struct strbuf *label);
	int (*read)(void *arg); /* 0, or -errno */
	int fd;                 /* -1: never waits */
	/* Make the label a job. NULL, or why it can't be one. */
	const char *(*build)(void *arg, const char *label, size_t size, struct job_text *job);
	void (*render)(void *arg, const struct outcome *o, struct strbuf *out, struct strbuf *err);
	/* The command that would run this one job, for the log. */
	void (*command)(void *arg, const char *label, size_t size, struct strbuf *out);

	const char *type,
		*options; /* of each job, unless build() says otherwise; options: NULL for none */
	unsigned jobs;    /* at most so many at once */
	bool ordered, accepted_only;
	bool array; /* the results are elements of a JSON array; empty ones don't count */
	uint64_t elements;
	struct joblog log;
	struct tally tally;
};

/* Run until the source ends. An exit status: STATUS_FAILED if a job failed. */
int window_run(struct context *x, struct window *w);
