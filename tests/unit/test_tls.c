/*
 * test_tls.c — what breaks a TLS connection, and what doesn't break a server.
 */
#include "tap_main.h"

#include "stream_rig.h"
#include "tls_rig.h"

#include <errno.h>
#include <gather/process.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* tls: the server's, given back here; NULL: one that shows server.pem */
static void run_with(ga_tls *tls, ga_serve_fn handler, int (*body)(struct bench *b))
{
	const struct ga_serve_options options = { .tls = tls };

	assert_int_equal(bench_run(OVER_TLS, handler, body, options), 0);
	ga_tls_free(tls);
}

static void run(int (*body)(struct bench *b))
{
	run_with(NULL, echo, body);
}

/* One exchange over a new connection. */
static int still_serves(struct bench *b)
{
	char data[4];
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write(s, "ping", 4, SOON) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	ga_stream_close(s);
	return 0;
}

/* ---- what is no TLS ---- */

static int cut(ga_stream *s, const void *arg GA_UNUSED)
{
	int r = ga_stream_write(s, "part", 4, SOON);

	return shutdown(ga_stream_fd(s), SHUT_RDWR) < 0 ? -errno : r;
}

static int cut_body(struct bench *b)
{
	char data[8], *line;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 8, SOON) == -ECONNRESET);
	EXPECT(strcmp(ga_tls_error(), "the connection was closed without TLS's good-bye") == 0);
	EXPECT(ga_stream_read_until(s, "\n", 8, SOON, &line) == -ECONNRESET);
	EXPECT(ga_stream_read(s, data, 8, SOON) == 4 && !memcmp(data, "part", 4)); /* what came stays */
	EXPECT(ga_stream_read(s, data, 8, SOON) == -ECONNRESET);
	ga_stream_close(s);
	return 0;
}

static void an_end_without_close_notify_is_no_end(void **state GA_UNUSED)
{
	run_with(NULL, cut, cut_body);
}

/* Says something in the clear, and then starts TLS: *arg is the server's. */
static int upgrades(ga_stream *s, const void *arg)
{
	ga_tls *tls = (ga_tls *)(uintptr_t)arg;
	char *line;
	int r;

	EXPECT(ga_stream_read_until(s, "\n", 100, SOON, &line) == 9);
	EXPECT(ga_stream_write(s, "go ahead\n", 9, SOON) == 0);
	r = ga_stream_start_tls(s, tls, NULL, SOON);
	return r < 0 ? r : echo(s, NULL);
}

static int starttls_body(struct bench *b)
{
	char data[4], *line;
	ga_stream *s;

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	EXPECT(ga_stream_write(s, "STARTTLS\n", 9, SOON) == 0);
	EXPECT(ga_stream_read_until(s, "\n", 100, SOON, &line) == 9);
	EXPECT(ga_stream_start_tls(s, b->client_tls, "localhost", SOON) == 0);
	EXPECT(ga_stream_start_tls(s, b->client_tls, "localhost", SOON) == -EALREADY);
	EXPECT(ga_stream_write(s, "ping", 4, SOON) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	ga_stream_close(s);
	return 0;
}

static int injects(ga_stream *s, const void *arg GA_UNUSED)
{
	char *line;

	EXPECT(ga_stream_read_until(s, "\n", 100, SOON, &line) == 9);
	EXPECT(ga_stream_write(s, "go ahead\nand take this\n", 23, SOON) == 0);
	return (int)ga_stream_read(s, line, 1, SOON);
}

static int injection_body(struct bench *b)
{
	ga_stream *s;
	char *line;

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	EXPECT(ga_stream_write(s, "STARTTLS\n", 9, SOON) == 0);
	EXPECT(ga_stream_read_until(s, "\n", 100, SOON, &line) == 9);
	EXPECT(ga_stream_start_tls(s, b->client_tls, "localhost", SOON) == -EPROTO);
	EXPECT(strcmp(ga_tls_error(), "bytes were sent ahead of TLS") == 0);
	ga_stream_close(s);
	return 0;
}

static int starttls_with_tls(struct bench *b)
{
	b->client_tls = CLIENT(.ca_file = tls_rig_path("ca.pem"));
	return b->handler == injects ? injection_body(b) : starttls_body(b);
}

static void a_plain_stream_becomes_tls_in_both_roles(void **state GA_UNUSED)
{
	ga_tls *server = SERVER(.key_file = tls_rig_path("server.pem"));
	const struct ga_serve_options options = { .arg = server };

	assert_int_equal(bench_run(OVER_TCP, upgrades, starttls_with_tls, options), 0);
	ga_tls_free(server);
}

static void what_was_sent_ahead_of_start_tls_is_refused(void **state GA_UNUSED)
{
	assert_int_equal(
		bench_run(OVER_TCP, injects, starttls_with_tls, (struct ga_serve_options){ 0 }), 0);
}

static int plain_body(struct bench *b)
{
	ga_tls *client = CLIENT(.insecure = true);
	ga_stream *s;

	EXPECT(ga_connect_tls("127.0.0.1", b->port, client, SOON, &s) == -EPROTO);
	EXPECT(strcmp(ga_tls_error(), "127.0.0.1 doesn't speak TLS (wrong version number)") == 0);
	EXPECT(ga_connect_tls("127.0.0.1", 1, client, SOON, &s) == -ECONNREFUSED);
	EXPECT(ga_connect_tls("no such host", 1, client, SOON, &s) == -EINVAL);
	ga_tls_free(client);
	return 0;
}

static int greets(ga_stream *s, const void *arg GA_UNUSED)
{
	char c;
	int r = ga_stream_write(s, "220 welcome to plain text\r\n", 27, SOON);

	return r < 0 ? r : (int)ga_stream_read(s, &c, 1, SOON);
}

static void a_server_that_speaks_no_tls_is_said_to(void **state GA_UNUSED)
{
	assert_int_equal(bench_run(OVER_TCP, greets, plain_body, (struct ga_serve_options){ 0 }), 0);
}

static int never_answers(ga_stream *s GA_UNUSED, const void *arg GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(60));
}

struct connecting {
	struct bench *bench;
	ga_tls *tls;
};

static int connect_and_wait(const void *arg)
{
	const struct connecting *c = arg;
	ga_stream *s;

	return ga_connect_tls("127.0.0.1", c->bench->port, c->tls, SOON, &s);
}

static int silent_body(struct bench *b)
{
	struct connecting c = { b, CLIENT(.insecure = true) };
	ga_future *task;
	ga_stream *s;
	char data;

	EXPECT(ga_connect_tls("127.0.0.1", b->port, c.tls, ga_now() + GA_MILLISECONDS(30), &s) ==
	       -ETIMEDOUT);
	task = ga_spawn(connect_and_wait, &c);
	EXPECT(ga_sleep(GA_MILLISECONDS(30)) == 0);
	EXPECT(ga_cancel(task));
	EXPECT(ga_await(task) == -ECANCELED);
	ga_release(task);
	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	EXPECT(ga_stream_start_tls(s, c.tls, NULL, ga_now() + GA_MILLISECONDS(30)) == -ETIMEDOUT);
	EXPECT(ga_stream_read(s, &data, 1, SOON) == -ENOTCONN); /* half a handshake is no connection */
	EXPECT(ga_stream_write(s, "x", 1, SOON) == -ENOTCONN);
	ga_stream_close(s);
	ga_tls_free(c.tls);
	return 0;
}

static void a_handshake_ends_at_its_deadline_or_by_a_cancel(void **state GA_UNUSED)
{
	assert_int_equal(
		bench_run(OVER_TCP, never_answers, silent_body, (struct ga_serve_options){ 0 }), 0);
}

/* ---- servers ---- */

/* Each of these ends before or after it has been answered; the server must not care. */
static int nuisances_body(struct bench *b)
{
	static const char *const said[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02",
					    "", "\x16\x03\x01\xff\xff\x01", "\0\0\0\0\0\0\0\0\0\0" };

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		int fd = bench_connect_raw(b);

		EXPECT(fd >= 0);
		EXPECT(send(fd, said[i], i == 4 ? 10 : strlen(said[i]), MSG_NOSIGNAL) >= 0);
		EXPECT(still_serves(b) == 0);
		close(fd);
		EXPECT(still_serves(b) == 0);
	}
	EXPECT(b->handlers_max == 1);
	return 0;
}

static void who_fails_to_shake_hands_does_not_disturb_the_others(void **state GA_UNUSED)
{
	run(nuisances_body);
}

static int slow_body(struct bench *b)
{
	ga_stream *s;
	char data[8];

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	EXPECT(ga_stream_read(s, data, 8, SOON) == 0); /* dropped */
	ga_stream_close(s);
	return 0;
}

static void who_does_not_shake_hands_in_time_is_dropped(void **state GA_UNUSED)
{
	const struct ga_serve_options options = { .handshake_timeout_ns = GA_MILLISECONDS(20) };

	assert_int_equal(bench_run(OVER_TLS, echo, slow_body, options), 0);
}

/* `openssl s_client`, to be told a line at a time. */
struct foreign_client {
	ga_process *process;
	char said[16384];
	size_t size;
};

static int foreign_start(struct bench *b, const char *options, struct foreign_client *client)
{
	const struct ga_process_options pipes = { .in = GA_STDIO_PIPE,
						  .out = GA_STDIO_PIPE,
						  .err = GA_STDIO_TO_STDOUT };
	char command[256];
	const char *const argv[] = { "sh", "-c", command, NULL };

	snprintf(command, sizeof(command), "exec openssl s_client %s -connect 127.0.0.1:%u",
		 options, b->port);
	client->size = 0;
	return ga_process_start(argv, &pipes, &client->process);
}

/* 0 once it has said this; -ENODATA: it has ended without. */
static int foreign_says(struct foreign_client *c, const char *text)
{
	for (;;) {
		int64_t n;

		c->said[c->size] = '\0';
		if (strstr(c->said, text))
			return 0;
		n = ga_stream_read(ga_process_stdout(c->process), c->said + c->size,
				   sizeof(c->said) - 1 - c->size, SOON);
		if (n <= 0)
			return n < 0 ? (int)n : -ENODATA;
		c->size += (size_t)n;
	}
}

static int foreign_told(struct foreign_client *c, const char *line)
{
	return ga_stream_write(ga_process_stdin(c->process), line, strlen(line), SOON);
}

static int renegotiation_body(struct bench *b)
{
	static struct foreign_client c;

	EXPECT(foreign_start(b, "-tls1_2", &c) == 0);
	EXPECT(foreign_told(&c, "ping\n") == 0);
	EXPECT(foreign_says(&c, "\nping\n") == 0 && foreign_says(&c, "Protocol  : TLSv1.2") == 0);
	EXPECT(foreign_says(&c, "Compression: NONE") == 0);
	EXPECT(foreign_told(&c, "R\n") == 0);
	EXPECT(foreign_says(&c, "no renegotiation") == 0);
	EXPECT(ga_process_wait(c.process, SOON) > 0);
	ga_process_free(c.process);
	EXPECT(foreign_start(b, "-tls1_1 -cipher ALL:@SECLEVEL=0", &c) == 0);
	EXPECT(foreign_says(&c, "alert protocol version") == 0);
	ga_process_free(c.process);
	return still_serves(b);
}

static void renegotiation_and_old_versions_are_refused(void **state GA_UNUSED)
{
	run(renegotiation_body);
}

static int key_update_body(struct bench *b)
{
	static struct foreign_client c;

	EXPECT(foreign_start(b, "-tls1_3", &c) == 0);
	EXPECT(foreign_told(&c, "K\n") == 0 && foreign_says(&c, "KEYUPDATE") == 0);
	EXPECT(foreign_told(&c, "ping\n") == 0 && foreign_says(&c, "\nping\n") == 0);
	ga_process_free(c.process);
	return 0;
}

static void new_keys_in_between_are_taken(void **state GA_UNUSED)
{
	run(key_update_body);
}

static int wrong_role_body(struct bench *b)
{
	const struct ga_serve_options options = { .tls = b->client_tls };
	ga_stream *s;

	EXPECT(ga_serve(b->server, echo, &options) == -EINVAL);
	EXPECT(ga_connect_tls("localhost", b->port, b->server_tls, SOON, &s) == -EINVAL);
	return 0;
}

static void a_clients_tls_serves_not_and_a_servers_connects_not(void **state GA_UNUSED)
{
	run(wrong_role_body);
}

/* ---- ends ---- */

static int64_t counted; /* bytes; negative: how it ended instead */
static bool may_read;

static int counts(ga_stream *s, const void *arg GA_UNUSED)
{
	static char data[65536];
	int64_t n;

	counted = 0;
	while (!may_read)
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	while ((n = ga_stream_read(s, data, sizeof(data), SOON)) > 0)
		counted += n;
	if (n < 0)
		counted = n;
	return 0;
}

static char much[8 << 20];

/* Once the server gets no more, it has whole blocks. */
static int whole_blocks(void)
{
	int64_t before;

	do {
		before = counted;
		EXPECT(ga_sleep(GA_MILLISECONDS(30)) == 0);
	} while (counted != before || counted == 0);
	EXPECT(counted > 0 && counted % 65536 == 0);
	return 0;
}

static int given_up_body(struct bench *b)
{
	ga_stream *s;
	int r;

	may_read = false;
	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write(s, much, sizeof(much), ga_now() + GA_MILLISECONDS(50)) == -ETIMEDOUT);
	may_read = true;
	r = whole_blocks();
	ga_stream_close(s);
	return r;
}

static void what_a_write_had_encrypted_is_sent_though_it_was_given_up(void **state GA_UNUSED)
{
	run_with(NULL, counts, given_up_body);
}

/* The server's tickets lie unread: closing over them would reset the connection. */
static int unread_body(struct bench *b)
{
	ga_stream *s;

	may_read = false;
	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_sleep(GA_MILLISECONDS(20)) == 0);
	EXPECT(ga_stream_write(s, much, 100000, SOON) == 0);
	ga_stream_close(s);
	EXPECT(ga_sleep(GA_MILLISECONDS(20)) == 0);
	may_read = true;
	for (int i = 0; i < 2000 && counted >= 0 && counted < 100000; i++)
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	EXPECT(counted == 100000);
	return 0;
}

static void closing_without_having_read_loses_nothing_that_was_written(void **state GA_UNUSED)
{
	run_with(NULL, counts, unread_body);
}

/* ---- lives ---- */

static int lives_body(struct bench *b)
{
	ga_stream *s, *unsaid;
	char data[4];

	EXPECT(bench_connect(b, &unsaid) == 0);
	EXPECT(bench_connect(b, &s) == 0);
	ga_tls_free(b->client_tls);
	b->client_tls = NULL;
	EXPECT(ga_stream_write(s, "ping", 4, SOON) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	ga_stream_close(s);
	EXPECT(ga_stream_shutdown(unsaid) == 0);
	EXPECT(ga_stream_shutdown(unsaid) == 0);
	ga_stream_close(unsaid); /* before its good-bye was sent */
	return 0;
}

static void streams_outlive_the_handle_of_their_tls(void **state GA_UNUSED)
{
	run(lives_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_end_without_close_notify_is_no_end),
		cmocka_unit_test(a_plain_stream_becomes_tls_in_both_roles),
		cmocka_unit_test(what_was_sent_ahead_of_start_tls_is_refused),
		cmocka_unit_test(a_server_that_speaks_no_tls_is_said_to),
		cmocka_unit_test(a_handshake_ends_at_its_deadline_or_by_a_cancel),
		cmocka_unit_test(who_fails_to_shake_hands_does_not_disturb_the_others),
		cmocka_unit_test(who_does_not_shake_hands_in_time_is_dropped),
		cmocka_unit_test(renegotiation_and_old_versions_are_refused),
		cmocka_unit_test(new_keys_in_between_are_taken),
		cmocka_unit_test(a_clients_tls_serves_not_and_a_servers_connects_not),
		cmocka_unit_test(what_a_write_had_encrypted_is_sent_though_it_was_given_up),
		cmocka_unit_test(closing_without_having_read_loses_nothing_that_was_written),
		cmocka_unit_test(streams_outlive_the_handle_of_their_tls),
	};

	return TAP_RUN_WITH(tests, tls_rig_open, tls_rig_close);
}
