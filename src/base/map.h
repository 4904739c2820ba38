/*
 * map.h — a hash map of borrowed pointers (open addressing, linear probing, no tombstones).
 *
 * The map stores the items' addresses beside their hash; the key lives in the item.
 * It grows at 7/8 full and never shrinks. Not safe to change while iterating; to empty it, call map_take_any()
 * until it returns NULL.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <stdint.h>

typedef bool (*map_match_fn)(const void *item, const void *key);

struct map_slot {
	uint64_t hash;
	void *item; /* NULL: free */
};

struct map {
	struct map_slot *slots;
	uint32_t used, size; /* size is a power of two, or 0 before the first insertion */
	uint32_t cursor;     /* where map_take_any() goes on */
	map_match_fn match;
};

void map_init(struct map *m, map_match_fn match);
void map_done(struct map *m); /* items are not touched */

/* Insert an item that is not in the map. -ENOMEM: nothing changed. */
int map_put(struct map *m, uint64_t hash, void *item) GA_MUST_CHECK;
void *map_get(const struct map *m, uint64_t hash, const void *key); /* NULL: absent */
void *map_take(struct map *m, uint64_t hash, const void *key);      /* remove and return */
void *map_take_any(struct map *m); /* for emptying; NULL at the end */
/* Iterate: `*pos` starts at 0; NULL at the end. */
void *map_next(const struct map *m, uint32_t *pos);

/* A hash of bytes, seeded once in each process so that outsiders can't choose collisions. */
uint64_t hash_bytes(const void *data, size_t size);
