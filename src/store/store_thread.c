/*
 * The store's thread: takes all that was handed over, commits its batches as one transaction, then goes on with its
 * reads, then does a step of upkeep. A batch forms while the one before is committed; nothing is waited for.
 */
#include "clock.h"
#include "failpoint.h"
#include "store_backend.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#define READ_SLICE (2 * NSEC_PER_MSEC)
#define STALLED_RETRY (250 * NSEC_PER_MSEC)

struct run {
	struct store *s;
	struct list batches, reads;
	bool closing;
	bool stalled;     /* the batches wait for room on the disk */
	int error;        /* the store is dead */
	int64_t sync_due; /* TIME_NEVER: nothing is unsynced */
	int64_t retry_due, upkeep_due;
	uint64_t commits, syncs;
};

static void take_work(struct run *run);
static void commit_batches(struct run *run);
static void serve_reads(struct run *run);
static void sync_when_due(struct run *run);
static void upkeep_when_due(struct run *run);
static void publish(struct run *run, struct list *answers);

void *store_run(void *arg)
{
	struct run run = { .s = arg, .sync_due = TIME_NEVER };

	list_init(&run.batches);
	list_init(&run.reads);
	while (!run.closing) {
		take_work(&run);
		commit_batches(&run);
		serve_reads(&run);
		sync_when_due(&run);
		upkeep_when_due(&run);
	}
	if (run.sync_due != TIME_NEVER && run.error == 0) {
		run.sync_due = 0;
		sync_when_due(&run);
	}
	LIST_FOREACH(place, &run.reads)
		run.s->backend->read_drop(run.s->state,
					  LIST_ENTRY(place, struct store_read, work.place));
	publish(&run, &run.reads);
	publish(&run, &run.batches);
	return NULL;
}

static int64_t wake_time(const struct run *run)
{
	if (!list_empty(&run->reads))
		return 0;
	if (run->stalled)
		return MIN(run->retry_due, run->sync_due);
	return MIN(run->sync_due, run->upkeep_due);
}

/* Until the mutex's owner signals, or `due` on CLOCK_MONOTONIC. */
static void wait_until(struct store *s, int64_t due)
{
	struct timespec at = { .tv_sec = due / NSEC_PER_SEC, .tv_nsec = due % NSEC_PER_SEC };

	s->away = true;
	if (due == TIME_NEVER)
		pthread_cond_wait(&s->wake, &s->mutex);
	else
		pthread_cond_timedwait(&s->wake, &s->mutex, &at);
	s->away = false;
}

static void take_work(struct run *run)
{
	struct store *s = run->s;
	struct list *place;

	pthread_mutex_lock(&s->mutex);
	while (list_empty(&s->in) && !s->closing && (!s->running || wake_time(run) > clock_monotonic()))
		wait_until(s, s->running ? wake_time(run) : TIME_NEVER);
	while ((place = list_pop_front(&s->in)) != NULL) {
		struct work *work = LIST_ENTRY(place, struct work, place);

		list_push_back(work->kind == WORK_BATCH ? &run->batches : &run->reads, place);
	}
	run->closing = s->closing;
	pthread_mutex_unlock(&s->mutex);
}

static void die(struct run *run, int error)
{
	struct store *s = run->s;

	run->error = error;
	run->stalled = false;
	run->sync_due = run->upkeep_due = TIME_NEVER;
	pthread_mutex_lock(&s->mutex);
	snprintf(s->thread_why, sizeof(s->thread_why), "%s", s->backend->why(s->state));
	pthread_mutex_unlock(&s->mutex);
}

/* With no batch to tell of it. */
static void die_between(struct run *run, int error)
{
	struct store *s = run->s;

	die(run, error);
	pthread_mutex_lock(&s->mutex);
	s->died = error;
	pthread_mutex_unlock(&s->mutex);
	(void)eventfd_write(s->fd, 1);
}

/* Give answers to the caller, with the facts as they are now. */
static void publish(struct run *run, struct list *answers)
{
	struct store *s = run->s;
	struct store_facts facts = { 0 };
	bool first;

	s->backend->facts(s->state, &facts);
	facts.commits = run->commits;
	facts.syncs = run->syncs;
	facts.stalled = run->stalled;
	pthread_mutex_lock(&s->mutex);
	s->facts = facts;
	first = list_empty(&s->out) && !list_empty(answers);
	list_splice_back(&s->out, answers);
	pthread_mutex_unlock(&s->mutex);
	if (first)
		(void)eventfd_write(s->fd, 1);
}

static bool wants_sync(const struct list *batches)
{
	LIST_FOREACH(place, batches) {
		if (LIST_ENTRY(place, struct store_batch, work.place)->sync == STORE_SYNC)
			return true;
	}
	return false;
}

static void answer_batches(struct run *run)
{
	LIST_FOREACH(place, &run->batches) {
		struct store_batch *batch = LIST_ENTRY(place, struct store_batch, work.place);

		batch->error = run->error;
		if (run->error)
			batch->refusal_count = 0;
	}
	FAILPOINT("store.before_answer");
	publish(run, &run->batches);
}

static void apply_batches(struct run *run)
{
	bool sync = wants_sync(&run->batches);
	struct list none;
	int r = run->s->backend->apply(run->s->state, &run->batches, sync);

	run->stalled = r == -EAGAIN;
	if (run->stalled) {
		run->retry_due = clock_monotonic() + STALLED_RETRY;
		list_init(&none);
		publish(run, &none);
		return;
	}
	if (r < 0) {
		die(run, r);
		return;
	}
	run->commits++;
	run->syncs += sync;
	run->upkeep_due = 0;
	if (sync)
		run->sync_due = TIME_NEVER;
	else if (run->sync_due == TIME_NEVER)
		run->sync_due = clock_monotonic() + STORE_WRITE_DELAY_MS * NSEC_PER_MSEC;
}

static void commit_batches(struct run *run)
{
	if (list_empty(&run->batches))
		return;
	if (run->stalled && !run->closing && clock_monotonic() < run->retry_due)
		return;
	if (run->error == 0)
		apply_batches(run);
	if (!run->stalled)
		answer_batches(run);
}

static void serve_read(struct run *run, struct store_read *read, int64_t until)
{
	const struct store_backend *backend = run->s->backend;
	struct list done;

	if (atomic_load(&read->cancelled) || run->error) {
		backend->read_drop(run->s->state, read);
		read->rows = (struct store_rows){ .error = run->error ? run->error : -ECANCELED,
						  .jobs = read->rows.jobs,
						  .attempts = read->rows.attempts };
	} else if (backend->read(run->s->state, read, until) > 0) {
		read->slices++;
		list_push_back(&run->reads, &read->work.place);
		return;
	}
	list_init(&done);
	list_push_back(&done, &read->work.place);
	publish(run, &done);
}

/* Short of a commit for one slice at most. A read that isn't through goes to the end of the line. */
static void serve_reads(struct run *run)
{
	int64_t until = clock_monotonic() + READ_SLICE;
	struct list *place;

	while ((place = list_pop_front(&run->reads)) != NULL) {
		serve_read(run, LIST_ENTRY(place, struct store_read, work.place), until);
		if (clock_monotonic() >= until)
			return;
	}
}

static void sync_when_due(struct run *run)
{
	int r;

	if (run->error || run->sync_due > clock_monotonic())
		return;
	r = run->s->backend->sync(run->s->state);
	run->sync_due = TIME_NEVER;
	run->syncs++;
	if (r < 0)
		die_between(run, r);
}

static void upkeep_when_due(struct run *run)
{
	int64_t again = 0;
	struct list none;
	int r;

	if (run->error || run->stalled || run->upkeep_due > clock_monotonic())
		return;
	r = run->s->backend->upkeep(run->s->state, clock_wall(), &again);
	run->upkeep_due = time_add(clock_monotonic(), again);
	if (r < 0)
		die_between(run, r);
	list_init(&none);
	publish(run, &none);
}
