/*
 * store_driver.c — lives one generation of a scenario on a real store: opens it, hands batches over, marks in the log what
 * it was promised.
 *
 *	store_driver DIRECTORY LOG SEED GENERATION BATCHES END     END: close, kill, leave, slow, look
 *
 * `slow` leaves time between batches, and none is to be synced at once. `look` only sees whether what was acknowledged is there. Exit status: 0; 3: a batch was answered with an error (as the broker, it ends then); 4: the store can't be opened; 5: it
 * holds what it must not, or behaves as it must not; 6: the disk is full; 7: a batch
 * isn't answered.
 */
#include "store_check.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 6u /* batches in flight */
#define SLOW_US 20000

struct flight {
	struct scenario_texts texts[SCENARIO_CHANGES];
	struct scenario_members members[SCENARIO_CHANGES];
	uint64_t refused[SCENARIO_CHANGES]; /* sequences */
	size_t count, refused_count;
};

struct driver {
	struct store *store;
	struct scenario scenario;
	struct flight flights[WINDOW]; /* by batch number modulo */
	uint32_t generation, acked;
	bool slow;
	int log;
};

static void flight_done(struct flight *f)
{
	for (size_t i = 0; i < f->count; i++)
		scenario_texts_done(&f->texts[i]);
	f->count = 0;
}

/* Those whose key was taken, and no others. */
static void check_refusals(const struct store_commit *commit, const struct flight *f)
{
	unsigned long long number = commit->number;

	for (size_t i = 0; i < commit->refusal_count; i++) {
		const struct store_refusal *refusal = &commit->refusals[i];

		if (i >= f->refused_count || refusal->sequence != f->refused[i] ||
		    refusal->why != STORE_KEY_TAKEN)
			errx(5, "batch %llu: job %llu is refused (%d)", number,
			     (unsigned long long)refusal->sequence, (int)refusal->why);
	}
	if (commit->refusal_count != f->refused_count)
		errx(5, "batch %llu: %zu refusals instead of %zu", number, commit->refusal_count,
		     f->refused_count);
}

static bool is_full(const struct store_commit *commit)
{
	for (size_t i = 0; i < commit->refusal_count; i++)
		if (commit->refusals[i].why == STORE_NO_SPACE)
			return true;
	return false;
}

static void on_commit(void *arg, const struct store_commit *commit)
{
	struct driver *d = arg;
	uint32_t number = (uint32_t)commit->number;
	struct flight *f = &d->flights[number % WINDOW];

	if (commit->error < 0) {
		history_mark(d->log, MARK_FAILED, d->generation, number, 0);
		exit(3);
	}
	if (number != d->acked + 1)
		errx(5, "batch %u is acknowledged after batch %u", number, d->acked);
	if (is_full(commit)) {
		history_mark(d->log, MARK_FULL, d->generation, number, 0);
		exit(6);
	}
	check_refusals(commit, f);
	history_mark(d->log, MARK_ACKED, d->generation, number, 0);
	d->acked = number;
	flight_done(f);
}

static void hand_over(struct driver *d)
{
	struct store_batch *batch = store_batch_new(d->store);

	scenario_step(&d->scenario, d->generation);
	struct flight *f = &d->flights[d->scenario.batches % WINDOW];

	memset(f, 0, sizeof(*f));
	f->count = d->scenario.change_count;
	for (size_t i = 0; i < f->count; i++)
		if (d->scenario.changes[i].refused)
			f->refused[f->refused_count++] =
				d->scenario.jobs[d->scenario.changes[i].job].sequence;
	if (!batch || store_save_step(&d->scenario, batch, f->texts, f->members) < 0)
		errx(5, "batch %u can't be made", d->scenario.batches);
	enum store_sync sync = d->slow ? STORE_WRITE : d->scenario.sync;

	history_mark(d->log, MARK_HANDED, d->generation, d->scenario.batches, (uint8_t)sync);
	store_commit(d->store, batch, d->scenario.batches, sync);
}

static void answers(struct driver *d, int patience_ms)
{
	struct pollfd p = { .fd = store_fd(d->store), .events = POLLIN };

	if (poll(&p, 1, patience_ms) > 0) {
		store_dispatch(d->store);
	} else if (patience_ms) {
		history_mark(d->log, MARK_FULL, d->generation, d->acked, 0);
		_exit(7);
	}
}

static void live(struct driver *d, uint32_t batches)
{
	struct random r;
	uint32_t last = d->scenario.batches + batches;
	const char *fault = getenv(SHIM_FAULT_VARIABLE);
	/* On a full disk batches may wait for ever. */
	int patience = fault && strstr(fault, "ENOSPC") ? 300 : 20000;

	random_seed(&r, d->scenario.seed + d->generation);
	while (d->scenario.batches < last) {
		if (d->scenario.batches - d->acked < 1 + random_below(&r, WINDOW - 1))
			hand_over(d);
		else
			answers(d, patience);
		answers(d, 0);
		if (d->slow)
			usleep(SLOW_US);
	}
}

/* What the batches of the log made of the store, up to the last that it holds. */
static void catch_up(struct driver *d, const char *log_path, uint64_t seed)
{
	struct history history = { 0 };
	size_t size;
	char *log = log_read(log_path, &size);
	uint32_t last;

	history_read(&history, log, size);
	if (store_last_batch(d->store, &last) < 0)
		errx(5, "the store can't be loaded");
	/* No power was lost: what was acknowledged is there, synced or not. */
	if (last < history.acked || last > history.handed)
		errx(5, "the store has batch %u, but %u was acknowledged and %u the last", last,
		     history.acked, history.handed);
	scenario_init(&d->scenario, seed);
	if (history.full) /* its changes can't be told any more */
		d->scenario.batches = last;
	while (d->scenario.batches < last)
		scenario_step(&d->scenario, history.generations[d->scenario.batches + 1]);
	d->acked = last;
	history_done(&history);
	free(log);
}

static void end(struct driver *d, const char *how)
{
	if (strcmp(how, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(how, "leave") == 0)
		_exit(0);
	store_close(d->store);
	history_mark(d->log, MARK_CLOSED, d->generation, d->scenario.batches, 0);
	for (size_t i = 0; i < WINDOW; i++)
		flight_done(&d->flights[i]);
	scenario_done(&d->scenario);
}

int main(int argc, char *argv[])
{
	static struct driver d;
	char why[512];

	if (argc != 7)
		errx(2, "store_driver DIRECTORY LOG SEED GENERATION BATCHES close|kill|leave|slow|look");
	struct store_options options = store_check_options(argv[1]);

	d.log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	d.generation = (uint32_t)strtoul(argv[4], NULL, 10);
	if (d.log < 0)
		err(2, "%s", argv[2]);
	int r = store_open(&options, &d.store, why, sizeof(why));

	if (r < 0)
		errx(4, "the store can't be opened: %s: %s", strerror(-r), why);
	store_on_commit(d.store, on_commit, &d);
	catch_up(&d, argv[2], strtoull(argv[3], NULL, 10));
	history_mark(d.log, MARK_OPENED, d.generation, d.scenario.batches, 0);
	d.slow = strcmp(argv[6], "slow") == 0;
	if (strcmp(argv[6], "look") != 0)
		live(&d, (uint32_t)strtoul(argv[5], NULL, 10));
	end(&d, argv[6]);
	return 0;
}
