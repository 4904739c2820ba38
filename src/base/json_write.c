#include "json_write.h"
#include "clock.h"
#include "text.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static char *room(struct buf *out, size_t size)
{
	char *at = buf_reserve(out, size);

	if (!at)
		abort();
	return at;
}

void json_put_raw(struct buf *out, struct span text)
{
	if (text.size == 0)
		return;
	memcpy(room(out, text.size), text.data, text.size);
	buf_grew(out, text.size);
}

/* The letter after the backslash for characters that JSON escapes shortly; 'u' for the other controls; 0: plain. */
static char escape_letter(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	default:
		return c < 0x20 || c == 0x7f ? 'u' : 0;
	}
}

/* How many bytes at `at` make one well-formed character; 0: none does. */
static size_t character_size(const unsigned char *at, size_t left)
{
	size_t want = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;

	return want <= left && utf8_valid(at, want) ? want : 0;
}

static char *put_character(char *to, const unsigned char *at, size_t size)
{
	char letter = size == 1 ? escape_letter(*at) : 0;

	if (size == 0) {
		memcpy(to, "\xef\xbf\xbd", 3);
		return to + 3;
	}
	if (letter == 'u')
		return to + sprintf(to, "\\u%04x", *at);
	if (letter) {
		*to++ = '\\';
		*to++ = letter;
		return to;
	}
	memcpy(to, at, size);
	return to + size;
}

void json_put_string(struct buf *out, struct span text)
{
	const unsigned char *at = (const unsigned char *)text.data, *end = at + text.size;
	char *start = room(out, text.size * 6 + 2), *to = start;

	*to++ = '"';
	while (at < end) {
		if (*at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\') {
			*to++ = (char)*at++;
			continue;
		}
		size_t size = character_size(at, (size_t)(end - at));

		to = put_character(to, at, size);
		at += size ? size : 1;
	}
	*to++ = '"';
	buf_grew(out, (size_t)(to - start));
}

void json_put_integer(struct buf *out, int64_t value)
{
	buf_grew(out, (size_t)sprintf(room(out, 24), "%lld", (long long)value));
}

void json_put_milliseconds(struct buf *out, int64_t ns)
{
	uint64_t us = (ns < 0 ? -(uint64_t)ns : (uint64_t)ns) / NSEC_PER_USEC;

	buf_grew(out, (size_t)sprintf(room(out, 40), "%s%llu.%03u", ns < 0 ? "-" : "",
				      (unsigned long long)(us / 1000), (unsigned)(us % 1000)));
}

void json_put_boolean(struct buf *out, bool value)
{
	json_put_raw(out, value ? SPAN("true") : SPAN("false"));
}

void json_put_instant(struct buf *out, int64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NSEC_PER_SEC);
	struct tm tm;

	if (wall_ns == 0) {
		json_put_literal(out, "null");
		return;
	}
	gmtime_r(&seconds, &tm);
	buf_grew(out, strftime(room(out, 64), 64, "\"%Y-%m-%dT%H:%M:%S", &tm));
	buf_grew(out, (size_t)sprintf(room(out, 16), ".%03dZ\"",
				      (int)(wall_ns % NSEC_PER_SEC / NSEC_PER_MSEC)));
}

void json_put_separator(struct buf *out)
{
	char last = buf_size(out) ? out->base[out->end - 1] : '[';

	if (last != '{' && last != '[' && last != '\n')
		json_put_literal(out, ",");
}

void json_put_key(struct buf *out, const char *key)
{
	json_put_separator(out);
	json_put_string(out, span_of(key));
	json_put_literal(out, ":");
}
