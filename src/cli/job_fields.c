#include "job_fields.h"
#include "period.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct job_fields job_fields;

const struct flag job_field_flags[] = {
	{ "timeout", 0, "TIME", "of one attempt (30s)", .text = &job_fields.timeout },
	{ "retries", 0, "N", "how often a failure is tried again", .text = &job_fields.retries },
	{ "priority", 0, "N", "-100..100, higher first (0)", .text = &job_fields.priority },
	{ "queue", 0, "NAME", "queue to wait in (default)", .text = &job_fields.queue },
	{ "delay", 0, "TIME", "don't start before", .text = &job_fields.delay },
	{ "run-at", 0, "INSTANT", "don't start before, e.g. 2026-12-01T08:00:00Z",
	  .text = &job_fields.run_at },
	{ "deadline", 0, "TIME", "of the whole job, retries included; or an instant",
	  .text = &job_fields.deadline },
	{ "tag", 0, "TAG", "to find it by; may be repeated", .list = &job_fields.tags },
	{ "idempotency-key", 0, "KEY", "the same key, the same job",
	  .text = &job_fields.idempotency_key },
	{ "unique", 0, NULL, "no second one while it is unfinished", .on = &job_fields.unique },
	{ "at-most-once", 0, NULL, "never run it twice", .on = &job_fields.at_most_once },
	{ "limit-key", 0, "KEY", "whose limits it counts for", .text = &job_fields.limit_key },
	{ "webhook", 0, "URL", "call it when the job has ended", .text = &job_fields.webhook },
	{ "traceparent", 0, "TEXT", "the trace that it belongs to", .text = &job_fields.traceparent },
	{ "result-ttl", 0, "TIME", "how long the result is kept (24h)", .text = &job_fields.result_ttl },
	{ "failed-ttl", 0, "TIME", "how long it is kept if it failed (180d)",
	  .text = &job_fields.failed_ttl },
	{ "durability", 0, "KIND", "how it is kept: memory, write or fsync",
	  .text = &job_fields.durability },
	{ "detach", 0, NULL, "go on when this command goes away", .on = &job_fields.detach },
	{ 0 },
};

static void put_key(struct strbuf *out, const char *key)
{
	if (out->data[out->size - 1] != '{')
		sb_char(out, ',');
	sb_printf(out, "\"%s\":", key);
}

static bool put_period(struct strbuf *out, const char *key, const char *flag, const char *text,
		       char *why, size_t why_size)
{
	int64_t ns;

	if (!text)
		return true;
	if (!period_parse(text, &ns)) {
		snprintf(why, why_size, "--%s takes " PERIOD_FORMS ", not '%s'", flag, text);
		return false;
	}
	put_key(out, key);
	sb_json_lossy(out, text, strlen(text));
	return true;
}

static bool put_number(struct strbuf *out, const char *key, int64_t min, int64_t max,
		       const char *text, char *why, size_t why_size)
{
	int64_t value;

	if (!text)
		return true;
	if (!number_parse(text, min, max, &value)) {
		snprintf(why, why_size, "--%s takes a whole number from %lld to %lld, not '%s'",
			 key, (long long)min, (long long)max, text);
		return false;
	}
	put_key(out, key);
	sb_printf(out, "%lld", (long long)value);
	return true;
}

static void put_text(struct strbuf *out, const char *key, const char *text)
{
	if (!text)
		return;
	put_key(out, key);
	sb_json_lossy(out, text, strlen(text));
}

static void put_true(struct strbuf *out, const char *key, bool given)
{
	if (!given)
		return;
	put_key(out, key);
	sb_text(out, "true");
}

static void put_tags(struct strbuf *out, const struct words *tags)
{
	if (tags->count == 0)
		return;
	put_key(out, "tags");
	for (size_t i = 0; i < tags->count; i++) {
		sb_char(out, i ? ',' : '[');
		sb_json_lossy(out, tags->item[i], strlen(tags->item[i]));
	}
	sb_char(out, ']');
}

static bool is_object(const char *text)
{
	json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	bool good = json_is_object(value);

	json_decref(value);
	return good;
}

bool job_fields_write(const struct job_fields *fields, struct strbuf *out, char *why, size_t why_size)
{
	sb_char(out, '{');
	if (!put_period(out, "timeout", "timeout", fields->timeout, why, why_size) ||
	    !put_period(out, "result_ttl", "result-ttl", fields->result_ttl, why, why_size) ||
	    !put_period(out, "failed_ttl", "failed-ttl", fields->failed_ttl, why, why_size) ||
	    !put_period(out, "delay", "delay", fields->delay, why, why_size) ||
	    !put_number(out, "priority", -100, 100, fields->priority, why, why_size))
		return false;
	/* {"max": 3, "initial": "2s"} is passed on as it is. */
	if (fields->retries && fields->retries[0] == '{') {
		if (!is_object(fields->retries)) {
			snprintf(why, why_size, "--retries: not JSON: %s", fields->retries);
			return false;
		}
		put_key(out, "retries");
		sb_text(out, fields->retries);
	} else if (!put_number(out, "retries", 0, 1000, fields->retries, why, why_size)) {
		return false;
	}
	put_text(out, "queue", fields->queue);
	put_text(out, "durability", fields->durability);
	put_text(out, "run_at", fields->run_at);
	put_text(out, "deadline", fields->deadline);
	put_text(out, "idempotency_key", fields->idempotency_key);
	put_text(out, "limit_key", fields->limit_key);
	put_text(out, "webhook", fields->webhook);
	put_text(out, "traceparent", fields->traceparent);
	put_tags(out, &fields->tags);
	put_true(out, "detach", fields->detach);
	put_true(out, "at_most_once", fields->at_most_once);
	put_true(out, "unique", fields->unique);
	sb_char(out, '}');
	return true;
}
