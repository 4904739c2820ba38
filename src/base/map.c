/*
 * Linear probing with Robin Hood order (Celis 1986): along a run, items are sorted by how far they are from home. So a
 * search ends at the first item nearer to its home than the key would be, and stays short at 7/8 full. Removal
 * shifts the rest of the run back by one.
 */
#include "map.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAP_FIRST_SIZE = 16 };

static uint32_t home_of(const struct map *m, uint64_t hash);
static uint32_t distance_of(const struct map *m, uint32_t index);
static uint32_t find(const struct map *m, uint64_t hash, const void *key);
static void insert(struct map *m, struct map_slot slot);
static void *remove_at(struct map *m, uint32_t index);
static int grow(struct map *m);

static const uint32_t NOWHERE = UINT32_MAX;

void map_init(struct map *m, map_match_fn match)
{
	*m = (struct map){ .match = match };
}

void map_done(struct map *m)
{
	free(m->slots);
	map_init(m, m->match);
}

int map_put(struct map *m, uint64_t hash, void *item)
{
	if (m->used >= m->size - m->size / 8) {
		int r = grow(m);

		if (r < 0)
			return r;
	}
	insert(m, (struct map_slot){ .hash = hash, .item = item });
	m->used++;
	return 0;
}

void *map_get(const struct map *m, uint64_t hash, const void *key)
{
	uint32_t index = find(m, hash, key);

	return index == NOWHERE ? NULL : m->slots[index].item;
}

void *map_take(struct map *m, uint64_t hash, const void *key)
{
	uint32_t index = find(m, hash, key);

	return index == NOWHERE ? NULL : remove_at(m, index);
}

void *map_take_any(struct map *m)
{
	if (m->used == 0)
		return NULL;
	/* A removal moves later items back, never past the cursor: emptying walks the slots once. */
	while (!m->slots[m->cursor & (m->size - 1)].item)
		m->cursor++;
	m->cursor &= m->size - 1;
	return remove_at(m, m->cursor);
}

void *map_next(const struct map *m, uint32_t *pos)
{
	while (*pos < m->size) {
		void *item = m->slots[(*pos)++].item;

		if (item)
			return item;
	}
	return NULL;
}

static uint32_t home_of(const struct map *m, uint64_t hash)
{
	/* Callers may hash a number to itself: spread its low bits, by the golden ratio. */
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(hash ^ hash >> 32) & (m->size - 1);
}

static uint32_t distance_of(const struct map *m, uint32_t index)
{
	return (index - home_of(m, m->slots[index].hash)) & (m->size - 1);
}

static uint32_t find(const struct map *m, uint64_t hash, const void *key)
{
	uint32_t index, distance;

	if (m->used == 0)
		return NOWHERE;
	index = home_of(m, hash);
	for (distance = 0;; distance++) {
		const struct map_slot *slot = &m->slots[index];

		if (!slot->item)
			return NOWHERE;
		if (slot->hash == hash && m->match(slot->item, key))
			return index;
		if (distance_of(m, index) < distance)
			return NOWHERE;
		index = (index + 1) & (m->size - 1);
	}
}

static void insert(struct map *m, struct map_slot slot)
{
	uint32_t index = home_of(m, slot.hash), distance = 0;

	while (m->slots[index].item) {
		uint32_t other = distance_of(m, index);

		if (other < distance) { /* it is better off: take its slot, and carry it on */
			struct map_slot evicted = m->slots[index];

			m->slots[index] = slot;
			slot = evicted;
			distance = other;
		}
		index = (index + 1) & (m->size - 1);
		distance++;
	}
	m->slots[index] = slot;
}

static void *remove_at(struct map *m, uint32_t index)
{
	void *item = m->slots[index].item;

	for (;;) {
		uint32_t next = (index + 1) & (m->size - 1);

		if (!m->slots[next].item || distance_of(m, next) == 0)
			break;
		m->slots[index] = m->slots[next];
		index = next;
	}
	m->slots[index] = (struct map_slot){ 0 };
	m->used--;
	return item;
}

static int grow(struct map *m)
{
	struct map bigger = { .match = m->match,
			      .used = m->used,
			      .size = m->size ? m->size * 2 : MAP_FIRST_SIZE };

	if (bigger.size < m->size)
		return -ENOMEM;
	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->size; i++)
		if (m->slots[i].item)
			insert(&bigger, m->slots[i]);
	free(m->slots);
	*m = bigger;
	return 0;
}
