/*
 * job_result.c — what a handler says of its job: metadata, body, error.
 */
#include "attempt.h"

#include "children.h"
#include "json_write.h"
#include "progress.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct attempt_output *attempt_output(struct ga_job *job)
{
	if (!job->output)
		job->output = calloc(1, sizeof(*job->output));
	return job->output;
}

void attempt_output_free(struct attempt_output *o)
{
	if (!o)
		return;
	buf_done(&o->meta);
	buf_done(&o->body);
	free(o->message);
	progress_free(o->progress);
	children_free(o->children);
	free(o);
}

/* Begin a member whose value takes about `size` bytes. */
static int meta_begin(ga_job *job, const char *key, size_t size, struct buf **ret_meta)
{
	struct attempt_output *o = attempt_output(job);

	assert(job->magic == ATTEMPT_MAGIC);
	if (!o)
		return -ENOMEM;
	if (buf_size(&o->meta) + strlen(key) + size + 8 > RESULT_META_MAX)
		return -EMSGSIZE;
	if (buf_size(&o->meta) == 0)
		json_put_literal(&o->meta, "{");
	json_put_key(&o->meta, key);
	*ret_meta = &o->meta;
	return 0;
}

/* Take the member that began at `before` back if escapes have made it too long. */
static int meta_end(struct buf *meta, size_t before)
{
	if (buf_size(meta) < RESULT_META_MAX)
		return 0;
	meta->end = meta->start + before;
	return -EMSGSIZE;
}

static size_t meta_size(const ga_job *job)
{
	return job->output ? buf_size(&job->output->meta) : 0;
}

int ga_job_meta_text(ga_job *job, const char *key, const char *value)
{
	size_t before = meta_size(job), size = strlen(value);
	struct buf *meta;
	int error = meta_begin(job, key, size, &meta);

	if (error < 0)
		return error;
	json_put_string(meta, (struct span){ value, size });
	return meta_end(meta, before);
}

int ga_job_meta_integer(ga_job *job, const char *key, int64_t value)
{
	size_t before = meta_size(job);
	struct buf *meta;
	int error = meta_begin(job, key, 24, &meta);

	if (error < 0)
		return error;
	json_put_integer(meta, value);
	return meta_end(meta, before);
}

int ga_job_meta_number(ga_job *job, const char *key, double value)
{
	size_t before = meta_size(job);
	char text[40] = "null"; /* JSON has no infinity */
	struct buf *meta;
	int error = meta_begin(job, key, sizeof(text), &meta);

	if (error < 0)
		return error;
	if (isfinite(value))
		snprintf(text, sizeof(text), "%.17g", value);
	json_put_raw(meta, span_of(text));
	return meta_end(meta, before);
}

int ga_job_meta_boolean(ga_job *job, const char *key, bool value)
{
	size_t before = meta_size(job);
	struct buf *meta;
	int error = meta_begin(job, key, 5, &meta);

	if (error < 0)
		return error;
	json_put_boolean(meta, value);
	return meta_end(meta, before);
}

int ga_job_meta_json(ga_job *job, const char *key, const char *json_text, size_t size)
{
	size_t before = meta_size(job);
	struct buf *meta;
	int error = meta_begin(job, key, size, &meta);

	if (error < 0)
		return error;
	json_put_raw(meta, (struct span){ json_text, size });
	return meta_end(meta, before);
}

int ga_job_body(ga_job *job, const void *data, size_t size)
{
	struct attempt_output *o = attempt_output(job);

	assert(job->magic == ATTEMPT_MAGIC);
	if (!o)
		return -ENOMEM;
	if (size > RESULT_BODY_MAX - buf_size(&o->body))
		return -EMSGSIZE;
	return size ? buf_append(&o->body, data, size) : 0;
}

static void GA_PRINTF(5, 0) fail(ga_job *job, bool retryable, int64_t retry_after, const char *code,
				 const char *format, va_list values)
{
	struct attempt_output *o = attempt_output(job);
	char *message = NULL;

	assert(job->magic == ATTEMPT_MAGIC);
	if (!o)
		return;
	if (vasprintf(&message, format, values) < 0)
		message = NULL;
	if (message && strlen(message) > RESULT_MESSAGE_MAX)
		message[RESULT_MESSAGE_MAX] = '\0';
	free(o->message);
	o->message = message;
	o->retryable = retryable;
	o->retry_after = MAX(retry_after, (int64_t)0);
	snprintf(o->code, sizeof(o->code), "%s", code);
}

void ga_job_busy(ga_job *job)
{
	struct attempt_output *o = attempt_output(job);

	assert(job->magic == ATTEMPT_MAGIC);
	if (o)
		o->busy = true;
}

int ga_job_fail(ga_job *job, const char *code, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	fail(job, false, 0, code, format, values);
	va_end(values);
	return -EIO;
}

int ga_job_fail_retry(ga_job *job, int64_t retry_after_ns, const char *code, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	fail(job, true, retry_after_ns, code, format, values);
	va_end(values);
	return -EIO;
}
