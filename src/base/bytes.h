/*
 * bytes.h — immutable bytes shared by reference count: job arguments, results.
 *
 * One thread of one process at a time; the count is not atomic. NULL stands for "none" everywhere.
 */
#pragma once
#include "compiler.h"
#include <stdint.h>

struct bytes {
	uint32_t refs;
	uint32_t size;
	char data[]; /* size bytes and a NUL behind them */
};

struct bytes *bytes_new(const void *data, size_t size) GA_MUST_CHECK; /* NULL: no memory, or size >= 4 GiB */
static inline struct bytes *bytes_ref(struct bytes *b)
{
	if (b)
		b->refs++;
	return b;
}
void bytes_unref(struct bytes *b);
