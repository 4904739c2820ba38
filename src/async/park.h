/*
 * park.h — the one way in which a task suspends.
 *
 *	struct op { struct park park; ... } op = ...;
 *	int r = park_begin(&op.park, op_abort);
 *	if (r < 0)
 *		return r;
 *	... start the operation; its end calls park_wake(&op.park, result) ...
 *	return park_wait(&op.park);
 *
 * Embedded in the waiting frame. If the task is cancelled (or a timeout scope around it expires) while it waits, `abort`
 * is asked to undo the operation: -ECANCELED from park_wait() means that the operation did not happen. Nothing is
 * allocated. park_wake() may come before park_wait(), which then doesn't suspend.
 */
#pragma once
#include "runtime.h"

struct task;
struct park;

enum park_answer {
	PARK_ABORTED,   /* undone, or of no effect any more: park_wait() returns -ECANCELED */
	PARK_CANNOT,    /* its end must be waited for; not asked again */
	PARK_FORWARDED, /* passed on to who will end it; asked again for each newer cancel */
};
typedef enum park_answer (*park_abort_fn)(struct park *p);

struct park {
	struct task *task;
	park_abort_fn abort; /* may call park_wake() itself; then its answer doesn't count */
	int result;
	bool woken, final, aborting;
	bool came_back; /* what `abort` passed on came round to this task: it waits for itself */
	/* Set by who waits, after park_begin(): a cancel that comes after the wake but before the task runs counts too. Then
	 * park_wait() returns -ECANCELED, and the frame undoes what the wake stood for. */
	bool revocable;
};

/* Prepare to park the running task. -EPERM outside of one. */
int park_begin(struct park *p, park_abort_fn abort);
/* For the task table, after park_begin(): what is waited for, a literal like "lock" or "write"; and of which descriptor. */
void park_for(struct park *p, const char *kind);
void park_for_fd(struct park *p, const char *kind, int fd);
/* Suspend until park_wake(); its result, or -ECANCELED. */
int park_wait(struct park *p);
/* Instead of park_wait(): be woken at once, with 0, and so run again after all that are ready now. */
int park_pass(struct park *p);
/* End the wait, on any stack of this loop; the task runs soon. The first result stands. */
void park_wake(struct park *p, int result);
/* Ask `abort` to undo the operation, for another reason than a cancel: then park_wait() returns `result` (a negative
 * errno). No-op once woken, or if it can't be undone. */
void park_undo(struct park *p, int result);

/*
 * A turn's budget. What succeeds at once, without parking (data was there, a lock was free), spends one of it before it
 * takes effect; when it is used up the task yields first, so that no task starves the rest.
 */
#define COOP_BUDGET 128
int coop_yield(void);
void coop_yield_anyway(void);
/* 0: go on; -ECANCELED: it had to yield and was cancelled, and the operation is not to happen. */
static inline int coop_spend(void)
{
	struct runtime *rt = runtime_current();

	return GA_LIKELY(!rt || !rt->current || --rt->budget > 0) ? 0 : coop_yield();
}
/* The same for what can't fail any more: a cancel waits for the next suspension. */
static inline void coop_spend_anyway(void)
{
	struct runtime *rt = runtime_current();

	if (GA_UNLIKELY(rt && rt->current && --rt->budget <= 0))
		coop_yield_anyway();
}
