/*
 * ledger.c — a job type that notes each of its starts in the outside ledger before it does anything else.
 */
#include "../crash/ledger.h"
#include <errno.h>
#include <fcntl.h>
#include <gather/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const struct ga_param params[] = {
	{ .name = "n",
	  .type = GA_INTEGER,
	  .flags = GA_REQUIRED,
	  .min = 1,
	  .max = 1e15,
	  .help = "number of the submission" },
	{ .name = "after", .type = GA_DURATION, .preset = "0", .help = "ends after so long" },
	{ 0 },
};

static int starts_open(void)
{
	const char *directory = getenv(LEDGER_VARIABLE);
	char path[512];

	if (!directory || snprintf(path, sizeof(path), "%s/starts", directory) >= (int)sizeof(path))
		return -ENOENT;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int digit(char c)
{
	return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static void id_read(const char *text, uint8_t id[16])
{
	for (int i = 0; i < 16; i++) {
		text += *text == '-';
		id[i] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
		text += 2;
	}
}

/* A handler that can't note its start must not pass for one that never ran. */
static int note(ga_job *job)
{
	static int starts = -1;
	struct timespec now;
	struct ledger_entry entry = { .number = (uint64_t)ga_job_integer(job, "n"),
				      .kind = LEDGER_START,
				      .pid = (uint32_t)getpid(),
				      .attempt = ga_job_attempt(job) };

	if (starts < 0)
		starts = starts_open();
	if (starts < 0)
		return ga_job_fail(job, "no_ledger", "the ledger can't be opened: %d", -starts);
	clock_gettime(CLOCK_MONOTONIC, &now);
	entry.time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	id_read(ga_job_id(job), entry.id);
	if (write(starts, &entry, sizeof(entry)) != sizeof(entry))
		return ga_job_fail(job, "no_ledger", "the ledger can't be written: %d", errno);
	return ga_job_meta_integer(job, "attempt", entry.attempt);
}

static ga_future *start(ga_job *job)
{
	int64_t after = ga_job_integer(job, "after");
	ga_future *f;

	if (note(job) < 0)
		return NULL;
	if (after)
		return ga_sleep_future(after);
	f = ga_future_new();
	if (f)
		ga_resolve(f, 0, NULL);
	return f;
}

static const struct ga_job_type ledger = { .name = "ledger",
					   .help = "notes that it ran",
					   .job_class = GA_CLASS_LIGHT,
					   .params = params,
					   .start = start };

GA_PLUGIN(&ledger);
