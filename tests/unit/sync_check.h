/*
 * sync_check.h — for tests of what tasks wait for: actors that try to get something, and the order in which they do.
 */
#pragma once
#include "async_check.h"
#include "tap_main.h"
#include <gather/sync.h>
#include <string.h>

/* Letters of actors, in the order in which they got what they wanted. */
struct order {
	char text[64];
	size_t size;
};

struct actor {
	char name;
	void *thing; /* that it waits for */
	struct order *order;
	int64_t deadline;
	int64_t hold; /* how long it keeps it; negative: for ever */
	void *item;
};

static inline struct actor *actor_of(const void *arg)
{
	return (struct actor *)(uintptr_t)arg;
}

static inline void note(struct order *order, char name)
{
	if (order && order->size + 1 < sizeof(order->text))
		order->text[order->size++] = name;
}

static inline bool was(const struct order *order, const char *text)
{
	return strcmp(order->text, text) == 0;
}

static inline struct actor actor(char name, void *thing, struct order *order)
{
	return (struct actor){
		.name = name, .thing = thing, .order = order, .deadline = GA_NEVER, .hold = -1
	};
}

/* Several turns: whatever can go on has done so. */
static inline int settle(void)
{
	int r = 0;

	for (int i = 0; i < 5 && r == 0; i++)
		r = ga_sleep(0);
	return r;
}
