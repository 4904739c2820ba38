/*
 * figures.h — what each client of the benchmark measures: how long its jobs took, one by one and in all.
 *
 * Latencies go to a histogram of fixed size whose buckets are 0.4 % wide, so that a client's memory doesn't grow with
 * the number of its jobs. figures_print() writes the one line of JSON that bench/run reads.
 */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FIGURES_STEPS_LOG2 8 /* buckets to each power of two: 256 */
#define FIGURES_STEPS (1U << FIGURES_STEPS_LOG2)
#define FIGURES_BUCKETS (40 * FIGURES_STEPS)

/* A job carries this much, there and back; its first 8 bytes say when it was sent. */
#define PAYLOAD_SIZE 64

struct figures {
	int64_t started;
	uint64_t count;
	uint32_t buckets[FIGURES_BUCKETS];
};

static inline int64_t figures_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline unsigned figures_bucket(uint64_t ns)
{
	unsigned shift, bucket;

	if (ns < FIGURES_STEPS)
		return (unsigned)ns;
	shift = 63 - FIGURES_STEPS_LOG2 - (unsigned)__builtin_clzll(ns);
	bucket = (shift << FIGURES_STEPS_LOG2) + (unsigned)(ns >> shift);
	return bucket < FIGURES_BUCKETS ? bucket : FIGURES_BUCKETS - 1;
}

/* The middle of a bucket, in nanoseconds. */
static inline double figures_value(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * FIGURES_STEPS)
		return bucket;
	shift = (bucket >> FIGURES_STEPS_LOG2) - 1;
	return ((double)(bucket - (shift << FIGURES_STEPS_LOG2)) + 0.5) * (double)(1ULL << shift);
}

/* A job that was sent at `sent` has ended. */
static inline void figures_add(struct figures *f, int64_t sent)
{
	f->buckets[figures_bucket((uint64_t)(figures_now() - sent))]++;
	f->count++;
}

static inline double figures_quantile_us(const struct figures *f, double share)
{
	uint64_t rank = (uint64_t)((double)f->count * share), seen = 0;

	for (unsigned i = 0; i < FIGURES_BUCKETS; i++) {
		seen += f->buckets[i];
		if (seen > rank)
			return figures_value(i) / 1000;
	}
	return 0;
}

static inline void figures_start(struct figures *f)
{
	f->started = figures_now();
}

static inline void figures_print(const struct figures *f)
{
	double elapsed = (double)(figures_now() - f->started) / 1e9;

	printf("{\"jobs\": %llu, \"elapsed_s\": %.6f, \"p50_us\": %.2f, \"p99_us\": %.2f}\n",
	       (unsigned long long)f->count, elapsed, figures_quantile_us(f, 0.5),
	       figures_quantile_us(f, 0.99));
}

/* Every failure ends a client: a benchmark of what doesn't work has no figures. */
#define figures_fail(...)                                                                          \
	do {                                                                                       \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		exit(1);                                                                           \
	} while (0)

static inline void figures_worker_ready(void)
{
	puts("ready");
	fflush(stdout);
}
