#include "heap.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HEAP_ARITY = 4, HEAP_FIRST_SIZE = 64 };

static bool slot_before(const struct heap_slot *a, const struct heap_slot *b);
static void slot_store(struct heap *h, uint32_t index, const struct heap_slot *slot);
static void sift_up(struct heap *h, uint32_t index, struct heap_slot slot);
static void sift_down(struct heap *h, uint32_t index, struct heap_slot slot);
static void sift(struct heap *h, uint32_t index, struct heap_slot slot);
static int heap_grow(struct heap *h);

void heap_init(struct heap *h)
{
	memset(h, 0, sizeof(*h));
}

void heap_done(struct heap *h)
{
	free(h->slots);
	heap_init(h);
}

int heap_set(struct heap *h, struct heap_node *node, int64_t due)
{
	struct heap_slot slot = { .due = due, .node = node };

	if (heap_holds(node)) {
		slot.sequence = h->next_sequence++;
		sift(h, node->place - 1, slot);
		return 0;
	}
	if (h->used == h->size) {
		int r = heap_grow(h);

		if (r < 0)
			return r;
	}
	slot.sequence = h->next_sequence++;
	sift_up(h, h->used++, slot);
	return 0;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	uint32_t index = node->place - 1;

	if (!heap_holds(node))
		return;
	node->place = 0;
	h->used--;
	if (index < h->used)
		sift(h, index, h->slots[h->used]);
}

struct heap_node *heap_pop_due(struct heap *h, int64_t now)
{
	struct heap_node *node;

	if (h->used == 0 || h->slots[0].due > now)
		return NULL;
	node = h->slots[0].node;
	node->place = 0;
	if (--h->used > 0)
		sift_down(h, 0, h->slots[h->used]);
	return node;
}

static bool slot_before(const struct heap_slot *a, const struct heap_slot *b)
{
	return a->due != b->due ? a->due < b->due : a->sequence < b->sequence;
}

static void slot_store(struct heap *h, uint32_t index, const struct heap_slot *slot)
{
	h->slots[index] = *slot;
	slot->node->place = index + 1;
}

/* `index` is a hole; both sifts move the hole rather than swap, so each step stores one slot. */
static void sift_up(struct heap *h, uint32_t index, struct heap_slot slot)
{
	while (index > 0) {
		uint32_t parent = (index - 1) / HEAP_ARITY;

		if (!slot_before(&slot, &h->slots[parent]))
			break;
		slot_store(h, index, &h->slots[parent]);
		index = parent;
	}
	slot_store(h, index, &slot);
}

static void sift_down(struct heap *h, uint32_t index, struct heap_slot slot)
{
	for (;;) {
		uint64_t first = (uint64_t)index * HEAP_ARITY + 1;
		uint32_t least, end;

		if (first >= h->used)
			break;
		least = (uint32_t)first;
		end = (uint32_t)MIN(first + HEAP_ARITY, (uint64_t)h->used);
		for (uint32_t child = least + 1; child < end; child++)
			if (slot_before(&h->slots[child], &h->slots[least]))
				least = child;
		if (!slot_before(&h->slots[least], &slot))
			break;
		slot_store(h, index, &h->slots[least]);
		index = least;
	}
	slot_store(h, index, &slot);
}

static void sift(struct heap *h, uint32_t index, struct heap_slot slot)
{
	if (index > 0 && slot_before(&slot, &h->slots[(index - 1) / HEAP_ARITY]))
		sift_up(h, index, slot);
	else
		sift_down(h, index, slot);
}

static int heap_grow(struct heap *h)
{
	uint32_t size = h->size ? h->size * 2 : HEAP_FIRST_SIZE;
	struct heap_slot *slots;

	if (size < h->size)
		return -ENOMEM;
	slots = realloc(h->slots, size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	h->slots = slots;
	h->size = size;
	return 0;
}
