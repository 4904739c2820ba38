/*
 * sim_limits — a seeded simulation of limits: random jobs of few queues and keys, random limits, and a second reckoning of
 * what each gate lets through. Two things must hold at every turn: nothing starts that a limit forbids, and nothing waits
 * that no limit forbids while a worker has room.
 *
 *	sim_limits                  eight seeds of 20,000 steps; as TAP
 *	sim_limits SEED [STEPS]     one seed, e.g. to replay a failure
 */
#include "clock.h"
#include "engine.h"
#include "engine_limits.h"
#include "random.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUEUES = 4, KEYS = 6, JOBS = 300, SEEDS = 8, STEPS = 20000, PRIORITIES = 3 };

struct tap { /* a gate reckoned again, with tokens instead of times */
	bool own, paused;
	struct limit limit;
	double tokens;
	int64_t filled_at, blocked_until, slow_again;
	uint32_t running, slowed, successes;
};

struct entry {
	struct job *job;
	int queue, key, job_class;
	bool running;
};

struct sim {
	struct engine *e;
	struct random random;
	int64_t now;
	struct limit defaults[2];
	struct tap queues[QUEUES], keys[KEYS];
	struct entry jobs[JOBS];
	unsigned count;
	uint32_t capacity[CLASS_COUNT], held[CLASS_COUNT];
	uint64_t incarnation, started, refused, busy;
	bool broken;
	char why[300];
};

static const char *const queue_names[QUEUES] = { "default", "a", "b", "c" };
static const char *const key_names[KEYS] = { "", "one.example", "two.example:81", "k3", "k4", "k5" };

static void GA_PRINTF(2, 3) break_it(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->broken)
		return;
	s->broken = true;
	va_start(args, format);
	vsnprintf(s->why, sizeof(s->why), format, args);
	va_end(args);
}

static uint64_t below(struct sim *s, uint64_t limit)
{
	return random_below(&s->random, limit);
}

static bool chance(struct sim *s, unsigned percent)
{
	return below(s, 100) < percent;
}

/* ---- the second reckoning ---- */

static const struct limit *limit_of(const struct sim *s, const struct tap *t)
{
	bool is_queue = t >= s->queues && t < s->queues + QUEUES;

	return t->own ? &t->limit : &s->defaults[is_queue ? LIMIT_QUEUE : LIMIT_KEY];
}

static double burst_of(const struct limit *l)
{
	const int64_t whole = l->per / l->rate; /* in whole nanoseconds, as the engine has it */
	double interval = (double)whole;
	double burst = l->burst ? l->burst : (double)(int64_t)(NSEC_PER_SEC / 10 / interval);

	return burst < 1 ? 1 : burst;
}

static void tap_reset(struct sim *s, struct tap *t)
{
	const struct limit *l = limit_of(s, t);

	t->tokens = l->rate ? burst_of(l) : 0;
	t->filled_at = s->now;
	t->blocked_until = t->slow_again = 0;
	t->slowed = t->successes = 0;
}

static void tap_fill(const struct sim *s, struct tap *t)
{
	const struct limit *l = limit_of(s, t);

	if (l->rate) {
		const int64_t interval = l->per / l->rate;

		t->tokens += (double)(s->now - t->filled_at) / (double)interval;
		if (t->tokens > burst_of(l))
			t->tokens = burst_of(l);
	}
	t->filled_at = s->now;
}

static uint32_t ceiling_of(const struct sim *s, const struct tap *t)
{
	uint32_t limit = limit_of(s, t)->concurrency;

	limit = limit ? limit : UINT32_MAX;
	return t->slowed ? MIN(limit, t->slowed) : limit;
}

/* `enough`: tokens for a start; a little more or less than one where rounding is to be on the safe side. */
static bool tap_open(struct sim *s, struct tap *t, double enough)
{
	tap_fill(s, t);
	return !t->paused && t->running < ceiling_of(s, t) && s->now >= t->blocked_until &&
	       (limit_of(s, t)->rate == 0 || t->tokens >= enough);
}

static void tap_busy(struct sim *s, struct tap *t, int64_t retry_after)
{
	uint32_t ran = MIN(ceiling_of(s, t), t->running);

	if (retry_after > 0 && t->blocked_until < s->now + retry_after)
		t->blocked_until = s->now + retry_after;
	if (s->now < t->slow_again)
		return;
	t->slow_again = s->now + (retry_after > NSEC_PER_SEC ? retry_after : NSEC_PER_SEC);
	t->slowed = ran / 2 > 0 ? ran / 2 : 1;
	t->successes = 0;
}

static void tap_recover(const struct sim *s, struct tap *t)
{
	uint32_t limit = limit_of(s, t)->concurrency;

	if (t->slowed && limit && t->slowed >= limit)
		t->slowed = 0;
}

static void tap_succeeded(struct sim *s, struct tap *t)
{
	if (!t->slowed || ++t->successes < t->slowed)
		return;
	t->successes = 0;
	t->slowed++;
	tap_recover(s, t);
}

static uint64_t pending(const struct sim *s, int queue, int key)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < s->count; i++)
		found += !s->jobs[i].running && (queue < 0 || s->jobs[i].queue == queue) &&
			 (key < 0 || s->jobs[i].key == key);
	return found;
}

static struct tap *key_tap(struct sim *s, const struct entry *e)
{
	return e->key ? &s->keys[e->key] : NULL;
}

static bool entry_open(struct sim *s, const struct entry *e, double enough)
{
	struct tap *key = key_tap(s, e);

	return tap_open(s, &s->queues[e->queue], enough) && (!key || tap_open(s, key, enough));
}

static void entry_start(struct sim *s, struct entry *e, int by)
{
	struct tap *taps[] = { &s->queues[e->queue], key_tap(s, e) };

	e->running = by > 0;
	s->held[e->job_class] += (uint32_t)by;
	for (size_t i = 0; i < ARRAY_SIZE(taps) && taps[i]; i++) {
		taps[i]->running += (uint32_t)by;
		if (by > 0 && limit_of(s, taps[i])->rate)
			taps[i]->tokens -= 1;
	}
}

/* ---- events ---- */

static struct entry *any_entry(struct sim *s, bool running)
{
	unsigned start = s->count ? (unsigned)below(s, s->count) : 0;

	for (unsigned i = 0; i < s->count; i++) {
		struct entry *e = &s->jobs[(start + i) % s->count];

		if (e->running == running)
			return e;
	}
	return NULL;
}

static void drop(struct sim *s, struct entry *e)
{
	*e = s->jobs[--s->count];
}

static void step_submit(struct sim *s)
{
	struct entry e = { .queue = (int)below(s, QUEUES),
			   .key = (int)below(s, KEYS),
			   .job_class = (int)below(s, CLASS_COUNT) };
	struct submission sub = {
		.job_class = (enum job_class)e.job_class,
		.queue = span_of(queue_names[e.queue]),
		.limit_key = span_of(key_names[e.key]),
		.priority = (int8_t)below(s, PRIORITIES),
		.retries = { .max = 2, .initial_ms = 50, .maximum_ms = 500, .factor = 2 },
		.exempt = chance(s, 5)
	};
	uint64_t queue_max = limit_of(s, &s->queues[e.queue])->max_pending;
	uint64_t key_max = e.key ? limit_of(s, &s->keys[e.key])->max_pending : 0;
	bool full = (queue_max && pending(s, e.queue, -1) >= queue_max) ||
		    (key_max && pending(s, -1, e.key) >= key_max);
	int r;

	if (s->count == JOBS)
		return;
	r = engine_submit(s->e, &sub, &e.job);
	if (r != (full && !sub.exempt ? -EAGAIN : 0))
		break_it(s, "a submission is answered %d, the queue or key is %s", r,
			 full ? "full" : "open");
	else if (r == 0)
		s->jobs[s->count++] = e;
	s->refused += r == -EAGAIN;
}

static void step_result(struct sim *s)
{
	static const enum job_outcome outcomes[] = { OUTCOME_SUCCEEDED, OUTCOME_SUCCEEDED,
						     OUTCOME_FAILED, OUTCOME_FAILED, OUTCOME_RETURNED };
	struct entry *e = any_entry(s, true);
	struct attempt_result r = { .outcome = outcomes[below(s, ARRAY_SIZE(outcomes))],
				    .retryable = chance(s, 50) };

	if (!e)
		return;
	r.busy = r.outcome == OUTCOME_FAILED && chance(s, 20);
	r.retry_after_ms = r.busy && chance(s, 50) ? (uint32_t)below(s, 3000) : 0;
	r.token = e->job->token;
	if (key_tap(s, e) && r.busy)
		tap_busy(s, key_tap(s, e), r.retry_after_ms * NSEC_PER_MSEC);
	else if (key_tap(s, e) && r.outcome == OUTCOME_SUCCEEDED)
		tap_succeeded(s, key_tap(s, e));
	s->busy += r.busy;
	if (engine_result(s->e, e->job->slot, &r) != 0)
		break_it(s, "a result is refused");
	entry_start(s, e, -1);
	if (job_state_is_final((enum job_state)e->job->state))
		drop(s, e);
}

static void step_cancel(struct sim *s)
{
	struct entry *e = any_entry(s, chance(s, 20));

	if (!e || engine_cancel(s->e, e->job) < 0)
		return;
	if (!e->running)
		drop(s, e);
}

static struct limit any_limit(struct sim *s)
{
	struct limit l = { 0 };

	if (chance(s, 60))
		l.concurrency = 1 + (uint32_t)below(s, 8);
	if (chance(s, 30)) {
		l.rate = 1 + (uint32_t)below(s, 50);
		l.per = chance(s, 50) ? NSEC_PER_SEC : (int64_t)(1 + below(s, 4000)) * NSEC_PER_MSEC;
		l.burst = chance(s, 50) ? 1 + (uint32_t)below(s, 5) : 0;
	}
	if (chance(s, 20))
		l.max_pending = 1 + below(s, 40);
	return l;
}

static void step_default(struct sim *s)
{
	enum limit_kind kind = (enum limit_kind)below(s, 2);
	struct tap *taps = kind == LIMIT_QUEUE ? s->queues : s->keys;

	s->defaults[kind] = any_limit(s);
	if (engine_set_limit(s->e, kind, SPAN(""), &s->defaults[kind]) < 0)
		break_it(s, "a default is refused");
	for (int i = 0; i < (kind == LIMIT_QUEUE ? QUEUES : KEYS); i++)
		if (!taps[i].own)
			tap_reset(s, &taps[i]);
}

static void step_setting(struct sim *s)
{
	enum limit_kind kind = (enum limit_kind)below(s, 2);
	int which = kind == LIMIT_QUEUE ? (int)below(s, QUEUES) : 1 + (int)below(s, KEYS - 1);
	struct tap *t = kind == LIMIT_QUEUE ? &s->queues[which] : &s->keys[which];
	struct span name = span_of(kind == LIMIT_QUEUE ? queue_names[which] : key_names[which]);
	int r = 0;

	if (chance(s, 40)) {
		t->paused = chance(s, 30);
		if (t->paused)
			r = engine_pause(s->e, kind, name);
		else
			engine_resume(s->e, kind, name);
	} else {
		t->own = chance(s, 60);
		t->limit = any_limit(s);
		r = engine_set_limit(s->e, kind, name, t->own ? &t->limit : NULL);
		tap_reset(s, t);
	}
	if (r < 0)
		break_it(s, "a setting is refused: %d", r);
}

static void step_worker(struct sim *s)
{
	struct engine_worker w = { .incarnation = ++s->incarnation };

	engine_worker_lost(s->e, 0, s->incarnation - 1, &(struct engine_death){ .asked = true });
	for (unsigned i = s->count; i-- > 0;) {
		if (!s->jobs[i].running)
			continue;
		entry_start(s, &s->jobs[i], -1);
		if (job_state_is_final((enum job_state)s->jobs[i].job->state))
			drop(s, &s->jobs[i]);
	}
	for (int c = 0; c < CLASS_COUNT; c++)
		s->capacity[c] = w.capacity[c] = (uint32_t)below(s, 30);
	if (engine_worker_started(s->e, 0, w.incarnation) < 0 || engine_worker_joined(s->e, &w) < 0)
		break_it(s, "a worker is refused");
}

/* Keys that no job and no setting names any more are forgotten, and what they learnt with them. */
static void forget_keys(struct sim *s)
{
	struct limit_view view;

	for (int i = 1; i < KEYS; i++)
		if (engine_limit_find(s->e, LIMIT_KEY, span_of(key_names[i]), &view) < 0)
			tap_reset(s, &s->keys[i]);
	for (int i = 1; i < QUEUES; i++)
		if (engine_limit_find(s->e, LIMIT_QUEUE, span_of(queue_names[i]), &view) < 0)
			tap_reset(s, &s->queues[i]);
}

static void step_time(struct sim *s)
{
	int64_t due = engine_next_due(s->e);

	if (chance(s, 40) && due < TIME_NEVER && due > s->now && due - s->now < 10 * NSEC_PER_SEC)
		s->now = due;
	else
		s->now += (int64_t)below(s, 200 * NSEC_PER_MSEC);
	engine_advance(s->e, s->now, s->now);
}

/* ---- turns ---- */

static struct entry *entry_of(struct sim *s, const struct job *job)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->jobs[i].job == job)
			return &s->jobs[i];
	return NULL;
}

/* Of its queue, class and key, none that should have been before it waits. */
static void check_order(struct sim *s, const struct entry *e)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct entry *o = &s->jobs[i];
		int ahead = o->job->profile->priority - e->job->profile->priority;

		if (o->running || o->job->state != JOB_READY || o->queue != e->queue ||
		    o->key != e->key || o->job_class != e->job_class)
			continue;
		if (ahead > 0 || (ahead == 0 && o->job->sequence < e->job->sequence))
			break_it(s, "job %" PRIu64 " starts before job %" PRIu64, e->job->sequence,
				 o->job->sequence);
	}
}

static void turn(struct sim *s)
{
	size_t count;
	const struct action *actions = engine_run(s->e, &count);
	char why[256] = "";

	for (size_t i = 0; i < count; i++) {
		struct entry *e = actions[i].kind == ACTION_DISPATCH ? entry_of(s, actions[i].job)
								     : NULL;

		if (!e)
			continue;
		if (!entry_open(s, e, 1 - 1e-3))
			break_it(s, "job %" PRIu64 " of queue %s and key \"%s\" starts against a limit",
				 e->job->sequence, queue_names[e->queue], key_names[e->key]);
		check_order(s, e);
		entry_start(s, e, 1);
		s->started++;
		if (s->held[e->job_class] > s->capacity[e->job_class])
			break_it(s, "more of a class runs than there is room for");
	}
	for (unsigned i = 0; i < s->count; i++) {
		const struct entry *e = &s->jobs[i];

		if (e->job->state == JOB_READY && !e->running &&
		    s->held[e->job_class] < s->capacity[e->job_class] && entry_open(s, e, 1 + 1e-3))
			break_it(s, "job %" PRIu64 " of queue %s and key \"%s\" waits for nothing",
				 e->job->sequence, queue_names[e->queue], key_names[e->key]);
	}
	engine_reap(s->e);
	forget_keys(s);
	if (engine_check(s->e, why, sizeof(why)) < 0)
		break_it(s, "%s", why);
}

static void step(struct sim *s)
{
	static const struct {
		unsigned weight;
		void (*fn)(struct sim *s);
	} steps[] = { { 40, step_submit }, { 30, step_result }, { 5, step_cancel },
		      { 1, step_default }, { 5, step_setting }, { 1, step_worker },
		      { 18, step_time } };
	uint64_t dice = below(s, 100);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (dice < steps[i].weight) {
			steps[i].fn(s);
			break;
		}
		dice -= steps[i].weight;
	}
	if (chance(s, 50))
		turn(s);
}

static bool simulate(uint64_t seed, unsigned long limit)
{
	const struct engine_options options = {
		.epoch = 3, .seed = seed, .result_ttl = NSEC_PER_SEC, .failed_ttl = NSEC_PER_SEC
	};
	struct sim s = { .now = 1000 * NSEC_PER_SEC };
	unsigned long done = 0;

	random_seed(&s.random, seed);
	if (engine_new(&options, &s.e) < 0)
		return false;
	engine_advance(s.e, s.now, s.now);
	step_worker(&s);
	for (; done < limit && !s.broken; done++)
		step(&s);
	printf("%s - seed %" PRIu64 ", %lu steps: %" PRIu64 " starts, %" PRIu64 " refused, %" PRIu64
	       " busy\n",
	       s.broken ? "not ok" : "ok", seed, done, s.started, s.refused, s.busy);
	if (s.broken)
		printf("# %s\n# replay: sim_limits %" PRIu64 " %lu\n", s.why, seed, done);
	engine_free(s.e);
	return !s.broken;
}

int main(int argc, char **argv)
{
	bool good = true;

	if (argc > 1)
		return simulate(strtoull(argv[1], NULL, 10),
				argc > 2 ? strtoul(argv[2], NULL, 10) : STEPS)
			       ? 0
			       : 1;
	printf("1..%d\n", SEEDS);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		good &= simulate(seed, STEPS);
	return good ? 0 : 1;
}
