/*
 * sync_storm.h — random programs: tasks that use one thing, cancel each other and time out, in an order drawn from a seed.
 *
 * A world is the thing and what must hold of it. Its tasks' times are multiples of STORM_TICK; between them, when nothing is
 * left that could go on, the storm asks the world whether that is right: who waits then waits for good reason.
 */
#pragma once
#include "sync_check.h"

#define STORM_ACTORS 8
#define STORM_TICK 1000

struct storm;

struct storm_actor {
	struct storm *storm;
	ga_future *task;
	bool waits; /* told by the world */
	uint32_t ticket;
	bool overtaken;
};

struct storm_world {
	const char *name;
	int (*begin)(void *world, struct storm *s);
	int (*step)(void *world, struct storm_actor *a); /* of a task's; GA_ASYNC */
	int (*quiet)(void *world, struct storm *s);      /* nothing can go on */
	void (*stir)(void *world, struct storm *s);      /* from outside, now and then */
	void (*last)(void *world, struct storm *s);      /* nobody is to wait for more */
	int (*end)(void *world, struct storm *s);
	size_t size;
};

struct storm {
	const struct storm_world *world;
	void *state; /* of the world, zeroed for each seed */
	struct storm_actor actors[STORM_ACTORS];
	uint64_t random;
	uint32_t tickets;
	bool over; /* no more steps */
};

/* Run so many seeds, or the one in $STORM_SEED: 0, or the first failure (printed with its seed). */
int storm_run(const struct storm_world *world, uint64_t seeds);

uint32_t storm_draw(struct storm *s, uint32_t below);
int64_t storm_deadline(struct storm *s); /* none, passed, or soon */
int storm_hold(struct storm *s);         /* suspend for a while, or not at all; GA_ASYNC */
void storm_cancel_someone(struct storm *s, const struct storm_actor *but);
int storm_waiting(const struct storm *s);
/* Around a wait: whom a later one overtakes mustn't succeed. For things of which one at a time is given. */
void storm_wait(struct storm_actor *a);
int storm_got(struct storm_actor *a, int result);
