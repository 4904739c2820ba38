/*
 * conf.c — the values: defaults, assignment, what no single row can see, writing them out.
 */
#include "conf_row.h"
#include "text.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int keep_value(const struct conf *now, struct conf *next, const struct conf_row *row);
static int copy_value(const struct conf *now, struct conf *next, const struct conf_row *row,
		      const char **ret_wrong);
static int assign_list(struct conf_list *list, const struct conf_row *row, const char *const *items,
		       size_t count, const char **ret_wrong);
static int assign_scalar(void *place, const struct conf_row *row, const char *text);
static void list_free(struct conf_list *list);
static int set_row(struct conf *c, const struct conf_row *row, char *value,
		   struct conf_issue *ret_issue);
static int split_list(char *text, const char ***ret_items, size_t *ret_count);
static int check_order(const struct conf *c, const char *shorter, const char *longer,
		       const char *where, struct conf_issue *ret_issue);
static union conf_value value_at(const struct conf *c, const struct conf_row *row, size_t i);
static size_t value_count(const struct conf *c, const struct conf_row *row);
static int dump_row(const struct conf *c, const struct conf_row *row, struct buf *out);
static int dump_text(const char *text, struct buf *out);
static char *buf_to_text(struct buf *b, int r);

int conf_defaults(struct conf **ret_conf)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	for (size_t i = 0; i < conf_table_size; i++) {
		const struct conf_row *row = &conf_table[i];
		const char *wrong;
		int r = conf_assign(c, row, &row->initial, row->initial ? 1 : 0, &wrong);

		if (r < 0) {
			conf_free(c);
			return r;
		}
	}
	*ret_conf = c;
	return 0;
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < conf_table_size; i++) {
		void *place = conf_place(c, &conf_table[i]);

		if (conf_table[i].type->field == FIELD_TEXT)
			free(*(char **)place);
		else if (conf_table[i].type->field == FIELD_LIST)
			list_free(place);
	}
	free(c);
}

const struct conf_row *conf_row_find(const char *name)
{
	for (size_t i = 0; i < conf_table_size; i++)
		if (strcmp(conf_table[i].name, name) == 0)
			return &conf_table[i];
	return NULL;
}

int conf_assign(struct conf *c, const struct conf_row *row, const char *const *items, size_t count,
		const char **ret_wrong)
{
	int r;

	if (row->type->field == FIELD_LIST)
		return assign_list(conf_place(c, row), row, items, count, ret_wrong);
	r = assign_scalar(conf_place(c, row), row, items[0]);
	if (r == -EINVAL)
		*ret_wrong = items[0];
	return r;
}

int conf_check(const struct conf *c, const char *where, struct conf_issue *ret_issue)
{
	int r = check_order(c, "hang.warn", "hang.abort", where, ret_issue);

	return r < 0 ? r : check_order(c, "hang.abort", "hang.kill", where, ret_issue);
}

int conf_set(struct conf *c, const char *assignment, struct conf_issue *ret_issue)
{
	char *name = strdup(assignment), *value;
	const struct conf_row *row;
	int r = -EINVAL;

	if (!name)
		return -ENOMEM;
	value = strchr(name, '=');
	if (value)
		*value++ = '\0';
	row = conf_row_find(name);
	if (!row)
		conf_complain_unknown(ret_issue, "", 0, name);
	else if (!value)
		snprintf(ret_issue->text, sizeof(ret_issue->text), "%s: takes a value: %s=%s", name,
			 name, row->type->placeholder);
	else
		r = set_row(c, row, value, ret_issue);
	free(name);
	return r;
}

char *conf_dump(const struct conf *c)
{
	struct buf out = BUF_INIT;
	int r = 0;

	for (size_t i = 0; i < conf_table_size && r >= 0; i++)
		r = dump_row(c, &conf_table[i], &out);
	return buf_to_text(&out, r);
}

char *conf_text(const struct conf *c, const char *name)
{
	const struct conf_row *row = conf_row_find(name);
	struct buf out = BUF_INIT;
	size_t count;
	int r = 0;

	if (!row)
		return NULL;
	count = value_count(c, row);
	for (size_t i = 0; i < count && r >= 0; i++) {
		union conf_value value = value_at(c, row, i);

		if (i > 0)
			r = buf_append_text(&out, " ");
		if (r >= 0)
			r = row->type->write(row, &value, &out);
	}
	return buf_to_text(&out, r);
}

int conf_reload(const struct conf *now, struct conf *next, struct conf_issue *ret_kept)
{
	size_t used = 0;
	int kept = 0;

	ret_kept->text[0] = '\0';
	for (size_t i = 0; i < conf_table_size; i++) {
		const struct conf_row *row = &conf_table[i];
		int r;

		if (row->reloadable)
			continue;
		r = keep_value(now, next, row);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		kept++;
		if (used < sizeof(ret_kept->text))
			used += (size_t)snprintf(ret_kept->text + used, sizeof(ret_kept->text) - used,
						 "%s%s", used ? " " : "", row->name);
	}
	return kept;
}

/* Give `next` this option's value of `now`. 1: they differed. */
static int keep_value(const struct conf *now, struct conf *next, const struct conf_row *row)
{
	char *old = conf_text(now, row->name), *new = conf_text(next, row->name);
	int r = -ENOMEM;

	if (old && new)
		r = strcmp(old, new) != 0;
	if (r == 1) {
		const char *wrong;
		int copied = copy_value(now, next, row, &wrong);

		if (copied < 0)
			r = copied;
	}
	free(old);
	free(new);
	return r;
}

static int copy_value(const struct conf *now, struct conf *next, const struct conf_row *row,
		      const char **ret_wrong)
{
	const struct conf_list *list = conf_place(now, row);
	const char *text;
	char *copy;
	int r;

	if (row->type->field == FIELD_LIST)
		return assign_list(conf_place(next, row), row, (const char *const *)list->items,
				   list->count, ret_wrong);
	copy = conf_text(now, row->name);
	text = copy;
	r = copy ? conf_assign(next, row, &text, 1, ret_wrong) : -ENOMEM;
	free(copy);
	return r;
}

/* All or nothing: the list is changed once every item has been read. */
static int assign_list(struct conf_list *list, const struct conf_row *row, const char *const *items,
		       size_t count, const char **ret_wrong)
{
	struct conf_list next = { .items = calloc(count + 1, sizeof(char *)) };

	if (!next.items)
		return -ENOMEM;
	for (; next.count < count; next.count++) {
		union conf_value value;
		int r = row->type->read(row, items[next.count], &value);

		if (r < 0) {
			if (r == -EINVAL)
				*ret_wrong = items[next.count];
			list_free(&next);
			return r;
		}
		next.items[next.count] = value.text;
	}
	list_free(list);
	*list = next;
	return 0;
}

static int assign_scalar(void *place, const struct conf_row *row, const char *text)
{
	union conf_value value;
	int r = row->type->read(row, text, &value);

	if (r < 0)
		return r;
	switch (row->type->field) {
	case FIELD_INT64:
		*(int64_t *)place = value.number;
		break;
	case FIELD_BOOL:
		*(bool *)place = value.on;
		break;
	default:
		free(*(char **)place);
		*(char **)place = value.text;
	}
	return 0;
}

static void list_free(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct conf_list){ 0 };
}

/* The checks between options concern numbers: only those need to be put back. */
static int set_row(struct conf *c, const struct conf_row *row, char *value, struct conf_issue *ret_issue)
{
	bool is_number = row->type->field == FIELD_INT64;
	int64_t before = is_number ? *(int64_t *)conf_place(c, row) : 0;
	const char *scalar = value, *wrong = NULL, **items = NULL;
	size_t count;
	int r;

	if (row->type->field == FIELD_LIST) {
		r = split_list(value, &items, &count);
		if (r >= 0)
			r = conf_assign(c, row, items, count, &wrong);
	} else {
		r = conf_assign(c, row, &scalar, 1, &wrong);
	}
	if (r == -EINVAL)
		conf_complain(ret_issue, "", 0, row, wrong);
	if (r >= 0) {
		r = conf_check(c, "", ret_issue);
		if (r < 0 && is_number)
			*(int64_t *)conf_place(c, row) = before;
	}
	free(items);
	return r;
}

/* The words of a list, in the file's form or bare: "a b", "a,b", "{\"a\", \"b\"}". */
static int split_list(char *text, const char ***ret_items, size_t *ret_count)
{
	const char **items = calloc(strlen(text) / 2 + 2, sizeof(*items));
	char *rest = text, *item;
	size_t count = 0;

	if (!items)
		return -ENOMEM;
	while ((item = strsep(&rest, " \t,{}\"'")) != NULL)
		if (*item)
			items[count++] = item;
	*ret_items = items;
	*ret_count = count;
	return 0;
}

static int check_order(const struct conf *c, const char *shorter, const char *longer,
		       const char *where, struct conf_issue *ret_issue)
{
	const struct conf_row *a = conf_row_find(shorter), *b = conf_row_find(longer);
	int64_t first = *(int64_t *)conf_place(c, a), second = *(int64_t *)conf_place(c, b);
	char first_text[DURATION_TEXT_SIZE], second_text[DURATION_TEXT_SIZE];

	if (first < second)
		return 0;
	snprintf(ret_issue->text, sizeof(ret_issue->text),
		 "%.300s%s%s = %s: must be longer than %s, which is %s", where, *where ? ": " : "",
		 longer, duration_format(second, second_text), shorter,
		 duration_format(first, first_text));
	return -EINVAL;
}

static size_t value_count(const struct conf *c, const struct conf_row *row)
{
	if (row->type->field == FIELD_LIST)
		return ((struct conf_list *)conf_place(c, row))->count;
	return 1;
}

/* Borrowed. */
static union conf_value value_at(const struct conf *c, const struct conf_row *row, size_t i)
{
	const void *place = conf_place(c, row);

	switch (row->type->field) {
	case FIELD_INT64:
		return (union conf_value){ .number = *(const int64_t *)place };
	case FIELD_BOOL:
		return (union conf_value){ .on = *(const bool *)place };
	case FIELD_TEXT:
		return (union conf_value){ .text = *(char *const *)place };
	default:
		return (union conf_value){ .text = ((const struct conf_list *)place)->items[i] };
	}
}

static int dump_row(const struct conf *c, const struct conf_row *row, struct buf *out)
{
	bool quoted = row->type->field == FIELD_TEXT || row->type->field == FIELD_LIST;
	bool list = row->type->field == FIELD_LIST;
	size_t count = value_count(c, row);
	int r = buf_printf(out, "%s = %s", row->name, list ? "{" : "");

	for (size_t i = 0; i < count && r >= 0; i++) {
		union conf_value value = value_at(c, row, i);

		if (i > 0)
			r = buf_append_text(out, ", ");
		if (r >= 0)
			r = quoted ? dump_text(value.text, out) : row->type->write(row, &value, out);
	}
	return r < 0 ? r : buf_append_text(out, list ? "}\n" : "\n");
}

/* In double quotes libconfuse takes a backslash for what follows it, and ${NAME} for the environment. */
static int dump_text(const char *text, struct buf *out)
{
	int r = buf_append_text(out, "\"");

	for (; *text && r >= 0; text++) {
		if (strchr("\"\\$", *text))
			r = buf_append_text(out, "\\");
		if (r >= 0)
			r = buf_append(out, text, 1);
	}
	return r < 0 ? r : buf_append_text(out, "\"");
}

/* The content as a string, to be freed; NULL if building it failed. */
static char *buf_to_text(struct buf *b, int r)
{
	if (r < 0 || buf_append(b, "", 1) < 0) {
		buf_done(b);
		return NULL;
	}
	return b->base;
}
