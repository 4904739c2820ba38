/*
 * conf_row.h — the option table and its value types; inside src/conf alone.
 *
 * A row says all there is to know about an option. A value type knows how to read, check, write and describe values of
 * its kind. Values are text outside and a field of struct conf inside. Pure but for malloc; never suspends.
 */
#pragma once
#include "buf.h"
#include "conf.h"

struct conf_row;

/* What a field holds: it decides how the field is copied and freed. */
enum conf_field { FIELD_INT64, FIELD_BOOL, FIELD_TEXT, FIELD_LIST };

union conf_value {
	int64_t number;
	bool on;
	char *text; /* owned until the field takes it */
};

struct conf_type {
	enum conf_field field;
	const char *placeholder; /* what stands for the value in the help: NUMBER, PATH */
	/* Read and check one value (of a list: one item). -EINVAL: not what the row takes; -ENOMEM. */
	int (*read)(const struct conf_row *row, const char *text, union conf_value *ret_value);
	int (*write)(const struct conf_row *row, const union conf_value *value, struct buf *out);
	int (*takes)(const struct conf_row *row, struct buf *out); /* "a number from 0 to 64" */
};

struct conf_row {
	const char *name; /* in the file: dots group, and stand for the field's underscore */
	const struct conf_type *type;
	size_t offset;       /* of the field in struct conf */
	const char *initial; /* the default as text; of a list: always empty, NULL */
	const char *sample;  /* what the example file shows; NULL: the default */
	int64_t min, max;    /* of the value; of texts: of their length in bytes */
	const char *words;   /* the choices, separated by spaces */
	bool reloadable;     /* SIGHUP changes it; else it needs a restart */
	const char *help;    /* one or two sentences */
};

extern const struct conf_row conf_table[];
extern const size_t conf_table_size;
extern const struct conf_type conf_number, conf_duration, conf_bytes, conf_switch, conf_word,
	conf_path, conf_file, conf_mode, conf_paths, conf_addresses;

/* NULL: no such option. */
const struct conf_row *conf_row_find(const char *name);
/* The name that was perhaps meant, or NULL. */
const char *conf_row_nearest(const char *name);

static inline void *conf_place(const struct conf *c, const struct conf_row *row)
{
	return (char *)(uintptr_t)c + row->offset;
}

/* Replace an option's value by items of text (exactly one unless it is a list). On -EINVAL `ret_wrong` is the item that
 * the row doesn't take, and nothing has changed. */
int conf_assign(struct conf *c, const struct conf_row *row, const char *const *items, size_t count,
		const char **ret_wrong) GA_MUST_CHECK;
/* What no single row can see. -EINVAL and the issue, which `where` (a file's name, or "") introduces. */
int conf_check(const struct conf *c, const char *where, struct conf_issue *ret_issue) GA_MUST_CHECK;
/* Say "WHERE:LINE: NAME = VALUE: takes ..." (line 0: none; where may be ""). */
void conf_complain(struct conf_issue *issue, const char *where, int line,
		   const struct conf_row *row, const char *value);
void conf_complain_unknown(struct conf_issue *issue, const char *where, int line, const char *name);
