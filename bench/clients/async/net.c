/*
 * net.c — libgather's echo server with a task to each connection, and a client: net echo PORT; net connect PORT COUNT AT_ONCE
 */
#include "timed.h"
#include <gather/stream.h>

static char **words;

static void check(int64_t r)
{
	if (r < 0)
		figures_fail("%s", strerror((int)-r));
}

static int echo(ga_stream *stream, const void *unused)
{
	char data[4096];

	(void)unused;
	for (;;) {
		int64_t n = ga_stream_read(stream, data, sizeof(data), GA_NEVER);
		int r = n > 0 ? ga_stream_write(stream, data, (size_t)n, GA_NEVER) : (int)n;

		if (n <= 0 || r < 0)
			return r;
	}
}

static int serve(const void *unused)
{
	ga_server *server;

	(void)unused;
	check(ga_listen_tcp("127.0.0.1", (uint16_t)atoi(words[2]), &server));
	return ga_serve(server, echo, NULL);
}

static unsigned long each;

static int connect_and_close(const void *unused)
{
	(void)unused;
	for (unsigned long i = 0; i < each; i++) {
		ga_stream *stream;

		check(ga_connect_tcp("127.0.0.1", (uint16_t)atoi(words[2]), GA_NEVER, &stream));
		ga_stream_close(stream);
	}
	return 0;
}

static int connect_all(const void *unused)
{
	unsigned long count = strtoul(words[3], NULL, 10), at_once = strtoul(words[4], NULL, 10);
	ga_future **tasks = malloc(at_once * sizeof(ga_future *));
	int64_t started = figures_now();

	(void)unused;
	each = count / at_once;
	for (unsigned long i = 0; i < at_once; i++)
		tasks[i] = ga_spawn(connect_and_close, NULL);
	check(ga_gather(tasks, at_once, 0));
	timed_print(count, started);
	ga_release_all(tasks, at_once);
	free(tasks);
	return 0;
}

int main(int argc, char **argv)
{
	words = argv;
	if (argc == 3 && strcmp(argv[1], "echo") == 0)
		check(ga_run(serve, NULL));
	else if (argc == 5 && strcmp(argv[1], "connect") == 0)
		check(ga_run(connect_all, NULL));
	else
		figures_fail("usage: net echo PORT | connect PORT COUNT AT_ONCE");
	return 0;
}
