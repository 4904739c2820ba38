/*
 * slots.c — waiters for an array of futures.
 */
#include "slots.h"
#include <errno.h>
#include <stdlib.h>

int slots_init(struct slots *s, size_t count)
{
	s->count = count;
	s->all = count <= SLOTS_FEW ? s->few : reallocarray(NULL, count, sizeof(struct slot));
	if (!s->all)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		list_init(&s->all[i].waiter.node);
	return 0;
}

size_t slots_wait(struct slots *s, struct ga_future *const futures[], waiter_fn fn, void *owner)
{
	size_t pending = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (ga_done(futures[i]))
			continue;
		s->all[i].owner = owner;
		future_wait(futures[i], &s->all[i].waiter, fn);
		pending++;
	}
	return pending;
}

void slots_unwait(struct slots *s)
{
	for (size_t i = 0; i < s->count; i++)
		future_unwait(&s->all[i].waiter);
}

void slots_done(struct slots *s)
{
	if (s->all != s->few)
		free(s->all);
}
