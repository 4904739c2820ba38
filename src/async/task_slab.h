/*
 * task_slab.h — the memory of a loop's tasks, which is also its task table (task_table.h).
 *
 * One mapping, reserved once; chunks of slots are taken from it as tasks come and given back to the system when their
 * last task is gone. In a memfd, so that other processes can read it; with GATHER_TASKS=0 in the environment, or where no
 * memfd is to be had, in anonymous memory. Owned by one runtime, and by its loop's thread; after task_slab_close() it
 * lives until the last slot is given back, as handles of ended tasks may outlive their loop. Never suspends.
 */
#pragma once
#include "compiler.h"
#include "list.h"
#include "task_table.h"
#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_WITH_ASAN 1
#endif
#endif
#ifdef SLAB_WITH_ASAN
#include <sanitizer/asan_interface.h>
#define SLAB_POISON(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define SLAB_UNPOISON(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define SLAB_POISON(at, size) ((void)(at), (void)(size))
#define SLAB_UNPOISON(at, size) ((void)(at), (void)(size))
#endif

#define SLAB_SITE_CACHE 256u
#define SLAB_HOT 64u
#define SLAB_KIND_TASK 1u /* the index of the kind "task" */

#define SLAB_RECENT_KINDS 8u

struct task_slab {
	struct table_header *header; /* at the start of the mapping */
	struct table_kind *kinds;
	struct table_site *sites;
	uint64_t next_id;
	const char *last_name, *last_place; /* of the site that was given last */
	struct table_site *last_site;
	struct {
		const char *kind;
		uint16_t index;
	} recent[SLAB_RECENT_KINDS]; /* kinds given lately, by their addresses */
	uint16_t last_site_index;
	uint16_t hot_count;
	bool closed;
	uint32_t row_bytes; /* of a slot */
	void *hot[SLAB_HOT]; /* free slots that are warm in the cache; their chunks count them as used */
	struct list avail;         /* chunks with a free slot */
	struct task_chunk *chunks; /* TABLE_CHUNKS_MAX at most */
	uint32_t chunk_limit, empty; /* chunks that may be used; and those of `avail` without a task */
	uint32_t used;               /* slots */
	uint32_t slots;              /* in a chunk */
	uint32_t free_detail;        /* the first of a list through their texts; 0: none */
	int fd;                      /* -1: nobody else reads it */
	size_t size;
	const char *kind_keys[TABLE_KINDS]; /* the pointers that were last given for the kinds */
	struct {
		const char *name, *place;
		uint32_t index;
	} cache[SLAB_SITE_CACHE]; /* by pointers, before texts are compared */
};

/* Slots of `row_bytes`, each beginning with a struct task_row. -ENOMEM. */
int task_slab_new(size_t row_bytes, struct task_slab **ret_slab) GA_MUST_CHECK;
void task_slab_close(struct task_slab *s); /* no more tasks are taken; NULL is a no-op */

void *task_slab_take_cold(struct task_slab *s);
void task_slab_give_cold(struct task_slab *s, void *slot);

/* A slot whose row has a new id and nothing else of note, or NULL: no memory, or more tasks than it holds. */
static inline void *task_slab_take(struct task_slab *s)
{
	struct task_row *row = s->hot_count > 0 ? s->hot[--s->hot_count] : task_slab_take_cold(s);

	if (GA_LIKELY(row != NULL)) {
		SLAB_UNPOISON(row, s->row_bytes);
		row->id = ++s->next_id;
	}
	return row;
}

static inline void task_slab_give(struct task_slab *s, void *slot)
{
	if (GA_UNLIKELY(s->hot_count == SLAB_HOT || s->closed)) {
		task_slab_give_cold(s, slot);
		return;
	}
	((struct task_row *)slot)->id = 0;
	s->hot[s->hot_count++] = slot;
	SLAB_POISON((struct task_row *)slot + 1, s->row_bytes - sizeof(struct task_row));
}

uint16_t task_slab_site_cold(struct task_slab *s, const char *name, const char *place, bool fickle);

/* The index of a place, for row.site. Both texts are copied, and cut if they are long. Literals, but for a name that is
 * `fickle`: what stood at its address before may have been another. */
static inline uint16_t task_slab_site(struct task_slab *s, const char *name, const char *place,
				      bool fickle)
{
	if (GA_UNLIKELY(s->last_name != name || s->last_place != place || fickle))
		return task_slab_site_cold(s, name, place, fickle);
	s->last_site->tasks++;
	return s->last_site_index;
}

/* The same of a kind of wait that isn't the one its row has. */
uint16_t task_slab_kind(struct task_slab *s, const char *kind);
/* Where it is in slab.recent, if it is there. */
static inline size_t task_slab_recent(const char *kind)
{
	return ((uintptr_t)kind >> 3) % SLAB_RECENT_KINDS;
}

/* A copy of a text that lasts until it is given back; 0: no room. */
uint32_t task_slab_detail(struct task_slab *s, const char *text);
void task_slab_detail_give(struct task_slab *s, uint32_t detail);

/* A reference to a slot, as rows have them. */
static inline uint32_t task_slab_ref(const void *slot)
{
	return (uint32_t)((uintptr_t)slot / 8);
}
