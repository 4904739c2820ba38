/*
 * task.h — a coroutine and its state; a future that resolves with what the coroutine returns.
 *
 * NEW -> RUNNING <-> PARKED -> READY -> RUNNING ... -> DONE; task_move() in task.c is the only writer. The stack comes at
 * the first run and goes at the end: a finished task whose result nobody has read yet costs this struct alone. The loop
 * holds a reference while the task hasn't ended.
 */
#pragma once
#include "fiber.h"
#include "future.h"
#include "park.h"
#include "runtime.h"
#include "scope.h"
#include "task_slab.h"

struct task {
	struct task_row row; /* in the task table: other processes read it */
	struct ga_future future;
	struct list all; /* in runtime.tasks */
	/* Starts it, or goes on with it. Its `arg` is the coroutine's; once DONE, the task_slab where the task's memory goes
	 * back to, maybe after its loop's end. */
	struct loop_call turn;
	union {
		ga_coroutine_fn fn;  /* NEW */
		struct fiber *fiber; /* afterwards */
	};
	uint64_t account;          /* of runtime.account, when it was spawned */
	struct park *park;         /* while PARKED or READY */
	struct scope *scopes;      /* innermost first */
	struct failures *failures; /* of its last group, or NULL */
	struct locals *locals;     /* or NULL */
	uint32_t fired; /* scopes that have fired and not been left, but for those that a shield hides */
	uint16_t shields; /* scopes that are one */
	bool own;         /* of libgather's own: ga_all_tasks() doesn't tell of it */
	bool due; /* a reason to cancel is yet to be delivered; while it is delivered as a level, at each suspension */
};

/* The reasons to cancel that the task feels where it is. */
static inline uint32_t task_reasons(const struct task *t)
{
	return t->fired + (t->shields ? 0 : t->row.cancels);
}

/* Whether a suspension is to end with -ECANCELED. */
static inline bool task_interrupted(const struct task *t)
{
	return t->due && task_reasons(t) > 0;
}

/* ga_cancel() and ga_uncancel(): count, and deliver unless a shield hides it. In scope.c. */
void task_request_cancel(struct task *t);
uint32_t task_take_back_cancel(struct task *t);
/* A reason to cancel has come: tell the operation that the task is parked in, if it is. */
void task_interrupt(struct task *t);
/* The task that a future is, or NULL. */
extern const struct future_ops task_ops;
static inline struct task *task_of(const struct ga_future *f)
{
	return f && f->ops == &task_ops ? container_of(f, struct task, future) : NULL;
}
/* Whether a call of the loop starts a task or goes on with it. */
bool task_is_turn(const struct loop_call *c);
/* Its name and place as the table has them: cut if they are long; "" if it has none. */
const char *task_name(const struct task *t);
const char *task_site(const struct task *t);
/* For the task table: what a task that is about to park waits for, with what that is about. */
void task_waits(struct task *t, const char *kind, enum task_target is, uint32_t target);
/* The same of one future, until task_awaited(); and of a future that it waits for among others. */
void task_awaits_other(struct task *t, const struct ga_future *f);
static inline void task_awaits(struct task *t, const struct ga_future *f)
{
	const struct task *awaited = task_of(f);

	if (!awaited) {
		task_awaits_other(t, f);
		return;
	}
	t->row.kind = SLAB_KIND_TASK;
	t->row.target_is = TARGET_TASK;
	t->row.target = task_slab_ref(awaited);
}
void task_detail_end(struct task *t);
static inline void task_awaited(struct task *t)
{
	if (GA_UNLIKELY(t->row.target_is == TARGET_DETAIL))
		task_detail_end(t);
}
void task_joins(struct task *t, struct ga_future *f);
/* The running task of this thread, or NULL. */
struct task *task_current(void);
