/*
 * test_http_tls.c — certificates and HTTP/2, against `openssl s_server` and a certificate made for the test.
 */
#include "tap_main.h"

#include "async_check.h"
#include <gather/http.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct tls_rig {
	char directory[32], certificate[64], key[64];
	pid_t pid;
	FILE *out;
	unsigned port;
};

static struct tls_rig rig;

static int run_quietly(char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)!freopen("/dev/null", "w", stderr);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
									       : -1;
}

static int make_certificate(void)
{
	char *argv[] = { (char[]){ "openssl" },
			 (char[]){ "req" },
			 (char[]){ "-x509" },
			 (char[]){ "-newkey" },
			 (char[]){ "ec" },
			 (char[]){ "-pkeyopt" },
			 (char[]){ "ec_paramgen_curve:P-256" },
			 (char[]){ "-nodes" },
			 (char[]){ "-keyout" },
			 rig.key,
			 (char[]){ "-out" },
			 rig.certificate,
			 (char[]){ "-subj" },
			 (char[]){ "/CN=test" },
			 (char[]){ "-addext" },
			 (char[]){ "subjectAltName=IP:127.0.0.1" },
			 NULL };

	return run_quietly(argv);
}

/* s_server says on its output where it listens. */
static int start_server(void)
{
	int fds[2];
	char line[128];

	if (pipe(fds) < 0)
		return -1;
	rig.pid = fork();
	if (rig.pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
		       rig.certificate, "-key", rig.key, "-www", "-naccept", "100", NULL);
		_exit(127);
	}
	close(fds[1]);
	rig.out = fdopen(fds[0], "r");
	while (rig.out && rig.port == 0 && fgets(line, sizeof(line), rig.out))
		(void)sscanf(line, "ACCEPT 127.0.0.1:%u", &rig.port);
	return rig.port ? 0 : -1;
}

static int setup(void **state GA_UNUSED)
{
	rig = (struct tls_rig){ 0 };
	strcpy(rig.directory, "/tmp/test_http_tls_XXXXXX");
	if (!mkdtemp(rig.directory))
		return -1;
	snprintf(rig.certificate, sizeof(rig.certificate), "%s/cert", rig.directory);
	snprintf(rig.key, sizeof(rig.key), "%s/key", rig.directory);
	return make_certificate() == 0 ? start_server() : -1;
}

static int teardown(void **state GA_UNUSED)
{
	kill(rig.pid, SIGKILL);
	waitpid(rig.pid, NULL, 0);
	fclose(rig.out);
	unlink(rig.certificate);
	unlink(rig.key);
	return rmdir(rig.directory);
}

static ga_future *fetch(const char *host, ga_http_client *client, bool insecure)
{
	struct ga_http_request request = { .client = client, .insecure = insecure };
	char url[64];
	ga_future *f;

	snprintf(url, sizeof(url), "https://%s:%u/", host, rig.port);
	request.url = url;
	request.deadline = ga_now() + GA_SECONDS(20);
	f = ga_http_request(&request);
	(void)ga_await(f);
	return f;
}

static int unknown_issuer(const void *arg GA_UNUSED)
{
	ga_future *f = fetch("127.0.0.1", NULL, false);

	EXPECT(ga_result(f, NULL) == -EKEYREJECTED && ga_http_error(f) == GA_HTTP_TLS_FAILED);
	EXPECT(strstr(ga_http_error_text(f), "certificate"));
	ga_release(f);
	f = fetch("127.0.0.1", NULL, true);
	EXPECT(ga_result(f, NULL) == 200 && strstr(ga_http_body(f, NULL), "s_server"));
	ga_release(f);
	/* The handle that took any certificate is used again, and is strict again; so is its connection. */
	f = fetch("127.0.0.1", NULL, false);
	EXPECT(ga_http_error(f) == GA_HTTP_TLS_FAILED);
	ga_release(f);
	return 0;
}

static void an_unknown_issuer_is_refused_unless_asked_otherwise(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(unknown_issuer, NULL), 0);
}

static int own_issuer(const void *arg GA_UNUSED)
{
	const struct ga_http_client_options options = { .allow = "*", .ca_file = rig.certificate };
	ga_http_client *client;
	ga_future *f;

	EXPECT(ga_http_client_new(&options, NULL, 0, &client) == 0);
	f = fetch("127.0.0.1", client, false);
	EXPECT(ga_result(f, NULL) == 200);
	ga_release(f);
	f = fetch("localhost", client, false); /* which the certificate doesn't name */
	EXPECT(ga_http_error(f) == GA_HTTP_TLS_FAILED);
	ga_release(f);
	ga_http_client_free(client);
	return 0;
}

static void a_trusted_certificate_must_name_the_host(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(own_issuer, NULL), 0);
}

static int many(const void *arg GA_UNUSED)
{
	ga_future *f[20];
	char url[64];

	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", rig.port);
	for (int i = 0; i < 20; i++)
		f[i] = ga_http_request(&(struct ga_http_request){ .url = url, .insecure = true });
	EXPECT(ga_gather(f, 20, 0) == 0);
	ga_release_all(f, 20);
	return 0;
}

static void many_requests_at_once_do_not_wait_for_multiplexing_that_is_not_there(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(many, NULL), 0);
}

static int plain_port(const void *arg GA_UNUSED)
{
	char url[64];
	ga_future *f;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", rig.port);
	f = ga_http_get(url);
	EXPECT(ga_await(f) < 0);
	EXPECT(ga_http_error(f) == GA_HTTP_CONNECTION_LOST || ga_http_error(f) == GA_HTTP_PROTOCOL);
	ga_release(f);
	return 0;
}

static void http_to_a_tls_port_is_an_error(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(plain_port, NULL), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unknown_issuer_is_refused_unless_asked_otherwise),
		TEST(a_trusted_certificate_must_name_the_host),
		TEST(many_requests_at_once_do_not_wait_for_multiplexing_that_is_not_there),
		TEST(http_to_a_tls_port_is_an_error),
	};

	return TAP_RUN(tests);
}
