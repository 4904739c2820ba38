#include "front_http.h"
#include "clock.h"
#include "log.h"
#include "verbs.h"
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADERS_MAX (16u << 10)
#define REQUEST_SECONDS 60u
#define LINES_TOTAL_MAX                                                                            \
	(256u << 20) /* of one NDJSON upload: 100,000 lines are refused long before */

struct http_front {
	struct broker *broker;
	struct MHD_Daemon *daemon;
	struct io_watch watch;
	struct loop_timer timer;
	bool run_again; /* something was resumed or added: MHD has to look */
};

/* One request, kept by MHD as the connection's context. */
struct exchange {
	struct http_front *front;
	struct MHD_Connection *connection;
	struct verb_request request;
	struct buf body;
	struct MHD_Response *response;
	unsigned status;
	bool begun, asked, suspended, too_large;
};

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **state);
static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode why);
static void on_readable(struct io_watch *w, unsigned events);
static void on_timer(struct loop_timer *t);
static void on_answer(struct verb_request *q, const struct verb_answer *a);
static void ignore_log(void *arg, const char *format, va_list values) GA_PRINTF(2, 0);

/* libmicrohttpd complains of TCP options that a Unix socket doesn't have, at each reply. */
static void ignore_log(void *arg GA_UNUSED, const char *format GA_UNUSED, va_list values GA_UNUSED)
{
}

int http_front_new(struct broker *b, struct http_front **ret_front)
{
	struct http_front *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->broker = b;
	f->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_request, f, MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, f, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)b->conf->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)2 * HEADERS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, REQUEST_SECONDS,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!f->daemon) {
		free(f);
		return -ENOMEM;
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(f->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	loop_timer_init(&f->timer, on_timer, f);
	int r = info ? io_watch_start(b->loop, &f->watch, info->epoll_fd, LOOP_READ, on_readable, f)
		     : -EIO;

	if (r < 0) {
		MHD_stop_daemon(f->daemon);
		free(f);
		return r;
	}
	*ret_front = f;
	return 0;
}

void http_front_free(struct http_front *f)
{
	if (!f)
		return;
	io_watch_stop(&f->watch);
	loop_timer_stop(f->broker->loop, &f->timer);
	MHD_stop_daemon(f->daemon);
	free(f);
}

int http_front_add(struct http_front *f, int fd)
{
	struct sockaddr peer = { .sa_family = AF_UNIX };

	if (MHD_add_connection(f->daemon, fd, &peer, sizeof(peer)) != MHD_YES)
		return errno == ENOMEM ? -ENOMEM : -EMFILE;
	f->run_again = true;
	return 0;
}

static void run(struct http_front *f)
{
	MHD_UNSIGNED_LONG_LONG ms;

	f->run_again = false;
	MHD_run(f->daemon);
	if (MHD_get_timeout(f->daemon, &ms) != MHD_YES) {
		loop_timer_stop(f->broker->loop, &f->timer);
		return;
	}
	int64_t due = time_add(loop_now(f->broker->loop), (int64_t)MIN(ms, 60000U) * NSEC_PER_MSEC);

	if (loop_timer_set(f->broker->loop, &f->timer, due) < 0)
		log_warning("no memory for a timer of the HTTP front");
}

void http_front_flush(struct http_front *f)
{
	if (f->run_again)
		run(f);
}

static void on_readable(struct io_watch *w, unsigned events GA_UNUSED)
{
	run(w->arg);
}

static void on_timer(struct loop_timer *t)
{
	run(t->arg);
}

/* ---- strict framing ---- */

struct framing {
	unsigned lengths, hosts, encodings, bad;
	const char *encoding;
};

static enum MHD_Result look_at_header(void *arg, enum MHD_ValueKind kind GA_UNUSED, const char *key,
				      size_t key_size, const char *value, size_t value_size)
{
	struct framing *f = arg;

	if (key_size == 0 || strlen(key) != key_size || strpbrk(key, " \t") ||
	    (value && (strlen(value) != value_size || strpbrk(value, "\r\n"))))
		f->bad++;
	if (strcasecmp(key, "Content-Length") == 0)
		f->lengths++;
	else if (strcasecmp(key, "Host") == 0)
		f->hosts++;
	else if (strcasecmp(key, "Transfer-Encoding") == 0) {
		f->encodings++;
		f->encoding = value;
	}
	return MHD_YES;
}

static int check_framing(struct MHD_Connection *connection, const char *version, struct refusal *r)
{
	struct framing f = { 0 };

	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at_header, &f);
	if (f.bad)
		return refuse(r, 400, "bad_header", "", "a header has no name, a folded line or a NUL");
	if (f.lengths > 1 || f.encodings > 1 || (f.lengths && f.encodings))
		return refuse(r, 400, "bad_framing", "",
			      "Content-Length and Transfer-Encoding: one of them, once");
	if (f.encoding && strcasecmp(f.encoding, "chunked") != 0)
		return refuse(r, 400, "bad_framing", "", "Transfer-Encoding takes \"chunked\"");
	if (f.hosts > 1 || (f.hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_1) == 0))
		return refuse(r, 400, "bad_host", "", "one Host header is needed");
	return 0;
}

static size_t body_limit(const struct exchange *x)
{
	if (span_equal(x->request.content_type, SPAN(TYPE_NDJSON)))
		return LINES_TOTAL_MAX;
	return (size_t)x->front->broker->conf->max_body;
}

static int check_length(struct exchange *x, struct refusal *r)
{
	const char *length =
		MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Content-Length");

	if (!length || strtoull(length, NULL, 10) <= body_limit(x))
		return 0;
	return refuse(r, 413, "body_too_large", "",
		      "a body is at most %zu bytes (max_body); for more send NDJSON", body_limit(x));
}

static int check_type(struct exchange *x, const char *method, struct refusal *r)
{
	const char *type = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Content-Type");
	size_t size = type ? strcspn(type, "; ") : 0;

	x->request.content_type = (struct span){ type, size };
	/* curl -d says this form type unless told otherwise; what counts is that the body is JSON. */
	if (!type || strcmp(method, "POST") != 0 ||
	    span_equal(x->request.content_type, SPAN(TYPE_JSON)) ||
	    span_equal(x->request.content_type, SPAN(TYPE_NDJSON)) ||
	    span_equal(x->request.content_type, SPAN("application/x-www-form-urlencoded")))
		return 0;
	return refuse(r, 415, "unsupported_type", "",
		      "Content-Type %.60s: takes application/json or application/x-ndjson", type);
}

/* ---- requests ---- */

static enum MHD_Result reply(struct exchange *x)
{
	struct MHD_Response *response = GA_TAKE_PTR(x->response);
	enum MHD_Result sent = MHD_queue_response(x->connection, x->status, response);

	MHD_destroy_response(response);
	return sent;
}

static enum MHD_Result begin(struct http_front *f, struct MHD_Connection *connection,
			     const char *method, const char *version, void **state)
{
	struct exchange *x = calloc(1, sizeof(*x));
	struct refusal r;

	if (!x)
		return MHD_NO;
	*state = x;
	x->front = f;
	x->connection = connection;
	x->request.broker = f->broker;
	x->request.answer = on_answer;
	if (check_framing(connection, version, &r) < 0 || check_type(x, method, &r) < 0 ||
	    check_length(x, &r) < 0) {
		x->asked = true;
		verb_refuse(&x->request, &r);
		MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONNECTION, "close");
		return reply(x);
	}
	return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *x, const char *data, size_t *size)
{
	if (buf_size(&x->body) + *size > body_limit(x)) {
		x->too_large = true;
		buf_done(&x->body);
	}
	if (!x->too_large && buf_append(&x->body, data, *size) < 0)
		return MHD_NO;
	*size = 0;
	return MHD_YES;
}

static enum MHD_Result add_parameter(void *arg, enum MHD_ValueKind kind GA_UNUSED, const char *key,
				     const char *value)
{
	struct buf *out = arg;

	if (strpbrk(key, "&=%") || (value && strchr(value, '&')))
		return MHD_YES;
	return buf_printf(out, "%s%s=%s", buf_size(out) ? "&" : "", key, value ? value : "") < 0
		       ? MHD_NO
		       : MHD_YES;
}

static enum MHD_Result ask(struct exchange *x, const char *url, const char *method)
{
	struct buf query = BUF_INIT;
	struct refusal r;

	x->asked = true;
	if (x->too_large) {
		refuse(&r, 413, "body_too_large", "",
		       "a body is at most %zu bytes (max_body); for more send NDJSON", body_limit(x));
		verb_refuse(&x->request, &r);
		return reply(x);
	}
	MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, add_parameter, &query);
	x->request.method = span_of(strcmp(method, "HEAD") == 0 ? "GET" : method);
	x->request.path = span_of(url);
	x->request.query = (struct span){ buf_data(&query), buf_size(&query) };
	x->request.body = (struct span){ buf_data(&x->body), buf_size(&x->body) };
	verb_ask(&x->request);
	buf_done(&query);
	if (x->response)
		return reply(x);
	x->suspended = true;
	MHD_suspend_connection(x->connection);
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **state)
{
	struct exchange *x = *state;

	if (!x)
		return begin(arg, connection, method, version, state);
	if (*size > 0)
		return take_body(x, data, size);
	if (!x->asked)
		return ask(x, url, method);
	return x->response ? reply(x) : MHD_YES;
}

static void on_answer(struct verb_request *q, const struct verb_answer *a)
{
	struct exchange *x = container_of(q, struct exchange, request);
	char seconds[16];

	x->status = (unsigned)a->status;
	x->response = MHD_create_response_from_buffer(a->body.size, (void *)(uintptr_t)a->body.data,
						      MHD_RESPMEM_MUST_COPY);
	if (!x->response)
		abort();
	MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONTENT_TYPE, a->content_type);
	if (a->retry_after_ms) {
		snprintf(seconds, sizeof(seconds), "%u", (a->retry_after_ms + 999) / 1000);
		MHD_add_response_header(x->response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	if (x->suspended) {
		x->suspended = false;
		x->front->run_again = true;
		MHD_resume_connection(x->connection);
	}
}

static void on_completed(void *arg GA_UNUSED, struct MHD_Connection *connection GA_UNUSED,
			 void **state, enum MHD_RequestTerminationCode why GA_UNUSED)
{
	struct exchange *x = *state;

	if (!x)
		return;
	verb_forget(&x->request);
	if (x->response)
		MHD_destroy_response(x->response);
	buf_done(&x->body);
	free(x);
	*state = NULL;
}
