/*
 * test_http2.c — HTTP/2 against nginx: one connection for many requests, and what breaks one of them alone.
 */
#include "tap_main.h"

#include "async_check.h"
#include "tls_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gather/http.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON (ga_now() + GA_SECONDS(20))
#define BIG (4u << 20)

static struct {
	pid_t pid;
	uint16_t port;
	char directory[32];
} nginx;

static const char *in_directory(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", nginx.directory, name);
	return path;
}

/* Each answer says how it was asked for and on which connection. */
/* Paths are relative to the prefix, nginx's -p. */
static int write_conf(void)
{
	FILE *out = fopen(in_directory("conf"), "w");

	if (!out)
		return -1;
	fprintf(out,
		"%s daemon off; worker_processes 1; pid pid; error_log log;\n"
		"events { worker_connections 512; }\n"
		"http {\n"
		"	access_log off; client_body_temp_path body; proxy_temp_path proxy;\n"
		"	fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
		"	keepalive_requests 60; root root; client_max_body_size 1m;\n"
		"	server {\n"
		"		listen 127.0.0.1:%u ssl http2;\n"
		"		ssl_certificate \"%s\";\n",
		geteuid() == 0 ? "user root;" : "", nginx.port, tls_rig_path("server.pem"));
	fprintf(out,
		"		ssl_certificate_key \"%s\";\n"
		"		location / { return 200 \"$server_protocol $connection $request_method $request_uri\"; }\n"
		"		location /big { }\n"
		"		location /slow { limit_rate 1k; alias root/big; }\n"
		"	}\n"
		"}\n",
		tls_rig_path("server.pem"));
	return fclose(out) == 0 ? 0 : -1;
}

static int write_big(void)
{
	FILE *out = fopen(in_directory("root/big"), "w");
	int sized;

	if (!out)
		return -1;
	sized = ftruncate(fileno(out), BIG);
	return fclose(out) == 0 && sized == 0 ? 0 : -1;
}

static int write_files(void)
{
	return write_conf() < 0 || mkdir(in_directory("root"), 0700) < 0 ? -1 : write_big();
}

/* nginx takes a listening socket over as from its former self: nobody can take the port in between. */
static int start_nginx(int listener)
{
	nginx.pid = fork();
	if (nginx.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* its worker ends with it */
		(void)!freopen(in_directory("stderr"), "w", stderr);
		if (dup2(listener, 3) == 3) {
			setenv("NGINX", "3;", 1);
			execl("/usr/sbin/nginx", "nginx", "-c", in_directory("conf"), "-p",
			      nginx.directory, NULL);
			execlp("nginx", "nginx", "-c", in_directory("conf"), "-p", nginx.directory,
			       NULL);
		}
		_exit(127);
	}
	return nginx.pid < 0 ? -1 : 0;
}

static int rig_open(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0), r;

	strcpy(nginx.directory, "/tmp/test_http2_XXXXXX");
	if (tls_rig_open(state) < 0 || !mkdtemp(nginx.directory) ||
	    bind(listener, (struct sockaddr *)&sa, size) < 0 || listen(listener, 100) < 0 ||
	    getsockname(listener, (struct sockaddr *)&sa, &size) < 0)
		return -1;
	nginx.port = ntohs(sa.sin_port);
	r = write_files();
	if (r == 0)
		r = start_nginx(listener);
	close(listener);
	return r;
}

static int rig_close(void **state)
{
	char command[64];

	kill(nginx.pid, SIGTERM);
	waitpid(nginx.pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -r %s", nginx.directory);
	return system(command) == 0 ? tls_rig_close(state) : -1;
}

/* ---- requests ---- */

static ga_http_client *client;

static ga_future *ask(const char *path, struct ga_http_request request)
{
	char url[128];

	snprintf(url, sizeof(url), "https://localhost:%u%s", nginx.port, path);
	request.url = url;
	request.client = client;
	if (!request.deadline)
		request.deadline = SOON;
	return ga_http_request(&request);
}

#define ASK(path, ...) ask(path, (struct ga_http_request){ __VA_ARGS__ })

static int main_with_client(const void *arg)
{
	const struct ga_http_client_options options = { .allow = "*",
							.ca_file = tls_rig_path("ca.pem") };
	int (*const *body)(void) = arg;
	int r;

	EXPECT(ga_http_client_new(&options, NULL, 0, &client) == 0);
	r = (*body)();
	ga_http_client_free(client);
	return r;
}

static void run(int (*body)(void))
{
	assert_int_equal(ga_run(main_with_client, &body), 0);
}

/* The number of the connection that an answer came over; -1: it isn't HTTP/2's. */
static long connection_of(ga_future *f)
{
	const char *body = ga_http_body(f, NULL);
	long number;

	return body && sscanf(body, "HTTP/2.0 %ld ", &number) == 1 ? number : -1;
}

static int many_body(void)
{
	enum { COUNT = 50 };
	ga_future *f[COUNT];
	char path[32], want[48];
	long connection;

	for (int i = 0; i < COUNT; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		f[i] = ASK(path, .method = "GET");
	}
	EXPECT(ga_gather(f, COUNT, 0) == 0);
	connection = connection_of(f[0]);
	EXPECT(connection > 0);
	for (int i = 0; i < COUNT; i++) {
		EXPECT(ga_result(f[i], NULL) == 200 && connection_of(f[i]) == connection);
		snprintf(want, sizeof(want), " GET /%d", i);
		EXPECT(strstr(ga_http_body(f[i], NULL), want));
	}
	ga_release_all(f, COUNT);
	return 0;
}

static void fifty_requests_at_once_share_one_connection(void **state GA_UNUSED)
{
	run(many_body);
}

/* The server ends each connection after 60 requests, by GOAWAY: what comes late is asked again elsewhere. */
static int goaway_body(void)
{
	enum { COUNT = 300 };
	ga_future *f[COUNT];

	for (int i = 0; i < COUNT; i++)
		f[i] = ASK("/", .method = "GET");
	EXPECT(ga_gather(f, COUNT, 0) == 0);
	for (int i = 0; i < COUNT; i++)
		EXPECT(ga_result(f[i], NULL) == 200 && connection_of(f[i]) > 0);
	ga_release_all(f, COUNT);
	return 0;
}

static void a_server_that_goes_away_between_requests_loses_none(void **state GA_UNUSED)
{
	run(goaway_body);
}

static int http1_body(void)
{
	GA_AUTO ga_future *f = ASK("/", .http1 = true);

	EXPECT(ga_await(f) == 200);
	EXPECT(strncmp(ga_http_body(f, NULL), "HTTP/1.1 ", 9) == 0);
	return 0;
}

static void http1_is_spoken_where_it_is_asked_for(void **state GA_UNUSED)
{
	run(http1_body);
}

/* One of them stays open while others come and go on the same connection. */
static int alone_body(void)
{
	GA_AUTO ga_future *slow = ASK("/slow", .max_body = BIG), *other = NULL, *timed = NULL;
	GA_AUTO ga_future *large = NULL, *last = NULL;
	char post[100] = "";
	long connection;

	other = ASK("/", .body = post, .body_bytes = sizeof(post));
	EXPECT(ga_await(other) == 200);
	EXPECT(strstr(ga_http_body(other, NULL), " POST /"));
	connection = connection_of(other);
	EXPECT(connection > 0);
	timed = ASK("/slow", .max_body = BIG, .deadline = ga_now() + GA_MILLISECONDS(200));
	EXPECT(ga_await(timed) == -ETIMEDOUT);
	large = ASK("/big", .max_body = 100000);
	EXPECT(ga_await(large) == -EFBIG);
	EXPECT(!ga_done(slow));
	EXPECT(ga_cancel(slow));
	EXPECT(ga_await(slow) == -ECANCELED);
	last = ASK("/big", .max_body = BIG);
	EXPECT(ga_await(last) == 200);
	{
		size_t size;

		EXPECT(ga_http_body(last, &size) && size == BIG);
	}
	ga_release(other);
	other = ASK("/", .method = "DELETE");
	EXPECT(ga_await(other) == 200);
	EXPECT(connection_of(other) == connection); /* all that was one connection's */
	return 0;
}

static void a_request_that_ends_early_leaves_the_connection_to_the_others(void **state GA_UNUSED)
{
	run(alone_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifty_requests_at_once_share_one_connection),
		cmocka_unit_test(a_server_that_goes_away_between_requests_loses_none),
		cmocka_unit_test(http1_is_spoken_where_it_is_asked_for),
		cmocka_unit_test(a_request_that_ends_early_leaves_the_connection_to_the_others),
	};

	return TAP_RUN_WITH(tests, rig_open, rig_close);
}
