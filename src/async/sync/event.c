/*
 * event.c — asyncio.Event. While it is set, nobody waits.
 */
#include "waiters.h"

void ga_event_set(struct ga_event *event)
{
	event->set = true;
	waiters_tell_all(&event->waiters);
}

void ga_event_clear(struct ga_event *event)
{
	event->set = false;
}

bool ga_event_is_set(const struct ga_event *event)
{
	return event->set;
}

int ga_event_wait(struct ga_event *event, int64_t deadline)
{
	struct ga_waiter w;
	int r = waiters_begin();

	return r < 0 || event->set ? r : waiters_wait(&event->waiters, &w, "event", deadline);
}
