/*
 * slots.h — waiters for an array of futures at once, for gather and wait.
 *
 * Embedded in the waiting frame; allocates for more than SLOTS_FEW futures. A future may stand in the array twice.
 */
#pragma once
#include "future.h"

#define SLOTS_FEW 8

struct slot {
	struct future_waiter waiter;
	void *owner;
};

struct slots {
	struct slot few[SLOTS_FEW];
	struct slot *all;
	size_t count;
};

/* Room for `count` waiters. -ENOMEM. */
int slots_init(struct slots *s, size_t count) GA_MUST_CHECK;
/* Call fn once for each of the futures that is pending; how many those are. NULL counts as done. */
size_t slots_wait(struct slots *s, struct ga_future *const futures[], waiter_fn fn, void *owner);
static inline void *slot_owner(struct future_waiter *w)
{
	return container_of(w, struct slot, waiter)->owner;
}
void slots_unwait(struct slots *s); /* no further calls */
void slots_done(struct slots *s);   /* after slots_unwait(), or when all have called */
