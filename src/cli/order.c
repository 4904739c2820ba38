#include "order.h"
#include <stdio.h>
#include <stdlib.h>

static struct order_place *at(const struct order *o, uint64_t place)
{
	return &o->ring[place & (o->size - 1)];
}

void order_done(struct order *o)
{
	for (uint64_t i = 0; i < o->size; i++) {
		sb_free(&o->ring[i].out);
		sb_free(&o->ring[i].err);
	}
	free(o->ring);
	*o = (struct order){ 0 };
}

static void grow(struct order *o)
{
	uint64_t size = o->size ? o->size * 2 : 64;
	struct order_place *ring = calloc(size, sizeof(*ring));

	if (!ring) {
		fputs("gather: out of memory\n", stderr);
		exit(1);
	}
	for (uint64_t i = o->first; i < o->next; i++)
		ring[i & (size - 1)] = *at(o, i);
	free(o->ring);
	o->ring = ring;
	o->size = size;
}

uint64_t order_take(struct order *o)
{
	if (o->next - o->first == o->size)
		grow(o);
	at(o, o->next)->done = false;
	return o->next++;
}

bool order_is_first(const struct order *o, uint64_t place)
{
	return place == o->first;
}

/* What it costs to keep: a million empty texts that wait for the first one are not nothing. */
static size_t cost(const struct order_place *p)
{
	return sizeof(*p) + p->out.room + p->err.room;
}

void order_finish(struct order *o, uint64_t place, struct strbuf *out, struct strbuf *err)
{
	struct order_place *p = at(o, place);

	sb_trim(out);
	sb_trim(err);
	*p = (struct order_place){ .done = true, .out = *out, .err = *err };
	*out = *err = (struct strbuf){ 0 };
	o->held_bytes += cost(p);
}

bool order_pop(struct order *o, struct strbuf *ret_out, struct strbuf *ret_err)
{
	struct order_place *p = o->first < o->next ? at(o, o->first) : NULL;

	if (!p || !p->done)
		return false;
	*ret_out = p->out;
	*ret_err = p->err;
	o->held_bytes -= cost(p);
	*p = (struct order_place){ 0 };
	o->first++;
	return true;
}
