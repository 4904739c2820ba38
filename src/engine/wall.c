/*
 * The wall clock was set: what is meant in wall time (run_at, a deadline at an instant) moves in the engine's time. Rare,
 * and then linear in the number of jobs.
 */
#include "clock.h"
#include "engine_parts.h"
#include <stdlib.h>

/* Less than that is the clock's own drift, made up for when it has added up. */
#define STEP (50 * NSEC_PER_MSEC)

static void job_shift(struct engine *e, struct job *job, int64_t by);

void wall_advance(struct engine *e, int64_t now, int64_t now_wall)
{
	int64_t offset = now_wall - now, by = e->wall_offset - offset;

	if (GA_LIKELY(e->wall_known && llabs(by) < STEP))
		return;
	e->wall_offset = offset;
	if (!e->wall_known) {
		e->wall_known = true;
		return;
	}
	for (struct job *job = table_older(&e->table, NULL); job; job = table_older(&e->table, job))
		if (job->due_wall || job->deadline_wall)
			job_shift(e, job, by);
}

/* Never to 0, which is none. Both are in their heaps already, so that moving them takes no memory. */
static int64_t shifted(int64_t at, int64_t by)
{
	if (at == TIME_NEVER)
		return at;
	return MAX(by > 0 ? time_add(at, by) : at + by, 1);
}

static void job_shift(struct engine *e, struct job *job, int64_t by)
{
	struct job_extra *x = job->extra;

	if (job->due_wall && job->state == JOB_SCHEDULED)
		(void)!heap_set(&e->waiting, &job->due, shifted(heap_due(&e->waiting, &job->due), by));
	if (job->due_wall && x && x->starts_at)
		x->starts_at = shifted(x->starts_at, by);
	if (job->deadline_wall && x && heap_holds(&x->deadline_due)) {
		x->deadline = shifted(x->deadline, by);
		(void)!heap_set(&e->deadlines, &x->deadline_due, x->deadline);
	}
}
