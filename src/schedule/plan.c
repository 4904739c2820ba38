#include "plan.h"
#include "clock.h"

int64_t plan_next(const struct plan *p, int64_t now)
{
	int64_t next;

	if (p->every)
		return time_add(now, p->every);
	return cron_next(&p->cron, p->zone, now, &next) == 0 ? next : TIME_NEVER;
}

static int64_t settle_every(const struct plan *p, int64_t due, int64_t now, bool absent,
			    int64_t *ret_instant)
{
	bool missed = absent || now - due >= p->every;

	*ret_instant = missed && !p->once ? 0 : due;
	return every_next(due, p->every, now);
}

int64_t plan_settle(const struct plan *p, int64_t due, int64_t now, bool absent, int64_t *ret_instant)
{
	int64_t recent = due;

	if (p->every)
		return settle_every(p, due, now, absent, ret_instant);
	if (now - due >= PLAN_GRACE)
		recent = plan_next(p, now - PLAN_GRACE);
	*ret_instant = recent <= now ? recent : p->once ? due : 0;
	return plan_next(p, now);
}
