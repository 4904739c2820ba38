/*
 * scope.c — the reasons to cancel a task, and which of them it feels.
 */
#include "scope.h"
#include "task.h"
#include <assert.h>
#include <errno.h>

static struct scope *shield_before(const struct task *t, const struct scope *s);

void scope_enter(struct scope *s, struct task *t, bool shield)
{
	*s = (struct scope){ .outer = t->scopes, .task = t, .shield = shield };
	t->scopes = s;
	if (!shield) {
		s->reasons = task_reasons(t);
		return;
	}
	s->hidden = t->fired;
	s->due = t->due;
	t->fired = 0;
	t->due = false;
	t->shields++;
}

void scope_fire(struct scope *s)
{
	struct task *t = s->task;
	struct scope *shield = shield_before(t, s);

	s->fired = true;
	if (shield) {
		shield->hidden++;
		shield->due = true;
		return;
	}
	t->fired++;
	t->due = true;
	task_interrupt(t);
}

int scope_check(const struct scope *s)
{
	if (s->task != task_current())
		return -EPERM;
	return s->task->scopes == s ? 0 : -EBUSY;
}

bool scope_leave(struct scope *s)
{
	struct task *t = s->task;
	bool own;

	assert(scope_check(s) == 0);
	t->scopes = s->outer;
	if (s->fired)
		t->fired--;
	own = s->fired && task_reasons(t) <= s->reasons;
	if (s->shield) {
		t->shields--;
		t->fired = s->hidden;
		t->due = s->due;
	}
	return own;
}

void task_request_cancel(struct task *t)
{
	struct scope *shield = shield_before(t, NULL);

	t->row.cancels++;
	if (shield) {
		shield->due = true;
		return;
	}
	t->due = true;
	task_interrupt(t);
}

uint32_t task_take_back_cancel(struct task *t)
{
	if (t->row.cancels > 0)
		t->row.cancels--;
	return t->row.cancels;
}

/* What hides the reasons that lie right outside of `s` (NULL: outside of all), or NULL. */
static struct scope *shield_before(const struct task *t, const struct scope *s)
{
	struct scope *shield = NULL;

	if (!t->shields)
		return NULL;
	for (struct scope *i = t->scopes; i != s; i = i->outer)
		if (i->shield)
			shield = i;
	return shield;
}
