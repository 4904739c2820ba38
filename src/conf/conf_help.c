/*
 * conf_help.c — what the table says to people: complaints, the help, the example file, the manual's rows.
 */
#include "conf_row.h"
#include "text.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_WIDTH 100 /* of the example file's lines */

static size_t distance(const char *a, const char *b);
static void put_takes(const struct conf_row *row, FILE *out);
static void put_wrapped(const char *prefix, const char *text, FILE *out);
static void put_example_value(const struct conf_row *row, FILE *out);

void conf_complain(struct conf_issue *issue, const char *where, int line,
		   const struct conf_row *row, const char *value)
{
	struct buf takes = BUF_INIT;
	char shown[120], place[240] = "";

	if (*where && line > 0)
		snprintf(place, sizeof(place), "%.200s:%d: ", where, line);
	text_escape(value, strlen(value), shown, sizeof(shown));
	if (row->type->takes(row, &takes) < 0)
		buf_clear(&takes);
	snprintf(issue->text, sizeof(issue->text), "%s%s = %s: takes %.*s", place, row->name,
		 *shown ? shown : "\"\"", (int)buf_size(&takes), buf_data(&takes));
	buf_done(&takes);
}

void conf_complain_unknown(struct conf_issue *issue, const char *where, int line, const char *name)
{
	const char *nearest = conf_row_nearest(name);
	char shown[120], place[240] = "";

	if (*where && line > 0)
		snprintf(place, sizeof(place), "%.200s:%d: ", where, line);
	text_escape(name, strlen(name), shown, sizeof(shown));
	snprintf(issue->text, sizeof(issue->text), "%s%s: no such option%s%s%s", place, shown,
		 nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* At most a third of the letters may differ. */
const char *conf_row_nearest(const char *name)
{
	const char *nearest = NULL;
	size_t best = strlen(name) / 3 + 1;

	for (size_t i = 0; i < conf_table_size; i++) {
		size_t d = distance(name, conf_table[i].name);

		if (d < best) {
			best = d;
			nearest = conf_table[i].name;
		}
	}
	return nearest;
}

void conf_help(FILE *out)
{
	for (size_t i = 0; i < conf_table_size; i++) {
		const struct conf_row *row = &conf_table[i];

		fprintf(out, "%s = %s\n", row->name, row->type->placeholder);
		put_wrapped("    ", row->help, out);
		fputs("    Takes ", out);
		put_takes(row, out);
		fprintf(out, ".\n    Default: %s%s\n",
			row->initial && *row->initial ? row->initial : "empty",
			row->reloadable ? "; a reload changes it" : "");
	}
}

void conf_manual(FILE *out)
{
	for (size_t i = 0; i < conf_table_size; i++) {
		const struct conf_row *row = &conf_table[i];

		fprintf(out, ".It Ic %s No = Ar %s\n%s\nTakes ", row->name, row->type->placeholder,
			row->help);
		put_takes(row, out);
		fprintf(out, ".\n");
		if (row->initial && *row->initial)
			fprintf(out, "Default:\n.Ql %s .\n", row->initial);
		else
			fprintf(out, "Default: empty.\n");
		fprintf(out, "%s\n",
			row->reloadable ? "A reload changes it." : "Changing it needs a restart.");
	}
}

void conf_example(FILE *out)
{
	fputs("# gatherd.conf: every option, with its default where it has one. Take the # off a line to set it.\n"
	      "# After this file, those named conf.d/*.conf beside it are read, in the order of their names.\n"
	      "# gatherd -t checks them all.\n",
	      out);
	for (size_t i = 0; i < conf_table_size; i++) {
		const struct conf_row *row = &conf_table[i];

		fputc('\n', out);
		put_wrapped("# ", row->help, out);
		fputs("# Takes ", out);
		put_takes(row, out);
		fprintf(out, ".\n#%s = ", row->name);
		put_example_value(row, out);
		fputc('\n', out);
	}
}

/* Levenshtein's, with '.' and '_' alike, as far as the longest names go. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], b_size = strlen(b);

	if (strlen(a) >= ARRAY_SIZE(row) || b_size >= ARRAY_SIZE(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= b_size; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		char x = a[i] == '.' || a[i] == '-' ? '_' : (char)tolower((unsigned char)a[i]);

		row[0] = i + 1;
		for (size_t j = 0; j < b_size; j++) {
			char y = b[j] == '.' ? '_' : b[j];
			size_t replaced = diagonal + (x != y);
			size_t shifted = MIN(row[j], row[j + 1]) + 1;

			diagonal = row[j + 1];
			row[j + 1] = MIN(replaced, shifted);
		}
	}
	return row[b_size];
}

static void put_takes(const struct conf_row *row, FILE *out)
{
	struct buf takes = BUF_INIT;

	if (row->type->takes(row, &takes) >= 0)
		fwrite(buf_data(&takes), 1, buf_size(&takes), out);
	buf_done(&takes);
}

static void put_wrapped(const char *prefix, const char *text, FILE *out)
{
	size_t column = 0;

	for (; *text; text += strspn(text, " ")) {
		size_t size = strcspn(text, " ");

		if (column && column + 1 + size > TEXT_WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%s%.*s", column ? " " : prefix, (int)size, text);
		text += size;
	}
	fputc('\n', out);
}

/* The sample of a list is its items with blanks between. */
static void put_example_value(const struct conf_row *row, FILE *out)
{
	const char *text = row->sample ? row->sample : row->initial, *separator = "";

	if (row->type->field == FIELD_LIST) {
		fputc('{', out);
		while (*text) {
			size_t size = strcspn(text, " ");

			fprintf(out, "%s\"%.*s\"", separator, (int)size, text);
			text += size + strspn(text + size, " ");
			separator = ", ";
		}
		fputc('}', out);
	} else if (row->type->field == FIELD_TEXT) {
		fprintf(out, "\"%s\"", text);
	} else {
		fputs(text, out);
	}
}
