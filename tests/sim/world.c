/* What happens in the world: one random event a step. */
#include "clock.h"
#include "engine_workers.h"
#include "steps.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char world_args[32] = "{\"some\":\"arguments\"}";

const char *world_gates[2][MODEL_GATES] = {
	{ "default", "a", "mail", "a-much-longer-name.of_a-queue", "nobody's" },
	{ "", "free.example", "api.example.com", "b", "c" },
};
uint64_t world_below(struct world *w, uint64_t limit)
{
	return random_below(&w->random, limit);
}

bool world_chance(struct world *w, unsigned percent)
{
	return percent > 0 && world_below(w, 100) < percent;
}

void world_tell(const struct world *w, const char *format, ...)
{
	va_list args;

	if (!w->tells)
		return;
	va_start(args, format);
	printf("# step %llu: ", (unsigned long long)w->step);
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

struct history *world_history(struct world *w, uint64_t sequence, const struct uuid *id)
{
	size_t count = MAX(w->history_count * 2, (size_t)sequence + 256);
	struct history *past;

	if (sequence >= w->history_count) {
		w->histories = reallocarray(w->histories, count, sizeof(*w->histories));
		if (!w->histories)
			abort();
		memset(w->histories + w->history_count, 0,
		       (count - w->history_count) * sizeof(*w->histories));
		w->history_count = count;
	}
	past = &w->histories[sequence];
	if (!uuid_equal(&past->id, id))
		*past = (struct history){ .id = *id };
	return past;
}

/* A job of the model in one of these states (bits), or NULL. */
struct model_job *world_any_job(struct world *w, unsigned states)
{
	struct model *m = &w->m;
	size_t start = m->count ? world_below(w, m->count) : 0;

	for (size_t i = 0; i < m->count; i++) {
		struct model_job *job = &m->jobs[(start + i) % m->count];

		if (states >> job->is.state & 1)
			return job;
	}
	return NULL;
}

static void step_time(struct world *w)
{
	static const int64_t scales[] = { NSEC_PER_USEC, NSEC_PER_MSEC, 100 * NSEC_PER_MSEC,
					  5 * NSEC_PER_SEC };
	int64_t next = engine_next_due(w->m.e), now = w->m.now;

	if (next != INT64_MAX && world_chance(w, 30))
		now = MAX(now, next + w->m.boot);
	else
		now += (int64_t)world_below(w, (uint64_t)scales[world_below(w, ARRAY_SIZE(scales))]);
	w->wall += now - w->m.now;
	if (w->walls && world_chance(w, 10)) /* it is set, or drifts; it may go back */
		w->wall +=
			(int64_t)world_below(w, (uint64_t)scales[world_below(w, ARRAY_SIZE(scales))]) *
			(world_chance(w, 50) ? 1 : -1);
	engine_advance(w->m.e, now - w->m.boot, w->wall);
	model_advanced(&w->m, now, w->wall);
}

/* A loop's turn ends with a save; at times a further one comes first. */
static void step_turn(struct world *w)
{
	broker_turn(w);
	if (!w->m.broken && world_chance(w, 90))
		broker_save(w);
}

static void step_commit(struct world *w)
{
	uint64_t waiting = w->m.open - 1 - w->m.told;

	if (waiting > 0)
		broker_commit(w, w->m.told + 1 + world_below(w, waiting));
}

static void step_work(struct world *w)
{
	struct hand *h = hand_any(w, true);

	if (!h)
		return;
	for (uint64_t i = world_below(w, 4); i > 0; i--)
		hand_hear(w, h);
	hand_work(w, h);
}

static void step_hear(struct world *w)
{
	struct hand *h = hand_at(w, (uint32_t)world_below(w, w->workers + 1));
	struct letter l;

	if (h == &w->hands[w->workers])
		h = &w->hands[MODEL_WORKERS];

	if (h->outbox.count - h->outbox.first > 1 && w->unsteady) { /* results overtake one another */
		struct letter *a = &h->outbox.letters[h->outbox.first], *b = a + 1;

		if (a->kind == LETTER_RESULT && b->kind == LETTER_RESULT) {
			l = *a;
			*a = *b;
			*b = l;
		}
	}
	for (uint64_t i = 1 + world_below(w, 3); i > 0 && mail_take(&h->outbox, &l); i--)
		broker_hear_worker(w, &l);
}

static void step_supervisor(struct world *w)
{
	struct hand *dead = hand_any(w, false);

	if (dead && world_chance(w, 40))
		hand_start(w, dead);
	else
		broker_hear_supervisor(w);
}

static void step_trouble(struct world *w)
{
	struct hand *h = hand_any(w, true);
	uint32_t slot = h ? hand_slot(w, h) : 0;
	struct model_worker *known = model_worker(&w->m, slot);

	if (!h)
		return;
	if (world_chance(w, 70)) {
		hand_die(w, h, false);
	} else if (slot != SACRIFICE_SLOT && h->connected && known->incarnation == h->incarnation) {
		world_tell(w, "worker %u is to drain", slot);
		engine_worker_drains(w->m.e, slot);
		known->draining = true;
		mail_post(&h->inbox,
			  &(struct letter){ .kind = LETTER_DRAIN, .incarnation = h->incarnation });
	}
}

/* Late, foreign and invented results; deaths of the unknown. */
static void step_stale(struct world *w)
{
	struct attempt_result r = { .outcome = OUTCOME_SUCCEEDED };
	struct model_job *job = world_any_job(w, 1u << JOB_RUNNING);
	uint32_t slot = (uint32_t)world_below(w, MODEL_WORKERS + 1);

	if (w->m.ghost_count > 0 && world_chance(w, 60)) {
		const struct ghost *g =
			&w->m.ghosts[world_below(w, MIN(w->m.ghost_count, (uint64_t)MODEL_GHOSTS))];

		slot = g->slot;
		r.token = g->token;
	} else if (job && slot != job->slot) {
		r.token = job->is.token;
	} else {
		r.token = random_next(&w->random) & UINT64_C(0xffff0000ffffffff);
	}
	for (size_t i = 0; i < w->m.count; i++)
		if (w->m.jobs[i].is.token == r.token && w->m.jobs[i].slot == slot)
			return; /* a broker's crash has brought it back to life */
	MODEL_EXPECT(&w->m, engine_result(w->m.e, slot, &r) == -ESTALE, "a stale result counts");
	model_promise_stale(&w->m, slot, r.token);
	if (slot < MODEL_WORKERS && world_chance(w, 10))
		engine_worker_lost(w->m.e, slot, w->next_incarnation + 5,
				   &(struct engine_death){ .culprit = r.token, .signal = 11 });
}

static void step_capacity(struct world *w)
{
	struct engine_worker joining = { .slot = (uint32_t)world_below(w, w->workers) };
	const struct model_worker *known = &w->m.workers[joining.slot];
	int r;

	joining.incarnation = known->incarnation;
	for (int c = 0; c < CLASS_COUNT; c++)
		joining.capacity[c] = (uint32_t)world_below(w, w->capacity + 1) + w->calm;
	if (!known->joined || hand_at(w, joining.slot)->draining)
		return;
	r = engine_worker_joined(w->m.e, &joining);
	MODEL_EXPECT(&w->m, r == 0, "a worker's capacity can't change: %d", r);
	model_joined(&w->m, &joining);
}

static void step_crash(struct world *w)
{
	if (world_chance(w, w->crashes))
		broker_crash(w, world_chance(w, 25));
}

static const struct {
	void (*step)(struct world *w);
	unsigned weight;
} steps[] = {
	{ step_submit, 160 },    { step_work, 400 },       { step_hear, 200 },
	{ step_turn, 200 },      { step_commit, 150 },     { step_time, 80 },
	{ step_supervisor, 50 }, { step_stale, 30 },       { step_cancel, 15 },
	{ step_retry, 20 },      { step_drop_args, 10 },   { step_trouble, 8 },
	{ step_client_gone, 3 }, { step_cancel_tag, 3 },   { step_capacity, 5 },
	{ step_crash, 3 },       { step_revive, 10 },      { step_limit, 12 },
	{ step_group, 14 },      { step_group_cancel, 3 }, { step_child, 12 },
	{ step_purge, 4 },
};

/* What the engine says may be shown: a loss of power won't take it back. */
static void compare_safe(struct world *w)
{
	for (size_t i = 0; i < w->m.count && !w->m.broken; i++) {
		struct model_job shown = w->m.jobs[i];
		struct job *real = model_real(&w->m, &shown);
		const struct row *row;

		if (!model_durable(&shown) || !real || !engine_job_is_safe(w->m.e, real))
			continue;
		row = disk_view(&w->disk, shown.sequence, w->disk.told);
		if (row)
			shown.saved = row->judged.is;
		MODEL_EXPECT(&w->m, row && !model_unsaved(&shown),
			     "job %llu, %s, may be shown before that is committed",
			     (unsigned long long)shown.sequence, job_state_name(shown.is.state));
	}
}

void world_step(struct world *w, uint64_t step)
{
	uint64_t total = 0, at;

	w->step = step;
	random_seed(&w->random, w->seed * UINT64_C(0x9e3779b97f4a7c15) + step);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		total += steps[i].weight;
	at = world_below(w, total);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (at < steps[i].weight) {
			steps[i].step(w);
			break;
		}
		at -= steps[i].weight;
	}
	if (!w->m.broken)
		model_compare(&w->m);
	if (!w->m.broken && step % 8 == 0)
		compare_safe(w);
}

void world_open(struct world *w, uint64_t seed)
{
	struct engine_options options = { .seed = seed, .epoch = 1 };

	memset(w, 0, sizeof(*w));
	random_seed(&w->random, seed);
	w->seed = seed;
	w->epoch = 1;
	w->max_jobs = options.max_jobs = (uint32_t)(10 + world_below(w, 50));
	w->workers = (uint32_t)(1 + world_below(w, MODEL_WORKERS));
	w->capacity = (uint32_t)(1 + world_below(w, 8));
	w->queues = (int)(1 + world_below(w, MODEL_QUEUES));
	w->priorities = world_chance(w, 30) ? 100 : (int)world_below(w, 3);
	w->durable = (unsigned)world_below(w, 5) * 25;
	w->crashes = world_chance(w, 75) ? 100 : 0;
	w->full = world_chance(w, 30) ? 30 : 0;
	w->keys = world_chance(w, 70);
	w->limits = world_chance(w, 60);
	w->walls = world_chance(w, 60);
	w->groups = world_chance(w, 60);
	w->unsteady = world_chance(w, 50);
	w->next_incarnation = 100;
	w->wall = 1700000000 * NSEC_PER_SEC;
	w->m.now = 1000 * NSEC_PER_SEC;
	w->m.boot = w->m.now - 1;
	w->m.max_jobs = options.max_jobs;
	w->m.max_finished_bytes = options.max_finished_bytes = 1000 + world_below(w, 12000);
	w->m.failed_ttl = options.failed_ttl = 60 * NSEC_PER_SEC;
	w->m.result_ttl = options.result_ttl = 20 * NSEC_PER_SEC;
	w->m.key_ttl = options.key_ttl = 15 * NSEC_PER_SEC;
	w->m.wall_offset = w->wall - w->m.now;
	w->m.last_order = 1;
	if (engine_new(&options, &w->m.e) < 0)
		abort();
	w->m.gate_names = world_gates;
	model_reset(&w->m, w->m.e);
	engine_advance(w->m.e, 1, w->wall);
	world_free_key(w);
}

void world_close(struct world *w)
{
	engine_free(w->m.e);
	model_done(&w->m);
	disk_done(&w->disk);
	for (uint32_t i = 0; i <= MODEL_WORKERS; i++) {
		free(w->hands[i].errands);
		mail_done(&w->hands[i].inbox);
		mail_done(&w->hands[i].outbox);
	}
	mail_done(&w->supervisor);
	free(w->histories);
	free(w->acks);
	free(w->deaths);
}

/* What is left must come to its end by what is left to happen. */
void world_settle(struct world *w)
{
	static void (*const quiet[])(struct world *) = { step_work,    step_hear, step_turn,
							 step_commit,  step_time, step_supervisor,
							 step_capacity };
	uint64_t left = 1;

	w->calm = true;
	for (int kind = 0; kind < 2; kind++)
		for (int i = kind; i < MODEL_GATES; i++) {
			engine_resume(w->m.e, (enum limit_kind)kind, span_of(world_gates[kind][i]));
			w->m.gates[kind][i].paused = false;
		}
	for (unsigned i = 0; i < 20000 && left > 0 && !w->m.broken; i++) {
		w->step++;
		random_seed(&w->random, w->seed * UINT64_C(0x9e3779b97f4a7c15) + w->step);
		quiet[i % ARRAY_SIZE(quiet)](w);
		if (!w->m.broken)
			model_compare(&w->m);
		left = w->m.promise_count + w->ack_count;
		for (size_t j = 0; j < w->m.count; j++)
			left += !model_final(&w->m.jobs[j]);
	}
	for (size_t i = 0; i < w->m.count && left > 0; i++)
		MODEL_EXPECT(&w->m, model_final(&w->m.jobs[i]), "job %llu is stuck, %s",
			     (unsigned long long)w->m.jobs[i].sequence,
			     job_state_name(w->m.jobs[i].is.state));
	MODEL_EXPECT(&w->m, left == 0, "something is waited for that doesn't come");
}
