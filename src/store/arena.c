#include "arena.h"
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>

/* The first chunk suits a lone job; later ones a batch of hundreds. */
enum { FIRST_SIZE = 2048, NEXT_SIZE = 65536 };

struct arena_chunk {
	struct arena_chunk *before;
	size_t used, size;
	alignas(max_align_t) char data[];
};

static struct arena_chunk *chunk_new(struct arena *a, size_t size)
{
	struct arena_chunk *chunk;

	size = MAX(size, (size_t)(a->last ? NEXT_SIZE : FIRST_SIZE));
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk)
		return NULL;
	*chunk = (struct arena_chunk){ .before = a->last, .size = size };
	a->last = chunk;
	return chunk;
}

void *arena_take(struct arena *a, size_t size)
{
	struct arena_chunk *chunk = a->last;
	void *piece;

	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!chunk || chunk->size - chunk->used < size)
		chunk = chunk_new(a, size);
	if (!chunk)
		return NULL;
	piece = chunk->data + chunk->used;
	chunk->used += size;
	return piece;
}

int arena_copy(struct arena *a, struct span from, struct span *ret_copy)
{
	char *copy;

	if (from.size == 0) {
		*ret_copy = (struct span){ 0 };
		return 0;
	}
	copy = arena_take(a, from.size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, from.data, from.size);
	*ret_copy = (struct span){ copy, from.size };
	return 0;
}

void arena_done(struct arena *a)
{
	while (a->last) {
		struct arena_chunk *before = a->last->before;

		free(a->last);
		a->last = before;
	}
}
