/* Storms over locks, semaphores, events, conditions and barriers. */
#include "sync_storm.h"

enum { SEEDS = 300, PARTIES = 3 };

static void nothing(void *world GA_UNUSED, struct storm *s GA_UNUSED)
{
}

static int all_well(void *world GA_UNUSED, struct storm *s GA_UNUSED)
{
	return 0;
}

/* ---- lock: one owner; free with nobody waiting, or held ---- */

struct lock_world {
	struct ga_lock lock;
	struct storm_actor *owner;
};

static int lock_step(void *world, struct storm_actor *a)
{
	struct lock_world *w = world;
	int r, held;

	storm_wait(a);
	r = ga_lock_acquire(&w->lock, storm_deadline(a->storm));
	held = r;
	r = storm_got(a, held);
	if (r < 0 || held < 0)
		return r;
	EXPECT(!w->owner && ga_lock_held(&w->lock));
	w->owner = a;
	(void)storm_hold(a->storm);
	EXPECT(w->owner == a && ga_lock_held(&w->lock));
	w->owner = NULL;
	EXPECT(ga_lock_release(&w->lock) == 0);
	if (storm_draw(a->storm, 3) == 0)
		storm_cancel_someone(a->storm, a);
	return 0;
}

static int lock_quiet(void *world, struct storm *s)
{
	struct lock_world *w = world;

	EXPECT(ga_lock_held(&w->lock) == (w->owner != NULL));
	EXPECT(w->owner || storm_waiting(s) == 0);
	return 0;
}

static int lock_end(void *world, struct storm *s GA_UNUSED)
{
	struct lock_world *w = world;

	EXPECT(!ga_lock_held(&w->lock) && !w->lock.granted && w->lock.waiters.count == 0);
	return 0;
}

static void in_a_storm_a_lock_has_one_owner_and_forgets_nobody(void **state GA_UNUSED)
{
	static const struct storm_world world = {
		.name = "lock",
		.size = sizeof(struct lock_world),
		.begin = all_well,
		.step = lock_step,
		.quiet = lock_quiet,
		.stir = nothing,
		.last = nothing,
		.end = lock_end,
	};

	assert_int_equal(storm_run(&world, SEEDS), 0);
}

/* ---- semaphores: permits are conserved ---- */

struct semaphore_world {
	struct ga_semaphore semaphore;
	size_t total, held;
	bool bounded;
};

static int semaphore_begin(void *world, struct storm *s)
{
	struct semaphore_world *w = world;

	w->total = 1 + storm_draw(s, 3);
	w->bounded = storm_draw(s, 2);
	if (w->bounded)
		ga_semaphore_init_bounded(&w->semaphore, w->total);
	else
		ga_semaphore_init(&w->semaphore, w->total);
	return 0;
}

static int semaphore_step(void *world, struct storm_actor *a)
{
	struct semaphore_world *w = world;
	int r;

	a->waits = true;
	r = ga_semaphore_acquire(&w->semaphore, storm_deadline(a->storm));
	a->waits = false;
	EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	if (r < 0)
		return 0;
	w->held++;
	EXPECT(w->held <= w->total);
	(void)storm_hold(a->storm);
	w->held--;
	EXPECT(ga_semaphore_release(&w->semaphore) == 0);
	if (storm_draw(a->storm, 3) == 0)
		storm_cancel_someone(a->storm, a);
	return 0;
}

static int semaphore_quiet(void *world, struct storm *s)
{
	struct semaphore_world *w = world;

	EXPECT(w->held + w->semaphore.permits == w->total);
	EXPECT(ga_semaphore_locked(&w->semaphore) || storm_waiting(s) == 0);
	return 0;
}

static void semaphore_stir(void *world, struct storm *s GA_UNUSED)
{
	struct semaphore_world *w = world;

	if (w->bounded && w->held > 0)
		return; /* a release would be for a permit that somebody has */
	if (ga_semaphore_release(&w->semaphore) == 0)
		w->total++;
}

static int semaphore_end(void *world, struct storm *s GA_UNUSED)
{
	struct semaphore_world *w = world;

	EXPECT(w->held == 0 && w->semaphore.permits == w->total && w->semaphore.waiters.count == 0);
	EXPECT(!w->bounded || w->total <= 3); /* nothing was added */
	return 0;
}

static void in_a_storm_a_semaphore_keeps_its_permits_and_forgets_nobody(void **state GA_UNUSED)
{
	static const struct storm_world world = {
		.name = "semaphore",
		.size = sizeof(struct semaphore_world),
		.begin = semaphore_begin,
		.step = semaphore_step,
		.quiet = semaphore_quiet,
		.stir = semaphore_stir,
		.last = nothing,
		.end = semaphore_end,
	};

	assert_int_equal(storm_run(&world, SEEDS), 0);
}

/* ---- event: who waits, waits for one that is clear ---- */

struct event_world {
	struct ga_event event;
	int sets;
};

static int event_step(void *world, struct storm_actor *a)
{
	struct event_world *w = world;
	int sets = w->sets, r;
	bool was_set = ga_event_is_set(&w->event);

	if (storm_draw(a->storm, 3) == 0) {
		ga_event_set(&w->event);
		w->sets++;
		if (storm_draw(a->storm, 2))
			ga_event_clear(&w->event);
		storm_cancel_someone(a->storm, a);
		return 0;
	}
	a->waits = true;
	r = ga_event_wait(&w->event, storm_deadline(a->storm));
	a->waits = false;
	EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	EXPECT(r < 0 || was_set || w->sets > sets);
	return 0;
}

static int event_quiet(void *world, struct storm *s)
{
	struct event_world *w = world;

	EXPECT(!ga_event_is_set(&w->event) || storm_waiting(s) == 0);
	return 0;
}

static void event_stir(void *world, struct storm *s)
{
	struct event_world *w = world;

	w->sets++;
	ga_event_set(&w->event);
	if (storm_draw(s, 2))
		ga_event_clear(&w->event);
}

static void event_last(void *world, struct storm *s GA_UNUSED)
{
	ga_event_set(&((struct event_world *)world)->event);
	((struct event_world *)world)->sets++;
}

static void in_a_storm_an_event_wakes_all_and_only_when_set(void **state GA_UNUSED)
{
	static const struct storm_world world = {
		.name = "event",
		.size = sizeof(struct event_world),
		.begin = all_well,
		.step = event_step,
		.quiet = event_quiet,
		.stir = event_stir,
		.last = event_last,
		.end = all_well,
	};

	assert_int_equal(storm_run(&world, SEEDS), 0);
}

/* ---- condition: a stock, of which nobody waits for a piece that is there ---- */

struct condition_world {
	struct ga_lock lock;
	struct ga_condition changed;
	const struct storm_actor *owner;
	int stock;
	bool closed;
};

static bool has_stock(void *arg)
{
	struct condition_world *w = arg;

	return w->stock > 0 || w->closed;
}

static int condition_begin(void *world, struct storm *s GA_UNUSED)
{
	struct condition_world *w = world;

	ga_condition_init(&w->changed, &w->lock);
	return 0;
}

/* With the lock: produce one, or consume one. */
static int trade(struct condition_world *w, struct storm_actor *a)
{
	int r;

	if (storm_draw(a->storm, 2)) {
		w->stock++;
		EXPECT(ga_condition_notify(&w->changed, 1) == 0);
		return 0;
	}
	w->owner = NULL;
	a->waits = true;
	r = ga_condition_wait_for(&w->changed, has_stock, w, storm_deadline(a->storm));
	a->waits = false;
	EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	EXPECT(!w->owner && ga_lock_held(&w->lock));
	w->owner = a;
	if (r == 0 && !w->closed) {
		EXPECT(w->stock > 0);
		w->stock--;
	}
	return 0;
}

static int condition_step(void *world, struct storm_actor *a)
{
	struct condition_world *w = world;
	int r = ga_lock_acquire(&w->lock, storm_deadline(a->storm));

	if (r < 0)
		return r == -ETIMEDOUT ? 0 : r;
	EXPECT(!w->owner);
	w->owner = a;
	r = trade(w, a);
	if (r < 0)
		return r;
	(void)storm_hold(a->storm);
	if (storm_draw(a->storm, 3) == 0)
		storm_cancel_someone(a->storm, a);
	EXPECT(w->owner == a);
	w->owner = NULL;
	EXPECT(ga_lock_release(&w->lock) == 0);
	if (storm_draw(a->storm, 3) == 0)
		storm_cancel_someone(a->storm, a);
	return 0;
}

static int condition_quiet(void *world, struct storm *s)
{
	struct condition_world *w = world;

	EXPECT(ga_lock_held(&w->lock) == (w->owner != NULL));
	EXPECT(w->owner || w->stock == 0 || storm_waiting(s) == 0);
	return 0;
}

static int close_up(const void *arg)
{
	struct condition_world *w = (struct condition_world *)(uintptr_t)arg;
	int r = ga_lock_acquire(&w->lock, GA_NEVER);

	if (r < 0)
		return r;
	w->closed = true;
	(void)ga_condition_notify_all(&w->changed);
	return ga_lock_release(&w->lock);
}

static void condition_last(void *world, struct storm *s GA_UNUSED)
{
	ga_release(ga_spawn(close_up, world));
}

static int condition_end(void *world, struct storm *s GA_UNUSED)
{
	struct condition_world *w = world;

	EXPECT(!ga_lock_held(&w->lock) && w->changed.waiters.count == 0);
	return 0;
}

static void in_a_storm_a_condition_keeps_its_lock_and_loses_no_notification(void **state GA_UNUSED)
{
	static const struct storm_world world = {
		.name = "condition",
		.size = sizeof(struct condition_world),
		.begin = condition_begin,
		.step = condition_step,
		.quiet = condition_quiet,
		.stir = nothing,
		.last = condition_last,
		.end = condition_end,
	};

	assert_int_equal(storm_run(&world, SEEDS), 0);
}

/* ---- barrier: each number once a round; fewer wait than there are parties ---- */

struct barrier_world {
	struct ga_barrier barrier;
	unsigned seen; /* numbers of this round */
};

static int barrier_begin(void *world, struct storm *s GA_UNUSED)
{
	return ga_barrier_init(&((struct barrier_world *)world)->barrier, PARTIES);
}

static int barrier_step(void *world, struct storm_actor *a)
{
	struct barrier_world *w = world;
	int r;

	a->waits = true;
	r = ga_barrier_wait(&w->barrier, storm_deadline(a->storm));
	a->waits = false;
	EXPECT(r >= 0 || r == -ECANCELED || r == -ETIMEDOUT || r == -ECONNABORTED);
	EXPECT(r < PARTIES);
	if (r >= 0) {
		EXPECT(!(w->seen & 1u << r));
		w->seen |= 1u << r;
	}
	/* The last of a round has left; those outside may have begun the next. */
	if (w->barrier.leaving == 0 || w->barrier.leaving == PARTIES)
		w->seen = 0;
	if (storm_draw(a->storm, 3) == 0)
		storm_cancel_someone(a->storm, a);
	if (storm_draw(a->storm, 30) == 0)
		ga_barrier_reset(&w->barrier);
	return 0;
}

static int barrier_quiet(void *world, struct storm *s)
{
	struct barrier_world *w = world;

	EXPECT(w->barrier.leaving == 0 && w->barrier.outside.count == 0);
	EXPECT(storm_waiting(s) == (int)ga_barrier_waiting(&w->barrier));
	EXPECT(storm_waiting(s) < PARTIES);
	EXPECT(!ga_barrier_is_broken(&w->barrier) || storm_waiting(s) == 0);
	return 0;
}

static void barrier_stir(void *world, struct storm *s)
{
	struct barrier_world *w = world;

	if (storm_draw(s, 8) == 0)
		ga_barrier_abort(&w->barrier);
	else if (storm_draw(s, 4) == 0)
		ga_barrier_reset(&w->barrier);
}

static void barrier_last(void *world, struct storm *s GA_UNUSED)
{
	ga_barrier_abort(&((struct barrier_world *)world)->barrier);
}

static void in_a_storm_a_barrier_numbers_each_round_and_forgets_nobody(void **state GA_UNUSED)
{
	static const struct storm_world world = {
		.name = "barrier",
		.size = sizeof(struct barrier_world),
		.begin = barrier_begin,
		.step = barrier_step,
		.quiet = barrier_quiet,
		.stir = barrier_stir,
		.last = barrier_last,
		.end = all_well,
	};

	assert_int_equal(storm_run(&world, SEEDS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_storm_a_lock_has_one_owner_and_forgets_nobody),
		cmocka_unit_test(in_a_storm_a_semaphore_keeps_its_permits_and_forgets_nobody),
		cmocka_unit_test(in_a_storm_an_event_wakes_all_and_only_when_set),
		cmocka_unit_test(in_a_storm_a_condition_keeps_its_lock_and_loses_no_notification),
		cmocka_unit_test(in_a_storm_a_barrier_numbers_each_round_and_forgets_nobody),
	};

	return TAP_RUN(tests);
}
