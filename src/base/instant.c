/* RFC 3339, section 5.6: instants as people and programs write them. */
#include "clock.h"
#include "text.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

struct civil {
	int year, month, day, hour, minute, second, nanosecond, offset_minutes;
};

static int take_digits(const char **at, int count, int *ret_value);
static int take_date(const char **at, struct civil *c);
static int take_time(const char **at, struct civil *c);
static int take_fraction(const char **at, struct civil *c);
static int take_offset(const char **at, struct civil *c);
static int days_of(int year, int month);
static int64_t days_since_1970(int year, int month, int day);

int instant_parse(const char *text, int64_t *ret_wall)
{
	struct civil c = { 0 };
	const char *at = text;

	if (take_date(&at, &c) < 0 || !*at || !strchr("Tt ", *at++) || take_time(&at, &c) < 0 ||
	    take_fraction(&at, &c) < 0 || take_offset(&at, &c) < 0 || *at)
		return -EINVAL;
	int64_t seconds = days_since_1970(c.year, c.month, c.day) * 86400 + c.hour * 3600 +
			  c.minute * 60 + c.second - c.offset_minutes * 60;

	if (seconds < 0)
		return -ERANGE;
	*ret_wall = seconds > TIME_NEVER / NSEC_PER_SEC - 1 ? TIME_NEVER
							    : seconds * NSEC_PER_SEC + c.nanosecond;
	return 0;
}

static int take_digits(const char **at, int count, int *ret_value)
{
	int value = 0;

	for (; count > 0; count--, (*at)++) {
		if (!isdigit((unsigned char)**at))
			return -EINVAL;
		value = value * 10 + (**at - '0');
	}
	*ret_value = value;
	return 0;
}

static int take_date(const char **at, struct civil *c)
{
	if (take_digits(at, 4, &c->year) < 0 || *(*at)++ != '-' ||
	    take_digits(at, 2, &c->month) < 0 || *(*at)++ != '-' || take_digits(at, 2, &c->day) < 0)
		return -EINVAL;
	return c->month >= 1 && c->month <= 12 && c->day >= 1 && c->day <= days_of(c->year, c->month)
		       ? 0
		       : -EINVAL;
}

static int take_time(const char **at, struct civil *c)
{
	if (take_digits(at, 2, &c->hour) < 0 || *(*at)++ != ':' || take_digits(at, 2, &c->minute) < 0 ||
	    *(*at)++ != ':' || take_digits(at, 2, &c->second) < 0)
		return -EINVAL;
	return c->hour <= 23 && c->minute <= 59 && c->second <= 60 ? 0 : -EINVAL; /* 60: a leap second */
}

static int take_fraction(const char **at, struct civil *c)
{
	int scale = (int)NSEC_PER_SEC / 10;

	if (**at != '.')
		return 0;
	if (!isdigit((unsigned char)*++(*at)))
		return -EINVAL;
	for (; isdigit((unsigned char)**at); (*at)++, scale /= 10)
		c->nanosecond += (**at - '0') * scale;
	return 0;
}

static int take_offset(const char **at, struct civil *c)
{
	int hours, minutes, sign = **at == '-' ? -1 : 1;

	if (**at == 'Z' || **at == 'z') {
		(*at)++;
		return 0;
	}
	if ((**at != '+' && **at != '-'))
		return -EINVAL;
	(*at)++;
	if (take_digits(at, 2, &hours) < 0 || *(*at)++ != ':' || take_digits(at, 2, &minutes) < 0 ||
	    hours > 23 || minutes > 59)
		return -EINVAL;
	c->offset_minutes = sign * (hours * 60 + minutes);
	return 0;
}

static int days_of(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Days from the civil calendar, counted in years that begin in March, so that a leap day is the last of its year. */
static int64_t days_since_1970(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t century_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + century_year - 719468;
}
