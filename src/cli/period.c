#include "period.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	double seconds;
} units[] = { { "", 1 }, { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };

bool period_parse(const char *text, int64_t *ret_ns)
{
	const double longest = 100 * 365.25 * 86400;
	size_t digits = strspn(text, "0123456789");
	char *end;
	double value;

	if (text[digits] == '.')
		digits += 1 + strspn(text + digits + 1, "0123456789");
	if (digits == 0 || !isdigit((unsigned char)text[0]) ||
	    !isdigit((unsigned char)text[digits - 1]))
		return false;
	value = strtod(text, &end);
	/* strtod may know more (an exponent); only what was counted above is a duration. */
	if (end != text + digits)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) == 0) {
			value *= units[i].seconds;
			if (value > longest)
				return false;
			*ret_ns = (int64_t)(value * 1e9 + 0.5);
			return true;
		}
	}
	return false;
}

bool number_parse(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
	char *end;
	long long value;

	if (!isdigit((unsigned char)text[text[0] == '-']))
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end || value < min || value > max)
		return false;
	*ret_value = value;
	return true;
}

static size_t digits_at(const char *text, size_t size, size_t at)
{
	size_t i = at;

	while (i < size && isdigit((unsigned char)text[i]))
		i++;
	return i - at;
}

bool json_number(const char *text, size_t size)
{
	size_t i = size > 0 && text[0] == '-' ? 1 : 0;
	size_t n = digits_at(text, size, i);

	if (n == 0 || (n > 1 && text[i] == '0'))
		return false;
	i += n;
	if (i < size && text[i] == '.') {
		n = digits_at(text, size, i + 1);
		if (n == 0)
			return false;
		i += 1 + n;
	}
	if (i < size && (text[i] == 'e' || text[i] == 'E')) {
		i++;
		if (i < size && (text[i] == '+' || text[i] == '-'))
			i++;
		n = digits_at(text, size, i);
		if (n == 0)
			return false;
		i += n;
	}
	return i == size;
}

char *period_show(int64_t ns, char buffer[32])
{
	double s = (double)ns / 1e9;

	if (s < 0.9995)
		snprintf(buffer, 32, "%.0f ms", s * 1e3);
	else if (s < 99.5)
		snprintf(buffer, 32, "%.3g s", s);
	else if (s < 3600)
		snprintf(buffer, 32, "%d min %02d s", (int)s / 60, (int)s % 60);
	else
		snprintf(buffer, 32, "%d h %02d min", (int)(s / 3600), (int)(s / 60) % 60);
	return buffer;
}

char *period_show_fine(int64_t ns, char buffer[32])
{
	if (ns < 999500)
		snprintf(buffer, 32, "%.3g us", (double)ns / 1e3);
	else if (ns < 999500000)
		snprintf(buffer, 32, "%.3g ms", (double)ns / 1e6);
	else
		period_show(ns, buffer);
	return buffer;
}
