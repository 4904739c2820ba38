/*
 * type_info.h — what the daemon says of a job type: its parameters, for converting arguments and for help.
 */
#pragma once
#include "arguments.h"

/* Give each k=v the shape that its parameter has. With `lines` and no {} anywhere, a single required parameter
 * that was not given takes the line. An exit status; what went wrong was said. */
int type_shape(struct context *x, const char *type, struct arguments *a, bool lines);
/* Print a type's parameters. An exit status. */
int type_help(struct context *x, const char *type);
