/*
 * debug.h — debug mode: with GATHER_DEBUG=1 in the environment, or ga_run_options.debug, libgather reports what a program
 * does wrong, each time with the place. It costs time and memory; results stay the same.
 *
 * Reports are lines on standard error, or calls of a function. A step that blocks the loop is reported while it lasts, by
 * another thread; its backtrace is taken by SIGURG on the loop's thread, so a blocking system call that isn't restarted
 * after signals may end with EINTR then, once a step.
 */
#pragma once
#include <gather/async.h>
#include <gather/tasks.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ga_report_kind {
	GA_REPORT_NEVER_AWAITED, /* a future was made and dropped while pending, and nobody ever waited for it */
	GA_REPORT_NEVER_RETRIEVED, /* a task or future ended with an error (not -ECANCELED) that nobody read */
	GA_REPORT_SLOW, /* a step holds the loop for longer than ga_run_options.slow_ns, and still does */
	GA_REPORT_THREAD, /* called on another thread than its loop's */
	GA_REPORT_LEAK,   /* still held when its loop ended */
	GA_REPORT_MISUSE, /* a lock released that isn't held, a future dropped that is waited for, ... */
};

/* `text` is borrowed: a line without its end, of GA_REPORT_SLOW and others more, with the backtrace. */
typedef void (*ga_report_fn)(enum ga_report_kind kind, const char *text, void *arg);

/* Reports of all loops go to `fn` from now on; NULL: to standard error again. It is called on the thread that finds out,
 * GA_REPORT_SLOW on a thread of its own, several at once if need be; it must not call libgather or suspend. Any thread. */
GA_API void ga_debug_report_to(ga_report_fn fn, void *arg);

/* The places at which this thread's loop has spawned tasks, and in debug mode how much stack tasks of each have used at
 * most, those that live included: how many places there are, of which the first `max` are stored. Their texts are
 * borrowed until the loop ends. 0 without a loop. */
GA_API size_t ga_site_uses(struct ga_site_use ret_uses[], size_t max);

#ifdef __cplusplus
}
#endif
