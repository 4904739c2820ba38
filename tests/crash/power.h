/*
 * power.h — the parts of `power`: lives of a store under the shim (power_run.c), and images of the disks that they left
 * (power_image.c).
 */
#pragma once
#include "disk.h"
#include "random.h"
#include "store_check.h"
#include <stdatomic.h>

/* Shared by the processes that do the runs. */
struct figures {
	_Atomic uint64_t runs, failed_runs, killed,
		failures;                /* batches that were answered with an error */
	_Atomic uint64_t refused_starts; /* opens that failed because of a fault */
	_Atomic uint64_t images, verdicts[VERDICT_COUNT], changes;
	_Atomic uint64_t first_wrong; /* how many images it took */
	_Atomic uint64_t shown, kept;
	_Atomic bool stopping;
};

struct power {
	const char *driver, *shim, *directory;
	const char *fault;  /* only this one */
	const char *daemon; /* the log of one */
	uint64_t images, seed, run, jobs, per_run, stop, faults, step;
	struct figures *figures;
};

/* A run has a directory with the store in `state`, and a log. */
struct run {
	struct power *power;
	uint64_t number;
	char name[96]; /* what repeats it */
	char directory[200], state[256], log[256];
	struct random random;
	bool closed; /* the last generation ended in peace */
};

void run_open(struct run *r, struct power *p, uint64_t number, const char *name);
void run_close(struct run *r);
void run_wrong(struct run *r, const char *format, ...) GA_PRINTF(2, 3);

/* Some generations, closed well, left, or killed. False: the driver complains. */
bool run_live(struct run *r);
/* One generation with a fault, one without. False: the driver complains. *ret_struck: the fault came about. */
bool run_live_faulty(struct run *r, const char *fault, bool *ret_struck);
struct point {
	uint64_t at; /* position in the log */
	uint64_t seed;
};
/* Moments of a log, in order. */
void points_choose(const char *log, size_t size, struct random *r, struct point *points, size_t count);
/* `images` of the state directory that this log of a daemon tells of. */
void power_daemon(struct power *p, const char *log_path);
/* Loss of power at chosen moments of the log. */
void run_images(struct run *r);

void directory_empty(const char *path);
void directory_fresh(const char *path);
/* Every file of `a` is in `b`, the same. */
bool directories_equal(const char *a, const char *b, char *ret_why, size_t why_size);
