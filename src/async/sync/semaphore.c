/*
 * semaphore.c — asyncio.Semaphore and asyncio.BoundedSemaphore. While there are permits, nobody waits: one that is told has
 * a permit already.
 */
#include "debugging.h"
#include "waiters.h"
#include <errno.h>

static void semaphore_give(struct ga_semaphore *s);

void ga_semaphore_init(struct ga_semaphore *semaphore, size_t permits)
{
	*semaphore = (struct ga_semaphore){ .permits = permits, .bound = SIZE_MAX };
}

void ga_semaphore_init_bounded(struct ga_semaphore *semaphore, size_t permits)
{
	*semaphore = (struct ga_semaphore){ .permits = permits, .bound = permits };
}

int ga_semaphore_acquire(struct ga_semaphore *semaphore, int64_t deadline)
{
	struct ga_waiter w;
	int r = waiters_begin();

	if (r < 0)
		return r;
	if (semaphore->permits > 0) {
		semaphore->permits--;
		return 0;
	}
	r = waiters_wait(&semaphore->waiters, &w, "semaphore", deadline);
	if (r < 0 && w.told)
		semaphore_give(semaphore);
	return r;
}

int ga_semaphore_release(struct ga_semaphore *semaphore)
{
	if (semaphore->permits >= semaphore->bound) {
		if (debug_on())
			debug_misuse("ga_semaphore_release", "all of its permits are back already");
		return -EOVERFLOW;
	}
	semaphore_give(semaphore);
	return 0;
}

bool ga_semaphore_locked(const struct ga_semaphore *semaphore)
{
	return semaphore->permits == 0;
}

static void semaphore_give(struct ga_semaphore *s)
{
	if (!waiters_tell_first(&s->waiters))
		s->permits++;
}
