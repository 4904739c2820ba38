/*
 * test_stream_edges.c — what peers, kernels and programs do to streams and servers that isn't in any transport's nature.
 */
#include "tap_main.h"

#include "stream_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gather/sync.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void run_over(enum transport transport, ga_serve_fn handler, int (*body)(struct bench *b))
{
	assert_int_equal(bench_run(transport, handler, body, (struct ga_serve_options){ 0 }), 0);
}

/* ---- peers ---- */

/* Closes its socket in a way that resets the connection. */
static int resets(ga_stream *s, const void *arg GA_UNUSED)
{
	const struct linger at_once = { .l_onoff = 1 };
	char c;

	EXPECT(ga_stream_read(s, &c, 1, SOON) == 1);
	EXPECT(setsockopt(ga_stream_fd(s), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
	return 0;
}

static int reset_body(struct bench *b)
{
	char data[8], *line;
	ga_stream *s;
	int r;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write(s, "x", 1, SOON) == 0);
	EXPECT(ga_stream_read_until(s, "\n", 8, SOON, &line) == -ECONNRESET);
	r = ga_stream_write(s, "x", 1, SOON);
	EXPECT(r == -EPIPE || r == -ECONNRESET);
	EXPECT(ga_stream_read(s, data, 8, SOON) == 0); /* as the kernel has it: an error is told once */
	ga_stream_close(s);
	return 0;
}

static void a_reset_is_told_to_reader_and_writer(void **state GA_UNUSED)
{
	run_over(OVER_TCP, resets, reset_body);
}

static int reset_by_close(ga_stream *s, const void *arg GA_UNUSED)
{
	char c;

	return (int)ga_stream_read(s, &c, 1, SOON);
}

static int unread_body(struct bench *b)
{
	char data[20000] = "";
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write(s, data, sizeof(data), SOON) == 0); /* more than it has asked the kernel for */
	EXPECT(ga_stream_read(s, data, 1, SOON) == -ECONNRESET);
	ga_stream_close(s);
	return 0;
}

static void closing_over_unread_bytes_is_a_reset_for_the_other_side(void **state GA_UNUSED)
{
	run_over(OVER_TCP, reset_by_close, unread_body);
	run_over(OVER_UNIX, reset_by_close, unread_body);
}

static int max_body(struct bench *b)
{
	char data[16], *line;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write(s, "12345678\n", 9, SOON) == 0);
	EXPECT(ga_stream_read_until(s, "\n", 8, SOON, &line) == -EMSGSIZE); /* the separator counts */
	EXPECT(ga_stream_read_until(s, "\n", 8, SOON, &line) == -EMSGSIZE);
	EXPECT(ga_stream_read_until(s, "\n", 9, SOON, &line) == 9 && !memcmp(line, "12345678\n", 9));
	EXPECT(ga_stream_read_until(s, "", 9, SOON, &line) == -EINVAL);
	EXPECT(ga_stream_read_until(s, "\n", 0, SOON, &line) == -EINVAL);
	EXPECT(ga_stream_read_exactly(s, data, 0, SOON) == 0);
	EXPECT(ga_stream_read(s, data, 0, SOON) == 0);
	EXPECT(ga_stream_write(s, data, 0, SOON) == 0);
	ga_stream_close(s);
	return 0;
}

static void a_line_longer_than_asked_for_stays_to_be_read(void **state GA_UNUSED)
{
	run_over(OVER_TCP, echo, max_body);
}

static char much[1 << 20];

static int write_much(const void *arg)
{
	return ga_stream_write((ga_stream *)(uintptr_t)arg, much, sizeof(much), SOON);
}

/* There is room again, and the one who waits for it hasn't run yet. */
static int between_main(const void *arg GA_UNUSED)
{
	static char sink[sizeof(much)];
	ga_future *writer;
	ga_stream *s;
	int fds[2];

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	EXPECT(ga_stream_new(fds[0], &s) == 0);
	writer = ga_spawn(write_much, s);
	EXPECT(ga_sleep(GA_MILLISECONDS(5)) == 0);
	EXPECT(!ga_done(writer));
	while (recv(fds[1], sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
	EXPECT(ga_stream_write(s, "x", 1, SOON) == -EBUSY);
	close(fds[1]);
	EXPECT(ga_await(writer) == -EPIPE);
	ga_release(writer);
	ga_stream_close(s);
	return 0;
}

static void no_bytes_come_between_those_of_a_writer_that_waits(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(between_main, NULL), 0);
}

/* ---- one task inside a call at a time ---- */

/* One end of a pair, and a task that is about to use it, with so much of its turn spent. */
struct inside {
	ga_stream *stream;
	int fd; /* the other end */
	int spent;
	bool reads, begun;
};

static char much_read[200000];

static int use(const void *arg)
{
	struct inside *in = *(struct inside *const *)arg;
	struct ga_event set = { .set = true };

	for (int i = 0; i < in->spent; i++)
		EXPECT(ga_event_wait(&set, GA_NEVER) == 0);
	in->begun = true;
	if (in->reads)
		return ga_stream_read_exactly(in->stream, much_read, sizeof(much_read), SOON);
	return ga_stream_write(in->stream, much, sizeof(much), SOON);
}

/* Whatever a task inside waits for, its turn included: nobody else gets in. */
static int try_to_get_in(struct inside *in)
{
	ga_future *user = ga_spawn(use, &in);
	int64_t r = -EBUSY;
	char c = 'x';

	while (!in->begun)
		EXPECT(ga_sleep(0) == 0);
	for (int turn = 0; r == -EBUSY && !ga_done(user); turn++) {
		r = in->reads ? ga_stream_read(in->stream, &c, 1, 0)
			      : ga_stream_write(in->stream, &c, 1, 0);
		if (turn > 10 && in->reads)
			(void)!send(in->fd, much, 50000, MSG_NOSIGNAL | MSG_DONTWAIT);
		else if (turn > 10)
			(void)!recv(in->fd, much_read, sizeof(much_read), MSG_DONTWAIT);
		EXPECT(ga_sleep(0) == 0);
	}
	if (r != -EBUSY)
		ga_cancel(user);
	EXPECT(ga_await(user) == (r == -EBUSY ? 0 : -ECANCELED));
	ga_release(user);
	EXPECT(r == -EBUSY);
	return 0;
}

static int inside_main(const void *arg)
{
	bool reads = *(const bool *)arg;

	for (int spent = 110; spent <= 130; spent++) {
		struct inside in = { .spent = spent, .reads = reads };
		int fds[2], r;

		EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
		EXPECT(ga_stream_new(fds[0], &in.stream) == 0);
		in.fd = fds[1];
		if (reads)
			EXPECT(send(in.fd, much, 50000, 0) == 50000);
		r = try_to_get_in(&in);
		ga_stream_close(in.stream);
		close(in.fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static void no_bytes_come_between_those_of_a_writer_whose_turn_is_over(void **state GA_UNUSED)
{
	const bool reads = false;

	assert_int_equal(ga_run(inside_main, &reads), 0);
}

static void no_bytes_are_taken_from_a_reader_whose_turn_is_over(void **state GA_UNUSED)
{
	const bool reads = true;

	assert_int_equal(ga_run(inside_main, &reads), 0);
}

/* ---- connecting ---- */

/* A listener whose queue is full: who connects gets no answer. */
struct full {
	int listener, waiting[8], count;
	uint16_t port;
};

static int full_open(struct full *full)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(sa);

	*full = (struct full){ .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	EXPECT(bind(full->listener, (struct sockaddr *)&sa, size) == 0);
	EXPECT(listen(full->listener, 0) == 0);
	EXPECT(getsockname(full->listener, (struct sockaddr *)&sa, &size) == 0);
	full->port = ntohs(sa.sin_port);
	for (; full->count < 8; full->count++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		full->waiting[full->count] = fd;
		(void)!connect(fd, (struct sockaddr *)&sa, size);
	}
	return 0;
}

static void full_close(struct full *full)
{
	while (full->count > 0)
		close(full->waiting[--full->count]);
	close(full->listener);
}

static int connect_to(const void *arg)
{
	const struct full *full = arg;
	ga_stream *s;

	return ga_connect_tcp("127.0.0.1", full->port, GA_NEVER, &s);
}

static int connecting_main(const void *arg GA_UNUSED)
{
	struct full full;
	ga_future *task;
	ga_stream *s;

	EXPECT(full_open(&full) == 0);
	EXPECT(ga_connect_tcp("127.0.0.1", full.port, ga_now() + GA_MILLISECONDS(30), &s) == -ETIMEDOUT);
	task = ga_spawn(connect_to, &full);
	EXPECT(ga_sleep(GA_MILLISECONDS(20)) == 0);
	EXPECT(!ga_done(task));
	EXPECT(ga_cancel(task));
	EXPECT(ga_await(task) == -ECANCELED);
	ga_release(task);
	full_close(&full);
	return 0;
}

static void connecting_to_who_does_not_answer_ends_by_deadline_and_cancel(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(connecting_main, NULL), 0);
}

static int refused_body(struct bench *b)
{
	char path[200];
	ga_stream *s;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	EXPECT(ga_connect_tcp("127.0.0.1", 1, SOON, &s) == -ECONNREFUSED);
	EXPECT(ga_connect_tcp("no such host", 1, SOON, &s) == -EINVAL);
	EXPECT(ga_connect_unix("/nonexistent/socket", SOON, &s) == -ENOENT);
	EXPECT(ga_connect_unix(path, SOON, &s) == -ENAMETOOLONG);
	EXPECT(ga_connect_tcp("localhost", b->port, SOON, &s) == 0);
	ga_stream_close(s);
	return 0;
}

static void connecting_says_why_it_failed_and_knows_localhost(void **state GA_UNUSED)
{
	run_over(OVER_TCP, echo, refused_body);
}

/* A Unix socket's full queue refuses at once: connecting tries again until there is room. */
static int unix_queue_main(const void *arg GA_UNUSED)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char directory[] = "/tmp/test_stream_XXXXXX";
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ga_stream *s[3];

	EXPECT(mkdtemp(directory));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/socket", directory);
	EXPECT(bind(listener, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(listener, 0) == 0);
	EXPECT(ga_connect_unix(sa.sun_path, SOON, &s[0]) == 0);
	EXPECT(ga_connect_unix(sa.sun_path, ga_now() + GA_MILLISECONDS(30), &s[1]) == -ETIMEDOUT);
	close(accept(listener, NULL, NULL));
	EXPECT(ga_connect_unix(sa.sun_path, SOON, &s[1]) == 0);
	ga_stream_close(s[0]);
	ga_stream_close(s[1]);
	close(listener);
	EXPECT(unlink(sa.sun_path) == 0 && rmdir(directory) == 0);
	return 0;
}

static void a_full_unix_queue_makes_connecting_wait(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(unix_queue_main, NULL), 0);
}

/* ---- servers ---- */

static int exchange(struct bench *b)
{
	char data[4];
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write(s, "ping", 4, SOON) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	ga_stream_close(s);
	return 0;
}

static int64_t cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * GA_SECONDS(1) + ts.tv_nsec;
}

/* Clients wait in the kernel's queue while there is no descriptor for them. */
static int emfile_body(struct bench *b)
{
	struct rlimit before, low;
	int lowest;
	int64_t cpu;
	char data[4];
	ga_stream *s;

	EXPECT(exchange(b) == 0);
	lowest = dup(0);
	close(lowest);
	EXPECT(getrlimit(RLIMIT_NOFILE, &before) == 0);
	low = before;
	low.rlim_cur = (rlim_t)lowest + 1;
	EXPECT(setrlimit(RLIMIT_NOFILE, &low) == 0);
	EXPECT(bench_connect(b, &s) == 0); /* which takes the last one */
	EXPECT(ga_stream_write(s, "ping", 4, SOON) == 0);
	cpu = cpu_time();
	EXPECT(ga_stream_read(s, data, 4, ga_now() + GA_MILLISECONDS(400)) == -ETIMEDOUT);
	EXPECT(cpu_time() - cpu < GA_MILLISECONDS(200)); /* it has slept */
	EXPECT(setrlimit(RLIMIT_NOFILE, &before) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	ga_stream_close(s);
	return exchange(b);
}

static void without_descriptors_a_server_waits_and_does_not_spin(void **state GA_UNUSED)
{
	run_over(OVER_TCP, echo, emfile_body);
}

/* As a service manager hands one over: blocking, known to others, its file not ours. */
static int inherited_main(const void *arg GA_UNUSED)
{
	struct bench b = { .transport = OVER_UNIX, .handler = echo };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char directory[] = "/tmp/test_stream_XXXXXX";
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ga_future *task;

	current = &b;
	EXPECT(mkdtemp(directory));
	snprintf(b.path, sizeof(b.path), "%s/socket", directory);
	strcpy(sa.sun_path, b.path);
	EXPECT(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 10) == 0);
	EXPECT(ga_server_new(fd, &b.server) == 0);
	EXPECT(ga_server_fd(b.server) == fd && ga_server_port(b.server) == 0);
	EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK);
	task = ga_spawn(bench_serving, &b);
	EXPECT(exchange(&b) == 0);
	ga_cancel(task);
	EXPECT(ga_await(task) == -ECANCELED);
	ga_release(task);
	ga_server_close(b.server);
	EXPECT(fcntl(fd, F_GETFL) < 0 && errno == EBADF); /* it was the server's */
	EXPECT(access(b.path, F_OK) == 0);                /* this was not */
	EXPECT(unlink(b.path) == 0 && rmdir(directory) == 0);
	return 0;
}

static void an_inherited_listening_socket_serves_and_its_file_is_left(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(inherited_main, NULL), 0);
}

static int no_listener_main(const void *arg GA_UNUSED)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ga_server *server;

	EXPECT(ga_server_new(fd, &server) == 0);
	EXPECT(ga_serve(server, echo, NULL) == -EINVAL); /* and doesn't try for ever */
	ga_server_close(server);
	return 0;
}

static void serving_on_what_does_not_listen_is_an_error(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(no_listener_main, NULL), 0);
}

static int unix_main(struct bench *b)
{
	ga_server *second;

	EXPECT(ga_server_port(b->server) == 0);
	EXPECT(ga_listen_unix(b->path, &second) == -EADDRINUSE);
	return exchange(b);
}

static void a_unix_sockets_path_is_taken_once(void **state GA_UNUSED)
{
	run_over(OVER_UNIX, echo, unix_main);
}

/* Handlers may fail as they like: that is theirs, not the server's. */
static int fails(ga_stream *s GA_UNUSED, const void *arg GA_UNUSED)
{
	return -EIO;
}

static int failing_body(struct bench *b)
{
	char c;
	ga_stream *s;

	for (int i = 0; i < 3; i++) {
		EXPECT(bench_connect(b, &s) == 0);
		EXPECT(ga_stream_read(s, &c, 1, SOON) == 0);
		ga_stream_close(s);
	}
	return 0;
}

static void a_handlers_failure_ends_its_connection_alone(void **state GA_UNUSED)
{
	run_over(OVER_TCP, fails, failing_body);
}

static int bad_main(const void *arg GA_UNUSED)
{
	ga_stream *s;
	ga_server *server;
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	EXPECT(ga_stream_new(-1, &s) == -EBADF);
	EXPECT(ga_server_new(-1, &server) == -EBADF);
	EXPECT(ga_listen_tcp("not an address", 0, &server) == -EINVAL);
	EXPECT(ga_listen_unix(path, &server) == -ENAMETOOLONG);
	ga_stream_close(NULL);
	ga_server_close(NULL);
	return 0;
}

static void bad_arguments_are_errors(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(bad_main, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_is_told_to_reader_and_writer),
		cmocka_unit_test(closing_over_unread_bytes_is_a_reset_for_the_other_side),
		cmocka_unit_test(a_line_longer_than_asked_for_stays_to_be_read),
		cmocka_unit_test(no_bytes_come_between_those_of_a_writer_that_waits),
		cmocka_unit_test(no_bytes_come_between_those_of_a_writer_whose_turn_is_over),
		cmocka_unit_test(no_bytes_are_taken_from_a_reader_whose_turn_is_over),
		cmocka_unit_test(connecting_to_who_does_not_answer_ends_by_deadline_and_cancel),
		cmocka_unit_test(connecting_says_why_it_failed_and_knows_localhost),
		cmocka_unit_test(a_full_unix_queue_makes_connecting_wait),
		cmocka_unit_test(without_descriptors_a_server_waits_and_does_not_spin),
		cmocka_unit_test(an_inherited_listening_socket_serves_and_its_file_is_left),
		cmocka_unit_test(serving_on_what_does_not_listen_is_an_error),
		cmocka_unit_test(a_unix_sockets_path_is_taken_once),
		cmocka_unit_test(a_handlers_failure_ends_its_connection_alone),
		cmocka_unit_test(bad_arguments_are_errors),
	};

	return TAP_RUN(tests);
}
