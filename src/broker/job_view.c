#include "job_view.h"
#include "clock.h"
#include "json_slice.h"
#include "json_write.h"
#include "limit_form.h"
#include "text.h"
#include <signal.h>
#include <stdlib.h>

static void put_args(const struct job_facts *f, struct buf *out);
static void put_result(const struct job_facts *f, struct buf *out);
static void put_body(struct span body, struct buf *out);

void job_view(const struct job_facts *f, enum job_detail detail, struct buf *out)
{
	json_put_literal(out, "{");
	job_view_members(f, detail, out);
	json_put_literal(out, "}");
}

static void put_span(struct buf *out, const char *key, struct span value)
{
	json_put_key(out, key);
	json_put_string(out, value);
}

static void put_text(struct buf *out, const char *key, const char *value)
{
	put_span(out, key, span_of(value));
}

static void put_integer(struct buf *out, const char *key, int64_t value)
{
	json_put_key(out, key);
	json_put_integer(out, value);
}

static void put_instant(struct buf *out, const char *key, int64_t wall)
{
	if (wall == 0 || wall == TIME_NEVER)
		return;
	json_put_key(out, key);
	json_put_instant(out, wall);
}

static void put_tags(struct span tags, struct buf *out)
{
	if (tags.size < 2)
		return;
	json_put_key(out, "tags");
	json_put_literal(out, "[");
	for (const char *at = tags.data + 1, *end = tags.data + tags.size; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop)
			break;
		json_put_separator(out);
		json_put_string(out, (struct span){ at, (size_t)(stop - at) });
		at = stop + 1;
	}
	json_put_literal(out, "]");
}

static void put_times(const struct job_facts *f, struct buf *out)
{
	put_instant(out, "accepted_at", f->accepted_wall);
	if (f->state == JOB_SCHEDULED || f->state == JOB_RETRYING)
		put_instant(out, "due_at", f->due_wall);
	put_instant(out, "deadline_at", f->deadline_wall);
	put_instant(out, "started_at", f->started_wall);
	put_instant(out, "finished_at", f->finished_wall);
}

static void put_group(const struct job_facts *f, struct buf *out)
{
	char id[UUID_TEXT_SIZE];

	uuid_format(f->group, id);
	put_text(out, "group", id);
	put_integer(out, "member", f->member);
}

static void put_details(const struct job_facts *f, struct buf *out)
{
	char timeout[DURATION_TEXT_SIZE];

	put_span(out, "type", f->type_name);
	put_span(out, "queue", f->queue);
	put_integer(out, "priority", f->priority);
	put_tags(f->tags, out);
	if (f->key.size)
		put_span(out, "idempotency_key", f->key);
	if (f->limit_key.size)
		put_span(out, "limit_key", f->limit_key);
	if (f->group)
		put_group(f, out);
	put_integer(out, "attempts", f->attempts);
	json_put_key(out, "retries");
	json_put_literal(out, "{");
	put_integer(out, "max", f->retries_max);
	json_put_literal(out, "}");
	put_text(out, "timeout", duration_format(f->timeout_ms * NSEC_PER_MSEC, timeout));
	put_times(f, out);
	if (f->attempts > 0) {
		json_put_key(out, "elapsed_ms");
		json_put_milliseconds(out, f->elapsed_us * NSEC_PER_USEC);
		put_integer(out, "worker", f->slot);
	}
	if (f->has_error)
		error_view(f->error_code, f->error_message, f->error_signal, out);
}

static void put_progress(const struct job_told *told, struct buf *out)
{
	if (!told || (told->fraction == TOLD_UNKNOWN && !told->text[0]))
		return;
	json_put_key(out, "progress");
	json_put_literal(out, "{");
	if (told->fraction != TOLD_UNKNOWN) {
		char fraction[24];

		snprintf(fraction, sizeof(fraction), "%.6g", (double)told->fraction / 1e6);
		json_put_key(out, "fraction");
		json_put_raw(out, span_of(fraction));
	}
	if (told->text[0])
		put_text(out, "text", told->text);
	json_put_literal(out, "}");
}

void job_view_members(const struct job_facts *f, enum job_detail detail, struct buf *out)
{
	char id[UUID_TEXT_SIZE];

	uuid_format(&f->id, id);
	put_text(out, "id", id);
	put_text(out, "state", job_state_name(f->state));
	put_text(out, "durability", job_durability_name(f->durability));
	if (detail == VIEW_ACK)
		return;
	put_details(f, out);
	if (detail == VIEW_LINE)
		return;
	put_progress(f->told, out);
	put_args(f, out);
	put_result(f, out);
}

void job_view_result(const struct job_facts *f, size_t body_max, struct buf *out)
{
	char id[UUID_TEXT_SIZE];
	size_t before;

	uuid_format(&f->id, id);
	put_text(out, "id", id);
	put_text(out, "state", job_state_name(f->state));
	put_integer(out, "attempts", f->attempts);
	if (f->attempts > 0) {
		json_put_key(out, "elapsed_ms");
		json_put_milliseconds(out, f->elapsed_us * NSEC_PER_USEC);
	}
	put_instant(out, "finished_at", f->finished_wall);
	if (f->has_error)
		error_view(f->error_code, f->error_message, f->error_signal, out);
	if (f->meta.data) {
		json_put_key(out, "result");
		json_put_raw(out, f->meta);
	}
	if (!f->body.data)
		return;
	before = buf_size(out);
	if (f->body.size <= body_max)
		put_body(f->body, out);
	if (f->body.size > body_max || buf_size(out) - before > body_max) {
		out->end -= buf_size(out) - before;
		put_integer(out, "body_bytes", (int64_t)f->body.size);
	}
}

void error_view(struct span code, struct span message, int signal_number, struct buf *out)
{
	json_put_key(out, "error");
	json_put_literal(out, "{");
	put_span(out, "code", code);
	put_span(out, "message", message);
	if (signal_number) {
		char name[32];
		const char *known = sigabbrev_np(signal_number);

		if (known)
			snprintf(name, sizeof(name), "SIG%s", known);
		else
			snprintf(name, sizeof(name), "%d", signal_number);
		put_text(out, "signal", name);
	}
	json_put_literal(out, "}");
}

/* Members that hold no secret stay as they were written. */
static void put_redacted(const struct job_type *type, struct span text, struct buf *out)
{
	struct refusal unused;
	const char *key;
	json_t *args, *shown, *value;

	if (json_read_object(text, "args", &args, &unused) < 0) {
		json_put_literal(out, "{}");
		return;
	}
	shown = json_deep_copy(args);
	type_redact(type, shown);
	json_put_literal(out, "{");
	json_object_foreach(shown, key, value)
	{
		struct span own = json_member_text(text, span_of(key));
		char *redacted = NULL;

		if (own.size == 0 || !json_equal(value, json_object_get(args, key)))
			redacted = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		json_put_key(out, key);
		json_put_raw(out, redacted ? span_of(redacted) : own.size ? own : SPAN("null"));
		free(redacted);
	}
	json_put_literal(out, "}");
	json_decref(shown);
	json_decref(args);
}

/* Arguments were checked when they came in; secrets are shown as "[redacted]". Without its type nobody knows them. */
static void put_args(const struct job_facts *f, struct buf *out)
{
	if (f->args_away || (!f->type && f->args.size))
		return;
	json_put_key(out, "args");
	if (f->args.size && type_has_secrets(f->type))
		put_redacted(f->type, f->args, out);
	else
		json_put_raw(out, f->args.size ? f->args : SPAN("{}"));
}

static void put_result(const struct job_facts *f, struct buf *out)
{
	if (f->meta.data) {
		json_put_key(out, "result");
		json_put_raw(out, f->meta);
	}
	if (f->body.data)
		put_body(f->body, out);
}

static void put_body(struct span body, struct buf *out)
{
	if (utf8_valid(body.data, body.size)) {
		json_put_key(out, "body");
		json_put_string(out, body);
		return;
	}
	char *at;

	json_put_key(out, "body_base64");
	json_put_literal(out, "\"");
	at = buf_reserve(out, BASE64_SIZE(body.size));
	if (!at)
		abort();
	base64_encode(body.data, body.size, at);
	buf_grew(out, BASE64_SIZE(body.size) - 1);
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
	char waited[DURATION_TEXT_SIZE], text[512], limited[448];
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
	if (limits_why(b, job, limited, sizeof(limited)))
		snprintf(text, sizeof(text), "ready for %s: %s", waited, limited);
	else if (workers == 0)
		snprintf(text, sizeof(text), "ready for %s: no worker is up to take it", waited);
	else
		snprintf(text, sizeof(text),
			 "ready for %s: %llu of %llu %s slots of %u workers are busy, %llu ahead",
			 waited, (unsigned long long)held, (unsigned long long)capacity, class_name,
			 workers, (unsigned long long)ahead);
	json_put_string(out, span_of(text));
}

void job_why(struct broker *b, const struct job_facts *f, const struct job *job, struct buf *out)
{
	char waited[DURATION_TEXT_SIZE], text[512];
	int64_t now = clock_boottime();

	switch (job ? f->state : 0) {
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
	case JOB_ACCEPTED:
		snprintf(text, sizeof(text), "the store is to say whether its idempotency key is new");
		break;
	case JOB_BLOCKED:
		snprintf(text, sizeof(text), "its group lets it start later");
		break;
	case JOB_RETRYING:
		snprintf(text, sizeof(text),
			 "attempt %u failed (%.32s: %.200s); the next one is in %s", job->attempts,
			 job->error ? job->error->code : "error", job->error ? job->error->message : "",
			 for_how_long(MAX(engine_due(b->engine, job) - now, 0), waited));
		break;
	default:
		snprintf(text, sizeof(text), "it has finished: %s%s%.*s", job_state_name(f->state),
			 f->has_error ? ": " : "", (int)MIN(f->error_message.size, (size_t)300),
			 f->error_message.data ? f->error_message.data : "");
	}
	json_put_string(out, span_of(text));
}
