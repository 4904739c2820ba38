/*
 * arena.h — many small pieces of memory that are freed together.
 *
 * Owns its chunks. Pieces are aligned for any type. One thread at a time.
 */
#pragma once
#include "compiler.h"
#include "span.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *last; /* the one that is being filled; NULL: none yet */
};

void *arena_take(struct arena *a, size_t size) GA_MUST_CHECK; /* NULL: no memory, and nothing changed */
void arena_done(struct arena *a);
/* Copy bytes; no bytes are no data. -ENOMEM. */
int arena_copy(struct arena *a, struct span from, struct span *ret_copy) GA_MUST_CHECK;
