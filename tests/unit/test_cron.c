#include "clock.h"
#include "cron.h"
#include "random.h"
#include "tap_main.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t instant_of(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm) * NSEC_PER_SEC;
}

static const char *shown(int64_t wall, char text[40])
{
	time_t at = wall / NSEC_PER_SEC;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, 40, "%F %T", &tm);
	return text;
}

/* After `after` come the instants of `then`, in UTC, one after another. */
struct sequence {
	const char *zone, *cron, *after, *then[5];
};

static void check_sequence(const struct sequence *s)
{
	char why[CRON_WHY_SIZE], text[40];
	int64_t at = instant_of(s->after);
	struct zone *zone;
	struct cron cron;

	if (cron_parse(s->cron, &cron, why, sizeof(why)) < 0)
		fail_msg("%s: %s", s->cron, why);
	assert_int_equal(zone_open(s->zone, &zone), 0);
	for (size_t i = 0; i < ARRAY_SIZE(s->then) && s->then[i]; i++) {
		assert_int_equal(cron_next(&cron, zone, at, &at), 0);
		if (strcmp(shown(at, text), s->then[i]) != 0)
			fail_msg("%s in %s: %s where %s is due", s->cron, s->zone, text, s->then[i]);
	}
	zone_free(zone);
}

static void check_sequences(const struct sequence *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_sequence(&all[i]);
}

static void fields_say_what_crontab_5_says(void **state)
{
	static const struct sequence cases[] = {
		{ "UTC", "* * * * *", "2026-11-20 15:54:33", { "2026-11-20 15:55:00", "2026-11-20 15:56:00" } },
		{ "UTC",
		  "*/20 * * * *",
		  "2026-11-20 15:40:00",
		  { "2026-11-20 16:00:00", "2026-11-20 16:20:00" } },
		{ "UTC",
		  "5,10-20/5,59 23 * * *",
		  "2026-12-31 00:00:00",
		  { "2026-12-31 23:05:00", "2026-12-31 23:10:00", "2026-12-31 23:15:00",
		    "2026-12-31 23:20:00", "2026-12-31 23:59:00" } },
		{ "UTC",
		  "  0\t8-18/4  * * mon-FRI ",
		  "2026-11-20 12:00:00",
		  { "2026-11-20 16:00:00", "2026-11-23 08:00:00" } },
		{ "UTC", "0 0 * * 7", "2026-11-20 00:00:00", { "2026-11-22 00:00:00", "2026-11-29 00:00:00" } },
		{ "UTC",
		  "0 0 * * sat-sun",
		  "2026-11-20 00:00:00",
		  { "2026-11-21 00:00:00", "2026-11-22 00:00:00", "2026-11-28 00:00:00" } },
		{ "UTC",
		  "0 0 * * 5-7/2",
		  "2026-11-20 00:00:00",
		  { "2026-11-22 00:00:00", "2026-11-27 00:00:00" } },
		{ "UTC",
		  "30 6 1 jan,Jul *",
		  "2026-11-20 00:00:00",
		  { "2027-01-01 06:30:00", "2027-07-01 06:30:00" } },
		/* Both days restricted: either. One with a star: both. */
		{ "UTC",
		  "0 12 13 * fri",
		  "2026-11-10 00:00:00",
		  { "2026-11-13 12:00:00", "2026-11-20 12:00:00", "2026-11-27 12:00:00",
		    "2026-12-04 12:00:00", "2026-12-11 12:00:00" } },
		{ "UTC",
		  "0 12 */2 * fri",
		  "2026-11-13 12:00:00",
		  { "2026-11-27 12:00:00", "2026-12-11 12:00:00" } },
		{ "UTC",
		  "0 12 13 * *",
		  "2026-11-10 00:00:00",
		  { "2026-11-13 12:00:00", "2026-12-13 12:00:00" } },
	};

	(void)state;
	check_sequences(cases, ARRAY_SIZE(cases));
}

static void shorthands_stand_for_five_fields(void **state)
{
	static const struct sequence cases[] = {
		{ "UTC", "@hourly", "2026-11-20 15:54:33", { "2026-11-20 16:00:00", "2026-11-20 17:00:00" } },
		{ "UTC", "@daily", "2026-11-20 15:54:33", { "2026-11-21 00:00:00" } },
		{ "UTC", " @Midnight", "2026-11-20 15:54:33", { "2026-11-21 00:00:00" } },
		{ "UTC", "@weekly", "2026-11-20 15:54:33", { "2026-11-22 00:00:00" } },
		{ "UTC", "@monthly", "2026-11-20 15:54:33", { "2026-12-01 00:00:00", "2027-01-01 00:00:00" } },
		{ "UTC", "@yearly", "2026-11-20 15:54:33", { "2027-01-01 00:00:00", "2028-01-01 00:00:00" } },
		{ "UTC", "@annually", "2026-11-20 15:54:33", { "2027-01-01 00:00:00" } },
	};

	(void)state;
	check_sequences(cases, ARRAY_SIZE(cases));
}

static void months_end_when_they_end(void **state)
{
	static const struct sequence cases[] = {
		{ "UTC",
		  "0 0 29 2 *",
		  "2026-11-20 00:00:00",
		  { "2028-02-29 00:00:00", "2032-02-29 00:00:00" } },
		{ "UTC", "0 0 29 2 *", "2096-02-29 00:00:00", { "2104-02-29 00:00:00" } }, /* 2100 is none */
		{ "UTC", "0 0 29 2 *", "1999-12-31 00:00:00", { "2000-02-29 00:00:00" } }, /* 2000 is one */
		{ "UTC",
		  "0 0 31 * *",
		  "2026-01-31 00:00:00",
		  { "2026-03-31 00:00:00", "2026-05-31 00:00:00" } },
		{ "UTC",
		  "0 0 30,31 2,4 *",
		  "2026-01-31 00:00:00",
		  { "2026-04-30 00:00:00", "2027-04-30 00:00:00" } },
		/* A leap day on a Sunday: 28 years apart, 40 around 2100. */
		{ "UTC",
		  "0 0 29 2 */7",
		  "2026-11-20 00:00:00",
		  { "2032-02-29 00:00:00", "2060-02-29 00:00:00", "2088-02-29 00:00:00",
		    "2128-02-29 00:00:00" } },
	};

	(void)state;
	check_sequences(cases, ARRAY_SIZE(cases));
}

static void what_falls_into_a_gap_happens_right_after_it(void **state)
{
	static const struct sequence cases[] = {
		/* 2026-03-29 02:00 -> 03:00 */
		{ "Europe/Berlin",
		  "30 2 * * *",
		  "2026-03-28 00:00:00",
		  { "2026-03-28 01:30:00", "2026-03-29 01:00:00", "2026-03-30 00:30:00" } },
		{ "Europe/Berlin",
		  "0,15,30 2 * * *",
		  "2026-03-29 00:00:00", /* all of them once */
		  { "2026-03-29 01:00:00", "2026-03-30 00:00:00", "2026-03-30 00:15:00" } },
		{ "Europe/Berlin",
		  "30 2,3 * * *",
		  "2026-03-29 00:59:59",
		  { "2026-03-29 01:00:00", "2026-03-29 01:30:00", "2026-03-30 00:30:00" } },
		{ "Europe/Berlin",
		  "0 3 * * *",
		  "2026-03-29 00:00:00",
		  { "2026-03-29 01:00:00", "2026-03-30 01:00:00" } },
		{ "Europe/Berlin",
		  "*/30 * * * *",
		  "2026-03-29 00:30:00",
		  { "2026-03-29 01:00:00", "2026-03-29 01:30:00" } },
		{ "Europe/Berlin",
		  "30 2 29 3 *",
		  "2026-01-01 00:00:00",
		  { "2026-03-29 01:00:00", "2027-03-29 00:30:00" } },
		{ "America/New_York",
		  "30 2 * * *",
		  "2026-03-08 06:00:00",
		  { "2026-03-08 07:00:00", "2026-03-09 06:30:00" } },
		/* 2026-10-04 02:00 -> 02:30 */
		{ "Australia/Lord_Howe",
		  "15 2 * * *",
		  "2026-10-03 12:00:00",
		  { "2026-10-03 15:30:00", "2026-10-04 15:15:00" } },
		{ "Australia/Lord_Howe",
		  "15 * * * *",
		  "2026-10-03 14:45:00",
		  { "2026-10-03 15:30:00", "2026-10-03 16:15:00" } },
		/* Midnight itself is missing: 2018-11-04 00:00 -> 01:00 */
		{ "America/Sao_Paulo",
		  "@daily",
		  "2018-11-03 03:00:00",
		  { "2018-11-04 03:00:00", "2018-11-05 02:00:00" } },
		/* A whole day is: 2011-12-29 24:00 -> 2011-12-31 00:00 */
		{ "Pacific/Apia",
		  "0 12 30 * *",
		  "2011-12-01 00:00:00",
		  { "2011-12-30 10:00:00", "2012-01-29 22:00:00" } },
	};

	(void)state;
	check_sequences(cases, ARRAY_SIZE(cases));
}

static void what_comes_twice_happens_the_first_time(void **state)
{
	static const struct sequence cases[] = {
		/* 2026-10-25 03:00 -> 02:00 */
		{ "Europe/Berlin",
		  "30 2 * * *",
		  "2026-10-24 12:00:00",
		  { "2026-10-25 00:30:00", "2026-10-26 01:30:00" } },
		{ "Europe/Berlin", "30 2 * * *", "2026-10-25 01:10:00", { "2026-10-26 01:30:00" } },
		{ "Europe/Berlin", "30 2 * * *", "2026-10-25 01:30:00", { "2026-10-26 01:30:00" } },
		{ "Europe/Berlin",
		  "0 2,3 * * *",
		  "2026-10-24 12:00:00",
		  { "2026-10-25 00:00:00", "2026-10-25 02:00:00", "2026-10-26 01:00:00" } },
		{ "America/New_York",
		  "30 1 * * *",
		  "2026-11-01 00:00:00",
		  { "2026-11-01 05:30:00", "2026-11-02 06:30:00" } },
		/* 2026-04-05 02:00 -> 01:30 */
		{ "Australia/Lord_Howe",
		  "45 1 * * *",
		  "2026-04-04 12:00:00",
		  { "2026-04-04 14:45:00", "2026-04-05 15:15:00" } },
	};

	(void)state;
	check_sequences(cases, ARRAY_SIZE(cases));
}

static void what_happens_each_hour_does_not_rest_for_one(void **state)
{
	static const struct sequence cases[] = {
		{ "Europe/Berlin",
		  "*/30 * * * *",
		  "2026-10-24 23:45:00",
		  { "2026-10-25 00:00:00", "2026-10-25 00:30:00", "2026-10-25 01:00:00",
		    "2026-10-25 01:30:00", "2026-10-25 02:00:00" } },
		{ "Europe/Berlin",
		  "@hourly",
		  "2026-10-24 23:00:00",
		  { "2026-10-25 00:00:00", "2026-10-25 01:00:00", "2026-10-25 02:00:00" } },
		{ "Australia/Lord_Howe",
		  "45 0-23 * * *",
		  "2026-04-04 14:00:00",
		  { "2026-04-04 14:45:00", "2026-04-04 15:15:00", "2026-04-04 16:15:00" } },
	};

	(void)state;
	check_sequences(cases, ARRAY_SIZE(cases));
}

static void odd_offsets_are_right(void **state)
{
	static const struct sequence cases[] = {
		{ "Asia/Kathmandu",
		  "0 6 * * *",
		  "2026-11-20 00:00:00",
		  { "2026-11-20 00:15:00", "2026-11-21 00:15:00" } },
		{ "Asia/Kathmandu",
		  "*/15 * * * *",
		  "2026-11-20 00:01:00",
		  { "2026-11-20 00:15:00", "2026-11-20 00:30:00" } },
		/* -00:44:30 until 1972 */
		{ "Africa/Monrovia",
		  "0 12 * * *",
		  "1971-06-01 00:00:00",
		  { "1971-06-01 12:44:30", "1971-06-02 12:44:30" } },
	};

	(void)state;
	check_sequences(cases, ARRAY_SIZE(cases));
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "61 * * * *", "minute 61: takes 0-59" },
		{ "* 24 * * *", "hour 24: takes 0-23" },
		{ "* * 0 * *", "day of month 0: takes 1-31" },
		{ "* * * 13 *", "month 13: takes 1-12 or jan-dec" },
		{ "* * * foo *", "month foo: takes 1-12 or jan-dec" },
		{ "* * * * 8", "day of week 8: takes 0-7 or sun-sat, 0 and 7 being Sunday" },
		{ "* * * * monday", "day of week monday: takes 0-7 or sun-sat, 0 and 7 being Sunday" },
		{ "jan * * * *", "minute jan: takes 0-59" },
		{ "-1 * * * *", "minute \"\": takes 0-59" },
		{ "1, * * * *", "minute \"\": takes 0-59" },
		{ "1- * * * *", "minute \"\": takes 0-59" },
		{ "1-2-3 * * * *", "minute 2-3: takes 0-59" },
		{ "1-61 * * * *", "minute 61: takes 0-59" },
		{ "99999999999999999999 * * * *", "minute 99999999999999999999: takes 0-59" },
		{ "4294967297 * * * *", "minute 4294967297: takes 0-59" },
		{ "*/0 * * * *", "minute */0: a step takes 1-59" },
		{ "*/60 * * * *", "minute */60: a step takes 1-59" },
		{ "*/ * * * *", "minute */: a step takes 1-59" },
		{ "*/5/2 * * * *", "minute */5/2: a step takes 1-59" },
		{ "5/10 * * * *", "minute 5/10: a step follows * or a range, as in */5 or 10-30/5" },
		{ "* 22-2 * * *", "hour 22-2: the first is after the last: write it as two ranges" },
		{ "** * * * *", "minute **: takes 0-59" },
		{ "H * * * *", "minute H: takes 0-59" },
		{ "", "takes five fields (minute, hour, day of month, month, day of week), not 0" },
		{ "* * * *",
		  "takes five fields (minute, hour, day of month, month, day of week), not 4" },
		{ "0 * * * * *",
		  "takes five fields (minute, hour, day of month, month, day of week), not 6" },
		{ "@reboot", "\"@reboot\": takes @hourly, @daily, @weekly, @monthly or @yearly" },
		{ "@", "\"@\": takes @hourly, @daily, @weekly, @monthly or @yearly" },
		{ "0 0 30 2 *", "day 30 of month 2 never comes: month 2 has 29 days" },
		{ "0 0 31 4,jun,9,11 *", "day 31 of month 4 never comes: month 4 has 30 days" },
		{ "0 0 31 2 */2", "day 31 of month 2 never comes: month 2 has 29 days" },
	};
	struct cron cron = { .minutes = 77 };
	char why[CRON_WHY_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(cron_parse(cases[i].text, &cron, why, sizeof(why)), -EINVAL);
		assert_string_equal(why, cases[i].why);
	}
	assert_int_equal(cron.minutes, 77);
	/* Either day is enough, and Mondays do come in February. */
	assert_int_equal(cron_parse("0 0 30 2 mon", &cron, why, sizeof(why)), 0);
}

static void zones_go_by_the_names_of_the_database(void **state)
{
	static const char *const wrong[] = {
		"",
		"../../etc/passwd",
		"/etc/localtime",
		":UTC",
		"+02:00",
		"EST5EDT,M3.2.0,M11.1.0",
		"Europe/Ber lin",
		"1",
		"Europe/Berlin\n",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};
	static const char *const unknown[] = { "Europe/Berlint", "europe/berlin", "Europe",
					       "GMT+3",          "leapseconds",   "Mars/Olympus" };
	struct zone *zone = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(zone_open(wrong[i], &zone), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_int_equal(zone_open(unknown[i], &zone), -ENOENT);
	assert_null(zone);
	assert_int_equal(zone_open("Etc/GMT+3", &zone), 0);
	assert_string_equal(zone_name(zone), "Etc/GMT+3");
	assert_int_equal(zone_offset(zone, 0), -3 * 3600);
	zone_free(zone);
	zone_free(NULL);
}

/* The zones' rules, tried against libc's reading of them. */
static const char *const zones[] = { "Europe/Berlin",
				     "America/New_York",
				     "Australia/Lord_Howe",
				     "Asia/Kathmandu",
				     "UTC",
				     "Africa/Casablanca",
				     "Europe/Dublin",
				     "Antarctica/Troll",
				     "America/St_Johns",
				     "Asia/Gaza",
				     "Pacific/Apia",
				     "America/Scoresbysund" };

static int64_t local_minute(int64_t at)
{
	time_t t = at;
	struct tm tm;

	localtime_r(&t, &tm);
	return (at + tm.tm_gmtoff) / 60;
}

static bool fits(const struct cron *c, int64_t minute)
{
	time_t local = minute * 60;
	struct tm tm;

	gmtime_r(&local, &tm);
	bool of_month = c->days >> tm.tm_mday & 1, of_week = c->weekdays >> tm.tm_wday & 1;

	return c->minutes >> tm.tm_min & 1 && c->hours >> tm.tm_hour & 1 &&
	       c->months >> (tm.tm_mon + 1) & 1 &&
	       (c->either_day ? of_month || of_week : of_month && of_week);
}

/* Minute by minute from two days before, as a patient person with a clock on the wall would; 0: not within the limit. */
static int64_t next_by_patience(const struct cron *c, int64_t after, int64_t limit)
{
	int64_t at = (after / 60 - 2880) * 60, reached = local_minute(at);
	bool each_hour = c->hours == 0xffffff;

	for (at += 60; at < limit; at += 60) {
		int64_t local = local_minute(at);
		bool due = fits(c, local) && (each_hour || local > reached);

		for (int64_t gone = reached + 1; gone < local; gone++)
			due |= fits(c, gone);
		reached = local > reached ? local : reached;
		if (due && at > after)
			return at;
	}
	return 0;
}

static void put_random_field(struct random *r, char *out, unsigned min, unsigned max, unsigned stars)
{
	unsigned a = min + (unsigned)random_below(r, max - min + 1);
	unsigned b = a + (unsigned)random_below(r, max - a + 1);

	if (random_below(r, 10) < stars)
		strcpy(out, "*");
	else if (random_below(r, 2) == 0)
		sprintf(out, "%u", a);
	else
		sprintf(out, "%u-%u/%u", a, b, 1 + (unsigned)random_below(r, 7));
}

static void random_cron(struct random *r, struct cron *ret_cron, char text[256])
{
	char minute[32], hour[32], day[32], month[32], weekday[32], why[CRON_WHY_SIZE];

	do {
		put_random_field(r, minute, 0, 59, 2);
		put_random_field(r, hour, 0, 4, 4);
		put_random_field(r, day, 1, 31, 7);
		put_random_field(r, month, 1, 12, 8);
		put_random_field(r, weekday, 0, 7, 7);
		sprintf(text, "%s %s %s %s %s", minute, hour, day, month, weekday);
	} while (cron_parse(text, ret_cron, why, sizeof(why)) < 0);
}

/* An instant near a change of the clocks, if the year that starts there has one. */
static int64_t near_change(struct random *r, const struct zone *z, int64_t from)
{
	for (int64_t day = 0; day < 366; day++, from += 86400) {
		if (zone_offset(z, from) != zone_offset(z, from + 86400) && random_below(r, 2))
			break;
	}
	return from + (int64_t)random_below(r, 2 * 86400);
}

static void it_agrees_with_patience_and_libc(void **state)
{
	struct random r;

	(void)state;
	random_seed(&r, 7);
	for (int i = 0; i < 2000; i++) {
		const char *name = zones[random_below(&r, ARRAY_SIZE(zones))];
		struct zone *zone;
		struct cron cron;
		char text[256];
		int64_t found = 0;

		setenv("TZ", name, 1);
		tzset();
		assert_int_equal(zone_open(name, &zone), 0);
		random_cron(&r, &cron, text);
		int64_t after =
			near_change(&r, zone, 1000000000 + (int64_t)random_below(&r, 1000000000));
		int64_t expected = next_by_patience(&cron, after, after + 9 * 86400);

		assert_int_equal(cron_next(&cron, zone, after * NSEC_PER_SEC + 7, &found), 0);
		if (expected ? found != expected * NSEC_PER_SEC
			     : found < (after + 9 * 86400) * NSEC_PER_SEC)
			fail_msg("%s in %s after %lld: %lld where %lld is due", text, name,
				 (long long)after, (long long)(found / NSEC_PER_SEC),
				 (long long)expected);
		zone_free(zone);
	}
	unsetenv("TZ");
}

static void times_out_of_range_are_refused(void **state)
{
	char why[CRON_WHY_SIZE];
	struct zone *zone;
	struct cron cron;
	int64_t next = 77;

	(void)state;
	assert_int_equal(zone_open("UTC", &zone), 0);
	assert_int_equal(cron_parse("* * * * *", &cron, why, sizeof(why)), 0);
	assert_int_equal(cron_next(&cron, zone, -1, &next), -ERANGE);
	assert_int_equal(cron_next(&cron, zone, INT64_MIN, &next), -ERANGE);
	assert_int_equal(cron_next(&cron, zone, INT64_MAX, &next), -ERANGE);
	assert_int_equal(next, 77);
	assert_int_equal(cron_next(&cron, zone, 0, &next), 0);
	assert_int_equal(next, 60 * NSEC_PER_SEC);
	zone_free(zone);
}

static void elapsed_time_keeps_its_grid(void **state)
{
	(void)state;
	assert_int_equal(every_next(100, 30, 99), 100);
	assert_int_equal(every_next(100, 30, 100), 130);
	assert_int_equal(every_next(100, 30, 129), 130);
	assert_int_equal(every_next(100, 30, 1000), 1030 - (1030 - 100) % 30);
	assert_int_equal(every_next(-1000, 30, 0), 20);
	assert_int_equal(every_next(1, INT64_MAX, 2), TIME_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_say_what_crontab_5_says),
		cmocka_unit_test(shorthands_stand_for_five_fields),
		cmocka_unit_test(months_end_when_they_end),
		cmocka_unit_test(what_falls_into_a_gap_happens_right_after_it),
		cmocka_unit_test(what_comes_twice_happens_the_first_time),
		cmocka_unit_test(what_happens_each_hour_does_not_rest_for_one),
		cmocka_unit_test(odd_offsets_are_right),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(zones_go_by_the_names_of_the_database),
		cmocka_unit_test(it_agrees_with_patience_and_libc),
		cmocka_unit_test(times_out_of_range_are_refused),
		cmocka_unit_test(elapsed_time_keeps_its_grid),
	};

	return TAP_RUN(tests);
}
