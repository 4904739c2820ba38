#include "ledger_book.h"
#include "uuid.h"
#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRONG_SHOWN 20

static void read_promises(struct book *b);
static void read_starts(struct book *b);

void book_read(struct book *b, const char *directory)
{
	b->promise_count = ledger_read(directory, "promises", &b->promises);
	b->start_count = ledger_read(directory, "starts", &b->starts);
	b->death_count = ledger_read(directory, "deaths", &b->deaths);
	for (size_t i = 0; i < b->promise_count; i++)
		b->submission_count = MAX(b->submission_count, b->promises[i].number + 1);
	b->submissions = calloc(b->submission_count + 1, sizeof(*b->submissions));
	if (!b->submissions)
		errx(2, "no memory");
	read_promises(b);
	read_starts(b);
}

void book_wrong(struct book *b, const char *format, ...)
{
	va_list values;

	if (++b->wrong > WRONG_SHOWN)
		return;
	va_start(values, format);
	fputs("WRONG ", stdout);
	vprintf(format, values);
	putchar('\n');
	va_end(values);
}

static bool id_matches(const void *item, const void *key)
{
	const struct book_job *job = item;

	return memcmp(job->id, key, sizeof(job->id)) == 0;
}

struct book_job *book_job(struct book *b, const uint8_t id[16])
{
	uint64_t hash = hash_bytes(id, 16);
	struct book_job *job;

	b->jobs.match = id_matches;
	job = map_get(&b->jobs, hash, id);
	if (job)
		return job;
	job = calloc(1, sizeof(*job));
	if (!job || map_put(&b->jobs, hash, job) < 0)
		errx(2, "no memory");
	memcpy(job->id, id, sizeof(job->id));
	return job;
}

void book_join(struct book *b, struct book_job *job, uint64_t number)
{
	struct book_submission *s = &b->submissions[number];

	if (s->job && s->job != job)
		book_wrong(b, "submission %llu%s became two jobs", (unsigned long long)number,
			   s->keyed ? ", which has a key," : "");
	if (job->number && job->number != number)
		book_wrong(b, "submissions %llu and %llu became one job",
			   (unsigned long long)job->number, (unsigned long long)number);
	s->job = job;
	job->number = number;
}

static void take_promise(struct book *b, const struct ledger_entry *e)
{
	struct book_submission *s = &b->submissions[e->number];
	struct book_job *job = book_job(b, e->id);

	if (e->attempt == 0)
		book_wrong(b, "submission %llu was kept in memory only", (unsigned long long)e->number);
	if (s->promised)
		b->repeated++;
	else
		b->promised++;
	book_join(b, job, e->number);
	s->promised = job->promised = true;
}

static void take_done(struct book *b, const struct ledger_entry *e)
{
	struct book_job *job = book_job(b, e->id);

	book_join(b, job, e->number);
	if (!job->done_at)
		b->done++;
	job->done_at = e->time;
}

static void read_promises(struct book *b)
{
	for (size_t i = 0; i < b->promise_count; i++) {
		const struct ledger_entry *e = &b->promises[i];
		struct book_submission *s = &b->submissions[e->number];

		switch (e->kind) {
		case LEDGER_INTENT:
			s->intended = true;
			s->keyed = e->flags & LEDGER_KEYED;
			s->once = e->flags & LEDGER_ONCE;
			break;
		case LEDGER_PROMISE:
			take_promise(b, e);
			break;
		case LEDGER_DONE:
			take_done(b, e);
			break;
		case LEDGER_REFUSED:
			b->refused++;
			break;
		case LEDGER_UNKNOWN:
			b->unknown++;
			s->unknown = true;
			break;
		default:
			errx(2, "promises: an entry of kind %u", e->kind);
		}
	}
}

static int by_time(const void *a, const void *b)
{
	const struct ledger_entry *x = a, *y = b;

	return (x->time > y->time) - (x->time < y->time);
}

/* Who died between two starts: 2: the first one's worker; 1: a broker; 0: nobody that explains the second. */
static int death_between(const struct book *b, const struct ledger_entry *first,
			 const struct ledger_entry *second)
{
	int found = 0;

	for (size_t i = 0; i < b->death_count; i++) {
		const struct ledger_entry *d = &b->deaths[i];

		if (d->time < first->time || d->number > second->time)
			continue;
		if (d->pid == first->pid)
			return 2;
		if (d->attempt == 1)
			found = 1;
	}
	return found;
}

static void take_rerun(struct book *b, const struct book_job *job, const struct ledger_entry *e)
{
	int who = death_between(b, job->last_start, e);

	if (who == 2)
		b->reruns_by_worker++;
	else if (who == 1)
		b->reruns_by_broker++;
	else
		book_wrong(b, "submission %llu ran twice (attempts %u and %u, processes %u and %u), and nobody had died",
			   (unsigned long long)e->number, job->last_start->attempt, e->attempt,
			   job->last_start->pid, e->pid);
	if (b->submissions[e->number].once)
		book_wrong(b, "submission %llu ran twice, and must not whoever died",
			   (unsigned long long)e->number);
	if (e->attempt <= job->last_start->attempt)
		book_wrong(b, "submission %llu ran its attempt %u after its attempt %u",
			   (unsigned long long)e->number, e->attempt, job->last_start->attempt);
}

static void read_starts(struct book *b)
{
	if (b->start_count)
		qsort(b->starts, b->start_count, sizeof(*b->starts), by_time);
	for (size_t i = 0; i < b->start_count; i++) {
		const struct ledger_entry *e = &b->starts[i];
		struct book_job *job = book_job(b, e->id);

		if (e->number >= b->submission_count || !b->submissions[e->number].intended) {
			book_wrong(b, "submission %llu ran, but was never made",
				   (unsigned long long)e->number);
			continue;
		}
		book_join(b, job, e->number);
		if (job->last_start)
			take_rerun(b, job, e);
		/* What was told is the end of it. */
		if (job->done_at && e->time > job->done_at)
			book_wrong(b, "submission %llu ran again after its success was told",
				   (unsigned long long)e->number);
		job->starts++;
		job->last_start = e;
		job->last_attempt = MAX(job->last_attempt, e->attempt);
	}
}

void book_print(const struct book *b)
{
	if (b->wrong > WRONG_SHOWN)
		printf("WRONG and %u more\n", b->wrong - WRONG_SHOWN);
	printf("accepted=%llu\ndone_told=%llu\nunknown=%llu\nrefused=%llu\nrepeated=%llu\nstarts=%zu\n"
	       "deaths=%zu\nreruns_by_worker=%llu\nreruns_by_broker=%llu\nwrong=%u\n",
	       (unsigned long long)b->promised, (unsigned long long)b->done,
	       (unsigned long long)b->unknown, (unsigned long long)b->refused,
	       (unsigned long long)b->repeated, b->start_count, b->death_count,
	       (unsigned long long)b->reruns_by_worker, (unsigned long long)b->reruns_by_broker,
	       b->wrong);
}
