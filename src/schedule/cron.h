/*
 * cron.h — cron expressions: five fields that say at which local times something happens, as crontab(5) has them.
 *
 * Minute, hour, day of month, month, day of week; each `*`, a number, a range, either of the two with a step, or a list
 * of those; months and weekdays by name, too. If both days are restricted (neither holds a `*`), either is enough.
 * "@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly" and "@annually" stand for five fields.
 *
 * Where clocks are put forward, times that don't exist happen right after the gap, once. Where they are put back, times
 * happen when they first come; but something that happens in every hour goes on happening through both.
 * Pure values; never suspends, never reads a clock.
 */
#pragma once
#include "compiler.h"
#include "zone.h"
#include <stdbool.h>

struct cron {
	uint64_t minutes; /* bit n: minute n; the others likewise */
	uint32_t hours;
	uint32_t days;    /* of the month: 1 .. 31 */
	uint16_t months;  /* 1 .. 12 */
	uint8_t weekdays; /* 0 (Sunday) .. 6 */
	bool either_day;  /* a day of the month or of the week is enough */
};

#define CRON_WHY_SIZE 160
/* -EINVAL: `ret_why` says what is wrong and what would be right. Dates that never come (30 February) are wrong, too. */
int cron_parse(const char *text, struct cron *ret_cron, char *ret_why, size_t why_size) GA_MUST_CHECK;

/* The first time after an instant; both in Unix nanoseconds. -ERANGE: not within 50 years, or out of their range, or
 * before 1970. */
int cron_next(const struct cron *c, const struct zone *z, int64_t after_wall,
	      int64_t *ret_wall) GA_MUST_CHECK;

/* What happens each `every` ns, and last was due at `due`: when it is due after `now`, on the same grid. */
int64_t every_next(int64_t due, int64_t every, int64_t now);
