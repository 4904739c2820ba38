/*
 * slab.h — memory for many small objects of one size, without a header to each.
 *
 * Objects stand in chunks that are mapped for themselves; a chunk without objects goes back to the system, but for one.
 * Under valgrind and the sanitizers each object is malloc()ed instead, so that they see what becomes of it. Owned by who
 * embeds it; objects may outlive it, and the last one takes its chunk along. One thread.
 */
#pragma once
#include "compiler.h"
#include "list.h"

#define SLAB_MAX_BYTES 1024u

struct slab_chunk;
struct slab {
	struct list roomy, full;  /* chunks */
	struct slab_chunk *spare; /* one of the roomy, empty; or NULL */
	uint32_t bytes;
};

void slab_init(struct slab *s, size_t bytes); /* of an object, at most SLAB_MAX_BYTES; aligned to 8 */
void slab_done(struct slab *s);
void *slab_take(struct slab *s); /* uninitialised; NULL: no memory */
void slab_give(void *object);    /* NULL is a no-op */
