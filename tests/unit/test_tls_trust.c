/*
 * test_tls_trust.c — who is trusted over TLS, and what is agreed on.
 */
#include "tap_main.h"

#include "stream_rig.h"
#include "tls_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	ga_tls *careless = CLIENT(.insecure = true), *system = tls_of(false, NULL);

	EXPECT(careless && system);
	EXPECT(upgrade(b, b->client_tls, "a.wild.test") == 0);
	EXPECT(upgrade(b, b->client_tls, "a.b.wild.test") == -EKEYREJECTED);
	EXPECT(upgrade(b, b->client_tls, "wild.test") == -EKEYREJECTED);
	EXPECT(upgrade(b, b->client_tls, "127.0.0.2") == -EKEYREJECTED);
	EXPECT(upgrade(b, b->client_tls, NULL) == -EINVAL);
	EXPECT(upgrade(b, b->client_tls, "") == -EINVAL);
	EXPECT(upgrade(b, careless, "example.org") == 0);
	EXPECT(upgrade(b, careless, NULL) == 0);
	EXPECT(upgrade(b, system, "localhost") == -EKEYREJECTED);
	EXPECT(strcmp(ga_tls_error(),
		      "the certificate of localhost is signed by nobody that is trusted") == 0);
	ga_tls_free(careless);
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

/* ---- options ---- */

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
		cmocka_unit_test(bad_files_and_options_are_told),
	};

	return TAP_RUN_WITH(tests, tls_rig_open, tls_rig_close);
}
