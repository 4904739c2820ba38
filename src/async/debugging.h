/*
 * debugging.h — what debug mode watches, for the parts that tell it.
 *
 * All of it is a branch that isn't taken unless a loop of the process is in debug mode. Futures that were made then are
 * remembered in a table of the process, beside them: a future of a loop that isn't debugged costs nothing more. Functions
 * here may be called on any thread and on any stack, and never suspend.
 */
#pragma once
#include "compiler.h"
#include <gather/debug.h>

struct ga_future;
struct runtime;
struct task;

extern bool debug_active; /* how many loops are: any */

static inline bool debug_on(void)
{
	return GA_UNLIKELY(__atomic_load_n(&debug_active, __ATOMIC_RELAXED));
}

/* ---- debug.c ---- */

/* Debug this loop from now on, if GATHER_DEBUG says so or `wanted`; then until debug_end(), which reports what is left. */
void debug_begin(struct runtime *rt, bool wanted, int64_t slow_ns);
void debug_end(struct runtime *rt);

void debug_report(enum ga_report_kind kind, const char *format, ...) GA_PRINTF(2, 3);
/* The caller of `function`, which is public, did what it must not: the place is added. Only if debug_on(). */
void debug_misuse(const char *function, const char *what);

/* Only if debug_on(): the life of a future. */
void debug_made(struct ga_future *f);
void debug_waited(const struct ga_future *f);
void debug_read(const struct ga_future *f); /* somebody has its result */
void debug_unread(const struct ga_future *f); /* who was told that it ended didn't look at the result */
/* Its last handle goes. False: somebody waits for it still; it is reported, and must not be freed. */
bool debug_gone(const struct ga_future *f);
void debug_forget(const struct ga_future *f); /* it never came to be */
/* `function` was called on a thread that isn't the future's (NULL: a thread without a loop). False. */
bool debug_elsewhere(const char *function, const struct ga_future *f);

/* Lines of a backtrace, by dladdr(3). */
size_t debug_put_frames(char *to, size_t size, void *const frames[], int count);

/* ---- watchdog.c ---- */

void watchdog_add(struct runtime *rt, int64_t slow_ns); /* without memory or thread nothing is watched */
void watchdog_remove(struct runtime *rt);
void watchdog_prepare(void); /* before watchdog_write_here(), outside of handlers */
/* What this thread does, on standard error: the running task, and its stack. Safe in a signal handler. */
void watchdog_write_here(void);

/* ---- stack_use.c ---- */

/* Only for a task of a loop in debug mode: its stack is fresh; and how much of it was used, at its end or now. */
void stack_use_begin(struct task *t);
void stack_use_note(struct runtime *rt, const struct task *t);
