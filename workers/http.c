/*
 * http.c — any HTTP request, as a future without a stack on the worker's one client.
 *
 * A 2xx status, or one in ok_status, is a success. Whatever else came is kept all the same: a failed job has its status,
 * headers and body. What may pass by itself is retried: connection errors, 408, 425, 429 and 5xx, and not before the time
 * that a Retry-After header names (RFC 9110, section 10.2.3). 429 and 503 slow down all jobs for that host.
 */
#include "http_request.h"
#include "http_text.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define BODY_MAX (1 << 20) /* a result holds no more */
#define HEADERS_MAX 1000   /* each is compared with each: more of them would hold up the loop */

static const struct ga_param params[] = {
	{ .name = "url",
	  .type = GA_TEXT,
	  .flags = GA_REQUIRED,
	  .min = 1,
	  .max = 65536,
	  .help = "what is asked for: http:// or https://" },
	{ .name = "method",
	  .type = GA_TEXT,
	  .min = 1,
	  .max = 64,
	  .help = "GET, POST, ...; without it GET, or POST if there is a body" },
	{ .name = "headers",
	  .type = GA_OBJECT,
	  .help = "sent along: {\"name\": \"value\" or a list of values}" },
	{ .name = "params", .type = GA_OBJECT, .help = "added to the URL's query" },
	{ .name = "json", .type = GA_ANY, .help = "the body, as JSON" },
	{ .name = "form", .type = GA_OBJECT, .help = "the body, as a form's fields" },
	{ .name = "body", .type = GA_TEXT, .help = "the body, as a text" },
	{ .name = "body_base64", .type = GA_TEXT, .help = "the body, as bytes in base64" },
	{ .name = "ok_status", .type = GA_ARRAY, .help = "further statuses that are a success: [404, 410]" },
	{ .name = "follow",
	  .type = GA_INTEGER,
	  .preset = "5",
	  .max = 50,
	  .help = "how many redirects are followed; 0: the redirect is the answer" },
	{ .name = "max_body",
	  .type = GA_SIZE,
	  .preset = "\"1MiB\"",
	  .min = 1,
	  .max = 1e12,
	  .unit = "bytes",
	  .help = "a longer body is an error; at most 1MiB where the body is kept" },
	{ .name = "save",
	  .type = GA_CHOICE,
	  .preset = "\"body\"",
	  .choices = "none|head|body",
	  .help = "what of the answer is kept besides its status: nothing, its headers, or all" },
	{ .name = "verify",
	  .type = GA_BOOLEAN,
	  .preset = "true",
	  .help = "whether the certificate must be right" },
	{ 0 },
};

/* ---- asking ---- */

static int check_arguments(ga_job *job)
{
	const json_t *list = ga_job_json(job, "ok_status"), *status;
	size_t i;

	json_array_foreach(
		list, i,
		status) if (json_integer_value(status) < 100 ||
			    json_integer_value(status) >
				    599) return ga_job_fail(job, "bad_argument",
							    "ok_status takes a list of statuses from 100 to 599");
	if (ga_job_integer(job, "max_body") > BODY_MAX && strcmp(ga_job_text(job, "save"), "body") == 0)
		return ga_job_fail(
			job, "bad_argument",
			"max_body is at most 1MiB where the body is kept; with save=head or none it may be more");
	return 0;
}

/* By the worker's client, which knows what may be called. */
static ga_future *start(ga_job *job)
{
	ga_future *future = NULL;
	struct http_build build;

	if (check_arguments(job) < 0)
		return NULL;
	if (http_build(job, &build) == 0)
		future = ga_http_request(&build.request);
	http_build_done(&build);
	return future;
}

/* ---- telling ---- */

struct header {
	struct ga_http_header h;
	size_t name_size;
	bool told;
};

/* All of them, in order; to be freed. NULL: no memory. */
static struct header *list_headers(const ga_future *f, size_t *ret_count)
{
	struct ga_http_header h;
	struct header *list;
	size_t count = 0, cursor = 0, i = 0;

	while (ga_http_header_next(f, &cursor, &h))
		count++;
	list = malloc((count + 1) * sizeof(*list));
	if (!list)
		return NULL;
	cursor = 0;
	while (i < count && ga_http_header_next(f, &cursor, &h))
		list[i++] = (struct header){ .h = h, .name_size = strlen(h.name) };
	*ret_count = i;
	return list;
}

/* The first header from `i` on that has this name; `count`: none. */
static size_t find_named(const struct header *list, size_t count, size_t i, const struct header *as)
{
	while (i < count &&
	       (list[i].name_size != as->name_size || strcasecmp(list[i].h.name, as->h.name)))
		i++;
	return i;
}

/* The values of all headers that are named as number `i` is: a string, or a list if there are more. */
static void put_values(struct text *t, struct header *list, size_t count, size_t i)
{
	const struct header *first = &list[i];
	size_t next = find_named(list, count, i + 1, first);
	bool several = next < count;

	text_put(t, "[", several);
	text_put_json(t, first->h.value);
	for (; next < count; next = find_named(list, count, next + 1, first)) {
		list[next].told = true;
		text_put(t, ",", 1);
		text_put_json(t, list[next].h.value);
	}
	text_put(t, "]", several);
}

static int tell_headers(ga_job *job, const ga_future *f)
{
	struct text t = { 0 };
	size_t count = 0, size;
	struct header *list = list_headers(f, &count);
	char *json;
	int error;

	if (!list)
		return -ENOMEM;
	if (count > HEADERS_MAX) {
		free(list);
		return ga_job_meta_boolean(job, "headers_too_large", true);
	}
	text_put(&t, "{", 1);
	for (size_t i = 0; i < count; i++) {
		if (list[i].told)
			continue;
		text_put(&t, ",", t.size > 1);
		text_put_json_lower(&t, list[i].h.name);
		text_put(&t, ":", 1);
		put_values(&t, list, count, i);
	}
	text_put(&t, "}", 1);
	free(list);
	size = t.size;
	json = text_end(&t);
	error = json ? ga_job_meta_json(job, "headers", json, size) : -ENOMEM;
	free(json);
	/* Beyond what a result's metadata holds they are left out, and that is said. */
	return error == -EMSGSIZE ? ga_job_meta_boolean(job, "headers_too_large", true) : error;
}

/* The last URL, but for a user and password in it: a result is shown to whoever may read. */
static int tell_url(ga_job *job, const char *url)
{
	const char *start = strstr(url, "://"), *at = NULL;
	struct text t = { 0 };
	char *shown;
	int error;

	for (const char *c = start ? start + 3 : ""; *c && !strchr("/?#", *c); c++)
		at = *c == '@' ? c : at;
	if (!at)
		return ga_job_meta_text(job, "url", url);
	text_put(&t, url, (size_t)(start + 3 - url));
	text_put(&t, at + 1, strlen(at + 1));
	shown = text_end(&t);
	error = shown ? ga_job_meta_text(job, "url", shown) : -ENOMEM;
	free(shown);
	return error;
}

/* What came, of the last answer: its status, and what the job wants kept. */
static int tell_answer(ga_job *job, const ga_future *f)
{
	const char *save = ga_job_text(job, "save"), *type, *body;
	int error = ga_job_meta_integer(job, "status", ga_http_status(f));
	size_t size;

	if (error == 0)
		error = tell_url(job, ga_http_url(f));
	if (error == 0)
		error = ga_job_meta_integer(job, "redirects", ga_http_redirects(f));
	if (error < 0 || strcmp(save, "none") == 0)
		return error;
	type = ga_http_header(f, "Content-Type");
	if (type)
		error = ga_job_meta_text(job, "content_type", type);
	if (error == 0)
		error = tell_headers(job, f);
	if (error < 0 || strcmp(save, "body") != 0)
		return error;
	body = ga_http_body(f, &size);
	return body && size ? ga_job_body(job, body, size) : 0;
}

/* ---- judging ---- */

static bool is_ok(const ga_job *job, int status)
{
	const json_t *list = ga_job_json(job, "ok_status"), *value;
	size_t i;

	if (status >= 200 && status < 300)
		return true;
	json_array_foreach(list, i, value) if (json_integer_value(value) == status) return true;
	return false;
}

/* Retry-After: seconds or a date, as nanoseconds from now; 0: none, or past. */
static int64_t retry_after(const ga_future *f)
{
	const char *value = ga_http_header(f, "Retry-After");
	struct tm tm = { 0 };
	double seconds;
	char *end;

	if (!value)
		return 0;
	seconds = (double)strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end) {
		if (!strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm))
			return 0;
		seconds = difftime(timegm(&tm), time(NULL));
	}
	if (seconds <= 0)
		return 0;
	return GA_SECONDS(seconds < 86400 * 365.0 ? seconds : 86400 * 365.0);
}

/* The names of RFC 9110 (section 15) and RFC 6585, for people. */
static const char *status_name(int status)
{
	static const struct {
		int status;
		const char *name;
	} names[] = {
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 425, "Too Early" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].status == status)
			return names[i].name;
	return "";
}

static int judge_status(ga_job *job, const ga_future *f, int status)
{
	const char *name = status_name(status), *blank = *name ? " " : "";

	if (is_ok(job, status))
		return 0;
	if (status == 429 || status == 503)
		ga_job_busy(job);
	if (status == 408 || status == 425 || status == 429 || status >= 500)
		return ga_job_fail_retry(job, retry_after(f), "http_status", "HTTP %d%s%s", status,
					 blank, name);
	return ga_job_fail(job, "http_status", "HTTP %d%s%s", status, blank, name);
}

static bool is_passing(enum ga_http_error error)
{
	switch (error) {
	case GA_HTTP_RESOLVE_FAILED:
	case GA_HTTP_CONNECT_FAILED:
	case GA_HTTP_TIMEOUT:
	case GA_HTTP_CONNECTION_LOST:
	case GA_HTTP_PROTOCOL:
	case GA_HTTP_NO_MEMORY:
		return true;
	default:
		return false;
	}
}

static int judge_error(ga_job *job, const ga_future *f, int result)
{
	enum ga_http_error error = ga_http_error(f);
	const char *word = error == GA_HTTP_BAD_REQUEST ? "bad_argument" : ga_http_error_word(error);
	const char *text = ga_http_error_text(f);

	if (error == GA_HTTP_CANCELLED || error == GA_HTTP_OK)
		return result;
	if (is_passing(error))
		return ga_job_fail_retry(job, 0, word, "%s", text);
	return ga_job_fail(job, word, "%s", text);
}

static int finish(ga_job *job, ga_future *f, int result)
{
	int error = 0;

	if (ga_http_status(f) > 0)
		error = tell_answer(job, f);
	if (result < 0)
		return judge_error(job, f, result);
	return error < 0 ? error : judge_status(job, f, result);
}

static const struct ga_job_type http = {
	.name = "http",
	.help = "asks an HTTP server",
	.job_class = GA_CLASS_NET,
	.params = params,
	.start = start,
	.finish = finish,
	.example = "url=https://example.com/",
	.limit_param = "url",
};

GA_PLUGIN(&http);
