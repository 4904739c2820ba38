#include "park_until.h"
#include "clock.h"
#include <errno.h>

static void on_deadline(struct loop_timer *t);

int park_wait_until(struct park_until *p, int64_t deadline)
{
	struct loop *l;
	int r;

	if (deadline == TIME_NEVER)
		return park_wait(&p->park);
	l = loop_current();
	loop_timer_init(&p->timer, on_deadline, p);
	r = loop_timer_set(l, &p->timer, deadline);
	if (r < 0)
		park_undo(&p->park, r);
	r = park_wait(&p->park);
	loop_timer_stop(l, &p->timer);
	return r;
}

static void on_deadline(struct loop_timer *t)
{
	struct park_until *p = t->arg;

	park_undo(&p->park, -ETIMEDOUT);
}
