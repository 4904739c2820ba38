/*
 * tls_client.c — ask a web server for a page over TLS, and print its answer as it comes.
 *
 *	tls_client [--ca FILE] HOST PORT [PATH]        FILE: whose certificates are trusted; else the system's
 */
#include <gather/tls.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT GA_SECONDS(20)

struct request {
	const char *ca_file, *host, *port, *path;
};

static int complain(const struct request *r, const char *why)
{
	fprintf(stderr, "tls_client: %s:%s: %s\n", r->host, r->port, why);
	return 1;
}

static int converse(ga_stream *stream, const struct request *request)
{
	char data[16384];
	int n = snprintf(data, sizeof(data), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			 request->path, request->host);
	int64_t got = ga_stream_write(stream, data, (size_t)n, ga_now() + TIMEOUT);

	while (got >= 0) {
		got = ga_stream_read(stream, data, sizeof(data), ga_now() + TIMEOUT);
		if (got == 0)
			return 0; /* an end that was said: nothing is cut off */
		if (got > 0)
			fwrite(data, 1, (size_t)got, stdout);
	}
	return complain(request, ga_tls_error());
}

static int amain(const void *arg)
{
	const struct request *request = arg;
	const struct ga_tls_options options = { .ca_file = request->ca_file, .alpn = "http/1.1" };
	char error[256];
	ga_stream *stream;
	ga_tls *tls;
	int r;

	if (ga_tls_client_new(&options, error, sizeof(error), &tls) < 0)
		return complain(request, error);
	r = ga_connect_tls(request->host, (uint16_t)atoi(request->port), tls, ga_now() + TIMEOUT,
			   &stream);
	ga_tls_free(tls); /* the stream keeps what it needs */
	if (r < 0)
		return complain(request, ga_tls_error());
	fprintf(stderr, "%s, %s\n", ga_stream_tls_version(stream), ga_stream_subject(stream));
	r = converse(stream, request);
	ga_stream_close(stream);
	return r;
}

int main(int argc, char **argv)
{
	struct request request = { .path = "/" };
	int r;

	if (argc > 2 && strcmp(argv[1], "--ca") == 0) {
		request.ca_file = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc < 3 || argc > 4 || strlen(argv[argc - 1]) > 8000) {
		fprintf(stderr, "usage: tls_client [--ca FILE] HOST PORT [PATH]\n");
		return 2;
	}
	request.host = argv[1];
	request.port = argv[2];
	if (argc > 3)
		request.path = argv[3];
	r = ga_run(amain, &request);
	return r < 0 ? complain(&request, strerror(-r)) : r;
}
