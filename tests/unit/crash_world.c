#include "crash_world.h"

void world_check(struct world *w)
{
	char why[256] = "";

	if (engine_check(w->e, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

void world_up(struct world *w, uint32_t slot)
{
	struct engine_worker joining = { .slot = slot, .incarnation = ++w->incarnation };

	for (int c = 0; c < CLASS_COUNT; c++)
		joining.capacity[c] = w->capacity;
	assert_int_equal(engine_worker_started(w->e, slot, joining.incarnation), 0);
	assert_int_equal(engine_worker_joined(w->e, &joining), 0);
}

struct world *world_new(uint32_t ordinary, uint32_t capacity)
{
	struct engine_options options = { .epoch = RIG_EPOCH, .seed = 1 };
	struct world *w = calloc(1, sizeof(*w));

	w->capacity = capacity;
	w->ordinary = ordinary;
	assert_int_equal(engine_new(&options, &w->e), 0);
	engine_advance(w->e, 1000 * NSEC_PER_SEC, 1700000000 * NSEC_PER_SEC);
	for (uint32_t slot = 0; slot < ordinary; slot++)
		world_up(w, slot);
	return w;
}

void world_free(struct world *w)
{
	world_check(w);
	engine_free(w->e);
	free(w);
}

struct job *world_submit(struct world *w, struct submission s)
{
	assert_true(w->count < JOBS_MAX);
	assert_int_equal(engine_submit(w->e, &s, &w->jobs[w->count]), 0);
	return w->jobs[w->count++];
}

void world_jobs(struct world *w, unsigned count)
{
	while (count-- > 0)
		world_submit(w, (struct submission){ .job_class = CLASS_NET });
}

void world_lost(struct world *w, uint32_t slot, struct engine_death death)
{
	engine_worker_lost(w->e, slot, engine_worker_incarnation(w->e, slot, NULL), &death);
	world_check(w);
}

void world_act(struct world *w)
{
	const struct action *actions;
	size_t count;

	while ((actions = engine_run(w->e, &count)), count > 0) {
		bool up = false, down = false;

		for (size_t i = 0; i < count; i++) {
			up |= actions[i].kind == ACTION_SACRIFICE;
			down |= actions[i].kind == ACTION_DISMISS;
			w->elsewhere += actions[i].kind == ACTION_DISPATCH &&
					actions[i].job->suspect && actions[i].slot != SACRIFICE_SLOT;
		}
		engine_reap(w->e);
		world_check(w);
		assert_false(up && down);
		w->sacrifices += up;
		w->dismissals += down;
		if (up)
			world_up(w, SACRIFICE_SLOT);
		if (down)
			world_lost(w, SACRIFICE_SLOT,
				   (struct engine_death){ .signal = SIGTERM, .asked = true });
	}
	engine_reap(w->e);
}

void world_work(struct world *w, uint32_t slot)
{
	struct engine_death death = { 0 };
	unsigned held = 0;

	for (unsigned i = 0; i < w->count; i++) {
		const struct job *job = w->jobs[i];

		if (job->state != JOB_RUNNING || job->slot != slot)
			continue;
		held++;
		if (w->kills[i] && !death.signal)
			death = (struct engine_death){ .signal = SIGKILL };
		if (w->crashes[i] && !death.signal)
			death = (struct engine_death){ .signal = SIGSEGV, .culprit = job->token };
	}
	if (slot == SACRIFICE_SLOT)
		w->most_apart = MAX(w->most_apart, held);
	if (death.signal) {
		w->deaths++;
		w->apart_deaths += slot == SACRIFICE_SLOT;
		world_lost(w, slot, death);
		if (slot != SACRIFICE_SLOT)
			world_up(w, slot);
		return;
	}
	for (unsigned i = 0; i < w->count; i++) {
		struct attempt_result r = { .token = w->jobs[i]->token, .outcome = OUTCOME_SUCCEEDED };

		if (w->jobs[i]->state == JOB_RUNNING && w->jobs[i]->slot == slot)
			assert_int_equal(engine_result(w->e, slot, &r), 0);
	}
}

static bool world_done(const struct world *w)
{
	for (unsigned i = 0; i < w->count; i++)
		if (!job_state_is_final((enum job_state)w->jobs[i]->state))
			return false;
	return true;
}

void world_run(struct world *w)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		world_act(w);
		if (world_done(w))
			return;
		for (uint32_t slot = 0; slot < w->ordinary; slot++)
			world_work(w, slot);
		world_work(w, SACRIFICE_SLOT);
	}
	fail_msg("it does not come to an end: %u deaths, %u asked for", w->deaths, w->sacrifices);
}

unsigned world_failed(const struct world *w)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < w->count; i++)
		failed += w->jobs[i]->state == JOB_FAILED;
	return failed;
}

bool is_waiting_apart(const struct world *w, const struct job *job)
{
	struct engine_counts counts;

	engine_counts(w->e, &counts);
	return job->state == JOB_READY && job->suspect && counts.suspects > 0;
}
