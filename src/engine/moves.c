/*
 * The states of a job and the moves between them: one table, and one function that writes `state`.
 *
 *	accepted  -> scheduled, blocked, ready (its key is its own)
 *	scheduled -> ready
 *	blocked   -> scheduled, ready
 *	ready     -> running
 *	running   -> succeeded, failed, retrying, ready (returned, or its worker was lost)
 *	retrying  -> ready
 *	all these -> cancelled, expired
 *	failed, cancelled, expired -> ready (by hand)
 *
 * A new job, or one that comes back from a store, may begin in any state.
 */
#include "clock.h"
#include "engine_parts.h"
#include <assert.h>
#include <stdlib.h>

#define TO(state) (1u << (state))

static void ready_enter(struct engine *e, struct job *job);
static void ready_leave(struct engine *e, struct job *job);
static void running_enter(struct engine *e, struct job *job);
static void running_leave(struct engine *e, struct job *job);
static void waiting_leave(struct engine *e, struct job *job);

struct state_rule {
	unsigned next;
	void (*enter)(struct engine *e, struct job *job);
	void (*leave)(struct engine *e, struct job *job);
};

#define STOPPED (TO(JOB_CANCELLED) | TO(JOB_EXPIRED))

static const struct state_rule rules[JOB_STATE_LIMIT] = {
	[0] = { .next = ~0U },
	[JOB_ACCEPTED] = { TO(JOB_SCHEDULED) | TO(JOB_BLOCKED) | TO(JOB_READY) | STOPPED, NULL, NULL },
	[JOB_SCHEDULED] = { TO(JOB_READY) | STOPPED, NULL, waiting_leave },
	[JOB_BLOCKED] = { TO(JOB_SCHEDULED) | TO(JOB_READY) | STOPPED, NULL, NULL },
	[JOB_READY] = { TO(JOB_RUNNING) | TO(JOB_FAILED) | STOPPED, ready_enter, ready_leave },
	[JOB_RUNNING] = { TO(JOB_SUCCEEDED) | TO(JOB_FAILED) | TO(JOB_RETRYING) | TO(JOB_READY) | STOPPED,
			  running_enter, running_leave },
	[JOB_RETRYING] = { TO(JOB_READY) | STOPPED, NULL, waiting_leave },
	[JOB_SUCCEEDED] = { 0, finished_enter, finished_leave },
	[JOB_FAILED] = { TO(JOB_READY), finished_enter, finished_leave },
	[JOB_CANCELLED] = { TO(JOB_READY), finished_enter, finished_leave },
	[JOB_EXPIRED] = { TO(JOB_READY), finished_enter, finished_leave },
};

void job_move(struct engine *e, struct job *job, enum job_state to)
{
	const struct state_rule *from = &rules[job->state];

	assert(from->next & TO(to));
	if (from->leave)
		from->leave(e, job);
	if (job->state)
		e->counts.jobs[job->state]--;
	job->state = (uint8_t)to;
	e->counts.jobs[to]++;
	if (rules[to].enter)
		rules[to].enter(e, job);
}

void job_start(struct engine *e, struct job *job, int64_t due, bool blocked)
{
	if (blocked) {
		job_move(e, job, JOB_BLOCKED);
		return;
	}
	/* Without memory to wait, it is better early than lost. */
	if (due <= e->now || heap_set(&e->waiting, &job->due, due) < 0)
		job_move(e, job, JOB_READY);
	else
		job_move(e, job, JOB_SCHEDULED);
}

void job_end(struct engine *e, struct job *job, enum job_state to)
{
	job_move(e, job, to);
	job->untold = true;
	e->counts.args_bytes -= bytes_weight(job->args);
	limits_settle(e, job);
	extra_settle(e, job);
	if (job->extra && job->extra->group)
		group_member_ended(e, job->extra->group, job->extra->member, to);
	if (to == JOB_SUCCEEDED)
		e->counts.succeeded++;
	else if (to == JOB_FAILED)
		e->counts.failed++;
	else if (to == JOB_EXPIRED)
		e->counts.expired++;
	else
		e->counts.cancelled++;
	job_changed(e, job, true);
	actions_push(e, ACTION_FINISHED, job);
}

void job_stop(struct engine *e, struct job *job, enum job_state to)
{
	job->cancelling = true;
	job->expiring = to == JOB_EXPIRED;
	if (job->state != JOB_RUNNING) {
		job_end(e, job, to);
		return;
	}
	job_changed(e, job, true);
	actions_push(e, ACTION_CANCEL, job);
}

void job_expire(struct engine *e, struct job *job)
{
	if (job_is_final(job) || job->cancelling)
		return;
	actions_reserve_or_abort(e, 2);
	job_set_error(job, error_new(0, SPAN("deadline"),
				     SPAN("its deadline passed before it had finished")));
	job_stop(e, job, JOB_EXPIRED);
}

enum job_state job_stopped_state(const struct job *job)
{
	return job->expiring ? JOB_EXPIRED : JOB_CANCELLED;
}

void job_fail(struct engine *e, struct job *job, struct span code, struct span message)
{
	job_set_error(job, error_new(0, code, message));
	job_end(e, job, JOB_FAILED);
}

void job_fail_unknown(struct engine *e, struct job *job)
{
	job_fail(e, job, SPAN("outcome_unknown"),
		 SPAN("its only attempt was lost: whether it had an effect is unknown"));
}

void job_retry_later(struct engine *e, struct job *job, uint32_t retry_after_ms)
{
	int64_t wait = retry_delay(&job->profile->retries, job->failures, retry_after_ms,
				   random_unit(&e->random));

	job_move(e, job, JOB_RETRYING);
	e->counts.retried++;
	job_changed(e, job, false);
	actions_push(e, ACTION_RETRYING, job);
	/* Without memory to wait, it is better early than lost. */
	if (heap_set(&e->waiting, &job->due, time_add(e->now, wait)) < 0)
		job_move(e, job, JOB_READY);
}

void job_forget(struct engine *e, struct job *job)
{
	if (!job_is_final(job))
		e->counts.args_bytes -= bytes_weight(job->args);
	if (rules[job->state].leave)
		rules[job->state].leave(e, job);
	e->counts.jobs[job->state]--;
	if (!job_is_final(job))
		limits_settle(e, job);
	if (GA_UNLIKELY(e->indexed_clients > 0 && job->client != 0 && !job_is_final(job)))
		client_forget(e, job);
	list_remove(&job->mates);
	extra_leave(e, job);
	table_remove(&e->table, job);
	job->gone = true;
	list_push_back(&e->gone, &job->place);
}

void job_free(struct engine *e, struct job *job)
{
	extra_free(e, job);
	bytes_unref(job->args);
	bytes_unref(job->meta);
	bytes_unref(job->body);
	free(job->error);
	if (!job_is_final(job) && !job->gone)
		limits_settle(e, job);
	limits_leave(e, job);
	profile_release(e, job->profile);
	table_free_job(&e->table, job);
}

bool job_is_final(const struct job *job)
{
	return job_state_is_final((enum job_state)job->state);
}

static void ready_enter(struct engine *e, struct job *job)
{
	if (GA_UNLIKELY(job->suspect || job->crashes >= MAX_CRASHES))
		suspect_insert(e, job);
	else
		ready_insert(e, job);
}

static void ready_leave(struct engine *e, struct job *job)
{
	if (GA_UNLIKELY(job->suspect))
		suspect_remove(e, job);
	else
		ready_remove(e, job);
}

static void running_enter(struct engine *e, struct job *job)
{
	worker_take(e, e->slots[job->slot], job);
	limits_started(e, job);
}

static void running_leave(struct engine *e, struct job *job)
{
	map_take(&e->attempts, job->token, &job->token);
	if (GA_UNLIKELY(job->parent))
		parent_ended(e, job);
	worker_give(e, job);
	limits_stopped(e, job);
}

static void waiting_leave(struct engine *e, struct job *job)
{
	heap_remove(&e->waiting, &job->due);
}
