/*
 * json_slice.h — where a value stands in JSON text, so that it can be kept as its author wrote it.
 *
 * For text that was parsed before: it is taken to be valid, and wrong text gives "not found", never a crash. Pure.
 */
#pragma once
#include "span.h"

/* The text of an object's member, or an empty span. Keys written with escapes aren't found. */
struct span json_member_text(struct span object, struct span key);
/* The text of the next element of an array; `*rest` starts as the array's text. An empty span at its end. */
struct span json_next_element(struct span *rest);
