/*
 * sync.h — what the tasks of one loop agree by: Lock, Event, Condition, Semaphore, BoundedSemaphore, Barrier.
 *
 * Each is a structure that is embedded where it is needed and owned by whoever declares it. All zero is ready for use
 * where there is no _init: a lock that is free, an event that is clear. Nothing is allocated and nothing needs to be freed;
 * it must only outlive those that wait. Its members are private. All belong to one loop: no use between threads.
 *
 * First come, first served: nobody takes what one who waits was woken for. What may wait takes a deadline (on
 * CLOCK_MONOTONIC; GA_NEVER: none), and what is there at once is got even if that has passed. Errors of all that wait:
 * -ECANCELED and -ETIMEDOUT: it did not happen, and a wake that was meant for the waiter goes on to the next; -EPERM:
 * outside a task; -ENOMEM: no room for the timer.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ga_waiter;
struct ga_waiters { /* those who wait, oldest first; they lie on their stacks */
	struct ga_waiter *first, *last;
	size_t count;
};

/* ---- lock: asyncio.Lock ---- */

struct ga_lock {
	struct ga_waiters waiters;
	bool held;
	bool granted; /* to a waiter that hasn't run since */
};
/* 0: held. Whose it is isn't known: one that acquires it twice waits for itself. */
GA_API int ga_lock_acquire(struct ga_lock *lock, int64_t deadline) GA_ASYNC GA_MUST_CHECK;
GA_API int ga_lock_release(struct ga_lock *lock);     /* by any task; -EPERM: it isn't held */
GA_API bool ga_lock_held(const struct ga_lock *lock); /* false too while it is on its way to a waiter */

/* ---- event: asyncio.Event ---- */

struct ga_event {
	struct ga_waiters waiters;
	bool set;
};
GA_API void ga_event_set(struct ga_event *event); /* wakes all; they return 0, even if it is cleared before they run */
GA_API void ga_event_clear(struct ga_event *event);
GA_API bool ga_event_is_set(const struct ga_event *event);
GA_API int ga_event_wait(struct ga_event *event, int64_t deadline) GA_ASYNC; /* 0: it is set, or was */

/* ---- condition: asyncio.Condition ---- */

struct ga_condition {
	struct ga_waiters waiters;
	struct ga_lock *lock;
};
/* `lock` is borrowed, and may serve several conditions. */
GA_API void ga_condition_init(struct ga_condition *condition, struct ga_lock *lock);
/* Release the lock, wait until notified, and acquire it again, *always*: whatever is returned, the lock is held as before,
 * and neither the deadline nor a cancel ends the wait for it. 0: notified. One that was cancelled after it was notified
 * notifies another. -EPERM also: the lock isn't held. */
GA_API int ga_condition_wait(struct ga_condition *condition, int64_t deadline) GA_ASYNC;
/* Wait again and again until is_true(arg), which is asked with the lock held and mustn't suspend. 0: it is true, which the
 * deadline's passing doesn't change. Otherwise as ga_condition_wait(). */
GA_API int ga_condition_wait_for(struct ga_condition *condition, bool (*is_true)(void *arg),
				 void *arg, int64_t deadline) GA_ASYNC;
/* Wake so many, or all, of those that wait; they go on once they get the lock. 0, or -EPERM: the lock isn't held. */
GA_API int ga_condition_notify(struct ga_condition *condition, size_t count);
GA_API int ga_condition_notify_all(struct ga_condition *condition);

/* ---- semaphore: asyncio.Semaphore, asyncio.BoundedSemaphore ---- */

struct ga_semaphore {
	struct ga_waiters waiters;
	size_t permits; /* that nobody has */
	size_t bound;
};
GA_API void ga_semaphore_init(struct ga_semaphore *semaphore, size_t permits);
/* A bounded one never has more permits than at first. */
GA_API void ga_semaphore_init_bounded(struct ga_semaphore *semaphore, size_t permits);
/* 0: a permit is taken. */
GA_API int ga_semaphore_acquire(struct ga_semaphore *semaphore, int64_t deadline) GA_ASYNC GA_MUST_CHECK;
/* Give a permit, taken before or a new one. -EOVERFLOW: beyond the bound; then nothing changed. */
GA_API int ga_semaphore_release(struct ga_semaphore *semaphore);
GA_API bool ga_semaphore_locked(const struct ga_semaphore *semaphore); /* to acquire it is to wait */

/* ---- barrier: asyncio.Barrier ---- */

struct ga_barrier {
	struct ga_waiters inside, outside; /* outside: while those of the last round leave */
	size_t parties, leaving;
	int state;
};
/* 0, or -EINVAL: no parties, or more than INT_MAX. */
GA_API int ga_barrier_init(struct ga_barrier *barrier, size_t parties) GA_MUST_CHECK;
/* Wait until so many as there are parties wait: each returns another of 0..parties-1, in the order in which they came.
 * While those before leave, newcomers wait outside. Who is cancelled or times out leaves the others waiting.
 * -ECONNABORTED: it is broken, or was reset. */
GA_API int ga_barrier_wait(struct ga_barrier *barrier, int64_t deadline) GA_ASYNC GA_MUST_CHECK;
GA_API void ga_barrier_reset(struct ga_barrier *barrier); /* as new; those inside return -ECONNABORTED */
GA_API void ga_barrier_abort(struct ga_barrier *barrier); /* broken, until it is reset: all return -ECONNABORTED */
GA_API size_t ga_barrier_parties(const struct ga_barrier *barrier);
GA_API size_t ga_barrier_waiting(const struct ga_barrier *barrier); /* inside, while it fills */
GA_API bool ga_barrier_is_broken(const struct ga_barrier *barrier);

#ifdef __cplusplus
}
#endif
