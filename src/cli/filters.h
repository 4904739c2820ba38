/*
 * filters.h — which jobs a verb is about, as flags: --state, --type, --queue, --tag, --since.
 */
#pragma once
#include "cli.h"

extern const struct flag filter_flags[];
bool filters_given(void);
/* As further parameters of a request's target. */
void filters_put_query(struct strbuf *target);
void put_parameter(struct strbuf *target, const char *name, const char *value); /* NULL: none */
/* Do something to all of those jobs (POST /v1/bulk), or to each id of the command line: `each`. */
int ids_or_bulk(struct context *x, const char *action, int (*each)(struct context *x, const char *id));
