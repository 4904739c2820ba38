/*
 * pulse.h — whether a child's loop still turns, by its heartbeat. Pure.
 *
 * Silence is summed up look by look, and one look counts for half the warning's time at most: when the supervisor itself
 * was stopped (a suspended machine, a frozen cgroup, SIGSTOP), the children were too, and are not to be killed for it.
 */
#pragma once
#include <stdint.h>

enum pulse_sign {
	PULSE_FINE,  /* nothing to do */
	PULSE_BACK,  /* it beats again after a warning */
	PULSE_WARN,  /* silent for long: say so */
	PULSE_ABORT, /* SIGABRT, so that it says where it hangs */
	PULSE_KILL,  /* SIGKILL: a stopped process takes no other */
};

struct pulse_limits {
	int64_t warn, abort, kill; /* ns of silence, ascending */
};

struct pulse {
	int64_t beat;   /* as last seen */
	int64_t looked; /* when */
	int64_t silent; /* since the beat changed */
	enum pulse_sign given;
};

void pulse_start(struct pulse *p, int64_t now);
/* What is new since the last look; each sign is given once in a silence. */
enum pulse_sign pulse_look(struct pulse *p, const struct pulse_limits *limits, int64_t now,
			   int64_t beat);
