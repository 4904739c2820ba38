#include "buf.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_SIZE = 256 };

void buf_done(struct buf *b)
{
	free(b->base);
	*b = (struct buf)BUF_INIT;
}

/* Drop the consumed bytes at the start, so that the room is at the end. */
static void buf_compact(struct buf *b)
{
	if (b->start == 0)
		return;
	memmove(b->base, b->base + b->start, buf_size(b));
	b->end -= b->start;
	b->start = 0;
}

static int buf_grow(struct buf *b, size_t needed)
{
	size_t size = b->size ? b->size : BUF_FIRST_SIZE;
	char *base;

	if (needed > SIZE_MAX / 4)
		return -ENOMEM;
	while (size < needed)
		size *= 2;
	base = realloc(b->base, size);
	if (!base)
		return -ENOMEM;
	b->base = base;
	b->size = size;
	return 0;
}

char *buf_reserve(struct buf *b, size_t size)
{
	size_t held = buf_size(b);
	bool fits;

	if (b->base && size <= b->size - b->end)
		return b->base + b->end;
	if (size > SIZE_MAX - held)
		return NULL;
	/* Moving costs at most what was consumed since the last move, or comes with a doubling: O(1) a byte. */
	fits = b->base && held + size <= b->size && b->start >= held;
	if (!fits && buf_grow(b, MAX(held + size, b->size + 1)) < 0)
		return NULL;
	buf_compact(b);
	return b->base + b->end;
}

int buf_append(struct buf *b, const void *data, size_t size)
{
	char *room;

	if (size == 0)
		return 0;
	room = buf_reserve(b, size);
	if (!room)
		return -ENOMEM;
	memcpy(room, data, size);
	buf_grew(b, size);
	return 0;
}

int buf_append_text(struct buf *b, const char *text)
{
	return buf_append(b, text, strlen(text));
}

static int buf_vprintf(struct buf *b, const char *format, va_list values)
{
	size_t room = b->size - b->end;
	va_list again;
	int size;

	/* Most texts fit into the room that is there: then they are formatted once. */
	va_copy(again, values);
	size = vsnprintf(b->base ? b->base + b->end : NULL, room, format, again);
	va_end(again);
	if (size < 0)
		return -EINVAL;
	if ((size_t)size >= room) {
		char *place = buf_reserve(b, (size_t)size + 1);

		if (!place)
			return -ENOMEM;
		vsnprintf(place, (size_t)size + 1, format, values);
	}
	buf_grew(b, (size_t)size);
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list values;
	int r;

	va_start(values, format);
	r = buf_vprintf(b, format, values);
	va_end(values);
	return r;
}

void buf_consume(struct buf *b, size_t size)
{
	b->start += size;
	if (b->start == b->end)
		buf_clear(b);
}
