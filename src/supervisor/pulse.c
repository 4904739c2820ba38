#include "pulse.h"
#include "compiler.h"

void pulse_start(struct pulse *p, int64_t now)
{
	*p = (struct pulse){ .looked = now };
}

static enum pulse_sign sign_of(int64_t silent, const struct pulse_limits *limits)
{
	if (silent >= limits->kill)
		return PULSE_KILL;
	if (silent >= limits->abort)
		return PULSE_ABORT;
	return silent >= limits->warn ? PULSE_WARN : PULSE_FINE;
}

enum pulse_sign pulse_look(struct pulse *p, const struct pulse_limits *limits, int64_t now, int64_t beat)
{
	int64_t passed = MIN(now - p->looked, limits->warn / 2);
	enum pulse_sign sign;

	p->looked = now;
	if (beat != p->beat) {
		sign = p->given == PULSE_FINE ? PULSE_FINE : PULSE_BACK;
		p->beat = beat;
		p->silent = 0;
		p->given = PULSE_FINE;
		return sign;
	}
	p->silent += MAX(passed, 0);
	sign = sign_of(p->silent, limits);
	if (sign <= p->given)
		return PULSE_FINE;
	p->given = sign;
	return sign;
}
