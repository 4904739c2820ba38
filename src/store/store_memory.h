/*
 * store_memory.h — the rows of the store in memory.
 *
 * All of it is owned by its struct memory, and is the store thread's.
 */
#pragma once
#include "store_parts.h"

struct memory_row {
	uint64_t sequence;
	bool is_group;
	union {
		struct store_job job;
		struct store_group group;
	};
	struct arena once, now;
	struct store_attempt *attempts;
	size_t attempt_count;
	struct arena attempt_texts;
};

struct memory_document {
	struct store_document document;
	struct arena arena;
};

struct memory_key {
	struct span key;
	struct store_refusal holder;
	uint8_t payload[16];
	int64_t expires_wall;
	struct arena arena;
};

struct memory {
	struct memory_row **rows;
	size_t row_count, row_room, cursor;
	struct memory_document **documents;
	size_t document_count, document_room;
	struct memory_key **keys;
	size_t key_count, key_room;
	int64_t key_ttl, max_bytes;
	struct store_facts facts;
};

/* The place of the first row whose sequence isn't below this one. */
size_t memory_place(const struct memory *m, uint64_t sequence);
struct memory_row *memory_find(const struct memory *m, uint64_t sequence); /* NULL: none */

int memory_load(void *state, const struct store_visitor *v);
int memory_read(void *state, struct store_read *read, int64_t until);
void memory_read_drop(void *state, struct store_read *read);
