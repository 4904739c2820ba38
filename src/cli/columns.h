/*
 * columns.h — the daemon's JSON answers shown: as a table of aligned columns, or as JSON again.
 */
#pragma once
#include "cli.h"
#include <jansson.h>

struct column {
	const char *key; /* member of each row; NULL ends the table */
	const char *title;
	bool right;                                           /* aligned, for numbers */
	void (*put)(struct strbuf *out, const json_t *value); /* NULL: put_value() */
};

/* A value as plain text: strings without quotes, nothing for null, JSON for the rest. */
void put_value(struct strbuf *out, const json_t *value);
/* An RFC 3339 instant in local time, shorter. */
void put_instant(struct strbuf *out, const json_t *value);
/* A table with its titles; a column that no row has a value for is left out. */
void put_table(struct strbuf *out, const json_t *rows, const struct column *columns);
/* As json_dumps(), with the fewest digits that give the same numbers again: 0.2, not 0.20000000000000001. */
char *document_text(const json_t *document, size_t flags);
/* As JSON, indented, or compact with JSONL. */
void put_document(struct strbuf *out, const json_t *document, enum format format);

/* An array of objects as the format says: a table, JSON, one line each, or their `id_key`. */
void put_rows(struct context *x, const json_t *rows, const char *id_key, const struct column *columns);
/* GET `target` and show the array `member` of the answer. */
int show_list(struct context *x, const char *target, const char *member, const char *id_key,
	      const struct column *columns);
