/*
 * runtime.h — what libgather keeps for one loop: its tasks, their stacks, its thread pools, its signals.
 *
 * Made when the first task is spawned on a loop and closed with it (or before, by runtime_close()). One thread.
 */
#pragma once
#include "loop.h"
#include "slab.h"
#include "stack.h"
#include <gather/runner.h>
#include <stdatomic.h>

struct task;
struct task_slab;
struct executor;
struct signals;

/* A future with its timer. */
#define RUNTIME_SMALL_BYTES 80

struct runtime {
	struct loop *loop;
	struct stacks *stacks;
	struct task *current; /* the running task, or NULL on the loop's stack */
	int budget;           /* what is left of the running task's turn: coop_spend() */
	struct list tasks;    /* all that haven't ended */
	struct ga_run_options options;
	struct task_slab *slab; /* the tasks' memory */
	bool debugged;          /* debug mode: debugging.h */
	uint64_t steps;         /* then: how often a task has been resumed; read by the watchdog */
	bool closing;           /* spawned tasks are cancelled at birth */
	struct slab small;      /* futures of up to RUNTIME_SMALL_BYTES */
	struct executor *executor; /* NULL: not used yet, or closed */
	bool executor_closed;
	struct signals *signals; /* NULL: not used yet */
	struct list processes;   /* that aren't reaped */
	bool processes_closed;   /* none can be started any more */
	/* For whom the loop's thread works now, as the loop's owner sees it, or NULL: a task takes over at its spawn what
	 * stands here, and it stands here again whenever the task runs. Another thread may move it elsewhere. */
	_Atomic uint64_t *_Atomic account;
};

/* This thread's runtime, made for its loop if need be. NULL: no loop, or no memory. */
struct runtime *runtime_get(void);
/* The same, or NULL if there is none yet. */
extern GA_THREAD_LOCAL struct runtime *this_runtime; /* set by runtime.c alone */
static inline struct runtime *runtime_current(void)
{
	return this_runtime;
}
/* Make the runtime of this thread's loop with stacks of one's own choice; -EEXIST: there is one. */
int runtime_new(const struct stacks_options *options, struct runtime **ret_runtime) GA_MUST_CHECK;
/* Cancel all tasks and run the loop until they have ended, wait for the thread pools, make what calls are left.
 * -EDEADLK: tasks wait for what never comes; they and their stacks are left as they are. Not from inside loop_run(). */
int runtime_close(struct runtime *rt);
