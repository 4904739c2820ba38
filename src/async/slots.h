/*
 * slots.h — waiters for an array of futures at once, for gather and wait.
 *
 * Embedded in the waiting frame; allocates for more than SLOTS_FEW futures. A future may stand in the array twice.
 * Waiters stand in aligned blocks, so that a waiter's address leads to the owner, named once a block.
 */
#pragma once
#include "future.h"

#define SLOTS_BLOCK_BYTES 256
#define SLOTS_FEW 10

struct slots_block {
	void *owner;
	struct future_waiter waiters[SLOTS_FEW];
} __attribute__((aligned(SLOTS_BLOCK_BYTES)));
_Static_assert(sizeof(struct slots_block) == SLOTS_BLOCK_BYTES,
	       "slot_owner() finds a block by its address");

struct slots {
	struct slots_block few;
	struct slots_block *blocks;
	size_t count;
};

/* Room for `count` waiters of `owner`. -ENOMEM. */
int slots_init(struct slots *s, size_t count, void *owner) GA_MUST_CHECK;
/* Call fn once for each of the futures that is pending; how many those are. NULL counts as done. */
size_t slots_wait(struct slots *s, struct ga_future *const futures[], waiter_fn fn);
static inline void *slot_owner(struct future_waiter *w)
{
	return ((struct slots_block *)((uintptr_t)w & ~(uintptr_t)(SLOTS_BLOCK_BYTES - 1)))->owner;
}
void slots_unwait(struct slots *s); /* no further calls */
void slots_done(struct slots *s);   /* after slots_unwait(), or when all have called */
