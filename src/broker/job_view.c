#include "job_view.h"
#include "clock.h"
#include "json_write.h"
#include "text.h"
#include <signal.h>
#include <stdlib.h>

static void put_error(const struct job *job, struct buf *out);
static void put_args(struct broker *b, const struct job *job, struct buf *out);
static void put_result(const struct job *job, struct buf *out);
static void put_body(const struct bytes *body, struct buf *out);

void job_view(struct broker *b, const struct job *job, enum job_detail detail, struct buf *out)
{
	json_put_literal(out, "{");
	job_view_members(b, job, detail, out);
	json_put_literal(out, "}");
}

static void put_text(struct buf *out, const char *key, const char *value)
{
	json_put_key(out, key);
	json_put_string(out, span_of(value));
}

static void put_integer(struct buf *out, const char *key, int64_t value)
{
	json_put_key(out, key);
	json_put_integer(out, value);
}

static void put_instant(struct broker *b, struct buf *out, const char *key, int64_t at)
{
	if (at == 0)
		return;
	json_put_key(out, key);
	json_put_instant(out, at + b->wall_offset);
}

static void put_details(struct broker *b, const struct job *job, struct buf *out)
{
	char timeout[DURATION_TEXT_SIZE];

	put_text(out, "type", type_at(b->types, job->profile->type)->name);
	put_text(out, "queue", job_queue_name(job));
	put_integer(out, "priority", job->profile->priority);
	put_integer(out, "attempts", job->attempts);
	json_put_key(out, "retries");
	json_put_literal(out, "{");
	put_integer(out, "max", job->profile->retries.max);
	json_put_literal(out, "}");
	put_text(out, "timeout", duration_format(job->profile->timeout_ms * NSEC_PER_MSEC, timeout));
	json_put_key(out, "accepted_at");
	json_put_instant(out, uuid7_ms(&job->id) * NSEC_PER_MSEC);
	put_instant(b, out, "started_at", job->started_at);
	put_instant(b, out, "finished_at", job->finished_at);
	if (job->attempts > 0) {
		json_put_key(out, "elapsed_ms");
		json_put_milliseconds(out, job->elapsed_us * NSEC_PER_USEC);
		put_integer(out, "worker", job->slot);
	}
	if (job->error)
		put_error(job, out);
}

void job_view_members(struct broker *b, const struct job *job, enum job_detail detail, struct buf *out)
{
	char id[UUID_TEXT_SIZE];

	uuid_format(&job->id, id);
	put_text(out, "id", id);
	put_text(out, "state", job_state_name(job->state));
	put_text(out, "durability", job_durability_name(job->profile->durability));
	if (detail == VIEW_ACK)
		return;
	put_details(b, job, out);
	if (detail == VIEW_LINE)
		return;
	put_args(b, job, out);
	put_result(job, out);
}

static void put_error(const struct job *job, struct buf *out)
{
	json_put_key(out, "error");
	json_put_literal(out, "{");
	put_text(out, "code", job->error->code);
	put_text(out, "message", job->error->message);
	if (job->error->signal) {
		char name[32];

		const char *known = sigabbrev_np(job->error->signal);

		if (known)
			snprintf(name, sizeof(name), "SIG%s", known);
		else
			snprintf(name, sizeof(name), "%d", job->error->signal);
		put_text(out, "signal", name);
	}
	json_put_literal(out, "}");
}

/* Arguments were checked when they came in; secrets are shown as "[redacted]". */
static void put_args(struct broker *b, const struct job *job, struct buf *out)
{
	const struct job_type *type = type_at(b->types, job->profile->type);
	struct span text = job->args ? (struct span){ job->args->data, job->args->size } : SPAN("{}");
	char *redacted = NULL;

	json_put_key(out, "args");
	if (job->args && type_has_secrets(type)) {
		struct refusal unused;
		json_t *args;

		if (json_read_object(text, "args", &args, &unused) == 0) {
			type_redact(type, args);
			redacted = json_dumps(args, JSON_COMPACT);
			json_decref(args);
		}
		text = redacted ? span_of(redacted) : SPAN("{}");
	}
	json_put_raw(out, text);
	free(redacted);
}

static void put_result(const struct job *job, struct buf *out)
{
	if (job->meta) {
		json_put_key(out, "result");
		json_put_raw(out, (struct span){ job->meta->data, job->meta->size });
	}
	if (job->body)
		put_body(job->body, out);
}

static void put_body(const struct bytes *body, struct buf *out)
{
	if (utf8_valid(body->data, body->size)) {
		json_put_key(out, "body");
		json_put_string(out, (struct span){ body->data, body->size });
		return;
	}
	char *at;

	json_put_key(out, "body_base64");
	json_put_literal(out, "\"");
	at = buf_reserve(out, BASE64_SIZE(body->size));
	if (!at)
		abort();
	base64_encode(body->data, body->size, at);
	buf_grew(out, BASE64_SIZE(body->size) - 1);
	json_put_literal(out, "\"");
}

static const char *status_title(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 410:
		return "Gone";
	case 413:
		return "Content Too Large";
	case 415:
		return "Unsupported Media Type";
	case 422:
		return "Unprocessable Content";
	case 429:
		return "Too Many Requests";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Error";
	}
}

void problem_view(const struct refusal *r, struct buf *out)
{
	json_put_literal(out, "{\"type\":\"about:blank\"");
	put_text(out, "title", status_title(r->status));
	put_integer(out, "status", r->status);
	put_text(out, "code", r->code);
	if (r->field[0])
		put_text(out, "field", r->field);
	put_text(out, "detail", r->message);
	if (r->retry_after_ms)
		put_integer(out, "retry_after_ms", r->retry_after_ms);
	json_put_literal(out, "}");
}

static const char *for_how_long(int64_t ns, char text[DURATION_TEXT_SIZE])
{
	/* People want "12s", not "12s345ms". */
	return duration_format(ns >= NSEC_PER_SEC ? ns / NSEC_PER_SEC * NSEC_PER_SEC
						  : ns / NSEC_PER_MSEC * NSEC_PER_MSEC,
			       text);
}

static void why_suspect(const struct job *job, struct buf *out)
{
	char waited[DURATION_TEXT_SIZE], text[320];

	for_how_long(clock_boottime() - job->accepted_at, waited);
	if (job->crashes >= MAX_CRASHES)
		snprintf(text, sizeof(text),
			 "ready for %s: it waits to run alone: its worker died %u times while it ran",
			 waited, job->crashes);
	else
		snprintf(text, sizeof(text),
			 "ready for %s: it waits to run %s: its worker died, and it may be why",
			 waited, job->alone ? "alone" : "apart, with those that were there too");
	json_put_string(out, span_of(text));
}

/* What a ready job waits for: a worker, or a place in one. */
static void why_ready(struct broker *b, const struct job *job, struct buf *out)
{
	char waited[DURATION_TEXT_SIZE], text[320];
	uint64_t capacity = 0, held = 0, ahead = engine_ahead(b->engine, job);
	const char *class_name = job_class_name(job->profile->job_class);
	struct worker_view w;
	unsigned workers = 0;

	for (uint32_t i = 0; engine_worker_view(b->engine, i, &w) == 0; i++) {
		if (!w.joined || w.draining || w.slot == SACRIFICE_SLOT)
			continue;
		workers++;
		capacity += w.capacity[job->profile->job_class];
		held += w.held[job->profile->job_class];
	}
	for_how_long(clock_boottime() - job->accepted_at, waited);
	if (workers == 0)
		snprintf(text, sizeof(text), "ready for %s: no worker is up to take it", waited);
	else
		snprintf(text, sizeof(text),
			 "ready for %s: %llu of %llu %s slots of %u workers are busy, %llu ahead",
			 waited, (unsigned long long)held, (unsigned long long)capacity, class_name,
			 workers, (unsigned long long)ahead);
	json_put_string(out, span_of(text));
}

void job_why(struct broker *b, const struct job *job, struct buf *out)
{
	char waited[DURATION_TEXT_SIZE], text[512];
	int64_t now = clock_boottime();

	switch ((enum job_state)job->state) {
	case JOB_READY:
		if (job->suspect)
			why_suspect(job, out);
		else
			why_ready(b, job, out);
		return;
	case JOB_RUNNING:
		snprintf(text, sizeof(text), "running for %s on worker %u%s, attempt %u%s",
			 for_how_long(now - job->started_at, waited), job->slot,
			 job->slot == SACRIFICE_SLOT ? ", the sacrificial one" : "", job->attempts,
			 job->cancelling ? ", being cancelled" : "");
		break;
	case JOB_SCHEDULED:
		snprintf(text, sizeof(text), "it is to start in %s",
			 for_how_long(MAX(engine_due(b->engine, job) - now, 0), waited));
		break;
	case JOB_RETRYING:
		snprintf(text, sizeof(text),
			 "attempt %u failed (%.32s: %.200s); the next one is in %s", job->attempts,
			 job->error ? job->error->code : "error", job->error ? job->error->message : "",
			 for_how_long(MAX(engine_due(b->engine, job) - now, 0), waited));
		break;
	default:
		snprintf(text, sizeof(text), "it has finished: %s%s%.300s", job_state_name(job->state),
			 job->error ? ": " : "", job->error ? job->error->message : "");
	}
	json_put_string(out, span_of(text));
}
