/*
 * verbs.h — what can be asked of the daemon, the same through every door.
 *
 * A request is a method and a target as in HTTP; the answer comes at once or later, through the asker's `answer`. Requests
 * are embedded in what the door keeps of the asker; an asker that leaves calls verb_forget().
 */
#pragma once
#include "ack.h"
#include "job_facts.h"
#include "job_wait.h"
#include "lookup.h"

struct verb_request;
struct verb_file {
	int fd; /* the answer's from now on */
	uint64_t size;
};
struct verb_answer {
	int status;
	const char *content_type;
	unsigned retry_after_ms;
	struct span body;             /* valid for the call */
	const struct verb_file *file; /* in its place, for askers that take files; NULL: none */
};
typedef void (*verb_answer_fn)(struct verb_request *q, const struct verb_answer *a);
typedef void (*verb_safe_fn)(struct verb_request *q);
typedef void (*verb_found_fn)(struct verb_request *q, const struct found *found);

struct verb_request {
	struct broker *broker;
	struct span method, path, query; /* the path decoded, the query not; valid for verb_ask() */
	struct span content_type, body;
	bool takes_files;
	verb_answer_fn answer; /* called exactly once, unless forgotten; may free the request */
	/* What it waits for, and how it goes on then. */
	struct job_wait wait;
	struct lookup lookup;
	struct keep_hold hold;
	struct store_read *read;
	verb_found_fn found;
	verb_safe_fn safe;
	struct ack ack;
	int64_t deadline;      /* of ?wait=, monotonic; 0: none */
	bool waits_for_result; /* POST /v1/run: answer with the bare result */
	void *more;            /* the verb's own, let go by more_free() when the request ends */
	void (*more_free)(void *more);
};

#define TYPE_JSON "application/json"
#define TYPE_NDJSON "application/x-ndjson"
#define TYPE_PROBLEM "application/problem+json"

void verb_ask(struct verb_request *q);
void verb_forget(struct verb_request *q); /* it has been answered, or its asker has left */
/* Why a connection with CONNECTION_ASKS_MAX requests under way may ask for no more. */
void verb_too_many(struct refusal *r);

/* For the verbs' own files. How they go on later: verb_flow.c. */
void verb_answer_text(struct verb_request *q, int status, const char *content_type, struct span body);
void verb_answer_buf(struct verb_request *q, int status, const char *content_type,
		     struct buf *body); /* and free it */
void verb_refuse(struct verb_request *q, const struct refusal *r);
void verb_answer_facts(struct verb_request *q, const struct job_facts *f, int status);
/* The value of a query parameter, percent-decoded into `out`; false: absent. */
bool verb_param(const struct verb_request *q, const char *name, char *out, size_t out_size);
/* Go on with fn once all that has happened up to now is safe; that nobody knows is answered by itself. */
void verb_when_safe(struct verb_request *q, verb_safe_fn fn);
/* Go on with fn and the job named by the path's {id}, wherever it is; refuses by itself with 400, 404, 410 or 503. */
void verb_find(struct verb_request *q, struct span id, verb_found_fn fn);
/* What was found, to be told. */
void verb_facts(struct verb_request *q, const struct found *found, struct job_facts *ret_facts);
/* `?wait=` as an absolute deadline (monotonic) into q->deadline; -EINVAL: refused already. */
int verb_read_wait(struct verb_request *q) GA_MUST_CHECK;
/* Answer with the job when it ends, or at q->deadline as it is then. */
void verb_wait(struct verb_request *q, struct job *job);
/* Answer with what was found now, `status` 200, or 202 if it hasn't ended. */
void verb_answer_found(struct verb_request *q, const struct found *found);
/* A submission was taken: answer with its acknowledgement, or with its end if the client waits for that. */
void verb_submitted(struct verb_request *q, const struct submitted *s);

/* The bare result of a succeeded job. */
void verb_result_bytes(struct verb_request *q, const struct job_facts *f);

/* Ready again: 0, or as job_row_restore() and engine_retry() say. */
int retry_found(struct broker *b, const struct found *found, struct job **ret_job) GA_MUST_CHECK;

typedef void (*verb_fn)(struct verb_request *q, struct span id);
void verb_submit(struct verb_request *q, struct span unused);
/* Job fields that POST /v1/run takes in its query. */
#define RUN_PARAMETERS                                                                             \
	"queue priority timeout deadline retries durability at_most_once idempotency_key "         \
	"limit_key result_ttl failed_ttl delay run_at traceparent"
void verb_run(struct verb_request *q, struct span type);
void verb_list(struct verb_request *q, struct span unused);
void verb_show(struct verb_request *q, struct span id);
void verb_result(struct verb_request *q, struct span id);
void verb_cancel(struct verb_request *q, struct span id);
void verb_retry(struct verb_request *q, struct span id);
void verb_attempts(struct verb_request *q, struct span id);
void verb_bulk(struct verb_request *q, struct span unused);
void verb_backup(struct verb_request *q, struct span unused);
void backup_clean(const struct broker *b); /* at start: copies that were not finished */
void verb_why(struct verb_request *q, struct span id);
void verb_group_submit(struct verb_request *q, struct span unused);
void verb_groups(struct verb_request *q, struct span unused);
void verb_group_show(struct verb_request *q, struct span id);
void verb_group_results(struct verb_request *q, struct span id);
void verb_group_cancel(struct verb_request *q, struct span id);
void verb_logs(struct verb_request *q, struct span id);
void verb_schedules(struct verb_request *q, struct span unused);
void verb_schedule(struct verb_request *q, struct span name);
void verb_schedule_put(struct verb_request *q, struct span name);
void verb_schedule_delete(struct verb_request *q, struct span name);
void verb_schedule_pause(struct verb_request *q, struct span name);
void verb_schedule_resume(struct verb_request *q, struct span name);
void verb_schedule_run(struct verb_request *q, struct span name);
void verb_workers(struct verb_request *q, struct span unused);
void verb_queues(struct verb_request *q, struct span unused);
void verb_queue(struct verb_request *q, struct span name);
void verb_queue_set(struct verb_request *q, struct span name);
void verb_queue_unset(struct verb_request *q, struct span name);
void verb_queue_pause(struct verb_request *q, struct span name);
void verb_queue_resume(struct verb_request *q, struct span name);
void verb_limits(struct verb_request *q, struct span unused);
void verb_limit(struct verb_request *q, struct span key);
void verb_limit_set(struct verb_request *q, struct span key);
void verb_limit_unset(struct verb_request *q, struct span key);
void verb_limit_pause(struct verb_request *q, struct span key);
void verb_limit_resume(struct verb_request *q, struct span key);
void verb_types(struct verb_request *q, struct span unused);
void verb_type(struct verb_request *q, struct span name);
void verb_stats(struct verb_request *q, struct span unused);
void verb_healthz(struct verb_request *q, struct span unused);
void verb_readyz(struct verb_request *q, struct span unused);
