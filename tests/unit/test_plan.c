#include "clock.h"
#include "plan.h"
#include "tap_main.h"
#include <string.h>
#include <time.h>

static int64_t instant_of(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm) * NSEC_PER_SEC;
}

static struct plan cron_plan(const char *text, bool once)
{
	struct plan p = { .once = once };
	char why[CRON_WHY_SIZE];

	assert_int_equal(cron_parse(text, &p.cron, why, sizeof(why)), 0);
	assert_int_equal(zone_open("UTC", &p.zone), 0);
	return p;
}

/* What is made good at `now` of a plan that was due at `due`, and when it is due again; "-": nothing. */
static void check_settled(const struct plan *p, const char *due, const char *now,
			  const char *made_good, const char *next)
{
	int64_t instant = -1;

	assert_int_equal(plan_settle(p, instant_of(due), instant_of(now), false, &instant),
			 instant_of(next));
	assert_int_equal(instant, strcmp(made_good, "-") == 0 ? 0 : instant_of(made_good));
	/* Whether the daemon was there makes no difference to the wall clock. */
	assert_int_equal(plan_settle(p, instant_of(due), instant_of(now), true, &instant),
			 instant_of(next));
	assert_int_equal(instant, strcmp(made_good, "-") == 0 ? 0 : instant_of(made_good));
}

static void a_cron_time_holds_for_its_minute(void **state)
{
	struct plan skip = cron_plan("0 3 * * *", false), once = cron_plan("0 3 * * *", true);
	struct plan minutely = cron_plan("* * * * *", false);

	(void)state;
	check_settled(&skip, "2026-11-20 03:00:00", "2026-11-20 03:00:00", "2026-11-20 03:00:00",
		      "2026-11-21 03:00:00");
	check_settled(&skip, "2026-11-20 03:00:00", "2026-11-20 03:00:59", "2026-11-20 03:00:00",
		      "2026-11-21 03:00:00");
	check_settled(&skip, "2026-11-20 03:00:00", "2026-11-20 03:01:00", "-", "2026-11-21 03:00:00");
	check_settled(&skip, "2026-11-20 03:00:00", "2026-11-25 02:00:00", "-", "2026-11-25 03:00:00");
	check_settled(&once, "2026-11-20 03:00:00", "2026-11-25 02:00:00", "2026-11-20 03:00:00",
		      "2026-11-25 03:00:00");
	/* A time that is just due stands for all that was missed. */
	check_settled(&once, "2026-11-20 03:00:00", "2026-11-25 03:00:10", "2026-11-25 03:00:00",
		      "2026-11-26 03:00:00");
	check_settled(&minutely, "2026-11-20 03:00:00", "2026-11-20 04:30:20",
		      "2026-11-20 04:30:00", "2026-11-20 04:31:00");
	zone_free(skip.zone);
	zone_free(once.zone);
	zone_free(minutely.zone);
}

static void elapsed_time_that_nobody_was_there_for_is_missed(void **state)
{
	struct plan skip = { .every = 30 }, once = { .every = 30, .once = true };
	int64_t instant;

	(void)state;
	assert_int_equal(plan_next(&skip, 1000), 1030);
	assert_int_equal(plan_settle(&skip, 1030, 1031, false, &instant), 1060);
	assert_int_equal(instant, 1030); /* a little late */
	assert_int_equal(plan_settle(&skip, 1030, 1065, false, &instant), 1090);
	assert_int_equal(instant, 0); /* the machine slept */
	assert_int_equal(plan_settle(&skip, 1030, 1031, true, &instant), 1060);
	assert_int_equal(instant, 0);
	assert_int_equal(plan_settle(&once, 1030, 1065, false, &instant), 1090);
	assert_int_equal(instant, 1030);
	assert_int_equal(plan_settle(&once, 1030, 9999, true, &instant), 10000);
	assert_int_equal(instant, 1030);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cron_time_holds_for_its_minute),
		cmocka_unit_test(elapsed_time_that_nobody_was_there_for_is_missed),
	};

	return TAP_RUN(tests);
}
