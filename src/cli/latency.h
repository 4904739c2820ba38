/*
 * latency.h — how long jobs took: a histogram whose size doesn't depend on their number.
 *
 * A bucket is at most 0.4 % wide; below 512 ns, one is a nanosecond. What took more than a day and a half is in the
 * last one.
 */
#pragma once
#include <stdint.h>

#define LATENCY_STEPS_LOG2 8 /* buckets to each power of two: 256 */
#define LATENCY_STEPS (1U << LATENCY_STEPS_LOG2)
#define LATENCY_BUCKETS (40 * LATENCY_STEPS)

struct latencies { /* all zero: none yet */
	uint64_t count;
	int64_t longest;
	uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latencies *l, int64_t ns);
/* What that share of them, 0 to 1, took at most: the middle of its bucket. 0: there are none. */
int64_t latency_quantile(const struct latencies *l, double share);
