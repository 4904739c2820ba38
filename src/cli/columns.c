#include "columns.h"
#include "output.h"
#include "session.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS_MAX 16

void put_value(struct strbuf *out, const json_t *value)
{
	char *text;

	switch (json_typeof(value)) {
	case JSON_STRING:
		sb_head(out, json_string_value(value), json_string_length(value), UINT64_MAX);
		break;
	case JSON_NULL:
		break;
	case JSON_REAL:
		sb_printf(out, "%.10g", json_real_value(value));
		break;
	default:
		text = document_text(value, JSON_COMPACT | JSON_ENCODE_ANY);
		sb_text(out, text ? text : "?");
		free(text);
	}
}

void put_instant(struct strbuf *out, const json_t *value)
{
	const char *text = json_string_value(value);
	struct tm parts = { 0 };
	char local[32];
	time_t when;

	/* 2026-12-01T08:00:00.123Z */
	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &parts)) {
		put_value(out, value);
		return;
	}
	when = timegm(&parts);
	strftime(local, sizeof(local), "%Y-%m-%d %H:%M:%S", localtime(&when));
	sb_text(out, local);
}

/* Columns that a terminal shows for the text: its characters, each taken to be one wide. */
static size_t width_of(const char *text, size_t size)
{
	size_t width = 0;

	for (size_t i = 0; i < size; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

static void put_cell(struct strbuf *out, const json_t *row, const struct column *column)
{
	const json_t *value = json_object_get(row, column->key);
	size_t start = out->size;

	if (!value)
		return;
	if (column->put)
		column->put(out, value);
	else
		put_value(out, value);
	for (size_t i = start; i < out->size; i++) {
		if (out->data[i] == '\n' || out->data[i] == '\t')
			out->data[i] = ' ';
	}
}

static void put_padded(struct strbuf *out, const struct column *column, const char *text,
		       size_t size, size_t width, bool last)
{
	int padding = (int)(width - width_of(text, size));
	bool state = strcmp(column->key, "state") == 0;
	struct strbuf word = { 0 };

	sb_put(&word, text, size);
	if (column->right)
		sb_printf(out, "%*s", padding, "");
	if (state)
		put_coloured(out, sb_string(&word), word.data);
	else
		sb_put(out, text, size);
	if (!column->right && !last)
		sb_printf(out, "%*s", padding, "");
	sb_text(out, last ? "\n" : "  ");
	sb_free(&word);
}

/* Rendered twice: once to find the widths, once to show. */
static size_t find_width(const json_t *rows, const struct column *column)
{
	struct strbuf cell = { 0 };
	size_t width = 0;

	for (size_t i = 0; i < json_array_size(rows); i++) {
		size_t w;

		cell.size = 0;
		put_cell(&cell, json_array_get(rows, i), column);
		w = width_of(cell.data, cell.size);
		width = w > width ? w : width;
	}
	sb_free(&cell);
	return width && width < strlen(column->title) ? strlen(column->title) : width;
}

void put_table(struct strbuf *out, const json_t *rows, const struct column *columns)
{
	size_t width[COLUMNS_MAX] = { 0 }, count = 0, last = 0;
	struct strbuf cell = { 0 };

	for (; count < COLUMNS_MAX && columns[count].key; count++) {
		width[count] = find_width(rows, &columns[count]);
		last = width[count] ? count : last;
	}
	for (size_t i = 0; i < count && json_array_size(rows) > 0; i++) {
		if (width[i])
			put_padded(out, &columns[i], columns[i].title, strlen(columns[i].title),
				   width[i], i == last);
	}
	for (size_t row = 0; row < json_array_size(rows); row++) {
		for (size_t i = 0; i < count; i++) {
			cell.size = 0;
			put_cell(&cell, json_array_get(rows, row), &columns[i]);
			if (width[i])
				put_padded(out, &columns[i], cell.data, cell.size, width[i], i == last);
		}
	}
	sb_free(&cell);
}

char *document_text(const json_t *document, size_t flags)
{
	for (size_t digits = 15; digits < 17; digits++) {
		char *text = json_dumps(document, flags | JSON_REAL_PRECISION(digits));
		json_t *again = text ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
		bool same = json_equal(document, again);

		json_decref(again);
		if (same || !text)
			return text;
		free(text);
	}
	return json_dumps(document, flags);
}

void put_document(struct strbuf *out, const json_t *document, enum format format)
{
	size_t flags = format == FORMAT_JSONL ? JSON_COMPACT : JSON_INDENT(2);
	char *text = document_text(document, flags | JSON_ENCODE_ANY);

	if (!text)
		return;
	sb_text(out, text);
	sb_char(out, '\n');
	free(text);
}

void put_rows(struct context *x, const json_t *rows, const char *id_key, const struct column *columns)
{
	if (x->format == FORMAT_TEXT)
		put_table(output(), rows, columns);
	else if (x->format == FORMAT_JSON)
		put_document(output(), rows, x->format);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);

		if (x->format == FORMAT_JSONL)
			put_document(output(), row, x->format);
		if (x->format == FORMAT_ID && json_object_get(row, id_key)) {
			put_value(output(), json_object_get(row, id_key));
			sb_char(output(), '\n');
		}
	}
}

int show_list(struct context *x, const char *target, const char *member, const char *id_key,
	      const struct column *columns)
{
	struct ga_response response;
	int status = ask(x, "GET", target, &response);
	json_t *root;

	if (status != STATUS_OK)
		return status;
	root = json_loadb(response.body.data, response.body.size, 0, NULL);
	put_rows(x, json_object_get(root, member), id_key, columns);
	json_decref(root);
	return STATUS_OK;
}
