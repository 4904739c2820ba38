/*
 * runner.h — runs attempts: from the broker's JOB record to the RESULT record, and until that is acknowledged.
 *
 * Every result is kept until the broker says that it is safe, and sent again after the broker came back. What is kept is
 * bounded: beyond UNACKNOWLEDGED_MAX bytes no further attempt is begun (the broker never sends more than the capacity,
 * so what waits is bounded too; and acknowledgements are still read). Belongs to one loop; never suspends.
 */
#pragma once
#include "loop.h"
#include "record.h"
#include "registry.h"

#define UNACKNOWLEDGED_MAX (16u << 20)
#define GRACE_NS                                                                                   \
	INT64_C(10000000000) /* for a handler to heed a cancel; then its attempt is abandoned */
#define WORK_GRACE_NS                                                                              \
	INT64_C(100000000) /* for a `work` handler, which can't be told: for one that ends by itself */

struct runner;
struct runner_options {
	struct loop *loop;
	const struct registry *registry;
	void (*send)(void *arg, const struct record *r); /* to the broker: RESULT and SLOT_FREED */
	void *arg;
	int64_t grace; /* 0: GRACE_NS */
};

int runner_new(const struct runner_options *options, struct runner **ret_runner) GA_MUST_CHECK;
/* Nothing may be running. */
void runner_free(struct runner *r);

/* Run this attempt. What is wrong with it becomes its result. A token that is held already is ignored. */
void runner_take(struct runner *r, uint64_t token, const struct record_job *job);
/* End this attempt; unknown ones are ignored: they have ended. */
void runner_cancel(struct runner *r, uint64_t token);
/* These results are safe. */
void runner_acknowledge(struct runner *r, struct span tokens);
/* Finish what runs, give back what hasn't begun, now and later. */
void runner_drain(struct runner *r);

/* The tokens held: what runs, and results that are kept. -ENOMEM. */
int runner_held(const struct runner *r, struct buf *ret_tokens) GA_MUST_CHECK;
/* The broker knows us and keeps these tokens: cancel and forget the others, send the kept results (again). */
void runner_welcome(struct runner *r, struct span kept);
/* The broker is gone: results wait for runner_welcome(). */
void runner_offline(struct runner *r);

struct runner_counts {
	uint64_t unacknowledged; /* bytes of results */
	unsigned waiting, running, kept;
};
void runner_counts(const struct runner *r, struct runner_counts *ret_counts);
