/*
 * json_write.h — JSON text written straight into a buffer, for answers too frequent to build trees for.
 *
 * The caller writes the structure; these write values. Running out of memory ends the process (small, fixed additions
 * inside the daemon; what outsiders can make large is bounded before it comes here).
 */
#pragma once
#include "buf.h"
#include "span.h"
#include <stdbool.h>
#include <stdint.h>

void json_put_raw(struct buf *out, struct span text); /* as it is */
#define json_put_literal(out, literal) json_put_raw((out), SPAN(literal))
/* A string in quotes. Bytes that aren't UTF-8 become U+FFFD. */
void json_put_string(struct buf *out, struct span text);
void json_put_integer(struct buf *out, int64_t value);
void json_put_milliseconds(struct buf *out, int64_t ns); /* as a number with three decimals */
void json_put_boolean(struct buf *out, bool value);
/* An instant of Unix time as an RFC 3339 string in UTC with milliseconds, or null for 0. */
void json_put_instant(struct buf *out, int64_t wall_ns);
/* `"key":` with a comma before it unless the text so far ends with an opening bracket. */
void json_put_key(struct buf *out, const char *key);
/* A comma unless the text so far ends with an opening bracket; before the elements of an array. */
void json_put_separator(struct buf *out);
