/*
 * type_internal.h — what the files of this directory share.
 */
#pragma once
#include "type_table.h"

#define TYPE_PARAMS_MAX 64 /* a bit each in job_type.required */
#define TYPE_NAME_MAX 64

/* The deepest nesting of arrays and objects in the text. */
unsigned json_nesting(struct span text);
/* "text", "integer", ...; NULL: no such type. */
const char *param_type_name(enum ga_param_type type);
/* What a parameter takes, e.g. `a whole number from 1 to 10`, into `out`; returns out. */
char *param_takes(const struct ga_param *param, char *out, size_t out_size);
/* Whether `word` is one of the words in "a|b|c". */
bool choice_has(const char *choices, const char *word);

/* Check one declaration. -EINVAL: `why` says what is wrong with it. */
int declaration_check(const struct job_type *type, char *why, size_t why_size) GA_MUST_CHECK;
