/*
 * power.c — loss of power, many times: lets a driver live on a store under the shim, makes images of the disk as it could
 * be found at chosen moments, and opens each with the real store.
 *
 *	power DRIVER SHIM DIRECTORY [NAME=NUMBER]...
 *
 * images=10000, seed=1, jobs=2, per_run=50 (images of a life), stop=1 (at the first that is wrong). run=K does that one
 * alone: run K of a seed is the same life again, but for the turns that threads take. faults=1 instead makes one call
 * after the other fail, in each way (step=K: every K-th), and tries a few images of each; fault=TEXT run=K
 * that one alone.
 * daemon=LOG makes `images` of the state directory of a daemon that ran under the shim.
 * A broken promise is printed as "WRONG ..." with what repeats it, and its image is kept; the figures come last. Exit
 * status 1 if anything is wrong.
 */
#include "power.h"
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_LIMIT_S 120   /* for one run: a store that hangs is a broken one */
#define FAULTS_MOST 3000u /* calls of one kind in a run: far more than there are */
#define SYNC_IMAGES 8u    /* times as many: what a failed sync leaves is seldom noticed */

static bool is_over(const struct power *p)
{
	return p->figures->stopping || p->figures->images >= p->images;
}

static char running[128];

static void on_alarm(int number)
{
	static const char text[] = ": it takes too long\n";

	(void)number;
	(void)!write(STDOUT_FILENO, "WRONG ", 6);
	(void)!write(STDOUT_FILENO, running, strlen(running));
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/* A store that hangs is a broken one. */
static void watch(const char *name)
{
	snprintf(running, sizeof(running), "%s", name);
	signal(SIGALRM, on_alarm);
	alarm(RUN_LIMIT_S);
}

static void do_run(struct power *p, uint64_t number)
{
	struct run r;
	char name[48];

	snprintf(name, sizeof(name), "run=%llu", (unsigned long long)number);
	watch(name);
	run_open(&r, p, number, name);
	if (run_live(&r))
		run_images(&r);
	run_close(&r);
	alarm(0);
}

static bool do_fault(struct power *p, uint64_t number, const char *fault)
{
	struct run r;
	char name[96];
	bool struck = false;

	snprintf(name, sizeof(name), "run=%llu fault=%s per_run=%llu", (unsigned long long)number,
		 fault, (unsigned long long)p->per_run);
	watch(name);
	run_open(&r, p, number, name);
	if (run_live_faulty(&r, fault, &struck))
		run_images(&r);
	run_close(&r);
	alarm(0);
	return struck;
}

static void do_faults(struct power *p, uint64_t job)
{
	static const char *const kinds[] = { "write", "sync", "resize", "open", "name" };
	static const char *const errors[] = { "EIO",         "EIO:stay", "ENOSPC",
					      "ENOSPC:stay", "short",    "kill" };
	uint64_t per_run = p->per_run;
	char fault[64];

	for (size_t combination = job; combination < ARRAY_SIZE(kinds) * ARRAY_SIZE(errors);
	     combination += p->jobs) {
		const char *kind = kinds[combination / ARRAY_SIZE(errors)];
		char error[16], stay[8];

		snprintf(error, sizeof(error), "%s", errors[combination % ARRAY_SIZE(errors)]);
		char *colon = strchr(error, ':');

		snprintf(stay, sizeof(stay), "%s", colon ? colon : "");
		if (colon)
			*colon = '\0';
		if (strcmp(error, "short") == 0 && strcmp(kind, "write") != 0)
			continue;
		p->per_run = per_run * (strcmp(kind, "sync") == 0 ? SYNC_IMAGES : 1);
		for (uint64_t n = 1 + p->seed % p->step; n < FAULTS_MOST && !p->figures->stopping;
		     n += p->step) {
			snprintf(fault, sizeof(fault), "%s:%llu:%s%s", kind, (unsigned long long)n,
				 error, stay);
			if (!do_fault(p, combination * FAULTS_MOST + n, fault))
				break;
		}
	}
}

static void work(struct power *p, uint64_t job)
{
	if (p->faults)
		do_faults(p, job);
	for (uint64_t run = 1 + job; !p->faults && !is_over(p); run += p->jobs)
		do_run(p, run);
}

static void work_all(struct power *p)
{
	for (uint64_t job = 0; job < p->jobs; job++) {
		pid_t pid = fork();

		if (pid < 0)
			err(2, "fork");
		if (pid == 0) {
			work(p, job);
			_exit(0);
		}
	}
	for (uint64_t job = 0; job < p->jobs; job++) {
		int status;

		if (wait(&status) < 0 || status == 0)
			continue;
		printf("WRONG seed=%llu: who checks the images died (status %x): by the store, or of its slowness\n",
		       (unsigned long long)p->seed, status);
		p->figures->failed_runs++;
	}
}

static uint64_t *option_of(struct power *p, const char *name, size_t size)
{
	const struct {
		const char *name;
		uint64_t *value;
	} options[] = {
		{ "images", &p->images }, { "seed", &p->seed },       { "run", &p->run },
		{ "jobs", &p->jobs },     { "per_run", &p->per_run }, { "stop", &p->stop },
		{ "faults", &p->faults }, { "step", &p->step },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strlen(options[i].name) == size && strncmp(options[i].name, name, size) == 0)
			return options[i].value;
	return NULL;
}

static void options_read(struct power *p, int argc, char *argv[])
{
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		uint64_t *option = value ? option_of(p, argv[i], (size_t)(value - argv[i])) : NULL;

		if (strncmp(argv[i], "fault=", 6) == 0)
			p->fault = argv[i] + 6;
		else if (strncmp(argv[i], "daemon=", 7) == 0)
			p->daemon = argv[i] + 7;
		else if (option)
			*option = strtoull(value + 1, NULL, 10);
		else
			errx(2, "%s: no such option", argv[i]);
	}
}

static void figures_print(const struct figures *f)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{ "images", f->images },
		{ "kept", f->verdicts[VERDICT_KEPT] },
		{ "unopenable", f->verdicts[VERDICT_UNOPENABLE] },
		{ "lost", f->verdicts[VERDICT_LOST] },
		{ "wrong", f->verdicts[VERDICT_WRONG] },
		{ "first_wrong", f->first_wrong },
		{ "unsynced_changes", f->changes },
		{ "runs", f->runs },
		{ "failed_runs", f->failed_runs },
		{ "killed", f->killed },
		{ "failed_batches", f->failures },
		{ "refused_starts", f->refused_starts },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		printf("%s=%llu\n", all[i].name, (unsigned long long)all[i].value);
}

int main(int argc, char *argv[])
{
	struct power p = { .images = 10000, .seed = 1, .jobs = 2, .per_run = 50, .step = 1 };

	if (argc < 4)
		errx(2, "power DRIVER SHIM DIRECTORY [NAME=NUMBER]...");
	p.driver = argv[1];
	p.shim = argv[2];
	p.directory = argv[3];
	options_read(&p, argc - 4, argv + 4);
	if (p.jobs == 0 || p.step == 0)
		errx(2, "jobs and step are at least 1");
	p.figures = mmap(NULL, sizeof(*p.figures), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p.figures == MAP_FAILED)
		err(2, "mmap");
	if (p.daemon)
		power_daemon(&p, p.daemon);
	else if (p.fault)
		(void)do_fault(&p, p.run, p.fault);
	else if (p.run)
		do_run(&p, p.run);
	else
		work_all(&p);
	figures_print(p.figures);
	return p.figures->failed_runs || p.figures->verdicts[VERDICT_KEPT] != p.figures->images;
}
