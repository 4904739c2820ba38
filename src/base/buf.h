/*
 * buf.h — a growable run of bytes, appended at its end and consumed at its start.
 *
 * Owns its memory. buf_append and friends grow it by doubling; after one failed (-ENOMEM) the content is as before.
 */
#pragma once
#include "compiler.h"
#include <stdarg.h>
#include <stdint.h>

struct buf {
	char *base;
	size_t start, end, size; /* content: base[start .. end) */
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		0                                                                                  \
	}

void buf_done(struct buf *b); /* frees; the buf is empty and usable afterwards */

static inline char *buf_data(const struct buf *b)
{
	return b->base ? b->base + b->start : b->base; /* NULL + 0 is undefined in C */
}

static inline size_t buf_size(const struct buf *b)
{
	return b->end - b->start;
}

/* Room for `size` more bytes at the end; returned, to be filled and then counted by buf_grew(). NULL: no memory. */
char *buf_reserve(struct buf *b, size_t size) GA_MUST_CHECK;
static inline void buf_grew(struct buf *b, size_t size)
{
	b->end += size;
}

int buf_append(struct buf *b, const void *data, size_t size) GA_MUST_CHECK;
int buf_append_text(struct buf *b, const char *text) GA_MUST_CHECK;
int buf_printf(struct buf *b, const char *format, ...) GA_MUST_CHECK GA_PRINTF(2, 3);
void buf_consume(struct buf *b, size_t size); /* drop from the start; size <= buf_size */
static inline void buf_clear(struct buf *b)
{
	b->start = b->end = 0;
}
