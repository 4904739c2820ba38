#include "sacrifice.h"
#include "log.h"

void sacrifice_wish(struct broker *b, enum action_kind kind)
{
	if (kind == ACTION_SACRIFICE && b->draining)
		return; /* nothing is begun any more */
	b->sacrifice = kind == ACTION_SACRIFICE ? CONTROL_SACRIFICE : CONTROL_DISMISS;
	sacrifice_pulse(b);
}

void sacrifice_pulse(struct broker *b)
{
	const struct control_message m = {
		.kind = b->sacrifice,
		.slot = SACRIFICE_SLOT,
		.incarnation = engine_worker_incarnation(b->engine, SACRIFICE_SLOT, NULL),
	};

	if (!b->sacrifice)
		return;
	if ((m.incarnation != 0) != (m.kind == CONTROL_DISMISS) ||
	    control_send(ROLE_FD_CONTROL, &m) == 0)
		b->sacrifice = 0; /* said, or settled meanwhile */
	else
		log_warning("the supervisor can't be told about the sacrificial worker now");
}
