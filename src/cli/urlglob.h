/*
 * urlglob.h — many URLs written as one: [1-100], [001-100], [a-z], [0-100:10] and {one,two}, as curl takes them.
 *
 * Nothing is expanded ahead: each URL is written when its turn comes. The rightmost part varies fastest. A backslash
 * takes the next character as it is; the brackets of an IPv6 address stay.
 */
#pragma once
#include "strbuf.h"

struct urlglob;

/* NULL, and `why` filled, if the text isn't a pattern. With `literal` nothing is special. */
struct urlglob *urlglob_new(const char *text, bool literal, char *why, size_t why_size);
void urlglob_free(struct urlglob *g);
uint64_t urlglob_count(const struct urlglob *g);
void urlglob_write(const struct urlglob *g, uint64_t index, struct strbuf *out);
