/*
 * span.h — a borrowed run of bytes, not NUL-terminated.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *data;
	size_t size;
};

#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })

static inline struct span span_of(const char *text)
{
	return (struct span){ text, text ? strlen(text) : 0 };
}

static inline bool span_equal(struct span a, struct span b)
{
	/* No data is no size. NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
