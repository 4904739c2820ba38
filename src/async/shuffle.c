/*
 * shuffle.c — drawing the order in which tasks run.
 */
#include "shuffle.h"
#include "task.h"
#include <stdlib.h>

static bool make_room(struct shuffle *s, size_t count);
static uint64_t draw(struct shuffle *s);

void shuffle_init(struct shuffle *s, uint64_t seed)
{
	*s = (struct shuffle){ .state = seed };
}

void shuffle_done(struct shuffle *s)
{
	free(s->calls);
	free(s->turns);
	*s = (struct shuffle){ 0 };
}

void shuffle_calls(struct shuffle *s, struct list *calls)
{
	size_t count = 0, turns = 0;

	LIST_FOREACH(node, calls)
		count++;
	if (count < 2 || !make_room(s, count))
		return;
	for (size_t i = 0; i < count; i++) {
		s->calls[i] = list_pop_front(calls);
		if (task_is_turn(LIST_ENTRY(s->calls[i], struct loop_call, node)))
			s->turns[turns++] = i;
	}
	for (size_t i = turns; i > 1; i--) { /* Fisher and Yates's */
		size_t a = s->turns[i - 1], b = s->turns[draw(s) % i];
		struct list *node = s->calls[a];

		s->calls[a] = s->calls[b];
		s->calls[b] = node;
	}
	for (size_t i = 0; i < count; i++)
		list_push_back(calls, s->calls[i]);
}

static bool make_room(struct shuffle *s, size_t count)
{
	size_t size = s->size ? s->size * 2 : 64;
	struct list **calls;
	size_t *turns;

	if (count <= s->size)
		return true;
	while (size < count)
		size *= 2;
	calls = reallocarray(s->calls, size, sizeof(struct list *));
	if (!calls)
		return false;
	s->calls = calls;
	turns = reallocarray(s->turns, size, sizeof(*turns));
	if (!turns)
		return false;
	s->turns = turns;
	s->size = size;
	return true;
}

/* SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t draw(struct shuffle *s)
{
	uint64_t z = s->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}
