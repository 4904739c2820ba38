/*
 * stack.c — the arena of stacks; see stack.h.
 */
#include "stack.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Linux 6.13's number; older headers don't have it. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define ARENA_SMALLEST                                                                             \
	(64ul << 20) /* where even this can't be reserved, stacks are out of the question */

struct stack_class {
	char *base;
	size_t slot;    /* bytes of a stack with its guard */
	unsigned shift; /* of `slot`, a power of two: dividing costs more than all else here */
	uint32_t limit, carved;
	uint32_t warm_count, cold_count;
	uint32_t *cold; /* numbers of stacks whose pages went back; at the arena's end, with room for all */
	uint32_t warm[WARM_STACKS];
};

struct stacks {
	char *arena;
	size_t arena_size;
	size_t page;
	bool by_mprotect;
	uint32_t budget, guards;
	struct stack_class classes[STACK_CLASSES];
};

static const struct {
	size_t slot;
	size_t reserve; /* of address space */
} class_sizes[STACK_CLASSES] = {
	{ 16384, 2ul << 30 },
	{ STACK_DEFAULT_BYTES, 16ul << 30 },
	{ STACK_MAX_BYTES, 4ul << 30 },
};

static int reserve_arena(struct stacks *s);
static void divide_arena(struct stacks *s, unsigned shift);
static bool mprotect_is_wished(void);
static bool kernel_has_guards(const struct stacks *s);
static uint32_t default_budget(void);
static int carve(struct stacks *s, struct stack_class *c, uint32_t *ret_number);
static int install_guard(struct stacks *s, char *at);

int stacks_new(const struct stacks_options *options, struct stacks **ret_stacks)
{
	struct stacks *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->page = (size_t)sysconf(_SC_PAGESIZE);
	r = reserve_arena(s);
	if (r < 0) {
		free(s);
		return r;
	}
	s->by_mprotect = (options && options->by_mprotect) || mprotect_is_wished() ||
			 !kernel_has_guards(s);
	if (s->by_mprotect)
		s->budget = options && options->budget ? options->budget : default_budget();
	*ret_stacks = s;
	return 0;
}

void stacks_free(struct stacks *s)
{
	if (!s)
		return;
	munmap(s->arena, s->arena_size);
	free(s);
}

int stacks_take(struct stacks *s, size_t bytes, struct stack *ret_stack)
{
	struct stack_class *c = s->classes;
	uint32_t number;
	int r;

	if (bytes == 0)
		bytes = STACK_DEFAULT_BYTES;
	if (bytes > STACK_MAX_BYTES)
		return -EINVAL;
	while (bytes > c->slot)
		c++;
	if (c->warm_count > 0) {
		number = c->warm[--c->warm_count];
	} else if (c->cold_count > 0) {
		number = c->cold[--c->cold_count];
	} else {
		r = carve(s, c, &number);
		if (r < 0)
			return r;
	}
	*ret_stack = (struct stack){ .base = c->base + number * c->slot + s->page,
				     .size = (uint32_t)(c->slot - s->page),
				     .class = (uint32_t)(c - s->classes) };
	return 0;
}

void stacks_give(struct stacks *s, const struct stack *stack)
{
	struct stack_class *c = &s->classes[stack->class];
	uint32_t number = (uint32_t)((size_t)(stack->base - c->base) >> c->shift);

	if (c->warm_count < WARM_STACKS) {
		c->warm[c->warm_count++] = number;
		return;
	}
	(void)madvise(stack->base, stack->size, MADV_DONTNEED);
	c->cold[c->cold_count++] = number;
}

bool stacks_use_mprotect(const struct stacks *s)
{
	return s->by_mprotect;
}

bool stacks_find_guard(const struct stacks *s, const void *address, struct stack *ret_stack)
{
	const char *at = address;

	for (uint32_t i = 0; i < STACK_CLASSES; i++) {
		const struct stack_class *c = &s->classes[i];
		size_t offset = (size_t)(at - c->base);

		if (at < c->base || offset >= c->carved * c->slot || offset % c->slot >= s->page)
			continue;
		*ret_stack = (struct stack){ .base = c->base + offset / c->slot * c->slot + s->page,
					     .size = (uint32_t)(c->slot - s->page),
					     .class = i };
		return true;
	}
	return false;
}

/* Under a limit of address space (RLIMIT_AS, strict overcommit) half of it, or half of that, may be had. */
static int reserve_arena(struct stacks *s)
{
	for (unsigned shift = 0;; shift++) {
		size_t stacks = 0, numbers = 0;

		for (int i = 0; i < STACK_CLASSES; i++) {
			stacks += class_sizes[i].reserve >> shift;
			numbers += (class_sizes[i].reserve >> shift) / class_sizes[i].slot *
				   sizeof(uint32_t);
		}
		if (stacks < ARENA_SMALLEST)
			return -ENOMEM;
		s->arena_size = stacks + numbers;
		s->arena = mmap(NULL, s->arena_size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (s->arena == MAP_FAILED)
			continue;
		divide_arena(s, shift);
		/* A huge page would make the one page that a parked task needs cost 2 MiB. */
		(void)madvise(s->arena, s->arena_size, MADV_NOHUGEPAGE);
		return 0;
	}
}

static void divide_arena(struct stacks *s, unsigned shift)
{
	char *at = s->arena;

	for (int i = 0; i < STACK_CLASSES; i++) {
		struct stack_class *c = &s->classes[i];

		c->base = at;
		c->slot = class_sizes[i].slot;
		c->shift = (unsigned)__builtin_ctzl(c->slot);
		c->limit = (uint32_t)((class_sizes[i].reserve >> shift) / c->slot);
		at += class_sizes[i].reserve >> shift;
	}
	for (int i = 0; i < STACK_CLASSES; i++) {
		s->classes[i].cold = (uint32_t *)(void *)at;
		at += s->classes[i].limit * sizeof(uint32_t);
	}
}

/* For tests: whatever uses stacks can be run as on an older kernel. */
static bool mprotect_is_wished(void)
{
	const char *wish = getenv("GATHER_STACK_GUARDS");

	return wish && strcmp(wish, "mprotect") == 0;
}

/* Tried on the arena's first page, which is the first guard anyway. Emulators (qemu-user) take any advice and follow none. */
static bool kernel_has_guards(const struct stacks *s)
{
	return madvise(s->arena, s->page, MADV_GUARD_INSTALL) == 0 &&
	       madvise(s->arena, s->page, INT_MAX) < 0;
}

static uint32_t default_budget(void)
{
	unsigned long maps = 65530; /* the kernel's default */
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");

	if (f) {
		if (fscanf(f, "%lu", &maps) != 1)
			maps = 65530;
		fclose(f);
	}
	return (uint32_t)MIN((maps - maps / 4) / 2, 1ul << 30);
}

static int carve(struct stacks *s, struct stack_class *c, uint32_t *ret_number)
{
	int r;

	if (c->carved == c->limit || (s->by_mprotect && s->guards == s->budget))
		return -EAGAIN;
	r = install_guard(s, c->base + c->carved * c->slot);
	if (r < 0)
		return r;
	s->guards++;
	*ret_number = c->carved++;
	return 0;
}

static int install_guard(struct stacks *s, char *at)
{
	int r = s->by_mprotect ? mprotect(at, s->page, PROT_NONE)
			       : madvise(at, s->page, MADV_GUARD_INSTALL);

	if (r == 0)
		return 0;
	return errno == ENOMEM ? -EAGAIN
			       : -errno; /* mprotect: the process has all the mappings it may have */
}
