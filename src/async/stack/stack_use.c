/*
 * stack_use.c — how much of its stack a task has used: its high-water mark, by the place of its spawn.
 *
 * Pages that nobody has touched aren't there (proc_pid_pagemap(5)), and a fresh page is all zeros. So a stack is made fresh
 * before the task begins, and the lowest word that isn't zero says how deep it went: nothing is painted, and no page comes
 * to life for being measured. A frame that was never written to below isn't counted.
 */
#include "debugging.h"
#include "task.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(at, size) ((void)(at), (void)(size))
#endif

#define PAGES_MAX (STACK_MAX_BYTES / 4096u)
#define PAGE_IS_THERE (UINT64_C(3) << 62) /* in memory, or swapped out */

static bool read_pagemap(const struct stack *stack, uint64_t there[PAGES_MAX], size_t page);
static size_t used_bytes(const struct stack *stack);
static const char *lowest_word(const char *from, const char *end);

void stack_use_begin(struct task *t)
{
	const struct stack *stack = &t->fiber->stack;
	char *sp = t->fiber->context.sp, *floor;

	floor = (char *)((uintptr_t)sp & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1));
	(void)madvise(stack->base, (size_t)(floor - stack->base), MADV_DONTNEED);
	memset(floor, 0, (size_t)(sp - floor));
}

void stack_use_note(struct runtime *rt, const struct task *t)
{
	struct table_site *site = &rt->slab->sites[t->row.site];
	size_t used = used_bytes(&t->fiber->stack);

	if (used > site->used_bytes)
		site->used_bytes = (uint32_t)used;
}

size_t ga_site_uses(struct ga_site_use ret_uses[], size_t max)
{
	struct runtime *rt = runtime_current();
	size_t count = 0;

	if (!rt)
		return 0;
	if (rt->debugged) {
		LIST_FOREACH(node, &rt->tasks) {
			const struct task *t = LIST_ENTRY(node, struct task, all);

			if (t->row.state != TASK_NEW)
				stack_use_note(rt, t);
		}
	}
	for (uint32_t i = 0; i < rt->slab->header->site_count; i++) {
		const struct table_site *s = &rt->slab->sites[i];

		if (s->tasks == 0)
			continue;
		if (count < max)
			ret_uses[count] = (struct ga_site_use){ .name = s->name,
								.site = s->place,
								.tasks = s->tasks,
								.stack_bytes = s->stack_bytes,
								.used_bytes = s->used_bytes };
		count++;
	}
	return count;
}

/* 0: it can't be known. */
static size_t used_bytes(const struct stack *stack)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = stack->size / page, first = 0;
	uint64_t there[PAGES_MAX];

	if (!read_pagemap(stack, there, page))
		return 0;
	while (first < pages && !(there[first] & PAGE_IS_THERE))
		first++;
	return (size_t)(stack->base + stack->size -
			lowest_word(stack->base + first * page, stack->base + stack->size));
}

/* Opened each time: it is of the process that opened it, and a descriptor that stays would show. */
static bool read_pagemap(const struct stack *stack, uint64_t there[PAGES_MAX], size_t page)
{
	size_t size = stack->size / page * sizeof(*there);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = pread(fd, there, size, (off_t)((uintptr_t)stack->base / page * sizeof(*there)));
	close(fd);
	return got == (ssize_t)size;
}

/* Frames of functions that have returned are poisoned, and undefined to valgrind. */
__attribute__((no_sanitize("address", "thread"))) static const char *lowest_word(const char *from,
										 const char *end)
{
	const uint64_t *word = (const uint64_t *)(const void *)from;

	VALGRIND_MAKE_MEM_DEFINED(from, (size_t)(end - from));
	while ((const char *)word < end && *word == 0)
		word++;
	return (const char *)word;
}
