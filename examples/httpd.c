/*
 * httpd.c — a small HTTP/1.1 server on libgather's streams: a task for each connection, straight-line code.
 *
 *	httpd [--port N] [--port-file FILE]        listens on 127.0.0.1; port 0, the default, is any free one
 *
 *	/                  a greeting                     /echo             the request's body
 *	/delay/MS/BYTES    BYTES bytes after MS ms        /headers          the request's headers
 *	/status/CODE       an answer with that status     /endless          a body without an end
 *	/redirect/N        N redirects, then a greeting   /slow-body?ms=N   twenty bytes, N ms (1,000) before each
 *	/redirect?to=URL   one redirect (&code=307)       /drop             the connection is closed without an answer
 *	/big-header/BYTES  a header of that size          /short-body       less than Content-Length says
 *	/garbage           not HTTP
 */
#include <gather/stream.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX (64 * 1024)
#define BODY_MAX (64LL * 1024 * 1024)
#define IDLE GA_SECONDS(75)  /* until the next request on a connection */
#define STALL GA_SECONDS(30) /* of a peer that neither sends nor takes */

struct request {
	ga_stream *stream;
	char *method, *path, *query; /* in the head, cut up by NULs */
	char *headers;               /* "Name: value\r\n"..., to the empty line */
	char *body;
	size_t body_bytes;
	const char *content_type;
	bool keep_alive;
};

typedef int (*route_fn)(struct request *r, const char *rest);

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return "Redirect";
	case 404:
		return "Not Found";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return status < 400 ? "Yes" : status < 500 ? "Client Error" : "Server Error";
	}
}

static int write_all(struct request *r, const void *data, size_t size)
{
	return ga_stream_write(r->stream, data, size, ga_now() + STALL);
}

/* Head and body in one; `extra` holds whole header lines. Informational answers and 204, 304 have no body. */
static int answer_with(struct request *r, int status, const char *type, const char *extra,
		       const void *body, size_t size)
{
	bool bodiless = status < 200 || status == 204 || status == 304;
	char head[1024], length[64] = "";
	int n;

	if (!bodiless)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", size);
	n = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\n%s%s%s%s%s%s\r\n", status, reason(status),
		     type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", length,
		     extra ? extra : "", r->keep_alive ? "" : "Connection: close\r\n");
	if (n < 0 || (size_t)n >= sizeof(head))
		return -EMSGSIZE;
	if (bodiless || strcmp(r->method, "HEAD") == 0)
		size = 0;
	return ga_stream_write_two(r->stream, head, (size_t)n, body, size, ga_now() + STALL);
}

static int answer(struct request *r, int status, const char *text)
{
	return answer_with(r, status, "text/plain", NULL, text, strlen(text));
}

/* The value of name in a query of name=value&..., decoded; NULL: it isn't there, or too long. */
static char *query_value(const char *query, const char *name, char *out, size_t out_size)
{
	size_t width = strlen(name), n = 0;

	while (query && (strncmp(query, name, width) != 0 || query[width] != '=')) {
		query = strchr(query, '&');
		query += query != NULL;
	}
	if (!query)
		return NULL;
	for (query += width + 1; *query && *query != '&'; query++) {
		unsigned byte;
		char c = *query;

		if (c == '%' && sscanf(query, "%%%2x", &byte) == 1 && query[1] && query[2]) {
			c = (char)byte;
			query += 2;
		}
		if (n + 1 >= out_size)
			return NULL;
		out[n++] = c;
	}
	out[n] = '\0';
	return out;
}

static int route_root(struct request *r, const char *rest)
{
	if (*rest)
		return answer(r, 404, "no such page\n");
	return answer(r, 200, "Hello from a small server made of coroutines.\n");
}

static const char *filler(void)
{
	static char block[65536];

	if (!block[0])
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = i % 64 == 63 ? '\n' : (char)('a' + i % 26);
	return block;
}

/* The head with the first block, then the rest. */
static int answer_filler(struct request *r, long long size)
{
	long long first = size < 65536 ? size : 65536;
	char head[160];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %lld\r\n%s\r\n",
			 size, r->keep_alive ? "" : "Connection: close\r\n");
	bool bare = strcmp(r->method, "HEAD") == 0;
	int e = ga_stream_write_two(r->stream, head, (size_t)n, filler(), bare ? 0 : (size_t)first,
				    ga_now() + STALL);

	for (size -= first; size > 0 && e == 0 && !bare; size -= first) {
		first = size < 65536 ? size : 65536;
		e = write_all(r, filler(), (size_t)first);
	}
	return e;
}

static int route_delay(struct request *r, const char *rest)
{
	long long ms = 0, size = 0;

	if (sscanf(rest, "%lld/%lld", &ms, &size) < 1 || ms < 0 || ms > 3600000 || size < 0 ||
	    size > BODY_MAX)
		return answer(r, 400, "/delay/MS/BYTES: up to an hour and 64 MiB\n");
	if (ms > 0) {
		int e = ga_sleep(GA_MILLISECONDS(ms));

		if (e < 0)
			return e;
	}
	return answer_filler(r, size);
}

static int route_status(struct request *r, const char *rest)
{
	char *end, text[64], extra[64] = "", after[24];
	long status = strtol(rest, &end, 10);

	if (status < 200 || status > 999 || *end)
		return answer(r, 400, "/status/CODE: 200 to 999\n");
	if (query_value(r->query, "retry-after", after, sizeof(after)) &&
	    strspn(after, "0123456789") == strlen(after))
		snprintf(extra, sizeof(extra), "Retry-After: %s\r\n", after);
	snprintf(text, sizeof(text), "status %ld\n", status);
	return answer_with(r, (int)status, "text/plain", extra, text, strlen(text));
}

static int route_redirect(struct request *r, const char *rest)
{
	char to[512], extra[600], code[8];
	long left = *rest == '/' ? strtol(rest + 1, NULL, 10) : -1;
	int status = 302;

	if (query_value(r->query, "code", code, sizeof(code)))
		status = atoi(code);
	if (left == 0)
		return answer(r, 200, "arrived\n");
	if (left > 0)
		snprintf(to, sizeof(to), "/redirect/%ld", left - 1);
	else if (!query_value(r->query, "to", to, sizeof(to)) || strpbrk(to, "\r\n"))
		return answer(r, 400, "/redirect/N or /redirect?to=URL\n");
	if (status < 300 || status > 399)
		return answer(r, 400, "code is 300 to 399\n");
	snprintf(extra, sizeof(extra), "Location: %s\r\n", to);
	return answer_with(r, status, "text/plain", extra, "elsewhere\n", 10);
}

static int route_headers(struct request *r, const char *rest)
{
	(void)rest;
	return answer_with(r, 200, "text/plain", NULL, r->headers, strlen(r->headers));
}

static int route_echo(struct request *r, const char *rest)
{
	char extra[64];

	(void)rest;
	snprintf(extra, sizeof(extra), "X-Method: %.40s\r\n", r->method);
	return answer_with(r, 200, r->content_type, extra, r->body, r->body_bytes);
}

static int route_endless(struct request *r, const char *rest)
{
	static const char head[] =
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
	int e = write_all(r, head, sizeof(head) - 1);

	(void)rest;
	while (e == 0) {
		e = write_all(r, "10000\r\n", 7);
		if (e == 0)
			e = ga_stream_write_two(r->stream, filler(), 65536, "\r\n", 2,
						ga_now() + STALL);
	}
	return e;
}

static int route_slow_body(struct request *r, const char *rest)
{
	static const char head[] =
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\n";
	int e = write_all(r, head, sizeof(head) - 1);
	char text[16];
	long ms = query_value(r->query, "ms", text, sizeof(text)) ? atol(text) : 1000;

	(void)rest;
	for (int i = 0; i < 20 && e == 0; i++) {
		e = ga_sleep(GA_MILLISECONDS(ms));
		if (e == 0)
			e = write_all(r, i == 19 ? "\n" : ".", 1);
	}
	return e;
}

static int route_drop(struct request *r, const char *rest)
{
	(void)r;
	(void)rest;
	return -ECONNRESET;
}

static int route_big_header(struct request *r, const char *rest)
{
	long long size = atoll(rest);
	int e;

	if (size < 0 || size > BODY_MAX)
		return answer(r, 400, "/big-header/BYTES: up to 64 MiB\n");
	e = write_all(r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Big: ", 43);
	while (size > 0 && e == 0) {
		size_t part = size < 63 ? (size_t)size : 63; /* of the filler's first line */

		e = write_all(r, filler(), part);
		size -= (long long)part;
	}
	return e == 0 ? write_all(r, "\r\n\r\n", 4) : e;
}

static int route_short_body(struct request *r, const char *rest)
{
	(void)rest;
	r->keep_alive = false;
	return write_all(r, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort", 45);
}

static int route_garbage(struct request *r, const char *rest)
{
	(void)rest;
	r->keep_alive = false;
	return write_all(r, "SSH-2.0-this is no HTTP\r\n\r\n", 27);
}

static const struct {
	const char *prefix;
	route_fn fn;
} ROUTES[] = {
	{ "/delay/", route_delay },
	{ "/status/", route_status },
	{ "/redirect", route_redirect },
	{ "/headers", route_headers },
	{ "/echo", route_echo },
	{ "/endless", route_endless },
	{ "/slow-body", route_slow_body },
	{ "/drop", route_drop },
	{ "/big-header/", route_big_header },
	{ "/short-body", route_short_body },
	{ "/garbage", route_garbage },
	{ "/", route_root },
};

static int dispatch(struct request *r)
{
	for (size_t i = 0;; i++) {
		size_t width = strlen(ROUTES[i].prefix);

		if (strncmp(r->path, ROUTES[i].prefix, width) == 0)
			return ROUTES[i].fn(r, r->path + width);
		if (ROUTES[i].fn == route_root)
			return answer(r, 404, "no such page\n");
	}
}

/* "Name: value\r\n" in the headers; the value's start, and its size. */
static const char *header_find(const struct request *r, const char *name, size_t *ret_size)
{
	size_t width = strlen(name);

	for (const char *at = r->headers; *at; at = strchr(at, '\n') + 1) {
		if (strncasecmp(at, name, width) == 0 && at[width] == ':') {
			at += width + 1;
			at += strspn(at, " \t");
			*ret_size = strcspn(at, "\r\n");
			return at;
		}
	}
	return NULL;
}

/* Cut the head up: method, path, query, headers. */
static int request_parse(struct request *r, char *head, size_t size)
{
	char *version, *line = memmem(head, size, "\r\n", 2);
	const char *connection;
	size_t width;

	head[size - 2] = '\0'; /* the empty line */
	if (!line || memchr(head, '\0', size - 2))
		return -EPROTO;
	*line = '\0';
	r->headers = line + 2 < head + size ? line + 2 : line;
	r->method = head;
	r->path = strchr(head, ' ');
	version = r->path ? strchr(r->path + 1, ' ') : NULL;
	if (!version || strncmp(version, " HTTP/1.", 8) != 0 || r->path[1] != '/')
		return -EPROTO;
	*r->path++ = '\0';
	*version = '\0';
	r->query = strchr(r->path, '?');
	if (r->query)
		*r->query++ = '\0';
	connection = header_find(r, "Connection", &width);
	r->keep_alive = version[8] != '0';
	if (connection && width == 5 && strncasecmp(connection, "close", 5) == 0)
		r->keep_alive = false;
	return 0;
}

/* Reading the body moves the stream's buffer, so the head is copied first. */
static int body_read(struct request *r)
{
	size_t width;
	const char *length = header_find(r, "Content-Length", &width);
	long long size = length ? atoll(length) : 0;

	if (header_find(r, "Transfer-Encoding", &width)) {
		r->keep_alive = false;
		return answer(r, 411, "say how long the body is\n") < 0 ? -EPIPE : -EPROTO;
	}
	if (size < 0 || size > BODY_MAX)
		return -EPROTO;
	if (size == 0)
		return 0;
	if (header_find(r, "Expect", &width) && write_all(r, "HTTP/1.1 100 Continue\r\n\r\n", 25) < 0)
		return -EPIPE;
	r->body = malloc((size_t)size);
	if (!r->body)
		return -ENOMEM;
	r->body_bytes = (size_t)size;
	return ga_stream_read_exactly(r->stream, r->body, (size_t)size, ga_now() + STALL);
}

static int serve_one(ga_stream *stream, bool *ret_keep_alive)
{
	struct request r = { .stream = stream, .content_type = NULL };
	char *in_buffer, *head, type[128];
	int64_t size = ga_stream_read_until(stream, "\r\n\r\n", HEAD_MAX, ga_now() + IDLE, &in_buffer);
	const char *found;
	size_t width;
	int e;

	if (size < 0)
		return (int)size;
	head = malloc((size_t)size + 1);
	if (!head)
		return -ENOMEM;
	memcpy(head, in_buffer, (size_t)size);
	head[size] = '\0';
	e = request_parse(&r, head, (size_t)size);
	if (e == 0)
		e = body_read(&r);
	if (e == 0) {
		found = header_find(&r, "Content-Type", &width);
		if (found) {
			snprintf(type, sizeof(type), "%.*s", (int)(width < 120 ? width : 120), found);
			r.content_type = type;
		}
		e = dispatch(&r);
	}
	*ret_keep_alive = r.keep_alive;
	free(r.body);
	free(head);
	return e;
}

static int handle(ga_stream *stream, const void *unused)
{
	bool keep_alive = true;
	int e = 0;

	(void)unused;
	while (e == 0 && keep_alive)
		e = serve_one(stream, &keep_alive);
	return e;
}

struct options {
	long port;
	const char *port_file;
};

static int tell_port(const struct options *options, unsigned port)
{
	FILE *f;

	printf("listening on http://127.0.0.1:%u\n", port);
	fflush(stdout);
	if (!options->port_file)
		return 0;
	f = fopen(options->port_file, "w");
	if (!f)
		return -errno;
	fprintf(f, "%u\n", port);
	return fclose(f) == 0 ? 0 : -errno;
}

static int serve(const void *server)
{
	return ga_serve((ga_server *)(uintptr_t)server, handle, NULL);
}

/* Serve until SIGTERM; SIGINT cancels, as in every libgather program. */
static int amain(const void *arg)
{
	const struct options *options = arg;
	ga_future *both[2];
	ga_server *server;
	int r = ga_listen_tcp(NULL, (uint16_t)options->port, &server);

	if (r == 0)
		r = tell_port(options, ga_server_port(server));
	if (r < 0) {
		fprintf(stderr, "httpd: %s\n", strerror(-r));
		return 1;
	}
	both[0] = ga_spawn(serve, server);
	both[1] = ga_signal_future(SIGTERM);
	r = ga_wait(both, 2, GA_FIRST_COMPLETED, GA_NEVER);
	ga_cancel(both[0]);
	while (!ga_done(both[0]))
		r = ga_shield(both[0]);
	ga_release_all(both, 2);
	ga_server_close(server);
	return r < 0 && r != -ECANCELED;
}

int main(int argc, char **argv)
{
	struct options options = { .port = 0 };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
			options.port = atol(argv[++i]);
		else if (strcmp(argv[i], "--port-file") == 0 && i + 1 < argc)
			options.port_file = argv[++i];
		else
			options.port = -1;
	}
	if (options.port < 0 || options.port > 65535) {
		fprintf(stderr, "usage: httpd [--port N] [--port-file FILE]\n");
		return 2;
	}
	return ga_run(amain, &options);
}
