/*
 * joblog.h — a log of jobs in GNU parallel's columns, separated by tabs, and what to skip when a list is run again.
 *
 *	Seq Host Starttime JobRuntime Send Receive Exitval Signal Command
 *
 * Seq is the job's place in the input, from 1. The last line of a Seq counts. A job that was interrupted has no line.
 */
#pragma once
#include "cli.h"
#include <stdio.h>

enum resume { RESUME_NOT, RESUME_UNLOGGED, RESUME_FAILED };

struct joblog {
	FILE *file;          /* NULL: none is kept */
	unsigned char *done; /* a bit for each Seq to be skipped */
	uint64_t done_size;  /* in bits */
	uint64_t skipped;
};

struct joblog_line {
	uint64_t seq;
	int64_t start_wall; /* Unix nanoseconds */
	double runtime_s;
	size_t sent, received;
	int exit_value;
	const char *command; /* tabs and newlines are shown as spaces */
};

/* False, and `why` says so: it can't be opened, or isn't such a log. Starts anew with RESUME_NOT. */
bool joblog_open(struct joblog *log, const char *path, enum resume resume, char *why, size_t why_size);
bool joblog_skips(struct joblog *log, uint64_t seq);
void joblog_add(struct joblog *log, const struct joblog_line *line);
/* False: what was written may be incomplete (a full disk). */
bool joblog_close(struct joblog *log);
