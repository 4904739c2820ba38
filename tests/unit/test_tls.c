/*
 * test_tls.c — who is trusted over TLS, what breaks a connection, and what doesn't break a server.
 */
#include "tap_main.h"

#include "stream_rig.h"
#include "tls_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER(...)                                                                                \
	tls_of(true, &(struct ga_tls_options){ .certificate_file = tls_rig_path("server.pem"),     \
					       __VA_ARGS__ })
#define CLIENT(...) tls_of(false, &(struct ga_tls_options){ __VA_ARGS__ })

static ga_tls *tls_of(bool server, const struct ga_tls_options *options)
{
	char error[256] = "";
	ga_tls *tls = NULL;
	int r = server ? ga_tls_server_new(options, error, sizeof(error), &tls)
		       : ga_tls_client_new(options, error, sizeof(error), &tls);

	if (r < 0)
		fprintf(stderr, "%s\n", error);
	return tls;
}

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

/* ---- certificates ---- */

static char refusal[256]; /* ga_tls_error() of the last one refused */

/* A server shows `file` to a client that trusts ca.pem: what connecting to `host` says. */
static int connect_to_shower_of(const char *file, const char *host)
{
	struct bench b = { .handler = echo };
	ga_tls *client = CLIENT(.ca_file = tls_rig_path("ca.pem"));
	ga_stream *s = NULL;
	ga_future *task;
	int r = ga_listen_tcp(strchr(host, ':') ? "::1" : NULL, 0, &b.server);

	b.options.tls =
		tls_of(true, &(struct ga_tls_options){ .certificate_file = tls_rig_path(file) });
	current = &b;
	EXPECT(r == 0 && client && b.options.tls);
	task = ga_spawn(bench_serving, &b);
	r = ga_connect_tls(host, ga_server_port(b.server), client, SOON, &s);
	snprintf(refusal, sizeof(refusal), "%s", ga_tls_error()); /* the server's refusal will be the next */
	if (r == 0)
		ga_stream_close(s);
	ga_cancel(task);
	(void)ga_await(task);
	ga_release(task);
	ga_server_close(b.server);
	ga_tls_free(b.options.tls);
	ga_tls_free(client);
	return r;
}

#define EXPECT_REFUSED(file, host, text)                                                           \
	do {                                                                                       \
		EXPECT(connect_to_shower_of(file, host) == -EKEYREJECTED);                         \
		EXPECT(strcmp(refusal, text) == 0);                                                \
	} while (0)

static int certificates_main(const void *arg GA_UNUSED)
{
	EXPECT(connect_to_shower_of("server.pem", "localhost") == 0);
	EXPECT(connect_to_shower_of("server.pem", "LOCALHOST.") == 0);
	EXPECT(connect_to_shower_of("server.pem", "127.0.0.1") == 0);
	EXPECT(connect_to_shower_of("server.pem", "::1") == 0);
	EXPECT_REFUSED("other.pem", "localhost", "the certificate is not for localhost");
	EXPECT_REFUSED("other.pem", "127.0.0.1", "the certificate is not for 127.0.0.1");
	EXPECT_REFUSED("expired.pem", "localhost", "the certificate of localhost has expired");
	EXPECT_REFUSED("early.pem", "localhost", "the certificate of localhost is not valid yet");
	EXPECT_REFUSED("self.pem", "localhost",
		       "the certificate of localhost is signed by itself, and not trusted");
	return 0;
}

static void a_certificate_must_be_trusted_and_in_time_and_for_the_host(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(certificates_main, NULL), 0);
}

/* Shake hands on a plain connection, expecting `host`. */
static int upgrade(struct bench *b, ga_tls *client, const char *host)
{
	ga_stream *s;
	int r;

	EXPECT(ga_connect_tcp("127.0.0.1", b->port, SOON, &s) == 0);
	r = ga_stream_start_tls(s, client, host, SOON);
	ga_stream_close(s);
	return r;
}

static int names_body(struct bench *b)
{
	ga_tls *insecure = CLIENT(.insecure = true), *system = tls_of(false, NULL);

	EXPECT(insecure && system);
	EXPECT(upgrade(b, b->client_tls, "a.wild.test") == 0);
	EXPECT(upgrade(b, b->client_tls, "a.b.wild.test") == -EKEYREJECTED);
	EXPECT(upgrade(b, b->client_tls, "wild.test") == -EKEYREJECTED);
	EXPECT(upgrade(b, b->client_tls, "127.0.0.2") == -EKEYREJECTED);
	EXPECT(upgrade(b, b->client_tls, NULL) == -EINVAL);
	EXPECT(upgrade(b, b->client_tls, "") == -EINVAL);
	EXPECT(upgrade(b, insecure, "example.org") == 0);
	EXPECT(upgrade(b, insecure, NULL) == 0);
	EXPECT(upgrade(b, system, "localhost") == -EKEYREJECTED);
	EXPECT(strcmp(ga_tls_error(),
		      "the certificate of localhost is signed by nobody that is trusted") == 0);
	ga_tls_free(insecure);
	ga_tls_free(system);
	return 0;
}

static void wildcards_stand_for_one_label_and_only_insecure_clients_take_all(void **state GA_UNUSED)
{
	run(names_body);
}

static int clients_body(struct bench *b)
{
	ga_tls *alice = CLIENT(.ca_file = tls_rig_path("ca.pem"),
			       .certificate_file = tls_rig_path("alice.pem"));
	ga_tls *stranger = CLIENT(.ca_file = tls_rig_path("ca.pem"),
				  .certificate_file = tls_rig_path("stranger.pem"));
	char data[32] = "";
	ga_stream *s;

	EXPECT(ga_connect_tls("localhost", b->port, alice, SOON, &s) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 8, SOON) == 0 && strcmp(data, "CN=alice") == 0);
	ga_stream_close(s);
	/* By TLS 1.3 a client has shaken hands before the server has seen its certificate: it reads the refusal. */
	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_read(s, data, 8, SOON) == -EKEYREJECTED);
	EXPECT(strcmp(ga_tls_error(), "127.0.0.1 refuses: tlsv13 alert certificate required") == 0);
	EXPECT(ga_stream_read(s, data, 8, SOON) == -EKEYREJECTED); /* again and again */
	EXPECT(ga_stream_write(s, data, 8, SOON) == -EKEYREJECTED);
	EXPECT(ga_stream_shutdown(s) == -EKEYREJECTED);
	ga_stream_close(s);
	EXPECT(ga_connect_tls("localhost", b->port, stranger, SOON, &s) == 0);
	EXPECT(ga_stream_read(s, data, 8, SOON) == -EKEYREJECTED);
	ga_stream_close(s);
	ga_tls_free(alice);
	ga_tls_free(stranger);
	return 0;
}

static int tells_subject(ga_stream *s, const void *arg GA_UNUSED)
{
	const char *subject = ga_stream_subject(s);

	return ga_stream_write(s, subject, strlen(subject), SOON);
}

static void a_server_that_asks_for_certificates_refuses_clients_without_a_trusted_one(void **state GA_UNUSED)
{
	run_with(SERVER(.ca_file = tls_rig_path("ca.pem"), .ask_client_certificate = true),
		 tells_subject, clients_body);
}

static int alpn_body(struct bench *b)
{
	ga_tls *both = CLIENT(.insecure = true, .alpn = "h2,http/1.1");
	ga_tls *other = CLIENT(.insecure = true, .alpn = "smtp");
	ga_stream *s;

	EXPECT(ga_connect_tls("127.0.0.1", b->port, both, SOON, &s) == 0);
	EXPECT(strcmp(ga_stream_alpn(s), "http/1.1") == 0); /* which the server prefers */
	EXPECT(strcmp(ga_stream_tls_version(s), "TLSv1.3") == 0);
	EXPECT(!ga_stream_subject(s)); /* nobody has checked it */
	ga_stream_close(s);
	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(!ga_stream_alpn(s));
	EXPECT(strcmp(ga_stream_subject(s), "CN=localhost") == 0);
	ga_stream_close(s);
	EXPECT(ga_connect_tls("127.0.0.1", b->port, other, SOON, &s) == -EPROTO);
	EXPECT(strstr(ga_tls_error(), "no application protocol"));
	ga_tls_free(both);
	ga_tls_free(other);
	return 0;
}

static void a_protocol_is_agreed_on_by_the_servers_preference(void **state GA_UNUSED)
{
	run_with(SERVER(.alpn = "http/1.1,h2"), echo, alpn_body);
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

/* What `openssl s_client` says of a server, whose user is a shell's `input`. In a thread. */
struct client_run {
	char command[256], out[16384];
};

static int run_client(void *arg)
{
	struct client_run *run = arg;
	FILE *in = popen(run->command, "r");
	size_t n = in ? fread(run->out, 1, sizeof(run->out) - 1, in) : 0;

	run->out[n] = '\0';
	return in ? pclose(in) : -1;
}

static int s_client(struct bench *b, struct client_run *run, const char *input, const char *options)
{
	snprintf(run->command, sizeof(run->command),
		 "(%s; sleep 0.3) | timeout 10 openssl s_client %s -connect 127.0.0.1:%u 2>&1",
		 input, options, b->port);
	GA_AUTO ga_future *f = ga_executor(GA_POOL_IO, run_client, run);
	return ga_await(f);
}

static int renegotiation_body(struct bench *b)
{
	static struct client_run run;

	EXPECT(s_client(b, &run, "echo ping", "-tls1_2") >= 0);
	EXPECT(strstr(run.out, "\nping\n") && strstr(run.out, "Protocol  : TLSv1.2"));
	EXPECT(strstr(run.out, "Compression: NONE"));
	EXPECT(s_client(b, &run, "echo R", "-tls1_2") > 0);
	EXPECT(strstr(run.out, "no renegotiation"));
	EXPECT(s_client(b, &run, ":", "-tls1_1 -cipher ALL:@SECLEVEL=0") > 0);
	EXPECT(strstr(run.out, "alert protocol version"));
	return still_serves(b);
}

static void renegotiation_and_old_versions_are_refused(void **state GA_UNUSED)
{
	run(renegotiation_body);
}

static int key_update_body(struct bench *b)
{
	static struct client_run run;

	EXPECT(s_client(b, &run, "echo K; sleep 0.3; echo ping", "-tls1_3") >= 0);
	EXPECT(strstr(run.out, "KEYUPDATE") && strstr(run.out, "\nping\n"));
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

static void check_error(bool server, struct ga_tls_options options, const char *want)
{
	char error[256] = "";
	ga_tls *tls;
	int r = server ? ga_tls_server_new(&options, error, sizeof(error), &tls)
		       : ga_tls_client_new(&options, error, sizeof(error), &tls);

	assert_int_equal(r, -EINVAL);
	if (!strstr(error, want))
		fail_msg("\"%s\" doesn't have \"%s\"", error, want);
}

static void bad_files_and_options_are_told(void **state GA_UNUSED)
{
	const char *good = tls_rig_path("server.pem"), *other = tls_rig_path("other.pem");
	const char *empty = tls_rig_path("empty.pem");
	ga_tls *tls;

	check_error(false, (struct ga_tls_options){ .ca_file = "/nonexistent" },
		    "no trusted certificates in /nonexistent: No such file");
	check_error(false, (struct ga_tls_options){ .ca_file = empty }, "empty.pem");
	check_error(false, (struct ga_tls_options){ .key_file = good }, "a certificate is needed");
	check_error(true, (struct ga_tls_options){ 0 }, "a certificate is needed");
	check_error(true, (struct ga_tls_options){ .certificate_file = "/nonexistent" },
		    "No such file");
	check_error(true, (struct ga_tls_options){ .certificate_file = good, .key_file = other },
		    "mismatch");
	check_error(true, (struct ga_tls_options){ .certificate_file = good, .key_file = empty },
		    "empty.pem");
	check_error(true,
		    (struct ga_tls_options){ .certificate_file = good,
					     .key_file = tls_rig_path("locked.pem") },
		    "locked.pem");
	check_error(true,
		    (struct ga_tls_options){ .certificate_file = good, .ask_client_certificate = true },
		    "without ca_file");
	check_error(false, (struct ga_tls_options){ .alpn = "h2,,smtp" }, "h2,,smtp");
	assert_int_equal(ga_tls_server_new(NULL, NULL, 0, &tls), -EINVAL);
	ga_tls_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_must_be_trusted_and_in_time_and_for_the_host),
		cmocka_unit_test(wildcards_stand_for_one_label_and_only_insecure_clients_take_all),
		cmocka_unit_test(
			a_server_that_asks_for_certificates_refuses_clients_without_a_trusted_one),
		cmocka_unit_test(a_protocol_is_agreed_on_by_the_servers_preference),
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
		cmocka_unit_test(streams_outlive_the_handle_of_their_tls),
		cmocka_unit_test(bad_files_and_options_are_told),
	};

	return TAP_RUN_WITH(tests, tls_rig_open, tls_rig_close);
}
