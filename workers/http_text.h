/*
 * http_text.h — a growing text, with the escapes of URLs and JSON.
 *
 * Once memory was short it stays as it is, and text_end() says so: no need to look in between.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct text {
	char *data;
	size_t size, room;
	bool failed;
};

void text_put(struct text *t, const char *data, size_t size);
/* All but unreserved characters (RFC 3986, section 2.3) as %XX; in forms a blank is '+'. */
void text_put_percent(struct text *t, const char *text, bool form);
/* In quotes. Bytes that aren't UTF-8 are taken as ISO 8859-1, as in headers of old. */
void text_put_json(struct text *t, const char *text);
/* In quotes and small letters: names of headers, of which any case is the same. */
void text_put_json_lower(struct text *t, const char *text);
/* The text with a NUL behind it, the caller's; NULL: memory was short. */
char *text_end(struct text *t);
