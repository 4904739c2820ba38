#include "group_desk.h"
#include "clock.h"
#include "engine_groups.h"
#include "group_map.h"
#include <errno.h>
#include <stdlib.h>

/* A group that is watched. */
struct watched {
	uint64_t sequence;
	struct list watches; /* struct group_watch */
	struct list dirty;   /* in group_desk.dirty: something is to be told */
	bool telling;        /* groups_flush() is at it */
};

static bool watched_matches(const void *item, const void *key)
{
	return ((const struct watched *)item)->sequence == *(const uint64_t *)key;
}

int groups_open(struct broker *b)
{
	struct group_desk *desk = calloc(1, sizeof(*desk));

	if (!desk)
		return -ENOMEM;
	map_init(&desk->watched, watched_matches);
	list_init(&desk->dirty);
	list_init(&desk->gatherings);
	list_init(&desk->failing);
	map_sources_init(desk);
	b->groups = desk;
	return 0;
}

void groups_close(struct broker *b)
{
	struct group_desk *desk = b->groups;
	struct watched *w;

	if (!desk)
		return;
	while ((w = map_take_any(&desk->watched)))
		free(w);
	list_splice_back(&desk->gatherings, &desk->failing);
	LIST_FOREACH(it, &desk->gatherings)
		gathering_free(gathering_at(it));
	map_done(&desk->watched);
	map_sources_done(desk);
	free(desk);
	b->groups = NULL;
}

static struct watched *find_watched(const struct broker *b, uint64_t sequence)
{
	return map_get(&b->groups->watched, sequence, &sequence);
}

static void on_limit(struct loop_timer *t)
{
	struct group_watch *w = container_of(t, struct group_watch, limit);

	group_watch_stop(w);
	w->fn(w, true);
}

int group_watch_start(struct broker *b, struct group_watch *w, const struct group *g,
		      int64_t deadline, group_watch_fn fn)
{
	struct watched *watched = find_watched(b, g->sequence);

	*w = (struct group_watch){ .sequence = g->sequence, .fn = fn };
	list_init(&w->mates);
	loop_timer_init(&w->limit, on_limit, w);
	if (!watched) {
		watched = calloc(1, sizeof(*watched));
		if (!watched)
			return -ENOMEM;
		watched->sequence = g->sequence;
		list_init(&watched->watches);
		list_init(&watched->dirty);
		if (map_put(&b->groups->watched, watched->sequence, watched) < 0) {
			free(watched);
			return -ENOMEM;
		}
	}
	w->broker = b;
	list_push_back(&watched->watches, &w->mates);
	if (deadline != TIME_NEVER && loop_timer_set(b->loop, &w->limit, deadline) < 0) {
		group_watch_stop(w);
		return -ENOMEM;
	}
	return 0;
}

static void let_go(struct broker *b, struct watched *watched)
{
	if (watched->telling || !list_empty(&watched->watches))
		return;
	map_take(&b->groups->watched, watched->sequence, &watched->sequence);
	list_remove(&watched->dirty);
	free(watched);
}

void group_watch_stop(struct group_watch *w)
{
	struct broker *b = w->broker;
	struct watched *watched;

	if (!b)
		return;
	w->broker = NULL;
	loop_timer_stop(b->loop, &w->limit);
	list_remove(&w->mates);
	watched = find_watched(b, w->sequence);
	if (watched)
		let_go(b, watched);
}

static void mark(struct broker *b, const struct group *g)
{
	struct watched *watched = b->groups->watched.used ? find_watched(b, g->sequence) : NULL;

	if (watched && !list_linked(&watched->dirty))
		list_push_back(&b->groups->dirty, &watched->dirty);
}

void groups_tell_member(struct broker *b, const struct job *job)
{
	if (job->extra && job->extra->group)
		mark(b, job->extra->group);
}

void groups_tell(struct broker *b, const struct group *g)
{
	mark(b, g);
	if (g->parent)
		mark(b, g->parent);
	map_source_forget(b, g->sequence);
}

/* Each watch is called once, whatever the calls start or stop. */
static void tell_watches(struct broker *b, struct watched *watched)
{
	struct list now, *node;

	watched->telling = true;
	list_init(&now);
	list_splice_back(&now, &watched->watches);
	while ((node = list_pop_front(&now))) {
		struct group_watch *w = LIST_ENTRY(node, struct group_watch, mates);

		list_push_back(&watched->watches, &w->mates);
		w->fn(w, false);
	}
	watched->telling = false;
	let_go(b, watched);
}

void groups_flush(struct broker *b)
{
	struct list *node;

	while ((node = list_pop_front(&b->groups->dirty)))
		tell_watches(b, LIST_ENTRY(node, struct watched, dirty));
}
