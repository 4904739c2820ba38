#include "model.h"
#include "clock.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void ended(struct model *m, struct model_job *job, enum job_state state);
static void attempt_ended(struct model *m, struct model_job *job);
static void forget(struct model *m, struct model_job *job);
static void dispatched(struct model *m, const struct action *a, struct model_job *job, int *last_queue);
static void runs(struct model *m, const struct action *a, struct model_job *job);
static void told_of_worker(struct model *m, enum action_kind kind);
static void tried(struct model *m, const struct action *a, struct model_job *job);
static void trials_move(struct model *m);
static void ready(struct model *m, struct model_job *job);
static const struct model_job *best_ready(const struct model *m, int queue, int job_class);
static void compare_job(struct model *m, const struct model_job *job);
static void compare_counts(struct model *m);
static bool worker_free(const struct model *m, uint32_t slot, int job_class);

void model_break(struct model *m, const char *format, ...)
{
	va_list args;

	if (m->broken)
		return;
	m->broken = true;
	va_start(args, format);
	vsnprintf(m->why, sizeof(m->why), format, args);
	va_end(args);
}

bool model_final(const struct model_job *job)
{
	return job->state == JOB_SUCCEEDED || job->state == JOB_FAILED || job->state == JOB_CANCELLED;
}

struct model_job *model_find(struct model *m, const struct uuid *id)
{
	for (size_t i = 0; i < m->count; i++)
		if (uuid_equal(&m->jobs[i].id, id))
			return &m->jobs[i];
	return NULL;
}

struct job *model_real(struct model *m, const struct model_job *job)
{
	struct job *real = NULL;
	int r = engine_find(m->e, &job->id, &real);

	MODEL_EXPECT(m, r == 0, "job %llu (%s) isn't found: %d", (unsigned long long)job->sequence,
		     job_state_name(job->state), r);
	return real;
}

struct model_worker *model_worker(struct model *m, uint32_t slot)
{
	return &m->workers[MIN(slot, (uint32_t)MODEL_WORKERS)];
}

uint32_t model_held(const struct model *m, uint32_t slot, int job_class)
{
	uint32_t held = m->workers[MIN(slot, (uint32_t)MODEL_WORKERS)].withheld[job_class];

	for (size_t i = 0; i < m->count; i++)
		held += m->jobs[i].state == JOB_RUNNING && m->jobs[i].slot == slot &&
			(int)m->jobs[i].job_class == job_class;
	return held;
}

void model_submitted(struct model *m, const struct job *job, const struct submission *s, int queue)
{
	if (m->count == m->size) {
		m->size = m->size ? m->size * 2 : 64;
		m->jobs = reallocarray(m->jobs, m->size, sizeof(*m->jobs));
		if (!m->jobs)
			abort();
	}
	m->jobs[m->count++] = (struct model_job){
		.id = job->id,
		.sequence = job->sequence,
		.client = s->client,
		.tag = s->tag,
		.state = JOB_READY,
		.job_class = s->job_class,
		.queue = queue,
		.priority = s->priority,
		.retries = s->retries,
		.detached = s->detached,
		.ttl = job->profile->result_ttl,
	};
}

void model_cancel(struct model *m, struct model_job *job)
{
	if (job->cancelling)
		return;
	job->cancelling = true;
	if (job->state == JOB_RUNNING)
		job->expected[ACTION_CANCEL]++;
	else
		ended(m, job, JOB_CANCELLED);
}

void model_retry(struct model_job *job)
{
	job->state = JOB_READY;
	job->client = 0;
	job->failures = job->crashes = 0;
	job->cancelling = job->delivered = job->suspect = false;
}

void model_deliver(struct model *m, struct model_job *job)
{
	if (!model_final(job) || job->delivered)
		return;
	job->delivered = true;
	job->order = ++m->last_order;
}

void model_client_gone(struct model *m, uint64_t client)
{
	for (size_t i = 0; i < m->count; i++) {
		struct model_job *job = &m->jobs[i];

		if (job->client != client || model_final(job))
			continue;
		job->client = 0;
		if (!job->detached)
			model_cancel(m, job);
	}
}

void model_result(struct model *m, struct model_job *job, const struct attempt_result *r)
{
	bool again = r->outcome == OUTCOME_TIMED_OUT ||
		     (r->retryable && r->outcome != OUTCOME_ABANDONED);

	attempt_ended(m, job);
	job->expected[ACTION_ENDED]++;
	if (r->outcome != OUTCOME_RETURNED)
		job->suspect = false;
	if (r->outcome == OUTCOME_ABANDONED)
		model_worker(m, job->slot)->withheld[job->job_class]++;
	if (r->outcome == OUTCOME_SUCCEEDED) {
		ended(m, job, JOB_SUCCEEDED);
	} else if (job->cancelling) {
		ended(m, job, JOB_CANCELLED);
	} else if (r->outcome == OUTCOME_RETURNED) {
		ready(m, job);
	} else if (again && job->failures < job->retries.max) {
		double wait = job->retries.initial_ms;

		for (unsigned i = 0; i < job->failures && wait < job->retries.maximum_ms; i++)
			wait *= job->retries.factor;
		wait = MIN(wait, (double)job->retries.maximum_ms);
		job->failures++;
		job->state = JOB_RETRYING;
		job->expected[ACTION_RETRYING]++;
		job->earliest = m->now + (int64_t)(MAX(wait * (1 - job->retries.jitter) * 0.999,
						       (double)r->retry_after_ms) *
						   1e6);
		job->latest = m->now +
			      (int64_t)(MAX(wait * (1 + job->retries.jitter) * 1.001,
					    (double)r->retry_after_ms) *
					1e6) +
			      1;
	} else {
		job->failures++;
		ended(m, job, JOB_FAILED);
	}
}

/* What is ready with too many charges runs by itself. */
static void ready(struct model *m, struct model_job *job)
{
	job->state = JOB_READY;
	if (job->crashes < MAX_CRASHES)
		return;
	job->suspect = true;
	job->set = ++m->sets;
}

void model_lost(struct model *m, uint32_t slot, const struct engine_death *death)
{
	bool open = death->culprit == 0 && !death->asked;
	const unsigned sets = m->sets += 2;
	unsigned held = 0;

	for (size_t i = 0; i < m->count; i++)
		held += m->jobs[i].state == JOB_RUNNING && m->jobs[i].slot == slot;
	for (unsigned place = 0; place < held; place++) {
		struct model_job *job = NULL;
		bool charged, fails;

		for (size_t i = 0; i < m->count; i++) /* the next one by its dispatch */
			if (m->jobs[i].state == JOB_RUNNING && m->jobs[i].slot == slot &&
			    (!job || m->jobs[i].token < job->token))
				job = &m->jobs[i];
		attempt_ended(m, job);
		charged = !death->asked && death->culprit != 0 && job->token == death->culprit;
		job->crashes += charged;
		fails = slot == SACRIFICE_SLOT && job->alone && model_worker(m, slot)->used == 1 &&
			(open || charged);
		if (job->cancelling || fails) {
			ended(m, job, job->cancelling ? JOB_CANCELLED : JOB_FAILED);
			continue;
		}
		if (open) {
			bool second = job->suspect && place >= (held + 1) / 2;

			job->suspect = true;
			job->set = sets - second;
		}
		ready(m, job);
	}
	*model_worker(m, slot) = (struct model_worker){ 0 };
	if (slot == SACRIFICE_SLOT)
		m->asked = m->dismissed = false;
}

void model_advanced(struct model *m, int64_t now)
{
	m->now = now;
	MODEL_EXPECT(m, engine_next_due(m->e) > m->now, "what was due wasn't done");
	for (size_t i = 0; i < m->count; i++) {
		struct model_job *job = &m->jobs[i];

		if (model_final(job) && job->latest <= now) {
			forget(m, job);
			i--;
		} else if (job->state == JOB_RETRYING && job->earliest <= now) {
			const struct job *real = model_real(m, job);

			if (real && (job->latest <= now || real->state == JOB_READY))
				ready(m, job);
		}
	}
}

/* All that was expected must be told, and then as many dispatches as there is room for, each to the job whose turn it
 * is. */
void model_actions(struct model *m, const struct action *actions, size_t count)
{
	int last_queue[CLASS_COUNT] = { -1, -1, -1, -1 };

	for (size_t i = 0; i < count && !m->broken; i++) {
		const struct action *a = &actions[i];
		struct model_job *job;

		if (a->kind == ACTION_SACRIFICE || a->kind == ACTION_DISMISS) {
			told_of_worker(m, a->kind);
			continue;
		}
		job = model_find(m, &a->job->id);
		if (a->kind == ACTION_DISPATCH && job && job->suspect)
			tried(m, a, job);
		else if (a->kind == ACTION_DISPATCH && job)
			dispatched(m, a, job, last_queue);
		else if (job && job->expected[a->kind] > 0)
			job->expected[a->kind]--;
		else /* one that expired in this very turn is told of, too */
			MODEL_EXPECT(m, !job && a->job->gone, "action %d of job %llu wasn't expected",
				     a->kind, (unsigned long long)a->job->sequence);
	}
	for (size_t i = 0; i < m->count; i++) {
		struct model_job *job = &m->jobs[i];

		job->untold = false;
		for (int kind = 0; kind < 16; kind++)
			MODEL_EXPECT(m, job->expected[kind] == 0, "action %d of job %llu is missing",
				     kind, (unsigned long long)job->sequence);
		for (uint32_t slot = 0;
		     slot < MODEL_WORKERS && job->state == JOB_READY && !job->suspect; slot++)
			MODEL_EXPECT(m, !worker_free(m, slot, (int)job->job_class),
				     "job %llu waits though worker %u is free",
				     (unsigned long long)job->sequence, slot);
	}
	trials_move(m);
}

/* What left early must have been what leaves first. */
void model_reaped(struct model *m)
{
	uint64_t newest[2] = { 0, 0 }, oldest[2] = { UINT64_MAX, UINT64_MAX }, gone = 0;
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
		gone++;
		newest[job->delivered] = MAX(newest[job->delivered], job->order);
		forget(m, job);
		i--;
	}
	engine_counts(m->e, &counts);
	m->evicted += gone;
	MODEL_EXPECT(m, counts.evicted == m->evicted, "%llu jobs left early, %llu are counted",
		     (unsigned long long)m->evicted, (unsigned long long)counts.evicted);
	MODEL_EXPECT(m, newest[0] <= oldest[0] && newest[1] < oldest[1],
		     "a job left before an older one");
	MODEL_EXPECT(m, newest[0] == 0 || oldest[1] == UINT64_MAX, "a job left before a delivered one");
	MODEL_EXPECT(m, counts.finished_bytes <= m->max_finished_bytes, "finished jobs take too much");
}

void model_compare(struct model *m)
{
	struct worker_view view;
	char why[256] = "";
	size_t count = 0;

	MODEL_EXPECT(m, engine_check(m->e, why, sizeof(why)) == 0, "engine_check: %s", why);
	for (struct job *job = NULL; (job = engine_older(m->e, job));)
		count++;
	MODEL_EXPECT(m, count == m->count, "the engine has %zu jobs, the model %zu", count, m->count);
	for (size_t i = 0; i < m->count && !m->broken; i++)
		compare_job(m, &m->jobs[i]);
	compare_counts(m);
	for (uint64_t i = 0; i < MIN(m->left_count, (uint64_t)MODEL_GHOSTS); i++) {
		struct job *job;
		int r = engine_find(m->e, &m->left[i], &job);

		MODEL_EXPECT(m, r == -EIDRM, "a job that left is found: %d", r);
	}
	for (uint32_t i = 0; engine_worker_view(m->e, i, &view) == 0; i++)
		for (int c = 0; c < CLASS_COUNT; c++) {
			uint32_t held = model_held(m, view.slot, c);

			MODEL_EXPECT(m, view.held[c] == held, "worker %u holds %u, should be %u",
				     view.slot, view.held[c], held);
		}
	m->last_order++;
}

static void ended(struct model *m, struct model_job *job, enum job_state state)
{
	job->state = state;
	job->untold = true;
	job->expected[ACTION_FINISHED]++;
	job->order = m->last_order; /* what ends by one event ends together */
	job->latest = m->now + (state == JOB_FAILED ? m->failed_ttl : job->ttl);
}

static void attempt_ended(struct model *m, struct model_job *job)
{
	m->ghosts[m->ghost_count++ % MODEL_GHOSTS] = (struct ghost){ job->slot, job->token };
}

static void forget(struct model *m, struct model_job *job)
{
	m->left[m->left_count++ % MODEL_GHOSTS] = job->id;
	*job = m->jobs[--m->count];
}

static void dispatched(struct model *m, const struct action *a, struct model_job *job, int *last_queue)
{
	int c = (int)job->job_class;
	const struct model_job *best = best_ready(m, job->queue, c);

	MODEL_EXPECT(m, job->state == JOB_READY, "job %llu is dispatched while %s",
		     (unsigned long long)job->sequence, job_state_name(job->state));
	MODEL_EXPECT(m, job == best, "job %llu is dispatched before job %llu",
		     (unsigned long long)job->sequence,
		     (unsigned long long)(best ? best->sequence : 0));
	MODEL_EXPECT(m, a->token > m->last_token, "an attempt's token isn't new");
	MODEL_EXPECT(m, a->slot < MODEL_WORKERS && worker_free(m, a->slot, c),
		     "worker %u had no room", a->slot);
	for (int q = 0; q < MODEL_QUEUES && last_queue[c] == job->queue; q++)
		MODEL_EXPECT(m, q == job->queue || !best_ready(m, q, c),
			     "queue %d had two turns, queue %d none", job->queue, q);
	last_queue[c] = job->queue;
	runs(m, a, job);
}

static void runs(struct model *m, const struct action *a, struct model_job *job)
{
	m->last_token = job->token = a->token;
	job->slot = a->slot;
	job->state = JOB_RUNNING;
	job->attempts++;
	model_worker(m, a->slot)->used++;
}

static void told_of_worker(struct model *m, enum action_kind kind)
{
	bool lives = model_worker(m, SACRIFICE_SLOT)->incarnation != 0;

	if (kind == ACTION_SACRIFICE) {
		MODEL_EXPECT(m, !lives && !m->asked, "a sacrificial worker too many is asked for");
		m->asked = true;
	} else {
		MODEL_EXPECT(m, lives && !m->dismissed, "nobody is dismissed");
		m->dismissed = true;
	}
}

/* A suspect starts: in the sacrificial worker, with none but its own set, or alone in a new process. */
static void tried(struct model *m, const struct action *a, struct model_job *job)
{
	unsigned mates = 0, others = 0, waiting = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_job *other = &m->jobs[i];

		if (other->state == JOB_RUNNING && other->slot == SACRIFICE_SLOT)
			other->set == job->set ? mates++ : others++;
		waiting += other->state == JOB_READY && other->suspect && other->set == job->set;
	}
	job->alone = mates == 0 && waiting == 1;
	MODEL_EXPECT(m, job->state == JOB_READY, "suspect %llu is dispatched while %s",
		     (unsigned long long)job->sequence, job_state_name(job->state));
	MODEL_EXPECT(m, a->token > m->last_token, "an attempt's token isn't new");
	MODEL_EXPECT(m, a->slot == SACRIFICE_SLOT && worker_free(m, a->slot, (int)job->job_class),
		     "suspect %llu runs in worker %u", (unsigned long long)job->sequence, a->slot);
	MODEL_EXPECT(m, others == 0, "suspect %llu runs with others than its set",
		     (unsigned long long)job->sequence);
	MODEL_EXPECT(m, !job->alone || model_worker(m, a->slot)->used == 0,
		     "job %llu alone runs in a used process", (unsigned long long)job->sequence);
	runs(m, a, job);
}

/* Whoever may be tried is, and who waits for a worker has one asked for. */
static void trials_move(struct model *m)
{
	const struct model_worker *w = model_worker(m, SACRIFICE_SLOT);
	unsigned waiting = 0, running = 0;

	for (size_t i = 0; i < m->count; i++) {
		waiting += m->jobs[i].state == JOB_READY && m->jobs[i].suspect;
		running += m->jobs[i].state == JOB_RUNNING && m->jobs[i].slot == SACRIFICE_SLOT;
	}
	if (w->incarnation == 0)
		MODEL_EXPECT(m, waiting == 0 || m->asked, "suspects wait, but for no worker");
	else if (w->joined && !w->draining && running == 0)
		MODEL_EXPECT(m, m->dismissed, "the sacrificial worker does nothing");
}

static const struct model_job *best_ready(const struct model *m, int queue, int job_class)
{
	const struct model_job *best = NULL;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_job *job = &m->jobs[i];

		if (job->state != JOB_READY || job->suspect || job->queue != queue ||
		    (int)job->job_class != job_class)
			continue;
		if (!best || job->priority > best->priority ||
		    (job->priority == best->priority && job->sequence < best->sequence))
			best = job;
	}
	return best;
}

static void compare_job(struct model *m, const struct model_job *job)
{
	const struct job *real = model_real(m, job);
	const unsigned long long name = job->sequence;

	if (!real)
		return;
	MODEL_EXPECT(m, real->state == job->state, "job %llu is %s, should be %s", name,
		     job_state_name((enum job_state)real->state), job_state_name(job->state));
	MODEL_EXPECT(m, real->failures == job->failures, "job %llu is charged %u, should be %u",
		     name, real->failures, job->failures);
	MODEL_EXPECT(m, real->crashes == job->crashes, "job %llu has wrong crashes", name);
	MODEL_EXPECT(m, model_final(job) || real->suspect == job->suspect,
		     "job %llu is a suspect or not", name);
	MODEL_EXPECT(m, real->attempts == job->attempts, "job %llu has wrong attempts", name);
	MODEL_EXPECT(m, real->cancelling == job->cancelling, "job %llu forgot its cancel", name);
	MODEL_EXPECT(m, real->delivered == job->delivered, "job %llu is delivered or not", name);
	MODEL_EXPECT(m, real->token == job->token, "job %llu has another's token", name);
	MODEL_EXPECT(m, model_final(job) || real->client == job->client,
		     "job %llu has another client", name);
	MODEL_EXPECT(m, (engine_due(m->e, real) != 0) == (job->state == JOB_RETRYING),
		     "job %llu retries at a wrong time", name);
	MODEL_EXPECT(m, job->state != JOB_FAILED || real->error, "job %llu failed without an error",
		     name);
}

static void compare_counts(struct model *m)
{
	uint64_t jobs[JOB_STATE_LIMIT] = { 0 };
	struct engine_counts counts;

	for (size_t i = 0; i < m->count; i++)
		jobs[m->jobs[i].state]++;
	engine_counts(m->e, &counts);
	for (int s = 0; s < JOB_STATE_LIMIT; s++)
		MODEL_EXPECT(m, jobs[s] == counts.jobs[s], "%llu jobs are %s, should be %llu",
			     (unsigned long long)counts.jobs[s], job_state_name((enum job_state)s),
			     (unsigned long long)jobs[s]);
}

static bool worker_free(const struct model *m, uint32_t slot, int job_class)
{
	const struct model_worker *w = &m->workers[MIN(slot, (uint32_t)MODEL_WORKERS)];

	return w->joined && !w->draining && model_held(m, slot, job_class) < w->capacity[job_class];
}
