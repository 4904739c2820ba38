/* Lock, Event, Condition. */
#include "conform.h"
#include <gather/sync.h>

static int order[16], ordered;

struct locker {
	struct ga_lock *lock;
	int name, hold_seconds;
	int64_t deadline;
};

/* Takes the lock, notes that it has, and gives it back. */
static int take_lock(const void *arg)
{
	const struct locker *l = arg;
	int r = ga_lock_acquire(l->lock, l->deadline);

	if (r < 0)
		return r;
	order[ordered++] = l->name;
	r = ga_sleep(GA_SECONDS(l->hold_seconds));
	return ga_lock_release(l->lock) < 0 ? -EPERM : r;
}

/* ---- lock ---- */

CASE(lock_free, "asyncio-sync#asyncio.Lock.acquire",
     "lock: a free one is acquired at once, and held until it is released")
{
	struct ga_lock lock = { 0 };

	HOLDS(!ga_lock_held(&lock));
	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0);
	HOLDS(ga_lock_held(&lock));
	HOLDS(ga_lock_release(&lock) == 0);
	HOLDS(!ga_lock_held(&lock));
	return 0;
}

static int inside, inside_max;

static int stay_inside(const void *arg)
{
	struct ga_lock *lock = (struct ga_lock *)(uintptr_t)arg;

	for (int i = 0; i < 5; i++) {
		if (ga_lock_acquire(lock, GA_NEVER) < 0)
			return -EIO;
		if (++inside > inside_max)
			inside_max = inside;
		(void)ga_sleep(i % 2 ? GA_MILLISECONDS(1) : 0);
		inside--;
		if (ga_lock_release(lock) < 0)
			return -EIO;
	}
	return 0;
}

CASE(lock_excludes, "asyncio-sync#asyncio.Lock", "lock: no two tasks hold it at once")
{
	struct ga_lock lock = { 0 };
	ga_future *f[8];

	inside = inside_max = 0;
	for (int i = 0; i < 8; i++)
		f[i] = ga_spawn(stay_inside, &lock);
	HOLDS(ga_gather(f, 8, 0) == 0);
	HOLDS(inside_max == 1 && !ga_lock_held(&lock));
	ga_release_all(f, 8);
	return 0;
}

/* n tasks wait for the lock one after the other, whatever the order of tasks. */
static int queue_up(struct ga_lock *lock, struct locker lockers[], ga_future *f[], int n)
{
	ordered = 0;
	for (int i = 0; i < n; i++) {
		lockers[i] = (struct locker){ lock, i, 1, GA_NEVER };
		f[i] = ga_spawn(take_lock, &lockers[i]);
		HOLDS(settle() == 0);
	}
	return 0;
}

CASE(lock_fifo, "spec, asyncio-sync#asyncio.Lock.acquire",
     "lock: is fair: who waited first gets it first")
{
	struct ga_lock lock = { 0 };
	struct locker lockers[4];
	ga_future *f[4];

	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0);
	HOLDS(queue_up(&lock, lockers, f, 4) == 0);
	HOLDS(ga_lock_release(&lock) == 0);
	HOLDS(ga_gather(f, 4, 0) == 0);
	for (int i = 0; i < 4; i++)
		HOLDS(order[i] == i);
	ga_release_all(f, 4);
	return 0;
}

CASE(lock_no_barging, "libgather", "lock: a newcomer doesn't take what one who waits was woken for")
{
	struct ga_lock lock = { 0 };
	struct locker waiter = { &lock, 1, 0, GA_NEVER };
	GA_AUTO ga_future *t = NULL;

	ordered = 0;
	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0);
	t = ga_spawn(take_lock, &waiter);
	HOLDS(settle() == 0);
	HOLDS(ga_lock_release(&lock) == 0);
	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0); /* before the waiter ran */
	HOLDS(ordered == 1);
	HOLDS(ga_lock_release(&lock) == 0);
	HOLDS(ga_await(t) == 0);
	return 0;
}

CASE(lock_not_held, "spec, asyncio-sync#asyncio.Lock.release",
     "misuse: releasing a lock that isn't held is an error")
{
	struct ga_lock lock = { 0 };

	HOLDS(ga_lock_release(&lock) == -EPERM);
	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0 && ga_lock_release(&lock) == 0);
	HOLDS(ga_lock_release(&lock) == -EPERM);
	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0 && ga_lock_release(&lock) == 0);
	return 0;
}

CASE(lock_cancelled, "asyncio-sync#asyncio.Lock.acquire",
     "lock: a cancelled waiter doesn't get it, and the next does")
{
	struct ga_lock lock = { 0 };
	struct locker lockers[3];
	ga_future *f[3];

	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0);
	HOLDS(queue_up(&lock, lockers, f, 3) == 0);
	HOLDS(ga_cancel(f[1]));
	HOLDS(ga_await(f[1]) == -ECANCELED);
	HOLDS(ga_lock_release(&lock) == 0);
	HOLDS(ga_await(f[0]) == 0 && ga_await(f[2]) == 0);
	HOLDS(ordered == 2 && order[0] == 0 && order[1] == 2);
	ga_release_all(f, 3);
	return 0;
}

CASE(lock_cancelled_awoken, "spec", "lock: a cancelled, already woken waiter passes the wake on")
{
	struct ga_lock lock = { 0 };
	struct locker lockers[2];
	ga_future *f[2];

	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0);
	HOLDS(queue_up(&lock, lockers, f, 2) == 0);
	HOLDS(ga_lock_release(&lock) == 0); /* f[0] is woken ... */
	HOLDS(ga_cancel(f[0]));             /* ... and cancelled before it runs */
	HOLDS(ga_await(f[1]) == 0);
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ordered == 1 && order[0] == 1 && !ga_lock_held(&lock));
	ga_release_all(f, 2);
	return 0;
}

CASE(lock_cancelled_last, "spec",
     "lock: a cancelled, already woken waiter leaves it free if nobody else waits")
{
	struct ga_lock lock = { 0 };
	struct locker lockers[1];
	ga_future *f[1];

	HOLDS(ga_lock_acquire(&lock, GA_NEVER) == 0);
	HOLDS(queue_up(&lock, lockers, f, 1) == 0);
	HOLDS(ga_lock_release(&lock) == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_lock_acquire(&lock, ga_now()) == 0);
	HOLDS(ga_lock_release(&lock) == 0);
	ga_release(f[0]);
	return 0;
}

CASE(lock_deadline, "spec",
     "lock: a deadline ends the wait, also one in the past; a free lock is got all the same")
{
	struct ga_lock lock = { 0 };

	HOLDS(ga_lock_acquire(&lock, ga_now() - 1) == 0);
	HOLDS(ga_lock_acquire(&lock, after(1)) == -ETIMEDOUT);
	HOLDS(ga_lock_acquire(&lock, ga_now() - 1) == -ETIMEDOUT);
	HOLDS(ga_lock_held(&lock) && ga_lock_release(&lock) == 0);
	return 0;
}

/* ---- event ---- */

static int wait_event(const void *arg)
{
	return ga_event_wait((struct ga_event *)(uintptr_t)arg, GA_NEVER);
}

CASE(event_wakes_all, "asyncio-sync#asyncio.Event.set", "event: set wakes all who wait")
{
	struct ga_event event = { 0 };
	ga_future *f[3];

	for (int i = 0; i < 3; i++)
		f[i] = ga_spawn(wait_event, &event);
	HOLDS(settle() == 0);
	HOLDS(!ga_done(f[0]) && !ga_event_is_set(&event));
	ga_event_set(&event);
	HOLDS(ga_event_is_set(&event));
	HOLDS(ga_gather(f, 3, 0) == 0);
	ga_release_all(f, 3);
	return 0;
}

CASE(event_is_set, "asyncio-sync#asyncio.Event.wait",
     "event: waiting for one that is set returns at once")
{
	struct ga_event event = { 0 };
	int64_t start = ga_now();

	ga_event_set(&event);
	ga_event_set(&event);
	HOLDS(ga_event_wait(&event, GA_NEVER) == 0 && ga_event_wait(&event, 0) == 0);
	HOLDS(ga_now() == start);
	return 0;
}

CASE(event_clear, "asyncio-sync#asyncio.Event.clear",
     "event: cleared, waiting blocks until it is set again")
{
	struct ga_event event = { 0 };
	GA_AUTO ga_future *t = NULL;

	ga_event_set(&event);
	ga_event_clear(&event);
	HOLDS(!ga_event_is_set(&event));
	t = ga_spawn(wait_event, &event);
	HOLDS(settle() == 0 && !ga_done(t));
	ga_event_set(&event);
	HOLDS(ga_await(t) == 0);
	return 0;
}

CASE(event_pulse, "asyncio-sync#asyncio.Event.set",
     "event: set and cleared at once still wakes all who waited")
{
	struct ga_event event = { 0 };
	ga_future *f[] = { ga_spawn(wait_event, &event), ga_spawn(wait_event, &event) };

	HOLDS(settle() == 0);
	ga_event_set(&event);
	ga_event_clear(&event);
	HOLDS(ga_gather(f, 2, 0) == 0);
	HOLDS(ga_event_wait(&event, after(1)) == -ETIMEDOUT);
	ga_release_all(f, 2);
	return 0;
}

CASE(event_cancelled, "asyncio-sync#asyncio.Event.wait",
     "event: a cancelled waiter is gone, the others are woken")
{
	struct ga_event event = { 0 };
	ga_future *f[] = { ga_spawn(wait_event, &event), ga_spawn(wait_event, &event) };

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	ga_event_set(&event);
	HOLDS(ga_await(f[1]) == 0);
	ga_release_all(f, 2);
	return 0;
}

/* ---- condition ---- */

struct shared {
	struct ga_lock lock;
	struct ga_condition condition;
	int value, woken;
};

static void share(struct shared *s)
{
	*s = (struct shared){ 0 };
	ga_condition_init(&s->condition, &s->lock);
}

static int wait_notified(const void *arg)
{
	struct shared *s = *(struct shared *const *)arg;
	int r, released;

	if (ga_lock_acquire(&s->lock, GA_NEVER) < 0)
		return -EIO;
	r = ga_condition_wait(&s->condition, GA_NEVER);
	s->woken += r == 0;
	if (!ga_lock_held(&s->lock))
		return -ENOLCK;
	released = ga_lock_release(&s->lock);
	return released < 0 ? -ENOLCK : r;
}

static int notify(struct shared *s, size_t count)
{
	int r;

	HOLDS(ga_lock_acquire(&s->lock, GA_NEVER) == 0);
	r = ga_condition_notify(&s->condition, count);
	HOLDS(ga_lock_release(&s->lock) == 0);
	return r;
}

CASE(condition_wait, "asyncio-sync#asyncio.Condition.wait",
     "condition: wait gives the lock away, and holds it again when it returns")
{
	struct shared s, *at = &s;
	GA_AUTO ga_future *t = NULL;

	share(&s);
	t = ga_spawn(wait_notified, &at);
	HOLDS(settle() == 0 && !ga_done(t));
	HOLDS(!ga_lock_held(&s.lock));
	HOLDS(notify(&s, 1) == 0);
	HOLDS(ga_await(t) == 0);
	HOLDS(s.woken == 1 && !ga_lock_held(&s.lock));
	return 0;
}

CASE(condition_notify_some, "asyncio-sync#asyncio.Condition.notify",
     "condition: notify wakes so many, and no more; fewer if fewer wait")
{
	struct shared s, *at = &s;
	ga_future *f[4];

	share(&s);
	for (int i = 0; i < 4; i++)
		f[i] = ga_spawn(wait_notified, &at);
	HOLDS(settle() == 0);
	HOLDS(notify(&s, 0) == 0 && settle() == 0 && s.woken == 0);
	HOLDS(notify(&s, 1) == 0 && settle() == 0 && s.woken == 1);
	HOLDS(notify(&s, 2) == 0 && settle() == 0 && s.woken == 3);
	HOLDS(notify(&s, 99) == 0 && settle() == 0 && s.woken == 4);
	HOLDS(notify(&s, 1) == 0); /* nobody waits: no error, and not remembered */
	HOLDS(ga_gather(f, 4, 0) == 0);
	ga_release_all(f, 4);
	return 0;
}

CASE(condition_notify_all, "asyncio-sync#asyncio.Condition.notify_all",
     "condition: notify_all wakes all who wait")
{
	struct shared s, *at = &s;
	ga_future *f[4];

	share(&s);
	for (int i = 0; i < 4; i++)
		f[i] = ga_spawn(wait_notified, &at);
	HOLDS(settle() == 0);
	HOLDS(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	HOLDS(ga_condition_notify_all(&s.condition) == 0);
	HOLDS(settle() == 0 && s.woken == 0); /* they wait for the lock now */
	HOLDS(ga_lock_release(&s.lock) == 0);
	HOLDS(ga_gather(f, 4, 0) == 0 && s.woken == 4);
	ga_release_all(f, 4);
	return 0;
}

CASE(condition_not_held, "asyncio-sync#asyncio.Condition.wait",
     "misuse: waiting on or notifying a condition whose lock isn't held is an error")
{
	struct shared s;

	share(&s);
	HOLDS(ga_condition_wait(&s.condition, GA_NEVER) == -EPERM);
	HOLDS(ga_condition_notify(&s.condition, 1) == -EPERM);
	HOLDS(ga_condition_notify_all(&s.condition) == -EPERM);
	HOLDS(!ga_lock_held(&s.lock));
	return 0;
}

CASE(condition_deadline, "spec", "condition: a deadline ends the wait, with the lock held again")
{
	struct shared s;

	share(&s);
	HOLDS(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	HOLDS(ga_condition_wait(&s.condition, after(1)) == -ETIMEDOUT);
	HOLDS(ga_lock_held(&s.lock) && ga_lock_release(&s.lock) == 0);
	return 0;
}

static int hold_lock(const void *arg)
{
	struct shared *s = *(struct shared *const *)arg;
	int r;

	if (ga_lock_acquire(&s->lock, GA_NEVER) < 0)
		return -EIO;
	r = ga_sleep(GA_SECONDS(5));
	return ga_lock_release(&s->lock) < 0 ? -ENOLCK : r;
}

CASE(condition_cancelled_often, "spec, asyncio-sync#asyncio.Condition.wait",
     "condition: wait always reacquires before it returns, even when cancelled repeatedly")
{
	struct shared s, *at = &s;
	ga_future *t, *holder;

	share(&s);
	t = ga_spawn(wait_notified, &at);
	HOLDS(settle() == 0);
	holder = ga_spawn(hold_lock, &at);
	HOLDS(settle() == 0 && ga_lock_held(&s.lock));
	for (int i = 0; i < 3; i++) {
		HOLDS(ga_cancel(t));
		HOLDS(settle() == 0 && !ga_done(t)); /* the lock isn't free */
	}
	HOLDS(ga_await(holder) == 0);
	HOLDS(ga_await(t) == -ECANCELED); /* not -ENOLCK */
	HOLDS(!ga_lock_held(&s.lock));
	ga_release(t);
	ga_release(holder);
	return 0;
}

CASE(condition_cancelled_notified, "spec", "condition: a cancelled notified waiter notifies another")
{
	struct shared s, *at = &s;
	ga_future *f[2];

	share(&s);
	for (int i = 0; i < 2; i++) {
		f[i] = ga_spawn(wait_notified, &at);
		HOLDS(settle() == 0);
	}
	HOLDS(notify(&s, 1) == 0); /* the first ... */
	HOLDS(ga_cancel(f[0]));    /* ... before it ran */
	HOLDS(ga_await(f[0]) == -ECANCELED || s.woken == 1);
	HOLDS(ga_await_until(f[1], after(9)) == 0); /* the wake isn't lost */
	ga_release_all(f, 2);
	return 0;
}

CASE(condition_cancelled_relocking, "spec",
     "condition: a notified waiter that is cancelled while it waits for the lock notifies another")
{
	struct shared s, *at = &s;
	ga_future *f[2];

	share(&s);
	for (int i = 0; i < 2; i++) {
		f[i] = ga_spawn(wait_notified, &at);
		HOLDS(settle() == 0);
	}
	HOLDS(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	HOLDS(ga_condition_notify(&s.condition, 1) == 0);
	HOLDS(settle() == 0); /* f[0] waits for the lock */
	HOLDS(ga_cancel(f[0]));
	HOLDS(settle() == 0 && !ga_done(f[0]));
	HOLDS(ga_lock_release(&s.lock) == 0);
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_await_until(f[1], after(9)) == 0);
	ga_release_all(f, 2);
	return 0;
}

static int wait_in_scope(const void *arg)
{
	struct shared *s = *(struct shared *const *)arg;
	struct ga_timeout scope;
	int r;

	HOLDS(ga_timeout_enter(&scope, after(2)) == 0);
	HOLDS(ga_lock_acquire(&s->lock, GA_NEVER) == 0);
	r = ga_condition_wait(&s->condition, GA_NEVER); /* expires while it waits for the lock */
	s->woken = ga_now() > GA_SECONDS(5);
	HOLDS(ga_lock_release(&s->lock) == 0);
	return ga_timeout_exit(&scope, r);
}

CASE(cannot_be_aborted, "spec",
     "scopes: what can't be aborted leaves the task parked until its completion")
{
	struct shared s, *at = &s;
	ga_future *f[2];

	share(&s);
	f[0] = ga_spawn(wait_in_scope, &at);
	HOLDS(settle() == 0);
	f[1] = ga_spawn(hold_lock, &at); /* for five seconds */
	HOLDS(settle() == 0);
	HOLDS(ga_wait(f, 2, GA_ALL_COMPLETED, GA_NEVER) == 2);
	HOLDS(ga_result(f[0], NULL) == -ETIMEDOUT && ga_result(f[1], NULL) == 0);
	HOLDS(s.woken == 1);
	ga_release_all(f, 2);
	return 0;
}

static bool is_three(void *arg)
{
	return ((struct shared *)arg)->value == 3;
}

static int wait_three(const void *arg)
{
	struct shared *s = *(struct shared *const *)arg;
	int r;

	if (ga_lock_acquire(&s->lock, GA_NEVER) < 0)
		return -EIO;
	r = ga_condition_wait_for(&s->condition, is_three, s, GA_NEVER);
	if (s->value != 3)
		r = -EIO;
	return ga_lock_release(&s->lock) < 0 ? -ENOLCK : r;
}

CASE(condition_wait_for, "asyncio-sync#asyncio.Condition.wait_for",
     "condition: wait_for returns when its predicate is true, asked anew at each wake")
{
	struct shared s, *at = &s;
	GA_AUTO ga_future *t = NULL;

	share(&s);
	t = ga_spawn(wait_three, &at);
	for (int i = 1; i <= 3; i++) {
		HOLDS(settle() == 0 && !ga_done(t));
		s.value = i;
		HOLDS(notify(&s, 1) == 0);
	}
	HOLDS(ga_await(t) == 0);
	return 0;
}

CASE(condition_wait_for_true, "asyncio-sync#asyncio.Condition.wait_for",
     "condition: wait_for of what is true already returns at once")
{
	struct shared s;
	int64_t start = ga_now();

	share(&s);
	s.value = 3;
	HOLDS(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	HOLDS(ga_condition_wait_for(&s.condition, is_three, &s, GA_NEVER) == 0);
	HOLDS(ga_condition_wait_for(&s.condition, is_three, &s, 0) == 0);
	HOLDS(ga_lock_release(&s.lock) == 0 && ga_now() == start);
	return 0;
}

CASE(condition_shared_lock, "asyncio-sync#asyncio.Condition", "condition: several share one lock")
{
	struct shared s, *at = &s;
	struct ga_condition other;
	GA_AUTO ga_future *t = NULL;

	share(&s);
	ga_condition_init(&other, &s.lock);
	t = ga_spawn(wait_notified, &at);
	HOLDS(settle() == 0);
	HOLDS(ga_lock_acquire(&s.lock, GA_NEVER) == 0);
	HOLDS(ga_condition_notify_all(&other) == 0); /* of no effect on the first */
	HOLDS(ga_lock_release(&s.lock) == 0);
	HOLDS(settle() == 0 && s.woken == 0);
	HOLDS(notify(&s, 1) == 0);
	HOLDS(ga_await(t) == 0);
	return 0;
}
