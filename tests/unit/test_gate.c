/* A gate by itself: concurrency, rate, busy answers, max_pending. */
#include "clock.h"
#include "gate.h"
#include "tap_main.h"
#include <errno.h>

#define NOW (1000 * NSEC_PER_SEC)

static struct gate gate_of(struct limit limit)
{
	struct gate g;

	assert_int_equal(limit_check(&limit), 0);
	gate_init(&g, LIMIT_KEY, &limit);
	return g;
}

/* Starts jobs, which end at once, for as long as the gate lets them through at `now`. */
static unsigned starts_at(struct gate *g, int64_t now, unsigned most)
{
	unsigned started = 0;

	while (started < most && gate_opens_at(g, now) <= now) {
		gate_spend(g, now);
		started++;
	}
	return started;
}

static void a_gate_without_limits_is_open(void **state)
{
	struct gate g = gate_of((struct limit){ 0 });

	(void)state;
	g.running = g.jobs = 4000000000;
	assert_int_equal(gate_opens_at(&g, NOW), NOW);
	assert_false(gate_full(&g));
	assert_int_equal(starts_at(&g, NOW, 1000), 1000);
}

static void concurrency_shuts_at_its_number(void **state)
{
	struct gate g = gate_of((struct limit){ .concurrency = 3 });

	(void)state;
	for (g.running = 0; g.running < 3; g.running++)
		assert_int_equal(gate_opens_at(&g, NOW), NOW);
	assert_int_equal(gate_opens_at(&g, NOW), TIME_NEVER);
	gate_limit(&g, &(struct limit){ .concurrency = 4 });
	assert_int_equal(gate_opens_at(&g, NOW), NOW);
}

static void a_paused_gate_is_shut(void **state)
{
	struct gate g = gate_of((struct limit){ 0 });

	(void)state;
	g.paused = true;
	assert_int_equal(gate_opens_at(&g, NOW), TIME_NEVER);
	gate_limit(&g, &(struct limit){ .concurrency = 9 }); /* a limit doesn't resume it */
	assert_int_equal(gate_opens_at(&g, NOW), TIME_NEVER);
}

static void a_rate_spreads_starts_evenly(void **state)
{
	struct gate g = gate_of((struct limit){ .rate = 10, .per = NSEC_PER_SEC });
	int64_t now = NOW;

	(void)state;
	for (int i = 0; i < 25; i++) {
		assert_int_equal(starts_at(&g, now, 100), 1);
		assert_int_equal(gate_opens_at(&g, now), now + NSEC_PER_SEC / 10);
		now = gate_opens_at(&g, now);
	}
	assert_int_equal(starts_at(&g, now + 3600 * NSEC_PER_SEC, 100), 1); /* idle time isn't saved up */
}

static void a_burst_is_spent_and_refills(void **state)
{
	struct gate g = gate_of((struct limit){ .rate = 60, .per = 60 * NSEC_PER_SEC, .burst = 5 });

	(void)state;
	assert_int_equal(starts_at(&g, NOW, 100), 5);
	assert_int_equal(gate_opens_at(&g, NOW), NOW + NSEC_PER_SEC);
	assert_int_equal(starts_at(&g, NOW + 3 * NSEC_PER_SEC, 100), 3);
	assert_int_equal(starts_at(&g, NOW + 100 * NSEC_PER_SEC, 100), 5);
}

static void a_fast_rate_is_kept_by_slow_turns(void **state)
{
	struct gate g = gate_of((struct limit){ .rate = 10000, .per = NSEC_PER_SEC });
	unsigned started = 0;

	(void)state;
	for (int64_t ms = 0; ms < 1000; ms += 20) /* the caller looks at it each 20 ms only */
		started += starts_at(&g, NOW + ms * NSEC_PER_MSEC, 100000);
	assert_in_range(started, 9800, 11000);
}

static void rates_out_of_range_are_refused(void **state)
{
	struct limit wrong[] = { { .rate = 1 },
				 { .rate = 1, .per = -1 },
				 { .rate = LIMIT_RATE_MAX + 1, .per = NSEC_PER_SEC },
				 { .rate = UINT32_MAX, .per = 60 * NSEC_PER_SEC } },
		     right[] = { { .rate = 1, .per = TIME_NEVER, .burst = UINT32_MAX },
				 { .rate = LIMIT_RATE_MAX, .per = NSEC_PER_SEC, .burst = UINT32_MAX },
				 { .per = -1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(limit_check(&wrong[i]), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		struct gate g = gate_of(right[i]);

		assert_int_equal(starts_at(&g, NOW, 1), 1);
		assert_in_range(gate_opens_at(&g, NOW), NOW, TIME_NEVER);
	}
}

static void a_busy_answer_halves_what_ran(void **state)
{
	struct gate g = gate_of((struct limit){ .concurrency = 100 });

	(void)state;
	g.running = 40; /* not the limit: that many were too many */
	gate_busy(&g, NOW, 0);
	assert_int_equal(g.ceiling, 20);
	for (int i = 0; i < 30; i++) /* the others of that crowd say the same */
		gate_busy(&g, NOW + i * NSEC_PER_MSEC, 0);
	assert_int_equal(g.ceiling, 20);
	g.running = 20;
	gate_busy(&g, NOW + NSEC_PER_SEC, 0);
	assert_int_equal(g.ceiling, 10);
	for (int i = 2; i < 20; i++) {
		g.running = g.ceiling;
		gate_busy(&g, NOW + i * NSEC_PER_SEC, 0);
	}
	assert_int_equal(g.ceiling, 1);
	g.running = 0;
	assert_int_equal(gate_opens_at(&g, NOW + 60 * NSEC_PER_SEC), NOW + 60 * NSEC_PER_SEC);
}

static void a_gate_without_a_limit_slows_down_as_well(void **state)
{
	struct gate g = gate_of((struct limit){ 0 });

	(void)state;
	g.running = 1000;
	gate_busy(&g, NOW, 0);
	assert_int_equal(g.ceiling, 500);
}

static void retry_after_blocks_and_counts_once(void **state)
{
	struct gate g = gate_of((struct limit){ .concurrency = 8 });

	(void)state;
	g.running = 8;
	gate_busy(&g, NOW, 5 * NSEC_PER_SEC);
	g.running = 4;
	gate_busy(&g, NOW + 2 * NSEC_PER_SEC, 1 * NSEC_PER_SEC); /* earlier than known already */
	assert_int_equal(g.ceiling, 4);
	g.running = 0;
	assert_int_equal(gate_opens_at(&g, NOW), NOW + 5 * NSEC_PER_SEC);
	gate_busy(&g, NOW + 2 * NSEC_PER_SEC, 30 * NSEC_PER_SEC);
	assert_int_equal(gate_opens_at(&g, NOW), NOW + 32 * NSEC_PER_SEC);
	gate_busy(&g, NOW, TIME_NEVER);
	assert_int_equal(gate_opens_at(&g, NOW), NOW + BUSY_PAUSE_MAX);
	gate_limit(&g, &(struct limit){ .concurrency = 8 }); /* who sets it anew knows better */
	assert_int_equal(gate_opens_at(&g, NOW), NOW);
	assert_int_equal(g.ceiling, 8);
}

static void successes_creep_up_again(void **state)
{
	struct gate g = gate_of((struct limit){ .concurrency = 8 });
	unsigned needed = 0;

	(void)state;
	gate_succeeded(&g);
	assert_int_equal(g.ceiling, 8);
	g.running = 8;
	gate_busy(&g, NOW, 0);
	for (uint32_t ceiling = 4; ceiling < 8; ceiling++) {
		assert_int_equal(g.ceiling, ceiling);
		for (uint32_t i = 0; i < ceiling; i++, needed++)
			gate_succeeded(&g);
	}
	assert_int_equal(g.ceiling, 8);
	assert_int_equal(g.slowed, 0);
	assert_int_equal(needed, 4 + 5 + 6 + 7);
}

static void pending_jobs_fill_it(void **state)
{
	struct gate g = gate_of((struct limit){ .max_pending = 2 });

	(void)state;
	g.jobs = 3;
	g.running = 2;
	assert_false(gate_full(&g));
	g.running = 1;
	assert_int_equal(gate_pending(&g), 2);
	assert_true(gate_full(&g));
}

static void run_times_are_averaged(void **state)
{
	struct gate g = gate_of((struct limit){ 0 });

	(void)state;
	gate_learn(&g, 1000);
	assert_int_equal(g.run_time, 1000);
	for (int i = 0; i < 100; i++)
		gate_learn(&g, 9000);
	assert_in_range(g.run_time, 8900, 9000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gate_without_limits_is_open),
		cmocka_unit_test(concurrency_shuts_at_its_number),
		cmocka_unit_test(a_paused_gate_is_shut),
		cmocka_unit_test(a_rate_spreads_starts_evenly),
		cmocka_unit_test(a_burst_is_spent_and_refills),
		cmocka_unit_test(a_fast_rate_is_kept_by_slow_turns),
		cmocka_unit_test(rates_out_of_range_are_refused),
		cmocka_unit_test(a_busy_answer_halves_what_ran),
		cmocka_unit_test(a_gate_without_a_limit_slows_down_as_well),
		cmocka_unit_test(retry_after_blocks_and_counts_once),
		cmocka_unit_test(successes_creep_up_again),
		cmocka_unit_test(pending_jobs_fill_it),
		cmocka_unit_test(run_times_are_averaged),
	};

	return TAP_RUN(tests);
}
