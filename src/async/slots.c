/*
 * slots.c — waiters for an array of futures.
 */
#include "slots.h"
#include "task.h"
#include <errno.h>
#include <stdlib.h>

static inline struct future_waiter *slot_at(struct slots *s, size_t i)
{
	return &s->blocks[i / SLOTS_FEW].waiters[i % SLOTS_FEW];
}

int slots_init(struct slots *s, size_t count, void *owner)
{
	size_t blocks = count / SLOTS_FEW + (count % SLOTS_FEW > 0);

	s->count = count;
	s->blocks = &s->few;
	if (blocks > SIZE_MAX / SLOTS_BLOCK_BYTES)
		return -ENOMEM;
	if (blocks > 1)
		s->blocks = aligned_alloc(SLOTS_BLOCK_BYTES, blocks * SLOTS_BLOCK_BYTES);
	if (!s->blocks)
		return -ENOMEM;
	for (size_t i = 0; i < blocks; i++)
		s->blocks[i].owner = owner;
	for (size_t i = 0; i < count; i++)
		list_init(&slot_at(s, i)->node);
	return 0;
}

size_t slots_wait(struct slots *s, struct ga_future *const futures[], waiter_fn fn)
{
	struct task *waiter = task_current();
	size_t pending = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (ga_done(futures[i]))
			continue;
		future_wait(futures[i], slot_at(s, i), fn);
		if (waiter)
			task_joins(waiter, futures[i]);
		pending++;
	}
	return pending;
}

void slots_unwait(struct slots *s)
{
	for (size_t i = 0; i < s->count; i++)
		future_unwait(slot_at(s, i));
}

void slots_done(struct slots *s)
{
	if (s->blocks != &s->few)
		free(s->blocks);
}
