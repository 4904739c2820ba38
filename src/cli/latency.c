#include "latency.h"

/* The bits below the first LATENCY_STEPS_LOG2 + 1 are dropped; how many that are is the bucket's power of two. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned dropped, bucket;

	if (ns < 2 * LATENCY_STEPS)
		return (unsigned)ns;
	dropped = 63 - LATENCY_STEPS_LOG2 - (unsigned)__builtin_clzll(ns);
	bucket = (dropped << LATENCY_STEPS_LOG2) + (unsigned)(ns >> dropped);
	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static int64_t middle_of(unsigned bucket)
{
	unsigned dropped;

	if (bucket < 2 * LATENCY_STEPS)
		return bucket;
	dropped = (bucket >> LATENCY_STEPS_LOG2) - 1;
	return ((int64_t)(bucket - (dropped << LATENCY_STEPS_LOG2)) << dropped) +
	       (INT64_C(1) << (dropped - 1));
}

void latency_add(struct latencies *l, int64_t ns)
{
	if (ns < 0)
		ns = 0;
	l->buckets[bucket_of((uint64_t)ns)]++;
	l->count++;
	if (ns > l->longest)
		l->longest = ns;
}

int64_t latency_quantile(const struct latencies *l, double share)
{
	uint64_t rank = (uint64_t)((double)l->count * share), seen = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += l->buckets[i];
		if (seen > rank) {
			int64_t middle = middle_of(i);

			return middle < l->longest ? middle : l->longest;
		}
	}
	return l->longest;
}
