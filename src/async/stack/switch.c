/*
 * switch.c — the first frame of a stack, for the assembly in switch_<machine>.S; and a form without assembly.
 */
#include "switch.h"
#include <stdint.h>
#include <string.h>

#if defined(GATHER_SWITCH_UCONTEXT)

#include <ucontext.h>

/* makecontext() passes ints. */
static void start(unsigned high, unsigned low)
{
	void **what = (void **)((uintptr_t)high << 16 << 16 | low);
	void (*entry)(void *) = (void (*)(void *))(uintptr_t)what[0];

	entry(what[1]);
	__builtin_trap();
}

void context_make(struct context *to, void *base, size_t size, void (*entry)(void *arg), void *arg)
{
	/* The context and the two words that start() is told lie at the top of the stack that they start. */
	uintptr_t top = ((uintptr_t)base + size - sizeof(ucontext_t) - 64) & ~(uintptr_t)63;
	ucontext_t *u = (ucontext_t *)top;
	void **what = (void **)(top - 64);

	(void)getcontext(u);
	u->uc_link = NULL;
	u->uc_stack.ss_sp = base;
	u->uc_stack.ss_size = (uintptr_t)what - (uintptr_t)base;
	what[0] = (void *)(uintptr_t)entry;
	what[1] = arg;
	makecontext(u, (void (*)(void))(uintptr_t)start, 2, (unsigned)((uintptr_t)what >> 16 >> 16),
		    (unsigned)(uintptr_t)what);
	to->sp = u;
}

void context_switch(struct context *from, const struct context *to)
{
	ucontext_t here; /* on the stack that is suspended, so it lives as long as needed */

	/* cppcheck-suppress autoVariables ; see above */
	from->sp = &here;
	(void)swapcontext(&here, to->sp);
}

#else

extern void context_start(void);

#if defined(__x86_64__)
enum {
	FRAME_CONTROL,
	FRAME_R15,
	FRAME_R14,
	FRAME_R13,
	FRAME_R12,
	FRAME_RBX,
	FRAME_RBP,
	FRAME_RIP,
	FRAME_WORDS
};
#define FRAME_ENTRY FRAME_R12
#define FRAME_ARG FRAME_R13
#define FRAME_GO_ON FRAME_RIP

static uint64_t control_word(void)
{
	uint32_t mxcsr;
	uint16_t x87;

	__asm__("stmxcsr %0" : "=m"(mxcsr));
	__asm__("fnstcw %0" : "=m"(x87));
	return (uint64_t)x87 << 32 | mxcsr;
}
#elif defined(__aarch64__)
enum { FRAME_X19, FRAME_X20, FRAME_X30 = 11, FRAME_CONTROL = 20, FRAME_WORDS = 22 };
#define FRAME_ENTRY FRAME_X19
#define FRAME_ARG FRAME_X20
#define FRAME_GO_ON FRAME_X30

static uint64_t control_word(void)
{
	uint64_t fpcr;

	__asm__("mrs %0, fpcr" : "=r"(fpcr));
	return fpcr;
}
#endif

void context_make(struct context *to, void *base, size_t size, void (*entry)(void *arg), void *arg)
{
	uint64_t *frame = (uint64_t *)(void *)((char *)base + size) - FRAME_WORDS;

	memset(frame, 0, FRAME_WORDS * sizeof(*frame));
	frame[FRAME_CONTROL] = control_word(); /* a new stack computes as its maker does */
	frame[FRAME_ENTRY] = (uintptr_t)entry;
	frame[FRAME_ARG] = (uintptr_t)arg;
	frame[FRAME_GO_ON] = (uintptr_t)context_start;
	to->sp = frame;
}

#endif
