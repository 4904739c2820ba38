/*
 * stack.h — stacks for tasks: one reserved arena, three sizes, a guard page below each.
 *
 * The arena is reserved once and costs address space only; a stack costs the pages that its task touched, and at least
 * one. Stacks given back are used again newest first, while they are warm in the cache; beyond WARM_STACKS of a size their
 * pages go back to the system. Guards are MADV_GUARD_INSTALL where the kernel has it (Linux 6.13): no further mapping.
 * Elsewhere mprotect(2): two mappings a stack, of which a process has vm.max_map_count, so their number is budgeted, and
 * over it stacks_take() says -EAGAIN: no stack is ever unguarded. GATHER_STACK_GUARDS=mprotect in the environment asks for
 * these. Owned by one runtime; not thread-safe; never suspends.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <stdint.h>

#define STACK_CLASSES 3
#define STACK_DEFAULT_BYTES 65536u
#define STACK_MAX_BYTES 262144u
#define WARM_STACKS 2048u

struct stacks;
struct stacks_options {
	bool by_mprotect; /* as on a kernel without MADV_GUARD_INSTALL */
	uint32_t budget; /* most stacks with mprotect; 0: half of vm.max_map_count, less a quarter for others */
};

/* The usable part: `size` bytes from `base` up, guard page below. */
struct stack {
	char *base;
	uint32_t size;
	uint32_t class;
};

int stacks_new(const struct stacks_options *options,
	       struct stacks **ret_stacks) GA_MUST_CHECK; /* options may be NULL */
void stacks_free(struct stacks *s);                       /* all stacks must have been given back */

/* A stack of the smallest class that holds `bytes`, guard included (0: the default). -EAGAIN: over budget, or the arena
 * is used up; -EINVAL: beyond the largest class; -ENOMEM. */
int stacks_take(struct stacks *s, size_t bytes, struct stack *ret_stack) GA_MUST_CHECK;
void stacks_give(struct stacks *s, const struct stack *stack);

bool stacks_use_mprotect(const struct stacks *s);
/* Whether `address` is in the guard of a stack, and of which. Safe in a signal handler. */
bool stacks_find_guard(const struct stacks *s, const void *address, struct stack *ret_stack);
