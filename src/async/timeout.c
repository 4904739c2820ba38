/*
 * timeout.c — scopes that cancel what a task does when their time has come.
 *
 * An expired scope interrupts its task at each suspension until it exits. Whether its exit may call that a timeout is
 * decided by counting: if no more reasons to cancel (requests, other expired scopes) are there than when it was entered,
 * the interruption was its own.
 */
#include "clock.h"
#include "task.h"
#include <assert.h>
#include <errno.h>

#define SCOPE_MAGIC 0x67615473u

enum scope_state { SCOPE_ARMED, SCOPE_EXPIRED };

struct timeout_scope {
	uint32_t magic;
	enum scope_state state;
	struct timeout_scope *outer;
	struct task *task;
	struct loop_timer timer;
	uint32_t reasons; /* to cancel, at its entry */
};
_Static_assert(sizeof(struct timeout_scope) <= sizeof(struct ga_timeout), "ga_timeout holds a scope");

static struct timeout_scope *scope_of(struct ga_timeout *t);
static int scope_arm(struct timeout_scope *s, int64_t deadline);
static void on_expiry(struct loop_timer *t);
static void scope_expire(struct timeout_scope *s);

int ga_timeout_enter(struct ga_timeout *scope, int64_t deadline)
{
	struct timeout_scope *s = scope_of(scope);
	struct task *t = task_current();
	int r;

	if (!t)
		return -EPERM;
	*s = (struct timeout_scope){ .state = SCOPE_ARMED, .task = t, .reasons = t->cancels + t->expired };
	loop_timer_init(&s->timer, on_expiry, s);
	r = scope_arm(s, deadline);
	if (r < 0)
		return r;
	s->magic = SCOPE_MAGIC;
	s->outer = t->scopes;
	t->scopes = s;
	return 0;
}

int ga_timeout_move(struct ga_timeout *scope, int64_t deadline)
{
	struct timeout_scope *s = scope_of(scope);

	if (s->magic != SCOPE_MAGIC)
		return -EINVAL;
	if (s->state == SCOPE_EXPIRED)
		return -EALREADY;
	return scope_arm(s, deadline);
}

int ga_timeout_exit(struct ga_timeout *scope, int result)
{
	struct timeout_scope *s = scope_of(scope);
	struct task *t = s->task;

	if (s->magic != SCOPE_MAGIC)
		return -EINVAL;
	assert(t == task_current() && t->scopes == s); /* scopes nest */
	loop_timer_stop(t->future.loop, &s->timer);
	t->scopes = s->outer;
	s->magic = 0;
	if (s->state != SCOPE_EXPIRED)
		return result;
	t->expired--;
	if (result == -ECANCELED && t->cancels + t->expired <= s->reasons)
		return -ETIMEDOUT;
	return result;
}

static struct timeout_scope *scope_of(struct ga_timeout *t)
{
	return (struct timeout_scope *)(void *)t;
}

/* A deadline that has passed already is felt at the first suspension, not a turn later. */
static int scope_arm(struct timeout_scope *s, int64_t deadline)
{
	if (deadline <= ga_now()) {
		loop_timer_stop(s->task->future.loop, &s->timer);
		scope_expire(s);
		return 0;
	}
	return loop_timer_set(s->task->future.loop, &s->timer, deadline);
}

static void on_expiry(struct loop_timer *t)
{
	scope_expire(t->arg);
}

static void scope_expire(struct timeout_scope *s)
{
	s->state = SCOPE_EXPIRED;
	s->task->expired++;
	task_interrupt(s->task);
}
