/*
 * await.c — waiting for one future.
 */
#include "debugging.h"
#include "future.h"
#include "park.h"
#include "task.h"
#include <errno.h>

struct await {
	struct park park;
	struct future_waiter waiter;
	struct ga_future *future;
};

static int await(struct ga_future *f, park_abort_fn abort);
static void on_awaited(struct future_waiter *w, struct ga_future *f);
static enum park_answer pass_cancel_on(struct park *p);
static enum park_answer leave(struct park *p);

int ga_await(ga_future *future)
{
	return await(future, pass_cancel_on);
}

int ga_await_until(ga_future *future, int64_t deadline)
{
	struct ga_timeout scope;
	int r;

	if (ga_done(future))
		return ga_await(future);
	r = ga_timeout_enter(&scope, deadline);
	if (r < 0)
		return r;
	return ga_timeout_exit(&scope, ga_await(future));
}

int ga_shield(ga_future *future)
{
	return await(future, leave);
}

static int await(struct ga_future *f, park_abort_fn abort)
{
	struct await a = { .future = f };
	int r;

	if (!f)
		return -ENOMEM;
	if (!future_is_here(f, "ga_await"))
		return -EPERM;
	if (!future_pending(f)) {
		coop_spend_anyway();
		if (debug_on())
			debug_read(f);
		return f->result;
	}
	r = park_begin(&a.park, abort);
	if (r < 0)
		return r;
	if (f == ga_self())
		return -EDEADLK;
	ga_retain(f);
	future_wait(f, &a.waiter, on_awaited);
	task_awaits(a.park.task, f);
	r = park_wait(&a.park);
	task_awaited(a.park.task);
	ga_release(f);
	return r;
}

static void on_awaited(struct future_waiter *w, struct ga_future *f)
{
	struct await *a = container_of(w, struct await, waiter);

	park_wake(&a->park, f->result);
}

static enum park_answer pass_cancel_on(struct park *p)
{
	struct await *a = container_of(p, struct await, park);
	const struct task *t = task_of(a->future);

	/* The cancel came from there: tasks that await each other in a ring. One has to let go, or none ever ends. */
	if (t && t->park && t->park->aborting)
		return leave(p);
	ga_cancel(a->future);
	if (p->came_back && !p->woken) /* the same, through a gather or a group, which join their children */
		return leave(p);
	return PARK_FORWARDED;
}

static enum park_answer leave(struct park *p)
{
	struct await *a = container_of(p, struct await, park);

	future_unwait(&a->waiter);
	return PARK_ABORTED;
}
