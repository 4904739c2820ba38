/*
 * text.h — reading and showing the small languages that users write: durations, sizes, names.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <stdint.h>

/* "250ms", "10s", "5m", "1h", "7d", or a number of seconds ("0.5"), to nanoseconds >= 0. Units down to "us" and "ns";
 * a fraction goes with each ("1.5h"); what is below a nanosecond is cut off.
 * -EINVAL: not a duration; -ERANGE: more than 100 years. */
int duration_parse(const char *text, int64_t *ret_ns) GA_MUST_CHECK;
/* A whole number of the largest unit that is exact, e.g. "1500ms"; returns buffer. */
#define DURATION_TEXT_SIZE 32
char *duration_format(int64_t ns, char buffer[DURATION_TEXT_SIZE]);

/* "100/s", "10/m", "1000/h", "5/10s": so many in so long (s, m, h, d, or a duration). -EINVAL; -ERANGE: more than a million
 * a second, or none. */
int rate_parse(const char *text, uint32_t *ret_count, int64_t *ret_per) GA_MUST_CHECK;
#define RATE_TEXT_SIZE (12 + DURATION_TEXT_SIZE)
char *rate_format(uint32_t count, int64_t per, char buffer[RATE_TEXT_SIZE]); /* returns buffer */

/* An RFC 3339 instant ("2026-12-01T08:00:00Z", "...+01:00") as Unix nanoseconds; what is beyond them (the year 2262) is
 * TIME_NEVER. -EINVAL: not one; -ERANGE: before 1970. */
int instant_parse(const char *text, int64_t *ret_wall) GA_MUST_CHECK;

/* "1MiB", "64KiB", "2GiB", "1TiB", "4096", "4096B" to bytes. -EINVAL or -ERANGE. */
int size_parse(const char *text, uint64_t *ret_bytes) GA_MUST_CHECK;

/* Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7). */
bool utf8_valid(const void *data, size_t size);

/* A name of a queue, tag or type: 1..64 of [A-Za-z0-9._-], first one not a dot. */
bool name_valid(const char *name, size_t size);

/* Copy text to `out` (size > 0), control characters (C1 too) and broken UTF-8 shown as \xNN, cut to fit between
 * characters; returns out. */
char *text_escape(const char *text, size_t text_size, char *out, size_t out_size);

/* Standard base64 with padding (RFC 4648, section 4). `out` holds BASE64_SIZE(size) bytes with the NUL. */
#define BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)
void base64_encode(const void *data, size_t size, char *out);
/* Returns the decoded size, at most size/4*3, or -EINVAL. Strict: padded, no spaces, no stray bits in the last group. */
int64_t base64_decode(const char *text, size_t size, void *out) GA_MUST_CHECK;
