/*
 * gather.c — waiting for all of several futures; the first error ends the others.
 */
#include "debugging.h"
#include "park.h"
#include "slots.h"
#include "task.h"
#include <errno.h>

struct gather {
	struct park park;
	struct slots slots;
	struct ga_future *const *futures;
	size_t count, pending;
	unsigned flags;
	int error;      /* the first, in order of time; 0: none */
	bool cancelled; /* the gathering task was, while it waited */
};

static int gather_wait(struct gather *g);
static int first_error(const struct gather *g);
static void on_child_done(struct future_waiter *w, struct ga_future *f);
static void gather_fail(struct gather *g, int error);
static enum park_answer gather_abort(struct park *p);
static void cancel_children(struct gather *g);
static int cancel_and_join(struct gather *g);

int ga_gather(ga_future *const futures[], size_t count, unsigned flags)
{
	struct gather g = { .futures = futures, .count = count, .flags = flags };
	size_t pending = 0;
	int r;

	if (flags & ~(GA_RETURN_EXCEPTIONS | GA_DETACH))
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!futures[i])
			continue;
		if (debug_on())
			debug_read(futures[i]);
		if (!future_pending(futures[i]))
			continue;
		if (!future_is_here(futures[i], "ga_gather"))
			return -EPERM;
		if (futures[i] == ga_self())
			return -EDEADLK;
		pending++;
	}
	if (!pending) {
		coop_spend_anyway();
		return first_error(&g);
	}
	r = park_begin(&g.park, gather_abort);
	if (r < 0)
		return r;
	if (slots_init(&g.slots, count, &g) < 0)
		return cancel_and_join(&g);
	r = gather_wait(&g);
	slots_unwait(&g.slots);
	slots_done(&g.slots);
	return r;
}

static int gather_wait(struct gather *g)
{
	int r;

	g->pending = slots_wait(&g->slots, g->futures, on_child_done);
	g->error = first_error(g);
	if (g->error < 0 && g->flags & GA_DETACH)
		return g->error;
	if (g->error < 0)
		cancel_children(g);
	task_waits(g->park.task, "gather", TARGET_COUNT, (uint32_t)g->pending);
	r = park_wait(&g->park);
	/* Cancelled stays cancelled, whatever the children made of it; detached from them, the first error counts. */
	if (g->cancelled && (r == 0 || !(g->flags & GA_DETACH)))
		return -ECANCELED;
	return r;
}

/* Among those that are done: the first in the order of arguments. */
static int first_error(const struct gather *g)
{
	if (g->flags & GA_RETURN_EXCEPTIONS)
		return 0;
	for (size_t i = 0; i < g->count; i++) {
		int r = ga_result(g->futures[i], NULL);

		if (ga_done(g->futures[i]) && r < 0)
			return r;
	}
	return 0;
}

static void on_child_done(struct future_waiter *w, struct ga_future *f)
{
	struct gather *g = slot_owner(w);

	g->pending--;
	g->park.task->row.target = (uint32_t)g->pending;
	if (f->result < 0 && !g->error && !(g->flags & GA_RETURN_EXCEPTIONS))
		gather_fail(g, f->result);
	if (g->pending == 0)
		park_wake(&g->park, g->error);
}

static void gather_fail(struct gather *g, int error)
{
	g->error = error;
	if (g->flags & GA_DETACH)
		park_wake(&g->park, error);
	else
		cancel_children(g);
}

/* The children are cancelled and waited for; their ends wake the task. */
static enum park_answer gather_abort(struct park *p)
{
	struct gather *g = container_of(p, struct gather, park);

	g->cancelled = true;
	cancel_children(g);
	return PARK_FORWARDED;
}

static void cancel_children(struct gather *g)
{
	for (size_t i = 0; i < g->count; i++)
		ga_cancel(g->futures[i]);
}

/* Without memory for waiting for all at once: they still may not outlive the caller's frame. */
static int cancel_and_join(struct gather *g)
{
	if (!(g->flags & GA_DETACH)) {
		cancel_children(g);
		for (size_t i = 0; i < g->count; i++)
			(void)ga_await(g->futures[i]);
	}
	return -ENOMEM;
}
