/*
 * locals.h — the values that tasks have in common until one of them sets another.
 *
 * Reference counted, and not changed while more than one task holds it. One thread; work of the executor holds those of
 * its task, and reads them on its own.
 */
#pragma once
#include "compiler.h"
#include <stddef.h>
#include <stdint.h>

struct ga_local;

struct local_value {
	const struct ga_local *local;
	void *value;
};

struct locals {
	uint32_t refs;
	uint32_t count;
	struct local_value values[];
};

/* NULL, which is no values at all, is handed through. */
static inline struct locals *locals_ref(struct locals *l)
{
	if (GA_UNLIKELY(l != NULL))
		l->refs++;
	return l;
}
void locals_free(struct locals *l);
static inline void locals_unref(struct locals *l)
{
	if (GA_UNLIKELY(l != NULL) && --l->refs == 0)
		locals_free(l);
}

/* What ga_local_get() reads on a thread that is outside of tasks. NULL: nothing. */
void locals_lend(const struct locals *l);
