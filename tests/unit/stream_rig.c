/*
 * stream_rig.c — the bench of stream tests.
 */
#include "stream_rig.h"
#include "tls_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct bench *current;

int bench_serving(const void *arg)
{
	const struct bench *b = arg;

	return ga_serve(b->server, b->handler, &b->options);
}

static int prepare_tls(struct bench *b)
{
	const struct ga_tls_options server = { .certificate_file = tls_rig_path("server.pem") };
	const struct ga_tls_options client = { .ca_file = tls_rig_path("ca.pem") };
	char error[256] = "";

	if (!b->options.tls) {
		EXPECT(ga_tls_server_new(&server, error, sizeof(error), &b->server_tls) == 0);
		b->options.tls = b->server_tls;
	}
	EXPECT(ga_tls_client_new(&client, error, sizeof(error), &b->client_tls) == 0);
	return 0;
}

static int prepare(struct bench *b)
{
	if (b->transport == OVER_UNIX) {
		strcpy(b->directory, "/tmp/test_stream_XXXXXX");
		EXPECT(mkdtemp(b->directory));
		snprintf(b->path, sizeof(b->path), "%s/socket", b->directory);
		EXPECT(ga_listen_unix(b->path, &b->server) == 0);
		return 0;
	}
	EXPECT(ga_listen_tcp(NULL, 0, &b->server) == 0);
	b->port = ga_server_port(b->server);
	EXPECT(b->port > 0);
	return b->transport == OVER_TLS ? prepare_tls(b) : 0;
}

static int bench_main(const void *arg)
{
	struct bench *b = (struct bench *)(uintptr_t)arg;
	ga_future *task;
	int r = prepare(b);

	if (r != 0)
		return r;
	task = ga_spawn(bench_serving, b);
	r = b->body(b);
	ga_cancel(task);
	if (ga_await(task) != -ECANCELED && r == 0)
		r = __LINE__;
	if (b->handlers != 0 && r == 0)
		r = __LINE__;
	ga_release(task);
	ga_server_close(b->server);
	ga_tls_free(b->server_tls);
	ga_tls_free(b->client_tls);
	if (b->transport == OVER_UNIX && rmdir(b->directory) < 0 && r == 0) /* the socket's file is gone */
		r = __LINE__;
	return r;
}

int bench_run(enum transport transport, ga_serve_fn handler, int (*body)(struct bench *b),
	      struct ga_serve_options options)
{
	struct bench b = { .transport = transport, .handler = handler, .body = body, .options = options };

	current = &b;
	return ga_run(bench_main, &b);
}

int bench_connect(struct bench *b, ga_stream **ret_stream)
{
	switch (b->transport) {
	case OVER_UNIX:
		return ga_connect_unix(b->path, SOON, ret_stream);
	case OVER_TLS:
		return ga_connect_tls("127.0.0.1", b->port, b->client_tls, SOON, ret_stream);
	default:
		return ga_connect_tcp("127.0.0.1", b->port, SOON, ret_stream);
	}
}

int bench_connect_raw(struct bench *b)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(b->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool local = b->transport == OVER_UNIX;
	int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", b->path);
	r = local ? connect(fd, (struct sockaddr *)&un, sizeof(un))
		  : connect(fd, (struct sockaddr *)&in, sizeof(in));
	if (r == 0)
		return fd;
	close(fd);
	return -1;
}

int echo(ga_stream *s, const void *arg)
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

ga_tls *tls_of(bool server, const struct ga_tls_options *options)
{
	char error[256] = "";
	ga_tls *tls = NULL;
	int r = server ? ga_tls_server_new(options, error, sizeof(error), &tls)
		       : ga_tls_client_new(options, error, sizeof(error), &tls);

	if (r < 0)
		fprintf(stderr, "%s\n", error);
	return tls;
}
