#include "verbs.h"
#include "clock.h"
#include "job_view.h"
#include "json_write.h"
#include "text.h"
#include <errno.h>
#include <stdlib.h>

struct route {
	const char *method;
	const char *path; /* one `*` stands for a whole segment, handed to the verb */
	verb_fn fn;
};

static const struct route routes[] = {
	{ "POST", "/v1/jobs", verb_submit },        { "GET", "/v1/jobs", verb_list },
	{ "GET", "/v1/jobs/*", verb_show },         { "GET", "/v1/jobs/*/result", verb_result },
	{ "GET", "/v1/jobs/*/why", verb_why },      { "POST", "/v1/jobs/*/cancel", verb_cancel },
	{ "POST", "/v1/jobs/*/retry", verb_retry }, { "POST", "/v1/run/*", verb_run },
	{ "GET", "/v1/workers", verb_workers },     { "GET", "/v1/queues", verb_queues },
	{ "GET", "/v1/types", verb_types },         { "GET", "/v1/types/*", verb_type },
	{ "GET", "/v1/stats", verb_stats },         { "GET", "/healthz", verb_healthz },
	{ "GET", "/readyz", verb_readyz },
};

/* Whether the path fits the pattern; the segment at `*` is handed back. */
static bool path_fits(const char *pattern, struct span path, struct span *ret_segment)
{
	const char *at = path.data, *end = at + path.size;

	for (; *pattern; pattern++) {
		if (*pattern != '*') {
			if (at == end || *at++ != *pattern)
				return false;
			continue;
		}
		const char *start = at;

		while (at < end && *at != '/')
			at++;
		if (at == start)
			return false;
		*ret_segment = (struct span){ start, (size_t)(at - start) };
	}
	return at == end;
}

void verb_ask(struct verb_request *q)
{
	struct refusal r;
	struct span segment = { 0 };
	char allowed[64] = "";

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!path_fits(routes[i].path, q->path, &segment))
			continue;
		if (span_equal(q->method, span_of(routes[i].method))) {
			routes[i].fn(q, segment);
			return;
		}
		strcat(allowed, allowed[0] ? ", " : "");
		strcat(allowed, routes[i].method);
	}
	if (allowed[0])
		refuse(&r, 405, "method_not_allowed", "", "%.*s is not for this path: it takes %s",
		       (int)MIN(q->method.size, (size_t)16), q->method.data, allowed);
	else
		refuse(&r, 404, "no_such_path", "",
		       "nothing at %.*s: the verbs are under /v1/jobs, /v1/run, /v1/types, "
		       "/v1/workers, /v1/queues and /v1/stats",
		       (int)MIN(q->path.size, (size_t)80), q->path.data);
	verb_refuse(q, &r);
}

void verb_forget(struct verb_request *q)
{
	job_wait_stop(&q->wait);
}

void verb_too_many(struct refusal *r)
{
	refuse(r, 429, "too_many_requests", "",
	       "%d requests of this connection wait for their answers: wait for some of them",
	       CONNECTION_ASKS_MAX);
	r->retry_after_ms = 1000;
}

void verb_answer_text(struct verb_request *q, int status, const char *content_type, struct span body)
{
	const struct verb_answer a = { .status = status, .content_type = content_type, .body = body };

	q->answer(q, &a);
}

static void answer_buf(struct verb_request *q, int status, const char *content_type, struct buf *body)
{
	verb_answer_text(q, status, content_type, (struct span){ buf_data(body), buf_size(body) });
	buf_done(body);
}

void verb_refuse(struct verb_request *q, const struct refusal *r)
{
	struct buf body = BUF_INIT;

	problem_view(r, &body);
	const struct verb_answer a = { .status = r->status,
				       .content_type = TYPE_PROBLEM,
				       .retry_after_ms = r->retry_after_ms,
				       .body = { buf_data(&body), buf_size(&body) } };

	q->answer(q, &a);
	buf_done(&body);
}

void verb_answer_job(struct verb_request *q, const struct job *job, int status)
{
	struct buf body = BUF_INIT;

	job_view(q->broker, job, VIEW_WHOLE, &body);
	answer_buf(q, status, TYPE_JSON, &body);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
						    : -1;
}

static void decode_value(struct span value, char *out, size_t out_size)
{
	size_t n = 0;

	for (size_t i = 0; i < value.size && n + 1 < out_size; i++) {
		char c = value.data[i];

		if (c == '%' && i + 2 < value.size && hex_digit(value.data[i + 1]) >= 0 &&
		    hex_digit(value.data[i + 2]) >= 0) {
			c = (char)(hex_digit(value.data[i + 1]) << 4 | hex_digit(value.data[i + 2]));
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		out[n++] = c;
	}
	out[n] = '\0';
}

bool verb_param(const struct verb_request *q, const char *name, char *out, size_t out_size)
{
	const char *at = q->query.data, *end = at + q->query.size;
	size_t name_size = strlen(name);

	while (at < end) {
		const char *next = memchr(at, '&', (size_t)(end - at));
		const char *stop = next ? next : end, *equals = memchr(at, '=', (size_t)(stop - at));

		if (equals && (size_t)(equals - at) == name_size && memcmp(at, name, name_size) == 0) {
			decode_value((struct span){ equals + 1, (size_t)(stop - equals - 1) }, out,
				     out_size);
			return true;
		}
		at = next ? next + 1 : end;
	}
	return false;
}

struct job *verb_job(struct verb_request *q, struct span id)
{
	struct uuid uuid;
	struct job *job;
	struct refusal r;

	if (uuid_parse(id.data, id.size, &uuid) < 0) {
		refuse(&r, 400, "bad_id", "id",
		       "\"%.*s\" is not a job id: those look like 01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70",
		       (int)MIN(id.size, (size_t)40), id.data);
		verb_refuse(q, &r);
		return NULL;
	}
	switch (engine_find(broker_engine(q->broker), &uuid, &job)) {
	case 0:
		return job;
	case -EIDRM:
		refuse(&r, 410, "gone", "id", "this job has finished and its result is no longer kept");
		break;
	case -ESTALE:
		refuse(&r, 410, "lost", "id",
		       "this job was kept in memory and was lost when the daemon restarted");
		break;
	default:
		refuse(&r, 404, "no_such_job", "id", "no job %.36s", id.data);
	}
	verb_refuse(q, &r);
	return NULL;
}

int64_t verb_wait_deadline(struct verb_request *q)
{
	char text[32];
	int64_t ns;
	struct refusal r;

	if (!verb_param(q, "wait", text, sizeof(text)))
		return 0;
	if (duration_parse(text, &ns) < 0 || ns > 86400 * NSEC_PER_SEC) {
		refuse(&r, 400, "bad_parameter", "wait",
		       "wait=%s: takes a duration up to a day, e.g. 30s", text);
		verb_refuse(q, &r);
		return -EINVAL;
	}
	return time_add(loop_now(q->broker->loop), ns);
}

/* The bare result, for POST /v1/run. */
static void answer_result(struct verb_request *q, const struct job *job)
{
	struct refusal r;

	if (job->state == JOB_SUCCEEDED) {
		verb_result_bytes(q, job);
		return;
	}
	if (!job->error)
		refuse(&r, 502, "cancelled", "", "the job was cancelled");
	else
		refuse(&r, strcmp(job->error->code, "timeout") == 0 ? 504 : 502, job->error->code,
		       "", "%s", job->error->message);
	verb_refuse(q, &r);
}

static void answer_ended(struct verb_request *q, struct job *job, bool finished)
{
	struct engine *e = q->broker->engine; /* answering frees the request */

	if (finished && q->waits_for_result)
		answer_result(q, job);
	else
		verb_answer_job(q, job, finished ? 200 : 202);
	if (finished)
		engine_delivered(e, job);
}

static void on_end(struct job_wait *w, struct job *job, bool finished)
{
	answer_ended(container_of(w, struct verb_request, wait), job, finished);
}

void verb_wait(struct verb_request *q, struct job *job, int64_t deadline)
{
	struct refusal r;

	if (job_state_is_final(job->state)) {
		answer_ended(q, job, true);
		return;
	}
	if (job_wait_start(q->broker, &q->wait, job, deadline, on_end) < 0) {
		refuse(&r, 503, "no_memory", "", "the daemon is out of memory: ask again later");
		verb_refuse(q, &r);
	}
}
