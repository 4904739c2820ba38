/*
 * All jobs by sequence, and the memory that they stand in: chunks of cells, so that a job costs no header of malloc's,
 * and a chunk without jobs goes back to the system.
 */
#include "engine_parts.h"
#include <assert.h>
#include <errno.h>
#include <sanitizer/asan_interface.h> /* its macros are empty in other builds */
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 64 << 10, SPARE_CHUNKS = 2 };

struct cell {
	struct cell *next;
};
struct chunk {
	struct list roomy;
	struct cell *free;
	uint32_t used, opened; /* cells from `opened` on were never in use */
};

#define CELLS_AT ((sizeof(struct chunk) + 15) / 16 * 16)
#define CELLS_PER_CHUNK ((CHUNK_SIZE - CELLS_AT) / sizeof(struct job))

static struct chunk *chunk_open(struct job_table *t);
static struct chunk *chunk_of(const void *cell);
static struct job_page *page_find(struct job_table *t, uint64_t number);
static struct job_page *page_open(struct job_table *t, uint64_t number);
static bool page_matches(const void *item, const void *key);

void table_init(struct job_table *t)
{
	*t = (struct job_table){ 0 };
	map_init(&t->pages, page_matches);
	list_init(&t->order);
	list_init(&t->roomy);
}

void table_done(struct job_table *t)
{
	LIST_FOREACH(it, &t->roomy) {
		struct chunk *chunk = LIST_ENTRY(it, struct chunk, roomy);

		ASAN_UNPOISON_MEMORY_REGION(chunk, CHUNK_SIZE);
		free(chunk);
	}
	map_done(&t->pages);
}

struct job *table_new_job(struct job_table *t)
{
	struct chunk *chunk;
	void *cell;

	if (list_empty(&t->roomy)) {
		chunk = chunk_open(t);
		if (!chunk)
			return NULL;
	} else {
		chunk = LIST_ENTRY(t->roomy.next, struct chunk, roomy);
	}
	if (chunk->used++ == 0)
		t->empty_chunks--;
	if (chunk->free) {
		cell = chunk->free;
		ASAN_UNPOISON_MEMORY_REGION(cell, sizeof(struct job));
		chunk->free = chunk->free->next;
	} else {
		cell = (char *)chunk + CELLS_AT + chunk->opened++ * sizeof(struct job);
		ASAN_UNPOISON_MEMORY_REGION(cell, sizeof(struct job));
	}
	if (chunk->used == CELLS_PER_CHUNK)
		list_remove(&chunk->roomy);
	return memset(cell, 0, sizeof(struct job));
}

void table_free_job(struct job_table *t, struct job *job)
{
	struct chunk *chunk = chunk_of(job);
	struct cell *cell = (void *)job;

	cell->next = chunk->free;
	chunk->free = cell;
	ASAN_POISON_MEMORY_REGION(job, sizeof(*job));
	if (chunk->used == CELLS_PER_CHUNK)
		list_push_front(&t->roomy, &chunk->roomy);
	if (--chunk->used > 0)
		return;
	if (t->empty_chunks < SPARE_CHUNKS) {
		t->empty_chunks++;
		return;
	}
	list_remove(&chunk->roomy);
	ASAN_UNPOISON_MEMORY_REGION(chunk, CHUNK_SIZE);
	free(chunk);
}

int table_put(struct job_table *t, struct job *job)
{
	uint64_t number = job->sequence / JOBS_PER_PAGE;
	struct job_page *page = NULL;

	if (!list_empty(&t->order))
		page = LIST_ENTRY(t->order.prev, struct job_page, order);
	if (page && page->number > number)
		page = page_find(t, number); /* one that comes back from a store */
	if (!page || page->number != number)
		page = page_open(t, number);
	if (!page)
		return -ENOMEM;
	page->jobs[job->sequence % JOBS_PER_PAGE] = job;
	page->used++;
	return 0;
}

void table_remove(struct job_table *t, struct job *job)
{
	struct job_page *page = page_find(t, job->sequence / JOBS_PER_PAGE);

	page->jobs[job->sequence % JOBS_PER_PAGE] = NULL;
	if (--page->used > 0)
		return;
	map_take(&t->pages, page->number, &page->number);
	list_remove(&page->order);
	if (t->recent == page)
		t->recent = NULL;
	free(page);
}

struct job *table_get(struct job_table *t, uint64_t sequence)
{
	struct job_page *page = page_find(t, sequence / JOBS_PER_PAGE);

	return page ? page->jobs[sequence % JOBS_PER_PAGE] : NULL;
}

struct job *table_older(struct job_table *t, const struct job *job)
{
	return table_below(t, job ? job->sequence : UINT64_MAX);
}

struct job *table_below(struct job_table *t, uint64_t sequence)
{
	uint64_t number = sequence / JOBS_PER_PAGE, index = 0;
	struct job_page *page = page_find(t, number);
	struct list *at = &t->order;

	if (page) {
		index = sequence % JOBS_PER_PAGE;
		at = &page->order;
	} else { /* its page has left: on to the next older one */
		while (at->prev != &t->order &&
		       LIST_ENTRY(at->prev, struct job_page, order)->number > number)
			at = at->prev;
	}
	for (;;) {
		while (index > 0)
			if (page->jobs[--index])
				return page->jobs[index];
		at = at->prev;
		if (at == &t->order)
			return NULL;
		page = LIST_ENTRY(at, struct job_page, order);
		index = JOBS_PER_PAGE;
	}
}

static struct chunk *chunk_open(struct job_table *t)
{
	struct chunk *chunk = aligned_alloc(CHUNK_SIZE, CHUNK_SIZE);

	if (!chunk)
		return NULL;
	*chunk = (struct chunk){ 0 };
	ASAN_POISON_MEMORY_REGION((char *)chunk + CELLS_AT, CHUNK_SIZE - CELLS_AT);
	list_push_front(&t->roomy, &chunk->roomy);
	t->empty_chunks++;
	return chunk;
}

/* Chunks are aligned to their size. */
static struct chunk *chunk_of(const void *cell)
{
	return (struct chunk *)((uintptr_t)cell & ~(uintptr_t)(CHUNK_SIZE - 1));
}

static struct job_page *page_find(struct job_table *t, uint64_t number)
{
	if (!t->recent || t->recent->number != number) {
		struct job_page *page = map_get(&t->pages, number, &number);

		if (!page)
			return NULL;
		t->recent = page;
	}
	return t->recent;
}

static struct job_page *page_open(struct job_table *t, uint64_t number)
{
	struct job_page *page = calloc(1, sizeof(*page));
	struct list *after = t->order.prev;

	assert(after);
	if (!page)
		return NULL;
	page->number = number;
	if (map_put(&t->pages, number, page) < 0) {
		free(page);
		return NULL;
	}
	while (after != &t->order && LIST_ENTRY(after, struct job_page, order)->number > number)
		after = after->prev;
	list_push_front(after, &page->order); /* right behind it */
	return page;
}

static bool page_matches(const void *item, const void *key)
{
	const struct job_page *page = item;

	return page->number == *(const uint64_t *)key;
}
