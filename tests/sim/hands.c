/* Workers as they are: what they hold, what becomes of it, and what they and the broker say to each other. */
#include "world.h"
#include <stdlib.h>

static void take(struct world *w, struct hand *h, const struct letter *l);
static struct errand *errand_find(struct hand *h, uint64_t token);
static void errand_remove(struct hand *h, struct errand *e);
static void begin(struct world *w, struct hand *h, struct errand *e);
static void end(struct world *w, struct hand *h, struct errand *e);
static void say_result(struct world *w, struct hand *h, const struct errand *e);

struct hand *hand_at(struct world *w, uint32_t slot)
{
	return &w->hands[MIN(slot, (uint32_t)MODEL_WORKERS)];
}

uint32_t hand_slot(const struct world *w, const struct hand *h)
{
	return h == &w->hands[MODEL_WORKERS] ? SACRIFICE_SLOT : (uint32_t)(h - w->hands);
}

struct hand *hand_any(struct world *w, bool alive)
{
	size_t start = world_below(w, w->workers + 1);

	for (size_t i = 0; i <= w->workers; i++) {
		size_t at = (start + i) % (w->workers + 1);
		bool sacrificial = at == w->workers;
		struct hand *h = &w->hands[sacrificial ? MODEL_WORKERS : at];

		if (h->alive == alive && (alive || !sacrificial || w->wanted))
			return h;
	}
	return NULL;
}

void hand_start(struct world *w, struct hand *h)
{
	h->alive = true;
	h->connected = h->draining = false;
	h->incarnation = w->next_incarnation++;
	h->count = 0;
	mail_clear(&h->inbox);
	memset(h->stuck, 0, sizeof(h->stuck));
	for (int c = 0; c < CLASS_COUNT; c++)
		h->capacity[c] = (uint32_t)world_below(w, w->capacity + 1) +
				 (hand_slot(w, h) == SACRIFICE_SLOT);
	if (hand_slot(w, h) == SACRIFICE_SLOT)
		w->wanted = false;
	mail_post(&w->supervisor, &(struct letter){ .kind = LETTER_STARTED,
						    .slot = hand_slot(w, h),
						    .incarnation = h->incarnation });
	world_tell(w, "worker %u starts, incarnation %llu", hand_slot(w, h),
		   (unsigned long long)h->incarnation);
}

/* Sent isn't received: what isn't acknowledged is said again. */
void hand_connect(struct world *w, struct hand *h)
{
	h->connected = true;
	mail_post(&h->outbox, &(struct letter){ .kind = LETTER_HELLO,
						.slot = hand_slot(w, h),
						.incarnation = h->incarnation });
	for (size_t i = 0; i < h->count; i++)
		if (h->errands[i].stage == STAGE_DONE)
			say_result(w, h, &h->errands[i]);
	world_tell(w, "worker %u says hello", hand_slot(w, h));
}

void hand_hear(struct world *w, struct hand *h)
{
	struct errand *e;
	struct letter l;

	if (!mail_take(&h->inbox, &l) || l.incarnation != h->incarnation || !h->alive)
		return;
	e = errand_find(h, l.token);
	switch (l.kind) {
	case LETTER_JOB:
		take(w, h, &l);
		break;
	case LETTER_CANCEL:
		if (e)
			e->asked = true;
		break;
	case LETTER_ACK:
		MODEL_EXPECT(&w->m, !e || e->stage == STAGE_DONE,
			     "attempt %llx is acknowledged and hasn't ended",
			     (unsigned long long)l.token);
		if (e)
			errand_remove(h, e);
		break;
	case LETTER_FORGET:
		if (e)
			errand_remove(h, e);
		break;
	case LETTER_DRAIN:
		h->draining = true;
		break;
	default:
		abort();
	}
}

void hand_work(struct world *w, struct hand *h)
{
	struct errand *e = h->count ? &h->errands[world_below(w, h->count)] : NULL;
	int c = (int)world_below(w, CLASS_COUNT);

	if (!h->connected && world_chance(w, w->calm ? 100 : 30)) {
		hand_connect(w, h);
	} else if (h->stuck[c] > 0 && world_chance(w, 30)) {
		h->stuck[c]--;
		if (h->connected)
			mail_post(&h->outbox, &(struct letter){ .kind = LETTER_FREED,
								.slot = hand_slot(w, h),
								.incarnation = h->incarnation,
								.job_class = (enum job_class)c });
	} else if (!e) {
		if (h->draining && world_chance(w, 20))
			hand_die(w, h, true);
	} else if (e->stage == STAGE_WAITS) {
		begin(w, h, e);
	} else if (e->stage == STAGE_RUNS) {
		end(w, h, e);
	} else if (h->connected && world_chance(w, 10)) {
		say_result(w, h, e); /* once more */
	}
}

void hand_die(struct world *w, struct hand *h, bool told)
{
	struct letter l = { .kind = LETTER_LOST, .slot = hand_slot(w, h), .incarnation = h->incarnation };
	struct errand *e = h->count ? &h->errands[world_below(w, h->count)] : NULL;

	for (size_t i = 0; i < h->count; i++) /* some do it again and again */
		if (h->errands[i].job.sequence % 8 == 0 && h->errands[i].stage == STAGE_RUNS)
			e = &h->errands[i];
	l.death.asked = told;
	l.death.signal = told ? -1 : world_chance(w, 20) ? 0 : 11;
	if (!told && e && e->stage == STAGE_RUNS && world_chance(w, 80))
		l.death.culprit = e->job.token;
	else if (!told && w->m.ghost_count > 0 && world_chance(w, 10))
		l.death.culprit = w->m.ghosts[0].token; /* it has ended since */
	if (!told && l.death.culprit == 0)
		l.death.signal = 9;
	h->alive = h->connected = false;
	h->count = 0;
	mail_post(&w->supervisor, &l);
	w->counts.deaths++;
	world_tell(w, "worker %u dies, culprit %llx", hand_slot(w, h),
		   (unsigned long long)l.death.culprit);
}

const struct errand *hand_errand(const struct hand *h, uint64_t token)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->errands[i].job.token == token)
			return &h->errands[i];
	return NULL;
}

static struct errand *errand_find(struct hand *h, uint64_t token)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->errands[i].job.token == token)
			return &h->errands[i];
	return NULL;
}

static void errand_remove(struct hand *h, struct errand *e)
{
	*e = h->errands[--h->count];
}

static void take(struct world *w, struct hand *h, const struct letter *l)
{
	MODEL_EXPECT(&w->m, !errand_find(h, l->token), "attempt %llx is dispatched twice",
		     (unsigned long long)l->token);
	if (h->count == h->size) {
		h->size = h->size ? h->size * 2 : 16;
		h->errands = reallocarray(h->errands, h->size, sizeof(*h->errands));
		if (!h->errands)
			abort();
	}
	h->errands[h->count++] = (struct errand){ .job = *l };
}

/* No two attempts of a job run at once; and those that may run but once, do. */
static void begin(struct world *w, struct hand *h, struct errand *e)
{
	struct history *past = world_history(w, e->job.sequence, &e->job.id);
	const unsigned long long name = e->job.sequence;

	if (h->draining || world_chance(w, 3)) {
		e->stage = STAGE_DONE;
		e->result = (struct attempt_result){ .token = e->job.token,
						     .outcome = OUTCOME_RETURNED };
		if (h->connected)
			say_result(w, h, e);
		return;
	}
	for (uint32_t i = 0; i <= MODEL_WORKERS; i++)
		for (size_t j = 0; j < w->hands[i].count; j++)
			MODEL_EXPECT(&w->m,
				     w->hands[i].errands[j].stage != STAGE_RUNS ||
					     !uuid_equal(&w->hands[i].errands[j].job.id, &e->job.id),
				     "job %llu runs twice at once", name);
	e->stage = STAGE_RUNS;
	w->counts.starts++;
	if (past->life != e->job.life)
		past->starts = 0;
	past->life = e->job.life;
	past->starts++;
	MODEL_EXPECT(&w->m, !e->job.once || past->starts == 1, "job %llu starts twice", name);
	world_tell(w, "worker %u begins job %llu", hand_slot(w, h), name);
}

static void end(struct world *w, struct hand *h, struct errand *e)
{
	static char body[300];
	struct attempt_result *r = &e->result;

	if (e->asked && world_chance(w, 10))
		return; /* it takes its time */
	e->stage = STAGE_DONE;
	*r = (struct attempt_result){
		.token = e->job.token,
		.outcome = (enum job_outcome)(1 + world_below(w, 5)),
		.retryable = world_chance(w, 50),
		.retry_after_ms = world_chance(w, 10) ? (uint32_t)world_below(w, 8000) : 0,
		.elapsed_us = (uint32_t)world_below(w, 1000),
		.body = { body, world_below(w, sizeof(body)) },
	};
	if (world_chance(w, 40))
		r->outcome = OUTCOME_SUCCEEDED;
	else if (r->outcome == OUTCOME_CANCELLED && !e->asked)
		r->outcome = OUTCOME_FAILED;
	if (world_chance(w, 1))
		r->outcome = (enum job_outcome)77;
	r->busy = r->outcome == OUTCOME_FAILED && e->job.limit_key > MODEL_FREE_KEY &&
		  world_chance(w, 30);
	if (r->outcome == OUTCOME_ABANDONED)
		h->stuck[e->job.job_class]++;
	world_tell(w, "worker %u ends job %llu: outcome %d", hand_slot(w, h),
		   (unsigned long long)e->job.sequence, r->outcome);
	if (h->connected)
		say_result(w, h, e);
}

static void say_result(struct world *w, struct hand *h, const struct errand *e)
{
	mail_post(&h->outbox, &(struct letter){ .kind = LETTER_RESULT,
						.slot = hand_slot(w, h),
						.incarnation = h->incarnation,
						.token = e->job.token,
						.result = e->result });
}
