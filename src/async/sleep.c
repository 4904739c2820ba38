/*
 * sleep.c — waiting for a time: with the timer in the waiting frame, or as a future without a stack.
 */
#include "clock.h"
#include "debugging.h"
#include "future.h"
#include "park.h"
#include "task.h"
#include <errno.h>

struct nap { /* ga_sleep() */
	struct park park;
	struct loop_timer timer;
};

struct sleep { /* ga_sleep_future() */
	struct ga_future future;
	struct loop_timer timer;
};
_Static_assert(sizeof(struct sleep) <= RUNTIME_SMALL_BYTES, "sleeps are counted in millions");

static int yield(bool revocable);
static void on_nap_over(struct loop_timer *t);
static enum park_answer nap_abort(struct park *p);
static enum park_answer yield_abort(struct park *p);
static void on_sleep_over(struct loop_timer *t);
static void sleep_cancel(struct ga_future *f);
static void sleep_free(struct ga_future *f);

static const struct future_ops sleep_ops = { .kind = "sleep", .cancel = sleep_cancel, .free = sleep_free };

int64_t ga_now(void)
{
	struct loop *l = loop_current();

	return l ? loop_clock(l) : clock_monotonic();
}

int ga_sleep(int64_t ns)
{
	return ns > 0 ? ga_sleep_until(time_add(ga_now(), ns)) : yield(true);
}

int ga_sleep_until(int64_t deadline)
{
	struct nap nap;
	int r = park_begin(&nap.park, nap_abort);

	if (r < 0)
		return r;
	loop_timer_init(&nap.timer, on_nap_over, &nap);
	park_for(&nap.park, "sleep");
	r = loop_timer_set(loop_current(), &nap.timer, deadline);
	if (r < 0)
		return r;
	return park_wait(&nap.park);
}

ga_future *ga_sleep_future(int64_t ns)
{
	struct runtime *rt = runtime_get();
	struct sleep *s = rt ? slab_take(&rt->small) : NULL;

	if (!s)
		return NULL;
	future_init(&s->future, &sleep_ops);
	loop_timer_init(&s->timer, on_sleep_over, s);
	if (loop_timer_set(rt->loop, &s->timer, time_add(loop_clock(rt->loop), MAX(ns, (int64_t)0))) <
	    0) {
		if (debug_on())
			debug_forget(&s->future);
		slab_give(s);
		return NULL;
	}
	return &s->future;
}

int coop_yield(void)
{
	return yield(true);
}

void coop_yield_anyway(void)
{
	(void)yield(false);
}

static int yield(bool revocable)
{
	struct park park;
	int r = park_begin(&park, yield_abort);

	if (r < 0)
		return r;
	park.revocable = revocable;
	park_for(&park, "turn");
	return park_pass(&park);
}

/* It is over in a turn. */
static enum park_answer yield_abort(struct park *p GA_UNUSED)
{
	return PARK_CANNOT;
}

static void on_nap_over(struct loop_timer *t)
{
	struct nap *nap = t->arg;

	park_wake(&nap->park, 0);
}

static enum park_answer nap_abort(struct park *p)
{
	struct nap *nap = container_of(p, struct nap, park);

	loop_timer_stop(loop_current(), &nap->timer);
	return PARK_ABORTED;
}

static void on_sleep_over(struct loop_timer *t)
{
	struct sleep *s = t->arg;

	future_resolve(&s->future, 0, NULL);
}

static void sleep_cancel(struct ga_future *f)
{
	struct sleep *s = container_of(f, struct sleep, future);

	loop_timer_stop(f->loop, &s->timer);
	future_resolve(f, -ECANCELED, NULL);
}

static void sleep_free(struct ga_future *f)
{
	struct sleep *s = container_of(f, struct sleep, future);

	loop_timer_stop(f->loop, &s->timer);
	slab_give(s);
}
