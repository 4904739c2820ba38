/*
 * task.c — spawning, running, parking and ending tasks.
 */
#include "task.h"
#include "debugging.h"
#include "failures.h"
#include "locals.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void task_cancel(struct ga_future *f);
static void task_free(struct ga_future *f);

const struct future_ops task_ops = { .kind = "task", .cancel = task_cancel, .free = task_free };

static inline uint64_t account_read(struct runtime *rt);
static void task_move(struct task *t, enum task_state to);
static void task_init(struct task *t, ga_coroutine_fn fn, const void *arg,
		      const struct ga_spawn_options *options);
static inline void show_running(struct runtime *rt, struct task *t);
static void take_turn(struct loop_call *c);
static int task_start(struct runtime *rt, struct task *t);
static void task_main(void *arg);
static void task_end(struct runtime *rt, struct task *t, int result);
static inline int park_suspend(struct park *p);
static enum park_answer undo(struct park *p, int result);
static void park_interrupt(struct park *p);
static void delivered(struct task *t);

ga_future *ga_spawn_at(ga_coroutine_fn fn, const void *arg, const struct ga_spawn_options *options,
		       const char *name, const char *site)
{
	struct runtime *rt = runtime_get();
	struct task *t = rt ? task_slab_take(rt->slab) : NULL;
	bool named = options && options->name;

	if (!t) {
		if (debug_on() && !loop_current())
			(void)debug_elsewhere("ga_spawn", NULL);
		return NULL;
	}
	task_init(t, fn, arg, options);
	if (named)
		name = options->name;
	t->row.site = task_slab_site(rt->slab, name ? name : "", site ? site : "", named);
	t->row.cancels = rt->closing;
	t->due = rt->closing;
	t->account = account_read(rt);
	t->locals = rt->current ? locals_ref(rt->current->locals) : NULL;
	list_push_back(&rt->tasks, &t->all);
	if (options && options->eager)
		take_turn(&t->turn);
	else
		loop_call_soon(rt->loop, &t->turn);
	return &t->future;
}

ga_future *ga_self(void)
{
	struct task *t = task_current();

	return t ? &t->future : NULL;
}

const char *ga_task_name(const ga_future *task)
{
	const struct task *t = task_of(task);

	return t ? task_name(t) : "";
}

const char *ga_task_site(const ga_future *task)
{
	const struct task *t = task_of(task);

	return t ? task_site(t) : "";
}

size_t ga_all_tasks(ga_future *ret_tasks[], size_t max)
{
	struct runtime *rt = runtime_current();
	size_t count = 0;

	if (!rt)
		return 0;
	LIST_FOREACH(node, &rt->tasks) {
		struct task *t = LIST_ENTRY(node, struct task, all);

		if (t->own)
			continue;
		if (count < max)
			ret_tasks[count] = &t->future;
		count++;
	}
	return count;
}

int ga_uncancel(void)
{
	struct task *t = task_current();

	if (!t)
		return -EPERM;
	return (int)task_take_back_cancel(t);
}

int ga_cancelling(const ga_future *future)
{
	const struct task *t = task_of(future);

	return t ? (int)t->row.cancels : 0;
}

bool task_is_turn(const struct loop_call *c)
{
	return c->fn == take_turn;
}

struct task *task_current(void)
{
	struct runtime *rt = runtime_current();

	return rt ? rt->current : NULL;
}

void task_interrupt(struct task *t)
{
	if (t->park)
		park_interrupt(t->park);
}

int park_begin(struct park *p, park_abort_fn abort)
{
	struct task *t = task_current();

	*p = (struct park){ .task = t, .abort = abort };
	if (!t)
		return -EPERM;
	t->row.ticket++;
	t->row.kind = 0;
	t->row.target_is = TARGET_NONE;
	return 0;
}

int park_wait(struct park *p)
{
	if (p->woken)
		return p->result;
	p->task->park = p;
	task_move(p->task, TASK_PARKED);
	return park_suspend(p);
}

int park_pass(struct park *p)
{
	p->task->park = p;
	task_move(p->task, TASK_PARKED);
	park_wake(p, 0);
	return park_suspend(p);
}

static inline int park_suspend(struct park *p)
{
	struct task *t = p->task;
	int saved_errno;

	if (task_interrupted(t))
		park_interrupt(p); /* if undone, it still costs a turn, so that ignoring a cancel starves no one */
	saved_errno = errno;
	fiber_suspend(t->fiber);
	errno = saved_errno;
	t->park = NULL;
	return p->result;
}

void park_wake(struct park *p, int result)
{
	struct task *t = p->task;

	if (p->woken)
		return;
	p->woken = true;
	p->result = result;
	if (t->row.state != TASK_PARKED)
		return; /* before park_wait() */
	task_move(t, TASK_READY);
	loop_call_soon(t->future.loop, &t->turn);
}

void park_undo(struct park *p, int result)
{
	(void)undo(p, result);
}

static enum park_answer undo(struct park *p, int result)
{
	enum park_answer answer;

	p->came_back |= p->aborting;
	if (p->woken || p->final || p->aborting)
		return PARK_CANNOT;
	p->aborting = true; /* tasks that await each other in a ring would forward a cancel for ever */
	answer = p->abort(p);
	p->aborting = false;
	if (answer == PARK_ABORTED)
		park_wake(p, result);
	else if (answer == PARK_CANNOT)
		p->final = true;
	return answer;
}

/* The one writer of a task's state. */
static void task_move(struct task *t, enum task_state to)
{
	static const uint8_t from[] = {
		[TASK_NEW] = 0,
		[TASK_RUNNING] = 1u << TASK_NEW | 1u << TASK_READY,
		[TASK_PARKED] = 1u << TASK_RUNNING,
		[TASK_READY] = 1u << TASK_PARKED,
		[TASK_DONE] = 1u << TASK_NEW | 1u << TASK_RUNNING,
	};

	if (GA_UNLIKELY(!(from[to] & 1u << t->row.state)))
		abort(); /* a stack would be run twice, or lost */
	t->row.state = (uint8_t)to;
	t->row.since = loop_now(t->future.loop);
}

/* Field by field: for a structure of this size compilers clear memory by a string instruction, dearer than a switch. */
static void task_init(struct task *t, ga_coroutine_fn fn, const void *arg,
		      const struct ga_spawn_options *options)
{
	future_init(&t->future, &task_ops);
	t->future.refs++; /* the loop's, until it ends */
	loop_call_init(&t->turn, take_turn, (void *)(uintptr_t)arg);
	t->fn = fn;
	t->park = NULL;
	t->scopes = NULL;
	t->failures = NULL;
	t->fired = 0;
	t->shields = 0;
	t->own = false;
	t->row.state = TASK_NEW;
	t->row.since = t->row.born = loop_now(t->future.loop);
	t->row.waiter = 0;
	t->row.stack_bytes = options ? (uint32_t)MIN(options->stack_bytes, (size_t)UINT32_MAX) : 0;
}

static inline uint64_t account_read(struct runtime *rt)
{
	_Atomic uint64_t *account = atomic_load_explicit(&rt->account, memory_order_relaxed);

	return account ? atomic_load_explicit(account, memory_order_relaxed) : 0;
}

/* Returns what stood there before. */
static inline uint64_t account_switch(struct runtime *rt, uint64_t to)
{
	_Atomic uint64_t *account = atomic_load_explicit(&rt->account, memory_order_relaxed);
	uint64_t before;

	if (!account)
		return 0;
	before = atomic_load_explicit(account, memory_order_relaxed);
	atomic_store_explicit(account, to, memory_order_relaxed);
	return before;
}

static inline void show_running(struct runtime *rt, struct task *t)
{
	rt->current = t;
	__atomic_store_n(&rt->slab->header->running, task_slab_ref(t), __ATOMIC_RELAXED);
}

/* On the loop's stack, or for an eager task on its spawner's. */
static void take_turn(struct loop_call *c)
{
	struct task *t = container_of(c, struct task, turn);
	struct runtime *rt = runtime_current();
	struct task *resumer = rt->current;
	int budget = rt->budget; /* of the spawner's turn, if this is an eager task */
	uint64_t before;
	bool ended;

	if (t->row.state == TASK_NEW) {
		int r = task_start(rt, t);

		if (r < 0) {
			task_end(rt, t, r);
			return;
		}
	}
	if (GA_UNLIKELY(rt->debugged))
		__atomic_store_n(&rt->steps, rt->steps + 1, __ATOMIC_RELAXED);
	task_move(t, TASK_RUNNING);
	show_running(rt, t);
	rt->budget = COOP_BUDGET;
	before = account_switch(rt, t->account);
	ended = fiber_resume(t->fiber);
	(void)account_switch(rt, before);
	show_running(rt, resumer);
	rt->budget = budget;
	if (!ended)
		return;
	if (GA_UNLIKELY(rt->debugged))
		stack_use_note(rt, t);
	fiber_free(rt->stacks, t->fiber);
	task_end(rt, t, t->future.result);
}

static int task_start(struct runtime *rt, struct task *t)
{
	struct table_site *site = &rt->slab->sites[t->row.site];
	struct fiber *f;
	int r;

	if (t->row.cancels > 0)
		return -ECANCELED; /* before its first run: its body never executes */
	r = fiber_new(rt->stacks, t->row.stack_bytes, task_main, t, &f);
	if (r < 0)
		return r;
	f->coroutine = t->fn;
	f->name = site->name;
	f->site = site->place;
	t->fiber = f;
	site->stack_bytes = f->stack.size;
	if (GA_UNLIKELY(rt->debugged))
		stack_use_begin(t);
	return 0;
}

static void task_main(void *arg)
{
	struct task *t = arg;

	t->future.result = t->fiber->coroutine(t->turn.arg);
	if (GA_UNLIKELY(t->scopes != NULL)) { /* its timer, and who fires it, would write to a stack that is gone */
		fprintf(stderr, "libgather: task %s (%s) ended inside a scope that it had entered\n",
			task_name(t), task_site(t));
		abort();
	}
}

static void task_end(struct runtime *rt, struct task *t, int result)
{
	task_move(t, TASK_DONE);
	locals_unref(t->locals);
	t->turn.arg = rt->slab;
	list_remove(&t->all);
	future_resolve(&t->future, result, NULL);
	if (rt->closing && list_empty(&rt->tasks))
		loop_stop(rt->loop);
	ga_release(&t->future);
}

static void task_cancel(struct ga_future *f)
{
	task_request_cancel(container_of(f, struct task, future));
}

/* The loop's reference is gone, so it has ended. Its loop may be gone, too. */
static void task_free(struct ga_future *f)
{
	struct task *t = container_of(f, struct task, future);

	failures_unref(t->failures);
	task_slab_give(t->turn.arg, t);
}

static void park_interrupt(struct park *p)
{
	bool forwarded = false;

	if (!p->woken)
		forwarded = undo(p, -ECANCELED) == PARK_FORWARDED;
	else if (p->revocable && p->result >= 0)
		p->result = -ECANCELED;
	if (p->woken ? p->result == -ECANCELED : forwarded)
		delivered(p->task);
}

/* asyncio delivers an edge: each cancel once. */
static void delivered(struct task *t)
{
	if (runtime_current()->options.edge_cancel)
		t->due = false;
}
