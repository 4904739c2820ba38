#include "text.h"
#include "clock.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

#define DURATION_MAX (UINT64_C(100) * 36525 * 24 * 36 * NSEC_PER_SEC) /* 100 years of 365.25 days */

static const char *read_whole(const char *text, uint64_t *ret_value);
static const char *read_fraction(const char *text, uint64_t *ret_billionths);
static uint64_t unit_factor(const struct unit *units, const char *name);

/* The largest first, as duration_format() tries them. */
static const struct unit duration_units[] = {
	{ "d", 86400 * NSEC_PER_SEC },
	{ "h", 3600 * NSEC_PER_SEC },
	{ "m", 60 * NSEC_PER_SEC },
	{ "s", NSEC_PER_SEC },
	{ "ms", NSEC_PER_MSEC },
	{ "us", NSEC_PER_USEC },
	{ "ns", 1 },
	{ "", NSEC_PER_SEC },
	{ NULL, 0 },
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "TiB", UINT64_C(1) << 40 },
	{ NULL, 0 },
};

int duration_parse(const char *text, int64_t *ret_ns)
{
	uint64_t whole, billionths, factor;
	unsigned __int128 ns;

	text = read_whole(text, &whole);
	if (!text)
		return -EINVAL;
	text = read_fraction(text, &billionths);
	if (!text)
		return -EINVAL;
	factor = unit_factor(duration_units, text);
	if (factor == 0)
		return -EINVAL;
	ns = (unsigned __int128)whole * factor + (unsigned __int128)billionths * factor / 1000000000;
	if (ns > DURATION_MAX)
		return -ERANGE;
	*ret_ns = (int64_t)ns;
	return 0;
}

char *duration_format(int64_t ns, char buffer[DURATION_TEXT_SIZE])
{
	const struct unit *unit = duration_units;

	if (ns == 0)
		return strcpy(buffer, "0s");
	while ((uint64_t)ns % unit->factor != 0)
		unit++;
	snprintf(buffer, DURATION_TEXT_SIZE, "%" PRIu64 "%s", (uint64_t)ns / unit->factor, unit->name);
	return buffer;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	uint64_t whole, factor, bytes;

	text = read_whole(text, &whole);
	if (!text)
		return -EINVAL;
	factor = unit_factor(size_units, text);
	if (factor == 0)
		return -EINVAL;
	if (whole == UINT64_MAX || __builtin_mul_overflow(whole, factor, &bytes))
		return -ERANGE;
	*ret_bytes = bytes;
	return 0;
}

bool name_valid(const char *name, size_t size)
{
	if (size == 0 || size > 64 || name[0] == '.')
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* Digits, at least one; too many saturate. Returns what follows them, or NULL. */
static const char *read_whole(const char *text, uint64_t *ret_value)
{
	const char *start = text;
	uint64_t value = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			value = UINT64_MAX;
	if (text == start)
		return NULL;
	*ret_value = value;
	return text;
}

/* A point and digits, or nothing. Returns what follows, or NULL. */
static const char *read_fraction(const char *text, uint64_t *ret_billionths)
{
	const char *start;
	uint64_t billionths = 0, weight = 100000000;

	*ret_billionths = 0;
	if (*text != '.')
		return text;
	for (start = ++text; *text >= '0' && *text <= '9'; text++, weight /= 10)
		billionths += weight * (uint64_t)(*text - '0');
	if (text == start)
		return NULL;
	*ret_billionths = billionths;
	return text;
}

/* 0: no such unit. */
static uint64_t unit_factor(const struct unit *units, const char *name)
{
	for (; units->name; units++)
		if (strcmp(units->name, name) == 0)
			return units->factor;
	return 0;
}
