#include "restart.h"

static bool is_past_limit(const struct restart *r, const struct restart_limits *limits, int64_t now)
{
	uint64_t oldest;

	if (limits->limit >= RESTART_MEMORY || r->count <= limits->limit)
		return false;
	oldest = r->count - 1 - limits->limit;
	return now - r->deaths[oldest % RESTART_MEMORY] < limits->window;
}

int64_t restart_after(struct restart *r, const struct restart_limits *limits, int64_t started,
		      int64_t now, double chance)
{
	int64_t longest = limits->longest ? limits->longest : RESTART_LONGEST;
	int64_t first = MIN(limits->first ? limits->first : RESTART_FIRST, longest);
	int64_t wait = longest;

	if (now - started >= limits->window)
		r->level = 0;
	r->deaths[r->count++ % RESTART_MEMORY] = now;
	if (is_past_limit(r, limits, now)) {
		if (limits->give_up)
			return RESTART_GIVE_UP;
		r->level = 63; /* stays there until a child lives for a whole window */
	}
	if (r->level < 32) {
		wait = first > longest >> r->level ? longest : first << r->level;
		r->level++;
	}
	return wait + (int64_t)((double)wait * 0.2 * chance);
}
