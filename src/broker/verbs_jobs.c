#include "clock.h"
#include "job_view.h"
#include "json_slice.h"
#include "json_write.h"
#include "submit.h"
#include "text.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

#define BATCH_MAX 100000 /* jobs in one request */
#define PAGE_DEFAULT 50
#define PAGE_MAX 1000
#define PAGE_LOOKED_AT                                                                             \
	20000 /* jobs that one page passes over at most, so that a filter never holds the loop */

static void answer_taken(struct verb_request *q, int status, const char *content_type, struct buf *body)
{
	verb_answer_text(q, status, content_type, (struct span){ buf_data(body), buf_size(body) });
	buf_done(body);
}

static void submit_one(struct verb_request *q, const json_t *object, struct span text)
{
	const struct submit_origin origin = { .waits = verb_param(q, "wait", (char[2]){ 0 }, 2) };
	int64_t deadline = verb_wait_deadline(q);
	struct buf body = BUF_INIT;
	struct refusal r;
	struct job *job;

	if (deadline < 0)
		return;
	if (submit_object(q->broker, object, text, &origin, &job, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	if (deadline > 0) {
		verb_wait(q, job, deadline);
		return;
	}
	job_view(q->broker, job, VIEW_ACK, &body);
	answer_taken(q, 201, TYPE_JSON, &body);
}

static void put_problem(const struct refusal *r, struct buf *out)
{
	json_put_literal(out, "{\"error\":");
	problem_view(r, out);
	json_put_literal(out, "}");
}

/* An acknowledgement, or the problem, as one element of a batch's answer. */
static void submit_member(struct verb_request *q, const json_t *object, struct span text,
			  struct buf *out)
{
	const struct submit_origin origin = { 0 };
	struct refusal r;
	struct job *job;

	if (submit_object(q->broker, object, text, &origin, &job, &r) == 0) {
		job_view(q->broker, job, VIEW_ACK, out);
		return;
	}
	put_problem(&r, out);
}

static void submit_array(struct verb_request *q, const json_t *array)
{
	struct span rest = q->body;
	struct buf body = BUF_INIT;
	struct refusal r;

	if (json_array_size(array) > BATCH_MAX) {
		refuse(&r, 413, "batch_too_large", "", "%zu jobs in one request: at most %d",
		       json_array_size(array), BATCH_MAX);
		verb_refuse(q, &r);
		return;
	}
	json_put_literal(&body, "[");
	for (size_t i = 0; i < json_array_size(array); i++) {
		json_put_separator(&body);
		submit_member(q, json_array_get(array, i), json_next_element(&rest), &body);
	}
	json_put_literal(&body, "]");
	answer_taken(q, 200, TYPE_JSON, &body);
}

static void submit_line(struct verb_request *q, struct span line, struct buf *out)
{
	size_t limit = (size_t)q->broker->conf->max_body;
	json_t *object;
	struct refusal r;

	if (line.size > limit) {
		refuse(&r, 413, "line_too_long", "", "a line is at most %zu bytes (max_body)", limit);
		put_problem(&r, out);
	} else if (json_read_object(line, "the line", &object, &r) == 0) {
		submit_member(q, object, line, out);
		json_decref(object);
	} else {
		put_problem(&r, out);
	}
	json_put_literal(out, "\n");
}

static void submit_lines(struct verb_request *q)
{
	const char *at = q->body.data, *end = at + q->body.size;
	struct buf body = BUF_INIT;
	struct refusal r;
	unsigned lines = 0;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)),
			   *stop = newline ? newline : end;

		if (stop > at && ++lines <= BATCH_MAX)
			submit_line(q, (struct span){ at, (size_t)(stop - at) }, &body);
		at = stop + 1;
	}
	if (lines > BATCH_MAX) {
		refuse(&r, 413, "batch_too_large", "",
		       "%u lines in one request, and only the first %d were taken", lines, BATCH_MAX);
		put_problem(&r, &body);
		json_put_literal(&body, "\n");
	}
	answer_taken(q, 200, TYPE_NDJSON, &body);
}

void verb_submit(struct verb_request *q, struct span unused GA_UNUSED)
{
	json_t *root;
	struct refusal r;

	if (span_equal(q->content_type, SPAN(TYPE_NDJSON))) {
		submit_lines(q);
		return;
	}
	if (json_read_any(q->body, "the body", &root, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	if (json_is_array(root))
		submit_array(q, root);
	else
		submit_one(q, root, q->body);
	json_decref(root);
}

/* Job fields in the query of POST /v1/run: ?timeout=5s&priority=1&retries=3 */
static json_t *query_fields(const struct verb_request *q)
{
	static const char *const names[] = { "queue",   "priority",   "timeout",
					     "retries", "durability", "result_ttl" };
	json_t *fields = json_object();
	char value[80];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *end;

		if (!verb_param(q, names[i], value, sizeof(value)))
			continue;
		long number = strtol(value, &end, 10);
		json_t *field = *value && !*end ? json_integer(number) : json_string(value);

		json_object_set_new(fields, names[i], field ? field : json_null()); /* no UTF-8 */
	}
	return fields;
}

void verb_run(struct verb_request *q, struct span name)
{
	const struct submit_origin origin = { .waits = true };
	const struct job_type *type;
	struct job_fields fields;
	struct refusal r;
	struct job *job;
	int64_t deadline = verb_wait_deadline(q);

	if (deadline < 0)
		return;
	json_t *extra = query_fields(q);
	int error = submit_type(q->broker, name, &type, &r);

	if (error < 0)
		r.status = 404;
	if (error == 0)
		error = job_fields_read(extra, false, &fields, &r);
	json_decref(extra);
	if (error == 0)
		error = submit_job(q->broker, type, &fields, q->body, NULL, &origin, &job, &r);
	if (error < 0) {
		verb_refuse(q, &r);
		return;
	}
	q->waits_for_result = true;
	verb_wait(q, job, deadline ? deadline : TIME_NEVER);
}

struct list_filter {
	enum job_state state; /* 0: any */
	char type[80], queue[80];
	long limit;
};

static int read_filter(struct verb_request *q, struct list_filter *ret_filter, struct refusal *r)
{
	struct list_filter f = { .limit = PAGE_DEFAULT };
	char text[80], *end;

	if (verb_param(q, "state", text, sizeof(text)) && job_state_parse(text, &f.state) < 0)
		return refuse(r, 400, "bad_parameter", "state",
			      "state=%s: takes ready, running, retrying, succeeded, failed or cancelled",
			      text);
	if (verb_param(q, "limit", text, sizeof(text))) {
		f.limit = strtol(text, &end, 10);
		if (*end || f.limit < 1 || f.limit > PAGE_MAX)
			return refuse(r, 400, "bad_parameter", "limit",
				      "limit=%s: takes a number from 1 to %d", text, PAGE_MAX);
	}
	verb_param(q, "type", f.type, sizeof(f.type));
	verb_param(q, "queue", f.queue, sizeof(f.queue));
	*ret_filter = f;
	return 0;
}

static bool filter_takes(struct broker *b, const struct list_filter *f, const struct job *job)
{
	return (!f->state || f->state == (enum job_state)job->state) &&
	       (!f->type[0] || strcmp(f->type, type_at(b->types, job->profile->type)->name) == 0) &&
	       (!f->queue[0] || strcmp(f->queue, job_queue_name(job)) == 0);
}

/* The first job of the page: the newest, or behind the cursor's, which may have left since. */
static int find_start(struct verb_request *q, struct job **ret_job, struct refusal *r)
{
	struct engine *e = broker_engine(q->broker);
	char text[80];
	struct uuid id;

	if (!verb_param(q, "cursor", text, sizeof(text))) {
		*ret_job = engine_older(e, NULL);
		return 0;
	}
	if (uuid_parse(text, strlen(text), &id) < 0)
		return refuse(r, 400, "bad_parameter", "cursor",
			      "cursor=%s: takes the cursor of an earlier page", text);
	*ret_job = engine_older_than(e, &id);
	return 0;
}

void verb_list(struct verb_request *q, struct span unused GA_UNUSED)
{
	struct broker *b = q->broker;
	struct buf body = BUF_INIT;
	struct list_filter filter;
	struct refusal r;
	struct job *job, *last = NULL;
	char cursor[UUID_TEXT_SIZE];

	if (read_filter(q, &filter, &r) < 0 || find_start(q, &job, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	json_put_literal(&body, "{\"jobs\":[");
	for (long looked_at = 0; job && looked_at < PAGE_LOOKED_AT && filter.limit > 0; looked_at++) {
		if (filter_takes(b, &filter, job)) {
			json_put_separator(&body);
			job_view(b, job, VIEW_LINE, &body);
			filter.limit--;
		}
		last = job;
		job = engine_older(b->engine, job);
	}
	json_put_literal(&body, "],\"cursor\":");
	if (!job) {
		json_put_literal(&body, "null}");
	} else {
		uuid_format(&last->id, cursor);
		json_put_string(&body, span_of(cursor));
		json_put_literal(&body, "}");
	}
	answer_taken(q, 200, TYPE_JSON, &body);
}

void verb_show(struct verb_request *q, struct span id)
{
	struct job *job = verb_job(q, id);

	if (!job)
		return;
	int64_t deadline = verb_wait_deadline(q);

	if (deadline > 0)
		verb_wait(q, job, deadline);
	else if (deadline == 0)
		verb_answer_job(q, job, 200);
}

/* What the handler called its body; metadata is small, and asked for rarely enough to be parsed. */
static void result_type(const struct job *job, char *out, size_t out_size)
{
	struct refusal unused;
	json_t *meta;

	snprintf(out, out_size, "application/octet-stream");
	if (!job->meta || json_read_object((struct span){ job->meta->data, job->meta->size }, "",
					   &meta, &unused) < 0)
		return;
	const char *type = json_string_value(json_object_get(meta, "content_type"));

	if (type && strlen(type) < out_size && !strpbrk(type, "\r\n"))
		snprintf(out, out_size, "%s", type);
	json_decref(meta);
}

void verb_result_bytes(struct verb_request *q, const struct job *job)
{
	char type[256];

	if (job->body) {
		result_type(job, type, sizeof(type));
		verb_answer_text(q, 200, type, (struct span){ job->body->data, job->body->size });
	} else if (job->meta) {
		verb_answer_text(q, 200, TYPE_JSON, (struct span){ job->meta->data, job->meta->size });
	} else {
		verb_answer_text(q, 200, TYPE_JSON, SPAN("null"));
	}
}

void verb_result(struct verb_request *q, struct span id)
{
	struct job *job = verb_job(q, id);
	struct refusal r;

	if (!job)
		return;
	if (job->state == JOB_SUCCEEDED) {
		verb_result_bytes(q, job);
		return;
	}
	if (!job_state_is_final(job->state))
		refuse(&r, 409, "not_finished", "id",
		       "the job is %s: ask again, or GET /v1/jobs/{id}?wait=30s",
		       job_state_name(job->state));
	else if (job->error)
		refuse(&r, 409, job->error->code, "id", "the job %s: %s",
		       job->state == JOB_FAILED ? "failed" : "was cancelled", job->error->message);
	else
		refuse(&r, 409, "cancelled", "id", "the job was cancelled: it has no result");
	verb_refuse(q, &r);
}

static void answer_ack(struct verb_request *q, const struct job *job)
{
	struct buf body = BUF_INIT;

	job_view(q->broker, job, VIEW_ACK, &body);
	answer_taken(q, 200, TYPE_JSON, &body);
}

void verb_cancel(struct verb_request *q, struct span id)
{
	struct job *job = verb_job(q, id);
	struct refusal r;

	if (!job)
		return;
	if (engine_cancel(q->broker->engine, job) == -EALREADY && job->state != JOB_CANCELLED) {
		refuse(&r, 409, "already_finished", "id", "the job has %s already",
		       job_state_name(job->state));
		verb_refuse(q, &r);
		return;
	}
	answer_ack(q, job);
}

void verb_retry(struct verb_request *q, struct span id)
{
	struct job *job = verb_job(q, id);
	struct refusal r;

	if (!job)
		return;
	if (engine_retry(q->broker->engine, job) < 0) {
		refuse(&r, 409, "not_failed", "id",
		       "the job is %s: only a failed or cancelled one can be retried",
		       job_state_name(job->state));
		verb_refuse(q, &r);
		return;
	}
	answer_ack(q, job);
}

void verb_why(struct verb_request *q, struct span id)
{
	struct job *job = verb_job(q, id);
	struct buf body = BUF_INIT;

	if (!job)
		return;
	json_put_literal(&body, "{");
	job_view_members(q->broker, job, VIEW_ACK, &body);
	json_put_key(&body, "why");
	job_why(q->broker, job, &body);
	json_put_literal(&body, "}");
	answer_taken(q, 200, TYPE_JSON, &body);
}
