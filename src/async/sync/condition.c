/*
 * condition.c — asyncio.Condition.
 */
#include "debugging.h"
#include "lock.h"
#include "waiters.h"
#include <errno.h>

void ga_condition_init(struct ga_condition *condition, struct ga_lock *lock)
{
	*condition = (struct ga_condition){ .lock = lock };
}

int ga_condition_wait(struct ga_condition *condition, int64_t deadline)
{
	struct ga_waiter w;
	int r;

	if (!task_current() || ga_lock_release(condition->lock) < 0)
		return -EPERM;
	r = waiters_wait(&condition->waiters, &w, "condition", deadline);
	if (lock_acquire_always(condition->lock))
		r = -ECANCELED;
	if (r < 0 && w.told)
		(void)waiters_tell_first(&condition->waiters);
	return r;
}

int ga_condition_wait_for(struct ga_condition *condition, bool (*is_true)(void *arg), void *arg,
			  int64_t deadline)
{
	int r = 0;

	if (!task_current() || !ga_lock_held(condition->lock))
		return -EPERM;
	while (!is_true(arg)) {
		if (r < 0)
			return r;
		r = ga_condition_wait(condition, deadline);
		if (r == -ECANCELED)
			return r;
	}
	return 0;
}

int ga_condition_notify(struct ga_condition *condition, size_t count)
{
	if (!ga_lock_held(condition->lock)) {
		if (debug_on())
			debug_misuse("ga_condition_notify", "the condition's lock isn't held");
		return -EPERM;
	}
	while (count > 0 && waiters_tell_first(&condition->waiters))
		count--;
	return 0;
}

int ga_condition_notify_all(struct ga_condition *condition)
{
	return ga_condition_notify(condition, condition->waiters.count);
}
