#include "front_http.h"
#include "clock.h"
#include "log.h"
#include "verbs.h"
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADERS_MAX (16u << 10)
#define REQUEST_SECONDS 60u
#define LINES_TOTAL_MAX (256u << 20) /* of one NDJSON upload */
#define UPLOADS_MAX (512u << 20)     /* of all requests that are being received */
#define PRESENCE_PERIOD (5 * NSEC_PER_SEC)

struct http_front {
	struct broker *broker;
	struct MHD_Daemon *daemon;
	struct io_watch watch;
	struct loop_timer timer;
	struct loop_timer presence; /* whether those who wait are still there */
	struct list suspended;      /* struct exchange */
	unsigned connections;
	unsigned replying; /* exchanges whose answer is on its way */
	size_t uploaded;   /* bytes of bodies that are kept */
	bool run_again;    /* something was resumed or added: MHD has to look */
};

/* One request, kept by MHD as the connection's context. */
struct exchange {
	struct list mates; /* while it is suspended */
	struct http_front *front;
	struct MHD_Connection *connection;
	struct verb_request request;
	struct buf body;
	struct MHD_Response *response;
	unsigned status;
	char *query; /* as it came, or NULL */
	bool begun, asked, replying, too_large, crowded;
	bool bad_path; /* it has an encoded NUL, behind which MHD wouldn't look */
};

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection);
static void on_coming_or_going(void *arg, struct MHD_Connection *connection, void **state,
			       enum MHD_ConnectionNotificationCode what);
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **state);
static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode why);
static void on_readable(struct io_watch *w, unsigned events);
static void on_timer(struct loop_timer *t);
static void on_presence(struct loop_timer *t);
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
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, f, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
		f, MHD_OPTION_NOTIFY_CONNECTION, on_coming_or_going, f, MHD_OPTION_CONNECTION_LIMIT,
		UINT_MAX /* the door's matter */, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)2 * HEADERS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, REQUEST_SECONDS,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!f->daemon) {
		free(f);
		return -ENOMEM;
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(f->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	loop_timer_init(&f->timer, on_timer, f);
	loop_timer_init(&f->presence, on_presence, f);
	list_init(&f->suspended);
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
	loop_timer_stop(f->broker->loop, &f->presence);
	MHD_stop_daemon(f->daemon);
	free(f);
}

void http_front_add(struct http_front *f, int fd)
{
	struct sockaddr peer = { .sa_family = AF_UNIX };

	if (MHD_add_connection(f->daemon, fd, &peer, sizeof(peer)) != MHD_YES)
		log_warning("no memory for an HTTP client"); /* MHD has closed it */
	f->run_again = true;
}

unsigned http_front_connections(const struct http_front *f)
{
	return f->connections;
}

bool http_front_is_replying(const struct http_front *f)
{
	return f->replying > 0 || f->run_again;
}

static void on_coming_or_going(void *arg, struct MHD_Connection *connection GA_UNUSED,
			       void **state GA_UNUSED, enum MHD_ConnectionNotificationCode what)
{
	struct http_front *f = arg;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		f->connections++;
	else
		f->connections--;
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

static int check_framing(const struct exchange *x, const char *version, struct refusal *r)
{
	struct framing f = { 0 };

	MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, look_at_header, &f);
	if (x->bad_path)
		return refuse(r, 400, "bad_path", "", "%%00 has no place in a path");
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

static int refuse_body(const struct exchange *x, struct refusal *r)
{
	return refuse(r, 413, "body_too_large", "",
		      "a body is at most %zu bytes (max_body); for more send NDJSON", body_limit(x));
}

static int check_length(const struct exchange *x, struct refusal *r)
{
	const char *length =
		MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Content-Length");

	return !length || strtoull(length, NULL, 10) <= body_limit(x) ? 0 : refuse_body(x, r);
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

	x->replying = true;
	x->front->replying++;
	enum MHD_Result sent = MHD_queue_response(x->connection, x->status, response);

	MHD_destroy_response(response);
	return sent;
}

/* MHD's first word of a request, with the target as it came: later it is decoded, and what is behind a NUL is lost. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct http_front *f = arg;
	struct exchange *x = calloc(1, sizeof(*x));
	const char *mark = strchr(uri, '?');

	if (!x)
		return NULL;
	list_init(&x->mates);
	x->front = f;
	x->connection = connection;
	x->request.broker = f->broker;
	x->request.answer = on_answer;
	x->request.takes_files = true;
	x->query = mark ? strdup(mark + 1) : NULL;
	x->bad_path = memmem(uri, mark ? (size_t)(mark - uri) : strlen(uri), "%00", 3) != NULL;
	if (mark && !x->query) {
		free(x);
		return NULL;
	}
	return x;
}

static enum MHD_Result begin(struct exchange *x, const char *method, const char *version)
{
	struct refusal r;

	x->begun = true;
	if (check_framing(x, version, &r) < 0 || check_type(x, method, &r) < 0 ||
	    check_length(x, &r) < 0) {
		x->asked = true;
		verb_refuse(&x->request, &r);
		MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONNECTION, "close");
		return reply(x);
	}
	return MHD_YES;
}

static void drop_body(struct exchange *x)
{
	x->front->uploaded -= buf_size(&x->body);
	buf_done(&x->body);
}

static enum MHD_Result take_body(struct exchange *x, const char *data, size_t *size)
{
	struct http_front *f = x->front;

	x->too_large |= buf_size(&x->body) + *size > body_limit(x);
	x->crowded |= f->uploaded + *size > UPLOADS_MAX;
	if (x->too_large || x->crowded) {
		drop_body(x);
	} else {
		if (buf_append(&x->body, data, *size) < 0)
			return MHD_NO;
		f->uploaded += *size;
	}
	*size = 0;
	return MHD_YES;
}

/* Until the answer is there. MHD doesn't look at a suspended connection: whether its client has left is asked here. */
static enum MHD_Result suspend(struct exchange *x)
{
	struct http_front *f = x->front;
	struct loop *l = f->broker->loop;

	if (list_empty(&f->suspended) &&
	    loop_timer_set(l, &f->presence, time_add(loop_now(l), PRESENCE_PERIOD)) < 0)
		return MHD_NO;
	list_push_back(&f->suspended, &x->mates);
	MHD_suspend_connection(x->connection);
	return MHD_YES;
}

static void resume(struct exchange *x)
{
	list_remove(&x->mates);
	x->front->run_again = true;
	MHD_resume_connection(x->connection);
}

static void on_presence(struct loop_timer *t)
{
	struct http_front *f = t->arg;
	struct loop *l = f->broker->loop;
	struct refusal r;

	refuse(&r, 503, "client_gone", "", "the client has left");
	LIST_FOREACH(node, &f->suspended) {
		struct exchange *x = LIST_ENTRY(node, struct exchange, mates);
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		if (!info || !peer_is_gone(info->connect_fd))
			continue;
		verb_forget(&x->request);
		verb_refuse(&x->request, &r); /* sending it fails, and that ends the connection */
	}
	if (!list_empty(&f->suspended) &&
	    loop_timer_set(l, &f->presence, time_add(loop_now(l), PRESENCE_PERIOD)) < 0)
		log_warning("no memory for a timer of the HTTP front");
}

static int check_body(const struct exchange *x, struct refusal *r)
{
	if (x->too_large)
		return refuse_body(x, r);
	if (!x->crowded)
		return 0;
	refuse(r, 503, "busy", "", "too many uploads at once: try again later");
	r->retry_after_ms = 1000;
	return -EINVAL;
}

static enum MHD_Result ask(struct exchange *x, const char *url, const char *method)
{
	struct refusal r;

	x->asked = true;
	if (check_body(x, &r) < 0) {
		verb_refuse(&x->request, &r);
		return reply(x);
	}
	x->request.method = span_of(strcmp(method, "HEAD") == 0 ? "GET" : method);
	x->request.path = span_of(url);
	x->request.query = span_of(x->query ? x->query : "");
	x->request.body = (struct span){ buf_data(&x->body), buf_size(&x->body) };
	verb_ask(&x->request);
	drop_body(x);
	return x->response ? reply(x) : suspend(x);
}

static enum MHD_Result on_request(void *arg GA_UNUSED, struct MHD_Connection *connection GA_UNUSED,
				  const char *url, const char *method, const char *version,
				  const char *data, size_t *size, void **state)
{
	struct exchange *x = *state;

	if (!x)
		return MHD_NO; /* no memory */
	if (!x->begun)
		return begin(x, method, version);
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
	if (a->file)
		x->response = MHD_create_response_from_fd64(a->file->size, a->file->fd);
	else
		x->response = MHD_create_response_from_buffer(
			a->body.size, (void *)(uintptr_t)a->body.data, MHD_RESPMEM_MUST_COPY);
	if (!x->response)
		abort();
	MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONTENT_TYPE, a->content_type);
	if (a->retry_after_ms) {
		snprintf(seconds, sizeof(seconds), "%u", (a->retry_after_ms + 999) / 1000);
		MHD_add_response_header(x->response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	if (list_linked(&x->mates))
		resume(x);
}

static void on_completed(void *arg GA_UNUSED, struct MHD_Connection *connection GA_UNUSED,
			 void **state, enum MHD_RequestTerminationCode why GA_UNUSED)
{
	struct exchange *x = *state;

	if (!x)
		return;
	verb_forget(&x->request);
	list_remove(&x->mates);
	if (x->response)
		MHD_destroy_response(x->response);
	x->front->replying -= x->replying;
	drop_body(x);
	free(x->query);
	free(x);
	*state = NULL;
}
