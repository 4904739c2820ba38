#include "clock.h"
#include <time.h>

static int64_t clock_read(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts); /* can't fail for these clocks on Linux >= 2.6.39 */
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int64_t clock_monotonic(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

int64_t clock_boottime(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

int64_t clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}
