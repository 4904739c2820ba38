/* The model of a run: whom the engine chooses to dispatch, held against priority, acceptance, turns, limits and room. */
#include "model_parts.h"

struct chosen {
	struct model_job *job;
	uint64_t token;
	uint32_t slot;
};

/* Who had the last turns of this run. */
struct turns {
	int queue[CLASS_COUNT], lane[CLASS_COUNT][MODEL_QUEUES];
};

static void dispatched(struct model *m, const struct chosen *c, struct turns *last);
static void check_order(struct model *m, const struct model_job *job);
static void check_turns(struct model *m, const struct model_job *job, struct turns *last);
static void check_idle(struct model *m);

static unsigned long long name_of(const struct model_job *job)
{
	return job->sequence;
}

/* Whom it has chosen shows in their states; in which order, by their tokens. */
void model_ran(struct model *m)
{
	struct chosen chosen[128];
	struct turns last;
	size_t count = 0;

	model_children_run(m);
	model_groups_run(m);
	memset(&last, 0xff, sizeof(last)); /* nobody */
	for (size_t i = 0; i < m->count; i++) {
		const struct job *real;
		size_t at;

		if (m->jobs[i].is.state != JOB_READY || !(real = model_real(m, &m->jobs[i])) ||
		    real->state != JOB_RUNNING)
			continue;
		if (count == ARRAY_SIZE(chosen)) {
			model_break(m, "too many jobs run");
			return;
		}
		for (at = count++; at > 0 && chosen[at - 1].token > real->token; at--)
			chosen[at] = chosen[at - 1];
		chosen[at] = (struct chosen){ &m->jobs[i], real->token, real->slot };
	}
	for (size_t i = 0; i < count && !m->broken; i++)
		dispatched(m, &chosen[i], &last);
	if (!m->broken)
		check_idle(m);
}

static void dispatched(struct model *m, const struct chosen *chosen, struct turns *last)
{
	struct model_job *job = chosen->job;
	int c = (int)job->terms.job_class;

	MODEL_EXPECT(m, chosen->token > m->last_token, "the token of job %llu isn't new", name_of(job));
	MODEL_EXPECT(m, model_is_open(m, job), "job %llu starts beyond a limit", name_of(job));
	if (job->suspect) {
		model_tried(m, job, chosen->slot, chosen->token);
		return;
	}
	MODEL_EXPECT(m, chosen->slot < MODEL_WORKERS && model_worker_free(m, chosen->slot, c),
		     "worker %u had no room", chosen->slot);
	check_order(m, job);
	check_turns(m, job, last);
	job->alone = false;
	model_runs(m, job, chosen->slot, chosen->token);
}

void model_runs(struct model *m, struct model_job *job, uint32_t slot, uint64_t token)
{
	m->last_token = job->is.token = token;
	job->slot = slot;
	job->sent = false;
	job->is.state = JOB_RUNNING;
	job->is.attempts++;
	model_worker(m, slot)->used++;
	model_gates_spend(m, job);
	model_promise(m, ACTION_DISPATCH, job, true);
}

bool model_worker_free(const struct model *m, uint32_t slot, int job_class)
{
	const struct model_worker *w = &m->workers[MIN(slot, (uint32_t)MODEL_WORKERS)];

	return w->joined && !w->draining && model_held(m, slot, job_class) < w->capacity[job_class];
}

/* A lane that no limit ever shuts takes part at all times; others may come back a little after their gate has opened. */
static bool is_steady(const struct model_job *job)
{
	return job->limit_key <= MODEL_FREE_KEY;
}

static bool is_rival(const struct model_job *job, const struct model_job *other)
{
	return other->is.state == JOB_READY && !other->suspect && other != job &&
	       other->terms.job_class == job->terms.job_class;
}

/* Within its queue the highest priority is first, within its lane the oldest. */
static void check_order(struct model *m, const struct model_job *job)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct model_job *other = &m->jobs[i];
		bool same_lane = other->limit_key == job->limit_key;

		if (!is_rival(job, other) || other->queue != job->queue)
			continue;
		MODEL_EXPECT(m,
			     other->terms.priority <= job->terms.priority ||
				     !(same_lane || is_steady(other)),
			     "job %llu overtook %llu, of a higher priority", name_of(job),
			     name_of(other));
		MODEL_EXPECT(m,
			     !same_lane || other->terms.priority != job->terms.priority ||
				     other->sequence > job->sequence,
			     "job %llu overtook %llu", name_of(job), name_of(other));
	}
}

/* Queues take turns, and so do the lanes of one priority. */
static void check_turns(struct model *m, const struct model_job *job, struct turns *last)
{
	int c = (int)job->terms.job_class, *lane = &last->lane[c][job->queue];
	/* A lane's turn is one of its priority, too. */
	int turn = job->limit_key * 256 + job->terms.priority + 128;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_job *other = &m->jobs[i];

		if (!is_rival(job, other) || !is_steady(other) || !model_is_open(m, other))
			continue;
		MODEL_EXPECT(m, other->queue == job->queue || last->queue[c] != job->queue,
			     "queue %d had two turns, queue %d none", job->queue, other->queue);
		MODEL_EXPECT(m,
			     other->queue != job->queue || *lane != turn ||
				     other->limit_key == job->limit_key ||
				     other->terms.priority != job->terms.priority,
			     "key %d had two turns, key %d none", job->limit_key, other->limit_key);
	}
	last->queue[c] = job->queue;
	*lane = turn;
}

static void check_idle(struct model *m)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct model_job *job = &m->jobs[i];

		if (job->is.state != JOB_READY || job->suspect || !model_is_open(m, job))
			continue;
		for (uint32_t slot = 0; slot < MODEL_WORKERS; slot++)
			MODEL_EXPECT(m, !model_worker_free(m, slot, (int)job->terms.job_class),
				     "job %llu waits though worker %u is free", name_of(job), slot);
	}
}
