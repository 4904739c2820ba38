/*
 * wait.c — waiting until some of several futures are done, for a while.
 */
#include "clock.h"
#include "debugging.h"
#include "park.h"
#include "slots.h"
#include "task.h"
#include <errno.h>

struct wait {
	struct park park;
	struct slots slots;
	struct loop_timer timer;
	struct ga_future *const *futures;
	size_t count, pending;
	enum ga_wait_mode mode;
};

static int check(struct ga_future *const futures[], size_t count, enum ga_wait_mode mode);
static bool is_met(const struct wait *w);
static bool is_exception(const struct ga_future *f);
static int count_done(const struct wait *w);
static void on_one_done(struct future_waiter *waiter, struct ga_future *f);
static void on_deadline(struct loop_timer *t);
static enum park_answer wait_abort(struct park *p);

int ga_wait(ga_future *const futures[], size_t count, enum ga_wait_mode mode, int64_t deadline)
{
	struct wait w = { .futures = futures, .count = count, .mode = mode };
	int r = check(futures, count, mode);

	if (r < 0)
		return r;
	if (is_met(&w)) {
		coop_spend_anyway();
		return count_done(&w);
	}
	r = park_begin(&w.park, wait_abort);
	if (r < 0)
		return r;
	r = slots_init(&w.slots, count, &w);
	if (r < 0)
		return r;
	loop_timer_init(&w.timer, on_deadline, &w);
	r = loop_timer_set(loop_current(), &w.timer, deadline);
	if (r >= 0) {
		w.pending = slots_wait(&w.slots, futures, on_one_done);
		task_waits(w.park.task, "wait", TARGET_COUNT, (uint32_t)w.pending);
		r = park_wait(&w.park);
	}
	loop_timer_stop(loop_current(), &w.timer);
	slots_unwait(&w.slots);
	slots_done(&w.slots);
	return r < 0 ? r : count_done(&w);
}

static int check(struct ga_future *const futures[], size_t count, enum ga_wait_mode mode)
{
	if (count == 0 || count > INT32_MAX || mode < GA_ALL_COMPLETED || mode > GA_FIRST_EXCEPTION)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (ga_done(futures[i]))
			continue;
		if (!future_is_here(futures[i], "ga_wait"))
			return -EPERM;
		if (futures[i] == ga_self())
			return -EDEADLK;
	}
	return 0;
}

static bool is_met(const struct wait *w)
{
	size_t done = 0;

	for (size_t i = 0; i < w->count; i++) {
		if (!ga_done(w->futures[i]))
			continue;
		done++;
		if (w->mode == GA_FIRST_EXCEPTION && is_exception(w->futures[i]))
			return true;
	}
	return done == w->count || (w->mode == GA_FIRST_COMPLETED && done > 0);
}

/* A cancelled future is none. */
static bool is_exception(const struct ga_future *f)
{
	return !f || (!future_pending(f) && f->result < 0 && f->result != -ECANCELED);
}

static int count_done(const struct wait *w)
{
	int done = 0;

	for (size_t i = 0; i < w->count; i++)
		done += ga_done(w->futures[i]);
	return done;
}

static void on_one_done(struct future_waiter *waiter, struct ga_future *f)
{
	struct wait *w = slot_owner(waiter);

	w->pending--;
	if (debug_on())
		debug_unread(f);
	w->park.task->row.target = (uint32_t)w->pending;
	if (w->pending == 0 || w->mode == GA_FIRST_COMPLETED ||
	    (w->mode == GA_FIRST_EXCEPTION && is_exception(f)))
		park_wake(&w->park, 0);
}

static void on_deadline(struct loop_timer *t)
{
	struct wait *w = t->arg;

	park_wake(&w->park, 0);
}

/* What is waited for runs on, and ga_wait() lets go of it. */
static enum park_answer wait_abort(struct park *p GA_UNUSED)
{
	return PARK_ABORTED;
}
