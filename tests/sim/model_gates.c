/* The model of limits: what a queue or a limit key lets through, and what it has learnt. */
#include "clock.h"
#include "model_parts.h"

static const struct limit *limit_of(const struct model *m, enum limit_kind kind, int name)
{
	const struct model_gate *g = &m->gates[kind][name];

	return g->own ? &g->limit : &m->default_limits[kind];
}

static bool counts_for(const struct model_job *job, enum limit_kind kind, int name)
{
	return kind == LIMIT_QUEUE ? job->queue == name : job->limit_key == name;
}

static uint32_t running(const struct model *m, enum limit_kind kind, int name)
{
	uint32_t found = 0;

	for (size_t i = 0; i < m->count; i++)
		found += m->jobs[i].is.state == JOB_RUNNING && counts_for(&m->jobs[i], kind, name);
	return found;
}

static uint32_t ceiling(const struct model *m, enum limit_kind kind, int name)
{
	const struct limit *limit = limit_of(m, kind, name);
	uint32_t most = limit->concurrency ? limit->concurrency : UINT32_MAX;
	uint32_t slowed = m->gates[kind][name].slowed;

	return slowed > 0 && slowed < most ? slowed : most;
}

static void forget(struct model_gate *g)
{
	g->full_at = g->busy_until = g->slow_again = 0;
	g->slowed = g->successes = 0;
}

static bool is_open(const struct model *m, enum limit_kind kind, int name)
{
	const struct model_gate *g = &m->gates[kind][name];
	const struct limit *limit = limit_of(m, kind, name);
	int64_t interval = limit->rate ? limit->per / limit->rate : 0;
	int64_t burst = limit->burst;

	if (interval > 0 && burst == 0)
		burst = MAX(NSEC_PER_SEC / 10 / interval, INT64_C(1));
	return !g->paused && running(m, kind, name) < ceiling(m, kind, name) &&
	       g->busy_until <= m->now &&
	       (interval == 0 || g->full_at - (burst - 1) * interval <= m->now);
}

bool model_is_open(const struct model *m, const struct model_job *job)
{
	return is_open(m, LIMIT_QUEUE, job->queue) &&
	       (job->limit_key == 0 || is_open(m, LIMIT_KEY, job->limit_key));
}

static void spend(struct model *m, enum limit_kind kind, int name)
{
	struct model_gate *g = &m->gates[kind][name];
	const struct limit *limit = limit_of(m, kind, name);

	if (limit->rate > 0)
		g->full_at = MAX(g->full_at, m->now) + limit->per / limit->rate;
}

void model_gates_spend(struct model *m, const struct model_job *job)
{
	spend(m, LIMIT_QUEUE, job->queue);
	if (job->limit_key > 0)
		spend(m, LIMIT_KEY, job->limit_key);
}

/* It runs still. */
void model_gates_result(struct model *m, const struct model_job *job, const struct attempt_result *r)
{
	struct model_gate *g = &m->gates[LIMIT_KEY][job->limit_key];
	int64_t wait = r->retry_after_ms * NSEC_PER_MSEC;

	if (job->limit_key == 0)
		return;
	if (r->outcome == OUTCOME_SUCCEEDED) {
		if (g->slowed > 0 && ++g->successes >= g->slowed) {
			g->successes = 0;
			g->slowed++;
		}
	} else if (r->busy) {
		if (wait > 0)
			g->busy_until = MAX(g->busy_until, m->now + wait);
		if (m->now >= g->slow_again) {
			g->slow_again = m->now + MAX(wait, NSEC_PER_SEC);
			g->slowed = MAX(MIN(ceiling(m, LIMIT_KEY, job->limit_key),
					    running(m, LIMIT_KEY, job->limit_key)) /
						2,
					1u);
			g->successes = 0;
		}
	}
	if (g->slowed >= (limit_of(m, LIMIT_KEY, job->limit_key)->concurrency ?: UINT32_MAX))
		g->slowed = 0;
}

void model_limit(struct model *m, enum limit_kind kind, int name, const struct limit *limit)
{
	m->gates[kind][name].own = limit;
	if (limit)
		m->gates[kind][name].limit = *limit;
	forget(&m->gates[kind][name]);
}

void model_limit_default(struct model *m, enum limit_kind kind, const struct limit *limit)
{
	m->default_limits[kind] = *limit;
	for (int i = 0; i < MODEL_GATES; i++)
		if (!m->gates[kind][i].own)
			forget(&m->gates[kind][i]);
}

/* Unfinished ones that don't run; or of those the ready ones, but for suspects. */
static uint64_t pending(const struct model *m, enum limit_kind kind, int name, bool ready)
{
	uint64_t found = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_job *job = &m->jobs[i];

		found += counts_for(job, kind, name) &&
			 (ready ? job->is.state == JOB_READY && !job->suspect
				: !model_final(job) && job->is.state != JOB_RUNNING);
	}
	return found;
}

static bool is_full(const struct model *m, enum limit_kind kind, int name)
{
	uint64_t most = limit_of(m, kind, name)->max_pending;

	return most > 0 && pending(m, kind, name, false) >= most;
}

bool model_gates_full(const struct model *m, const struct model_job *job)
{
	return is_full(m, LIMIT_QUEUE, job->queue) ||
	       (job->limit_key > 0 && is_full(m, LIMIT_KEY, job->limit_key));
}

/* What nobody names any more is forgotten; and what the engine tells is true. */
void model_gates_compare(struct model *m, const char *const names[2][MODEL_GATES])
{
	struct limit_view view;

	for (int kind = 0; kind < 2; kind++)
		for (int i = kind; i < MODEL_GATES; i++) {
			const struct model_gate *g = &m->gates[kind][i];
			int r = engine_limit_find(m->e, (enum limit_kind)kind,
						  span_of(names[kind][i]), &view);

			if (r < 0) {
				MODEL_EXPECT(m, !g->own && !g->paused,
					     "the settings of %s are gone", names[kind][i]);
				forget(&m->gates[kind][i]);
				continue;
			}
			MODEL_EXPECT(m, view.running == running(m, (enum limit_kind)kind, i),
				     "%s runs %llu", names[kind][i], (unsigned long long)view.running);
			MODEL_EXPECT(m,
				     view.pending == pending(m, (enum limit_kind)kind, i, false) &&
					     (kind == LIMIT_KEY ||
					      view.ready == pending(m, LIMIT_QUEUE, i, true)),
				     "%s has %llu jobs that wait, %llu of them ready",
				     names[kind][i], (unsigned long long)view.pending,
				     (unsigned long long)view.ready);
			MODEL_EXPECT(m, view.paused == g->paused && view.own == g->own,
				     "%s has other settings", names[kind][i]);
		}
}
