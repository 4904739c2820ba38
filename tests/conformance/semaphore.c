/* Semaphore, BoundedSemaphore, Barrier. */
#include "conform.h"
#include <gather/sync.h>

static int order[16], ordered;

struct taker {
	struct ga_semaphore *semaphore;
	int name;
};

static int take(const void *arg)
{
	const struct taker *t = arg;
	int r = ga_semaphore_acquire(t->semaphore, GA_NEVER);

	if (r == 0)
		order[ordered++] = t->name;
	return r;
}

static int queue_up(struct ga_semaphore *s, struct taker takers[], ga_future *f[], int n)
{
	ordered = 0;
	for (int i = 0; i < n; i++) {
		takers[i] = (struct taker){ s, i };
		f[i] = ga_spawn(take, &takers[i]);
		HOLDS(settle() == 0);
	}
	return 0;
}

CASE(counts, "asyncio-sync#asyncio.Semaphore.acquire",
     "semaphore: as many acquire at once as there are permits")
{
	struct ga_semaphore s;

	ga_semaphore_init(&s, 2);
	HOLDS(!ga_semaphore_locked(&s));
	HOLDS(ga_semaphore_acquire(&s, GA_NEVER) == 0 && !ga_semaphore_locked(&s));
	HOLDS(ga_semaphore_acquire(&s, GA_NEVER) == 0 && ga_semaphore_locked(&s));
	HOLDS(ga_semaphore_acquire(&s, after(1)) == -ETIMEDOUT);
	HOLDS(ga_semaphore_release(&s) == 0 && !ga_semaphore_locked(&s));
	HOLDS(ga_semaphore_acquire(&s, 0) == 0);
	return 0;
}

CASE(fifo, "spec", "semaphore: who waited first gets the first permit")
{
	struct ga_semaphore s;
	struct taker takers[4];
	ga_future *f[4];

	ga_semaphore_init(&s, 0);
	HOLDS(queue_up(&s, takers, f, 4) == 0);
	for (int i = 0; i < 4; i++) {
		HOLDS(ga_semaphore_release(&s) == 0 && settle() == 0);
		HOLDS(ordered == i + 1 && order[i] == i);
	}
	HOLDS(ga_gather(f, 4, 0) == 0);
	ga_release_all(f, 4);
	return 0;
}

CASE(releases_at_once, "asyncio-sync#asyncio.Semaphore.release",
     "semaphore: several permits given at once wake as many, and none is lost")
{
	struct ga_semaphore s;
	struct taker takers[4];
	ga_future *f[4];

	ga_semaphore_init(&s, 0);
	HOLDS(queue_up(&s, takers, f, 4) == 0);
	for (int i = 0; i < 5; i++)
		HOLDS(ga_semaphore_release(&s) == 0);
	HOLDS(ga_gather(f, 4, 0) == 0);
	HOLDS(!ga_semaphore_locked(&s));
	HOLDS(ga_semaphore_acquire(&s, 0) == 0 && ga_semaphore_locked(&s));
	ga_release_all(f, 4);
	return 0;
}

CASE(cancelled, "asyncio-sync#asyncio.Semaphore.acquire", "semaphore: a cancelled waiter takes no permit")
{
	struct ga_semaphore s;
	struct taker takers[2];
	ga_future *f[2];

	ga_semaphore_init(&s, 0);
	HOLDS(queue_up(&s, takers, f, 2) == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_semaphore_release(&s) == 0);
	HOLDS(ga_await(f[1]) == 0);
	ga_release_all(f, 2);
	return 0;
}

CASE(cancelled_awoken, "spec", "semaphore: cancelling an awoken waiter returns its permit")
{
	struct ga_semaphore s;
	struct taker takers[1];
	ga_future *f[1];

	ga_semaphore_init(&s, 0);
	HOLDS(queue_up(&s, takers, f, 1) == 0);
	HOLDS(ga_semaphore_release(&s) == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(!ga_semaphore_locked(&s) && ga_semaphore_acquire(&s, 0) == 0);
	ga_release(f[0]);
	return 0;
}

CASE(cancelled_awoken_passes, "spec",
     "semaphore: cancelling an awoken waiter gives its permit to the next")
{
	struct ga_semaphore s;
	struct taker takers[3];
	ga_future *f[3];

	ga_semaphore_init(&s, 0);
	HOLDS(queue_up(&s, takers, f, 3) == 0);
	HOLDS(ga_semaphore_release(&s) == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_await_until(f[1], after(9)) == 0);
	HOLDS(!ga_done(f[2])); /* there was one permit */
	HOLDS(ga_semaphore_release(&s) == 0);
	HOLDS(ga_await(f[2]) == 0);
	ga_release_all(f, 3);
	return 0;
}

CASE(no_barging, "libgather", "semaphore: a newcomer doesn't take what one who waits was woken for")
{
	struct ga_semaphore s;
	struct taker takers[1];
	ga_future *f[1];

	ga_semaphore_init(&s, 0);
	HOLDS(queue_up(&s, takers, f, 1) == 0);
	HOLDS(ga_semaphore_release(&s) == 0);
	HOLDS(ga_semaphore_acquire(&s, after(1)) == -ETIMEDOUT);
	HOLDS(ga_await(f[0]) == 0);
	ga_release(f[0]);
	return 0;
}

CASE(unbounded, "asyncio-sync#asyncio.Semaphore.release", "semaphore: may get more permits than at first")
{
	struct ga_semaphore s;

	ga_semaphore_init(&s, 1);
	HOLDS(ga_semaphore_release(&s) == 0);
	HOLDS(ga_semaphore_acquire(&s, 0) == 0 && ga_semaphore_acquire(&s, 0) == 0);
	HOLDS(ga_semaphore_locked(&s));
	return 0;
}

CASE(bounded, "spec, asyncio-sync#asyncio.BoundedSemaphore",
     "misuse: over-releasing a bounded semaphore is an error and changes nothing")
{
	struct ga_semaphore s;

	ga_semaphore_init_bounded(&s, 1);
	HOLDS(ga_semaphore_release(&s) == -EOVERFLOW);
	HOLDS(ga_semaphore_acquire(&s, 0) == 0 && ga_semaphore_locked(&s));
	HOLDS(ga_semaphore_release(&s) == 0);
	HOLDS(ga_semaphore_release(&s) == -EOVERFLOW);
	HOLDS(ga_semaphore_acquire(&s, 0) == 0 && ga_semaphore_locked(&s));
	return 0;
}

/* ---- barrier ---- */

static int meet(const void *arg)
{
	return ga_barrier_wait((struct ga_barrier *)(uintptr_t)arg, GA_NEVER);
}

static int meet_all(struct ga_barrier *b, ga_future *f[], int n)
{
	for (int i = 0; i < n; i++)
		f[i] = ga_spawn(meet, b);
	return settle();
}

CASE(barrier_fills, "asyncio-sync#asyncio.Barrier.wait",
     "barrier: all go on once so many wait, each with another number from 0 to parties - 1")
{
	struct ga_barrier b;
	ga_future *f[3];
	int seen = 0;

	HOLDS(ga_barrier_init(&b, 3) == 0);
	HOLDS(ga_barrier_parties(&b) == 3 && ga_barrier_waiting(&b) == 0);
	HOLDS(meet_all(&b, f, 2) == 0);
	HOLDS(ga_barrier_waiting(&b) == 2 && !ga_done(f[0]));
	f[2] = ga_spawn(meet, &b);
	HOLDS(ga_wait(f, 3, GA_ALL_COMPLETED, GA_NEVER) == 3);
	for (int i = 0; i < 3; i++) {
		HOLDS(ga_result(f[i], NULL) >= 0 && ga_result(f[i], NULL) < 3);
		seen |= 1 << ga_result(f[i], NULL);
	}
	HOLDS(seen == 7 && ga_barrier_waiting(&b) == 0 && !ga_barrier_is_broken(&b));
	ga_release_all(f, 3);
	return 0;
}

static int met;

static int meet_thrice(const void *arg)
{
	struct ga_barrier *b = (struct ga_barrier *)(uintptr_t)arg;

	for (int round = 0; round < 3; round++) {
		if (met / 4 > round)
			return -EIO;
		met++;
		if (ga_barrier_wait(b, GA_NEVER) < 0)
			return -EIO;
		if (met < 4 * (round + 1))
			return -EIO; /* not all had come */
	}
	return 0;
}

CASE(barrier_again, "asyncio-sync#asyncio.Barrier",
     "barrier: works again and again, and no round mixes with another")
{
	struct ga_barrier b;
	ga_future *f[4];

	met = 0;
	HOLDS(ga_barrier_init(&b, 4) == 0);
	for (int i = 0; i < 4; i++)
		f[i] = ga_spawn(meet_thrice, &b);
	HOLDS(ga_gather(f, 4, 0) == 0);
	ga_release_all(f, 4);
	return 0;
}

CASE(barrier_reset, "asyncio-sync#asyncio.Barrier.reset",
     "barrier: reset sends those inside away with an error, and it works on")
{
	struct ga_barrier b;
	ga_future *f[2];

	HOLDS(ga_barrier_init(&b, 3) == 0);
	HOLDS(meet_all(&b, f, 2) == 0);
	ga_barrier_reset(&b);
	HOLDS(ga_await(f[0]) == -ECONNABORTED && ga_await(f[1]) == -ECONNABORTED);
	HOLDS(!ga_barrier_is_broken(&b) && ga_barrier_waiting(&b) == 0);
	ga_release_all(f, 2);
	HOLDS(meet_all(&b, f, 2) == 0);
	HOLDS(ga_barrier_wait(&b, GA_NEVER) >= 0);
	HOLDS(ga_gather(f, 2, 0) == 0);
	ga_release_all(f, 2);
	return 0;
}

CASE(barrier_abort, "asyncio-sync#asyncio.Barrier.abort",
     "barrier: abort breaks it for those inside and for those to come, until it is reset")
{
	struct ga_barrier b;
	ga_future *f[2];

	HOLDS(ga_barrier_init(&b, 3) == 0);
	HOLDS(meet_all(&b, f, 2) == 0);
	ga_barrier_abort(&b);
	HOLDS(ga_await(f[0]) == -ECONNABORTED && ga_await(f[1]) == -ECONNABORTED);
	HOLDS(ga_barrier_is_broken(&b));
	HOLDS(ga_barrier_wait(&b, GA_NEVER) == -ECONNABORTED);
	ga_barrier_reset(&b);
	HOLDS(!ga_barrier_is_broken(&b));
	HOLDS(ga_barrier_wait(&b, after(1)) == -ETIMEDOUT);
	ga_release_all(f, 2);
	return 0;
}

CASE(barrier_cancelled, "asyncio-sync#asyncio.Barrier.wait",
     "barrier: one that is cancelled leaves, and the others go on waiting")
{
	struct ga_barrier b;
	ga_future *f[3];

	HOLDS(ga_barrier_init(&b, 3) == 0);
	HOLDS(meet_all(&b, f, 2) == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_barrier_waiting(&b) == 1 && !ga_barrier_is_broken(&b));
	ga_release(f[0]);
	f[0] = ga_spawn(meet, &b);
	f[2] = ga_spawn(meet, &b);
	HOLDS(ga_gather(f, 3, 0) == 0);
	ga_release_all(f, 3);
	return 0;
}

CASE(barrier_one, "asyncio-sync#asyncio.Barrier", "barrier: of one party never waits")
{
	struct ga_barrier b;

	HOLDS(ga_barrier_init(&b, 1) == 0);
	HOLDS(ga_barrier_wait(&b, GA_NEVER) == 0 && ga_barrier_wait(&b, GA_NEVER) == 0);
	return 0;
}

CASE(barrier_none, "asyncio-sync#asyncio.Barrier", "misuse: a barrier of no parties is an error")
{
	struct ga_barrier b;

	HOLDS(ga_barrier_init(&b, 0) == -EINVAL);
	return 0;
}
