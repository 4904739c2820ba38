/*
 * submit.h — a job as its client wrote it, checked, and handed to the engine. Every door comes through here.
 *
 * The job's own fields are rows of one table (submit.c), checked as a type's parameters are.
 */
#pragma once
#include "broker.h"
#include "refusal.h"

/* Where a job comes from, and what its defaults depend on. */
struct submit_origin {
	uint64_t client, tag; /* as struct submission has them; 0: nobody waits on a connection */
	bool waits;           /* somebody waits for its end: then no retries unless asked for */
};

/* The fields of a job but type and args: what a batch shares. */
struct job_fields {
	size_t queue_size; /* 0: the default queue */
	char queue_text[65];
	int8_t priority;
	bool detach;
	bool has_retries;
	uint32_t timeout_ms;
	struct retry_policy retries;
	int64_t result_ttl;
};

/* Read the fields out of a job object; `type` and `args` in it are left alone when `whole`, refused otherwise. */
int job_fields_read(const json_t *object, bool whole, struct job_fields *ret_fields,
		    struct refusal *r) GA_MUST_CHECK;
void job_fields_defaults(struct job_fields *ret_fields);

/* Submit: type by name, arguments as text and, if the caller has them parsed already, as a tree (or NULL: parsed here).
 * -EINVAL with `r` filled: refused. */
int submit_job(struct broker *b, const struct job_type *type, const struct job_fields *fields,
	       struct span args, const json_t *tree, const struct submit_origin *origin,
	       struct job **ret_job, struct refusal *r) GA_MUST_CHECK;
/* The same from a whole job object, parsed already; `text` is what it was parsed from. */
int submit_object(struct broker *b, const json_t *object, struct span text,
		  const struct submit_origin *origin, struct job **ret_job,
		  struct refusal *r) GA_MUST_CHECK;
/* The type by that name; -EINVAL with `r` naming the nearest known one. */
int submit_type(struct broker *b, struct span name, const struct job_type **ret_type,
		struct refusal *r) GA_MUST_CHECK;
