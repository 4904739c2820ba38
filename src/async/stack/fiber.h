/*
 * fiber.h — a stack with something running on it, and what the sanitizers must be told about that.
 *
 * The struct lies at the top of its own stack. A fiber runs while fiber_resume() is on the stack of its resumer, which may
 * be a fiber itself, and gives control back there. Owned by who made it; one thread.
 */
#pragma once
#include "stack.h"
#include "switch.h"

struct fiber {
	struct stack stack;
	struct context context; /* while suspended */
	struct context *back;   /* the resumer, while running */
	void (*fn)(void *arg);
	void *arg;
	int (*coroutine)(const void *arg); /* of the task that it runs */
	const char *name, *site;           /* for the report of an overflow; "" or NULL: unknown */
	bool ended;
	unsigned valgrind_id;
	void *asan_fake_stack, *tsan_fiber, *tsan_back;
	const void *asan_back_base;
	size_t asan_back_size;
};

/* A fiber that will run fn(arg) at its first resumption. Errors as of stacks_take(). */
int fiber_new(struct stacks *s, size_t stack_bytes, void (*fn)(void *arg), void *arg,
	      struct fiber **ret_fiber) GA_MUST_CHECK;
/* Only before its first resumption or after its end: what is suspended on it would be lost. */
void fiber_free(struct stacks *s, struct fiber *f);
/* Run it until it suspends or ends; true once it has ended. */
bool fiber_resume(struct fiber *f);
/* On the fiber's own stack: go back to the resumer. */
void fiber_suspend(struct fiber *f);

/* The fiber on a stack. */
static inline struct fiber *fiber_on(const struct stack *stack)
{
	return (struct fiber *)(void *)(stack->base + stack->size -
					(sizeof(struct fiber) + 63) / 64 * 64);
}

/* Report an overflow of this thread's task stacks on standard error, with the task's name and where it was
 * spawned, before the process dies of it as it would have done. */
int overflow_watch(const struct stacks *s) GA_MUST_CHECK;
void overflow_unwatch(void);
