/*
 * fields.h — a job's own fields, all but its type and arguments: one table of rows (fields.c), checked as a type's
 * parameters are.
 *
 * The same reader serves the doors and the recovery: what a stored job doesn't have in columns of its own is kept as the
 * text of its fields (fields_options()), and read again. So a field that is taken today has to be taken tomorrow.
 */
#pragma once
#include "buf.h"
#include "bytes.h"
#include "job.h"
#include "refusal.h"
#include "span.h"
#include <jansson.h>

#define JOB_TAGS_MAX 16
#define JOB_KEY_MAX 255
#define CALL_FIELD "webhook_call" /* no client may give it */

/* What of a job is its unique key made of. */
enum { UNIQUE_TYPE = 1, UNIQUE_ARGS = 2, UNIQUE_QUEUE = 4 };

struct job_fields {
	bool has_durability, has_retries, detach, at_most_once;
	int8_t priority;
	uint8_t unique; /* bits; 0: it needn't be */
	enum job_durability durability;
	uint32_t timeout_ms;
	struct retry_policy retries;
	int64_t result_ttl, failed_ttl;  /* 0: the daemon's */
	int64_t delay;                   /* from acceptance; 0: none */
	int64_t run_at_wall;             /* 0: none */
	int64_t deadline, deadline_wall; /* from acceptance, or an instant; 0: none */
	json_t *object;       /* they were read from, if something of it is kept with the job */
	bool keeps_in_memory; /* also with one that is kept in memory alone */
	struct bytes *kept; /* what is: JSON members, separated by commas; made when it is asked for */
	struct bytes *kept_in_memory; /* of them, those that the engine doesn't know; likewise */
	struct bytes *webhook;        /* URL; NULL: none */
	bool calls_webhook;           /* it is the call of one: the daemon's own */
	struct bytes *tags;           /* as the store has them: "\na\nb\n"; NULL: none */
	uint8_t digest[32]; /* of all fields as they were given, if there is an idempotency key */
	uint8_t queue_size, key_size, limit_key_size; /* 0: none */
	char queue[64], key[JOB_KEY_MAX], limit_key[JOB_KEY_MAX];
};

void fields_defaults(struct job_fields *ret_fields);
void fields_done(struct job_fields *f);
/* Read the fields of a job object. Its `type` and `args` are left alone when `whole`, refused otherwise. */
int fields_read(const json_t *object, bool whole, struct job_fields *ret_fields,
		struct refusal *r) GA_MUST_CHECK;
/* What is kept with the job as its options: into `out`, empty if there is nothing to keep. */
void fields_options(const struct job_fields *f, bool durable, bool waits, struct buf *out);
