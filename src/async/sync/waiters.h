/*
 * waiters.h — a FIFO of parked tasks, of which locks, events, queues and the like are made.
 *
 * A waiter lies in the frame of the task that waits, which alone waits on it; a queue owns nothing, and is empty when all
 * zero. A waiter leaves its queue when it is told, or when its wait is cancelled or has timed out, at that moment and not
 * when its task runs: what is in a queue can be told. One that was told and cancelled before it ran gets -ECANCELED from
 * waiters_wait() and finds itself `told`: it passes on what it was told of. One loop.
 */
#pragma once
#include "park_until.h"
#include "task.h"
#include <errno.h>
#include <gather/sync.h>

struct ga_waiter {
	struct park_until wait;
	struct ga_waiters *queue; /* that it is in, or was in last */
	struct ga_waiter *next, *prev;
	bool told;
	bool cancelled; /* of waiters_wait_always() */
};

/* What may wait begins with this: it costs of the turn's budget even if it needn't wait. 0; -EPERM: outside a task;
 * -ECANCELED, as of coop_spend(). */
static inline int waiters_begin(void) GA_ASYNC
{
	return task_current() ? coop_spend() : -EPERM;
}

/* In a task: wait at the end of the queue until told: 0; or -ECANCELED, -ETIMEDOUT, -ENOMEM. `kind`: as of park_for().
 * With a deadline that has passed it is never in the queue and waits a turn, so that trying again and again starves
 * nobody. */
int waiters_wait(struct ga_waiters *queue, struct ga_waiter *w, const char *kind,
		 int64_t deadline) GA_ASYNC;
/* The same, whatever comes; whether a cancel came. */
bool waiters_wait_always(struct ga_waiters *queue, struct ga_waiter *w, const char *kind) GA_ASYNC;

/* Take out the oldest, or NULL. It is to be told, or given a place in another queue. */
struct ga_waiter *waiters_take(struct ga_waiters *queue);
void waiters_add(struct ga_waiters *queue, struct ga_waiter *w);
void waiter_tell(struct ga_waiter *w); /* its task runs soon */

static inline bool waiters_tell_first(struct ga_waiters *queue) /* false: there is none */
{
	struct ga_waiter *w = waiters_take(queue);

	if (w)
		waiter_tell(w);
	return w != NULL;
}

static inline void waiters_tell_all(struct ga_waiters *queue)
{
	while (waiters_tell_first(queue))
		;
}
