/*
 * switch.h — leaving one stack for another.
 *
 * A context is the stack pointer of a suspended stack; what else must survive lies on that stack. Callee-saved registers
 * and the floating-point control word are kept (System V ABI for x86-64, section 3.2; AAPCS64, section 6.1); the signal
 * mask is not: it belongs to the thread. Nothing here knows sanitizers; fiber.c does.
 */
#pragma once
#include <stddef.h>

struct context {
	void *sp; /* with GATHER_SWITCH_UCONTEXT: a ucontext_t that lies on the stack itself */
};

/* Make `to` start entry(arg), which must not return, on a stack of `size` bytes at `base` (both multiples of 16). */
void context_make(struct context *to, void *base, size_t size, void (*entry)(void *arg), void *arg);
/* Suspend the running stack into `from` and go on with `to`. Returns when somebody switches back. */
void context_switch(struct context *from, const struct context *to);
