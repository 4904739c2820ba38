/*
 * timeout.c — scopes that cancel what a task does when their time has come, and shields.
 */
#include "clock.h"
#include "task.h"
#include <errno.h>

#define TIMEOUT_MAGIC 0x67615473u

struct timeout {
	uint32_t magic;
	struct scope scope;
	struct loop_timer timer;
};
_Static_assert(sizeof(struct timeout) <= sizeof(struct ga_timeout), "ga_timeout holds a scope");

static struct timeout *timeout_of(struct ga_timeout *t);
static int timeout_begin(struct timeout *t, int64_t deadline, bool shield);
static int timeout_arm(struct timeout *t, int64_t deadline);
static void on_expiry(struct loop_timer *timer);

int ga_timeout_enter(struct ga_timeout *scope, int64_t deadline)
{
	return timeout_begin(timeout_of(scope), deadline, false);
}

int ga_shield_enter(struct ga_timeout *scope, int64_t deadline)
{
	return timeout_begin(timeout_of(scope), deadline, true);
}

int ga_timeout_move(struct ga_timeout *scope, int64_t deadline)
{
	struct timeout *t = timeout_of(scope);

	if (t->magic != TIMEOUT_MAGIC)
		return -EINVAL;
	if (t->scope.fired)
		return -EALREADY;
	return timeout_arm(t, deadline);
}

int ga_timeout_exit(struct ga_timeout *scope, int result)
{
	struct timeout *t = timeout_of(scope);
	int r;

	if (t->magic != TIMEOUT_MAGIC)
		return -EINVAL;
	r = scope_check(&t->scope);
	if (r < 0)
		return r;
	loop_timer_stop(loop_current(), &t->timer);
	t->magic = 0;
	return scope_leave(&t->scope) && result == -ECANCELED ? -ETIMEDOUT : result;
}

static struct timeout *timeout_of(struct ga_timeout *t)
{
	return (struct timeout *)(void *)t;
}

static int timeout_begin(struct timeout *t, int64_t deadline, bool shield)
{
	struct task *task = task_current();
	int r;

	if (!task)
		return -EPERM;
	loop_timer_init(&t->timer, on_expiry, t);
	scope_enter(&t->scope, task, shield);
	r = timeout_arm(t, deadline);
	if (r < 0) {
		(void)scope_leave(&t->scope);
		return r;
	}
	t->magic = TIMEOUT_MAGIC;
	return 0;
}

/* A deadline that has passed already is felt at the first suspension, not a turn later. */
static int timeout_arm(struct timeout *t, int64_t deadline)
{
	if (deadline <= ga_now()) {
		loop_timer_stop(loop_current(), &t->timer);
		scope_fire(&t->scope);
		return 0;
	}
	return loop_timer_set(loop_current(), &t->timer, deadline);
}

static void on_expiry(struct loop_timer *timer)
{
	struct timeout *t = timer->arg;

	scope_fire(&t->scope);
}
