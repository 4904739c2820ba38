/*
 * verbs.h — what can be asked of the daemon, the same through every door.
 *
 * A request is a method and a target as in HTTP; the answer comes at once or later, through the asker's `answer`. Requests
 * are embedded in what the door keeps of the asker; an asker that leaves calls verb_forget().
 */
#pragma once
#include "broker.h"
#include "job_wait.h"
#include "refusal.h"

struct verb_request;
struct verb_answer {
	int status;
	const char *content_type;
	unsigned retry_after_ms;
	struct span body; /* valid for the call */
};
typedef void (*verb_answer_fn)(struct verb_request *q, const struct verb_answer *a);

struct verb_request {
	struct broker *broker;
	struct span method, path, query; /* the path decoded, the query not; valid for verb_ask() */
	struct span content_type, body;
	verb_answer_fn answer; /* called exactly once, unless forgotten; may free the request */
	struct job_wait wait;
	bool waits_for_result; /* POST /v1/run: answer with the bare result */
};

#define TYPE_JSON "application/json"
#define TYPE_NDJSON "application/x-ndjson"
#define TYPE_PROBLEM "application/problem+json"

void verb_ask(struct verb_request *q);
void verb_forget(struct verb_request *q);
/* Why a connection with CONNECTION_ASKS_MAX requests under way may ask for no more. */
void verb_too_many(struct refusal *r);

/* For the verbs' own files. */
void verb_answer_text(struct verb_request *q, int status, const char *content_type, struct span body);
void verb_refuse(struct verb_request *q, const struct refusal *r);
void verb_answer_job(struct verb_request *q, const struct job *job, int status);
/* The value of a query parameter, percent-decoded into `out`; false: absent. */
bool verb_param(const struct verb_request *q, const char *name, char *out, size_t out_size);
/* The job named by the path's {id}; refuses by itself with 400, 404 or 410. */
struct job *verb_job(struct verb_request *q, struct span id);
/* `?wait=` as an absolute deadline (monotonic); 0: absent; -EINVAL: refused already. */
int64_t verb_wait_deadline(struct verb_request *q);
/* Answer with the job when it ends, or at the deadline as it is then. */
void verb_wait(struct verb_request *q, struct job *job, int64_t deadline);

/* The bare result of a succeeded job. */
void verb_result_bytes(struct verb_request *q, const struct job *job);

typedef void (*verb_fn)(struct verb_request *q, struct span id);
void verb_submit(struct verb_request *q, struct span unused);
void verb_run(struct verb_request *q, struct span type);
void verb_list(struct verb_request *q, struct span unused);
void verb_show(struct verb_request *q, struct span id);
void verb_result(struct verb_request *q, struct span id);
void verb_cancel(struct verb_request *q, struct span id);
void verb_retry(struct verb_request *q, struct span id);
void verb_why(struct verb_request *q, struct span id);
void verb_workers(struct verb_request *q, struct span unused);
void verb_queues(struct verb_request *q, struct span unused);
void verb_types(struct verb_request *q, struct span unused);
void verb_type(struct verb_request *q, struct span name);
void verb_stats(struct verb_request *q, struct span unused);
void verb_healthz(struct verb_request *q, struct span unused);
void verb_readyz(struct verb_request *q, struct span unused);
