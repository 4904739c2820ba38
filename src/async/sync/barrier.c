/*
 * barrier.c — asyncio.Barrier.
 *
 *	FILLING -> DRAINING (the last has come) -> FILLING (the last has left)
 *	FILLING, DRAINING, BROKEN -> RESETTING (ga_barrier_reset, some are to leave yet) -> FILLING
 *	any -> BROKEN (ga_barrier_abort) -> RESETTING or FILLING (ga_barrier_reset)
 *
 * Only while it fills does anyone wait inside, and only while some are `leaving` (told, but not run since) outside.
 */
#include "waiters.h"
#include <errno.h>
#include <limits.h>

enum barrier_state { BARRIER_FILLING, BARRIER_DRAINING, BARRIER_RESETTING, BARRIER_BROKEN };

struct place {
	struct ga_waiter waiter;
	int index;
};

static void barrier_let_go(struct ga_barrier *b, enum barrier_state state);
static int barrier_leave(struct ga_barrier *b, int result);
static void barrier_refill(struct ga_barrier *b);

int ga_barrier_init(struct ga_barrier *barrier, size_t parties)
{
	if (parties == 0 || parties > INT_MAX)
		return -EINVAL;
	*barrier = (struct ga_barrier){ .parties = parties, .state = BARRIER_FILLING };
	return 0;
}

int ga_barrier_wait(struct ga_barrier *barrier, int64_t deadline)
{
	int r = waiters_begin();
	struct place place;
	bool filling;

	if (r < 0)
		return r;
	if (barrier->state == BARRIER_BROKEN)
		return -ECONNABORTED;
	filling = barrier->state == BARRIER_FILLING;
	if (filling && barrier->inside.count + 1 == barrier->parties) {
		barrier_let_go(barrier, BARRIER_DRAINING);
		barrier->leaving++;
		return barrier_leave(barrier, (int)barrier->parties - 1);
	}
	r = waiters_wait(filling ? &barrier->inside : &barrier->outside, &place.waiter, "barrier",
			 deadline);
	if (!place.waiter.told)
		return r;
	if (place.waiter.queue == &barrier->outside) /* broken before it came in */
		return r < 0 ? r : -ECONNABORTED;
	return barrier_leave(barrier, r < 0 ? r : place.index);
}

void ga_barrier_reset(struct ga_barrier *barrier)
{
	if (barrier->inside.count + barrier->leaving > 0)
		barrier_let_go(barrier, BARRIER_RESETTING);
	else
		barrier->state = BARRIER_FILLING;
}

void ga_barrier_abort(struct ga_barrier *barrier)
{
	barrier_let_go(barrier, BARRIER_BROKEN);
	waiters_tell_all(&barrier->outside);
}

size_t ga_barrier_parties(const struct ga_barrier *barrier)
{
	return barrier->parties;
}

size_t ga_barrier_waiting(const struct ga_barrier *barrier)
{
	return barrier->inside.count;
}

bool ga_barrier_is_broken(const struct ga_barrier *barrier)
{
	return barrier->state == BARRIER_BROKEN;
}

/* All who are inside; their numbers are given here, because some who came before them may have left. */
static void barrier_let_go(struct ga_barrier *b, enum barrier_state state)
{
	struct ga_waiter *w;

	b->state = state;
	for (int index = 0; (w = waiters_take(&b->inside)) != NULL; index++) {
		container_of(w, struct place, waiter)->index = index;
		b->leaving++;
		waiter_tell(w);
	}
}

/* A break or reset that came before the task ran counts for it too. */
static int barrier_leave(struct ga_barrier *b, int result)
{
	bool whole = b->state == BARRIER_DRAINING;

	if (--b->leaving == 0 && b->state != BARRIER_BROKEN)
		barrier_refill(b);
	return whole || result < 0 ? result : -ECONNABORTED;
}

/* Those outside come in without being woken; they may be enough for a round. */
static void barrier_refill(struct ga_barrier *b)
{
	struct ga_waiter *w;

	b->state = BARRIER_FILLING;
	while (b->state == BARRIER_FILLING && (w = waiters_take(&b->outside)) != NULL) {
		waiters_add(&b->inside, w);
		if (b->inside.count == b->parties)
			barrier_let_go(b, BARRIER_DRAINING);
	}
}
