#include "model.h"
#include "clock.h"
#include "engine_workers.h"
#include "model_parts.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void place(struct model *m, uint64_t sequence, uint32_t at);
static void stops(struct model *m, struct model_job *job, enum job_state how);
static void retries(struct model *m, struct model_job *job, uint32_t retry_after_ms);
static void passes(struct model *m, struct model_job *job);

void model_break(struct model *m, const char *format, ...)
{
	va_list args;

	if (m->broken)
		return;
	m->broken = true;
	m->rule = format;
	va_start(args, format);
	vsnprintf(m->why, sizeof(m->why), format, args);
	va_end(args);
}

void model_reset(struct model *m, struct engine *e)
{
	m->e = e;
	for (size_t i = 0; i < m->count; i++)
		place(m, m->jobs[i].sequence, 0);
	memset(m->left, 0, sizeof(m->left));
	m->count = m->promise_count = m->leaving_count = m->group_count = m->ending_count = 0;
	if (!m->groups)
		m->groups = calloc(MODEL_GROUPS, sizeof(*m->groups));
	if (!m->groups)
		abort();
	m->evicted = m->left_count = m->last_token = m->told = 0;
	m->open = 1;
	memset(m->workers, 0, sizeof(m->workers));
	m->asked = m->dismissed = false;
	memset(m->default_limits, 0, sizeof(m->default_limits));
	memset(m->gates, 0, sizeof(m->gates));
}

void model_done(struct model *m)
{
	free(m->jobs);
	free(m->places);
	free(m->leaving);
	free(m->groups);
	free(m->endings);
	free(m->promises);
}

bool model_final(const struct model_job *job)
{
	return job_state_is_final(job->is.state);
}

bool model_durable(const struct model_job *job)
{
	return job->terms.durability != DURABILITY_MEMORY;
}

struct model_job *model_find(struct model *m, uint64_t sequence)
{
	uint32_t at = sequence < m->place_count ? m->places[sequence] : 0;

	return at > 0 ? &m->jobs[at - 1] : NULL;
}

struct model_job *model_find_leaving(struct model *m, uint64_t sequence)
{
	for (size_t i = 0; i < m->leaving_count; i++)
		if (m->leaving[i].sequence == sequence)
			return &m->leaving[i];
	return NULL;
}

struct job *model_real(struct model *m, const struct model_job *job)
{
	struct job *real = NULL;
	int r = engine_find(m->e, &job->id, &real);

	MODEL_EXPECT(m, r == 0, "job %llu (%s) isn't found: %d", (unsigned long long)job->sequence,
		     job_state_name(job->is.state), r);
	return real;
}

static unsigned place_of(uint32_t slot)
{
	return MIN(slot, (uint32_t)MODEL_WORKERS);
}

struct model_worker *model_worker(struct model *m, uint32_t slot)
{
	return &m->workers[place_of(slot)];
}

uint32_t model_held(const struct model *m, uint32_t slot, int job_class)
{
	uint32_t held = m->workers[place_of(slot)].withheld[job_class];

	for (size_t i = 0; i < m->count; i++)
		held += m->jobs[i].is.state == JOB_RUNNING && m->jobs[i].slot == slot &&
			!m->jobs[i].parked && (int)m->jobs[i].terms.job_class == job_class;
	return held;
}

/* The latest that has it: the keys of those before were forgotten when it came. */
struct model_job *model_key_holder(struct model *m, int key)
{
	struct model_job *holder = NULL;

	for (size_t i = 0; i < m->count; i++) {
		struct model_job *job = &m->jobs[i];

		if (job->key == key && (!holder || job->sequence > holder->sequence) &&
		    time_add(job->accepted_at, m->key_ttl) > m->now)
			holder = job;
	}
	return holder;
}

struct model_job *model_unique_holder(struct model *m, int unique)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->jobs[i].unique == unique && !model_final(&m->jobs[i]))
			return &m->jobs[i];
	return NULL;
}

int64_t model_engine_time(const struct model *m, int64_t world)
{
	if (world == 0 || world == TIME_NEVER)
		return world;
	return world == m->boot ? -1 : world - m->boot; /* 0 says "none" */
}

struct model_job *model_submitted(struct model *m, const struct job *real, const struct model_job *like)
{
	struct model_job *job = model_add(m, like);

	job->id = real->id;
	job->is.state = JOB_READY;
	job->accepted_at = m->now;
	job->deadline = job->terms.deadline;
	job->watched = job->deadline != 0;
	model_group_adopt(m, job->group, job->terms.member, job->sequence);
	if (job->terms.blocked) {
		job->is.state = JOB_BLOCKED;
	} else if (job->key > 0 && model_durable(job)) {
		job->is.state = JOB_ACCEPTED;
		job->proceeds = m->open;
	} else {
		model_starts(m, job);
	}
	return job;
}

void model_cancel(struct model *m, struct model_job *job)
{
	if (!job->is.cancelling)
		stops(m, job, JOB_CANCELLED);
}

void model_retry(struct model *m, struct model_job *job)
{
	job->is.state = JOB_READY;
	job->client = job->tag = 0;
	job->is.failures = job->is.crashes = 0;
	job->is.cancelling = job->expiring = job->delivered = job->suspect = false;
	job->is.lives++;
	job->deadline = 0;
	job->result_size = 0;
	(void)m;
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
		if (!job->terms.detached && !model_durable(job))
			model_cancel(m, job);
	}
}

void model_result(struct model *m, struct model_job *job, const struct attempt_result *r)
{
	bool again = r->outcome == OUTCOME_TIMED_OUT ||
		     (r->retryable && r->outcome != OUTCOME_ABANDONED);
	bool returned = r->outcome == OUTCOME_RETURNED && !job->is.cancelling;

	model_gates_result(m, job, r);
	model_attempt_ended(m, job);
	model_promise(m, ACTION_ENDED, job, !returned);
	if (r->outcome == OUTCOME_ABANDONED)
		model_worker(m, job->slot)->withheld[job->terms.job_class]++;
	if (returned) {
		model_ready(m, job);
		return;
	}
	job->suspect = false;
	job->result_size = r->body.size;
	if (r->outcome == OUTCOME_SUCCEEDED) {
		model_ended(m, job, JOB_SUCCEEDED);
	} else if (job->is.cancelling) {
		model_ended(m, job, job->expiring ? JOB_EXPIRED : JOB_CANCELLED);
	} else if (again && job->is.failures < job->terms.retries.max) {
		job->result_size = 0;
		job->is.failures++;
		retries(m, job, r->retry_after_ms);
	} else {
		job->is.failures++;
		model_ended(m, job, JOB_FAILED);
	}
}

void model_started(struct model *m, uint32_t slot, uint64_t incarnation)
{
	struct model_worker *w = model_worker(m, slot);

	w->incarnation = incarnation;
	if (slot != SACRIFICE_SLOT)
		return;
	w->used = !m->asked; /* it is another broker's */
	m->asked = m->dismissed = false;
}

void model_joined(struct model *m, const struct engine_worker *w)
{
	model_worker(m, w->slot)->joined = true;
	memcpy(model_worker(m, w->slot)->capacity, w->capacity, sizeof(w->capacity));
}

void model_holds(struct model *m, struct model_job *job)
{
	job->doubtful = false;
	if (job->is.cancelling)
		model_promise(m, ACTION_CANCEL, job, false);
}

void model_worker_told(struct model *m, uint32_t slot)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->jobs[i].is.state == JOB_RUNNING && m->jobs[i].slot == slot && m->jobs[i].doubtful)
			model_attempt_lost(m, &m->jobs[i]);
}

void model_advanced(struct model *m, int64_t now, int64_t wall)
{
	int64_t by = m->wall_offset - (wall - now);

	m->now = now;
	if (by >= 50 * NSEC_PER_MSEC || by <= -50 * NSEC_PER_MSEC) {
		m->wall_offset -= by;
		for (size_t i = 0; i < m->count; i++)
			model_shift(m, &m->jobs[i], by);
	}
	MODEL_EXPECT(m, engine_next_due(m->e) > now - m->boot, "what was due wasn't done");
	model_groups_advanced(m);
	for (size_t i = 0; i < m->count; i++) {
		struct model_job *job = &m->jobs[i];

		if (model_final(job) && job->due <= now) {
			model_forget(m, job);
			i--;
		} else {
			passes(m, job);
		}
	}
}

static int64_t shifted(const struct model *m, int64_t at, int64_t by)
{
	return at == 0 ? 0 : MAX(at + by, m->boot + 1);
}

void model_shift(const struct model *m, struct model_job *job, int64_t by)
{
	if (job->terms.due_wall && job->is.state == JOB_SCHEDULED)
		job->due = shifted(m, job->due, by);
	if (job->terms.due_wall)
		job->terms.due = shifted(m, job->terms.due, by);
	if (job->terms.deadline_wall && job->watched)
		job->deadline = shifted(m, job->deadline, by);
}

void model_refused(struct model *m, uint64_t sequence)
{
	struct model_job *job = model_find(m, sequence);

	for (size_t i = 0; i < m->promise_count && !job; i++)
		m->promises[i].lapsed |= m->promises[i].sequence == sequence;
	if (model_group(m, sequence))
		model_group_refused(m, model_group(m, sequence));
	if (!job)
		return;
	model_member_refused(m, job->group, job->terms.member);
	if (job->is.state == JOB_RUNNING)
		model_attempt_ended(m, job);
	model_break_promises(m, job->sequence, -1);
	model_promise(m, ACTION_REFUSED, job, false);
	m->promises[m->promise_count - 1].until = 0;
	job->saved = job->is; /* it never will be */
	model_forget(m, job);
}

void model_committed(struct model *m, uint64_t number)
{
	m->told = number;
	for (size_t i = 0; i < m->count; i++)
		if (m->jobs[i].is.state == JOB_ACCEPTED && m->jobs[i].proceeds <= number)
			model_starts(m, &m->jobs[i]);
}

static void place(struct model *m, uint64_t sequence, uint32_t at)
{
	size_t count = MAX(m->place_count * 2, (size_t)sequence + 1024);

	if (sequence >= m->place_count) {
		m->places = reallocarray(m->places, count, sizeof(*m->places));
		if (!m->places)
			abort();
		memset(m->places + m->place_count, 0, (count - m->place_count) * sizeof(*m->places));
		m->place_count = count;
	}
	m->places[sequence] = at;
}

struct model_job *model_add(struct model *m, const struct model_job *job)
{
	if (m->count == m->size) {
		m->size = m->size ? m->size * 2 : 64;
		m->jobs = reallocarray(m->jobs, m->size, sizeof(*m->jobs));
		if (!m->jobs)
			abort();
	}
	m->jobs[m->count++] = *job;
	place(m, job->sequence, (uint32_t)m->count);
	return &m->jobs[m->count - 1];
}

void model_starts(struct model *m, struct model_job *job)
{
	job->due = job->terms.due;
	if (job->due > m->now)
		job->is.state = JOB_SCHEDULED;
	else
		model_ready(m, job);
}

static void stops(struct model *m, struct model_job *job, enum job_state how)
{
	job->is.cancelling = true;
	job->expiring = how == JOB_EXPIRED;
	if (job->is.state == JOB_RUNNING)
		model_promise(m, ACTION_CANCEL, job, true);
	else
		model_ended(m, job, how);
}

void model_ended(struct model *m, struct model_job *job, enum job_state state)
{
	bool failed = state == JOB_FAILED || state == JOB_EXPIRED;
	int64_t ttl = failed ? job->terms.failed_ttl : job->terms.result_ttl;

	if (ttl == 0)
		ttl = failed ? m->failed_ttl : m->result_ttl;
	job->is.state = state;
	job->untold = true;
	job->watched = false;
	job->order = m->last_order; /* what ends by one event ends together */
	job->due = m->now + ttl;
	model_promise(m, ACTION_FINISHED, job, true);
	model_group_ended(m, job->group, job->terms.member, state);
}

void model_attempt_ended(struct model *m, struct model_job *job)
{
	m->ghosts[m->ghost_count++ % MODEL_GHOSTS] = (struct ghost){ job->slot, job->is.token };
	job->doubtful = job->parked = false;
	if (m->ending_count == m->ending_size) {
		m->ending_size = m->ending_size ? m->ending_size * 2 : 16;
		m->endings = reallocarray(m->endings, m->ending_size, sizeof(*m->endings));
		if (!m->endings)
			abort();
	}
	m->endings[m->ending_count++] = job->is.token;
}

/* An attempt's children don't outlive it. */
void model_children_run(struct model *m)
{
	while (m->ending_count > 0)
		model_client_gone(m, attempt_client(m->endings[--m->ending_count]));
}

static void retries(struct model *m, struct model_job *job, uint32_t retry_after_ms)
{
	const struct retry_policy *p = &job->terms.retries;
	const struct job *real = model_real(m, job);
	double wait = p->initial_ms, least, most;
	int64_t ran;

	for (unsigned i = 1; i < job->is.failures && wait < p->maximum_ms; i++)
		wait *= p->factor;
	wait = MIN(wait, (double)p->maximum_ms);
	least = MAX(wait * (1 - p->jitter) * 0.999, (double)retry_after_ms);
	most = MAX(wait * (1 + p->jitter) * 1.001, (double)retry_after_ms);
	job->is.state = JOB_RETRYING;
	model_promise(m, ACTION_RETRYING, job, true);
	if (!real || real->state != JOB_RETRYING)
		return; /* model_compare() tells */
	job->due = engine_due(m->e, real) + m->boot;
	ran = job->due - m->now;
	MODEL_EXPECT(m, (double)ran >= least * 1e6 && (double)ran <= most * 1e6 + 1,
		     "job %llu waits %lld ns for its next attempt",
		     (unsigned long long)job->sequence, (long long)ran);
}

void model_forget(struct model *m, struct model_job *job)
{
	if (model_unsaved(job)) {
		if (m->leaving_count == m->leaving_size) {
			m->leaving_size = m->leaving_size ? m->leaving_size * 2 : 16;
			m->leaving = reallocarray(m->leaving, m->leaving_size, sizeof(*m->leaving));
			if (!m->leaving)
				abort();
		}
		m->leaving[m->leaving_count++] = *job;
	}
	m->left[m->left_count % MODEL_GHOSTS].id = job->id;
	m->left[m->left_count++ % MODEL_GHOSTS].found = model_durable(job) ? -ENODATA : -EIDRM;
	place(m, job->sequence, 0);
	*job = m->jobs[--m->count];
	if (job != &m->jobs[m->count])
		place(m, job->sequence, (uint32_t)(job - m->jobs) + 1);
}

static void passes(struct model *m, struct model_job *job)
{
	if ((job->is.state == JOB_RETRYING || job->is.state == JOB_SCHEDULED) && job->due <= m->now)
		model_ready(m, job);
	if (!job->watched || job->deadline > m->now)
		return;
	job->watched = false;
	if (!job->is.cancelling)
		stops(m, job, JOB_EXPIRED);
}
