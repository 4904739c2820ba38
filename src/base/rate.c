#include "clock.h"
#include "span.h"
#include "text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct unit {
	const char *name;
	int64_t ns;
} units[] = { { "s", NSEC_PER_SEC },
	      { "m", 60 * NSEC_PER_SEC },
	      { "h", 3600 * NSEC_PER_SEC },
	      { "d", 86400 * NSEC_PER_SEC } };

#define RATE_MAX_PER_SECOND 1000000

static int parse_period(const char *text, int64_t *ret_per)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(text, units[i].name) == 0) {
			*ret_per = units[i].ns;
			return 0;
		}
	return duration_parse(text, ret_per);
}

int rate_parse(const char *text, uint32_t *ret_count, int64_t *ret_per)
{
	unsigned long long count;
	int64_t per;
	char *end;
	int r;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	count = strtoull(text, &end, 10);
	if (*end != '/')
		return -EINVAL;
	r = parse_period(end + 1, &per);
	if (r < 0)
		return r;
	if (errno || count == 0 || count > UINT32_MAX || per <= 0 ||
	    per / (int64_t)count < NSEC_PER_SEC / RATE_MAX_PER_SECOND)
		return -ERANGE;
	*ret_count = (uint32_t)count;
	*ret_per = per;
	return 0;
}

char *rate_format(uint32_t count, int64_t per, char buffer[RATE_TEXT_SIZE])
{
	char period[DURATION_TEXT_SIZE];

	duration_format(per, period);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (per == units[i].ns)
			snprintf(period, sizeof(period), "%s", units[i].name);
	snprintf(buffer, RATE_TEXT_SIZE, "%u/%s", count, period);
	return buffer;
}
