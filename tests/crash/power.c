/*
 * power.c — loss of power, many times: lets a driver live on a store under the shim, makes images of the disk as it could
 * be found at chosen moments, and opens each with the real store.
 *
 *	power DRIVER SHIM DIRECTORY [images=10000] [seed=1] [run=K] [jobs=2] [per_run=50] [stop=1]
 *
 * Run K of a seed is always the same life; run=K does that one alone. A broken promise is printed as "WRONG ..." with what
 * repeats it, and its image is kept. Then the figures. Exit status 1 if anything is wrong.
 */
#include "disk.h"
#include "random.h"
#include "store_check.h"
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GENERATIONS 3
#define CHECK_LIMIT_S 120 /* for the images of one run */

/* Shared with those who do the runs. */
struct figures {
	_Atomic uint64_t images, verdicts[VERDICT_COUNT], changes, records, kills, runs,
		failed_runs, kept;
	_Atomic uint64_t first_wrong; /* how many images it took */
	_Atomic bool stopping;
};

struct power {
	const char *driver, *shim, *directory;
	uint64_t images, seed, run, jobs, per_run, stop;
	struct figures *figures;
};

struct point {
	uint64_t at; /* position in the log */
	uint64_t seed;
};

/* ---- files ---- */

static void empty_directory(const char *path)
{
	char inner[512];
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (unlink(inner) < 0) {
			empty_directory(inner);
			(void)rmdir(inner);
		}
	}
	closedir(dir);
}

static void fresh_directory(const char *path)
{
	empty_directory(path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		err(2, "%s", path);
}

static bool same_files(const char *a, const char *b, char *ret_why, size_t why_size)
{
	char path[2][320];
	struct dirent *entry;
	DIR *dir = opendir(a);
	bool same = true;

	while (dir && same && (entry = readdir(dir))) {
		size_t sizes[2], length = strlen(entry->d_name);

		/* The index of a write-ahead log is shared memory, made anew at each start. */
		if (entry->d_type != DT_REG ||
		    (length > 4 && strcmp(entry->d_name + length - 4, "-shm") == 0))
			continue;
		snprintf(path[0], sizeof(path[0]), "%s/%s", a, entry->d_name);
		snprintf(path[1], sizeof(path[1]), "%s/%s", b, entry->d_name);
		if (access(path[1], F_OK) < 0) {
			snprintf(ret_why, why_size, "%s is missing", path[1]);
			same = false;
			break;
		}
		char *bytes[2] = { log_read(path[0], &sizes[0]), log_read(path[1], &sizes[1]) };

		same = sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], sizes[0]) == 0;
		if (!same)
			snprintf(ret_why, why_size, "%s differs (%zu and %zu bytes)", path[0],
				 sizes[0], sizes[1]);
		free(bytes[0]);
		free(bytes[1]);
	}
	if (dir)
		closedir(dir);
	return same;
}

/* ---- one generation ---- */

static int run_driver(const struct power *p, const char *state, const char *log, const char *fault,
		      const char *const arguments[])
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		setenv(SHIM_DIRECTORY_VARIABLE, state, 1);
		setenv(SHIM_LOG_VARIABLE, log, 1);
		if (fault)
			setenv(SHIM_FAULT_VARIABLE, fault, 1);
		setenv("LD_PRELOAD", p->shim, 1);
		execl(p->driver, p->driver, state, log, arguments[0], arguments[1], arguments[2],
		      arguments[3], (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		err(2, "waitpid");
	return status;
}

static void wrong_run(struct power *p, uint64_t run, const char *what)
{
	printf("WRONG seed=%llu run=%llu: %s\n", (unsigned long long)p->seed,
	       (unsigned long long)run, what);
	fflush(stdout);
	p->figures->failed_runs++;
}

/* The lives of one store: closed well, left, killed at the end or at some call. */
static bool live(struct power *p, uint64_t run, struct random *r, const char *state,
		 const char *log, bool *ret_closed)
{
	static const char *const ends[] = { "close", "leave", "kill" };
	uint64_t generations = 1 + random_below(r, GENERATIONS);
	char seed[32], generation[32], batches[32], fault[48], why[160];

	for (uint64_t g = 1; g <= generations; g++) {
		const char *end = ends[random_below(r, 3)];
		const char *arguments[] = { seed, generation, batches, end };
		bool by_call = random_below(r, 4) == 0;

		snprintf(seed, sizeof(seed), "%llu", (unsigned long long)(p->seed * 100003 + run));
		snprintf(generation, sizeof(generation), "%llu", (unsigned long long)g);
		snprintf(batches, sizeof(batches), "%llu", (unsigned long long)random_below(r, 60) + 1);
		snprintf(fault, sizeof(fault), "any:%llu:kill",
			 (unsigned long long)random_below(r, 400) + 1);
		int status = run_driver(p, state, log, by_call ? fault : NULL, arguments);
		bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

		*ret_closed = status == 0 && strcmp(end, "close") == 0;
		p->figures->kills += killed;
		if (status != 0 && !(killed && (by_call || strcmp(end, "kill") == 0))) {
			snprintf(why, sizeof(why), "the driver's generation %llu ended with status %x",
				 (unsigned long long)g, status);
			wrong_run(p, run, why);
			return false;
		}
	}
	return true;
}

/* ---- the moments ---- */

static int by_place(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Anywhere; every second one shortly after a promise, when it is most likely to be broken. */
static void choose_points(const char *log, size_t size, struct random *r, struct point *points,
			  size_t count)
{
	uint64_t *places = calloc(size / sizeof(struct shim_record) + 1, sizeof(*places));
	size_t records = 0;

	if (!places)
		errx(2, "no memory");
	for (size_t at = 0; at < size;
	     at += ((const struct shim_record *)(const void *)(log + at))->size)
		places[records++] = at;
	for (size_t i = 0; i < count; i++) {
		size_t index = random_below(r, records);
		bool after_promise = random_below(r, 2);

		while (after_promise && index + 1 < records) {
			const struct shim_record *record = (const void *)(log + places[index]);

			if (record->op == SHIM_MARK && record->file == MARK_ACKED)
				break;
			index++;
		}
		if (after_promise && index + 1 < records)
			index += random_below(r, 2);
		points[i] = (struct point){ places[index], random_next(r) };
	}
	free(places);
	qsort(points, count, sizeof(*points), by_place);
}

static void keep_image(struct power *p, uint64_t run, uint64_t at, const char *image)
{
	char to[512];

	if (p->figures->kept++ >= 8)
		return;
	snprintf(to, sizeof(to), "%s/kept-%llu-%llu", p->directory, (unsigned long long)run,
		 (unsigned long long)at);
	if (rename(image, to) == 0)
		printf("# kept: %s\n", to);
}

static void try_image(struct power *p, uint64_t run, const struct point *point,
		      const struct disk *disk, const struct history *history, const char *directory)
{
	char image[256], original[256], what[96], why[512] = "";
	struct figures *f = p->figures;

	snprintf(image, sizeof(image), "%s/image", directory);
	snprintf(original, sizeof(original), "%s/original", directory);
	fresh_directory(image);
	disk_image(disk, point->seed, image, what, sizeof(what));
	enum verdict verdict = store_check(image, p->seed * 100003 + run, history, history->lasting,
					   point->seed % 8 == 0, why, sizeof(why));
	uint64_t images = ++f->images;

	f->verdicts[verdict]++;
	f->changes += disk_pending(disk);
	if (verdict == VERDICT_KEPT)
		return;
	uint64_t none = 0;

	atomic_compare_exchange_strong(&f->first_wrong, &none, images);
	if (f->verdicts[VERDICT_LOST] + f->verdicts[VERDICT_WRONG] + f->verdicts[VERDICT_UNOPENABLE] <= 20)
		printf("WRONG seed=%llu run=%llu at=%llu (%s): %s: %s\n",
		       (unsigned long long)p->seed, (unsigned long long)run,
		       (unsigned long long)point->at, what, verdict_names[verdict], why);
	fresh_directory(original);
	disk_image(disk, point->seed, original, what, sizeof(what)); /* the open one may have been changed */
	keep_image(p, run, point->at, original);
	fflush(stdout);
	if (p->stop)
		f->stopping = true;
}

static void check_view(struct power *p, uint64_t run, const struct disk *disk, const char *state,
		       const char *view)
{
	char why[900];

	fresh_directory(view);
	disk_view(disk, view);
	if (!same_files(state, view, why, sizeof(why)) || !same_files(view, state, why, sizeof(why)))
		wrong_run(p, run, why);
}

static void sweep(struct power *p, uint64_t run, struct random *r, const char *directory,
		  const char *log, size_t size, bool closed)
{
	struct point *points = calloc(p->per_run, sizeof(*points));
	struct history history = { 0 };
	struct disk *disk = disk_new();
	char state[256], view[256];
	size_t next = 0;

	if (!points)
		errx(2, "no memory");
	choose_points(log, size, r, points, p->per_run);
	for (size_t at = 0; at < size && !p->figures->stopping;) {
		const struct shim_record *record = (const void *)(log + at);

		/* The power goes before this record. */
		for (; next < p->per_run && points[next].at <= at && !p->figures->stopping; next++)
			if (p->figures->images < p->images)
				try_image(p, run, &points[next], disk, &history, directory);
		disk_apply(disk, log, record);
		history_take(&history, record);
		at += record->size;
		p->figures->records++;
	}
	snprintf(state, sizeof(state), "%s/state", directory);
	snprintf(view, sizeof(view), "%s/view", directory);
	if (closed && !p->figures->stopping)
		check_view(p, run, disk, state, view);
	if (history.broken)
		wrong_run(p, run, "batches were acknowledged after an error");
	disk_free(disk);
	history_done(&history);
	free(points);
}

static void do_run(struct power *p, uint64_t run)
{
	char directory[200], state[256], log_path[256];
	struct random r;
	bool closed = false;

	random_seed(&r, p->seed * 1000003 + run);
	snprintf(directory, sizeof(directory), "%s/run-%llu", p->directory, (unsigned long long)run);
	snprintf(state, sizeof(state), "%s/state", directory);
	snprintf(log_path, sizeof(log_path), "%s/log", directory);
	fresh_directory(directory);
	fresh_directory(state);
	alarm(CHECK_LIMIT_S);
	if (live(p, run, &r, state, log_path, &closed)) {
		size_t size;
		char *log = log_read(log_path, &size);

		sweep(p, run, &r, directory, log, size, closed);
		free(log);
	}
	alarm(0);
	p->figures->runs++;
	empty_directory(directory);
	(void)rmdir(directory);
}

static void work(struct power *p, uint64_t job)
{
	for (uint64_t run = 1 + job; p->figures->images < p->images && !p->figures->stopping;
	     run += p->jobs)
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

static void options_read(struct power *p, int argc, char *argv[])
{
	for (int i = 0; i < argc; i++) {
		unsigned long long n;

		if (sscanf(argv[i], "images=%llu", &n) == 1)
			p->images = n;
		else if (sscanf(argv[i], "seed=%llu", &n) == 1)
			p->seed = n;
		else if (sscanf(argv[i], "run=%llu", &n) == 1)
			p->run = n;
		else if (sscanf(argv[i], "jobs=%llu", &n) == 1)
			p->jobs = n;
		else if (sscanf(argv[i], "per_run=%llu", &n) == 1)
			p->per_run = n;
		else if (sscanf(argv[i], "stop=%llu", &n) == 1)
			p->stop = n;
		else
			errx(2, "%s: no such option", argv[i]);
	}
}

int main(int argc, char *argv[])
{
	struct power p = { .images = 10000, .seed = 1, .jobs = 2, .per_run = 50 };

	if (argc < 4)
		errx(2, "power DRIVER SHIM DIRECTORY [NAME=NUMBER]...");
	p.driver = argv[1];
	p.shim = argv[2];
	p.directory = argv[3];
	options_read(&p, argc - 4, argv + 4);
	p.figures = mmap(NULL, sizeof(*p.figures), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p.figures == MAP_FAILED)
		err(2, "mmap");
	if (p.run)
		do_run(&p, p.run);
	else
		work_all(&p);
	const struct figures *f = p.figures;

	printf("images=%llu\nkept=%llu\nunopenable=%llu\nlost=%llu\nwrong=%llu\nruns=%llu\nfailed_runs=%llu\nkilled=%llu\n"
	       "unsynced_changes=%llu\nfirst_wrong=%llu\n",
	       (unsigned long long)f->images, (unsigned long long)f->verdicts[VERDICT_KEPT],
	       (unsigned long long)f->verdicts[VERDICT_UNOPENABLE],
	       (unsigned long long)f->verdicts[VERDICT_LOST],
	       (unsigned long long)f->verdicts[VERDICT_WRONG], (unsigned long long)f->runs,
	       (unsigned long long)f->failed_runs, (unsigned long long)f->kills,
	       (unsigned long long)f->changes, (unsigned long long)f->first_wrong);
	return f->failed_runs || f->verdicts[VERDICT_KEPT] != f->images;
}
