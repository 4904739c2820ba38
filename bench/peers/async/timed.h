/*
 * timed.h — how a program of the async suite says what it measured: so many jobs in so much time, in one line of JSON.
 *
 * A round of a twentieth comes first, untimed: it faults memory in and fills pools and caches, for all subjects alike.
 */
#pragma once
#include "../figures.h"
#include <string.h>

static inline unsigned long timed_warm_up(unsigned long count)
{
	return count / 20 + 1;
}

static inline void timed_print(unsigned long jobs, int64_t started)
{
	printf("{\"jobs\": %lu, \"elapsed_s\": %.9f}\n", jobs, (double)(figures_now() - started) / 1e9);
}

struct timed_workload {
	const char *name;
	void (*run)(unsigned long count);
};

/* PROGRAM WORKLOAD COUNT: the first round to warm up, the second timed. */
static inline int timed_main(int argc, char **argv, const struct timed_workload *workloads,
			     size_t workload_count)
{
	unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	int64_t started;

	for (size_t i = 0; count && i < workload_count; i++) {
		if (strcmp(argv[1], workloads[i].name) != 0)
			continue;
		workloads[i].run(timed_warm_up(count));
		started = figures_now();
		workloads[i].run(count);
		timed_print(count, started);
		return 0;
	}
	figures_fail("usage: %s WORKLOAD COUNT", argv[0]);
}
