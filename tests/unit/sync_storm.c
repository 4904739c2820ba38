#include "sync_storm.h"
#include <gather/runner.h>
#include <stdlib.h>

enum { STEPS = 24, QUIETS = 60 };

static int storm_main(const void *arg);
static int act(const void *arg);

int storm_run(const struct storm_world *world, uint64_t seeds)
{
	const char *only = getenv("STORM_SEED");
	uint64_t first = only ? strtoull(only, NULL, 10) : 1;
	void *state = malloc(world->size);
	int r = state ? 0 : -ENOMEM;

	for (uint64_t seed = first; r == 0 && seed <= (only ? first : seeds); seed++) {
		struct ga_run_options options = { .edge_cancel = seed % 2,
						  .virtual_time = true,
						  .seed = seed };
		struct storm s = { .world = world, .state = state, .random = seed };

		memset(state, 0, world->size);
		r = ga_run_with(storm_main, &s, &options);
		if (r != 0)
			fprintf(stderr, "%s: STORM_SEED=%llu: %d\n", world->name,
				(unsigned long long)seed, r);
	}
	free(state);
	return r;
}

/* Splitmix64. */
uint32_t storm_draw(struct storm *s, uint32_t below)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ z >> 31) >> 16) % below;
}

int64_t storm_deadline(struct storm *s)
{
	uint32_t kind = storm_draw(s, 8);

	if (kind < 4)
		return GA_NEVER;
	if (kind == 4)
		return 0;
	return (ga_now() / STORM_TICK + 1 + storm_draw(s, 4)) * STORM_TICK;
}

int storm_hold(struct storm *s)
{
	uint32_t ticks = storm_draw(s, 5);

	if (ticks == 0)
		return 0;
	return ticks == 1 ? ga_sleep(0)
			  : ga_sleep_until((ga_now() / STORM_TICK + ticks - 1) * STORM_TICK);
}

void storm_cancel_someone(struct storm *s, const struct storm_actor *but)
{
	struct storm_actor *a = &s->actors[storm_draw(s, STORM_ACTORS)];

	if (a != but && !s->over)
		ga_cancel(a->task);
}

int storm_waiting(const struct storm *s)
{
	int waiting = 0;

	for (int i = 0; i < STORM_ACTORS; i++)
		waiting += s->actors[i].waits;
	return waiting;
}

void storm_wait(struct storm_actor *a)
{
	a->waits = true;
	a->ticket = a->storm->tickets++;
	a->overtaken = false;
}

int storm_got(struct storm_actor *a, int result)
{
	a->waits = false;
	EXPECT(result >= 0 || result == -ECANCELED || result == -ETIMEDOUT);
	if (result < 0)
		return 0;
	EXPECT(!a->overtaken);
	for (int i = 0; i < STORM_ACTORS; i++) {
		struct storm_actor *other = &a->storm->actors[i];

		if (other->waits && other->ticket < a->ticket)
			other->overtaken = true;
	}
	return 0;
}

static int act(const void *arg)
{
	struct storm_actor *a = (struct storm_actor *)(uintptr_t)arg;
	struct storm *s = a->storm;

	for (int step = 0; step < STEPS && !s->over; step++) {
		int64_t limit = storm_draw(s, 4) == 0 ? storm_deadline(s) : GA_NEVER;
		struct ga_timeout scope;
		int r;

		EXPECT(ga_timeout_enter(&scope, limit) == 0);
		r = ga_timeout_exit(&scope, s->world->step(s->state, a));
		if (r < 0 && r != -ECANCELED && r != -ETIMEDOUT)
			return r;
		while (ga_uncancel() > 0)
			;
		r = storm_hold(s);
		EXPECT(r == 0 || r == -ECANCELED);
		while (ga_uncancel() > 0)
			;
	}
	return 0;
}

/* Wakes half a tick off the others, so that all of them are asleep. */
static int wait_for_quiet(struct storm *s)
{
	int64_t tick = ga_now() / STORM_TICK + 1 + storm_draw(s, 3);

	EXPECT(ga_sleep_until(tick * STORM_TICK + STORM_TICK / 2) == 0);
	return s->world->quiet(s->state, s);
}

static int storm_main(const void *arg)
{
	struct storm *s = (struct storm *)(uintptr_t)arg;
	ga_future *tasks[STORM_ACTORS];
	int r = s->world->begin(s->state, s);

	for (int i = 0; i < STORM_ACTORS; i++) {
		s->actors[i].storm = s;
		tasks[i] = s->actors[i].task = ga_spawn(act, &s->actors[i]);
	}
	for (int i = 0; i < QUIETS && r == 0; i++) {
		r = wait_for_quiet(s);
		if (storm_draw(s, 2))
			s->world->stir(s->state, s);
		if (storm_draw(s, 2))
			storm_cancel_someone(s, NULL);
	}
	/* Nobody is cancelled any more: who sleeps now for good was forgotten. */
	s->over = true;
	s->world->last(s->state, s);
	if (r == 0 && ga_wait(tasks, STORM_ACTORS, GA_ALL_COMPLETED, ga_now() + GA_SECONDS(1)) !=
			      STORM_ACTORS)
		r = -EDEADLK;
	for (int i = 0; i < STORM_ACTORS; i++) {
		int ended = ga_await_until(tasks[i], 0);

		if (r == 0 && ended != -ECANCELED) /* before its first run */
			r = ended;
	}
	ga_release_all(tasks, STORM_ACTORS);
	return r == 0 ? s->world->end(s->state, s) : r;
}
