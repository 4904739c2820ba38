/*
 * How many jobs of each block of sequences are unfinished. A start scans the blocks that have some, and no others; what
 * it finds has to be as many.
 */
#include "sqlite_store.h"
#include <errno.h>
#include <stdlib.h>

static bool block_match(const void *item, const void *key)
{
	return ((const struct block *)item)->number == *(const uint64_t *)key;
}

static uint64_t block_hash(uint64_t number)
{
	return number * UINT64_C(0x9e3779b97f4a7c15);
}

static struct block *block_new(struct sqlite *q, uint64_t number)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->number = number;
	list_init(&b->place);
	if (map_put(&q->blocks, block_hash(number), b) < 0) {
		free(b);
		return NULL;
	}
	return b;
}

static int block_read(struct sqlite *q, const struct value row[BLOCK_COLUMNS], uint64_t *total)
{
	struct block *b;

	if (!row_fits(&table_blocks, row, BLOCK_COLUMNS))
		return sqlite_why(q, -EBADMSG, "%s: blocks: row %lld is damaged", STORE_FILE,
				  (long long)value_as_integer(&row[BLOCK_NUMBER]));
	b = block_new(q, (uint64_t)value_as_integer(&row[BLOCK_NUMBER]));
	if (!b)
		return sqlite_why(q, -ENOMEM, "no memory");
	b->unfinished = value_as_integer(&row[BLOCK_UNFINISHED]);
	*total += (uint64_t)b->unfinished;
	return 0;
}

int blocks_load(struct sqlite *q)
{
	struct value row[BLOCK_COLUMNS];
	sqlite3_stmt *st = NULL;
	uint64_t total = 0;
	int code, r = 0;

	map_init(&q->blocks, block_match);
	list_init(&q->changed_blocks);
	if (sqlite3_prepare_v2(q->db, "SELECT block, unfinished, sum FROM blocks", -1, &st, NULL) !=
	    SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	while (r >= 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		row_fetch(st, row, BLOCK_COLUMNS);
		r = block_read(q, row, &total);
	}
	if (r >= 0 && code != SQLITE_DONE)
		r = sqlite_failed(q, STORE_FILE);
	sqlite3_finalize(st);
	if (r >= 0 && total != q->facts.unfinished)
		r = sqlite_why(q, -EBADMSG,
			       "%s: blocks: %llu unfinished jobs, where facts says %llu", STORE_FILE,
			       (unsigned long long)total, (unsigned long long)q->facts.unfinished);
	return r;
}

int block_change(struct sqlite *q, uint64_t sequence, int change)
{
	uint64_t number = sequence >> BLOCK_SHIFT;
	struct block *b = map_get(&q->blocks, block_hash(number), &number);

	if (!b)
		b = block_new(q, number);
	if (!b)
		return sqlite_why(q, -ENOMEM, "no memory");
	if (!list_linked(&b->place))
		list_push_back(&q->changed_blocks, &b->place);
	b->change += change;
	q->facts.unfinished += (uint64_t)(int64_t)change;
	return 0;
}

static int block_save(struct sqlite *q, const struct block *b)
{
	struct value row[BLOCK_COLUMNS] = {
		[BLOCK_NUMBER] = value_integer((int64_t)b->number),
		[BLOCK_UNFINISHED] = value_integer(b->unfinished + b->change),
	};

	if (b->unfinished + b->change == 0) {
		sqlite3_bind_int64(q->statements[DO_DROP_BLOCK], 1, (int64_t)b->number);
		return sqlite_do(q, DO_DROP_BLOCK);
	}
	row_seal(&table_blocks, row, true);
	return sqlite_do_bound(q, DO_SAVE_BLOCK, &table_blocks, row, true);
}

int blocks_save(struct sqlite *q)
{
	int r = 0;

	LIST_FOREACH(place, &q->changed_blocks) {
		const struct block *b = LIST_ENTRY(place, struct block, place);

		if (b->change != 0)
			r = block_save(q, b);
		if (r < 0)
			return r;
	}
	return 0;
}

void blocks_settle(struct sqlite *q, bool committed)
{
	struct list *place;

	while ((place = list_pop_front(&q->changed_blocks)) != NULL) {
		struct block *b = LIST_ENTRY(place, struct block, place);

		if (committed)
			b->unfinished += b->change;
		b->change = 0;
		if (b->unfinished == 0)
			free(map_take(&q->blocks, block_hash(b->number), &b->number));
	}
}

void blocks_done(struct sqlite *q)
{
	struct block *b;

	if (!q->blocks.match)
		return;
	while ((b = map_take_any(&q->blocks)) != NULL)
		free(b);
	map_done(&q->blocks);
}
