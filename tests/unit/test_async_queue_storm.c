/* Storms over queues: no item is lost or doubled, and nobody sleeps while there is an item, or room, for it. */
#include "sync_storm.h"
#include <gather/queue.h>

enum { SEEDS = 400, ITEMS = 1024 };

enum fate { UNUSED, IN, OUT, DROPPED };

struct queue_world {
	ga_queue *queue;
	enum ga_queue_order order;
	struct thing {
		int priority;
		uint32_t arrival;
		enum fate fate;
	} things[ITEMS];
	int used;
	uint32_t arrivals;
	int in, unfinished;
	int getting, putting; /* tasks that wait */
	bool shut;
};

static int by_priority(const void *a, const void *b)
{
	return ((const struct thing *)a)->priority - ((const struct thing *)b)->priority;
}

static void on_drop(void *item)
{
	((struct thing *)item)->fate = DROPPED;
}

static int begin(void *world, struct storm *s)
{
	struct queue_world *w = world;
	struct ga_queue_options options = {
		.order = (enum ga_queue_order)storm_draw(s, 3),
		.max = storm_draw(s, 4),
		.compare = by_priority,
		.drop = on_drop,
	};

	w->order = options.order;
	return ga_queue_new(&options, &w->queue);
}

static int produce(struct queue_world *w, struct storm_actor *a)
{
	struct thing *new = &w->things[w->used];
	int r;

	if (w->used == ITEMS)
		return 0;
	w->used++;
	new->priority = (int)storm_draw(a->storm, 4);
	if (storm_draw(a->storm, 4) == 0) {
		r = ga_queue_put_now(w->queue, new);
		EXPECT(r == 0 || (r == -ESHUTDOWN && w->shut) ||
		       (r == -EAGAIN && ga_queue_max(w->queue) > 0));
	} else {
		w->putting++;
		r = ga_queue_put(w->queue, new, storm_deadline(a->storm));
		w->putting--;
		EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT || (r == -ESHUTDOWN && w->shut));
	}
	if (r < 0)
		return 0;
	EXPECT(!w->shut);
	EXPECT(new->fate == UNUSED);
	new->fate = IN;
	new->arrival = ++w->arrivals;
	w->in++;
	w->unfinished++;
	EXPECT(ga_queue_max(w->queue) == 0 || ga_queue_size(w->queue) <= ga_queue_max(w->queue));
	return 0;
}

/* What was got is what should come next. */
static int check_order(struct queue_world *w, const struct thing *got)
{
	for (int i = 0; i < w->used; i++) {
		const struct thing *other = &w->things[i];

		if (other->fate != IN)
			continue;
		EXPECT(w->order != GA_FIFO || other->arrival > got->arrival);
		EXPECT(w->order != GA_LIFO || other->arrival < got->arrival);
		EXPECT(w->order != GA_PRIORITY || other->priority > got->priority ||
		       (other->priority == got->priority && other->arrival > got->arrival));
	}
	return 0;
}

static int consume(struct queue_world *w, struct storm_actor *a)
{
	void *got = NULL;
	struct thing *thing;
	int r;

	if (storm_draw(a->storm, 4) == 0) {
		r = ga_queue_get_now(w->queue, &got);
		EXPECT(r == 0 || r == -EAGAIN || (r == -ESHUTDOWN && w->shut));
	} else {
		w->getting++;
		r = ga_queue_get(w->queue, storm_deadline(a->storm), &got);
		w->getting--;
		EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT || (r == -ESHUTDOWN && w->shut));
	}
	EXPECT(r != -ESHUTDOWN || ga_queue_empty(w->queue));
	if (r < 0)
		return 0;
	thing = got;
	EXPECT(thing->fate == IN);
	thing->fate = OUT;
	w->in--;
	r = check_order(w, thing);
	if (r < 0)
		return r;
	(void)storm_hold(a->storm);
	EXPECT(ga_queue_task_done(w->queue) == 0);
	w->unfinished--;
	return 0;
}

static void shut(struct queue_world *w, bool immediate)
{
	w->shut = true;
	ga_queue_shutdown(w->queue, immediate);
	if (!immediate)
		return;
	w->unfinished -= w->in;
	w->in = 0;
}

static int step(void *world, struct storm_actor *a)
{
	struct queue_world *w = world;
	uint32_t what = storm_draw(a->storm, 16);
	int r;

	if (what == 0) {
		r = ga_queue_join(w->queue, storm_deadline(a->storm));
		EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
		return 0;
	}
	r = what < 8 ? produce(w, a) : consume(w, a);
	if (storm_draw(a->storm, 100) == 0)
		shut(w, storm_draw(a->storm, 4) == 0);
	if (storm_draw(a->storm, 2) == 0)
		storm_cancel_someone(a->storm, a);
	return r;
}

static int quiet(void *world, struct storm *s GA_UNUSED)
{
	struct queue_world *w = world;

	EXPECT(ga_queue_size(w->queue) == (size_t)w->in);
	EXPECT(w->in == 0 || w->getting == 0);
	EXPECT(ga_queue_full(w->queue) || w->putting == 0);
	EXPECT(!w->shut || w->getting + w->putting == 0);
	return 0;
}

static void stir(void *world, struct storm *s)
{
	if (storm_draw(s, 60) == 0)
		shut(world, storm_draw(s, 2));
}

static void last(void *world, struct storm *s)
{
	shut(world, storm_draw(s, 2));
	shut(world, true); /* or who joins would wait for what nobody gets any more */
}

static int end(void *world, struct storm *s GA_UNUSED)
{
	struct queue_world *w = world;
	void *got;

	EXPECT(ga_queue_size(w->queue) == (size_t)w->in);
	while (ga_queue_get_now(w->queue, &got) == 0) {
		EXPECT(((struct thing *)got)->fate == IN);
		((struct thing *)got)->fate = OUT;
		EXPECT(ga_queue_task_done(w->queue) == 0);
		w->unfinished--;
		w->in--;
	}
	EXPECT(w->in == 0 && w->unfinished == 0);
	EXPECT(ga_queue_join(w->queue, 0) == 0);
	EXPECT(ga_queue_task_done(w->queue) == -EINVAL);
	for (int i = 0; i < w->used; i++)
		EXPECT(w->things[i].fate != IN);
	ga_queue_free(w->queue);
	return 0;
}

static void in_a_storm_a_queue_neither_loses_nor_doubles_items_and_forgets_nobody(void **state GA_UNUSED)
{
	static const struct storm_world world = {
		.name = "queue",
		.size = sizeof(struct queue_world),
		.begin = begin,
		.step = step,
		.quiet = quiet,
		.stir = stir,
		.last = last,
		.end = end,
	};

	assert_int_equal(storm_run(&world, SEEDS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_storm_a_queue_neither_loses_nor_doubles_items_and_forgets_nobody),
	};

	return TAP_RUN(tests);
}
