/*
 * park_until.h — a park that ends at a deadline.
 *
 *	struct op { struct park_until wait; ... } op = ...;
 *	int r = park_begin(&op.wait.park, op_abort);
 *	if (r < 0)
 *		return r;
 *	... start the operation; its end calls park_wake(&op.wait.park, result) ...
 *	return park_wait_until(&op.wait, deadline);
 *
 * At the deadline `abort` is asked to undo the operation, as it is by a cancel. The timer lies in the waiting frame: setting
 * and stopping it is a place in the loop's heap of timers, and nothing without a deadline.
 */
#pragma once
#include "loop.h"
#include "park.h"

struct park_until {
	struct park park;
	struct loop_timer timer;
};

/* As park_wait(); -ETIMEDOUT: undone at the deadline. -ENOMEM: undone, for want of a place for the timer. */
int park_wait_until(struct park_until *p, int64_t deadline);
