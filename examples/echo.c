/*
 * echo.c — a server that sends back what it gets, a task for each connection.
 *
 *	echo [PORT]        listens on 127.0.0.1; no port, or 0: any free one. Says where
 *
 * SIGINT and SIGTERM end it: the connections are cancelled, then closed.
 */
#include <gather/stream.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE GA_SECONDS(60)

static int echo(ga_stream *stream, const void *arg GA_UNUSED)
{
	char data[16384];

	for (;;) {
		int64_t n = ga_stream_read(stream, data, sizeof(data), ga_now() + IDLE);
		int r = n > 0 ? ga_stream_write(stream, data, (size_t)n, ga_now() + IDLE) : (int)n;

		if (n <= 0 || r < 0)
			return r; /* which closes the stream */
	}
}

/* SIGTERM as SIGINT, of which ga_run() takes care: what main waits for ends with -ECANCELED. */
static void on_sigterm(ga_future *signal, void *main)
{
	if (ga_result(signal, NULL) == SIGTERM)
		ga_cancel(main);
}

static int amain(const void *port)
{
	GA_AUTO ga_future *sigterm = ga_signal_future(SIGTERM);
	ga_server *server;
	int r = ga_listen_tcp(NULL, *(const uint16_t *)port, &server);

	if (r < 0)
		return r;
	printf("listening on 127.0.0.1:%u\n", ga_server_port(server));
	fflush(stdout);
	r = ga_on_done(sigterm, on_sigterm, ga_self());
	if (r == 0)
		r = ga_serve(server, echo, NULL);
	ga_cancel(sigterm);
	ga_server_close(server);
	return r == -ECANCELED ? 0 : r;
}

int main(int argc, char **argv)
{
	char *end = NULL;
	long number = argc > 1 ? strtol(argv[1], &end, 10) : 0;
	uint16_t port = (uint16_t)number;
	int r;

	if (argc > 2 || (end && (*end || end == argv[1])) || number < 0 || number > 65535) {
		fprintf(stderr, "usage: echo [PORT]\n");
		return 2;
	}
	r = ga_run(amain, &port);
	if (r < 0)
		fprintf(stderr, "echo: %s\n", strerror(-r));
	return r < 0;
}
