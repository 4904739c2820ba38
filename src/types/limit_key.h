/*
 * limit_key.h — the limit key that a job has by its arguments. Pure.
 */
#pragma once
#include "type_table.h"

#define LIMIT_KEY_MAX 255

/* A key: 1 to LIMIT_KEY_MAX visible ASCII characters but / \ and ". */
bool limit_key_valid(struct span key);
/* "api.example.com" or "localhost:8080" of a http or https URL, with a NUL behind it; its length, or 0: it has none. */
size_t limit_key_of_url(const char *url, char out[LIMIT_KEY_MAX + 1]);
/* The same of a job's arguments, if its type says which parameter is the URL. */
size_t type_limit_key(const struct job_type *type, const json_t *args, char out[LIMIT_KEY_MAX + 1]);
