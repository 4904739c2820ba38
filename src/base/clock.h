/*
 * clock.h — the clocks, in nanoseconds. Only edges of the program read them; pure code is told the time.
 */
#pragma once
#include <stdint.h>

#define NSEC_PER_USEC INT64_C(1000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_SEC INT64_C(1000000000)

/* No deadline. Later than every time that a clock returns. */
#define TIME_NEVER INT64_MAX

int64_t clock_monotonic(void); /* CLOCK_MONOTONIC: deadlines and timers inside one process */
int64_t clock_boottime(void); /* CLOCK_BOOTTIME: the engine's time; goes on while the machine sleeps */
int64_t clock_wall(void);     /* CLOCK_REALTIME: Unix time, for people and ids */

/* a + b, or TIME_NEVER if that is beyond it; b >= 0. */
static inline int64_t time_add(int64_t a, int64_t b)
{
	return a > TIME_NEVER - b ? TIME_NEVER : a + b;
}
