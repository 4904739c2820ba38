/*
 * ids.h — verbs that do something to each of several jobs, named as operands or, with "-", as lines of standard input.
 */
#pragma once
#include "cli.h"
#include <jansson.h>

/* Call `each` for every id; the first exit status that isn't STATUS_OK, after all of them were tried. A lost
 * connection or a signal ends it. With -o json several ids, or "-", make one array of what `each` shows. */
int each_id(struct context *x, int (*each)(struct context *x, const char *id));

/* METHOD /v1/jobs/{id}{suffix}; the answer's JSON (to be released), or NULL with `ret_status`, after saying why. */
json_t *ask_job(struct context *x, const char *method, const char *id, const char *suffix,
		int *ret_status);
/* The acknowledgement of a change: "ID state", or as the format says. */
int change_job(struct context *x, const char *id, const char *suffix);
