/* Attempts: a ready job gets a token and a worker; what the worker says of it decides the job's next state. */
#include "engine_durable.h"
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

enum { MESSAGE_MAX = 4000 };

/* What an attempt leaves behind; owned until given to the job. */
struct findings {
	struct bytes *meta, *body;
	struct job_error *error;
};

static uint64_t token_next(struct engine *e);
static int result_stale(struct engine *e, uint32_t slot, uint64_t token);
static enum job_state verdict(const struct job *job, const struct attempt_result *r);
static int findings_collect(const struct job *job, const struct attempt_result *r,
			    enum job_state next, struct findings *ret_findings);
static int bytes_from(struct span s, struct bytes **ret_bytes);
static struct span error_code(const struct attempt_result *r);
static void findings_done(struct findings *f);
static void findings_give(struct findings *f, struct job *job, enum job_state next);
static void attempt_end(struct engine *e, struct job *job, enum job_state next,
			uint32_t retry_after_ms);

bool attempt_matches(const void *item, const void *key)
{
	const struct job *job = item;

	return job->token == *(const uint64_t *)key;
}

struct job *attempt_find(const struct engine *e, uint32_t slot, uint64_t token)
{
	struct job *job = map_get(&e->attempts, token, &token);

	return job && job->slot == slot ? job : NULL;
}

#ifdef GATHER_SABOTAGE_ACCEPT_STALE
/* What the tests must notice: the attempt before the current one counts, whoever says so. */
static struct job *attempt_find_earlier(struct engine *e, uint64_t token)
{
	for (struct job *job = NULL; token != 0 && (job = table_older(&e->table, job));)
		if (job->state == JOB_RUNNING && job->earlier_token == token)
			return job;
	return NULL;
}
#endif

bool attempts_dispatch_one(struct engine *e, enum job_class job_class)
{
	struct worker *w = worker_for(e, job_class);
	struct job *job = w ? ready_next(e, job_class) : NULL;

	if (!job || !attempt_start(e, w, job))
		return false;
	ready_rotate(e, job);
	return true;
}

bool attempt_start(struct engine *e, struct worker *w, struct job *job)
{
	uint64_t last_token = job->token;

	if (actions_reserve(e, 1) < 0)
		return false;
	job->token = token_next(e);
	if (map_put(&e->attempts, job->token, job) < 0) {
		job->token = last_token;
		return false;
	}
#ifdef GATHER_SABOTAGE_ACCEPT_STALE
	job->earlier_token = last_token;
#endif
	job->slot = w->slot;
	job->started_at = e->now;
	if (job->attempts < UINT16_MAX)
		job->attempts++;
	job->sent = !job_is_durable(job); /* else once its change is committed */
	job_move(e, job, JOB_RUNNING);
	limits_spend(e, job);
	job_changed(e, job, job->profile->at_most_once);
	actions_push(e, ACTION_DISPATCH, job);
	return true;
}

int engine_result(struct engine *e, uint32_t slot, const struct attempt_result *r)
{
	struct job *job = attempt_find(e, slot, r->token);
	struct findings findings;
	enum job_state next;
	struct worker *w;

#ifdef GATHER_SABOTAGE_ACCEPT_STALE
	if (!job)
		job = attempt_find_earlier(e, r->token);
#endif
	if (!job)
		return result_stale(e, slot, r->token);
	next = verdict(job, r);
	if (actions_reserve(e, 2) < 0 || findings_collect(job, r, next, &findings) < 0)
		return -ENOMEM;
	findings_give(&findings, job, next);
	job->elapsed_us = r->elapsed_us;
	w = worker_at(e, slot);
	w->finished++;
	if (r->outcome == OUTCOME_ABANDONED)
		worker_withhold(w, (enum job_class)job->profile->job_class);
	if (next == JOB_RETRYING || next == JOB_FAILED)
		job->failures += job->failures < UINT16_MAX;
	if (GA_UNLIKELY(next == JOB_RETRYING || job_told(job) ||
			(job->attempts > 1 && next != JOB_READY)))
		note_add(e, job, r->outcome);
	limits_result(e, job, r);
	if (next != JOB_READY) /* it has shown that it lets its worker live */
		job->suspect = job->alone = false;
	attempt_end(e, job, next, r->retry_after_ms);
	return 0;
}

/* It may have been said before: what the first one made of the job has to be safe first. */
static int result_stale(struct engine *e, uint32_t slot, uint64_t token)
{
	const struct action ended = { .kind = ACTION_ENDED, .slot = slot, .token = token };
	uint64_t until = engine_pending(e);

	if (actions_reserve(e, 1) < 0)
		return -ENOMEM;
	e->counts.stale_results++;
	if (until > 0)
		action_withhold(e, &ended, until);
	else
		action_now(e, &ended);
	return -ESTALE;
}

/* The acknowledgement waits for what the result made of the job. */
static void attempt_end(struct engine *e, struct job *job, enum job_state next, uint32_t retry_after_ms)
{
	uint32_t slot = job->slot;
	uint64_t token = job->token;

	if (next == JOB_READY)
		job_move(e, job, next);
	else if (next == JOB_RETRYING)
		job_retry_later(e, job, retry_after_ms);
	else
		job_end(e, job, next);
	action_push(e, ACTION_ENDED, slot, token, job);
}

void attempt_lost(struct engine *e, struct job *job)
{
	actions_reserve_or_abort(e, 2);
	job->unconfirmed = false;
	if (job->cancelling)
		job_end(e, job, job_stopped_state(job));
	else if (job->profile->at_most_once)
		job_fail_unknown(e, job);
	else
		job_move(e, job, JOB_READY);
}

struct job_error *error_new(int signal, struct span code, struct span message)
{
	struct job_error *error;

	message.size = MIN(message.size, (size_t)MESSAGE_MAX);
	code.size = MIN(code.size, sizeof(error->code) - 1);
	error = calloc(1, sizeof(*error) + message.size + 1);
	if (!error)
		return NULL;
	error->signal = signal;
	if (code.size > 0)
		memcpy(error->code, code.data, code.size);
	if (message.size > 0)
		memcpy(error->message, message.data, message.size);
	return error;
}

void job_set_error(struct job *job, struct job_error *error)
{
	free(job->error);
	job->error = error;
}

static uint64_t token_next(struct engine *e)
{
	uint64_t token;

	do {
		if (++e->token_counter ==
		    0) { /* 0 is no token, and from here on long attempts may be met again */
			e->token_counter = 1;
			e->tokens_wrapped = true;
		}
		token = (uint64_t)e->options.epoch << 32 | e->token_counter;
	} while (e->tokens_wrapped && map_get(&e->attempts, token, &token));
	return token;
}

static enum job_state verdict(const struct job *job, const struct attempt_result *r)
{
	bool retryable = r->retryable;

	switch (r->outcome) {
	case OUTCOME_SUCCEEDED:
		return JOB_SUCCEEDED;
	case OUTCOME_RETURNED:
		return job->cancelling ? job_stopped_state(job) : JOB_READY;
	case OUTCOME_TIMED_OUT:
		retryable = true;
		break;
	case OUTCOME_ABANDONED:
		retryable = false;
		break;
	case OUTCOME_FAILED:
	case OUTCOME_CANCELLED:
		break;
	}
	if (job->cancelling) /* whatever a handler makes of being interrupted */
		return job_stopped_state(job);
	return retryable && job->failures < job->profile->retries.max ? JOB_RETRYING : JOB_FAILED;
}

static int findings_collect(const struct job *job, const struct attempt_result *r,
			    enum job_state next, struct findings *ret_findings)
{
	bool failed = r->outcome != OUTCOME_SUCCEEDED && r->outcome != OUTCOME_RETURNED &&
		      !(r->outcome == OUTCOME_CANCELLED && job->cancelling);
	struct findings f = { 0 };

	if (next != JOB_READY && next != JOB_RETRYING &&
	    (bytes_from(r->meta, &f.meta) < 0 || bytes_from(r->body, &f.body) < 0)) {
		findings_done(&f);
		return -ENOMEM;
	}
	if (failed) {
		f.error = error_new(0, error_code(r), r->message);
		if (!f.error) {
			findings_done(&f);
			return -ENOMEM;
		}
	}
	*ret_findings = f;
	return 0;
}

static int bytes_from(struct span s, struct bytes **ret_bytes)
{
	if (s.size == 0)
		return 0;
	*ret_bytes = bytes_new(s.data, s.size);
	return *ret_bytes ? 0 : -ENOMEM;
}

static struct span error_code(const struct attempt_result *r)
{
	if (r->outcome == OUTCOME_TIMED_OUT)
		return SPAN("timeout");
	if (r->code.size > 0)
		return r->code;
	if (r->outcome == OUTCOME_CANCELLED)
		return SPAN("cancelled");
	if (r->outcome == OUTCOME_ABANDONED)
		return SPAN("abandoned");
	return SPAN("failed");
}

static void findings_done(struct findings *f)
{
	bytes_unref(f->meta);
	bytes_unref(f->body);
	free(f->error);
}

/* What there was of an earlier attempt stays only where this one says nothing of it. */
static void findings_give(struct findings *f, struct job *job, enum job_state next)
{
	job->meta = f->meta; /* only a final state has a result: there was none before */
	job->body = f->body;
	if (next == JOB_EXPIRED)
		free(f->error); /* it says already that the deadline ended it */
	else if (f->error || next == JOB_SUCCEEDED)
		job_set_error(job, f->error);
}
