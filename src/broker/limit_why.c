/* What limits have to say of a job: why it waits, and why it isn't taken. */
#include "clock.h"
#include "limit_form.h"
#include "text.h"
#include <errno.h>
#include <stdio.h>

/* Whole seconds, or milliseconds: people want "12s", not "12s345ms". */
static const char *how_long(int64_t ns, char text[DURATION_TEXT_SIZE])
{
	int64_t unit = ns >= NSEC_PER_SEC ? NSEC_PER_SEC : NSEC_PER_MSEC;

	return duration_format((ns + unit - 1) / unit * unit, text);
}

/* When the job will be the next, at the pace of late; 0: who knows. */
static int64_t estimate(const struct limit_view *v, uint64_t ahead)
{
	double runs = v->concurrency > 0 ? (double)v->run_time / v->concurrency : 0;
	double rate = v->limit.rate > 0 ? (double)v->limit.per / v->limit.rate : 0;

	return (int64_t)MIN(MAX(runs, rate) * (double)(ahead + 1), 1e18);
}

static void put_place(char *out, size_t out_size, const struct limit_view *v, uint64_t ahead)
{
	int64_t left = estimate(v, ahead);
	char text[DURATION_TEXT_SIZE];

	if (left > 0)
		snprintf(out, out_size, "%llu ahead, about %s", (unsigned long long)ahead,
			 how_long(left, text));
	else
		snprintf(out, out_size, "%llu ahead", (unsigned long long)ahead);
}

/* `who` is "queue reports" or the key's name. */
static bool why(const struct limit_view *v, const char *who, uint64_t ahead, char *out, size_t out_size)
{
	char place[96], text[DURATION_TEXT_SIZE], rate[RATE_TEXT_SIZE];
	int64_t now = clock_boottime();

	put_place(place, sizeof(place), v, ahead);
	if (v->paused)
		snprintf(out, out_size, "%s is paused", who);
	else if (v->busy_until > now)
		snprintf(out, out_size, "%s asked to be spared: it is tried again in %s, %s", who,
			 how_long(v->busy_until - now, text), place);
	else if (v->concurrency > 0 && v->running >= v->concurrency)
		snprintf(out, out_size, "%s has %llu of %u running%s, %s", who,
			 (unsigned long long)v->running, v->concurrency,
			 v->slowed ? " (fewer than it may, because it was busy)" : "", place);
	else if (v->rate_until > now)
		snprintf(out, out_size, "%s starts %s: the next in %s, %s", who,
			 rate_format(v->limit.rate, v->limit.per, rate),
			 how_long(v->rate_until - now, text), place);
	else
		return false;
	return true;
}

bool limits_why(struct broker *b, const struct job *job, char *out, size_t out_size)
{
	struct limit_view queue, key;
	char name[96];

	engine_limits_of(b->engine, job, &queue, &key);
	snprintf(name, sizeof(name), "queue %.64s", queue.name);
	if (why(&queue, name, engine_ahead(b->engine, job), out, out_size))
		return true;
	return key.name && why(&key, key.name, engine_ahead_of_key(b->engine, job), out, out_size);
}

int limits_refuse(struct broker *b, const struct submission *s, struct refusal *r)
{
	struct limit_view v;
	int64_t wait;

	if (engine_limit_find(b->engine, LIMIT_QUEUE,
			      s->queue.size > 0 ? s->queue : SPAN("default"), &v) == 0 &&
	    v.limit.max_pending > 0 && v.pending >= v.limit.max_pending)
		refuse(r, 429, "queue_full", "queue",
		       "%llu jobs of queue %s wait, as many as its max_pending allows: try again later",
		       (unsigned long long)v.pending, v.name);
	else if (engine_limit_find(b->engine, LIMIT_KEY, s->limit_key, &v) == 0)
		refuse(r, 429, "key_full", "limit_key",
		       "%llu jobs for %s wait, as many as its max_pending allows: try again later",
		       (unsigned long long)v.pending, v.name);
	wait = estimate(&v, 0) / NSEC_PER_MSEC;
	r->retry_after_ms = (unsigned)MIN(MAX(wait, INT64_C(1000)), INT64_C(60000));
	return -EINVAL;
}
