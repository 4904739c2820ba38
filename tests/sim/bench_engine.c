/*
 * bench_engine — what a job costs in the engine: its whole life in ns, and its memory while it waits.
 *
 *	bench_engine [JOBS [BATCH]]        default: 2,000,000 jobs, 64 in a turn of the loop
 */
#include "clock.h"
#include "engine.h"
#include "engine_parts.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 2, CAPACITY = 4096 };

static struct engine *start(void)
{
	struct engine_options options = { .epoch = 7, .seed = 1, .max_jobs = 2000000 };
	struct engine *e;

	if (engine_new(&options, &e) < 0)
		exit(1);
	for (uint32_t slot = 0; slot < WORKERS; slot++) {
		struct engine_worker w = { .slot = slot, .incarnation = slot + 1 };

		for (int c = 0; c < CLASS_COUNT; c++)
			w.capacity[c] = CAPACITY;
		if (engine_worker_started(e, slot, w.incarnation) < 0 || engine_worker_joined(e, &w) < 0)
			exit(1);
	}
	return e;
}

static void submit(struct engine *e, const char *text)
{
	struct submission s = { .type = 1, .timeout_ms = 30000, .client = 5 };
	struct job *job;

	s.args = *text ? bytes_new(text, strlen(text)) : NULL;
	if (engine_submit(e, &s, &job) < 0)
		exit(1);
	bytes_unref(s.args);
}

/* Two turns: accept and dispatch; take the results, hand them out, reap. */
static void lives(struct engine *e, unsigned batch, const char *args, const char *body,
		  struct action *todo)
{
	const struct action *actions;
	size_t count;

	for (unsigned i = 0; i < batch; i++)
		submit(e, args);
	actions = engine_run(e, &count);
	memcpy(todo, actions, count * sizeof(*todo));
	engine_reap(e);
	if (count != batch)
		exit(1);
	for (unsigned i = 0; i < batch; i++) {
		struct attempt_result r = { .token = todo[i].token,
					    .outcome = OUTCOME_SUCCEEDED,
					    .body = span_of(body) };

		if (engine_result(e, todo[i].slot, &r) < 0)
			exit(1);
	}
	actions = engine_run(e, &count);
	for (size_t i = 0; i < count; i++)
		engine_delivered(e, actions[i].job);
	engine_reap(e);
}

static void measure_lives(const char *name, unsigned jobs, unsigned batch, const char *args,
			  const char *body)
{
	struct action *todo = calloc(batch, sizeof(*todo));
	struct engine *e = start();
	struct engine_counts counts;
	int64_t begin = 0;

	for (unsigned done = 0; todo && done < jobs * 2; done += batch) {
		if (done >= jobs && begin == 0)
			begin = clock_monotonic(); /* the ring is full now: each job evicts one */
		engine_advance(e, done + 1, done + 1);
		lives(e, batch, args, body, todo);
	}
	engine_counts(e, &counts);
	printf("%-28s %4u in a turn: %4.0f ns a job (%llu of %llu evicted)\n", name, batch,
	       (double)(clock_monotonic() - begin) / jobs, (unsigned long long)counts.evicted,
	       (unsigned long long)counts.submitted);
	free(todo);
	engine_free(e);
}

static void measure_memory(unsigned jobs, const char *name, const char *args)
{
	struct engine *e = start();
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	int64_t begin = clock_monotonic();

	for (unsigned i = 0; i < jobs; i++)
		submit(e, args);
	printf("%-28s %u pending: %.0f bytes a job, accepted in %.0f ns each\n", name, jobs,
	       (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / jobs,
	       (double)(clock_monotonic() - begin) / jobs);
	engine_free(e);
}

int main(int argc, char **argv)
{
	unsigned jobs = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000000;
	unsigned batch = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 64;

	if (jobs == 0 || batch == 0 || batch > CAPACITY * WORKERS) {
		fprintf(stderr, "usage: bench_engine [JOBS [BATCH <= %d]]\n", CAPACITY * WORKERS);
		return 2;
	}
	printf("struct job: %zu bytes\n", sizeof(struct job));
	measure_lives("no-op", jobs, batch, "", "");
	measure_lives("no-op, one at a time", jobs, 1, "", "");
	measure_lives("40 bytes in, 200 out", jobs, batch,
		      "{\"url\":\"http://localhost:8080/index.html\"}",
		      "................................................................................"
		      "................................................................................"
		      "........................................");
	measure_memory(1000000, "no-op", "");
	measure_memory(1000000, "40 bytes in", "{\"url\":\"http://localhost:8080/index.html\"}");
	return 0;
}
