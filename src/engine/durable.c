/*
 * What is saved, and what waits for it: the list of changes, the batches that they make, the actions that are withheld
 * until a batch is safe; and jobs that come back from a store.
 */
#include "clock.h"
#include "engine_durable.h"
#include "engine_parts.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static void wait_no_longer(struct engine *e);
static void change_done(struct engine *e);
static void pin(struct job *job);
static void unpin(struct job *job);
static void release(struct engine *e, const struct action *a);
static void proceed(struct engine *e, struct job *job);
static int restored_fill(struct engine *e, struct job *job, const struct submission *s,
			 const struct restored_job *r);
static bool is_held(const struct engine *e, const struct restored_job *r);
static int restored_place(struct engine *e, struct job *job, const struct submission *s,
			  const struct restored_job *r);

void job_changed(struct engine *e, struct job *job, bool sync)
{
	if (GA_LIKELY(!job_is_durable(job)))
		return;
	/* What may run but once isn't given a second chance by a loss of power. */
	job->sync |= sync &&
		     (job->profile->durability == DURABILITY_FSYNC || job->profile->at_most_once);
	if (job->changed)
		return;
	if (changes_reserve(e) < 0)
		abort();
	e->changes[e->change_count++] = job;
	job->changed = true;
	pin(job);
}

int changes_reserve(struct engine *e)
{
	uint32_t size = MAX(e->change_size * 2, 64U);
	struct job **changes;

	if (e->change_count < e->change_size)
		return 0;
	changes = reallocarray(e->changes, size, sizeof(struct job *));
	if (!changes)
		return -ENOMEM;
	e->changes = changes;
	e->change_size = size;
	return 0;
}

struct job *engine_change(struct engine *e)
{
	change_done(e);
	while (e->change_next < e->change_count) {
		struct job *job = e->changes[e->change_next++];

		if (!job->refused) {
			e->changing = job;
			return job;
		}
		job->changed = false;
		unpin(job);
	}
	e->change_next = e->change_count = 0;
	return NULL;
}

uint64_t engine_seal(struct engine *e)
{
	assert(e->change_count == 0 && !e->changing && list_empty(&e->groups.changes));
	if (!e->unsealed) {
		wait_no_longer(e);
		return 0;
	}
	e->unsealed = false;
	return ++e->sealed;
}

/* All that was to be saved has gone: what waited for this batch waits for the one before. */
static void wait_no_longer(struct engine *e)
{
	for (uint32_t i = e->withheld_count; i-- > 0;) {
		struct withheld_action *w =
			&e->withheld[(e->withheld_first + i) & (e->withheld_size - 1)];

		if (w->until <= e->sealed)
			break;
		w->until = e->sealed;
	}
	engine_committed(e, e->committed);
}

uint64_t engine_pending(const struct engine *e)
{
	if (e->unsealed || e->change_count > 0 || !list_empty(&e->groups.changes))
		return e->sealed + 1;
	return e->sealed > e->committed ? e->sealed : 0;
}

bool engine_job_is_safe(const struct engine *e, const struct job *job)
{
	uint64_t under_way = e->sealed + e->unsealed - e->committed;
	uint8_t behind = (uint8_t)(job->batch - (uint8_t)e->committed);

	if (!job_is_durable(job))
		return true;
	/* With many under way, a number of eight bits tells nothing. */
	return !job->changed && job->pins == 0 && under_way <= UINT8_MAX &&
	       (behind == 0 || behind > under_way);
}

void action_withhold(struct engine *e, const struct action *a, uint64_t until)
{
	if (action_job(a))
		pin(a->job);
	e->withheld[(e->withheld_first + e->withheld_count++) & (e->withheld_size - 1)] =
		(struct withheld_action){ *a, until };
}

void engine_committed(struct engine *e, uint64_t number)
{
	assert(number <= e->sealed);
	e->committed = MAX(e->committed, number);
	while (e->withheld_count > 0) {
		struct withheld_action *first = &e->withheld[e->withheld_first];

		if (first->until > e->committed)
			break;
		e->withheld_first = (e->withheld_first + 1) & (e->withheld_size - 1);
		e->withheld_count--;
		release(e, &first->action);
	}
}

void engine_refused(struct engine *e, struct job *job)
{
	if (job->refused)
		return;
	job->refused = true;
	e->counts.refused++;
	actions_reserve_or_abort(e, 1);
	action_now(e, &(struct action){ .kind = ACTION_REFUSED, .slot = job->slot, .job = job });
	if (job->extra && job->extra->group)
		group_member_refused(e, job->extra->group, job->extra->member);
	job_forget(e, job);
}

void engine_drop_args(struct engine *e, struct job *job)
{
	if (!job->args || job->args_away || !job_is_durable(job))
		return;
	if (job_is_final(job))
		e->counts.finished_bytes -= bytes_weight(job->args);
	else
		e->counts.args_bytes -= bytes_weight(job->args);
	bytes_unref(GA_TAKE_PTR(job->args));
	job->args_away = true;
}

int engine_restore(struct engine *e, const struct submission *submission,
		   const struct restored_job *r, struct job **ret_job)
{
	struct submission s = *submission;
	struct job *job;
	int error = submission_complete(e, &s);

	if (error == 0 && (r->sequence == 0 || (unsigned)r->state >= JOB_STATE_LIMIT))
		error = -EINVAL;
	if (error == 0 && table_get(&e->table, r->sequence))
		error = -EEXIST;
	if (error == 0)
		error = actions_reserve(e, 2);
	if (error == 0)
		error = job_new(e, &s, r->sequence, &job);
	if (error != 0)
		return error;
	error = restored_fill(e, job, &s, r);
	if (error < 0) {
		table_remove(&e->table, job);
		job_free(e, job);
		return error;
	}
	*ret_job = job;
	return 0;
}

void engine_worker_told(struct engine *e, uint32_t slot)
{
	struct worker *w = worker_at(e, slot);

	if (!w)
		return;
	/* The latest first, as when a worker is lost. */
	for (struct list *it = w->jobs.prev, *next; it != &w->jobs; it = next) {
		struct job *job = LIST_ENTRY(it, struct job, place);

		next = it->prev;
		if (job->unconfirmed)
			attempt_lost(e, job);
	}
}

/* It was handed out and saved as it was then. */
static void change_done(struct engine *e)
{
	struct job *job = GA_TAKE_PTR(e->changing);

	if (!job)
		return;
	job->stored = true;
	job->changed = job->sync = false;
	job->batch = (uint8_t)(e->sealed + 1);
	notes_trim(job);
	e->unsealed = true;
	unpin(job);
}

static void pin(struct job *job)
{
	assert(job->pins < UINT16_MAX);
	job->pins++;
}

static void unpin(struct job *job)
{
	assert(job->pins > 0);
	job->pins--;
}

static void release(struct engine *e, const struct action *a)
{
	if (!action_job(a)) {
		action_now(e, a);
		return;
	}
	unpin(a->job);
	if (a->job->refused)
		return;
	switch (a->kind) {
	case ACTION_PROCEED:
		proceed(e, a->job);
		return;
	case ACTION_DISPATCH: /* it may have been cut short: lost with its worker before it was ever sent */
		if (attempt_find(e, a->slot, a->token) == a->job)
			action_now(e, a);
		return;
	default:
		action_now(e, a);
	}
}

/* Its key is its own: on to where it would have gone at once. */
static void proceed(struct engine *e, struct job *job)
{
	if (job->state == JOB_ACCEPTED)
		job_start(e, job, job->extra->starts_at, job->extra->blocked);
}

static int restored_fill(struct engine *e, struct job *job, const struct submission *s,
			 const struct restored_job *r)
{
	uint64_t weight = job_state_is_final(r->state) ? 0 : bytes_weight(job->args);
	int error;

	job->id = r->id;
	job->attempts = r->attempts;
	job->failures = r->failures;
	job->crashes = r->crashes;
	job->token = r->token;
	job->slot = r->slot;
	job->cancelling = r->cancelling;
	job->expiring = r->cancelling && r->error && strcmp(r->error->code, "deadline") == 0;
	job->elapsed_us = r->elapsed_us;
	job->accepted_at = r->accepted_at;
	job->started_at = r->started_at;
	job->args_away = r->args_away;
	job->stored = true;
	job->error = r->error;
	job->meta = r->meta;
	job->body = r->body;
	e->counts.args_bytes += weight;
	error = restored_place(e, job, s, r);
	if (error < 0) {
		e->counts.args_bytes -= weight;
		job->error = NULL; /* still the caller's */
		job->meta = job->body = NULL;
		return error;
	}
	e->next_sequence = MAX(e->next_sequence, r->sequence + 1);
	return 0;
}

/* Whether the worker that had it may still have it. */
static bool is_held(const struct engine *e, const struct restored_job *r)
{
	const struct worker *w = worker_at(e, r->slot);

	return w && w->incarnation != 0 && w->incarnation == r->incarnation;
}

static int restored_place(struct engine *e, struct job *job, const struct submission *s,
			  const struct restored_job *r)
{
	int error;

	switch (r->state) {
	case JOB_RUNNING:
		if (is_held(e, r)) {
			error = map_put(&e->attempts, job->token, job);
			if (error < 0)
				return error;
			job->unconfirmed = job->sent = true;
			/* With so many charges it had that worker to itself. */
			job->suspect = job->alone = job->slot == SACRIFICE_SLOT &&
						    job->crashes >= MAX_CRASHES;
			job_move(e, job, JOB_RUNNING);
		} else {
			attempt_was_lost(e, job, r->incarnation);
		}
		return 0;
	case JOB_RETRYING:
		error = heap_set(&e->waiting, &job->due, r->due);
		if (error < 0)
			return error;
		job_move(e, job, JOB_RETRYING);
		return 0;
	case JOB_SUCCEEDED:
	case JOB_FAILED:
	case JOB_CANCELLED:
	case JOB_EXPIRED:
		limits_settle(e, job);
		job_move(e, job, r->state); /* its time in the ring begins now */
		extra_settle(e, job);
		return 0;
	default:
		job_start(e, job, r->state == JOB_READY ? 0 : r->due,
			  r->state == JOB_BLOCKED || s->blocked);
		return 0;
	}
}
