/*
 * signals.h — signals as events of the loop.
 *
 * One loop of a process has them at a time. A handler of our own notes the signal and wakes the loop, so no signal is
 * blocked and what the program executes inherits nothing odd.
 */
#pragma once
#include "runtime.h"

/* Call fn on the loop when the signal comes and no ga_signal_future() waits for it. -EBUSY: another loop has the signals;
 * -EINVAL: it can't be caught. Replaces a former fn. Comes it again before fn could be called, because something blocks
 * the loop, it ends the program. */
int signals_on(struct runtime *rt, int sig, void (*fn)(void *arg), void *arg) GA_MUST_CHECK;
/* The signal does again what it did before; not if a ga_signal_future() has taken it over. */
void signals_off(struct runtime *rt, int sig);
void signals_close(struct runtime *rt); /* all of them */
