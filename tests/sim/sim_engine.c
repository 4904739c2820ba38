/*
 * sim_engine — a seeded simulation of the engine: random events, each held against an independent model (model.h).
 *
 *	sim_engine                  eight seeds of 30,000 steps; as TAP
 *	sim_engine SEED [STEPS]     one seed, e.g. to replay a failure
 *
 * The same seed is the same run on every machine.
 */
#include "clock.h"
#include "model.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct sim {
	struct model m;
	struct random random;
	uint32_t max_jobs, workers, capacity;
	int queues, priorities;
	uint64_t next_incarnation;
	int64_t wall;
};

static const char *const queue_names[MODEL_QUEUES] = { "", "a", "mail",
						       "a-much-longer-name.of_a-queue" };

static uint64_t below(struct sim *s, uint64_t limit)
{
	return random_below(&s->random, limit);
}

static bool chance(struct sim *s, unsigned percent)
{
	return below(s, 100) < percent;
}

/* A job of the model in one of these states (bits), or NULL. */
static struct model_job *any_job(struct sim *s, unsigned states)
{
	size_t start = s->m.count ? below(s, s->m.count) : 0;

	for (size_t i = 0; i < s->m.count; i++) {
		struct model_job *job = &s->m.jobs[(start + i) % s->m.count];

		if (states >> job->state & 1)
			return job;
	}
	return NULL;
}

static void step_submit(struct sim *s)
{
	int queue = (int)below(s, (uint64_t)s->queues);
	struct submission sub = {
		.job_class = (enum job_class)below(s, CLASS_COUNT),
		.queue = span_of(queue_names[queue]),
		.priority = (int8_t)((int)below(s, (uint64_t)s->priorities * 2 + 1) - s->priorities),
		.detached = chance(s, 20),
		.client = below(s, MODEL_CLIENTS),
		.tag = below(s, 5),
		.retries = { .max = (uint16_t)below(s, 4),
			     .initial_ms = (uint32_t)below(s, 2000),
			     .maximum_ms = 5000,
			     .factor = 2,
			     .jitter = chance(s, 50) ? 0.2f : 0 },
		.result_ttl = chance(s, 20) ? (int64_t)(1 + below(s, 60)) * NSEC_PER_SEC : 0,
	};
	size_t unfinished = 0;
	struct job *job;
	int r;

	for (size_t i = 0; i < s->m.count; i++)
		unfinished += !model_final(&s->m.jobs[i]);
	if (chance(s, 50))
		sub.args = bytes_new("{\"some\":\"arguments\"}", below(s, 20));
	r = engine_submit(s->m.e, &sub, &job);
	bytes_unref(sub.args);
	if (unfinished >= s->max_jobs)
		MODEL_EXPECT(&s->m, r == -ENOBUFS, "a job too many is accepted: %d", r);
	else if (r == 0)
		model_submitted(&s->m, job, &sub, queue);
	else
		model_break(&s->m, "a job is refused: %d", r);
}

static void step_result(struct sim *s)
{
	static char body[300];
	struct attempt_result r = { .outcome = (enum job_outcome)(1 + below(s, 6)),
				    .retryable = chance(s, 50),
				    .retry_after_ms = chance(s, 10) ? (uint32_t)below(s, 8000) : 0,
				    .body = { body, below(s, sizeof(body)) } };
	struct model_job *job = any_job(s, 1u << JOB_RUNNING);
	uint32_t slot;
	int result;

	if (!job)
		return;
	if (chance(s, 40))
		r.outcome = OUTCOME_SUCCEEDED;
	if (chance(s, 1))
		r.outcome = (enum job_outcome)77;
	slot = job->slot;
	r.token = job->token;
	result = engine_result(s->m.e, slot, &r);
	MODEL_EXPECT(&s->m, result == 0, "a result is refused: %d", result);
	model_result(&s->m, job, &r);
	if (chance(s, 10))
		MODEL_EXPECT(&s->m, engine_result(s->m.e, slot, &r) == -ESTALE,
			     "a result counts twice");
}

/* Late, foreign and invented ones. */
static void step_stale_result(struct sim *s)
{
	struct attempt_result r = { .outcome = OUTCOME_SUCCEEDED };
	struct model_job *job = any_job(s, 1u << JOB_RUNNING);
	uint32_t slot = (uint32_t)below(s, MODEL_WORKERS + 1);

	if (s->m.ghost_count > 0 && chance(s, 60)) {
		const struct ghost *g =
			&s->m.ghosts[below(s, MIN(s->m.ghost_count, (uint64_t)MODEL_GHOSTS))];

		slot = g->slot;
		r.token = g->token;
	} else if (job && slot != job->slot) {
		r.token = job->token;
	} else {
		r.token = random_next(&s->random) & UINT64_C(0xffff0000ffffffff);
	}
	MODEL_EXPECT(&s->m, engine_result(s->m.e, slot, &r) == -ESTALE, "a stale result counts");
}

static void step_cancel(struct sim *s)
{
	struct model_job *job = any_job(s, ~0u);
	struct job *real = job ? model_real(&s->m, job) : NULL;
	int r;

	if (!real)
		return;
	r = engine_cancel(s->m.e, real);
	MODEL_EXPECT(&s->m, r == (model_final(job) ? -EALREADY : 0), "cancel: %d", r);
	if (r == 0)
		model_cancel(&s->m, job);
}

static void step_retry(struct sim *s)
{
	struct model_job *job =
		any_job(s, chance(s, 80) ? 1u << JOB_FAILED | 1u << JOB_CANCELLED : ~0u);
	struct job *real = job ? model_real(&s->m, job) : NULL;
	int r, expected;

	if (!real)
		return;
	expected = job->state == JOB_SUCCEEDED        ? -EALREADY
		   : !model_final(job) || job->untold ? -EBUSY
						      : 0;
	r = engine_retry(s->m.e, real);
	MODEL_EXPECT(&s->m, r == expected, "retry of a %s job: %d", job_state_name(job->state), r);
	if (r == 0)
		model_retry(job);
}

static void step_client_gone(struct sim *s)
{
	uint64_t client = 1 + below(s, MODEL_CLIENTS);

	engine_client_gone(s->m.e, client);
	model_client_gone(&s->m, client);
}

static void step_cancel_tag(struct sim *s)
{
	uint64_t client = 1 + below(s, MODEL_CLIENTS), tag = below(s, 5);
	unsigned asked = engine_cancel_tag(s->m.e, client, tag), expected = 0;

	for (size_t i = 0; i < s->m.count; i++) {
		struct model_job *job = &s->m.jobs[i];

		if (job->client != client || job->tag != tag || model_final(job))
			continue;
		expected++;
		model_cancel(&s->m, job);
	}
	MODEL_EXPECT(&s->m, asked == expected, "%u jobs of a tag are cancelled, should be %u",
		     asked, expected);
}

/* Any worker's; half as often the sacrificial one's. */
static uint32_t any_slot(struct sim *s)
{
	return chance(s, 30) ? SACRIFICE_SLOT : (uint32_t)below(s, s->workers);
}

static void step_worker_up(struct sim *s)
{
	struct engine_worker joining = { .slot = any_slot(s) };
	struct model_worker *w = model_worker(&s->m, joining.slot);
	bool apart = joining.slot == SACRIFICE_SLOT;
	int r;

	if (apart && w->incarnation == 0 && !s->m.asked)
		return;
	if (w->incarnation == 0) {
		w->incarnation = s->next_incarnation++;
		r = engine_worker_started(s->m.e, joining.slot, w->incarnation);
		MODEL_EXPECT(&s->m, r == 0, "a worker can't start: %d", r);
		if (chance(s, 30))
			return;
	}
	for (int c = 0; c < CLASS_COUNT; c++)
		w->capacity[c] = joining.capacity[c] = apart + (uint32_t)below(s, s->capacity + 1);
	joining.incarnation = w->incarnation;
	w->joined = true;
	r = engine_worker_joined(s->m.e, &joining);
	MODEL_EXPECT(&s->m, r == 0, "a worker can't join: %d", r);
	joining.incarnation = s->next_incarnation + 5;
	r = engine_worker_joined(s->m.e, &joining);
	MODEL_EXPECT(&s->m, r == -ESTALE, "an unknown incarnation joins: %d", r);
}

static void step_worker_lost(struct sim *s)
{
	struct engine_death death = { .signal = chance(s, 20) ? 0 : 11, .asked = chance(s, 10) };
	struct model_job *job = any_job(s, 1u << JOB_RUNNING);
	uint32_t slot = any_slot(s);
	uint64_t incarnation = model_worker(&s->m, slot)->incarnation;

	if (chance(s, 60))
		death.culprit = job && chance(s, 80) ? job->token : below(s, 5);
	if (chance(s, 10)) {
		engine_worker_lost(s->m.e, slot, incarnation + 1, &death);
		return;
	}
	if (incarnation == 0)
		return;
	if (job && chance(s, 50)) { /* the culprit is one of its own more often than not */
		slot = job->slot;
		incarnation = model_worker(&s->m, slot)->incarnation;
	}
	if (slot == SACRIFICE_SLOT && s->m.dismissed)
		death.asked = true;
	engine_worker_lost(s->m.e, slot, incarnation, &death);
	model_lost(&s->m, slot, &death);
}

static void step_worker_misc(struct sim *s)
{
	uint32_t slot = any_slot(s);
	struct model_worker *w = model_worker(&s->m, slot);
	struct model_job *job = any_job(s, 1u << JOB_RUNNING);
	int c = (int)below(s, CLASS_COUNT);

	if (chance(s, 60)) {
		engine_slot_freed(s->m.e, slot, (enum job_class)c);
		w->withheld[c] -= w->withheld[c] > 0;
	} else if (job && chance(s, 80)) {
		bool holds = engine_worker_holds(s->m.e, slot, job->token);

		MODEL_EXPECT(&s->m, holds == (job->slot == slot), "worker %u and job %llu", slot,
			     (unsigned long long)job->sequence);
		job->expected[ACTION_CANCEL] += holds && job->cancelling;
	} else if (w->incarnation != 0) {
		engine_worker_drains(s->m.e, slot);
		w->draining = true;
	}
}

static void step_time(struct sim *s)
{
	static const int64_t scales[] = { NSEC_PER_USEC, NSEC_PER_MSEC, 100 * NSEC_PER_MSEC,
					  5 * NSEC_PER_SEC };
	int64_t next = engine_next_due(s->m.e), now = s->m.now;

	if (next != INT64_MAX && chance(s, 30))
		now = next;
	else
		now += (int64_t)below(s, (uint64_t)scales[below(s, ARRAY_SIZE(scales))]);
	s->wall += (int64_t)below(s, 2 * NSEC_PER_SEC) - NSEC_PER_SEC; /* it may go back */
	engine_advance(s->m.e, now, s->wall);
	model_advanced(&s->m, now);
}

static void step_turn(struct sim *s)
{
	size_t count;
	const struct action *actions = engine_run(s->m.e, &count);

	model_actions(&s->m, actions, count);
	for (size_t i = 0; i < count && !s->m.broken; i++) {
		struct model_job *job;

		if (actions[i].kind != ACTION_FINISHED || chance(s, 40))
			continue;
		engine_delivered(s->m.e, actions[i].job);
		job = model_find(&s->m, &actions[i].job->id);
		if (job)
			model_deliver(&s->m, job);
	}
	engine_reap(s->m.e);
	model_reaped(&s->m);
}

static const struct {
	void (*step)(struct sim *s);
	unsigned weight;
} steps[] = {
	{ step_submit, 25 },     { step_result, 25 },      { step_turn, 20 },
	{ step_time, 10 },       { step_stale_result, 5 }, { step_cancel, 4 },
	{ step_worker_misc, 4 }, { step_worker_up, 3 },    { step_worker_lost, 2 },
	{ step_retry, 2 },       { step_client_gone, 1 },  { step_cancel_tag, 1 },
};

static void step(struct sim *s)
{
	uint64_t total = 0, at;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		total += steps[i].weight;
	at = below(s, total);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (at < steps[i].weight) {
			steps[i].step(s);
			return;
		}
		at -= steps[i].weight;
	}
}

static void start(struct sim *s, uint64_t seed)
{
	struct engine_options options = { .epoch = (uint32_t)seed + 1, .seed = seed };

	random_seed(&s->random, seed);
	s->max_jobs = options.max_jobs = (uint32_t)(10 + below(s, 50));
	s->workers = (uint32_t)(1 + below(s, MODEL_WORKERS));
	s->capacity = (uint32_t)(1 + below(s, 8));
	s->queues = (int)(1 + below(s, MODEL_QUEUES));
	s->priorities = chance(s, 30) ? 100 : (int)below(s, 3);
	s->next_incarnation = 100;
	s->wall = 1700000000 * NSEC_PER_SEC;
	s->m.max_finished_bytes = options.max_finished_bytes = 1000 + below(s, 12000);
	s->m.failed_ttl = options.failed_ttl = 60 * NSEC_PER_SEC;
	options.result_ttl = 20 * NSEC_PER_SEC;
	if (engine_new(&options, &s->m.e) < 0)
		abort();
	s->m.now = 1;
	s->m.last_order = 1;
	engine_advance(s->m.e, 1, s->wall);
}

static void tell(const struct model *m, uint64_t seed, unsigned long limit, unsigned long done)
{
	const unsigned long long name = seed;
	struct engine_counts c;

	engine_counts(m->e, &c);
	printf("%s %llu - seed %llu keeps its promises for %lu steps\n",
	       m->broken ? "not ok" : "ok", name, name, limit);
	printf("# %" PRIu64 " jobs: %" PRIu64 " succeeded, %" PRIu64 " failed, %" PRIu64 " cancelled\n",
	       c.submitted, c.succeeded, c.failed, c.cancelled);
	printf("# %" PRIu64 " retries, %" PRIu64 " crashes, %" PRIu64 " stale results, %" PRIu64
	       " evicted\n",
	       c.retried, c.crashes, c.stale_results, c.evicted);
	if (m->broken)
		printf("# step %lu: %s\n# replay: sim_engine %llu %lu\n", done, m->why, name, done);
}

/* Whether all went well. */
static bool simulate(uint64_t seed, unsigned long limit)
{
	struct sim s = { 0 };
	unsigned long done = 0;

	printf("# replay: sim_engine %" PRIu64 "\n", seed); /* before it may crash */
	start(&s, seed);
	while (done < limit && !s.m.broken) {
		step(&s);
		model_compare(&s.m);
		done++;
	}
	tell(&s.m, seed, limit, done);
	engine_free(s.m.e);
	free(s.m.jobs);
	return !s.m.broken;
}

int main(int argc, char **argv)
{
	enum { SEEDS = 8, STEPS = 30000 };
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0); /* what is told stays told, should it crash */
	if (argc > 1) {
		uint64_t seed = strtoull(argv[1], NULL, 10);
		unsigned long limit = argc > 2 ? strtoul(argv[2], NULL, 10) : STEPS;

		return simulate(seed, limit) ? 0 : 1;
	}
	printf("1..%d\n", SEEDS);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		failed += !simulate(seed, STEPS);
	return failed ? 1 : 0;
}
