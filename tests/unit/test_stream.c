/*
 * test_stream.c — streams and servers, a real server and its clients on one loop.
 */
#include "tap_main.h"

#include "async_check.h"

#include <errno.h>
#include <gather/stream.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOON (ga_now() + GA_SECONDS(10))

struct bench {
	ga_server *server;
	ga_serve_fn handler;
	struct ga_serve_options options;
	int (*body)(struct bench *b);
	uint16_t port;
	int handlers, handlers_max; /* at work */
	int handler_result;
};

static struct bench *current;

static int serving(const void *arg)
{
	const struct bench *b = arg;

	return ga_serve(b->server, b->handler, &b->options);
}

static int bench_main(const void *arg)
{
	struct bench *b = current;
	ga_future *task;
	int r = ga_listen_tcp(NULL, 0, &b->server);

	(void)arg;
	EXPECT(r == 0);
	b->port = ga_server_port(b->server);
	EXPECT(b->port > 0);
	task = ga_spawn(serving, b);
	r = b->body(b);
	ga_cancel(task);
	if (ga_await(task) != -ECANCELED && r == 0)
		r = __LINE__;
	if (b->handlers != 0 && r == 0)
		r = __LINE__;
	ga_release(task);
	ga_server_close(b->server);
	return r;
}

static void run(ga_serve_fn handler, int (*body)(struct bench *b), struct ga_serve_options options)
{
	struct bench b = { .handler = handler, .body = body, .options = options };

	current = &b;
	assert_int_equal(ga_run(bench_main, NULL), 0);
}

static int echo(ga_stream *s, const void *arg)
{
	char data[1000];
	int64_t n = 1;

	(void)arg;
	if (++current->handlers > current->handlers_max)
		current->handlers_max = current->handlers;
	while (n > 0) {
		n = ga_stream_read(s, data, sizeof(data), SOON);
		if (n > 0 && ga_stream_write(s, data, (size_t)n, SOON) < 0)
			n = -1;
	}
	current->handlers--;
	current->handler_result = (int)n;
	return 0;
}

static int lines_body(struct bench *b)
{
	char *line, data[8];
	ga_stream *s;

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	EXPECT(ga_stream_write_two(s, "one\r", 4, "\ntwo\r\nrest", 10, SOON) == 0);
	EXPECT(ga_stream_read_until(s, "\r\n", 100, SOON, &line) == 5 && !memcmp(line, "one\r\n", 5));
	EXPECT(ga_stream_read_until(s, "\r\n", 100, SOON, &line) == 5 && !memcmp(line, "two\r\n", 5));
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "rest", 4));
	EXPECT(ga_stream_write(s, "0123456789", 10, SOON) == 0);
	EXPECT(ga_stream_read_until(s, "\n", 10, SOON, &line) == -EMSGSIZE);
	EXPECT(ga_stream_read(s, data, 3, SOON) == 3 && !memcmp(data, "012", 3));
	EXPECT(ga_stream_shutdown(s) == 0);
	EXPECT(ga_stream_read_until(s, "\n", 100, SOON, &line) == -ENODATA);
	EXPECT(ga_stream_read_exactly(s, data, 8, SOON) == -ENODATA);
	EXPECT(ga_stream_read(s, data, 8, SOON) == 7 && !memcmp(data, "3456789", 7));
	EXPECT(ga_stream_read(s, data, 8, SOON) == 0);
	ga_stream_close(s);
	return 0;
}

static void what_is_written_is_read_by_lines_and_bytes(void **state)
{
	(void)state;
	run(echo, lines_body, (struct ga_serve_options){ 0 });
}

#define MUCH ((size_t)8 << 20)

static char sent[MUCH], received[MUCH];

static int write_much(const void *arg)
{
	ga_stream *s = (ga_stream *)(uintptr_t)arg;

	for (size_t i = 0; i < MUCH; i++)
		sent[i] = (char)(i * 31 >> 3);
	return ga_stream_write(s, sent, MUCH, SOON);
}

/* More than the kernel's buffers hold: writer and reader of one stream must both wait for each other's peer. */
static int much_body(struct bench *b)
{
	ga_future *writer;
	ga_stream *s;

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	writer = ga_spawn(write_much, s);
	EXPECT(ga_stream_read_exactly(s, received, MUCH, SOON) == 0);
	EXPECT(ga_await(writer) == 0);
	EXPECT(memcmp(received, sent, MUCH) == 0);
	ga_release(writer);
	ga_stream_close(s);
	return 0;
}

static void a_stream_reads_and_writes_at_once_beyond_the_kernels_buffers(void **state)
{
	(void)state;
	run(echo, much_body, (struct ga_serve_options){ 0 });
}

static int deadline_body(struct bench *b)
{
	char data[4], *line;
	ga_stream *s;

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	EXPECT(ga_stream_read(s, data, 4, ga_now() + GA_MILLISECONDS(20)) == -ETIMEDOUT);
	EXPECT(ga_stream_read_exactly(s, data, 4, ga_now() - 1) == -ETIMEDOUT);
	EXPECT(ga_stream_read_until(s, "\n", 4, ga_now() + GA_MILLISECONDS(5), &line) == -ETIMEDOUT);
	EXPECT(ga_stream_write(s, "abcd", 4, SOON) == 0); /* and works on */
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "abcd", 4));
	ga_stream_close(s);
	return 0;
}

static void a_deadline_ends_a_read_and_the_stream_works_on(void **state)
{
	(void)state;
	run(echo, deadline_body, (struct ga_serve_options){ 0 });
}

static int never_reads(ga_stream *s, const void *arg)
{
	(void)s;
	(void)arg;
	return ga_sleep(GA_SECONDS(60));
}

static int stuck_body(struct bench *b)
{
	ga_stream *s;
	int r;

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	r = ga_stream_write(s, sent, MUCH, ga_now() + GA_MILLISECONDS(50));
	ga_stream_close(s);
	EXPECT(r == -ETIMEDOUT);
	return 0;
}

static void a_deadline_ends_a_write_to_a_peer_that_never_reads(void **state)
{
	(void)state;
	run(never_reads, stuck_body, (struct ga_serve_options){ 0 });
}

static int read_one(const void *arg)
{
	ga_stream *s = (ga_stream *)(uintptr_t)arg;
	char c;

	return (int)ga_stream_read(s, &c, 1, GA_NEVER);
}

static int cancel_body(struct bench *b)
{
	ga_future *reader;
	ga_stream *s;

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	reader = ga_spawn(read_one, s);
	EXPECT(ga_sleep(GA_MILLISECONDS(5)) == 0);
	EXPECT(read_one(s) == -EBUSY);
	EXPECT(ga_cancel(reader));
	EXPECT(ga_await(reader) == -ECANCELED);
	ga_release(reader);
	EXPECT(ga_stream_write(s, "x", 1, SOON) == 0);
	EXPECT(read_one(s) == 1);
	ga_stream_close(s);
	return 0;
}

static void cancelling_a_reader_leaves_the_stream_whole(void **state)
{
	(void)state;
	run(echo, cancel_body, (struct ga_serve_options){ 0 });
}

static int ping(const void *arg)
{
	const struct bench *b = arg;
	ga_stream *s;
	char data[4];

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	for (int i = 0; i < 5; i++) {
		EXPECT(ga_stream_write(s, "ping", 4, SOON) == 0);
		EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	}
	ga_stream_close(s);
	return 0;
}

static int many_body(struct bench *b)
{
	enum { COUNT = 200 };
	ga_future *tasks[COUNT];
	int r;

	for (int i = 0; i < COUNT; i++)
		tasks[i] = ga_spawn(ping, b);
	r = ga_gather(tasks, COUNT, 0);
	ga_release_all(tasks, COUNT);
	return r;
}

static void two_hundred_connections_are_served_at_once(void **state)
{
	(void)state;
	run(echo, many_body, (struct ga_serve_options){ 0 });
}

static int few_body(struct bench *b)
{
	int r = many_body(b);

	EXPECT(r == 0);
	EXPECT(b->handlers_max == 3);
	return 0;
}

static void no_more_than_max_streams_are_served_at_once(void **state)
{
	(void)state;
	run(echo, few_body, (struct ga_serve_options){ .max_streams = 3 });
}

static int left_open_body(struct bench *b)
{
	ga_stream *s[10];
	char c;

	for (int i = 0; i < 10; i++) {
		EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s[i]) == 0);
		EXPECT(ga_stream_write(s[i], "x", 1, SOON) == 0);
		EXPECT(ga_stream_read(s[i], &c, 1, SOON) == 1);
	}
	EXPECT(b->handlers == 10);
	for (int i = 0; i < 10; i++)
		ga_stream_close(s[i]);
	return 0; /* bench_main() finds no handler left after the server's end */
}

static void cancelling_a_server_cancels_and_joins_its_handlers(void **state)
{
	(void)state;
	run(echo, left_open_body, (struct ga_serve_options){ 0 });
}

static int refused_body(struct bench *b)
{
	ga_stream *s;

	EXPECT(ga_connect_tcp("127.0.0.1", 1, SOON, &s) == -ECONNREFUSED);
	EXPECT(ga_connect_tcp("no such host", 1, SOON, &s) == -EINVAL);
	EXPECT(ga_connect_unix("/nonexistent/socket", SOON, &s) == -ENOENT);
	EXPECT(ga_connect_tcp("localhost", b->port, SOON, &s) == 0);
	ga_stream_close(s);
	return 0;
}

static void connecting_says_why_it_failed_and_knows_localhost(void **state)
{
	(void)state;
	run(echo, refused_body, (struct ga_serve_options){ 0 });
}

static int unix_body(struct bench *b)
{
	struct bench own = *b;
	char path[] = "/tmp/test_stream_XXXXXX", socket_path[64], data[4];
	ga_server *second;
	ga_future *task;
	ga_stream *s;

	EXPECT(mkdtemp(path));
	snprintf(socket_path, sizeof(socket_path), "%s/socket", path);
	EXPECT(ga_listen_unix(socket_path, &own.server) == 0);
	EXPECT(ga_server_port(own.server) == 0);
	EXPECT(ga_listen_unix(socket_path, &second) == -EADDRINUSE);
	task = ga_spawn(serving, &own);
	EXPECT(ga_connect_unix(socket_path, SOON, &s) == 0);
	EXPECT(ga_stream_write(s, "unix", 4, SOON) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "unix", 4));
	ga_stream_close(s);
	ga_cancel(task);
	EXPECT(ga_await(task) == -ECANCELED);
	ga_release(task);
	ga_server_close(own.server);
	EXPECT(access(socket_path, F_OK) < 0); /* removed at close */
	EXPECT(rmdir(path) == 0);
	return 0;
}

static void a_unix_socket_serves_and_leaves_no_file(void **state)
{
	(void)state;
	run(echo, unix_body, (struct ga_serve_options){ 0 });
}

static int bad_main(const void *arg)
{
	ga_stream *s;
	ga_server *server;
	char path[200];

	(void)arg;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	EXPECT(ga_stream_new(-1, &s) == -EBADF);
	EXPECT(ga_server_new(-1, &server) == -EBADF);
	EXPECT(ga_listen_tcp("not an address", 0, &server) == -EINVAL);
	EXPECT(ga_listen_unix(path, &server) == -ENAMETOOLONG);
	EXPECT(ga_connect_unix(path, SOON, &s) == -ENAMETOOLONG);
	ga_stream_close(NULL);
	ga_server_close(NULL);
	return 0;
}

static void bad_arguments_are_errors(void **state)
{
	(void)state;
	assert_int_equal(ga_run(bad_main, NULL), 0);
}

/* One stream with data always ready must not keep another task from running. */
static int tick(const void *arg)
{
	int *ticks = (int *)(uintptr_t)arg;

	while (ga_sleep(0) == 0)
		++*ticks;
	return 0;
}

static int pace_main(const void *arg)
{
	int fds[2], ticks = 0;
	ga_future *task;
	ga_stream *s, *peer;
	char data[8];

	(void)arg;
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	EXPECT(ga_stream_new(fds[0], &s) == 0 && ga_stream_new(fds[1], &peer) == 0);
	task = ga_spawn(tick, &ticks);
	for (int i = 0; i < 1000; i++) {
		EXPECT(ga_stream_write(s, "12345678", 8, SOON) == 0);
		EXPECT(ga_stream_read_exactly(peer, data, 8, SOON) == 0);
	}
	EXPECT(ticks > 5);
	ga_cancel(task);
	ga_release(task);
	ga_stream_close(s);
	ga_stream_close(peer);
	return 0;
}

static void a_busy_stream_lets_others_run(void **state)
{
	(void)state;
	assert_int_equal(ga_run(pace_main, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_by_lines_and_bytes),
		cmocka_unit_test(a_stream_reads_and_writes_at_once_beyond_the_kernels_buffers),
		cmocka_unit_test(a_deadline_ends_a_read_and_the_stream_works_on),
		cmocka_unit_test(a_deadline_ends_a_write_to_a_peer_that_never_reads),
		cmocka_unit_test(cancelling_a_reader_leaves_the_stream_whole),
		cmocka_unit_test(two_hundred_connections_are_served_at_once),
		cmocka_unit_test(no_more_than_max_streams_are_served_at_once),
		cmocka_unit_test(cancelling_a_server_cancels_and_joins_its_handlers),
		cmocka_unit_test(connecting_says_why_it_failed_and_knows_localhost),
		cmocka_unit_test(a_unix_socket_serves_and_leaves_no_file),
		cmocka_unit_test(bad_arguments_are_errors),
		cmocka_unit_test(a_busy_stream_lets_others_run),
	};

	return TAP_RUN(tests);
}
