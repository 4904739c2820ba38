/*
 * as_completed.c — futures in the order in which they end.
 */
#include "debugging.h"
#include "future.h"
#include "park_until.h"
#include "task.h"
#include <assert.h>
#include <errno.h>
#include <gather/group.h>
#include <stdlib.h>

struct place {
	struct future_waiter waiter; /* linked while its future is pending */
	struct list done;            /* in iterator.done, until it is handed out */
	struct ga_as_completed *iterator;
	struct ga_future *future;
};

struct ga_as_completed {
	struct list done, takers;
	size_t count, taken;
	struct loop *loop;
	struct place places[];
};

struct taker {
	struct park_until wait;
	struct list node; /* in iterator.takers; unlinked when woken */
};

static int check(struct ga_future *const futures[], size_t count);
static void on_one_done(struct future_waiter *w, struct ga_future *f);
static void wake_one(struct ga_as_completed *c);
static int wait_for_one(struct ga_as_completed *c, int64_t deadline);
static enum park_answer taker_abort(struct park *p);

int ga_as_completed_new(ga_future *const futures[], size_t count, ga_as_completed **ret_iterator)
{
	int r = check(futures, count);
	ga_as_completed *c;

	if (r < 0)
		return r;
	if (count > (SIZE_MAX - sizeof(*c)) / sizeof(c->places[0]))
		return -ENOMEM;
	c = malloc(sizeof(*c) + count * sizeof(c->places[0]));
	if (!c)
		return -ENOMEM;
	*c = (struct ga_as_completed){ .count = count, .loop = loop_current() };
	list_init(&c->done);
	list_init(&c->takers);
	for (size_t i = 0; i < count; i++) {
		struct place *p = &c->places[i];

		*p = (struct place){ .iterator = c, .future = futures[i] };
		list_init(&p->waiter.node);
		list_init(&p->done);
		if (ga_done(futures[i]))
			list_push_back(&c->done, &p->done);
		else
			future_wait(futures[i], &p->waiter, on_one_done);
	}
	*ret_iterator = c;
	return 0;
}

int ga_as_completed_next(ga_as_completed *iterator, int64_t deadline, ga_future **ret_future)
{
	struct place *p;
	int r;

	if (iterator->loop != loop_current() || !task_current())
		return -EPERM;
	r = list_empty(&iterator->done) ? 0 : coop_spend();
	while (r >= 0 && list_empty(&iterator->done)) {
		if (iterator->taken == iterator->count)
			return -ENODATA;
		r = wait_for_one(iterator, deadline);
	}
	if (r < 0)
		return r;
	p = LIST_ENTRY(list_pop_front(&iterator->done), struct place, done);
	iterator->taken++;
	if (iterator->taken == iterator->count)
		while (!list_empty(&iterator->takers))
			wake_one(iterator);
	*ret_future = p->future;
	return 0;
}

void ga_as_completed_free(ga_as_completed *iterator)
{
	if (!iterator)
		return;
	assert(list_empty(&iterator->takers));
	for (size_t i = 0; i < iterator->count; i++)
		future_unwait(&iterator->places[i].waiter);
	free(iterator);
}

static int check(struct ga_future *const futures[], size_t count)
{
	if (!loop_current())
		return -EPERM;
	for (size_t i = 0; i < count; i++) {
		if (!futures[i])
			continue;
		if (!future_is_here(futures[i], "ga_as_completed_new"))
			return -EPERM;
		if (futures[i] == ga_self())
			return -EDEADLK;
	}
	return 0;
}

static void on_one_done(struct future_waiter *w, struct ga_future *f)
{
	struct place *p = container_of(w, struct place, waiter);

	if (debug_on())
		debug_unread(f);
	list_push_back(&p->iterator->done, &p->done);
	wake_one(p->iterator);
}

static void wake_one(struct ga_as_completed *c)
{
	struct list *node = list_pop_front(&c->takers);

	if (node)
		park_wake(&LIST_ENTRY(node, struct taker, node)->wait.park, 0);
}

/* What it is woken for stays in the list of those that are done until it runs: nothing is lost with it. */
static int wait_for_one(struct ga_as_completed *c, int64_t deadline)
{
	struct taker taker;
	int r = park_begin(&taker.wait.park, taker_abort);

	if (r < 0)
		return r;
	park_for(&taker.wait.park, "as_completed");
	list_push_back(&c->takers, &taker.node);
	return park_wait_until(&taker.wait, deadline);
}

static enum park_answer taker_abort(struct park *p)
{
	struct taker *taker = container_of(p, struct taker, wait.park);

	list_remove(&taker->node);
	return PARK_ABORTED;
}
