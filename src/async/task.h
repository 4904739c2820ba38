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

enum task_state { TASK_NEW, TASK_RUNNING, TASK_PARKED, TASK_READY, TASK_DONE };

struct task {
	struct ga_future future;
	struct list all;       /* in runtime.tasks */
	struct loop_call turn; /* starts it, or goes on with it */
	ga_coroutine_fn fn;
	const void *arg;
	const char *name, *site;   /* never NULL */
	uint64_t account;          /* of runtime.account, when it was spawned */
	struct fiber *fiber;       /* NULL before the first run and after the end */
	struct park *park;         /* while PARKED or READY */
	struct scope *scopes;      /* innermost first */
	struct failures *failures; /* of its last group, or NULL */
	struct locals *locals;     /* or NULL */
	uint32_t stack_bytes;
	uint32_t cancels; /* requests not taken back */
	uint32_t fired; /* scopes that have fired and not been left, but for those that a shield hides */
	uint32_t shields; /* scopes that are one */
	enum task_state state;
	bool due; /* a reason to cancel is yet to be delivered; while it is delivered as a level, at each suspension */
};

/* The reasons to cancel that the task feels where it is. */
static inline uint32_t task_reasons(const struct task *t)
{
	return t->fired + (t->shields ? 0 : t->cancels);
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
struct task *task_of(const struct ga_future *f);
/* Whether a call of the loop starts a task or goes on with it. */
bool task_is_turn(const struct loop_call *c);
/* The running task of this thread, or NULL. */
struct task *task_current(void);
