/*
 * restart.h — when a dead child is started again. Pure: it is told the time and the chance.
 *
 * The wait doubles from the first (100 ms) to the longest (30 s) with each death, and starts over once a child has lived for a whole window.
 * More than `limit` deaths within `window`: the caller's child either waits the longest each time, or is given up.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <stdint.h>

#define RESTART_FIRST (INT64_C(100) * 1000 * 1000)
#define RESTART_LONGEST (INT64_C(30) * 1000 * 1000 * 1000)
#define RESTART_GIVE_UP (-1)

/* So many deaths are remembered: a limit from here on is never passed. */
#define RESTART_MEMORY 128

struct restart_limits {
	unsigned limit;
	int64_t window;         /* ns */
	bool give_up;           /* past the limit: RESTART_GIVE_UP instead of the longest wait */
	int64_t first, longest; /* ns; 0: RESTART_FIRST, RESTART_LONGEST */
};

/* Zeroed: nothing has died yet. */
struct restart {
	int64_t deaths[RESTART_MEMORY]; /* a ring */
	uint64_t count;
	unsigned level; /* of the doubling */
};

/* The child that was started at `started` has died `now`: how long to wait, in ns, or RESTART_GIVE_UP. `chance` in
 * [0, 1) spreads those that died together over a further fifth of the wait. */
int64_t restart_after(struct restart *r, const struct restart_limits *limits, int64_t started,
		      int64_t now, double chance);
