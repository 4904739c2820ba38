/*
 * front_lines.h — the NDJSON door: one request a line, one answer a line, in the order in which answers come to be.
 *
 * A line is a job, with "tag" (echoed) and "wait" (true or a duration: answered when the job has ended) beside its fields,
 * or {"op": "show", "id": ...} and the like for the other verbs.
 */
#pragma once
#include "broker.h"

int lines_open(struct broker *b, int fd) GA_MUST_CHECK; /* as connection_open() */
