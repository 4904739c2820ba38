/*
 * heap.h — an intrusive 4-ary min-heap of (due time, node).
 *
 * A node knows its place, so that removing or moving one costs O(log n) without a search.
 * The heap owns the array of places, never the nodes. Ties leave in the order of insertion
 * (each insertion carries a rising sequence number), so timers with one deadline fire FIFO.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct heap_node {
	uint32_t place; /* index + 1 in the heap; 0: in none */
};

struct heap_slot {
	int64_t due;
	uint64_t sequence;
	struct heap_node *node;
};

struct heap {
	struct heap_slot *slots;
	uint32_t used, size;
	uint64_t next_sequence;
};

void heap_init(struct heap *h);
void heap_done(struct heap *h); /* frees the places; nodes still inside are forgotten */

/* Insert, or move a node that is inside already (it then counts as inserted anew). -ENOMEM: nothing changed. */
int heap_set(struct heap *h, struct heap_node *node, int64_t due) GA_MUST_CHECK;
void heap_remove(struct heap *h, struct heap_node *node); /* no-op for a node in no heap */

static inline bool heap_holds(const struct heap_node *node)
{
	return node->place != 0;
}

/* The due time of a node that is inside. */
static inline int64_t heap_due(const struct heap *h, const struct heap_node *node)
{
	return h->slots[node->place - 1].due;
}

/* The due time of the first node, or INT64_MAX if the heap is empty. */
static inline int64_t heap_next_due(const struct heap *h)
{
	return h->used ? h->slots[0].due : INT64_MAX;
}

/* Remove and return the first node if it is due at `now`, else NULL. */
struct heap_node *heap_pop_due(struct heap *h, int64_t now);
