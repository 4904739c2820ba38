/*
 * plan.h — when something recurs: at the times of a cron expression, or every so often; and what becomes of times that
 * passed while nobody was there.
 *
 * A plan counts on one clock: a cron plan on the wall clock (Unix ns), one of `every` on a clock that only runs forward.
 * Pure: the caller says what time it is.
 */
#pragma once
#include "cron.h"

/* A cron time holds for its minute: who comes that late has not missed it. */
#define PLAN_GRACE INT64_C(60000000000)

struct plan {
	int64_t every; /* ns; 0: by cron */
	struct cron cron;
	struct zone *zone; /* of the cron expression */
	bool once;         /* what was missed is made good once; else it is passed over */
};

/* When it is due after `now`, for one that begins then; TIME_NEVER: never. */
int64_t plan_next(const struct plan *p, int64_t now);
/* It was due at `due`, and `now` is not before that; `absent`: nobody has been there since. Returns when it is due again;
 * *ret_instant is the time to make good now, or 0. */
int64_t plan_settle(const struct plan *p, int64_t due, int64_t now, bool absent, int64_t *ret_instant);
