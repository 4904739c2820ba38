#include "sqlite_row.h"
#include "crc32c.h"
#include <errno.h>

int value_as_array(const struct value *v, void *ret_bytes, size_t size)
{
	if (v->kind == VALUE_NULL) {
		memset(ret_bytes, 0, size);
		return 0;
	}
	if (v->kind != VALUE_BLOB || v->bytes.size != size)
		return -EBADMSG;
	memcpy(ret_bytes, v->bytes.data, size);
	return 0;
}

/* One word a value, and one that tells their kinds; then the bytes. */
static struct value row_sum(const struct table *t, const struct value *row, unsigned sum)
{
	uint64_t words[COLUMN_LIMIT + 2], kinds = t->number;
	unsigned count = 0;
	bool any = false;
	uint32_t crc;

	for (unsigned i = 0; i < t->column_count; i++) {
		const struct column *column = &t->columns[i];
		const struct value *v = &row[i];

		if (column->kind == COLUMN_SUM || (column->kind != COLUMN_KEY && column->sum != sum))
			continue;
		any = any || (column->kind != COLUMN_KEY && v->kind != VALUE_NULL);
		kinds = kinds * 31 + v->kind;
		words[count++] = v->kind == VALUE_INTEGER ? (uint64_t)v->integer
							  : value_as_bytes(v).size;
	}
	if (!any)
		return (struct value){ 0 };
	words[count++] = kinds;
	crc = crc32c(0, words, count * sizeof(words[0]));
	for (unsigned i = 0; i < t->column_count; i++) {
		const struct column *column = &t->columns[i];
		struct span bytes = value_as_bytes(&row[i]);

		if (bytes.size > 0 && (column->kind == COLUMN_KEY ||
				       (column->kind != COLUMN_SUM && column->sum == sum)))
			crc = crc32c(crc, bytes.data, bytes.size);
	}
	return value_integer((int32_t)crc); /* signed: four bytes in the file */
}

void row_seal(const struct table *t, struct value *row, bool all)
{
	for (unsigned i = 0; i < t->column_count; i++) {
		if (t->columns[i].kind == COLUMN_SUM && (all || t->columns[i].sum_is_now))
			row[i] = row_sum(t, row, i);
	}
}

static bool is_written(const struct column *column, bool all)
{
	return all || column->kind == COLUMN_KEY || column->kind == COLUMN_NOW ||
	       (column->kind == COLUMN_SUM && column->sum_is_now);
}

static int value_bind(sqlite3_stmt *st, int parameter, const struct value *v)
{
	switch (v->kind) {
	case VALUE_INTEGER:
		return sqlite3_bind_int64(st, parameter, v->integer);
	case VALUE_TEXT:
		return sqlite3_bind_text64(st, parameter, v->bytes.data, v->bytes.size,
					   SQLITE_STATIC, SQLITE_UTF8);
	case VALUE_BLOB:
		return sqlite3_bind_blob64(st, parameter, v->bytes.data, v->bytes.size, SQLITE_STATIC);
	case VALUE_NULL:
	case VALUE_OTHER:
		break;
	}
	return sqlite3_bind_null(st, parameter);
}

int row_bind(const struct table *t, sqlite3_stmt *st, const struct value *row, bool all)
{
	int r = SQLITE_OK;

	for (unsigned i = 0; i < t->column_count && r == SQLITE_OK; i++) {
		if (is_written(&t->columns[i], all))
			r = value_bind(st, (int)i + 1, &row[i]);
	}
	return r;
}

static struct span column_bytes(sqlite3_stmt *st, int column)
{
	const char *data = sqlite3_column_blob(st, column); /* before its size */

	return (struct span){ data, (size_t)sqlite3_column_bytes(st, column) };
}

void row_fetch(sqlite3_stmt *st, struct value *ret_row, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct value *v = &ret_row[i];

		switch (sqlite3_column_type(st, (int)i)) {
		case SQLITE_INTEGER:
			*v = value_integer(sqlite3_column_int64(st, (int)i));
			break;
		case SQLITE_TEXT:
			*v = (struct value){ .kind = VALUE_TEXT, .bytes = column_bytes(st, (int)i) };
			break;
		case SQLITE_BLOB:
			*v = (struct value){ .kind = VALUE_BLOB, .bytes = column_bytes(st, (int)i) };
			break;
		case SQLITE_NULL:
			*v = (struct value){ .kind = VALUE_NULL };
			break;
		default:
			*v = (struct value){ .kind = VALUE_OTHER };
		}
	}
}

/* Whether all that a checksum covers is among the first columns. */
static bool sum_is_whole(const struct table *t, unsigned sum, unsigned count)
{
	for (unsigned i = count; i < t->column_count; i++) {
		if (t->columns[i].kind != COLUMN_SUM && t->columns[i].sum == sum)
			return false;
	}
	return true;
}

bool row_fits(const struct table *t, const struct value *row, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct value sum;

		if (t->columns[i].kind != COLUMN_SUM || !sum_is_whole(t, i, count))
			continue;
		sum = row_sum(t, row, i);
		if (sum.kind != row[i].kind || value_as_integer(&sum) != value_as_integer(&row[i]))
			return false;
	}
	return true;
}
