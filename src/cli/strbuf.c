#include "strbuf.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static void json_string(struct strbuf *s, const char *data, size_t size, bool lossy, bool *ret_valid);

void sb_free(struct strbuf *s)
{
	free(s->data);
	*s = (struct strbuf){ 0 };
}

void sb_trim(struct strbuf *s)
{
	char *data;

	if (s->size == 0) {
		sb_free(s);
		return;
	}
	data = realloc(s->data, s->size);
	if (!data)
		return;
	s->data = data;
	s->room = s->size;
}

char *sb_reserve(struct strbuf *s, size_t size)
{
	size_t room = s->room ? s->room : 256;

	if (s->room - s->size >= size && s->data)
		return s->data + s->size;
	while (room - s->size < size && room <= SIZE_MAX / 2)
		room *= 2;
	s->data = room - s->size < size ? NULL : realloc(s->data, room);
	if (!s->data) {
		fputs("gather: out of memory\n", stderr);
		exit(1);
	}
	s->room = room;
	return s->data + s->size;
}

const char *sb_string(struct strbuf *s)
{
	*sb_reserve(s, 1) = '\0';
	return s->data;
}

void sb_put(struct strbuf *s, const void *data, size_t size)
{
	if (size == 0)
		return;
	memcpy(sb_reserve(s, size), data, size);
	s->size += size;
}

void sb_text(struct strbuf *s, const char *text)
{
	sb_put(s, text, strlen(text));
}

void sb_char(struct strbuf *s, char c)
{
	*sb_reserve(s, 1) = c;
	s->size++;
}

void sb_unsigned(struct strbuf *s, uint64_t value)
{
	char digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	sb_put(s, p, (size_t)(digits + sizeof(digits) - p));
}

void sb_printf(struct strbuf *s, const char *format, ...)
{
	va_list values;
	int size;

	va_start(values, format);
	size = vsnprintf(NULL, 0, format, values);
	va_end(values);
	if (size <= 0)
		return;
	va_start(values, format);
	vsnprintf(sb_reserve(s, (size_t)size + 1), (size_t)size + 1, format, values);
	va_end(values);
	s->size += (size_t)size;
}

bool sb_json(struct strbuf *s, const char *data, size_t size)
{
	size_t before = s->size;
	bool valid = true;

	json_string(s, data, size, false, &valid);
	if (!valid)
		s->size = before;
	return valid;
}

void sb_json_lossy(struct strbuf *s, const char *data, size_t size)
{
	bool valid;

	json_string(s, data, size, true, &valid);
}

static void json_escape(struct strbuf *s, unsigned char c)
{
	static const char shorts[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	const char *p = c ? strchr(shorts, c) : NULL;

	/* The letter of a pair isn't below space, so only the first ones of pairs are found. */
	if (p) {
		sb_char(s, '\\');
		sb_char(s, p[1]);
	} else {
		sb_printf(s, "\\u%04x", c);
	}
}

static void json_string(struct strbuf *s, const char *data, size_t size, bool lossy, bool *ret_valid)
{
	size_t plain = 0; /* start of what can be copied as it is */

	sb_char(s, '"');
	for (size_t i = 0; i < size;) {
		unsigned char c = (unsigned char)data[i];
		size_t length = c < 0x80 ? 1 : utf8_sequence(data + i, size - i);

		if (c >= 0x20 && c != '"' && c != '\\' && length) {
			i += length;
			continue;
		}
		sb_put(s, data + plain, i - plain);
		if (c < 0x80) {
			json_escape(s, c);
		} else if (lossy) {
			sb_text(s, REPLACEMENT);
		} else {
			*ret_valid = false;
			return;
		}
		plain = ++i;
	}
	if (size > plain)
		sb_put(s, data + plain, size - plain);
	sb_char(s, '"');
}

void sb_base64(struct strbuf *s, const void *data, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = data;
	char *out = sb_reserve(s, size / 3 * 4 + 4);
	char *start = out;

	for (; size >= 3; p += 3, size -= 3) {
		*out++ = digits[p[0] >> 2];
		*out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
		*out++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
		*out++ = digits[p[2] & 63];
	}
	if (size > 0) {
		unsigned second = size == 2 ? p[1] : 0;

		*out++ = digits[p[0] >> 2];
		*out++ = digits[(p[0] & 3u) << 4 | second >> 4];
		*out++ = size == 2 ? digits[(second & 15) << 2] : '=';
		*out++ = '=';
	}
	s->size += (size_t)(out - start);
}

void sb_milliseconds(struct strbuf *s, uint32_t us)
{
	unsigned rest = us % 1000;

	sb_unsigned(s, us / 1000);
	sb_char(s, '.');
	sb_char(s, (char)('0' + rest / 100));
	sb_char(s, (char)('0' + rest / 10 % 10));
	sb_char(s, (char)('0' + rest % 10));
}

void sb_shell_word(struct strbuf *s, const char *word)
{
	static const char harmless[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789_-./:=@%+,";

	if (*word && strspn(word, harmless) == strlen(word)) {
		sb_text(s, word);
		return;
	}
	sb_char(s, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			sb_text(s, "'\\''");
		else
			sb_char(s, *word);
	}
	sb_char(s, '\'');
}

static bool in(unsigned char c, unsigned char low, unsigned char high)
{
	return c >= low && c <= high;
}

size_t utf8_sequence(const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] < 0x80)
		return 1;
	if (in(p[0], 0xc2, 0xdf))
		return size >= 2 && in(p[1], 0x80, 0xbf) ? 2 : 0;
	if (in(p[0], 0xe0, 0xef)) {
		unsigned char low = p[0] == 0xe0 ? 0xa0 : 0x80, high = p[0] == 0xed ? 0x9f : 0xbf;

		return size >= 3 && in(p[1], low, high) && in(p[2], 0x80, 0xbf) ? 3 : 0;
	}
	if (in(p[0], 0xf0, 0xf4)) {
		unsigned char low = p[0] == 0xf0 ? 0x90 : 0x80, high = p[0] == 0xf4 ? 0x8f : 0xbf;

		return size >= 4 && in(p[1], low, high) && in(p[2], 0x80, 0xbf) && in(p[3], 0x80, 0xbf)
			       ? 4
			       : 0;
	}
	return 0;
}

void sb_head(struct strbuf *s, const char *data, size_t size, uint64_t count)
{
	for (size_t i = 0; i < size && count > 0; count--) {
		size_t length = utf8_sequence(data + i, size - i);
		unsigned char c = (unsigned char)data[i];
		/* C0, DEL, and C1, which UTF-8 writes as C2 80..9F: a terminal would obey them. */
		bool control = c < 0x20 || c == 0x7f ||
			       (length == 2 && c == 0xc2 && (unsigned char)data[i + 1] < 0xa0);

		if (length == 0 || (control && c != '\n' && c != '\t'))
			sb_text(s, REPLACEMENT);
		else
			sb_put(s, data + i, length);
		i += length ? length : 1;
	}
}
