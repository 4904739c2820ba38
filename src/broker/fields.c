#include "fields.h"
#include "clock.h"
#include "field_retries.h"
#include "json_write.h"
#include "limit_key.h"
#include "text.h"
#include "type_table.h"
#include "webhook.h"
#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_TTL 31536000.0 /* a year, in seconds */
#define MAX_DELAY 315360000.0
#define TAG_MAX 64

/* Where a field goes when its job is kept. */
enum keeping {
	KEEP_NOWHERE, /* it is of the submission alone, or has a column of its own */
	KEEP_DURABLE, /* the engine has it; a stored job needs it again */
	KEEP_ALWAYS,  /* the engine doesn't have it */
};

struct row {
	struct ga_param param;
	enum keeping keeping;
	int (*read)(const json_t *value, struct job_fields *f, struct refusal *r); /* NULL: not here */
};

static int read_queue(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_priority(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_delay(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_run_at(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_timeout(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_deadline(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_retries(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_durability(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_at_most_once(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_key(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_unique(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_limit_key(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_detach(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_result_ttl(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_failed_ttl(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_tags(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_webhook(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_webhook_call(const json_t *value, struct job_fields *f, struct refusal *r);
static int read_traceparent(const json_t *value, struct job_fields *f, struct refusal *r);

/* In the order in which messages list them. */
static const struct row rows[] = {
	{ { "type", GA_TEXT, GA_REQUIRED, NULL, 1, 64, NULL, NULL, "the job type" }, KEEP_NOWHERE, NULL },
	{ { "args", GA_OBJECT, 0, "{}", 0, 0, NULL, NULL, "its arguments" }, KEEP_NOWHERE, NULL },
	{ { "queue", GA_TEXT, 0, "\"default\"", 1, 64, NULL, NULL, "the queue's name" },
	  KEEP_NOWHERE,
	  read_queue },
	{ { "priority", GA_INTEGER, 0, "0", -100, 100, NULL, NULL, "higher first" },
	  KEEP_NOWHERE,
	  read_priority },
	{ { "delay", GA_DURATION, 0, NULL, 0, MAX_DELAY, "s", NULL, "not before that" },
	  KEEP_NOWHERE,
	  read_delay },
	{ { "run_at", GA_TEXT, 0, NULL, 1, 64, NULL, NULL, "not before that instant" },
	  KEEP_NOWHERE,
	  read_run_at },
	{ { "timeout", GA_DURATION, 0, "\"30s\"", 0.001, 2592000, "s", NULL, "of one attempt" },
	  KEEP_DURABLE,
	  read_timeout },
	{ { "deadline", GA_ANY, 0, NULL, 0, 0, NULL, NULL, "of the whole job" },
	  KEEP_NOWHERE,
	  read_deadline },
	{ { "retries", GA_ANY, 0, NULL, 0, 0, NULL, NULL, "how often, or an object" },
	  KEEP_DURABLE,
	  read_retries },
	{ { "durability", GA_CHOICE, 0, NULL, 0, 0, NULL, "memory|write|fsync", "how it is kept" },
	  KEEP_NOWHERE,
	  read_durability },
	{ { "at_most_once", GA_BOOLEAN, 0, "false", 0, 0, NULL, NULL, "never run twice" },
	  KEEP_DURABLE,
	  read_at_most_once },
	{ { "idempotency_key", GA_TEXT, 0, NULL, 1, JOB_KEY_MAX, NULL, NULL,
	    "the same key, the same job" },
	  KEEP_NOWHERE,
	  read_key },
	{ { "unique", GA_ANY, 0, NULL, 0, 0, NULL, NULL, "one unfinished job like it" },
	  KEEP_NOWHERE,
	  read_unique },
	{ { "limit_key", GA_TEXT, 0, NULL, 1, LIMIT_KEY_MAX, NULL, NULL, "whose limits it counts for" },
	  KEEP_NOWHERE,
	  read_limit_key },
	{ { "detach", GA_BOOLEAN, 0, "false", 0, 0, NULL, NULL, "goes on when its client leaves" },
	  KEEP_NOWHERE,
	  read_detach },
	{ { "result_ttl", GA_DURATION, 0, NULL, 0, MAX_TTL, "s", NULL, "how long the result is kept" },
	  KEEP_DURABLE,
	  read_result_ttl },
	{ { "failed_ttl", GA_DURATION, 0, NULL, 0, MAX_TTL, "s", NULL,
	    "how long it is kept if it failed" },
	  KEEP_DURABLE,
	  read_failed_ttl },
	{ { "tags", GA_ARRAY, 0, "[]", 0, 0, NULL, NULL, "names to find it by" }, KEEP_ALWAYS, read_tags },
	{ { "webhook", GA_TEXT, 0, NULL, 1, 2048, NULL, NULL, "URL that is told of its end" },
	  KEEP_ALWAYS,
	  read_webhook },
	{ { CALL_FIELD, GA_BOOLEAN, 0, NULL, 0, 0, NULL, NULL, "the daemon's own" },
	  KEEP_ALWAYS,
	  read_webhook_call },
	{ { "traceparent", GA_TEXT, 0, NULL, 1, 55, NULL, NULL, "of the trace that it belongs to" },
	  KEEP_ALWAYS,
	  read_traceparent },
};

void fields_defaults(struct job_fields *ret_fields)
{
	memset(ret_fields, 0, offsetof(struct job_fields, queue));
	ret_fields->timeout_ms = 30000;
	ret_fields->retries = retries_default;
}

void fields_done(struct job_fields *f)
{
	json_decref(GA_TAKE_PTR(f->object));
	bytes_unref(GA_TAKE_PTR(f->kept));
	bytes_unref(GA_TAKE_PTR(f->kept_in_memory));
	bytes_unref(GA_TAKE_PTR(f->webhook));
	bytes_unref(GA_TAKE_PTR(f->tags));
}

/* ---- the object ---- */

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].param.name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

static int refuse_unknown(const char *key, bool whole, struct refusal *r)
{
	char known[288] = "";
	size_t used = 0;

	if (strcmp(key, "schedule") == 0)
		return refuse(r, 422, "unknown_field", key,
			      "a job takes no schedule: PUT /v1/schedules/NAME {\"schedule\": ..., \"job\": ...} defines "
			      "one that hands it in again and again");
	for (size_t i = 0; i < ARRAY_SIZE(rows) && used < sizeof(known); i++) {
		if ((rows[i].read || whole) && rows[i].read != read_webhook_call)
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
						 used ? " " : "", rows[i].param.name);
	}
	return refuse(r, 422, "unknown_field", key, "unknown field \"%.40s\": known are %s", key,
		      known);
}

static void put_member(struct buf *out, const char *key, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!text)
		abort();
	if (buf_size(out) > 0)
		json_put_literal(out, ",");
	json_put_string(out, span_of(key));
	json_put_literal(out, ":");
	json_put_raw(out, span_of(text));
	free(text);
}

/* The members of this keeping, or of more. */
static struct bytes *members_kept(const json_t *object, enum keeping least)
{
	struct buf text = BUF_INIT;
	struct bytes *kept = NULL;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct row *row = find_row(key);

		if (row && row->keeping >= least)
			put_member(&text, key, value);
	}
	if (buf_size(&text) > 0 && !(kept = bytes_new(buf_data(&text), buf_size(&text))))
		abort();
	buf_done(&text);
	return kept;
}

/* What two submissions under one key have to have in common, besides type and arguments. */
static void digest_fields(const json_t *object, uint8_t digest[32])
{
	json_t *rest = json_copy((json_t *)(uintptr_t)object);
	char *text;

	json_object_del(rest, "type");
	json_object_del(rest, "args");
	json_object_del(rest, "idempotency_key");
	json_object_del(rest, "traceparent"); /* each try has its own */
	text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text || EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
	free(text);
	json_decref(rest);
}

/* What no field sees alone. */
static int check_together(const struct job_fields *f, struct refusal *r)
{
	if (f->delay && f->run_at_wall)
		return refuse(r, 422, "bad_field", "run_at", "run_at and delay exclude each other");
	if (!f->at_most_once)
		return 0;
	if (f->has_durability && f->durability == DURABILITY_MEMORY)
		return refuse(r, 422, "bad_field", "at_most_once",
			      "at_most_once takes durability \"write\" or \"fsync\": what is in memory alone "
			      "can't tell whether it was begun");
	if (f->has_retries && f->retries.max > 0)
		return refuse(r, 422, "bad_field", "at_most_once", "at_most_once takes no retries");
	return 0;
}

int fields_read(const json_t *object, bool whole, struct job_fields *ret_fields, struct refusal *r)
{
	struct job_fields f;
	enum keeping keeps = KEEP_NOWHERE;
	const char *key;
	json_t *value;
	int error = 0;

	fields_defaults(&f);
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct row *row = find_row(key);

		if (!row || (!row->read && !whole)) {
			error = refuse_unknown(key, whole, r);
			break;
		}
		error = param_check(&row->param, "", value, r);
		if (error == 0 && row->read)
			error = row->read(value, &f, r);
		if (error < 0)
			break;
		keeps = MAX(keeps, row->keeping);
	}
	if (error == 0)
		error = check_together(&f, r);
	if (error < 0) {
		fields_done(&f);
		return error;
	}
	if (keeps >= KEEP_DURABLE)
		f.object = json_incref((json_t *)(uintptr_t)object);
	f.keeps_in_memory = keeps >= KEEP_ALWAYS;
	if (f.key_size > 0)
		digest_fields(object, f.digest);
	*ret_fields = f;
	return 0;
}

/* A batch asks for the same text again and again. */
static const struct bytes *kept_text(const struct job_fields *fields, bool durable)
{
	struct job_fields *f =
		(struct job_fields *)(uintptr_t)fields; /* only what can be made anew changes */
	struct bytes **text = durable ? &f->kept : &f->kept_in_memory;

	if (!f->object || (!durable && !f->keeps_in_memory))
		return NULL;
	if (!*text)
		*text = members_kept(f->object, durable ? KEEP_DURABLE : KEEP_ALWAYS);
	return *text;
}

void fields_options(const struct job_fields *f, bool durable, bool waits, struct buf *out)
{
	const struct bytes *kept = kept_text(f, durable);
	bool no_retries = durable && waits && !f->has_retries;

	if (!kept && !no_retries)
		return;
	json_put_literal(out, "{");
	if (kept)
		json_put_raw(out, (struct span){ kept->data, kept->size });
	if (no_retries) {
		json_put_key(out, "retries");
		json_put_literal(out, "0");
	}
	json_put_literal(out, "}");
}

/* ---- each field ---- */

static int read_queue(const json_t *value, struct job_fields *f, struct refusal *r)
{
	const char *name = json_string_value(value);

	if (!name_valid(name, strlen(name)))
		return refuse(r, 422, "bad_field", "queue",
			      "queue \"%s\": takes 1 to 64 letters, digits, '.', '_' or '-', not starting with '.'",
			      name);
	f->queue_size = (uint8_t)strlen(name);
	memcpy(f->queue, name, f->queue_size);
	return 0;
}

static int read_priority(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->priority = (int8_t)json_integer_value(value);
	return 0;
}

static int read_delay(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->delay = param_duration(value);
	return 0;
}

static int read_run_at(const json_t *value, struct job_fields *f, struct refusal *r)
{
	int error = instant_parse(json_string_value(value), &f->run_at_wall);

	if (error == -ERANGE)
		return refuse(r, 422, "bad_field", "run_at",
			      "run_at takes an instant from 1970 to 9999");
	if (error < 0)
		return refuse(r, 422, "bad_field", "run_at",
			      "run_at takes an RFC 3339 instant such as \"2026-12-01T08:00:00Z\", not \"%.40s\"",
			      json_string_value(value));
	f->run_at_wall = MAX(f->run_at_wall, 1);
	return 0;
}

static uint32_t as_ms(int64_t ns)
{
	return (uint32_t)MIN(MAX(ns / NSEC_PER_MSEC, 1), (int64_t)UINT32_MAX);
}

static int read_timeout(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->timeout_ms = as_ms(param_duration(value));
	return 0;
}

static int read_deadline(const json_t *value, struct job_fields *f, struct refusal *r)
{
	static const struct ga_param duration = { "deadline", GA_DURATION, 0,    NULL, 0.001,
						  MAX_DELAY,  "s",         NULL, NULL };
	struct refusal unused;

	if (json_is_string(value) && instant_parse(json_string_value(value), &f->deadline_wall) == 0) {
		f->deadline_wall = MAX(f->deadline_wall, 1);
		return 0;
	}
	if (param_check(&duration, "", value, &unused) < 0)
		return refuse(r, 422, "bad_field", "deadline",
			      "deadline takes a duration from acceptance such as \"5m\", from 1ms to 10 years, or an "
			      "RFC 3339 instant such as \"2026-12-01T08:00:00Z\"");
	f->deadline = param_duration(value);
	return 0;
}

static int read_retries(const json_t *value, struct job_fields *f, struct refusal *r)
{
	f->has_retries = true;
	return retries_read(value, &f->retries, r);
}

static int read_durability(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->has_durability = true;
	return job_durability_parse(json_string_value(value), &f->durability);
}

static int read_at_most_once(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->at_most_once = json_is_true(value);
	return 0;
}

static int read_key(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->key_size = (uint8_t)json_string_length(value);
	memcpy(f->key, json_string_value(value), f->key_size);
	return 0;
}

static int refuse_unique(struct refusal *r)
{
	return refuse(r, 422, "bad_field", "unique",
		      "unique takes true, or an object like {\"by\": [\"type\", \"args\", \"queue\"], "
		      "\"until\": \"finished\"}");
}

static int read_unique(const json_t *value, struct job_fields *f, struct refusal *r)
{
	static const char *const parts[] = { "type", "args", "queue" };
	const json_t *by = json_object_get(value, "by"), *until = json_object_get(value, "until");

	f->unique = json_is_true(value) ? UNIQUE_TYPE | UNIQUE_ARGS | UNIQUE_QUEUE : 0;
	if (json_is_boolean(value))
		return 0;
	if (!json_is_object(value) ||
	    json_object_size(value) != (size_t)(by != NULL) + (until != NULL) ||
	    (by && (!json_is_array(by) || json_array_size(by) == 0)) ||
	    (until && (!json_is_string(until) || strcmp(json_string_value(until), "finished") != 0)))
		return refuse_unique(r);
	if (!by)
		f->unique = UNIQUE_TYPE | UNIQUE_ARGS | UNIQUE_QUEUE;
	for (size_t i = 0; i < json_array_size(by); i++) {
		const char *part = json_string_value(json_array_get(by, i));
		size_t p = 0;

		while (p < ARRAY_SIZE(parts) && (!part || strcmp(parts[p], part) != 0))
			p++;
		if (p == ARRAY_SIZE(parts))
			return refuse_unique(r);
		f->unique |= (uint8_t)(1u << p);
	}
	return 0;
}

static int read_limit_key(const json_t *value, struct job_fields *f, struct refusal *r)
{
	const char *text = json_string_value(value);

	if (!limit_key_valid(span_of(text)))
		return refuse(r, 422, "bad_field", "limit_key",
			      "limit_key takes 1 to %d visible ASCII characters but / \\ and \"",
			      LIMIT_KEY_MAX);
	f->limit_key_size = (uint8_t)strlen(text);
	memcpy(f->limit_key, text, f->limit_key_size);
	return 0;
}

static int read_detach(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->detach = json_is_true(value);
	return 0;
}

static int read_result_ttl(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->result_ttl = MAX(param_duration(value), 1);
	return 0;
}

static int read_failed_ttl(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->failed_ttl = MAX(param_duration(value), 1);
	return 0;
}

static bool tag_fits(const json_t *tag)
{
	const char *text = json_string_value(tag);

	if (!text || !*text || json_string_length(tag) > TAG_MAX)
		return false;
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text))
			return false;
	}
	return true;
}

static int read_tags(const json_t *value, struct job_fields *f, struct refusal *r)
{
	char text[JOB_TAGS_MAX * (TAG_MAX + 1) + 1] = "\n", *end = text + 1;
	size_t count = json_array_size(value);

	for (size_t i = 0; i < count && count <= JOB_TAGS_MAX; i++) {
		const json_t *tag = json_array_get(value, i);

		if (!tag_fits(tag))
			count = SIZE_MAX;
		else
			end += sprintf(end, "%s\n", json_string_value(tag));
	}
	if (count > JOB_TAGS_MAX)
		return refuse(r, 422, "bad_field", "tags",
			      "tags takes at most %d strings of 1 to %d bytes without control characters",
			      JOB_TAGS_MAX, TAG_MAX);
	if (count > 0 && !(f->tags = bytes_new(text, (size_t)(end - text))))
		abort();
	return 0;
}

/* W3C Trace Context, section 3.2: version, trace-id, parent-id and flags in lower-case hexadecimal; no id is all zero. */
static int read_webhook(const json_t *value, struct job_fields *f, struct refusal *r)
{
	const char *url = json_string_value(value);

	if (!webhook_url_valid(url))
		return refuse(r, 422, "bad_field", "webhook",
			      "webhook takes a URL such as \"https://example.com/done\", not \"%.80s\"",
			      url);
	f->webhook = bytes_new(url, strlen(url));
	if (!f->webhook)
		abort();
	return 0;
}

static int read_webhook_call(const json_t *value, struct job_fields *f, struct refusal *r GA_UNUSED)
{
	f->calls_webhook = json_is_true(value);
	return 0;
}

static int read_traceparent(const json_t *value, struct job_fields *f GA_UNUSED, struct refusal *r)
{
	static const char shape[] = "vv-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff";
	const char *text = json_string_value(value);
	bool good = strlen(text) == sizeof(shape) - 1;
	unsigned trace = 0, parent = 0;

	for (size_t i = 0; good && shape[i]; i++) {
		good = shape[i] == '-' ? text[i] == '-'
				       : isdigit((unsigned char)text[i]) ||
						 (text[i] >= 'a' && text[i] <= 'f');
		trace |= shape[i] == 't' && text[i] != '0';
		parent |= shape[i] == 'p' && text[i] != '0';
	}
	if (good && trace && parent && memcmp(text, "ff", 2) != 0)
		return 0;
	return refuse(r, 422, "bad_field", "traceparent",
		      "traceparent takes W3C Trace Context: \"00-<32 digits>-<16 digits>-<2 digits>\", hexadecimal "
		      "in lower case");
}
