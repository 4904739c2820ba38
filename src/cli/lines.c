#include "lines.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 << 10)

void lines_init(struct lines *l, int fd)
{
	struct stat s;

	*l = (struct lines){ .fd = fd };
	if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode))
		l->file_size = s.st_size > 0 ? s.st_size : 1;
}

void lines_done(struct lines *l)
{
	sb_free(&l->held);
}

bool lines_never_block(const struct lines *l)
{
	return l->file_size > 0;
}

/* Whether a whole line is there; its size with its end, which the last line may lack. */
static bool whole_line(struct lines *l, size_t *ret_size)
{
	size_t held = l->held.size - l->start;
	const char *from, *end;

	if (held == 0)
		return false;
	from = l->held.data + l->start;
	end = memchr(from + l->scanned, '\n', held - l->scanned);
	if (!end && !l->ended) {
		l->scanned = held;
		return false;
	}
	*ret_size = end ? (size_t)(end - from) + 1 : held;
	l->scanned = 0;
	return true;
}

static bool is_blank(const char *line, size_t size)
{
	while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t'))
		size--;
	return size == 0;
}

enum lines_result lines_next(struct lines *l, const char **ret_line, size_t *ret_size)
{
	size_t size;

	while (whole_line(l, &size)) {
		const char *line = l->held.data + l->start;

		l->start += size;
		l->bytes += size;
		l->number++;
		if (size > LINE_MAX_BYTES)
			return LINES_TOO_LONG;
		while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
			size--;
		if (is_blank(line, size))
			continue;
		*ret_line = line;
		*ret_size = size;
		return LINES_ONE;
	}
	if (l->held.size - l->start > LINE_MAX_BYTES)
		return LINES_TOO_LONG;
	return l->ended ? LINES_END : LINES_WAIT;
}

int lines_read(struct lines *l)
{
	ssize_t n;

	if (l->start > 0) {
		memmove(l->held.data, l->held.data + l->start, l->held.size - l->start);
		l->held.size -= l->start;
		l->start = 0;
	}
	n = read(l->fd, sb_reserve(&l->held, READ_BYTES), READ_BYTES);
	/* Whoever shares it may have made it non-blocking. */
	if (n < 0 && errno == EAGAIN) {
		struct pollfd p = { .fd = l->fd, .events = POLLIN };

		return poll(&p, 1, -1) < 0 ? -errno : 0;
	}
	if (n < 0)
		return -errno;
	l->held.size += (size_t)n;
	l->ended = n == 0;
	return 0;
}
