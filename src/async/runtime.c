/*
 * runtime.c — the life of a runtime.
 */
#include "runtime.h"
#include "debugging.h"
#include "executor.h"
#include "fiber.h"
#include "process_parts.h"
#include "signals.h"
#include "task.h"
#include <errno.h>
#include <stdlib.h>

GA_THREAD_LOCAL struct runtime *this_runtime;

static void runtime_free(void *object);
static void cancel_all(struct runtime *rt);
static void make_left_calls(struct runtime *rt);
static void stop_loop(struct loop_call *c);

struct runtime *runtime_get(void)
{
	struct runtime *rt = this_runtime;

	if (!rt && runtime_new(NULL, &rt) < 0)
		return NULL;
	return rt;
}

int runtime_new(const struct stacks_options *options, struct runtime **ret_runtime)
{
	struct loop *l = loop_current();
	struct runtime *rt;
	int r;

	if (!l)
		return -EPERM;
	if (this_runtime)
		return -EEXIST;
	rt = calloc(1, sizeof(*rt));
	if (!rt)
		return -ENOMEM;
	rt->loop = l;
	list_init(&rt->tasks);
	slab_init(&rt->small, RUNTIME_SMALL_BYTES);
	list_init(&rt->processes);
	r = stacks_new(options, &rt->stacks);
	if (r >= 0)
		r = task_slab_new(sizeof(struct task), &rt->slab);
	if (r >= 0)
		r = overflow_watch(rt->stacks);
	if (r < 0) {
		overflow_unwatch();
		task_slab_close(rt->slab);
		stacks_free(rt->stacks);
		free(rt);
		return r;
	}
	this_runtime = rt;
	loop_attach(l, rt, runtime_free);
	loop_show(l, rt->slab->header);
	debug_begin(rt, false, 0);
	*ret_runtime = rt;
	return 0;
}

int runtime_close(struct runtime *rt)
{
	int r;

	rt->closing = true;
	cancel_all(rt);
	while (!list_empty(&rt->tasks)) {
		r = loop_run(rt->loop);
		if (r < 0)
			return r;
		if (!list_empty(&rt->tasks)) /* the loop had nothing left to wait for */
			return -EDEADLK;
	}
	executor_close(rt);
	processes_close(rt);
	make_left_calls(rt);
	return 0;
}

static void runtime_free(void *object)
{
	struct runtime *rt = object;
	int r = runtime_close(rt);

	executor_close(rt); /* what runtime_close() didn't come to */
	processes_close(rt);
	signals_close(rt);
	debug_end(rt);
	overflow_unwatch();
	slab_done(&rt->small);
	loop_show(rt->loop, NULL);
	task_slab_close(rt->slab);
	this_runtime = NULL;
	if (r == 0)
		stacks_free(rt->stacks);
	free(rt);
}

static void cancel_all(struct runtime *rt)
{
	LIST_FOREACH(node, &rt->tasks) {
		struct task *t = LIST_ENTRY(node, struct task, all);

		ga_cancel(&t->future);
	}
}

/* What was queued last by ga_on_done() and executors. */
static void make_left_calls(struct runtime *rt)
{
	struct loop_call stop;

	loop_call_init(&stop, stop_loop, rt->loop);
	loop_call_soon(rt->loop, &stop);
	(void)!loop_run(rt->loop); /* if it fails, nothing more can be done for them */
	loop_call_stop(&stop);
}

static void stop_loop(struct loop_call *c)
{
	loop_stop(c->arg);
}
