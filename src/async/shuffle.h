/*
 * shuffle.h — the seeded order of tasks: of the calls that are due, those that are turns of tasks change places.
 *
 * For tests: one seed, one order, as long as the program itself is deterministic. All other calls keep their places.
 */
#pragma once
#include "list.h"

struct shuffle {
	uint64_t state;
	struct list **calls;
	size_t *turns; /* which of `calls` are tasks' */
	size_t size;
};

void shuffle_init(struct shuffle *s, uint64_t seed);
void shuffle_done(struct shuffle *s);
/* Change the order in a list of loop calls; without memory it stays as it is. */
void shuffle_calls(struct shuffle *s, struct list *calls);
