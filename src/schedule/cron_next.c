#include "clock.h"
#include "cron.h"
#include <errno.h>

#define MINUTE_S 60
#define DAY_S 86400
#define EVERY_HOUR 0xffffffu
/* The longest wait that a valid expression makes for: a certain weekday on 29 February, around a century. */
#define HORIZON_S (50 * INT64_C(366) * DAY_S)
#define LAST_S (INT64_MAX / NSEC_PER_SEC)

struct date {
	int64_t year;
	unsigned month, day;
};

static int64_t floor_to(int64_t value, int64_t unit)
{
	int64_t rest = value % unit;

	return value - (rest < 0 ? rest + unit : rest);
}

/* Days since 1970-01-01 to a date of the Gregorian calendar; years begin in March, so that the leap day is their last. */
static struct date date_of(int64_t days)
{
	int64_t z = days + 719468; /* since 0000-03-01 */
	int64_t era = floor_to(z, 146097) / 146097;
	unsigned of_era = (unsigned)(z - era * 146097);
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153;

	return (struct date){ .year = era * 400 + year + (month >= 10),
			      .month = month < 10 ? month + 3 : month - 9,
			      .day = of_year - (153 * month + 2) / 5 + 1 };
}

static bool day_fits(const struct cron *c, int64_t days)
{
	struct date date = date_of(days);
	unsigned weekday = (unsigned)((days + 4) - floor_to(days + 4, 7)); /* 1970-01-01 was a Thursday */
	bool of_month = c->days >> date.day & 1, of_week = c->weekdays >> weekday & 1;

	return c->months >> date.month & 1 &&
	       (c->either_day ? of_month || of_week : of_month && of_week);
}

/* The first local time in [from, to) that fits, all in seconds; -1: none. */
static int64_t first_fit(const struct cron *c, int64_t from, int64_t to)
{
	int64_t at = floor_to(from + MINUTE_S - 1, MINUTE_S);

	while (at < to) {
		int64_t day = floor_to(at, DAY_S);
		unsigned minute = (unsigned)((at - day) / MINUTE_S);

		if (!day_fits(c, day / DAY_S))
			at = day + DAY_S;
		else if (!(c->hours >> minute / 60 & 1))
			at = day + (minute / 60 + 1) * 60 * MINUTE_S;
		else if (!(c->minutes >> minute % 60 & 1))
			at += MINUTE_S;
		else
			return at;
	}
	return -1;
}

/* When the offset changes first after `from`, at or before `to`; or `to`. No zone changes twice within a day. */
static int64_t next_change(const struct zone *z, int64_t from, int64_t to)
{
	int32_t offset = zone_offset(z, from);

	if (zone_offset(z, to) == offset)
		return to;
	while (to - from > 1) {
		int64_t middle = from + (to - from) / 2;

		if (zone_offset(z, middle) == offset)
			from = middle;
		else
			to = middle;
	}
	return to;
}

/* The local time before which all have had their turn behind an instant: later than clocks show if they were put back. */
static int64_t local_reached(const struct zone *z, int64_t after, bool every_hour)
{
	int64_t local = after + 1 + zone_offset(z, after);
	int64_t change = next_change(z, after - DAY_S, after);

	return every_hour ? local : MAX(local, change + zone_offset(z, change - 1));
}

int cron_next(const struct cron *c, const struct zone *z, int64_t after_wall, int64_t *ret_wall)
{
	bool every_hour = c->hours == EVERY_HOUR;
	int64_t after = after_wall / NSEC_PER_SEC, at = after + 1, end = at + HORIZON_S;

	if (after_wall < 0 || end > LAST_S)
		return -ERANGE;
	int64_t reached = local_reached(z, after, every_hour);

	/* Stretch by stretch in which the offset stays the same. */
	while (at < end) {
		int64_t next = next_change(z, at, at + DAY_S);
		int64_t offset = zone_offset(z, at), local = at + offset, found;

		/* A gap: what should have been in it happens now. */
		if (local > reached && first_fit(c, reached, local) >= 0) {
			*ret_wall = at * NSEC_PER_SEC;
			return 0;
		}
		found = first_fit(c, every_hour ? local : MAX(local, reached), next + offset);
		if (found >= 0) {
			*ret_wall = (found - offset) * NSEC_PER_SEC;
			return 0;
		}
		reached = MAX(reached, next + offset);
		at = next;
	}
	return -ERANGE;
}

int64_t every_next(int64_t due, int64_t every, int64_t now)
{
	if (due > now)
		return due;
	return time_add(due, ((now - due) / every + 1) * every);
}
