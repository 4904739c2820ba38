/*
 * pipeline.c — programs connected by pipes, as a shell does it: each stage's output is the next one's input.
 *
 *	pipeline 'seq 100000' 'sort -r' 'tail -n 3'
 *
 * Prints what the last stage wrote and how each one ended. Exits with 1 if one failed, with 130 on Ctrl-C.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2, strsep */
#endif
#include <gather/process.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAGES_MAX 16
#define WORDS_MAX 32
#define OUTPUT_MAX ((size_t)1 << 20)

struct pipeline {
	char **commands;
	int count, started;
	ga_process *stages[STAGES_MAX];
	ga_future *ends[STAGES_MAX];
};

/* Whatever came between, no stage outlives this. */
static void pipeline_done(struct pipeline *p)
{
	for (int i = 0; i < p->started; i++) {
		ga_release(p->ends[i]);
		ga_process_free(p->stages[i]);
	}
}

static int start_stage(struct pipeline *p, const struct ga_process_options *options)
{
	char *command = strdup(p->commands[p->started]), *rest = command, *word;
	const char *argv[WORDS_MAX + 1] = { NULL };
	int words = 0, r;

	if (!command)
		return -ENOMEM;
	while (words < WORDS_MAX && (word = strsep(&rest, " ")) != NULL)
		if (*word)
			argv[words++] = word;
	r = ga_process_start(argv, options, &p->stages[p->started]);
	if (r == 0) {
		p->ends[p->started] = ga_process_future(p->stages[p->started]);
		p->started++;
	} else {
		fprintf(stderr, "pipeline: %s: %s\n", p->commands[p->started], strerror(-r));
	}
	free(command);
	return r;
}

/* The pipes between two stages belong to them alone: we only read what the last one writes. */
static int start_all(struct pipeline *p)
{
	int r = 0, input = -1;

	while (r == 0 && p->started < p->count) {
		struct ga_process_options o = { .in = GA_STDIO_NULL, .out = GA_STDIO_PIPE };
		int between[2] = { -1, -1 };

		if (input >= 0) {
			o.in = GA_STDIO_FD;
			o.in_fd = input;
		}
		if (p->started < p->count - 1) {
			if (pipe2(between, O_CLOEXEC) < 0)
				r = -errno;
			o.out = GA_STDIO_FD;
			o.out_fd = between[1];
		}
		if (r == 0)
			r = start_stage(p, &o);
		if (input >= 0)
			close(input);
		if (between[1] >= 0)
			close(between[1]); /* else the next stage would never read its end */
		input = between[0];
	}
	if (input >= 0)
		close(input);
	return r;
}

static int report(const struct pipeline *p)
{
	int failed = 0;

	for (int i = 0; i < p->count; i++) {
		int status = ga_result(p->ends[i], NULL);

		if (GA_SIGNALLED(status))
			fprintf(stderr, "%s: killed by signal %d\n", p->commands[i],
				GA_SIGNALLED(status));
		else if (status < 0)
			fprintf(stderr, "%s: %s\n", p->commands[i], strerror(-status));
		else
			fprintf(stderr, "%s: exit status %d\n", p->commands[i], status);
		failed += status != 0;
	}
	return failed > 0;
}

static int amain(const void *arg)
{
	__attribute__((cleanup(pipeline_done))) struct pipeline p = *(const struct pipeline *)arg;
	struct ga_output output;
	int r = start_all(&p);

	if (r < 0)
		return 1;
	r = ga_process_communicate(p.stages[p.count - 1], NULL, 0, OUTPUT_MAX, GA_NEVER, &output, NULL);
	if (r >= 0) {
		fwrite(output.data, 1, output.size, stdout);
		if (output.cut)
			fprintf(stderr, "pipeline: only the first MiB is shown\n");
		ga_output_free(&output);
		r = ga_gather(p.ends, (size_t)p.count, 0);
	}
	if (r == -ECANCELED)
		return 130;
	return r < 0 ? 1 : report(&p);
}

int main(int argc, char **argv)
{
	const struct pipeline p = { .commands = argv + 1, .count = argc - 1 };

	if (argc < 2 || argc - 1 > STAGES_MAX) {
		fprintf(stderr, "usage: pipeline COMMAND... (at most %d)\n", STAGES_MAX);
		return 2;
	}
	return ga_run(amain, &p);
}
