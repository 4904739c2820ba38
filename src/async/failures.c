/*
 * failures.c — trees of errors.
 */
#include "failures.h"
#include "task.h"
#include <stdlib.h>

static struct failures *inner_of(const struct ga_failure *entry);

struct failures *failures_new(size_t count, int error)
{
	struct failures *f = calloc(1, sizeof(*f) + count * sizeof(f->entries[0]));

	if (f)
		*f = (struct failures){ .refs = 1, .error = error, .count = count };
	return f;
}

struct failures *failures_ref(struct failures *f)
{
	if (f)
		f->refs++;
	return f;
}

void failures_unref(struct failures *f)
{
	if (!f || --f->refs > 0)
		return;
	for (size_t i = 0; i < f->count; i++)
		failures_unref(inner_of(&f->entries[i]));
	free(f);
}

void failures_nest(struct ga_failure *entry, struct failures *inner)
{
	if (!inner)
		return;
	entry->inner = failures_ref(inner)->entries;
	entry->inner_count = inner->count;
}

const struct ga_failure *ga_failures(const ga_future *task, size_t *ret_count)
{
	const struct task *t = task ? task_of(task) : task_current();
	const struct failures *f = t ? t->failures : NULL;

	if (ret_count)
		*ret_count = f ? f->count : 0;
	return f ? f->entries : NULL;
}

static struct failures *inner_of(const struct ga_failure *entry)
{
	return entry->inner ? container_of(entry->inner, struct failures, entries) : NULL;
}
