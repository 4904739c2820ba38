/*
 * lock.c — asyncio.Lock. While it is neither held nor granted, nobody waits.
 */
#include "lock.h"
#include "debugging.h"
#include "waiters.h"
#include <errno.h>

static bool lock_take(struct ga_lock *l);
static void lock_pass(struct ga_lock *l);

int ga_lock_acquire(struct ga_lock *lock, int64_t deadline)
{
	struct ga_waiter w;
	int r = waiters_begin();

	if (r < 0 || lock_take(lock))
		return r;
	r = waiters_wait(&lock->waiters, &w, "lock", deadline);
	if (!w.told)
		return r;
	lock->granted = false;
	lock->held = r == 0;
	if (r < 0)
		lock_pass(lock);
	return r;
}

bool lock_acquire_always(struct ga_lock *lock)
{
	struct ga_waiter w;
	bool cancelled;

	if (lock_take(lock))
		return false;
	cancelled = waiters_wait_always(&lock->waiters, &w, "lock");
	lock->granted = false;
	lock->held = true;
	return cancelled;
}

int ga_lock_release(struct ga_lock *lock)
{
	if (!lock->held) {
		if (debug_on())
			debug_misuse("ga_lock_release", "the lock isn't held");
		return -EPERM;
	}
	lock->held = false;
	lock_pass(lock);
	return 0;
}

bool ga_lock_held(const struct ga_lock *lock)
{
	return lock->held;
}

static bool lock_take(struct ga_lock *l)
{
	if (l->held || l->granted)
		return false;
	l->held = true;
	return true;
}

static void lock_pass(struct ga_lock *l)
{
	l->granted = waiters_tell_first(&l->waiters);
}
