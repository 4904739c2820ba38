#include "text.h"
#include <string.h>

static size_t sequence_size(const uint8_t *p, size_t left);

bool utf8_valid(const void *data, size_t size)
{
	const uint8_t *p = data, *end = p + size;

	while (p < end) {
		uint64_t word;
		size_t step;

		if ((size_t)(end - p) >= sizeof(word)) { /* eight ASCII bytes at once */
			memcpy(&word, p, sizeof(word));
			if ((word & UINT64_C(0x8080808080808080)) == 0) {
				p += sizeof(word);
				continue;
			}
		}
		step = sequence_size(p, (size_t)(end - p));
		if (step == 0)
			return false;
		p += step;
	}
	return true;
}

static bool must_escape(const uint8_t *p, size_t step)
{
	if (step == 1)
		return *p < 0x20 || *p == 0x7f;
	return step == 0 || (step == 2 && p[0] == 0xc2 && p[1] < 0xa0); /* broken, or a C1 control */
}

char *text_escape(const char *text, size_t text_size, char *out, size_t out_size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = (const uint8_t *)text, *end = p + text_size;
	size_t used = 0;

	while (p < end) {
		size_t step = sequence_size(p, (size_t)(end - p));

		if (must_escape(p, step)) {
			if (out_size - used < sizeof("\\xNN"))
				break;
			memcpy(out + used, (char[]){ '\\', 'x', digits[*p >> 4], digits[*p & 15] }, 4);
			used += 4;
			p++;
		} else {
			if (out_size - used < step + 1)
				break;
			memcpy(out + used, p, step);
			used += step;
			p += step;
		}
	}
	out[used] = '\0';
	return out;
}

static bool continues(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The size of the well-formed character at `p`, or 0 (Unicode 15, table 3-7: only second bytes have special ranges). */
static size_t sequence_size(const uint8_t *p, size_t left)
{
	uint8_t lowest = 0x80, highest = 0xbf;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return left >= 2 && continues(p[1]) ? 2 : 0;
	if (p[0] == 0xe0 || p[0] == 0xf0) /* overlong below */
		lowest = p[0] == 0xe0 ? 0xa0 : 0x90;
	if (p[0] == 0xed || p[0] == 0xf4) /* surrogates; beyond U+10FFFF */
		highest = p[0] == 0xed ? 0x9f : 0x8f;
	if (left < 3 || p[1] < lowest || p[1] > highest || !continues(p[2]))
		return 0;
	if (p[0] >= 0xe0 && p[0] <= 0xef)
		return 3;
	return p[0] >= 0xf0 && p[0] <= 0xf4 && left >= 4 && continues(p[3]) ? 4 : 0;
}
