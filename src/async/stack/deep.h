/*
 * deep.h — running something on the loop's stack, which is deep, for a task, whose stack may be small.
 */
#pragma once

struct loop_call;

/* Call fn(arg) on the loop's stack; the task is parked until it has returned, and can't be cancelled meanwhile. Outside of
 * a task it is called at once. */
void deep_call(void (*fn)(void *arg), void *arg);
/* The same without waiting for it: the call is queued if a task runs, else made at once. */
void deep_call_soon(struct loop_call *c);
