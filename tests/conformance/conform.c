/*
 * conform.c — runs the cases of a program and prints TAP.
 */
#include "conform.h"
#include <gather/runner.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SEEDS 200
#define REAL_SHARE 10    /* one seed in so many for cases in real time */
#define EDGE_SHARE 10    /* one in so many with cancels as edges, too */
#define CASE_SECONDS 60u /* for all seeds of a case */

static struct conform_case *first, **last = &first;
static char failure[512], note[256], now_running[256];

static bool run_case(const struct conform_case *c, unsigned seeds);
static bool run_once(const struct conform_case *c, uint64_t seed, bool edge);
static void on_alarm(int signal);

void conform_add(struct conform_case *c)
{
	*last = c;
	last = &c->next;
}

int conform_failed(const char *file, int line, const char *expected)
{
	if (!failure[0]) { /* the first is the cause; told at once, as what it leaves behind may end the program */
		snprintf(failure, sizeof(failure), "%s:%d: expected %s", file, line, expected);
		printf("# %s\n", failure);
	}
	return -1000000 - line;
}

void conform_note(const char *text)
{
	snprintf(note, sizeof(note), "%s", text);
}

static unsigned seeds_wanted(void)
{
	const char *text = getenv("CONFORM_SEEDS");

	return text ? (unsigned)strtoul(text, NULL, 10) : DEFAULT_SEEDS;
}

int main(void)
{
	const char *only = getenv("CONFORM_ONLY"), *skip = getenv("CONFORM_SKIP");
	const bool children = !getenv("CONFORM_CHILDREN") || atoi(getenv("CONFORM_CHILDREN"));
	const unsigned seeds = seeds_wanted();
	int count = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGALRM, on_alarm);
	for (const struct conform_case *c = first; c; c = c->next) {
		bool ok;

		if (only && !strstr(c->name, only))
			continue;
		if ((c->kind == KIND_CHILD && !children) || (skip && strstr(c->name, skip))) {
			printf("ok %d - %s # SKIP not here\n", ++count, c->name);
			continue;
		}
		ok = run_case(c, seeds);
		failed += !ok;
		printf("%sok %d - %s\n", ok ? "" : "not ", ++count, c->name);
		if (!ok)
			printf("# stated by %s\n", c->source);
		if (note[0])
			printf("# %s\n", note);
	}
	printf("1..%d\n", count);
	return failed > 0;
}

static bool run_case(const struct conform_case *c, unsigned seeds)
{
	const bool seeded = c->kind <= KIND_EDGE;
	const unsigned times = seeded ? seeds : c->kind == KIND_REAL ? seeds / REAL_SHARE : 0;
	bool ok = true;

	failure[0] = note[0] = '\0';
	alarm(CASE_SECONDS);
	for (uint64_t seed = 0; ok && seed <= times; seed++) /* 0: in order of arrival */
		ok = run_once(c, seed, c->kind == KIND_EDGE);
	for (uint64_t seed = 0; ok && c->kind == KIND_ANY_ORDER && seed <= times / EDGE_SHARE; seed++)
		ok = run_once(c, seed, true);
	alarm(0);
	return ok;
}

static bool run_once(const struct conform_case *c, uint64_t seed, bool edge)
{
	const struct ga_run_options options = { .seed = seed,
						.edge_cancel = edge,
						.virtual_time = c->kind != KIND_REAL };
	int r;

	snprintf(now_running, sizeof(now_running), "Bail out! %.200s: hangs, seed %u\n", c->name,
		 (unsigned)seed);
	r = c->kind >= KIND_BARE ? c->body(NULL) : ga_run_with(c->body, NULL, &options);
	if (r == 0)
		return true;
	printf("# seed %u%s: main returned %d\n", (unsigned)seed, edge ? ", cancels are edges" : "", r);
	return false;
}

static void on_alarm(int signal GA_UNUSED)
{
	ssize_t ignored = write(STDOUT_FILENO, now_running, strlen(now_running));

	(void)ignored;
	_exit(1);
}
