#include "runner_internal.h"

#include "charge.h"
#include "children.h"
#include "clock.h"
#include "failpoint.h"
#include "progress.h"
#include "text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void attempt_error(struct ga_job *job, bool retryable, const char *code, const char *message)
{
	struct attempt_output *o = attempt_output(job);

	if (!o || o->code[0])
		return;
	snprintf(o->code, sizeof(o->code), "%s", code);
	o->message = message ? strdup(message) : NULL;
	o->retryable = retryable;
}

/* What passes by itself, of the errors that a handler returned without a word. */
static bool is_passing(int error)
{
	switch (-error) {
	case EAGAIN:
	case ENOMEM:
	case ENOBUFS:
	case EMFILE:
	case ENFILE:
	case ETIMEDOUT:
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return true;
	default:
		return false;
	}
}

static void set_timeout_error(struct ga_job *job)
{
	char message[96], limit[DURATION_TEXT_SIZE];

	duration_format(job->timeout_ms * NSEC_PER_MSEC, limit);
	snprintf(message, sizeof(message), "no end within its timeout of %s", limit);
	attempt_error(job, true, "timeout", message);
}

static void set_stop_error(struct ga_job *job)
{
	if (job->output) { /* what the handler said of the interruption matters less than who interrupted it */
		job->output->code[0] = '\0';
		job->output->busy = false;
		free(job->output->message);
		job->output->message = NULL;
	}
	if (job->stop == STOP_TIMEOUT)
		set_timeout_error(job);
	else
		attempt_error(job, false, "cancelled", "cancelled while it ran");
}

static enum job_outcome outcome_of(struct ga_job *job, int result)
{
	if (result >= 0)
		return OUTCOME_SUCCEEDED;
	if (attempt_type(job)->declaration.work && !job->begun && job->stop == STOP_NONE &&
	    result == -ECANCELED)
		return OUTCOME_RETURNED; /* withdrawn by a drain */
	if (job->stop == STOP_NONE && result == -ECANCELED && job->deadline <= ga_now())
		job->stop = STOP_TIMEOUT; /* it looked at the clock itself, and was faster than the timer */
	if (job->stop != STOP_NONE) {
		set_stop_error(job);
		return job->stop == STOP_TIMEOUT ? OUTCOME_TIMED_OUT : OUTCOME_CANCELLED;
	}
	if (result == -ENOMEM)
		attempt_error(job, true, "no_memory", "the worker is out of memory");
	else
		attempt_error(job, is_passing(result), "failed", strerror(-result));
	return OUTCOME_FAILED;
}

static uint64_t result_size(const struct ga_job *job)
{
	const struct attempt_output *o = job->output;

	if (job->outcome == OUTCOME_ABANDONED) /* its output is the handler's still, and isn't sent */
		return sizeof(*job);
	return sizeof(*job) +
	       (o ? sizeof(*o) + buf_size(&o->meta) + buf_size(&o->body) + progress_size(o->progress)
		  : 0);
}

/* The result is settled: keep it until it is acknowledged, and send it if the broker is there. */
static void keep_result(struct ga_job *job, enum job_outcome outcome)
{
	struct runner *r = attempt_runner(job);
	int64_t elapsed = job->started ? loop_clock(r->loop) - job->started : 0;

	job->outcome = (uint8_t)outcome;
	job->elapsed_us = (uint32_t)MIN(elapsed / NSEC_PER_USEC, (int64_t)UINT32_MAX);
	job->reported = true;
	r->unacknowledged += result_size(job);
	attempt_report(job);
}

void attempt_drop_result(struct ga_job *job)
{
	if (!job->reported)
		return;
	attempt_runner(job)->unacknowledged -= result_size(job);
	job->reported = false;
}

static void send_slot_freed(struct ga_job *job)
{
	struct record record = { .kind = RECORD_SLOT_FREED,
				 .ref = job->token,
				 .slot_freed = { .job_class = attempt_type(job)->entry->job_class } };
	struct runner *r = attempt_runner(job);

	if (r->online && !job->forgotten)
		r->send(r->arg, &record);
}

static uint32_t whole_milliseconds(int64_t ns)
{
	int64_t ms = ns / NSEC_PER_MSEC + (ns % NSEC_PER_MSEC != 0);

	return (uint32_t)MIN(ms, (int64_t)UINT32_MAX);
}

/* An abandoned one's output still belongs to its handler: what is said of it is said here. */
static void describe_abandoned(const struct ga_job *job, struct record_result *result)
{
	result->code = job->stop == STOP_TIMEOUT ? SPAN("timeout") : SPAN("cancelled");
	result->message =
		job->stop == STOP_TIMEOUT
			? SPAN("no end within its timeout; the handler can't be stopped and goes on, abandoned")
			: SPAN("cancelled; the handler can't be stopped and goes on, abandoned");
}

void attempt_report(struct ga_job *job)
{
	struct record record = { .kind = RECORD_RESULT, .ref = job->token };
	struct record_result *result = &record.result;
	struct runner *r = attempt_runner(job);
	struct attempt_output *o = job->output;

	if (!r->online)
		return;
	result->outcome = (enum job_outcome)job->outcome;
	result->elapsed_us = job->elapsed_us;
	if (result->outcome == OUTCOME_ABANDONED) {
		describe_abandoned(job, result);
	} else if (o) {
		result->meta = (struct span){ buf_data(&o->meta), buf_size(&o->meta) };
		result->body = (struct span){ buf_data(&o->body), buf_size(&o->body) };
		if (result->outcome != OUTCOME_SUCCEEDED) {
			result->retryable = o->retryable;
			result->busy = o->busy;
			result->retry_after_ms = whole_milliseconds(o->retry_after);
			result->code = span_of(o->code);
			result->message = span_of(o->message);
		}
	}
	progress_flush(job);
	FAILPOINT("worker.before_result");
	r->send(r->arg, &record);
	FAILPOINT("worker.after_result");
	if (result->outcome == OUTCOME_ABANDONED && job->state == ATTEMPT_ENDED)
		send_slot_freed(job); /* it ended before this broker knew of it */
}

/* Close the metadata's brace, once. */
static void meta_close(struct ga_job *job)
{
	struct attempt_output *o = job->output;

	if (o && buf_size(&o->meta) && buf_append(&o->meta, "}", 1) < 0)
		buf_clear(&o->meta);
}

/* Everything the handler used, but for what it said. */
static int attempt_release(struct ga_job *job, int result)
{
	const struct ga_job_type *type = &attempt_type(job)->declaration;

	loop_timer_stop(attempt_runner(job)->loop, &job->timer);
	if (type->finish && job->future) {
		uint64_t before = charge(job->token);

		result = type->finish(job, job->future, result);
		charge(before);
	}
	ga_release(job->future);
	job->future = NULL;
	json_decref(job->args);
	job->args = NULL;
	return result;
}

static void settle_abandoned(struct ga_job *job)
{
	struct runner *r = attempt_runner(job);

	attempt_move(job, ATTEMPT_ENDED);
	if (job->forgotten) {
		attempt_free(job);
		return;
	}
	send_slot_freed(job);
	if (!job->acknowledged)
		return;
	map_take(&r->attempts, token_hash(job->token), &job->token);
	attempt_free(job);
}

void attempt_settle(struct ga_job *job, int result)
{
	enum job_outcome outcome;

	if (GA_UNLIKELY(children_left(job))) {
		job->settling = true;
		job->result = result;
		children_cancel(job);
		return;
	}
	job->settling = false;
	result = attempt_release(job, result);
	if (job->state == ATTEMPT_ABANDONED) {
		settle_abandoned(job);
		return;
	}
	attempt_move(job, ATTEMPT_ENDED);
	if (job->forgotten) {
		attempt_free(job);
		return;
	}
	outcome = outcome_of(job, result);
	meta_close(job);
	keep_result(job, outcome);
}

void attempt_end_unrun(struct ga_job *job, enum job_outcome outcome)
{
	attempt_move(job, ATTEMPT_ENDED);
	if (outcome == OUTCOME_CANCELLED)
		attempt_error(job, false, "cancelled", "cancelled before it ran");
	keep_result(job, outcome);
}

void attempt_abandon(struct ga_job *job)
{
	attempt_move(job, ATTEMPT_ABANDONED);
	if (!job->forgotten)
		keep_result(job, OUTCOME_ABANDONED);
}
