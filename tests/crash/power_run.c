#include "power.h"
#include <err.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GENERATIONS 3u
#define SLOW_RUNS 64u /* one in so many */
#define SLOW_BATCHES 150u
#define SHOWN 20u

/* The driver's exit statuses. */
enum { DRIVER_FAILED_BATCH = 3, DRIVER_CANT_OPEN = 4, DRIVER_FULL = 6, DRIVER_NO_ANSWER = 7 };

void run_open(struct run *r, struct power *p, uint64_t number, const char *name)
{
	*r = (struct run){ .power = p, .number = number };
	random_seed(&r->random, p->seed * 1000003 + number);
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->directory, sizeof(r->directory), "%.120s/run-%llu", p->directory,
		 (unsigned long long)number);
	snprintf(r->state, sizeof(r->state), "%s/state", r->directory);
	snprintf(r->log, sizeof(r->log), "%s/log", r->directory);
	directory_fresh(r->directory);
	directory_fresh(r->state);
}

void run_close(struct run *r)
{
	r->power->figures->runs++;
	directory_empty(r->directory);
	(void)rmdir(r->directory);
}

void run_wrong(struct run *r, const char *format, ...)
{
	va_list values;

	if (++r->power->figures->shown > SHOWN)
		return;
	printf("WRONG seed=%llu %s: ", (unsigned long long)r->power->seed, r->name);
	va_start(values, format);
	vprintf(format, values);
	va_end(values);
	putchar('\n');
	fflush(stdout);
}

static bool run_failed(struct run *r, const char *what, uint64_t generation, int status)
{
	r->power->figures->failed_runs++;
	run_wrong(r, "the driver's generation %llu %s: status %x", (unsigned long long)generation,
		  what, status);
	return false;
}

/* One generation; its wait status. */
static int drive(struct run *r, uint64_t generation, uint64_t batches, const char *end, const char *fault)
{
	const struct power *p = r->power;
	unsigned long long seed_number = p->seed * 100003 + r->number;
	char seed[32], generation_text[32], batches_text[32];
	pid_t pid = fork();
	int status;

	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		snprintf(seed, sizeof(seed), "%llu", seed_number);
		snprintf(generation_text, sizeof(generation_text), "%llu",
			 (unsigned long long)generation);
		snprintf(batches_text, sizeof(batches_text), "%llu", (unsigned long long)batches);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv(SHIM_DIRECTORY_VARIABLE, r->state, 1);
		setenv(SHIM_LOG_VARIABLE, r->log, 1);
		if (fault)
			setenv(SHIM_FAULT_VARIABLE, fault, 1);
		setenv("LD_PRELOAD", p->shim, 1);
		execl(p->driver, p->driver, r->state, r->log, seed, generation_text, batches_text,
		      end, (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		err(2, "waitpid");
	return status;
}

static bool was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* Nothing is synced until the store does so by itself. */
static bool run_slow(struct run *r)
{
	int status = drive(r, 1, SLOW_BATCHES, "slow", NULL);

	r->closed = status == 0;
	return status == 0 || run_failed(r, "complains", 1, status);
}

bool run_live(struct run *r)
{
	static const char *const ends[] = { "close", "leave", "kill" };
	uint64_t generations = 1 + random_below(&r->random, GENERATIONS);
	char fault[48];

	if (r->number % SLOW_RUNS == 1)
		return run_slow(r);
	for (uint64_t g = 1; g <= generations; g++) {
		unsigned long long call = 1 + random_below(&r->random, 400);
		uint64_t how = random_below(&r->random, ARRAY_SIZE(ends));
		uint64_t batches = 1 + random_below(&r->random, 60);
		bool by_call = random_below(&r->random, 4) == 0;

		snprintf(fault, sizeof(fault), "any:%llu:kill", call);
		int status = drive(r, g, batches, ends[how], by_call ? fault : NULL);

		r->power->figures->killed += was_killed(status);
		r->closed = status == 0 && how == 0;
		if (status != 0 && !(was_killed(status) && (by_call || how == 2)))
			return run_failed(r, "complains", g, status);
	}
	return true;
}

static bool log_has_fault(const char *path)
{
	size_t size;
	char *log = log_read(path, &size);
	bool found = false;

	for (size_t at = 0; at < size && !found;) {
		const struct shim_record *record = (const void *)(log + at);

		found = record->op == SHIM_FAULT;
		at += record->size;
	}
	free(log);
	return found;
}

bool run_live_faulty(struct run *r, const char *fault, bool *ret_struck)
{
	struct figures *f = r->power->figures;
	int status = drive(r, 1, 24, "close", fault);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	/* What has to be saved waits for room. */
	if (code == DRIVER_NO_ANSWER && strstr(fault, "ENOSPC"))
		code = DRIVER_FULL;

	*ret_struck = was_killed(status) || log_has_fault(r->log);
	f->killed += was_killed(status);
	f->failures += code == DRIVER_FAILED_BATCH || code == DRIVER_FULL;
	f->refused_starts += code == DRIVER_CANT_OPEN;
	if (code != 0 && code != DRIVER_FAILED_BATCH && code != DRIVER_CANT_OPEN &&
	    code != DRIVER_FULL && !was_killed(status))
		return run_failed(r, "doesn't take the fault well", 1, status);
	/* Whatever happened, what was promised is there, and the next one works. After a full disk its content is only
	 * looked at: which jobs were refused for that isn't the scenario's to know. */
	status = drive(r, 2, 12, strstr(fault, "ENOSPC") ? "look" : "close", NULL);
	r->closed = status == 0;
	return status == 0 || run_failed(r, "after the fault", 2, status);
}
