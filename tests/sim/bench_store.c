/*
 * bench_store — what a job costs in the store: its whole life (saved with its first attempt, later saved as finished),
 * and its share of the next start while it waits.
 *
 *	bench_store DIRECTORY [JOBS [BATCH]]        default: 200,000 jobs, 64 in a batch; the directory is empty
 */
#include "clock.h"
#include "store.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { IN_FLIGHT = 8 }; /* batches that are handed over and not answered for */

static struct store *store;
static uint64_t handed_over, committed;

static void on_commit(void *arg, const struct store_commit *commit)
{
	(void)arg;
	committed = commit->number;
	if (commit->error || commit->refusal_count) {
		fprintf(stderr, "bench_store: %d: %s\n", commit->error, store_why(store));
		exit(1);
	}
}

static void start(const char *directory)
{
	const struct store_options options = { .directory = directory,
					       .key_ttl = 3600 * NSEC_PER_SEC,
					       .quick_check_pages = 1000 };
	char why[256];

	if (store_open(&options, &store, why, sizeof(why)) < 0) {
		fprintf(stderr, "bench_store: %s\n", why);
		exit(1);
	}
	store_on_commit(store, on_commit, NULL);
}

static void wait_below(uint64_t limit)
{
	struct pollfd fd = { .fd = store_fd(store), .events = POLLIN };

	while (handed_over - committed > limit) {
		poll(&fd, 1, -1);
		store_dispatch(store);
	}
}

static struct store_job make_job(uint64_t sequence, bool finished)
{
	struct store_job job = {
		.sequence = sequence,
		.type = SPAN("http"),
		.queue = SPAN("default"),
		.durability = DURABILITY_FSYNC,
		.args = SPAN("{\"url\":\"http://localhost:8080/index.html\"}"),
		.state = JOB_RUNNING,
		.attempts = 1,
		.token = UINT64_C(7) << 32 | sequence,
		.incarnation = 12,
		.accepted_wall = clock_wall(),
		.started_wall = clock_wall(),
	};

	uuid7_make(&job.id, (uint64_t)(job.accepted_wall / NSEC_PER_MSEC), 0x801,
		   sequence << 22 | 12345);
	if (finished) {
		job.state = JOB_SUCCEEDED;
		job.finished_wall = job.accepted_wall;
		job.expires_wall = job.accepted_wall + 3600 * NSEC_PER_SEC;
		job.elapsed_us = 1000;
		job.meta = SPAN("{\"status\":200}");
		job.body = SPAN("................................................................"
				"................................................................");
	}
	return job;
}

/* Of the whole process, ns. */
static int64_t cpu_time(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * NSEC_PER_SEC +
	       (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * NSEC_PER_USEC;
}

/* Each batch has new jobs, and the ends of those some batches before it: as in a broker under load. */
static void measure_lives(uint64_t jobs, uint64_t batch_size, const char *name, enum store_sync sync)
{
	struct store_facts before, after;
	uint64_t first, lag = IN_FLIGHT * batch_size;
	int64_t begin = clock_monotonic(), cpu = cpu_time(), took;

	store_facts(store, &before);
	first = before.last_sequence + 1;
	for (uint64_t i = 0; i < jobs + lag; i += batch_size) {
		struct store_batch *batch = store_batch_new(store);

		for (uint64_t k = i; batch && k < i + batch_size; k++) {
			struct store_job new = make_job(first + k, false);
			struct store_job old = make_job(first + k - lag, true);

			if ((k < jobs && store_save_job(batch, &new, true) < 0) ||
			    (k >= lag && k - lag < jobs && store_save_job(batch, &old, false) < 0))
				exit(1);
		}
		store_commit(store, batch, ++handed_over, sync);
		wait_below(IN_FLIGHT);
	}
	wait_below(0);
	took = clock_monotonic() - begin;
	store_facts(store, &after);
	printf("%-6s %llu jobs in batches of %llu: %.0f jobs/s, %.1f us of CPU each, %llu commits\n",
	       name, (unsigned long long)jobs, (unsigned long long)batch_size,
	       (double)jobs * NSEC_PER_SEC / (double)took,
	       (double)(cpu_time() - cpu) / 1000 / (double)jobs,
	       (unsigned long long)(after.commits - before.commits));
}

static int count_job(void *arg, const struct store_job *job)
{
	(void)job;
	++*(uint64_t *)arg;
	return 0;
}

static int skip_group(void *arg, const struct store_group *group)
{
	(void)arg;
	(void)group;
	return 0;
}

static int skip_document(void *arg, const struct store_document *document)
{
	(void)arg;
	(void)document;
	return 0;
}

static void measure_load(uint64_t jobs, const char *directory)
{
	struct store_facts facts;
	uint64_t first, count = 0;
	const struct store_visitor v = { count_job, skip_group, skip_document, &count };
	int64_t begin;

	store_facts(store, &facts);
	first = facts.last_sequence + 1;
	for (uint64_t i = 0; i < jobs; i += 1000) {
		struct store_batch *batch = store_batch_new(store);

		for (uint64_t k = i; batch && k < i + 1000; k++) {
			struct store_job job = make_job(first + k, false);

			if (store_save_job(batch, &job, true) < 0)
				exit(1);
		}
		store_commit(store, batch, ++handed_over, STORE_WRITE);
		wait_below(IN_FLIGHT);
	}
	wait_below(0);
	begin = clock_monotonic();
	store_close(store);
	printf("closed in %.2f s\n", (double)(clock_monotonic() - begin) / (double)NSEC_PER_SEC);
	begin = clock_monotonic();
	start(directory);
	printf("opened in %.2f s\n", (double)(clock_monotonic() - begin) / (double)NSEC_PER_SEC);
	begin = clock_monotonic();
	if (store_load(store, &v) < 0 || count != jobs)
		exit(1);
	printf("loaded %llu unfinished jobs in %.2f s\n", (unsigned long long)count,
	       (double)(clock_monotonic() - begin) / (double)NSEC_PER_SEC);
}

int main(int argc, char **argv)
{
	uint64_t jobs = argc > 2 ? strtoull(argv[2], NULL, 10) : 200000;
	uint64_t batch = argc > 3 ? strtoull(argv[3], NULL, 10) : 64;

	if (argc < 2 || jobs == 0 || batch == 0) {
		fprintf(stderr, "usage: bench_store DIRECTORY [JOBS [BATCH]]\n");
		return 2;
	}
	start(argv[1]);
	measure_lives(jobs, batch, "fsync", STORE_SYNC);
	measure_lives(jobs, batch, "write", STORE_WRITE);
	measure_load(jobs, argv[1]);
	store_close(store);
	return 0;
}
