/*
 * async.h — libgather: asyncio's vocabulary for C. Coroutines, tasks, futures, gather, wait, executor.
 *
 * A program runs one loop per thread: ga_run() makes it, runs a coroutine as its main task and closes it. A coroutine is
 * a plain function that may suspend (GA_ASYNC) and runs on a stack of its own. A future is pending, or resolved with an
 * int (>= 0 or a negative errno) and, where stated, a value. A task is a future that runs a coroutine; sleeps, executor
 * calls and http requests are futures without a stack. All functions belong to the loop of the calling thread unless
 * they say otherwise.
 *
 * Time is in nanoseconds; deadlines are absolute on CLOCK_MONOTONIC (ga_now()), GA_NEVER is none.
 * Ownership: who gets a ga_future * releases it with ga_release(), at any time; a running task goes on without a
 * handle (the loop keeps it). gather and wait borrow theirs.
 * Errors: -ECANCELED: the call did not happen, because the task was cancelled; it is said again at each suspension until
 * ga_uncancel(). -ETIMEDOUT: the deadline came first. -EPERM: suspended outside a task, or on another thread.
 */
#pragma once
#include <gather/attributes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GA_MILLISECONDS(n) ((int64_t)((n)*1000000.0))
#define GA_SECONDS(n) ((int64_t)((n)*1000000000.0))
#define GA_NEVER INT64_MAX

typedef struct ga_future ga_future;
typedef int (*ga_coroutine_fn)(const void *arg);
typedef void (*ga_done_fn)(ga_future *future, void *arg);

/* Run `main` on a new loop; its result, or -ENOMEM; -EBUSY: this thread has a loop. The first SIGINT cancels main, unless
 * the program handles or ignores it; where it does, -EDEADLK: main waits for what nothing can bring. At the end all other
 * tasks are cancelled and joined, and the executor too. runner.h has options, and several mains on one loop. */
GA_API int ga_run(ga_coroutine_fn main, const void *arg);
GA_API int64_t ga_now(void); /* CLOCK_MONOTONIC, as of now */

/* ---- tasks ---- */

struct ga_spawn_options {
	const char *name;   /* shown by reports; copied, up to 55 bytes. NULL: the function's */
	size_t stack_bytes; /* 0: 64 KiB; rounded up to 16, 64 or 256 KiB, guard page included */
	bool eager;         /* run at once until it suspends first */
};

/* Start a task. NULL: no memory (ga_gather() and the others take NULL as a child that failed with -ENOMEM). Its stack comes
 * at its first run: where there is none (-EAGAIN) or none so large (-EINVAL), it ends with that and its body never runs. */
#define ga_spawn(fn, ...) ga_spawn_at((fn), (__VA_ARGS__), NULL, #fn, GA_HERE) /* (fn, arg) */
#define ga_spawn_with(fn, arg, ...)                                                                \
	ga_spawn_at((fn), (arg), (__VA_ARGS__), #fn, GA_HERE) /* (fn, arg, options) */
/* What the macros call: they note the function's name and the place, which must be literals. NULL: unknown. */
GA_API ga_future *ga_spawn_at(ga_coroutine_fn fn, const void *arg,
			      const struct ga_spawn_options *options, const char *name,
			      const char *site);
#define GA_HERE __FILE__ ":" GA_TEXT(__LINE__)
#define GA_TEXT(n) GA_TEXT_OF(n)
#define GA_TEXT_OF(n) #n
GA_API ga_future *ga_self(void); /* the running task, borrowed; NULL outside of one */
GA_API const char *ga_task_name(const ga_future *task); /* borrowed, never NULL; "" for what is no task */
GA_API const char *ga_task_site(const ga_future *task); /* "file.c:17", where it was spawned; "" if unknown */
/* The tasks of this thread's loop that haven't ended: how many, and up to `max` of them, oldest first, borrowed until the
 * caller suspends. */
GA_API size_t ga_all_tasks(ga_future *ret_tasks[], size_t max);

/* ---- futures ---- */

GA_API ga_future *ga_future_new(void); /* a plain future, resolved by hand */
GA_API int ga_resolve(ga_future *future, int result, void *value); /* -EALREADY: was resolved before */
GA_API bool ga_done(const ga_future *future);
GA_API int ga_result(const ga_future *future,
		     void **ret_value); /* its int; -EINPROGRESS while pending; ret_value may be NULL */
GA_API void ga_release(ga_future *future); /* NULL is a no-op */
GA_API ga_future *ga_retain(ga_future *future);
GA_API void ga_releasep(ga_future **future); /* for GA_AUTO */
#define GA_AUTO __attribute__((cleanup(ga_releasep)))
GA_API void ga_release_all(ga_future *const futures[], size_t count);
/* Call `fn` on the loop's stack once the future is resolved (soon, never from inside this call); it must not suspend. */
GA_API int ga_on_done(ga_future *future, ga_done_fn fn, void *arg) GA_MUST_CHECK;

/* ---- waiting ---- */

/* The future's result. Cancelling the waiting task cancels the future too (as `await` does). */
GA_API int ga_await(ga_future *future) GA_ASYNC;
/* The same with a deadline: then the future is cancelled *and awaited*; -ETIMEDOUT, or its result if it won. */
GA_API int ga_await_until(ga_future *future, int64_t deadline) GA_ASYNC;
/* Await without passing a cancel on to it. */
GA_API int ga_shield(ga_future *future) GA_ASYNC;

#define GA_RETURN_EXCEPTIONS                                                                       \
	1u           /* wait for all; errors stay in their slots, and the call returns 0 */
#define GA_DETACH 2u /* on the first error leave the siblings running, as asyncio does */
/* Wait for all, results in the order given (ga_result). The first error cancels and joins the rest and is returned. */
GA_API int ga_gather(ga_future *const futures[], size_t count, unsigned flags) GA_ASYNC;

enum ga_wait_mode { GA_ALL_COMPLETED, GA_FIRST_COMPLETED, GA_FIRST_EXCEPTION };
/* How many are done when the mode is met or the deadline comes; cancels nothing. -EINVAL: empty set or a bad mode. */
GA_API int ga_wait(ga_future *const futures[], size_t count, enum ga_wait_mode mode,
		   int64_t deadline) GA_ASYNC;

GA_API int ga_sleep(int64_t ns) GA_ASYNC; /* 0, -ECANCELED, or -ENOMEM: no room for the timer */
GA_API int ga_sleep_until(int64_t deadline) GA_ASYNC;
GA_API ga_future *ga_sleep_future(int64_t ns); /* the stackless form, for gather and wait */
GA_API ga_future *ga_ready_future(int fd, bool writable); /* resolves 0 once fd is readable (or writable) */

/* ---- cancellation and timeouts ---- */

/* Ask for cancellation; true unless it was done already. A task gets -ECANCELED at its next suspension, and at each
 * one after, until it uncancels. Cancelled before its first run, its body never executes. */
GA_API bool ga_cancel(ga_future *future);
GA_API int ga_uncancel(void); /* the running task's count after taking one request back */
GA_API int ga_cancelling(const ga_future *future);

/* A timeout scope: between enter and exit, the task's suspensions end with -ECANCELED once the deadline has passed.
 * ga_timeout_exit(&t, result) turns that into -ETIMEDOUT if the scope expired and no newer cancel came. Scopes nest. */
struct ga_timeout {
	uint64_t opaque[12];
};
GA_API int ga_timeout_enter(struct ga_timeout *scope, int64_t deadline) GA_MUST_CHECK;
GA_API int ga_timeout_move(struct ga_timeout *scope,
			   int64_t deadline) GA_MUST_CHECK; /* reschedule; -EALREADY once expired */
GA_API int ga_timeout_exit(struct ga_timeout *scope, int result);
/* A shield: until ga_timeout_exit(), cancels and scopes from outside wait; its own deadline and scopes inside it work. */
GA_API int ga_shield_enter(struct ga_timeout *scope, int64_t deadline) GA_MUST_CHECK;

/* ---- threads ---- */

/* Run fn(arg) in the thread pool; resolves with what it returns, or -EAGAIN: the pool is full (executor.h), or no thread
 * can be had. IO: up to 32 threads, free of the loop's CPU pin. CPU: one thread a loop, that keeps it. Cancelling abandons
 * the wait, not the work that has begun: `arg` must outlive it; work that no thread has begun is never run. NULL: no
 * memory, no such pool, or the loop has closed. */
enum ga_pool { GA_POOL_IO, GA_POOL_CPU };
GA_API ga_future *ga_executor(enum ga_pool pool, int (*fn)(void *arg), void *arg);
/* The same, and `after(arg)` is called on the loop once fn has returned, or will never run: there arg can be freed. It is
 * not called where NULL is returned. */
GA_API ga_future *ga_executor_with(enum ga_pool pool, int (*fn)(void *arg), void *arg,
				   void (*after)(void *arg));

/* ---- signals ---- */

/* Resolves with the signal's number when it next arrives; its default action is off until the loop ends. Arrivals while
 * no future waits are remembered as one. NULL: no such signal, another thread's loop has the signals, or no memory. */
GA_API ga_future *ga_signal_future(int signal);

#ifdef __cplusplus
}
#endif
