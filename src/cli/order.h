/*
 * order.h — texts that are finished out of order and leave in order.
 *
 * A place is taken for each text when its job begins; texts of one place go to standard output and standard error.
 */
#pragma once
#include "strbuf.h"

struct order_place {
	bool done;
	struct strbuf out, err;
};
struct order {
	struct order_place *ring;   /* a power of two of places */
	uint64_t size, first, next; /* places taken and not gone: first .. next - 1 */
	size_t held_bytes;          /* that those finished take, until they leave */
};

void order_done(struct order *o);
uint64_t order_take(struct order *o);
/* Whether the place's text can leave at once: all before it are gone. */
bool order_is_first(const struct order *o, uint64_t place);
/* The place's texts are complete (taken over; both may be empty). */
void order_finish(struct order *o, uint64_t place, struct strbuf *out, struct strbuf *err);
/* The next complete texts whose turn it is, to be freed by the caller. False: none. */
bool order_pop(struct order *o, struct strbuf *ret_out, struct strbuf *ret_err);
