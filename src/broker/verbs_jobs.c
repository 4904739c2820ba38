/* One job by id: shown, explained, cancelled, run again. */
#include "clock.h"
#include "engine_durable.h"
#include "job_row.h"
#include "job_view.h"
#include "json_write.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

static void show(struct verb_request *q, const struct found *found)
{
	if (q->deadline > 0 && found->job)
		verb_wait(q, found->job);
	else
		verb_answer_found(q, found);
}

void verb_show(struct verb_request *q, struct span id)
{
	if (verb_read_wait(q) == 0)
		verb_find(q, id, show);
}

/* ---- results ---- */

/* What the handler called its body; metadata is small, and asked for rarely enough to be parsed. */
static void result_type(struct span text, char *out, size_t out_size)
{
	struct refusal unused;
	json_t *meta;

	snprintf(out, out_size, "application/octet-stream");
	if (!text.data || json_read_object(text, "", &meta, &unused) < 0)
		return;
	const char *type = json_string_value(json_object_get(meta, "content_type"));

	if (type && strlen(type) < out_size && !strpbrk(type, "\r\n"))
		snprintf(out, out_size, "%s", type);
	json_decref(meta);
}

void verb_result_bytes(struct verb_request *q, const struct job_facts *f)
{
	char type[256];

	if (f->body.data) {
		result_type(f->meta, type, sizeof(type));
		verb_answer_text(q, 200, type, f->body);
	} else if (f->meta.data) {
		verb_answer_text(q, 200, TYPE_JSON, f->meta);
	} else {
		verb_answer_text(q, 200, TYPE_JSON, SPAN("null"));
	}
}

static void result(struct verb_request *q, const struct found *found)
{
	struct job_facts f;
	char code[32];
	struct refusal r;

	verb_facts(q, found, &f);
	snprintf(code, sizeof(code), "%.*s", (int)f.error_code.size, f.error_code.data);
	if (f.state == JOB_SUCCEEDED) {
		verb_result_bytes(q, &f);
		return;
	}
	if (!job_state_is_final(f.state))
		refuse(&r, 409, "not_finished", "id",
		       "the job is %s: ask again, or GET /v1/jobs/{id}?wait=30s",
		       job_state_name(f.state));
	else if (f.has_error)
		refuse(&r, 409, code, "id", "the job %s: %.*s",
		       f.state == JOB_FAILED    ? "failed"
		       : f.state == JOB_EXPIRED ? "expired"
						: "was cancelled",
		       (int)f.error_message.size, f.error_message.data);
	else
		refuse(&r, 409, job_state_name(f.state), "id", "the job %s: it has no result",
		       f.state == JOB_EXPIRED ? "passed its deadline" : "was cancelled");
	verb_refuse(q, &r);
}

void verb_result(struct verb_request *q, struct span id)
{
	verb_find(q, id, result);
}

/* ---- changes ---- */

static void answer_ack(struct verb_request *q)
{
	struct buf body = BUF_INIT;
	struct refusal r;

	if (ack_settle(q->broker, &q->ack, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	ack_view(&q->ack, &body);
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

/* What was done to it is told once it is safe. */
static void acknowledge(struct verb_request *q, struct job *job)
{
	ack_of(&(struct submitted){ .job = job }, &q->ack);
	if (q->ack.durable)
		verb_when_safe(q, answer_ack);
	else
		answer_ack(q);
}

static void refuse_finished(struct verb_request *q, enum job_state state)
{
	struct refusal r;

	refuse(&r, 409, "already_finished", "id", "the job has %s already",
	       state == JOB_EXPIRED ? "passed its deadline" : job_state_name(state));
	verb_refuse(q, &r);
}

static void cancel(struct verb_request *q, const struct found *found)
{
	struct job_facts f;
	struct buf body = BUF_INIT;

	verb_facts(q, found, &f);
	if (job_state_is_final(f.state) && f.state != JOB_CANCELLED) {
		refuse_finished(q, f.state);
	} else if (found->row) {
		job_view(&f, VIEW_ACK, &body);
		verb_answer_buf(q, 200, TYPE_JSON, &body);
	} else if (engine_cancel(broker_engine(q->broker), found->job) == -ENOMEM) {
		struct refusal r;

		refuse(&r, 503, "no_memory", "", "the daemon is out of memory: ask again later");
		verb_refuse(q, &r);
	} else {
		acknowledge(q, found->job);
	}
}

void verb_cancel(struct verb_request *q, struct span id)
{
	verb_find(q, id, cancel);
}

int retry_found(struct broker *b, const struct found *found, struct job **ret_job)
{
	struct job *job = found->job;
	int error = 0;

	if (found->row && found->row->state == JOB_SUCCEEDED)
		return -EALREADY;
	if (found->row)
		error = job_row_restore(b, found->row, &job);
	if (error == 0)
		error = engine_retry(broker_engine(b), job);
	if (error == 0)
		*ret_job = job;
	return error;
}

static void retry(struct verb_request *q, const struct found *found)
{
	struct job_facts f;
	struct job *job;
	struct refusal r;

	verb_facts(q, found, &f);
	switch (retry_found(q->broker, found, &job)) {
	case 0:
		acknowledge(q, job);
		return;
	case -EUNATCH:
		refuse(&r, 409, "unknown_type", "id", "there is no job type \"%.*s\" any more",
		       (int)f.type_name.size, f.type_name.data);
		break;
	case -EEXIST:
		refuse(&r, 409, "not_unique", "id",
		       "another unfinished job is what this one would be again");
		break;
	case -ENOMEM:
		refuse(&r, 503, "no_memory", "", "the daemon is out of memory: ask again later");
		break;
	default:
		refuse(&r, 409, "not_failed", "id",
		       "the job is %s: only a failed, cancelled or expired one can be retried",
		       job_state_name(f.state));
	}
	verb_refuse(q, &r);
}

void verb_retry(struct verb_request *q, struct span id)
{
	verb_find(q, id, retry);
}

/* ---- why ---- */

static void why(struct verb_request *q, const struct found *found)
{
	struct buf body = BUF_INIT;
	struct job_facts f;

	verb_facts(q, found, &f);
	json_put_literal(&body, "{");
	job_view_members(&f, VIEW_ACK, &body);
	json_put_key(&body, "why");
	job_why(q->broker, &f, found->job, &body);
	json_put_literal(&body, "}");
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

void verb_why(struct verb_request *q, struct span id)
{
	verb_find(q, id, why);
}
