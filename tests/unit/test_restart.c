/* The waits before restarts and the verdicts on silence: both pure, so the tests tell the time. */
#include "clock.h"
#include "pulse.h"
#include "restart.h"
#include "tap_main.h"

static const struct restart_limits worker = { .limit = 5, .window = 10 * NSEC_PER_SEC };
static const struct restart_limits broker = { .limit = 3, .window = 60 * NSEC_PER_SEC, .give_up = true };
static const struct pulse_limits pulse_limits = { 2 * NSEC_PER_SEC, 10 * NSEC_PER_SEC,
						  12 * NSEC_PER_SEC };

static void the_wait_doubles_with_each_death(void **state GA_UNUSED)
{
	struct restart r = { 0 };
	int64_t now = NSEC_PER_SEC, wanted = RESTART_FIRST;

	for (int i = 0; i < 5; i++) {
		int64_t wait = restart_after(&r, &worker, now, now, 0);

		assert_int_equal(wait, wanted);
		now += wait;
		wanted *= 2;
	}
}

static void the_wait_ends_at_the_longest(void **state GA_UNUSED)
{
	const struct restart_limits none = { .limit = RESTART_MEMORY, .window = 10 * NSEC_PER_SEC };
	struct restart r = { 0 };
	int64_t wait = 0;

	for (int i = 0; i < 100; i++) {
		int64_t next = restart_after(&r, &none, 0, 0, 0);

		assert_true(next >= wait && next <= RESTART_LONGEST);
		wait = next;
	}
	assert_int_equal(wait, RESTART_LONGEST);
}

static void the_first_and_the_longest_wait_can_be_said(void **state GA_UNUSED)
{
	struct restart_limits limits = {
		.limit = RESTART_MEMORY, .window = NSEC_PER_SEC, .first = 3, .longest = 10
	};
	static const int64_t wanted[] = { 3, 6, 10, 10 };
	struct restart r = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_int_equal(restart_after(&r, &limits, 0, 0, 0), wanted[i]);
	limits.first = 20; /* the longest holds */
	r = (struct restart){ 0 };
	for (int i = 0; i < 100; i++)
		assert_int_equal(restart_after(&r, &limits, 0, 0, 0), limits.longest);
	limits.limit = 0; /* passed by the first death */
	limits.first = 3;
	r = (struct restart){ 0 };
	assert_int_equal(restart_after(&r, &limits, 0, 0, 0), limits.longest);
}

static void chance_adds_up_to_a_fifth(void **state GA_UNUSED)
{
	struct restart a = { 0 }, b = { 0 };
	int64_t least = restart_after(&a, &worker, 0, 0, 0);
	int64_t most = restart_after(&b, &worker, 0, 0, 0.999999);

	assert_int_equal(least, RESTART_FIRST);
	assert_true(most > RESTART_FIRST * 119 / 100 && most <= RESTART_FIRST * 12 / 10);
}

static void a_worker_past_its_limit_keeps_trying_at_the_longest(void **state GA_UNUSED)
{
	struct restart r = { 0 };
	int64_t now = 0;

	for (int i = 0; i < 5; i++)
		assert_true(restart_after(&r, &worker, now, now, 0) < RESTART_LONGEST);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(restart_after(&r, &worker, now, now, 0), RESTART_LONGEST);
		now += RESTART_LONGEST;
	}
}

static void a_child_that_lived_for_a_window_starts_over(void **state GA_UNUSED)
{
	struct restart r = { 0 };
	int64_t now = 0;

	for (int i = 0; i < 7; i++)
		(void)!restart_after(&r, &worker, now, now, 0);
	now += 10 * NSEC_PER_SEC;
	assert_int_equal(restart_after(&r, &worker, 0, now, 0), RESTART_FIRST);
	/* Not if it was started just before. */
	assert_int_equal(restart_after(&r, &worker, now, now + NSEC_PER_SEC, 0), 2 * RESTART_FIRST);
}

static void a_broker_past_its_limit_is_given_up(void **state GA_UNUSED)
{
	struct restart r = { 0 };

	for (int64_t i = 0; i < 3; i++)
		assert_true(restart_after(&r, &broker, i * NSEC_PER_SEC, i * NSEC_PER_SEC, 0) > 0);
	assert_int_equal(restart_after(&r, &broker, 59 * NSEC_PER_SEC, 59 * NSEC_PER_SEC, 0),
			 RESTART_GIVE_UP);
}

static void deaths_outside_the_window_are_forgiven(void **state GA_UNUSED)
{
	struct restart r = { 0 };

	/* One each 20 s: at most three in any 60 s. */
	for (int64_t i = 0; i < 1000; i++)
		assert_true(restart_after(&r, &broker, 20 * i * NSEC_PER_SEC, 20 * i * NSEC_PER_SEC,
					  0) > 0);
}

static void a_limit_of_zero_gives_up_at_once(void **state GA_UNUSED)
{
	const struct restart_limits none = { .window = NSEC_PER_SEC, .give_up = true };
	struct restart r = { 0 };

	assert_int_equal(restart_after(&r, &none, 0, 0, 0), RESTART_GIVE_UP);
}

static void a_limit_beyond_the_memory_is_never_passed(void **state GA_UNUSED)
{
	const struct restart_limits many = { .limit = 1000000,
					     .window = 60 * NSEC_PER_SEC,
					     .give_up = true };
	struct restart r = { 0 };

	for (int i = 0; i < 10 * RESTART_MEMORY; i++)
		assert_true(restart_after(&r, &many, 0, i, 0) > 0);
}

static void the_largest_limit_in_memory_holds(void **state GA_UNUSED)
{
	const struct restart_limits limits = { .limit = RESTART_MEMORY - 1,
					       .window = 60 * NSEC_PER_SEC,
					       .give_up = true };
	struct restart r = { 0 };

	for (int i = 0; i < RESTART_MEMORY - 1; i++)
		assert_true(restart_after(&r, &limits, 0, i, 0) > 0);
	assert_int_equal(restart_after(&r, &limits, 0, RESTART_MEMORY, 0), RESTART_GIVE_UP);
}

/* Look each 500 ms, the beat unchanged, until a sign; returns the seconds of silence. */
static double until_sign(struct pulse *p, int64_t *now, enum pulse_sign *ret_sign)
{
	do {
		*now += NSEC_PER_SEC / 2;
		*ret_sign = pulse_look(p, &pulse_limits, *now, 7);
	} while (*ret_sign == PULSE_FINE && p->silent < 100 * NSEC_PER_SEC);
	return (double)p->silent / (double)NSEC_PER_SEC;
}

static void silence_is_warned_of_then_aborted_then_killed_once_each(void **state GA_UNUSED)
{
	struct pulse p;
	enum pulse_sign sign;
	int64_t now = 5;

	pulse_start(&p, now);
	assert_int_equal(pulse_look(&p, &pulse_limits, now, 7), PULSE_FINE);
	assert_true(until_sign(&p, &now, &sign) == 2.0);
	assert_int_equal(sign, PULSE_WARN);
	assert_true(until_sign(&p, &now, &sign) == 10.0);
	assert_int_equal(sign, PULSE_ABORT);
	assert_true(until_sign(&p, &now, &sign) == 12.0);
	assert_int_equal(sign, PULSE_KILL);
	assert_true(until_sign(&p, &now, &sign) >= 100.0);
	assert_int_equal(sign, PULSE_FINE);
}

static void a_beat_ends_the_silence_and_says_so_after_a_warning(void **state GA_UNUSED)
{
	struct pulse p;
	enum pulse_sign sign;
	int64_t now = 0;

	pulse_start(&p, now);
	(void)until_sign(&p, &now, &sign);
	assert_int_equal(sign, PULSE_WARN);
	assert_int_equal(pulse_look(&p, &pulse_limits, ++now, 8), PULSE_BACK);
	assert_int_equal(pulse_look(&p, &pulse_limits, ++now, 9), PULSE_FINE);
	assert_int_equal(p.silent, 0);
}

static void a_child_that_never_beats_is_silent_from_its_start(void **state GA_UNUSED)
{
	struct pulse p;
	int64_t now = 0;

	pulse_start(&p, now);
	for (now = NSEC_PER_SEC; now < 2 * NSEC_PER_SEC; now += NSEC_PER_SEC)
		assert_int_equal(pulse_look(&p, &pulse_limits, now, 0), PULSE_FINE);
	assert_int_equal(pulse_look(&p, &pulse_limits, now, 0), PULSE_WARN);
}

static void a_supervisor_that_was_stopped_kills_nobody_for_it(void **state GA_UNUSED)
{
	struct pulse p;

	pulse_start(&p, 0);
	assert_int_equal(pulse_look(&p, &pulse_limits, 1, 7), PULSE_FINE);
	/* An hour passes between two looks. */
	assert_int_equal(pulse_look(&p, &pulse_limits, 3600 * NSEC_PER_SEC, 7), PULSE_FINE);
	assert_true(p.silent < pulse_limits.warn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_wait_doubles_with_each_death),
		cmocka_unit_test(the_wait_ends_at_the_longest),
		cmocka_unit_test(the_first_and_the_longest_wait_can_be_said),
		cmocka_unit_test(chance_adds_up_to_a_fifth),
		cmocka_unit_test(a_worker_past_its_limit_keeps_trying_at_the_longest),
		cmocka_unit_test(a_child_that_lived_for_a_window_starts_over),
		cmocka_unit_test(a_broker_past_its_limit_is_given_up),
		cmocka_unit_test(deaths_outside_the_window_are_forgiven),
		cmocka_unit_test(a_limit_of_zero_gives_up_at_once),
		cmocka_unit_test(a_limit_beyond_the_memory_is_never_passed),
		cmocka_unit_test(the_largest_limit_in_memory_holds),
		cmocka_unit_test(silence_is_warned_of_then_aborted_then_killed_once_each),
		cmocka_unit_test(a_beat_ends_the_silence_and_says_so_after_a_warning),
		cmocka_unit_test(a_child_that_never_beats_is_silent_from_its_start),
		cmocka_unit_test(a_supervisor_that_was_stopped_kills_nobody_for_it),
	};

	return TAP_RUN(tests);
}
