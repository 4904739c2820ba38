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
	{ "POST", "/v1/jobs", verb_submit },
	{ "GET", "/v1/jobs", verb_list },
	{ "GET", "/v1/jobs/*", verb_show },
	{ "GET", "/v1/jobs/*/result", verb_result },
	{ "GET", "/v1/jobs/*/attempts", verb_attempts },
	{ "GET", "/v1/jobs/*/why", verb_why },
	{ "POST", "/v1/jobs/*/cancel", verb_cancel },
	{ "POST", "/v1/jobs/*/retry", verb_retry },
	{ "POST", "/v1/run/*", verb_run },
	{ "POST", "/v1/bulk", verb_bulk },
	{ "GET", "/v1/backup", verb_backup },
	{ "GET", "/v1/workers", verb_workers },
	{ "GET", "/v1/queues", verb_queues },
	{ "GET", "/v1/queues/*", verb_queue },
	{ "POST", "/v1/queues/*", verb_queue_set },
	{ "DELETE", "/v1/queues/*", verb_queue_unset },
	{ "POST", "/v1/queues/*/pause", verb_queue_pause },
	{ "POST", "/v1/queues/*/resume", verb_queue_resume },
	{ "GET", "/v1/limits", verb_limits },
	{ "GET", "/v1/limits/*", verb_limit },
	{ "POST", "/v1/limits/*", verb_limit_set },
	{ "DELETE", "/v1/limits/*", verb_limit_unset },
	{ "POST", "/v1/limits/*/pause", verb_limit_pause },
	{ "POST", "/v1/limits/*/resume", verb_limit_resume },
	{ "GET", "/v1/schedules", verb_schedules },
	{ "GET", "/v1/schedules/*", verb_schedule },
	{ "PUT", "/v1/schedules/*", verb_schedule_put },
	{ "POST", "/v1/schedules/*", verb_schedule_put },
	{ "DELETE", "/v1/schedules/*", verb_schedule_delete },
	{ "POST", "/v1/schedules/*/pause", verb_schedule_pause },
	{ "POST", "/v1/schedules/*/resume", verb_schedule_resume },
	{ "POST", "/v1/schedules/*/run", verb_schedule_run },
	{ "GET", "/v1/types", verb_types },
	{ "GET", "/v1/types/*", verb_type },
	{ "GET", "/v1/stats", verb_stats },
	{ "GET", "/healthz", verb_healthz },
	{ "GET", "/readyz", verb_readyz },
	{ "POST", "/v1/groups", verb_group_submit },
	{ "GET", "/v1/groups", verb_groups },
	{ "GET", "/v1/groups/*", verb_group_show },
	{ "GET", "/v1/groups/*/results", verb_group_results },
	{ "POST", "/v1/groups/*/cancel", verb_group_cancel },
	{ "GET", "/v1/jobs/*/logs", verb_logs },
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
		       "nothing at %.*s: the verbs are under /v1/jobs, /v1/groups, /v1/schedules, /v1/run, "
		       "/v1/bulk, /v1/types, /v1/workers, /v1/queues, /v1/limits, /v1/stats and /v1/backup",
		       (int)MIN(q->path.size, (size_t)80), q->path.data);
	verb_refuse(q, &r);
}

void verb_forget(struct verb_request *q)
{
	job_wait_stop(&q->wait);
	lookup_stop(&q->lookup);
	keep_release(&q->hold);
	if (q->read)
		store_read_cancel(GA_TAKE_PTR(q->read));
	if (q->more)
		q->more_free(GA_TAKE_PTR(q->more));
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

void verb_answer_buf(struct verb_request *q, int status, const char *content_type, struct buf *body)
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

void verb_answer_facts(struct verb_request *q, const struct job_facts *f, int status)
{
	struct buf body = BUF_INIT;

	job_view(f, VIEW_WHOLE, &body);
	verb_answer_buf(q, status, TYPE_JSON, &body);
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

		/* A NUL would end the value early: it stays as it was written, and fits nothing. */
		if (c == '%' && i + 2 < value.size && hex_digit(value.data[i + 1]) >= 0 &&
		    hex_digit(value.data[i + 2]) >= 0 &&
		    (value.data[i + 1] != '0' || value.data[i + 2] != '0')) {
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
