#include "job_wait.h"
#include "clock.h"

static void on_limit(struct loop_timer *t);
static void leave(struct job_wait *w);

bool job_wait_match(const void *item, const void *key)
{
	const struct job_wait *w = item;

	return uuid_equal(&w->id, key);
}

int job_wait_start(struct broker *b, struct job_wait *w, const struct job *job, int64_t deadline,
		   job_wait_fn fn)
{
	struct job_wait *first = map_get(&b->waits, uuid_hash(&job->id), &job->id);

	*w = (struct job_wait){ .broker = b, .id = job->id, .fn = fn };
	list_init(&w->mates);
	loop_timer_init(&w->limit, on_limit, w);
	if (deadline != TIME_NEVER) {
		int r = loop_timer_set(b->loop, &w->limit, deadline);

		if (r < 0)
			return r;
	}
	if (first) {
		list_push_back(&first->mates, &w->mates);
		return 0;
	}
	int r = map_put(&b->waits, uuid_hash(&job->id), w);

	if (r < 0)
		loop_timer_stop(b->loop, &w->limit);
	w->leads = r == 0;
	return r;
}

/* Out of the map, which then knows the next mate, if any. */
static void leave(struct job_wait *w)
{
	struct broker *b = w->broker;
	struct list *next = w->mates.next;

	loop_timer_stop(b->loop, &w->limit);
	if (w->leads) {
		map_take(&b->waits, uuid_hash(&w->id), &w->id);
		w->leads = false;
		if (next != &w->mates) {
			struct job_wait *heir = LIST_ENTRY(next, struct job_wait, mates);

			/* The place that was just left is free, so this can't fail. */
			heir->leads = map_put(&b->waits, uuid_hash(&heir->id), heir) == 0;
		}
	}
	list_remove(&w->mates);
	w->broker = NULL;
}

void job_wait_stop(struct job_wait *w)
{
	if (w->broker)
		leave(w);
}

bool job_is_awaited(const struct job *job)
{
	return !job_state_is_final(job->state) || job->untold;
}

static void on_limit(struct loop_timer *t)
{
	struct job_wait *w = container_of(t, struct job_wait, limit);
	struct broker *b = w->broker;
	struct job *job;

	/* If it left already, its end is on the way to the store, and is told in a moment. */
	if (engine_find(broker_engine(b), &w->id, &job) < 0)
		return;
	leave(w);
	w->fn(w, job, WAIT_OVER);
}

void job_waits_tell(struct broker *b, struct job *job, enum job_wait_end end)
{
	struct job_wait *w;

	if (b->waits.used == 0)
		return;
	while ((w = map_get(&b->waits, uuid_hash(&job->id), &job->id))) {
		leave(w);
		w->fn(w, job, end);
	}
}
