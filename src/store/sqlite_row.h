/*
 * sqlite_row.h — rows of tables as arrays of values: bound, fetched, and covered by checksums.
 *
 * Each column of a table but its checksums is covered by one of them: a CRC32C of the table's number, the row's key and
 * the columns that it covers, with their types. It is NULL if all of these are. A row's spans are borrowed.
 */
#pragma once
#include "compiler.h"
#include "span.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum value_kind { VALUE_NULL, VALUE_INTEGER, VALUE_TEXT, VALUE_BLOB, VALUE_OTHER };

struct value {
	enum value_kind kind;
	union {
		int64_t integer;
		struct span bytes;
	};
};

enum column_kind {
	COLUMN_KEY,  /* covered by every checksum of the row */
	COLUMN_ONCE, /* written by the first save only */
	COLUMN_NOW,  /* written by each save */
	COLUMN_SUM   /* a checksum */
};
struct column {
	const char *name;
	enum column_kind kind;
	uint8_t sum;     /* the column that is its checksum; of a checksum: its own place */
	bool sum_is_now; /* of a checksum: written by each save */
};
enum { COLUMN_LIMIT = 48 };

struct table {
	const char *name;
	uint32_t number; /* never reused */
	const struct column *columns;
	unsigned column_count;
};

static inline struct value value_integer(int64_t integer)
{
	return (struct value){ .kind = VALUE_INTEGER, .integer = integer };
}
/* No bytes are NULL. */
static inline struct value value_text(struct span text)
{
	return text.size ? (struct value){ .kind = VALUE_TEXT, .bytes = text } : (struct value){ 0 };
}
static inline struct value value_blob(const void *data, size_t size)
{
	return size ? (struct value){ .kind = VALUE_BLOB, .bytes = { data, size } }
		    : (struct value){ 0 };
}
static inline int64_t value_as_integer(const struct value *v)
{
	return v->kind == VALUE_INTEGER ? v->integer : 0;
}
static inline struct span value_as_bytes(const struct value *v)
{
	return v->kind == VALUE_TEXT || v->kind == VALUE_BLOB ? v->bytes : (struct span){ 0 };
}
/* -EBADMSG unless it has this size: what is shorter is not a digest or an id. NULL: zeros. */
int value_as_array(const struct value *v, void *ret_bytes, size_t size) GA_MUST_CHECK;

/* Fill in the checksums: all, or those that are written by each save. */
void row_seal(const struct table *t, struct value *row, bool all);
/* Bind column i as parameter i+1: all, or those that are written by each save, and the keys. */
int row_bind(const struct table *t, sqlite3_stmt *st, const struct value *row, bool all) GA_MUST_CHECK;
/* The first `count` columns of the table from the current row of a statement that selects them in order. */
void row_fetch(sqlite3_stmt *st, struct value *ret_row, unsigned count);
/* Whether the checksums fit; those whose columns were fetched. */
bool row_fits(const struct table *t, const struct value *row, unsigned count);
