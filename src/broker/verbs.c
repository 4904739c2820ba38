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
	const char *takes; /* names of its parameters, spaces between; NULL: none */
};

#define ANYTHING "*" /* those who only ask whether it lives */

static const struct route routes[] = {
	{ "POST", "/v1/jobs", verb_submit, "wait" },
	{ "GET", "/v1/jobs", verb_list, "state type queue tag since limit cursor" },
	{ "GET", "/v1/jobs/*", verb_show, "wait" },
	{ "GET", "/v1/jobs/*/result", verb_result, NULL },
	{ "GET", "/v1/jobs/*/attempts", verb_attempts, NULL },
	{ "GET", "/v1/jobs/*/why", verb_why, NULL },
	{ "POST", "/v1/jobs/*/cancel", verb_cancel, NULL },
	{ "POST", "/v1/jobs/*/retry", verb_retry, NULL },
	{ "POST", "/v1/run/*", verb_run, "wait " RUN_PARAMETERS },
	{ "POST", "/v1/bulk", verb_bulk, NULL },
	{ "GET", "/v1/backup", verb_backup, NULL },
	{ "GET", "/v1/workers", verb_workers, NULL },
	{ "GET", "/v1/queues", verb_queues, NULL },
	{ "GET", "/v1/queues/*", verb_queue, NULL },
	{ "POST", "/v1/queues/*", verb_queue_set, NULL },
	{ "DELETE", "/v1/queues/*", verb_queue_unset, NULL },
	{ "POST", "/v1/queues/*/pause", verb_queue_pause, NULL },
	{ "POST", "/v1/queues/*/resume", verb_queue_resume, NULL },
	{ "GET", "/v1/limits", verb_limits, NULL },
	{ "GET", "/v1/limits/*", verb_limit, NULL },
	{ "POST", "/v1/limits/*", verb_limit_set, NULL },
	{ "DELETE", "/v1/limits/*", verb_limit_unset, NULL },
	{ "POST", "/v1/limits/*/pause", verb_limit_pause, NULL },
	{ "POST", "/v1/limits/*/resume", verb_limit_resume, NULL },
	{ "GET", "/v1/schedules", verb_schedules, "limit cursor" },
	{ "GET", "/v1/schedules/*", verb_schedule, NULL },
	{ "PUT", "/v1/schedules/*", verb_schedule_put, NULL },
	{ "POST", "/v1/schedules/*", verb_schedule_put, NULL },
	{ "DELETE", "/v1/schedules/*", verb_schedule_delete, NULL },
	{ "POST", "/v1/schedules/*/pause", verb_schedule_pause, NULL },
	{ "POST", "/v1/schedules/*/resume", verb_schedule_resume, NULL },
	{ "POST", "/v1/schedules/*/run", verb_schedule_run, "wait" },
	{ "GET", "/v1/types", verb_types, NULL },
	{ "GET", "/v1/types/*", verb_type, NULL },
	{ "GET", "/v1/stats", verb_stats, NULL },
	{ "GET", "/healthz", verb_healthz, ANYTHING },
	{ "GET", "/readyz", verb_readyz, ANYTHING },
	{ "POST", "/v1/groups", verb_group_submit, "wait" },
	{ "GET", "/v1/groups", verb_groups, "state limit cursor" },
	{ "GET", "/v1/groups/*", verb_group_show, NULL },
	{ "GET", "/v1/groups/*/results", verb_group_results,
	  "cursor limit inline_max follow array order wait" },
	{ "POST", "/v1/groups/*/cancel", verb_group_cancel, NULL },
	{ "GET", "/v1/jobs/*/logs", verb_logs, "attempt after" },
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

static bool words_have(const char *words, struct span word)
{
	for (size_t size; words && *words; words += size + (words[size] == ' ')) {
		size = strcspn(words, " ");
		if (span_equal((struct span){ words, size }, word))
			return true;
	}
	return false;
}

/* A parameter that isn't known would be passed over, and with it what was meant by it. */
static int check_parameters(const struct route *route, struct span query, struct refusal *r)
{
	const char *at = query.data, *end = at + query.size, *stop;
	char name[64];

	for (; at < end; at = stop + 1) {
		stop = memchr(at, '&', (size_t)(end - at)) ?: end;
		const char *equals = memchr(at, '=', (size_t)(stop - at));
		struct span word = { at, (size_t)((equals ? equals : stop) - at) };

		snprintf(name, sizeof(name), "%.*s", (int)MIN(word.size, sizeof(name) - 1), at);
		if (at == stop)
			continue;
		if (!words_have(route->takes, word))
			return refuse(r, 400, "unknown_parameter", name,
				      "unknown parameter \"%s\": %s %s takes %s", name, route->method,
				      route->path, route->takes ? route->takes : "none");
		if (!equals)
			return refuse(r, 400, "bad_parameter", name, "%s takes a value: %s=...",
				      name, name);
	}
	return 0;
}

static void ask(struct verb_request *q, const struct route *route, struct span segment)
{
	struct refusal r;

	if (!(route->takes && strcmp(route->takes, ANYTHING) == 0) &&
	    check_parameters(route, q->query, &r) < 0)
		verb_refuse(q, &r);
	else
		route->fn(q, segment);
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
			ask(q, &routes[i], segment);
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
