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
	{ "result-ttl", 0, "TIME", "how long the result is kept (24h)", .text = &job_fields.result_ttl },
	{ "durability", 0, "KIND", "how the job is kept: memory", .text = &job_fields.durability },
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
	if (fields->detach) {
		put_key(out, "detach");
		sb_text(out, "true");
	}
	sb_char(out, '}');
	return true;
}
