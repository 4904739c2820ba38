/*
 * The states of a job and the moves between them: one table, and one function that writes `state`.
 *
 *	ready    -> running, cancelled
 *	running  -> succeeded, failed, cancelled, retrying, ready (returned, or its worker was lost)
 *	retrying -> ready, cancelled
 *	failed, cancelled -> ready (by hand)
 */
#include "clock.h"
#include "engine_parts.h"
#include <assert.h>
#include <stdlib.h>

#define TO(state) (1u << (state))

static void running_enter(struct engine *e, struct job *job);
static void running_leave(struct engine *e, struct job *job);
static void retrying_leave(struct engine *e, struct job *job);

struct state_rule {
	unsigned next;
	void (*enter)(struct engine *e, struct job *job);
	void (*leave)(struct engine *e, struct job *job);
};

static const struct state_rule rules[JOB_STATE_LIMIT] = {
	[0] = { .next = TO(JOB_READY) }, /* it has just been made */
	[JOB_READY] = { TO(JOB_RUNNING) | TO(JOB_CANCELLED), ready_insert, ready_remove },
	[JOB_RUNNING] = { TO(JOB_SUCCEEDED) | TO(JOB_FAILED) | TO(JOB_CANCELLED) |
				  TO(JOB_RETRYING) | TO(JOB_READY),
			  running_enter, running_leave },
	[JOB_RETRYING] = { TO(JOB_READY) | TO(JOB_CANCELLED), NULL, retrying_leave },
	[JOB_SUCCEEDED] = { 0, finished_enter, finished_leave },
	[JOB_FAILED] = { TO(JOB_READY), finished_enter, finished_leave },
	[JOB_CANCELLED] = { TO(JOB_READY), finished_enter, finished_leave },
};

void job_move(struct engine *e, struct job *job, enum job_state to)
{
	const struct state_rule *from = &rules[job->state];

	assert(from->next & TO(to));
	if (from->leave) {
		from->leave(e, job);
		e->counts.jobs[job->state]--;
	}
	job->state = (uint8_t)to;
	e->counts.jobs[to]++;
	if (rules[to].enter)
		rules[to].enter(e, job);
}

void job_end(struct engine *e, struct job *job, enum job_state to)
{
	job_move(e, job, to);
	job->untold = true;
	e->counts.args_bytes -= bytes_weight(job->args);
	if (to == JOB_SUCCEEDED)
		e->counts.succeeded++;
	else if (to == JOB_FAILED)
		e->counts.failed++;
	else
		e->counts.cancelled++;
	actions_push(e, ACTION_FINISHED, job);
}

void job_retry_later(struct engine *e, struct job *job, uint32_t retry_after_ms)
{
	int64_t wait =
		retry_delay(&job->retries, job->failures, retry_after_ms, random_unit(&e->random));

	job_move(e, job, JOB_RETRYING);
	e->counts.retried++;
	actions_push(e, ACTION_RETRYING, job);
	/* Without memory to wait, it is better early than lost. */
	if (heap_set(&e->retrying, &job->due, time_add(e->now, wait)) < 0)
		job_move(e, job, JOB_READY);
}

void job_forget(struct engine *e, struct job *job)
{
	finished_leave(e, job);
	e->counts.jobs[job->state]--;
	table_remove(&e->table, job);
	job->gone = true;
	list_push_back(&e->gone, &job->place);
}

void job_free(struct engine *e, struct job *job)
{
	bytes_unref(job->args);
	bytes_unref(job->meta);
	bytes_unref(job->body);
	free(job->error);
	lifetime_release(e, job->result_ttl);
	queue_release(e, job->queue);
	table_free_job(&e->table, job);
}

bool job_is_final(const struct job *job)
{
	return job->state >= JOB_SUCCEEDED;
}

static void running_enter(struct engine *e, struct job *job)
{
	worker_take(e, e->slots[job->slot], job);
	job->queue->running++;
}

static void running_leave(struct engine *e, struct job *job)
{
	map_take(&e->attempts, job->token, &job->token);
	worker_give(e, job);
	job->queue->running--;
}

static void retrying_leave(struct engine *e, struct job *job)
{
	heap_remove(&e->retrying, &job->due);
}
