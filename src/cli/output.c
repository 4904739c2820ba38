#include "output.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_BYTES ((size_t)64 << 10)

/* A process has one standard output: so this is one object, set up once. */
static struct {
	struct strbuf out;
	bool out_terminal, waited_for, colours, progress, progress_shown;
	int failed;
} streams;

void output_start(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool dumb = term && strcmp(term, "dumb") == 0;
	struct stat s;

	streams.out_terminal = isatty(STDOUT_FILENO);
	streams.waited_for = streams.out_terminal || (fstat(STDOUT_FILENO, &s) == 0 &&
						      (S_ISFIFO(s.st_mode) || S_ISSOCK(s.st_mode)));
	streams.colours = streams.out_terminal && !(no_color && *no_color) && !dumb;
	streams.progress = isatty(STDERR_FILENO) && !dumb;
}

struct strbuf *output(void)
{
	return &streams.out;
}

void output_check(void)
{
	if (streams.out.size >= FLUSH_BYTES)
		output_flush();
}

bool write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		/* Whoever shares the terminal or pipe may have made it non-blocking. */
		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			(void)poll(&p, 1, -1);
			continue;
		}
		if (n < 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

void output_flush(void)
{
	if (streams.out.size == 0)
		return;
	if (streams.out_terminal)
		progress_line("");
	if (!streams.failed && !write_all(STDOUT_FILENO, streams.out.data, streams.out.size))
		streams.failed = errno;
	streams.out.size = 0;
}

bool output_is_waited_for(void)
{
	return streams.waited_for;
}

bool output_is_terminal(void)
{
	return streams.out_terminal;
}

int output_failed(void)
{
	return streams.failed;
}

void error_put(const char *data, size_t size)
{
	output_flush();
	progress_line("");
	/* Nobody is left to be told that standard error doesn't work. */
	(void)write_all(STDERR_FILENO, data, size);
}

void say(const char *format, ...)
{
	struct strbuf line = { 0 };
	char text[1024];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	sb_printf(&line, "gather: %s\n", text);
	error_put(line.data, line.size);
	sb_free(&line);
}

bool progress_possible(void)
{
	return streams.progress;
}

unsigned progress_width(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

void progress_line(const char *text)
{
	struct strbuf line = { 0 };

	if (!streams.progress || (!*text && !streams.progress_shown))
		return;
	sb_printf(&line, "\r%s\033[K", text);
	(void)write_all(STDERR_FILENO, line.data, line.size);
	streams.progress_shown = *text;
	sb_free(&line);
}

void put_coloured(struct strbuf *out, const char *word, const char *state)
{
	static const struct {
		const char *state, *code;
	} colours[] = { { "succeeded", "32" }, { "failed", "31" },  { "cancelled", "33" },
			{ "expired", "31" },   { "running", "36" }, { "retrying", "35" } };

	for (size_t i = 0; streams.colours && i < sizeof(colours) / sizeof(colours[0]); i++) {
		if (strcmp(state, colours[i].state) == 0) {
			sb_printf(out, "\033[%sm%s\033[m", colours[i].code, word);
			return;
		}
	}
	sb_text(out, word);
}
