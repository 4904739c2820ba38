#include "gate.h"
#include "clock.h"
#include <errno.h>
#include <string.h>

enum { RUN_TIME_WEIGHT = 8 };

static void gate_update(struct gate *g);

void gate_init(struct gate *g, enum limit_kind kind, const struct limit *limit)
{
	memset(g, 0, sizeof(*g));
	g->kind = (uint8_t)kind;
	gate_limit(g, limit);
}

int limit_check(const struct limit *limit)
{
	if (limit->rate == 0)
		return 0;
	if (limit->per <= 0 || limit->per / limit->rate < NSEC_PER_SEC / LIMIT_RATE_MAX)
		return -EINVAL;
	return 0;
}

void gate_limit(struct gate *g, const struct limit *limit)
{
	uint64_t burst = limit->burst;

	g->limit = *limit;
	g->interval = g->tolerance = 0;
	if (limit->rate > 0) {
		g->interval = limit->per / limit->rate;
		if (burst == 0)
			burst = (uint64_t)(NSEC_PER_SEC / 10 / g->interval);
		g->tolerance = (int64_t)MIN((uint64_t)(burst > 0 ? burst - 1 : 0),
					    (uint64_t)TIME_NEVER / 2 / (uint64_t)g->interval) *
			       g->interval;
	}
	g->full_at = g->blocked_until = g->slow_again = 0;
	g->slowed = g->successes = 0;
	gate_update(g);
}

int64_t gate_opens_at(const struct gate *g, int64_t now)
{
	int64_t at = g->blocked_until;

	if (g->paused || g->running >= g->ceiling)
		return TIME_NEVER;
	if (g->interval > 0)
		at = MAX(at, g->full_at - g->tolerance);
	return MAX(at, now);
}

void gate_spend(struct gate *g, int64_t now)
{
	if (g->interval > 0)
		g->full_at = time_add(MAX(g->full_at, now), g->interval);
}

void gate_learn(struct gate *g, int64_t ran)
{
	if (g->run_time == 0)
		g->run_time = ran;
	else
		g->run_time += (ran - g->run_time) / RUN_TIME_WEIGHT;
}

void gate_busy(struct gate *g, int64_t now, int64_t retry_after)
{
	retry_after = MIN(MAX(retry_after, INT64_C(0)), BUSY_PAUSE_MAX);
	if (retry_after > 0)
		g->blocked_until = MAX(g->blocked_until, time_add(now, retry_after));
	if (now < g->slow_again)
		return; /* told of the same crowd */
	g->slow_again = time_add(now, MAX(retry_after, NSEC_PER_SEC));
	g->slowed = MAX(MIN(g->ceiling, g->running) / 2, 1u);
	g->successes = 0;
	gate_update(g);
}

void gate_succeeded(struct gate *g)
{
	if (g->slowed == 0 || ++g->successes < g->slowed)
		return;
	g->successes = 0;
	g->slowed++;
	gate_update(g);
}

uint64_t gate_pending(const struct gate *g)
{
	return g->jobs - g->running;
}

bool gate_full(const struct gate *g)
{
	return g->limit.max_pending > 0 && gate_pending(g) >= g->limit.max_pending;
}

static void gate_update(struct gate *g)
{
	uint32_t limit = g->limit.concurrency > 0 ? g->limit.concurrency : UINT32_MAX;

	if (g->slowed >= limit)
		g->slowed = 0; /* it has recovered */
	g->ceiling = g->slowed > 0 ? g->slowed : limit;
}
