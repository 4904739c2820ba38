/*
 * scope.h — a stretch of a task's code that can be interrupted as a whole: what timeouts, shields and groups are made of.
 *
 * Embedded in a frame of the task and owned by it; scopes nest. A scope that has fired is a reason to cancel the task, as
 * is each request of ga_cancel(), until it is left. A shield hides the reasons that lie outside of it: they are felt when
 * it is left. Whose an interruption was is decided by counting: if no more reasons are felt when a scope is left than when
 * it was entered, its own aside, it was its own.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct task;

struct scope {
	struct scope *outer;
	struct task *task;
	uint32_t reasons; /* felt at its entry */
	uint32_t hidden;  /* a shield's: fired scopes right outside of it */
	bool shield, fired;
	bool due; /* a shield's: what it hides is yet to be delivered */
};

void scope_enter(struct scope *s, struct task *t, bool shield);
/* Interrupt the task as long as it is inside. Once. */
void scope_fire(struct scope *s);
/* Whether it can be left: 0; -EPERM: another task's; -EBUSY: one inside of it hasn't been left. */
int scope_check(const struct scope *s);
/* The innermost one of the running task. True: it fired, and what interrupted the task was that. */
bool scope_leave(struct scope *s);
