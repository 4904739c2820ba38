/*
 * How long a failed job waits for its next attempt: initial * factor^(failures - 1), at most `maximum`, spread by the
 * jitter so that jobs that failed together don't come back together.
 */
#include "clock.h"
#include "engine_parts.h"

static double power(double base, unsigned exponent)
{
	double result = 1;

	for (; exponent > 0; exponent >>= 1) {
		if (exponent & 1)
			result *= base;
		base *= base;
	}
	return result;
}

int64_t retry_delay(const struct retry_policy *p, unsigned failures, uint32_t retry_after_ms, double unit)
{
	double maximum_ms = p->maximum_ms, floor_ms = retry_after_ms;
	double wait_ms = p->initial_ms * power(p->factor, failures > 0 ? failures - 1 : 0);

	/* Written so that infinities and NaN from odd factors end at the maximum. */
	if (!(wait_ms < maximum_ms))
		wait_ms = maximum_ms;
	wait_ms *= 1 + p->jitter * (2 * unit - 1);
	if (!(wait_ms < maximum_ms))
		wait_ms = maximum_ms;
	if (!(wait_ms > floor_ms)) /* below zero too */
		wait_ms = floor_ms;
	return (int64_t)(wait_ms * (double)NSEC_PER_MSEC);
}

int64_t engine_due(const struct engine *e, const struct job *job)
{
	switch (job->state) {
	case JOB_RETRYING:
	case JOB_SCHEDULED:
		return heap_due(&e->waiting, &job->due);
	case JOB_ACCEPTED:
	case JOB_BLOCKED:
		return job->extra ? job->extra->starts_at : 0;
	default:
		return 0;
	}
}
