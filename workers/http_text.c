#include "http_text.h"

#include <stdlib.h>
#include <string.h>

/* Room for `size` more bytes and a NUL; NULL: memory is, or was, short. */
static char *text_room(struct text *t, size_t size)
{
	size_t room = t->room ? t->room : 256;
	char *data;

	if (t->failed)
		return NULL;
	while (room < t->size + size + 1)
		room *= 2;
	if (room > t->room) {
		data = realloc(t->data, room);
		if (!data) {
			t->failed = true;
			return NULL;
		}
		t->data = data;
		t->room = room;
	}
	return t->data + t->size;
}

void text_put(struct text *t, const char *data, size_t size)
{
	char *to = text_room(t, size);

	if (!to)
		return;
	memcpy(to, data, size);
	t->size += size;
}

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void text_put_percent(struct text *t, const char *text, bool form)
{
	static const char digits[] = "0123456789ABCDEF";
	char *to = text_room(t, strlen(text) * 3);

	if (!to)
		return;
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (is_unreserved(*c)) {
			*to++ = (char)*c;
		} else if (form && *c == ' ') {
			*to++ = '+';
		} else {
			*to++ = '%';
			*to++ = digits[*c >> 4];
			*to++ = digits[*c & 15];
		}
	}
	t->size = (size_t)(to - t->data);
}

/* How many bytes make the well-formed character at `c` (Unicode 15, table 3-7); 0: none do. */
static size_t character_size(const unsigned char *c)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t size = *c < 0x80   ? 1
		      : *c < 0xc2 ? 0
		      : *c < 0xe0 ? 2
		      : *c < 0xf0 ? 3
		      : *c < 0xf5 ? 4
				  : 0;

	if (size < 2)
		return size;
	if (*c == 0xe0)
		low = 0xa0;
	else if (*c == 0xf0)
		low = 0x90;
	else if (*c == 0xed)
		high = 0x9f;
	else if (*c == 0xf4)
		high = 0x8f;
	if (c[1] < low || c[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

static char *put_escape(char *to, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";

	memcpy(to, "\\u00", 4);
	to[4] = digits[c >> 4];
	to[5] = digits[c & 15];
	return to + 6;
}

/* A character that needs care, of `size` bytes. */
static char *put_special(char *to, const unsigned char *c, size_t size)
{
	if (*c == '"' || *c == '\\') {
		*to++ = '\\';
		*to++ = (char)*c;
		return to;
	}
	if (size < 2)
		return put_escape(to, *c);
	memcpy(to, c, size);
	return to + size;
}

static void put_json(struct text *t, const char *text, bool lower)
{
	char *to = text_room(t, strlen(text) * 6 + 2);
	const unsigned char *c = (const unsigned char *)text;

	if (!to)
		return;
	*to++ = '"';
	while (*c) {
		if (*c >= 0x20 && *c < 0x7f && *c != '"' && *c != '\\') {
			*to++ = (char)(lower && *c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
			c++;
		} else {
			size_t size = character_size(c);

			to = put_special(to, c, size);
			c += size ? size : 1;
		}
	}
	*to++ = '"';
	t->size = (size_t)(to - t->data);
}

void text_put_json(struct text *t, const char *text)
{
	put_json(t, text, false);
}

void text_put_json_lower(struct text *t, const char *text)
{
	put_json(t, text, true);
}

char *text_end(struct text *t)
{
	char *end = text_room(t, 0), *data = t->data;

	if (!end) {
		free(t->data);
		data = NULL;
	} else {
		*end = '\0';
	}
	*t = (struct text){ 0 };
	return data;
}
