#include "uuid.h"
#include <endian.h>
#include <errno.h>
#include <string.h>

static void store_big_endian(uint8_t *out, uint64_t value)
{
	value = htobe64(value);
	memcpy(out, &value, sizeof(value));
}

void uuid7_make(struct uuid *ret_uuid, uint64_t unix_ms, uint16_t rand_a, uint64_t rand_b)
{
	const uint64_t version = 7, variant = 2;

	store_big_endian(ret_uuid->b, unix_ms << 16 | version << 12 | (rand_a & 0xfff));
	store_big_endian(ret_uuid->b + 8, variant << 62 | (rand_b & UINT64_MAX >> 2));
}

static bool dash_before(int byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int64_t uuid7_ms(const struct uuid *id)
{
	int64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->b[i];
	return ms;
}

void uuid_format(const struct uuid *id, char ret_text[UUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char *out = ret_text;

	for (int i = 0; i < 16; i++) {
		if (dash_before(i))
			*out++ = '-';
		*out++ = digits[id->b[i] >> 4];
		*out++ = digits[id->b[i] & 15];
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int uuid_parse(const char *text, size_t size, struct uuid *ret_uuid)
{
	struct uuid id;

	if (size != UUID_TEXT_SIZE - 1)
		return -EINVAL;
	for (int i = 0; i < 16; i++) {
		int high, low;

		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		high = hex_value(*text++);
		low = hex_value(*text++);
		if (high < 0 || low < 0)
			return -EINVAL;
		id.b[i] = (uint8_t)(high << 4 | low);
	}
	*ret_uuid = id;
	return 0;
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

uint64_t uuid_hash(const struct uuid *id)
{
	uint64_t early, late;

	memcpy(&early, id->b, sizeof(early));
	memcpy(&late, id->b + 8, sizeof(late));
	early = (early ^ late) * UINT64_C(0x9e3779b97f4a7c15);
	early ^= early >> 32 ^ late;
	early *= UINT64_C(0xd6e8feb86659fd93);
	return early ^ early >> 32;
}
