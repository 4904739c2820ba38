#include "clock.h"
#include "state.h"
#include <signal.h>
#include <stdlib.h>

static void phase_move(struct supervisor *s, enum phase phase, int64_t end)
{
	s->phase = phase;
	s->phase_end = end;
}

void phase_serve(struct supervisor *s, int64_t now)
{
	phase_move(s, PHASE_SERVING, TIME_NEVER);
	family_start(s, now);
}

void phase_drain(struct supervisor *s, int64_t now)
{
	if (s->phase == PHASE_TYPES || !child_lives(&s->broker)) {
		phase_stop(s, EXIT_SUCCESS, 2 * NSEC_PER_SEC, now);
		return;
	}
	log_notice("stopping: running jobs have %.0f s to finish",
		   (double)s->conf->drain_timeout / (double)NSEC_PER_SEC);
	phase_move(s, PHASE_DRAINING, time_add(now, s->conf->drain_timeout));
	service_stopping("finishing what runs", s->conf->drain_timeout);
	child_send(&s->broker, &(struct control_message){ .kind = CONTROL_DRAIN });
}

void phase_stop(struct supervisor *s, int status, int64_t patience, int64_t now)
{
	struct child *c;

	if (s->phase == PHASE_STOPPING)
		return;
	s->status = status;
	phase_move(s, PHASE_STOPPING, time_add(now, patience));
	service_stopping("stopping", patience);
	for (unsigned i = 0; (c = family_at(s, i)); i++) {
		c->restart_at = TIME_NEVER;
		child_end(c, END_ASKED, TIME_NEVER);
	}
}

static void all_killed(struct supervisor *s)
{
	struct child *c;

	for (unsigned i = 0; (c = family_at(s, i)); i++)
		child_kill(c, SIGKILL);
}

void phase_tick(struct supervisor *s, int64_t now)
{
	if (now < s->phase_end)
		return;
	s->phase_end = TIME_NEVER;
	if (s->phase == PHASE_DRAINING) {
		log_warning("running jobs didn't finish in time");
		phase_stop(s, EXIT_SUCCESS, 2 * NSEC_PER_SEC, now);
	} else if (s->phase == PHASE_STOPPING) {
		all_killed(s);
	}
}
