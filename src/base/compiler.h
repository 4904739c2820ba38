/*
 * compiler.h — small helpers around the language: clean-up, ownership, containers.
 */
#pragma once
#include <gather/attributes.h>
#include <stddef.h>
#include <stdint.h>

#define GA_CLEANUP(fn) __attribute__((cleanup(fn)))
#define GA_NORETURN __attribute__((noreturn))
#define GA_PACKED __attribute__((packed))
/* For a few bytes that are read all the time: without a call even in a shared library, out of the some 1,600 bytes that all
 * libraries loaded later have for this between them. */
#define GA_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#define GA_LIKELY(x) __builtin_expect(!!(x), 1)
#define GA_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Hand the pointer on and forget it: `return GA_TAKE_PTR(p);` defuses p's GA_CLEANUP. */
#define GA_TAKE_PTR(p)                                                                             \
	({                                                                                         \
		__typeof__(p) ga_taken_ = (p);                                                     \
		(p) = NULL;                                                                        \
		ga_taken_;                                                                         \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The structure that embeds `member` at address `ptr`. */
#define container_of(ptr, type, member)                                                            \
	((type *)(void *)((char *)(uintptr_t)(ptr)-offsetof(type, member)))

#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) min_a_ = (a);                                                        \
		__typeof__(b) min_b_ = (b);                                                        \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
	})
#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) max_a_ = (a);                                                        \
		__typeof__(b) max_b_ = (b);                                                        \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
	})
