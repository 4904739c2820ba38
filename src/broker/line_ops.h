/*
 * line_ops.h — what a line of the NDJSON door asks for with "op": the verb that it stands for, as HTTP would have it.
 */
#pragma once
#include "refusal.h"
#include "span.h"
#include <jansson.h>

#define OP_ID_MAX 255
#define OP_QUERY_MAX 2200

struct op_request {
	const char *method;
	char path[OP_ID_MAX + 64];
	char query[OP_QUERY_MAX];
	char *body; /* JSON text; NULL: none */
};

/* Read a line (parsed, its tag taken out). -EINVAL with `r` filled: it is no op, or not as that one takes it. */
int op_read(const json_t *line, struct op_request *ret_request, struct refusal *r) GA_MUST_CHECK;
/* A line {"group": {...}, "wait": "30s"}; `text` is what it was parsed from. Likewise. */
int op_group(const json_t *line, struct span text, struct op_request *ret_request,
	     struct refusal *r) GA_MUST_CHECK;
void op_done(struct op_request *request);
