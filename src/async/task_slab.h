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

#define SLAB_SITE_CACHE 256u

struct task_slab {
	struct table_header *header; /* at the start of the mapping */
	struct table_kind *kinds;
	struct table_site *sites;
	const char *kind_keys[TABLE_KINDS]; /* the pointers that were last given for the kinds */
	const char *last_kind;              /* the one that was given last, */
	uint16_t last_index;                /* and its index */
	uint64_t next_id;
	struct list avail;         /* chunks with a free slot */
	struct slab_chunk *chunks; /* TABLE_CHUNKS_MAX at most */
	uint32_t chunk_limit, empty; /* chunks that may be used; and those of `avail` without a task */
	uint32_t used;               /* slots */
	uint32_t slots, row_bytes; /* in a chunk; of a slot */
	uint32_t free_detail;      /* the first of a list through their texts; 0: none */
	size_t size;
	int fd; /* -1: nobody else reads it */
	bool closed;
	struct {
		const char *name, *place;
		uint32_t index;
	} cache[SLAB_SITE_CACHE]; /* by pointers, before texts are compared */
};

/* Slots of `row_bytes`, each beginning with a struct task_row. -ENOMEM. */
int task_slab_new(size_t row_bytes, struct task_slab **ret_slab) GA_MUST_CHECK;
void task_slab_close(struct task_slab *s); /* no more tasks are taken; NULL is a no-op */

/* A slot whose row has a new id and nothing else of note, or NULL: no memory, or more tasks than it holds. */
void *task_slab_take(struct task_slab *s);
void task_slab_give(struct task_slab *s, void *slot);

/* The index of a place, for row.site. Both texts are copied, and cut if they are long. Literals, but for a name that is
 * `fickle`: what stood at its address before may have been another. */
uint16_t task_slab_site(struct task_slab *s, const char *name, const char *place, bool fickle);
/* The same of a kind of wait that isn't the one its row has. */
uint16_t task_slab_kind(struct task_slab *s, const char *kind);

/* A copy of a text that lasts until it is given back; 0: no room. */
uint32_t task_slab_detail(struct task_slab *s, const char *text);
void task_slab_detail_give(struct task_slab *s, uint32_t detail);

static inline uint32_t task_slab_ref(const struct task_slab *s, const void *slot)
{
	return (uint32_t)((size_t)((const char *)slot - (const char *)s->header) / 8);
}
