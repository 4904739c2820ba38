/* The judge: what the engine does, tells and saves, held against the model. */
#include "clock.h"
#include "model_parts.h"
#include <errno.h>
#include <stdlib.h>

static void compare_job(struct model *m, const struct model_job *job);
static void compare_times(struct model *m, const struct model_job *job, const struct job *real);
static void compare_counts(struct model *m);
static void compare_left(struct model *m);
static void compare_workers(struct model *m);

static unsigned long long name_of(const struct model_job *job)
{
	return job->sequence;
}

void model_promise(struct model *m, enum action_kind kind, const struct model_job *job, bool changed)
{
	bool durable = model_durable(job);

	if (m->promise_count == m->promise_size) {
		m->promise_size = m->promise_size ? m->promise_size * 2 : 64;
		m->promises = reallocarray(m->promises, m->promise_size, sizeof(*m->promises));
		if (!m->promises)
			abort();
	}
	m->promises[m->promise_count++] = (struct promise){
		.kind = kind,
		.slot = job->slot,
		.sequence = job->sequence,
		.token = job->is.token,
		.after = durable && changed ? m->open : 0,
		.until = durable ? m->open : 0,
	};
}

void model_promise_stale(struct model *m, uint32_t slot, uint64_t token)
{
	const struct model_job none = { .slot = slot, .is.token = token };
	uint64_t after = 0;

	for (size_t i = 0; i < m->promise_count; i++) {
		const struct promise *p = &m->promises[i];

		if (p->kind == ACTION_ENDED && p->slot == slot && p->token == token)
			after = MAX(after, p->after);
	}
	model_promise(m, ACTION_ENDED, &none, false);
	m->promises[m->promise_count - 1].after = after;
	m->promises[m->promise_count - 1].until = m->open;
}

void model_promise_group(struct model *m, const struct model_group *g, bool lapsed)
{
	const struct model_job of = { .sequence = g->sequence, .terms.durability = g->durability };

	model_promise(m, ACTION_GROUP_FINISHED, &of, true);
	m->promises[m->promise_count - 1].lapsed = lapsed;
}

static void keep_promise(struct model *m, struct promise *p)
{
	*p = m->promises[--m->promise_count];
}

void model_break_promises(struct model *m, uint64_t sequence, int kind)
{
	for (size_t i = m->promise_count; i-- > 0;)
		if (m->promises[i].sequence == sequence &&
		    (kind < 0 || (int)m->promises[i].kind == kind))
			keep_promise(m, &m->promises[i]);
}

static struct promise *promise_of(struct model *m, const struct action *a, uint64_t sequence)
{
	bool named = a->kind == ACTION_DISPATCH || a->kind == ACTION_CANCEL || a->kind == ACTION_ENDED;
	struct promise *first = NULL;

	for (size_t i = 0; i < m->promise_count; i++) {
		struct promise *p = &m->promises[i];

		if (p->kind == a->kind && p->sequence == sequence &&
		    (!named || (p->token == a->token && p->slot == a->slot)) &&
		    (!first || p->until < first->until))
			first = p;
	}
	return first;
}

bool model_action(struct model *m, const struct action *a)
{
	struct model_group *g;
	struct model_job *job;
	unsigned long long name = 0;
	struct promise *p;
	bool counts;

	if (a->kind == ACTION_SACRIFICE || a->kind == ACTION_DISMISS) {
		model_told_of_worker(m, a->kind);
		return true;
	}
	if (a->kind == ACTION_GROUP_FINISHED)
		name = a->group->sequence;
	else if (a->job)
		name = a->job->sequence;
	job = model_find(m, name);
	g = model_group(m, name);
	p = promise_of(m, a, name);
	if (!p) {
		model_break(m, "action %d of job %llu wasn't expected", a->kind, name);
		return false;
	}
	MODEL_EXPECT(m, p->after <= m->told,
		     "action %d of job %llu comes before its batch %llu is committed", a->kind,
		     name, (unsigned long long)p->after);
	if (a->kind == ACTION_FINISHED && job)
		job->untold = false;
	if (a->kind == ACTION_GROUP_FINISHED && g)
		g->untold = false;
	if (a->kind == ACTION_DISPATCH && job)
		job->sent = true;
	counts = !p->lapsed;
	keep_promise(m, p);
	return counts;
}

void model_acted(struct model *m)
{
	bool idle = engine_pending(m->e) == 0;

	for (size_t i = 0; i < m->promise_count; i++)
		MODEL_EXPECT(m, m->promises[i].until > m->told && !idle,
			     "action %d of job %llu is missing", m->promises[i].kind,
			     (unsigned long long)m->promises[i].sequence);
	model_trials_move(m);
}

/* What left early must have been what leaves first. */
void model_reaped(struct model *m)
{
	uint64_t newest[2] = { 0, 0 }, oldest[2] = { UINT64_MAX, UINT64_MAX };
	struct engine_counts counts;

	for (size_t i = 0; i < m->count; i++) {
		struct model_job *job = &m->jobs[i];
		struct job *real;

		if (!model_final(job))
			continue;
		if (engine_find(m->e, &job->id, &real) == 0) {
			oldest[job->delivered] = MIN(oldest[job->delivered], job->order);
			continue;
		}
		newest[job->delivered] = MAX(newest[job->delivered], job->order);
		m->evicted += !model_durable(job);
		model_forget(m, job);
		i--;
	}
	engine_counts(m->e, &counts);
	MODEL_EXPECT(m, counts.evicted == m->evicted, "%llu jobs left early, %llu are counted",
		     (unsigned long long)m->evicted, (unsigned long long)counts.evicted);
	MODEL_EXPECT(m, newest[0] <= oldest[0] && newest[1] < oldest[1],
		     "a job left before an older one");
	MODEL_EXPECT(m, newest[0] == 0 || oldest[1] == UINT64_MAX, "a job left before a delivered one");
	MODEL_EXPECT(m, counts.finished_bytes <= m->max_finished_bytes, "finished jobs take too much");
}

void model_saved(struct model *m, struct model_job *job, const struct job *real)
{
	MODEL_EXPECT(m, model_durable(job), "memory job %llu is saved", name_of(job));
	MODEL_EXPECT(m, real->stored == (job->saved.state != 0), "job %llu is saved first or again",
		     name_of(job));
	MODEL_EXPECT(m, (real->body ? real->body->size : 0) == job->result_size,
		     "job %llu is saved with another's result", name_of(job));
	MODEL_EXPECT(m, real->state == job->is.state, "job %llu is saved in another state",
		     name_of(job));
	if (!real->gone)
		compare_job(m, job);
	job->saved = job->is;
	if (real->gone)
		*job = m->leaving[--m->leaving_count];
}

void model_sealed(struct model *m, uint64_t number, bool any)
{
	MODEL_EXPECT(m, number == (any ? m->open : 0), "a batch has number %llu, should have %llu",
		     (unsigned long long)number, (unsigned long long)(any ? m->open : 0));
	for (size_t i = 0; i < m->count; i++)
		MODEL_EXPECT(m, !model_unsaved(&m->jobs[i]), "job %llu (%s) isn't saved",
			     name_of(&m->jobs[i]), job_state_name(m->jobs[i].is.state));
	for (size_t i = 0; i < m->group_count; i++)
		MODEL_EXPECT(m, !model_group_unsaved(&m->groups[i]) || m->groups[i].refused,
			     "group %llu isn't saved", (unsigned long long)m->groups[i].sequence);
	MODEL_EXPECT(m, m->leaving_count == 0, "job %llu left and isn't saved",
		     name_of(&m->leaving[0]));
	m->open += any;
}

void model_compare(struct model *m)
{
	uint64_t pending = engine_pending(m->e), last = m->open - 1;
	char why[256] = "";
	size_t count = 0;
	bool unsaved = false;

	MODEL_EXPECT(m, engine_check(m->e, why, sizeof(why)) == 0, "engine_check: %s", why);
	for (struct job *job = NULL; (job = engine_older(m->e, job));)
		count++;
	MODEL_EXPECT(m, count == m->count, "the engine has %zu jobs, the model %zu", count, m->count);
	for (size_t i = 0; i < m->count && !m->broken; i++) {
		compare_job(m, &m->jobs[i]);
		unsaved |= model_unsaved(&m->jobs[i]);
	}
	model_groups_compare(m);
	for (size_t i = 0; i < m->group_count; i++)
		unsaved |= model_group_unsaved(&m->groups[i]) && !m->groups[i].refused;
	MODEL_EXPECT(m, pending == m->open || (!unsaved && pending == (last > m->told ? last : 0)),
		     "batch %llu is waited for", (unsigned long long)pending);
	compare_counts(m);
	compare_left(m);
	compare_workers(m);
	model_gates_compare(m, m->gate_names);
	m->last_order++;
}

/* Whether a recovery from its last save would lose more than an uncharged attempt or a wait that is over. */
bool model_unsaved(const struct model_job *job)
{
	const struct face *is = &job->is, *saved = &job->saved;

	if (!model_durable(job))
		return false;
	if (saved->state == 0 || is->token != saved->token || is->attempts != saved->attempts ||
	    is->failures != saved->failures || is->crashes != saved->crashes ||
	    is->lives != saved->lives || is->cancelling != saved->cancelling)
		return true;
	if (is->state == saved->state)
		return false;
	return job_state_is_final(saved->state) ||
	       (is->state != JOB_READY && is->state != JOB_SCHEDULED);
}

static void compare_job(struct model *m, const struct model_job *job)
{
	const struct job *real = model_real(m, job);
	const struct face *is = &job->is;
	const unsigned long long name = job->sequence;

	if (!real)
		return;
	MODEL_EXPECT(m, real->state == is->state, "job %llu is %s, should be %s", name,
		     job_state_name((enum job_state)real->state), job_state_name(is->state));
	MODEL_EXPECT(m, real->failures == is->failures, "job %llu is charged %u, should be %u",
		     name, real->failures, is->failures);
	MODEL_EXPECT(m, real->crashes == is->crashes, "job %llu has wrong crashes", name);
	MODEL_EXPECT(m, real->attempts == is->attempts, "job %llu has wrong attempts", name);
	MODEL_EXPECT(m, real->cancelling == is->cancelling, "job %llu forgot its cancel", name);
	MODEL_EXPECT(m, real->token == is->token, "job %llu has another's token", name);
	MODEL_EXPECT(m, real->slot == job->slot || is->state != JOB_RUNNING,
		     "job %llu runs elsewhere", name);
	MODEL_EXPECT(m, real->delivered == job->delivered, "job %llu is delivered or not", name);
	MODEL_EXPECT(m, model_final(job) || real->suspect == job->suspect,
		     "job %llu is a suspect or not", name);
	MODEL_EXPECT(m, real->untold == job->untold, "job %llu is told of or not", name);
	MODEL_EXPECT(m, model_final(job) || real->client == job->client,
		     "job %llu has another client", name);
	MODEL_EXPECT(m, is->state != JOB_FAILED || real->error, "job %llu failed without an error",
		     name);
	compare_times(m, job, real);
}

static void compare_times(struct model *m, const struct model_job *job, const struct job *real)
{
	int64_t due = engine_due(m->e, real), deadline = real->extra ? real->extra->deadline : 0;
	bool waits = job->is.state == JOB_RETRYING || job->is.state == JOB_SCHEDULED;

	if (job->is.state == JOB_ACCEPTED || job->is.state == JOB_BLOCKED)
		MODEL_EXPECT(m, due == model_engine_time(m, job->terms.due),
			     "job %llu starts at a wrong time", name_of(job));
	else
		MODEL_EXPECT(m, due == (waits ? model_engine_time(m, job->due) : 0),
			     "job %llu waits until a wrong time", name_of(job));
	MODEL_EXPECT(m, deadline == model_engine_time(m, job->deadline),
		     "job %llu has another deadline", name_of(job));
	MODEL_EXPECT(m, real->accepted_at == model_engine_time(m, job->accepted_at),
		     "job %llu was accepted at another time", name_of(job));
}

static void compare_counts(struct model *m)
{
	uint64_t jobs[JOB_STATE_LIMIT] = { 0 };
	struct engine_counts counts;

	for (size_t i = 0; i < m->count; i++)
		jobs[m->jobs[i].is.state]++;
	engine_counts(m->e, &counts);
	for (int s = 0; s < JOB_STATE_LIMIT; s++)
		MODEL_EXPECT(m, jobs[s] == counts.jobs[s], "%llu jobs are %s, should be %llu",
			     (unsigned long long)counts.jobs[s], job_state_name((enum job_state)s),
			     (unsigned long long)jobs[s]);
}

static void compare_left(struct model *m)
{
	for (uint64_t i = 0; i < MIN(m->left_count, (uint64_t)MODEL_GHOSTS); i++) {
		struct job *job;
		int r = engine_find(m->e, &m->left[i].id, &job);

		MODEL_EXPECT(m, r == m->left[i].found, "a job that left is found: %d", r);
	}
}

static void compare_workers(struct model *m)
{
	struct worker_view view;

	for (uint32_t i = 0; engine_worker_view(m->e, i, &view) == 0; i++)
		for (int c = 0; c < CLASS_COUNT; c++) {
			uint32_t held = model_held(m, view.slot, c);

			MODEL_EXPECT(m, view.held[c] == held, "worker %u holds %u, should be %u",
				     view.slot, view.held[c], held);
		}
}
