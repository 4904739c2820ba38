#include "lookup.h"
#include "engine_durable.h"
#include <errno.h>

static void on_safe(struct keep_hold *h, int error);
static void on_rows(void *arg, const struct store_rows *rows);

static void answer(struct lookup *l, const struct found *found)
{
	l->fn(l, found);
}

void lookup_start(struct broker *b, struct lookup *l, const struct uuid *id, lookup_fn fn)
{
	struct found found = { 0 };

	*l = (struct lookup){ .broker = b, .id = *id, .fn = fn };
	found.error = engine_find(broker_engine(b), id, &found.job);
	if (found.error == -ENODATA && !b->store)
		found.error = -ENOENT;
	if (found.error == -ENODATA || (found.error == 0 && !engine_job_is_safe(b->engine, found.job)))
		keep_hold(b, &l->hold, on_safe);
	else
		answer(l, &found);
}

/* What left the engine's memory is in the store as it was then, now that all before is committed. */
static void on_safe(struct keep_hold *h, int error)
{
	struct lookup *l = container_of(h, struct lookup, hold);
	struct broker *b = l->broker;
	struct found found = { .error = error };

	if (error == 0)
		found.error = engine_find(broker_engine(b), &l->id, &found.job);
	if (found.error == -ENODATA)
		found.error = store_read_job(b->store, &l->id, on_rows, l, &l->read) ?: 1;
	if (found.error <= 0)
		answer(l, &found);
}

static void on_rows(void *arg, const struct store_rows *rows)
{
	struct lookup *l = arg;
	struct found found = { .error = rows->error == -ENOENT || rows->error == 0 ? rows->error
										   : -EIO };

	l->read = NULL;
	/* Somebody else may have brought it back meanwhile. */
	if (engine_find(broker_engine(l->broker), &l->id, &found.job) == 0)
		found.error = 0;
	else if (rows->error == 0)
		found.row = &rows->jobs[0];
	answer(l, &found);
}

void lookup_stop(struct lookup *l)
{
	if (!l->broker)
		return;
	keep_release(&l->hold);
	if (l->read)
		store_read_cancel(GA_TAKE_PTR(l->read));
}
