#include "text.h"
#include <errno.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t size, char *out)
{
	const uint8_t *in = data;

	for (; size >= 3; size -= 3, in += 3) {
		*out++ = digits[in[0] >> 2];
		*out++ = digits[(in[0] << 4 | in[1] >> 4) & 63];
		*out++ = digits[(in[1] << 2 | in[2] >> 6) & 63];
		*out++ = digits[in[2] & 63];
	}
	if (size > 0) {
		uint8_t second = size == 2 ? in[1] : 0;

		*out++ = digits[in[0] >> 2];
		*out++ = digits[(in[0] << 4 | second >> 4) & 63];
		*out++ = size == 2 ? digits[second << 2 & 63] : '=';
		*out++ = '=';
	}
	*out = '\0';
}

/* The value of a digit, or a number with high bits set that no sum of digits has. */
static uint32_t digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0' + 52);
	if (c == '+')
		return 62;
	return c == '/' ? 63 : UINT32_C(1) << 31;
}

/* One group of four digits, of which `count` (2..4) are digits and the rest padding, to count - 1 bytes. */
static int decode_group(const char *text, int count, uint8_t *out)
{
	uint32_t group = 0, wrong = 0;

	for (int i = 0; i < count; i++) {
		uint32_t value = digit_value(text[i]);

		wrong |= value;
		group |= (value & 63) << (18 - 6 * i);
	}
	if (wrong >> 31 || (group & ((UINT32_C(1) << (8 * (4 - count))) - 1)) != 0)
		return -EINVAL;
	for (int i = 0; i < count - 1; i++)
		out[i] = (uint8_t)(group >> (16 - 8 * i));
	return 0;
}

int64_t base64_decode(const char *text, size_t size, void *out)
{
	uint8_t *place = out;
	int last = 4;

	if (size % 4 != 0)
		return -EINVAL;
	if (size == 0)
		return 0;
	if (text[size - 1] == '=')
		last = text[size - 2] == '=' ? 2 : 3;
	for (; size > 4; size -= 4, text += 4, place += 3)
		if (decode_group(text, 4, place) < 0)
			return -EINVAL;
	if (decode_group(text, last, place) < 0)
		return -EINVAL;
	return place + last - 1 - (uint8_t *)out;
}
