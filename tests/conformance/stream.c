/* Streams: open_connection, start_server, StreamReader, StreamWriter. */
#include "conform.h"
#include <gather/stream.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOON (ga_now() + GA_SECONDS(20))
#define MUCH ((size_t)4 << 20) /* more than socket buffers hold */

/* Two ends of one connection. */
static int open_pair(ga_stream *ends[2])
{
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	r = ga_stream_new(fds[0], &ends[0]);
	return r < 0 ? r : ga_stream_new(fds[1], &ends[1]);
}

static void close_pair(ga_stream *ends[2])
{
	ga_stream_close(ends[0]);
	ga_stream_close(ends[1]);
}

/* ---- reading ---- */

CASE_REAL(read_some, "asyncio-stream#asyncio.StreamReader.read",
	  "read: gives what is there, at least a byte and at most as many as asked for")
{
	ga_stream *s[2];
	char data[10];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], "abcdef", 6, SOON) == 0);
	HOLDS(ga_stream_read(s[1], data, 4, SOON) == 4 && !memcmp(data, "abcd", 4));
	HOLDS(ga_stream_read(s[1], data, 10, SOON) == 2 && !memcmp(data, "ef", 2));
	close_pair(s);
	return 0;
}

CASE_REAL(read_end, "asyncio-stream#asyncio.StreamReader.read", "read: at the end is 0, again and again")
{
	ga_stream *s[2];
	char data[10];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], "ab", 2, SOON) == 0 && ga_stream_shutdown(s[0]) == 0);
	HOLDS(ga_stream_read(s[1], data, 10, SOON) == 2);
	HOLDS(ga_stream_read(s[1], data, 10, SOON) == 0);
	HOLDS(ga_stream_read(s[1], data, 10, SOON) == 0);
	close_pair(s);
	return 0;
}

static int write_hello(const void *arg)
{
	return ga_stream_write(*(ga_stream *const *)arg, "hello", 5, SOON);
}

CASE_REAL(read_waits, "asyncio-stream#asyncio.StreamReader.read",
	  "read: waits for the first byte while other tasks run")
{
	ga_stream *s[2];
	char data[10];
	ga_future *t;

	HOLDS(open_pair(s) == 0);
	t = ga_spawn(write_hello, &s[0]);
	HOLDS(ga_stream_read(s[1], data, 10, SOON) == 5 && !memcmp(data, "hello", 5));
	HOLDS(ga_await(t) == 0);
	ga_release(t);
	close_pair(s);
	return 0;
}

CASE_REAL(exactly, "asyncio-stream#asyncio.StreamReader.readexactly",
	  "read_exactly: gives exactly so many bytes")
{
	ga_stream *s[2];
	char data[4];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], "abcdef", 6, SOON) == 0);
	HOLDS(ga_stream_read_exactly(s[1], data, 4, SOON) == 0 && !memcmp(data, "abcd", 4));
	HOLDS(ga_stream_read_exactly(s[1], data, 2, SOON) == 0 && !memcmp(data, "ef", 2));
	HOLDS(ga_stream_read_exactly(s[1], data, 0, SOON) == 0);
	close_pair(s);
	return 0;
}

CASE_REAL(exactly_short, "asyncio-stream#asyncio.StreamReader.readexactly",
	  "read_exactly: an end before them is an error, and what came can still be read")
{
	ga_stream *s[2];
	char data[10];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], "abc", 3, SOON) == 0 && ga_stream_shutdown(s[0]) == 0);
	HOLDS(ga_stream_read_exactly(s[1], data, 4, SOON) == -ENODATA);
	HOLDS(ga_stream_read(s[1], data, 10, SOON) == 3 && !memcmp(data, "abc", 3));
	close_pair(s);
	return 0;
}

CASE_REAL(line, "asyncio-stream#asyncio.StreamReader.readuntil",
	  "read_until: gives the data up to and with the separator, and leaves the rest")
{
	ga_stream *s[2];
	char *data, rest[4];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], "one\r\n\r\ntwo", 10, SOON) == 0);
	HOLDS(ga_stream_read_until(s[1], "\r\n", 100, SOON, &data) == 5 && !memcmp(data, "one\r\n", 5));
	HOLDS(ga_stream_read_until(s[1], "\r\n", 100, SOON, &data) == 2 && !memcmp(data, "\r\n", 2));
	HOLDS(ga_stream_read_exactly(s[1], rest, 3, SOON) == 0 && !memcmp(rest, "two", 3));
	close_pair(s);
	return 0;
}

static int write_in_pieces(const void *arg)
{
	ga_stream *s = *(ga_stream *const *)arg;

	for (const char *p = "a\rb\r\n"; *p; p++) {
		int r = ga_stream_write(s, p, 1, SOON);

		if (r < 0 || ga_sleep(GA_MILLISECONDS(1)) < 0)
			return -EIO;
	}
	return 0;
}

CASE_REAL(line_in_pieces, "asyncio-stream#asyncio.StreamReader.readuntil",
	  "read_until: finds a separator that comes in pieces")
{
	ga_stream *s[2];
	char *data;
	ga_future *t;

	HOLDS(open_pair(s) == 0);
	t = ga_spawn(write_in_pieces, &s[0]);
	HOLDS(ga_stream_read_until(s[1], "\r\n", 100, SOON, &data) == 5 &&
	      !memcmp(data, "a\rb\r\n", 5));
	HOLDS(ga_await(t) == 0);
	ga_release(t);
	close_pair(s);
	return 0;
}

CASE_REAL(line_too_long, "asyncio-stream#asyncio.StreamReader.readuntil",
	  "read_until: without a separator within the limit is an error, and the data stays")
{
	ga_stream *s[2];
	char *data, all[8];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], "abcdefg\n", 8, SOON) == 0);
	HOLDS(ga_stream_read_until(s[1], "\n", 4, SOON, &data) == -EMSGSIZE);
	HOLDS(ga_stream_read_exactly(s[1], all, 8, SOON) == 0 && !memcmp(all, "abcdefg\n", 8));
	close_pair(s);
	return 0;
}

CASE_REAL(line_short, "asyncio-stream#asyncio.StreamReader.readuntil",
	  "read_until: an end before the separator is an error, and the data stays")
{
	ga_stream *s[2];
	char *data, all[8];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], "abc", 3, SOON) == 0 && ga_stream_shutdown(s[0]) == 0);
	HOLDS(ga_stream_read_until(s[1], "\n", 100, SOON, &data) == -ENODATA);
	HOLDS(ga_stream_read(s[1], all, 8, SOON) == 3 && !memcmp(all, "abc", 3));
	close_pair(s);
	return 0;
}

CASE_REAL(read_deadline, "spec", "read: a deadline ends the wait, and nothing is lost")
{
	ga_stream *s[2];
	char data[4], *line;

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], "ab", 2, SOON) == 0);
	HOLDS(ga_stream_read_exactly(s[1], data, 4, ga_now() + GA_MILLISECONDS(2)) == -ETIMEDOUT);
	HOLDS(ga_stream_read_until(s[1], "\n", 9, ga_now() + GA_MILLISECONDS(2), &line) == -ETIMEDOUT);
	HOLDS(ga_stream_write(s[0], "cd", 2, SOON) == 0);
	HOLDS(ga_stream_read_exactly(s[1], data, 4, SOON) == 0 && !memcmp(data, "abcd", 4));
	HOLDS(ga_stream_read(s[1], data, 4, ga_now() - 1) == -ETIMEDOUT);
	close_pair(s);
	return 0;
}

struct reading {
	ga_stream *stream;
	char data[4];
};

static int read_four(const void *arg)
{
	struct reading *r = *(struct reading *const *)arg;

	return ga_stream_read_exactly(r->stream, r->data, 4, GA_NEVER);
}

CASE_REAL(read_cancelled, "spec", "read: cancelled, it did not happen: what has come stays to be read")
{
	ga_stream *s[2];
	struct reading r, *at = &r;
	ga_future *t;

	HOLDS(open_pair(s) == 0);
	r.stream = s[1];
	HOLDS(ga_stream_write(s[0], "ab", 2, SOON) == 0);
	t = ga_spawn(read_four, &at);
	HOLDS(ga_sleep(GA_MILLISECONDS(2)) == 0 && !ga_done(t));
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(ga_stream_write(s[0], "cd", 2, SOON) == 0);
	HOLDS(ga_stream_read_exactly(s[1], r.data, 4, SOON) == 0 && !memcmp(r.data, "abcd", 4));
	ga_release(t);
	close_pair(s);
	return 0;
}

/* ---- writing ---- */

static char sent[MUCH], received[MUCH];

static int write_much(const void *arg)
{
	return ga_stream_write(*(ga_stream *const *)arg, sent, MUCH, SOON);
}

CASE_REAL(backpressure, "asyncio-stream#asyncio.StreamWriter.drain",
	  "write: waits while the other side doesn't read, and then sends all of it, in order")
{
	ga_stream *s[2];
	ga_future *t;

	for (size_t i = 0; i < MUCH; i++)
		sent[i] = (char)(i * 2654435761u >> 13);
	memset(received, 0, MUCH);
	HOLDS(open_pair(s) == 0);
	t = ga_spawn(write_much, &s[0]);
	HOLDS(ga_sleep(GA_MILLISECONDS(3)) == 0 && !ga_done(t));
	HOLDS(ga_stream_read_exactly(s[1], received, MUCH, SOON) == 0);
	HOLDS(ga_await(t) == 0);
	HOLDS(!memcmp(sent, received, MUCH));
	ga_release(t);
	close_pair(s);
	return 0;
}

CASE_REAL(write_deadline, "spec", "write: a deadline ends it while the other side doesn't read")
{
	ga_stream *s[2];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write(s[0], sent, MUCH, ga_now() + GA_MILLISECONDS(3)) == -ETIMEDOUT);
	close_pair(s);
	return 0;
}

CASE_REAL(write_two, "asyncio-stream#asyncio.StreamWriter.writelines",
	  "write: of several parts is as of their sum")
{
	ga_stream *s[2];
	char data[6];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_write_two(s[0], "ab", 2, "cdef", 4, SOON) == 0);
	HOLDS(ga_stream_write_two(s[0], "", 0, "", 0, SOON) == 0);
	HOLDS(ga_stream_read_exactly(s[1], data, 6, SOON) == 0 && !memcmp(data, "abcdef", 6));
	close_pair(s);
	return 0;
}

CASE_REAL(half_closed, "asyncio-stream#asyncio.StreamWriter.write_eof",
	  "shutdown: ends one direction, the other works on")
{
	ga_stream *s[2];
	char data[6];

	HOLDS(open_pair(s) == 0);
	HOLDS(ga_stream_shutdown(s[0]) == 0);
	HOLDS(ga_stream_read(s[1], data, 6, SOON) == 0);
	HOLDS(ga_stream_write(s[1], "still", 5, SOON) == 0);
	HOLDS(ga_stream_read_exactly(s[0], data, 5, SOON) == 0 && !memcmp(data, "still", 5));
	close_pair(s);
	return 0;
}

CASE_REAL(both_ways, "asyncio-stream#streams", "stream: one task reads while another writes")
{
	ga_stream *s[2];
	struct reading r, *at = &r;
	ga_future *t;

	HOLDS(open_pair(s) == 0);
	r.stream = s[0];
	t = ga_spawn(read_four, &at);
	HOLDS(ga_stream_write(s[0], "ping", 4, SOON) == 0);
	HOLDS(ga_stream_write(s[1], "pong", 4, SOON) == 0);
	HOLDS(ga_await(t) == 0 && !memcmp(r.data, "pong", 4));
	ga_release(t);
	close_pair(s);
	return 0;
}

CASE_REAL(gone, "libgather", "write: to a peer that has closed is -EPIPE, and no signal")
{
	ga_stream *s[2];

	HOLDS(open_pair(s) == 0);
	ga_stream_close(s[1]);
	HOLDS(ga_stream_write(s[0], "ab", 2, SOON) == -EPIPE);
	ga_stream_close(s[0]);
	return 0;
}

/* ---- connections and servers ---- */

struct service {
	ga_server *server;
	ga_serve_fn handler;
	struct ga_serve_options options;
};

static int serve(const void *arg)
{
	const struct service *s = arg;

	return ga_serve(s->server, s->handler, &s->options);
}

static int echo(ga_stream *s, const void *arg GA_UNUSED)
{
	char data[100];
	int64_t n;

	while ((n = ga_stream_read(s, data, sizeof(data), SOON)) > 0)
		if (ga_stream_write(s, data, (size_t)n, SOON) < 0)
			return -EIO;
	return (int)n;
}

static int stop_serving(ga_future *task, ga_server *server)
{
	int r;

	ga_cancel(task);
	r = ga_await(task);
	ga_release(task);
	ga_server_close(server);
	return r;
}

static int talk(ga_stream *s)
{
	char data[4];

	HOLDS(ga_stream_write(s, "ping", 4, SOON) == 0);
	HOLDS(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	return 0;
}

CASE_REAL(serve_tcp, "asyncio-stream#asyncio.start_server",
	  "start_server: runs a handler in a task for each connection")
{
	struct service v = { .handler = echo };
	ga_stream *s[3];
	ga_future *t;

	HOLDS(ga_listen_tcp("127.0.0.1", 0, &v.server) == 0);
	HOLDS(ga_server_port(v.server) > 0);
	t = ga_spawn(serve, &v);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_connect_tcp("127.0.0.1", ga_server_port(v.server), SOON, &s[i]) == 0);
	for (int i = 2; i >= 0; i--) /* all at once, in any order */
		HOLDS(talk(s[i]) == 0);
	for (int i = 0; i < 3; i++)
		ga_stream_close(s[i]);
	HOLDS(stop_serving(t, v.server) == -ECANCELED);
	return 0;
}

CASE_REAL(serve_unix, "asyncio-stream#asyncio.start_unix_server",
	  "start_server: on a Unix socket, whose path goes with it")
{
	struct service v = { .handler = echo };
	char path[100];
	ga_stream *s;
	ga_future *t;

	snprintf(path, sizeof(path), "/tmp/conform-%d.sock", (int)getpid());
	HOLDS(ga_listen_unix(path, &v.server) == 0);
	t = ga_spawn(serve, &v);
	HOLDS(ga_connect_unix(path, SOON, &s) == 0);
	HOLDS(talk(s) == 0);
	ga_stream_close(s);
	HOLDS(stop_serving(t, v.server) == -ECANCELED);
	HOLDS(access(path, F_OK) < 0);
	return 0;
}

static int handlers_ended;

static int linger(ga_stream *s, const void *arg GA_UNUSED)
{
	char data[1];

	int64_t n = ga_stream_read(s, data, 1, GA_NEVER);

	handlers_ended++;
	return (int)n;
}

CASE_REAL(serve_cancelled, "asyncio-eventloop#asyncio.Server.serve_forever",
	  "start_server: cancelled, it cancels and joins its handlers and ends cancelled")
{
	struct service v = { .handler = linger };
	ga_stream *s[2];
	ga_future *t;

	handlers_ended = 0;
	HOLDS(ga_listen_tcp(NULL, 0, &v.server) == 0);
	t = ga_spawn(serve, &v);
	for (int i = 0; i < 2; i++)
		HOLDS(ga_connect_tcp("127.0.0.1", ga_server_port(v.server), SOON, &s[i]) == 0);
	HOLDS(ga_sleep(GA_MILLISECONDS(10)) == 0);
	HOLDS(stop_serving(t, v.server) == -ECANCELED);
	HOLDS(handlers_ended == 2);
	close_pair(s);
	return 0;
}

static int greet_and_close(ga_stream *s, const void *arg GA_UNUSED)
{
	return ga_stream_write(s, "hi", 2, SOON);
}

CASE_REAL(handler_returns, "libgather", "start_server: a handler's stream is closed when it returns")
{
	struct service v = { .handler = greet_and_close };
	ga_stream *s;
	ga_future *t;
	char data[4];

	HOLDS(ga_listen_tcp(NULL, 0, &v.server) == 0);
	t = ga_spawn(serve, &v);
	HOLDS(ga_connect_tcp("127.0.0.1", ga_server_port(v.server), SOON, &s) == 0);
	HOLDS(ga_stream_read_exactly(s, data, 2, SOON) == 0);
	HOLDS(ga_stream_read(s, data, 4, SOON) == 0);
	ga_stream_close(s);
	HOLDS(stop_serving(t, v.server) == -ECANCELED);
	return 0;
}

CASE_REAL(refused, "asyncio-stream#asyncio.open_connection",
	  "open_connection: where nobody listens is refused")
{
	ga_server *server;
	ga_stream *s = NULL;
	uint16_t port;

	HOLDS(ga_listen_tcp(NULL, 0, &server) == 0);
	port = ga_server_port(server);
	ga_server_close(server);
	HOLDS(ga_connect_tcp("127.0.0.1", port, SOON, &s) == -ECONNREFUSED && !s);
	HOLDS(ga_connect_unix("/nonexistent/socket", SOON, &s) == -ENOENT && !s);
	return 0;
}

static int reset_it(ga_stream *s, const void *arg GA_UNUSED)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	char data[4];

	if (ga_stream_read(s, data, 4, SOON) < 0)
		return -EIO;
	return setsockopt(ga_stream_fd(s), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

CASE_REAL(reset, "libgather",
	  "misuse: a peer that resets: reading is -ECONNRESET, writing an error, and no signal")
{
	struct service v = { .handler = reset_it };
	ga_stream *s;
	ga_future *t;
	char data[4];
	int r;

	HOLDS(ga_listen_tcp(NULL, 0, &v.server) == 0);
	t = ga_spawn(serve, &v);
	HOLDS(ga_connect_tcp("127.0.0.1", ga_server_port(v.server), SOON, &s) == 0);
	HOLDS(ga_stream_write(s, "x", 1, SOON) == 0);
	HOLDS(ga_stream_read(s, data, 4, SOON) == -ECONNRESET);
	r = ga_stream_write(s, "x", 1, SOON);
	HOLDS(r == -EPIPE || r == -ECONNRESET);
	ga_stream_close(s);
	HOLDS(stop_serving(t, v.server) == -ECANCELED);
	return 0;
}

CASE_REAL(max_streams, "libgather",
	  "start_server: no more handlers at once than it may have; the others wait")
{
	struct service v = { .handler = echo, .options = { .max_streams = 1 } };
	ga_stream *s[2];
	ga_future *t;
	char data[4];

	HOLDS(ga_listen_tcp(NULL, 0, &v.server) == 0);
	t = ga_spawn(serve, &v);
	for (int i = 0; i < 2; i++)
		HOLDS(ga_connect_tcp("127.0.0.1", ga_server_port(v.server), SOON, &s[i]) == 0);
	HOLDS(talk(s[0]) == 0);
	HOLDS(ga_stream_write(s[1], "ping", 4, SOON) == 0);
	HOLDS(ga_stream_read(s[1], data, 4, ga_now() + GA_MILLISECONDS(3)) == -ETIMEDOUT);
	ga_stream_close(s[0]);
	HOLDS(ga_stream_read_exactly(s[1], data, 4, SOON) == 0);
	ga_stream_close(s[1]);
	HOLDS(stop_serving(t, v.server) == -ECANCELED);
	return 0;
}
