/*
 * deep.c — one call on the loop's stack.
 */
#include "deep.h"
#include "loop.h"
#include "park.h"
#include "task.h"

struct deep {
	struct park park;
	struct loop_call call;
	void (*fn)(void *arg);
	void *arg;
};

static void on_turn(struct loop_call *c)
{
	struct deep *d = c->arg;

	d->fn(d->arg);
	park_wake(&d->park, 0);
}

static enum park_answer refuse(struct park *p GA_UNUSED)
{
	return PARK_CANNOT; /* it comes at once, and arg is the caller's */
}

void deep_call(void (*fn)(void *arg), void *arg)
{
	struct deep d = { .fn = fn, .arg = arg };

	if (park_begin(&d.park, refuse) < 0) {
		fn(arg);
		return;
	}
	park_for(&d.park, "loop's stack");
	loop_call_init(&d.call, on_turn, &d);
	loop_call_soon(loop_current(), &d.call);
	(void)park_wait(&d.park);
}

void deep_call_soon(struct loop_call *c)
{
	if (task_current())
		loop_call_soon(loop_current(), c);
	else
		c->fn(c);
}
