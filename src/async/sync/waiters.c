#include "waiters.h"
#include <assert.h>
#include <errno.h>

static void waiter_unlink(struct ga_waiter *w);
static enum park_answer leave(struct park *p);
static enum park_answer stay(struct park *p);

int waiters_wait(struct ga_waiters *queue, struct ga_waiter *w, const char *kind, int64_t deadline)
{
	w->told = w->cancelled = false;
	w->queue = queue;
	if (deadline != GA_NEVER && deadline <= ga_now()) {
		int r = ga_sleep(0);

		return r < 0 ? r : -ETIMEDOUT;
	}
	(void)park_begin(&w->wait.park, leave);
	w->wait.park.revocable = true;
	park_for(&w->wait.park, kind);
	waiters_add(queue, w);
	return park_wait_until(&w->wait, deadline);
}

bool waiters_wait_always(struct ga_waiters *queue, struct ga_waiter *w, const char *kind)
{
	w->told = w->cancelled = false;
	(void)park_begin(&w->wait.park, stay);
	park_for(&w->wait.park, kind);
	waiters_add(queue, w);
	(void)park_wait(&w->wait.park);
	return w->cancelled;
}

struct ga_waiter *waiters_take(struct ga_waiters *queue)
{
	struct ga_waiter *w = queue->first;

	if (w)
		waiter_unlink(w);
	return w;
}

void waiters_add(struct ga_waiters *queue, struct ga_waiter *w)
{
	w->queue = queue;
	w->next = NULL;
	w->prev = queue->last;
	if (w->prev)
		w->prev->next = w;
	else
		queue->first = w;
	queue->last = w;
	queue->count++;
}

void waiter_tell(struct ga_waiter *w)
{
	assert(w->wait.park.task->future.loop == loop_current()); /* these aren't for use between threads */
	w->told = true;
	park_wake(&w->wait.park, 0);
}

static void waiter_unlink(struct ga_waiter *w)
{
	struct ga_waiters *queue = w->queue;

	if (w->prev)
		w->prev->next = w->next;
	else
		queue->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		queue->last = w->prev;
	queue->count--;
}

static enum park_answer leave(struct park *p)
{
	waiter_unlink(container_of(p, struct ga_waiter, wait.park));
	return PARK_ABORTED;
}

static enum park_answer stay(struct park *p)
{
	struct ga_waiter *w = container_of(p, struct ga_waiter, wait.park);

	w->cancelled = true;
	return PARK_FORWARDED; /* to the end of the wait, which says so */
}
