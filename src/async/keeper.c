/*
 * keeper.c — the task that waits for the loop's end.
 */
#include "keeper.h"
#include "park.h"
#include "task.h"

#include <errno.h>
#include <gather/async.h>

struct keeper {
	struct park park;
	struct loop_call close;
	struct list kept;
	bool running;
};

static _Thread_local struct keeper this_keeper;

static int keep(const void *unused);
static enum park_answer keep_abort(struct park *p);
static void close_all(struct loop_call *c);

int keeper_add(struct kept *k, kept_close_fn close)
{
	static const struct ga_spawn_options options = { .name = "keeper",
							 .stack_bytes = 16384,
							 .eager = true };
	struct runtime *rt = runtime_get();
	struct keeper *keeper = &this_keeper;
	ga_future *task;

	if (!rt)
		return loop_current() ? -ENOMEM : -EPERM;
	if (rt->closing)
		return -ECANCELED;
	if (!keeper->running) {
		list_init(&keeper->kept);
		loop_call_init(&keeper->close, close_all, keeper);
		task = ga_spawn_with(keep, NULL, &options);
		if (task)
			task_of(task)->own = true;
		ga_release(task);
		if (!keeper->running)
			return -ENOMEM;
	}
	k->close = close;
	list_push_front(&keeper->kept, &k->node);
	return 0;
}

void keeper_remove(struct kept *k)
{
	if (k->node.next)
		list_remove(&k->node);
}

static int keep(const void *unused GA_UNUSED)
{
	struct keeper *keeper = &this_keeper;
	int r = park_begin(&keeper->park, keep_abort);

	if (r < 0)
		return r;
	keeper->running = true;
	park_for(&keeper->park, "closing");
	return park_wait(&keeper->park);
}

/* Closing wants the loop's deep stack, and this is asked on whatever stack the cancel came from. */
static enum park_answer keep_abort(struct park *p)
{
	struct keeper *keeper = container_of(p, struct keeper, park);

	loop_call_soon(loop_current(), &keeper->close);
	return PARK_CANNOT;
}

static void close_all(struct loop_call *c)
{
	struct keeper *keeper = c->arg;
	struct list *node;

	while ((node = list_pop_front(&keeper->kept))) {
		struct kept *k = LIST_ENTRY(node, struct kept, node);

		k->close(k);
	}
	keeper->running = false;
	park_wake(&keeper->park, 0);
}
