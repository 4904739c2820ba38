/*
 * The sacrificial worker: a process in a slot of its own, where the broker has jobs run that may take their worker along.
 * It is there only while the broker wants it, and its deaths are expected: it is started again whenever the broker asks,
 * at once if the last one got as far as READY, else with a backoff, so that one that can't start doesn't spin.
 */
#include "clock.h"
#include "state.h"

void sacrifice_wanted(struct supervisor *s, int64_t now)
{
	struct child *c = &s->sacrifice;

	if (s->phase == PHASE_STOPPING)
		return;
	if (child_lives(c))
		s->sacrifice_next =
			c->end !=
			END_NONE; /* once that one has ended; a healthy one is what was asked for */
	else
		c->restart_at = MAX(now, s->sacrifice_earliest);
}

void sacrifice_dismissed(struct supervisor *s, uint64_t incarnation, int64_t now)
{
	struct child *c = &s->sacrifice;

	if (child_lives(c) && c->incarnation == incarnation && c->end == END_NONE)
		child_end(c, END_ASKED, now + REPLACE_PATIENCE);
}

void sacrifice_unwanted(struct supervisor *s)
{
	s->sacrifice_next = false;
	s->sacrifice.restart_at = TIME_NEVER;
}

void sacrifice_ended(struct supervisor *s, bool was_ready, int64_t now)
{
	struct child *c = &s->sacrifice;
	const struct restart_limits limits = {
		.limit = (unsigned)s->conf->worker_restarts,
		.window = s->conf->worker_restart_window,
		.first = s->conf->restart_delay,
		.longest = s->conf->restart_delay_max,
	};

	if (was_ready || c->end == END_ASKED) {
		c->restart = (struct restart){ 0 };
		s->sacrifice_earliest = now;
	} else {
		s->sacrifice_earliest = now + restart_after(&c->restart, &limits, c->started, now,
							    random_unit(&s->random));
	}
	if (s->sacrifice_next) {
		s->sacrifice_next = false;
		sacrifice_wanted(s, now);
	}
}
