/*
 * job_fields.h — the job's own fields as flags: --timeout, --retries, --priority, ...
 */
#pragma once
#include "cli.h"

struct job_fields {
	const char *timeout, *retries, *priority, *queue, *result_ttl, *failed_ttl, *durability;
	const char *delay, *run_at, *deadline, *idempotency_key, *limit_key, *traceparent;
	const char *webhook;
	struct words tags;
	bool detach, at_most_once, unique;
};
extern struct job_fields job_fields; /* what the command line gave */
extern const struct flag job_field_flags[];

/* The options of a submission, "{}" if none were given. False, and `why` says so: a value is wrong. */
bool job_fields_write(const struct job_fields *fields, struct strbuf *out, char *why, size_t why_size);
