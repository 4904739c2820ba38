/*
 * local.c — values that belong to tasks; copied when one is set that others see, too.
 */
#include "locals.h"
#include "task.h"
#include <errno.h>
#include <gather/local.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local const struct locals *lent;

static const struct local_value *find(const struct locals *l, const struct ga_local *local);
static struct locals *copy_for(const struct locals *l, const struct ga_local *local);

void *ga_local_get(const struct ga_local *local)
{
	const struct task *t = task_current();
	const struct local_value *v = find(t ? t->locals : lent, local);

	return v ? v->value : local->initial;
}

int ga_local_set(const struct ga_local *local, void *value)
{
	struct task *t = task_current();
	struct local_value *v;

	if (!t)
		return -EPERM;
	v = (struct local_value *)(uintptr_t)find(t->locals, local);
	if (!v || t->locals->refs > 1) {
		struct locals *own = copy_for(t->locals, local);

		if (!own)
			return -ENOMEM;
		locals_unref(t->locals);
		t->locals = own;
		v = (struct local_value *)(uintptr_t)find(own, local);
	}
	v->value = value;
	return 0;
}

void locals_lend(const struct locals *l)
{
	lent = l;
}

void locals_free(struct locals *l)
{
	free(l);
}

/* There are few: a search from the start is quick. */
static const struct local_value *find(const struct locals *l, const struct ga_local *local)
{
	for (uint32_t i = 0; l && i < l->count; i++)
		if (l->values[i].local == local)
			return &l->values[i];
	return NULL;
}

/* A copy that has a place for `local`. */
static struct locals *copy_for(const struct locals *l, const struct ga_local *local)
{
	uint32_t count = l ? l->count : 0;
	struct locals *copy = malloc(sizeof(*copy) + (count + 1) * sizeof(copy->values[0]));

	if (!copy)
		return NULL;
	copy->refs = 1;
	copy->count = count;
	if (count)
		memcpy(copy->values, l->values, count * sizeof(copy->values[0]));
	if (!find(copy, local))
		copy->values[copy->count++] = (struct local_value){ .local = local };
	return copy;
}
