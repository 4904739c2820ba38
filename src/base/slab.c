#include "slab.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif
#ifndef WITH_SANITIZER
#define WITH_SANITIZER 0
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define CHUNK_BYTES (256ul << 10) /* and aligned so: an object's address leads to its chunk */

struct cell {
	struct cell *next;
};

struct slab_chunk {
	struct list node;
	struct slab *slab; /* NULL: it is done with */
	struct cell *free;
	uint32_t used, opened, limit; /* cells from `opened` on were never in use */
	uint32_t bytes;
};

static bool by_malloc(void);
static struct slab_chunk *chunk_open(struct slab *s);
static void chunk_close(struct slab_chunk *c);
static void *cell_take(struct slab_chunk *c);

void slab_init(struct slab *s, size_t bytes)
{
	assert(bytes > 0 && bytes <= SLAB_MAX_BYTES);
	list_init(&s->roomy);
	list_init(&s->full);
	s->spare = NULL;
	s->bytes = (uint32_t)(bytes + 7) & ~7u;
}

void slab_done(struct slab *s)
{
	struct list *node;

	list_splice_back(&s->roomy, &s->full);
	while ((node = list_pop_front(&s->roomy)) != NULL) {
		struct slab_chunk *c = LIST_ENTRY(node, struct slab_chunk, node);

		c->slab = NULL;
		if (c->used == 0)
			chunk_close(c);
	}
	s->spare = NULL;
}

void *slab_take(struct slab *s)
{
	struct slab_chunk *c;
	void *cell;

	if (by_malloc())
		return malloc(s->bytes);
	c = list_empty(&s->roomy) ? chunk_open(s) : LIST_ENTRY(s->roomy.next, struct slab_chunk, node);
	if (!c)
		return NULL;
	if (c == s->spare)
		s->spare = NULL;
	cell = cell_take(c);
	if (c->used == c->limit) {
		list_remove(&c->node);
		list_push_back(&s->full, &c->node);
	}
	return cell;
}

void slab_give(void *object)
{
	struct slab_chunk *c = (struct slab_chunk *)((uintptr_t)object & ~(CHUNK_BYTES - 1));
	struct cell *cell = object;
	struct slab *s;

	if (!object || by_malloc()) {
		free(object);
		return;
	}
	s = c->slab;
	cell->next = c->free;
	c->free = cell;
	if (c->used-- == c->limit && s) {
		list_remove(&c->node);
		list_push_front(&s->roomy, &c->node);
	}
	if (c->used > 0)
		return;
	if (s && !s->spare)
		s->spare = c;
	else
		chunk_close(c);
}

static bool by_malloc(void)
{
	return WITH_SANITIZER || RUNNING_ON_VALGRIND;
}

static void *cell_take(struct slab_chunk *c)
{
	struct cell *cell = c->free;

	c->used++;
	if (!cell)
		return (char *)(c + 1) + (size_t)c->opened++ * c->bytes;
	c->free = cell->next;
	return cell;
}

/* Twice as much is mapped, and what is outside of the aligned half given back. */
static struct slab_chunk *chunk_open(struct slab *s)
{
	char *at = mmap(NULL, 2 * CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	struct slab_chunk *c;
	size_t before;

	if (at == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)at & (CHUNK_BYTES - 1);
	c = (struct slab_chunk *)(void *)(at + before);
	if (before > 0)
		(void)munmap(at, before);
	(void)munmap(at + before + CHUNK_BYTES, CHUNK_BYTES - before);
	*c = (struct slab_chunk){ .slab = s,
				  .bytes = s->bytes,
				  .limit = (uint32_t)((CHUNK_BYTES - sizeof(*c)) / s->bytes) };
	list_push_front(&s->roomy, &c->node);
	return c;
}

static void chunk_close(struct slab_chunk *c)
{
	list_remove(&c->node);
	(void)munmap(c, CHUNK_BYTES);
}
