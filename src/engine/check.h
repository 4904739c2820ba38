/*
 * check.h — what the files of engine_check() share.
 */
#pragma once
#include "engine_parts.h"

struct check {
	const struct engine *e;
	char *why;
	size_t why_size;
	bool broken;
	uint64_t states[JOB_STATE_LIMIT]; /* of all jobs in the table */
	uint64_t queued, held, finished;  /* found in the lists of those states */
	uint64_t args_bytes, finished_bytes, with_mates;
	uint64_t deadlines, uniques;
	uint64_t keyed;   /* jobs with a limit key */
	unsigned bounded; /* gates */
};

/* The first broken invariant is the one that is told. */
void expect(struct check *k, bool holds, const char *format, ...) GA_PRINTF(3, 4);
/* Before, at, and behind the jobs. */
void check_gates_begin(struct check *k);
void check_gates_count(struct check *k, const struct job *job);
void check_queues(struct check *k);
void check_limit_keys(struct check *k);
