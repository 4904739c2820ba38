/*
 * sim_engine — a seeded simulation of the engine in a world of its own (world.h), judged by a model (model.h).
 *
 *	sim_engine                     the seeds of every check, 1.6 * 10^6 steps; as TAP
 *	sim_engine --release           1,000 seeds, 10^7 steps
 *	sim_engine --first             those of every check, up to the first failure
 *	sim_engine SEED [STEPS]        one seed, e.g. to replay a failure
 *	sim_engine --tell SEED STEPS   and tell what happens
 *	sim_engine --shrink SEED STEPS leave out what a failure doesn't need, then tell
 *
 * The same seed is the same run on every machine.
 */
#include "world.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
enum { SEEDS = 20, STEPS = 10000 }; /* each takes several times as long */
#else
enum { SEEDS = 32, STEPS = 50000 };
#endif
enum { RELEASE_STEPS = 10000, RELEASE_SEEDS = 1000 };

static void report(const struct world *w, unsigned long limit)
{
	const unsigned long long name = w->seed;
	struct engine_counts c;

	engine_counts(w->m.e, &c);
	printf("%s %llu - seed %llu keeps its promises for %lu steps\n",
	       w->m.broken ? "not ok" : "ok", name, name, limit);
	printf("# %" PRIu64 " jobs, %" PRIu64 " starts, %" PRIu64 " deaths, %" PRIu64 " commits, %" PRIu64
	       " crashes, %" PRIu64 " of them outages, %" PRIu64 " jobs came back\n",
	       w->counts.jobs, w->counts.starts, w->counts.deaths, w->counts.commits,
	       w->counts.crashes, w->counts.outages, w->counts.restored);
	if (w->m.broken)
		printf("# step %llu: %s\n# replay: sim_engine %llu %llu\n",
		       (unsigned long long)w->step, w->m.why, name, (unsigned long long)w->step);
}

/* The rule that was broken: NULL, or a text. `skipped`, of `limit` steps: those that are left out; or NULL. */
static const char *simulate(uint64_t seed, unsigned long limit, const bool *skipped, bool tells,
			    bool reports)
{
	struct world w;
	const char *rule;

	world_open(&w, seed);
	w.tells = tells;
	for (unsigned long i = 1; i <= limit && !w.m.broken; i++)
		if (!skipped || !skipped[i - 1])
			world_step(&w, i);
	if (!w.m.broken)
		world_settle(&w);
	rule = w.m.rule;
	if (reports)
		report(&w, limit);
	world_close(&w);
	return rule;
}

/* How it fails, as a number; 0: not at all. In a process of its own, since the engine may crash. */
static int failure(uint64_t seed, unsigned long limit, const bool *skipped)
{
	const char *rule;
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		alarm(60);
		rule = simulate(seed, limit, skipped, false, false);
		_exit(rule ? 1 + (int)((uintptr_t)rule % 100) : 0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	return status;
}

/* Leave out ever smaller pieces for as long as it still fails in the same way. */
static int shrink(uint64_t seed, unsigned long limit)
{
	bool *skipped = calloc(limit, sizeof(*skipped)), *trial = calloc(limit, sizeof(*trial));
	unsigned long left = 0;
	int wanted;

	if (!skipped || !trial)
		abort();
	wanted = failure(seed, limit, skipped);
	if (wanted == 0) {
		printf("# seed %" PRIu64 " does not fail\n", seed);
		free(skipped);
		free(trial);
		return 0;
	}
	for (unsigned long piece = limit / 2; piece > 0; piece /= 2)
		for (unsigned long at = 0; at < limit; at += piece) {
			unsigned long end = at + piece < limit ? at + piece : limit;

			memcpy(trial, skipped, limit * sizeof(*trial));
			for (unsigned long i = at; i < end; i++)
				trial[i] = true;
			if (memcmp(trial, skipped, limit * sizeof(*trial)) != 0 &&
			    failure(seed, limit, trial) == wanted)
				memcpy(skipped, trial, limit * sizeof(*trial));
		}
	for (unsigned long i = 0; i < limit; i++)
		left += !skipped[i];
	printf("# %lu of %lu steps are needed:\n", left, limit);
	fflush(stdout);
	(void)simulate(seed, limit, skipped, true, true);
	free(skipped);
	free(trial);
	return 1;
}

static int all(uint64_t seeds, unsigned long steps, bool to_first)
{
	int failed = 0;

	printf("1..%" PRIu64 "\n", seeds);
	for (uint64_t seed = 1; seed <= seeds && !(to_first && failed); seed++) {
		printf("# replay: sim_engine %" PRIu64 " %lu\n", seed, steps); /* before it may crash */
		failed += simulate(seed, steps, NULL, false, true) != NULL;
	}
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	bool tells = argc > 1 && !strcmp(argv[1], "--tell");
	bool shrinks = argc > 1 && !strcmp(argv[1], "--shrink");
	int at = tells || shrinks ? 2 : 1;
	unsigned long steps = argc > at + 1 ? strtoul(argv[at + 1], NULL, 10) : STEPS;

	setvbuf(stdout, NULL, _IOLBF, 0); /* what is told stays told, should it crash */
	if (argc == 1)
		return all(SEEDS, STEPS, false);
	if (!strcmp(argv[1], "--release"))
		return all(RELEASE_SEEDS, RELEASE_STEPS, false);
	if (!strcmp(argv[1], "--first"))
		return all(SEEDS, STEPS, true);
	if (argc <= at)
		return 2;
	if (shrinks)
		return shrink(strtoull(argv[at], NULL, 10), steps);
	return simulate(strtoull(argv[at], NULL, 10), steps, NULL, tells, true) ? 1 : 0;
}
