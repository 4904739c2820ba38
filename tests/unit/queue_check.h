/*
 * queue_check.h — for tests of queues: items are pointers into `letters`.
 */
#pragma once
#include "sync_check.h"
#include <gather/queue.h>

static char letters[] = "abcdefghijklmnopqrstuvwxyz";

#define QUEUE __attribute__((cleanup(ga_queue_freep))) ga_queue

static inline char *item(char letter)
{
	return &letters[letter - 'a'];
}

static inline ga_queue *queue_of(enum ga_queue_order order, size_t max)
{
	struct ga_queue_options options = { .order = order, .max = max };
	ga_queue *q = NULL;

	(void)!ga_queue_new(&options, &q);
	return q;
}

static inline char next(ga_queue *q) /* '?': none */
{
	void *got = NULL;

	return ga_queue_get_now(q, &got) == 0 ? *(char *)got : '?';
}

static inline bool gives(ga_queue *q, const char *text)
{
	while (*text)
		if (next(q) != *text++)
			return false;
	return true;
}

static inline int put_all(ga_queue *q, const char *text)
{
	for (; *text; text++) {
		int r = ga_queue_put_now(q, item(*text));

		if (r < 0)
			return r;
	}
	return 0;
}

static inline int get(const void *arg) /* notes what it got */
{
	struct actor *a = actor_of(arg);
	int r = ga_queue_get(a->thing, a->deadline, &a->item);

	note(a->order, a->name);
	if (r == 0)
		note(a->order, *(char *)a->item);
	return r;
}

static inline int put(const void *arg) /* puts its own letter */
{
	struct actor *a = actor_of(arg);
	int r = ga_queue_put(a->thing, item(a->name), a->deadline);

	if (r == 0)
		note(a->order, a->name);
	return r;
}

static inline int join(const void *arg)
{
	struct actor *a = actor_of(arg);

	return ga_queue_join(a->thing, a->deadline);
}

static inline void start(ga_coroutine_fn fn, ga_queue *q, struct order *order,
			 struct actor actors[], const char *names, ga_future *tasks[])
{
	for (int i = 0; names[i]; i++) {
		actors[i] = actor(names[i], q, order);
		tasks[i] = ga_spawn(fn, &actors[i]);
	}
}
