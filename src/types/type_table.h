/*
 * type_table.h — the table of job types as data: what the broker knows of them without loading any.
 *
 * `gatherd --role types` loads the modules and dumps the table as JSON; the broker and the workers read it. Workers and
 * the broker compare its hash. Immutable once loaded; owned by who loaded it; needs no loop.
 */
#pragma once
#include "job_terms.h"
#include "refusal.h"
#include "span.h"
#include <gather/worker.h>
#include <jansson.h>

struct job_type {
	const char *name, *help, *example;
	const char *limit_param; /* see worker.h; NULL: none */
	enum job_class job_class;
	uint16_t index;                /* in the table, which is sorted by name */
	const struct ga_param *params; /* param_count of them, then a NULL name */
	size_t param_count;
	uint64_t required; /* bit i: params[i] is required (at most 64 parameters a type) */
};
struct type_table;

/* Build from modules' declarations (borrowed for the table's life). -EEXIST: two of one name; -EINVAL: a declaration is
 * wrong (ret_why says which and what would be right). */
int type_table_new(const struct ga_job_type *const *types, size_t count,
		   struct type_table **ret_table, char *ret_why, size_t why_size) GA_MUST_CHECK;
/* From the text that type_table_dump() made. -EPROTO: it isn't such a text. */
int type_table_load(struct span json, struct type_table **ret_table) GA_MUST_CHECK;
char *type_table_dump(const struct type_table *t); /* JSON; to be freed; NULL: no memory. Secrets have no values, so none leak */
void type_table_free(struct type_table *t);
uint64_t type_table_hash(const struct type_table *t);
size_t type_table_size(const struct type_table *t);
const struct job_type *type_at(const struct type_table *t, size_t index); /* NULL past the end */
const struct job_type *type_find(const struct type_table *t, struct span name);

/* Check arguments (a JSON object, or NULL for none) against a type's parameters. On -EINVAL `r` names the field
 * ("args.url") and what it takes; unknown names get the nearest known one. */
int type_check_args(const struct job_type *type, const json_t *args, struct refusal *r) GA_MUST_CHECK;
/* The same for arguments whose values may still be references to earlier results (reference.h). */
int type_check_template(const struct job_type *type, const json_t *args, struct refusal *r) GA_MUST_CHECK;
/* Read strict JSON text (UTF-8, no duplicate keys, depth <= 32, nothing behind it): an object or an array. */
int json_read_any(struct span text, const char *what, json_t **ret_value,
		  struct refusal *r) GA_MUST_CHECK;
/* The same for an object. */
int json_read_object(struct span text, const char *what, json_t **ret_object,
		     struct refusal *r) GA_MUST_CHECK;

/* One value as its type says; shared with the job's own fields. -EINVAL with `r` filled. */
int param_check(const struct ga_param *param, const char *prefix, const json_t *value,
		struct refusal *r) GA_MUST_CHECK;
/* "10s" or 2.5 as nanoseconds; the value passed param_check(). */
int64_t param_duration(const json_t *value);
int64_t param_size(const json_t *value);
/* A type as JSON for people and programs: name, help, class, parameters. A new reference. */
json_t *type_describe(const struct job_type *type);
/* Whether arguments of this type may hold what type_redact() replaces. */
bool type_has_secrets(const struct job_type *type);
/* Replace what is marked secret by "[redacted]", for showing; also Authorization, Cookie and their like in objects, and
 * the user and password in a URL. */
void type_redact(const struct job_type *type, json_t *args);
