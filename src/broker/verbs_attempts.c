/* GET /v1/jobs/{id}/attempts: those that have ended, from the store and the engine, and the one that runs. */
#include "clock.h"
#include "job_row.h"
#include "job_view.h"
#include "json_write.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

#define NOTES_SHOWN 64

static const char *outcome_name(enum job_outcome outcome)
{
	static const char *const names[] = {
		[0] = "lost",
		[OUTCOME_SUCCEEDED] = "succeeded",
		[OUTCOME_FAILED] = "failed",
		[OUTCOME_TIMED_OUT] = "timed_out",
		[OUTCOME_CANCELLED] = "cancelled",
		[OUTCOME_ABANDONED] = "abandoned",
		[OUTCOME_RETURNED] = "returned",
	};

	return (size_t)outcome < ARRAY_SIZE(names) ? names[outcome] : "?";
}

static void put_instant(struct buf *out, const char *key, int64_t wall)
{
	if (wall == 0)
		return;
	json_put_key(out, key);
	json_put_instant(out, wall);
}

static void put_attempt(struct buf *out, const struct store_attempt *row, const char *outcome)
{
	json_put_separator(out);
	json_put_literal(out, "{");
	json_put_key(out, "attempt");
	json_put_integer(out, row->attempt);
	json_put_key(out, "outcome");
	json_put_string(out, span_of(outcome));
	json_put_key(out, "worker");
	json_put_integer(out, row->slot);
	put_instant(out, "started_at", row->started_wall);
	put_instant(out, "ended_at", row->ended_wall);
	if (row->error_code.size)
		error_view(row->error_code, row->error_message, row->error_signal, out);
	if (row->log.size) {
		json_put_key(out, "log");
		json_put_string(out, row->log);
	}
	json_put_literal(out, "}");
}

/* What the engine knows beyond attempt number `last`; returns the last that it told of. */
static unsigned put_notes(const struct broker *b, const struct job *job, unsigned last, struct buf *out)
{
	const struct job_note *notes[NOTES_SHOWN], *note = job->extra ? job->extra->notes : NULL;
	struct store_attempt row;
	size_t count = 0;

	for (; note && count < NOTES_SHOWN; note = note->next) {
		if (note->attempt > last)
			notes[count++] = note;
	}
	while (count > 0) {
		job_row_note(b, job, notes[--count], &row);
		put_attempt(out, &row, outcome_name(row.outcome));
		last = row.attempt;
	}
	return last;
}

static const char *last_outcome(const struct job_facts *f)
{
	switch (f->state) {
	case JOB_RUNNING:
		return "running";
	case JOB_SUCCEEDED:
		return outcome_name(OUTCOME_SUCCEEDED);
	case JOB_FAILED:
		return outcome_name(span_equal(f->error_code, SPAN("timeout")) ? OUTCOME_TIMED_OUT
									       : OUTCOME_FAILED);
	default:
		return outcome_name(OUTCOME_CANCELLED);
	}
}

/* Of a job that needed one attempt only, the job itself is the record. */
static void put_last(const struct job_facts *f, struct buf *out)
{
	bool ended = job_state_is_final(f->state);
	struct store_attempt row = { .attempt = f->attempts,
				     .slot = f->slot,
				     .started_wall = f->started_wall,
				     .ended_wall = f->finished_wall };

	if (f->state != JOB_RUNNING && (!ended || f->started_wall == 0))
		return;
	if (f->has_error && ended && f->state != JOB_SUCCEEDED) {
		row.error_signal = f->error_signal;
		row.error_code = f->error_code;
		row.error_message = f->error_message;
	}
	put_attempt(out, &row, last_outcome(f));
}

static void answer(struct verb_request *q, const struct found *found, const struct store_rows *rows)
{
	struct buf body = BUF_INIT;
	char id[UUID_TEXT_SIZE];
	struct job_facts f;
	unsigned last = 0;

	verb_facts(q, found, &f);
	uuid_format(&f.id, id);
	json_put_literal(&body, "{");
	json_put_key(&body, "id");
	json_put_string(&body, span_of(id));
	json_put_literal(&body, ",\"attempts\":[");
	for (size_t i = 0; rows && i < rows->attempt_count; i++) {
		put_attempt(&body, &rows->attempts[i], outcome_name(rows->attempts[i].outcome));
		last = MAX(last, (unsigned)rows->attempts[i].attempt);
	}
	if (found->job)
		last = put_notes(q->broker, found->job, last, &body);
	if (last < f.attempts)
		put_last(&f, &body);
	json_put_literal(&body, "]}");
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

static void refuse_for_now(struct verb_request *q)
{
	struct refusal r;

	refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
	verb_refuse(q, &r);
}

/* The job itself once more: `found` was valid until the attempts were asked for. */
static void on_rows(void *arg, const struct store_rows *rows)
{
	struct verb_request *q = arg;
	struct found found = { 0 };
	const struct store_job *row = q->more;

	q->read = NULL;
	if (rows->error < 0 && rows->error != -ENOENT) {
		refuse_for_now(q);
		return;
	}
	if (engine_find(broker_engine(q->broker), &q->lookup.id, &found.job) < 0) {
		found.job = NULL;
		found.row = row;
	}
	answer(q, &found, rows);
}

/* What of a row the answer needs. */
static struct store_job *row_copy(const struct job_facts *f)
{
	size_t code = f->error_code.size, message = f->error_message.size;
	struct store_job *row = calloc(1, sizeof(*row) + code + message);
	char *text;

	if (!row)
		return NULL;
	text = (char *)(row + 1);
	row->id = f->id;
	row->state = f->state;
	row->durability = f->durability;
	row->attempts = f->attempts;
	row->slot = f->slot;
	row->started_wall = f->started_wall;
	row->finished_wall = f->finished_wall;
	row->error_signal = f->error_signal;
	if (code)
		row->error_code = (struct span){ memcpy(text, f->error_code.data, code), code };
	if (message)
		row->error_message =
			(struct span){ memcpy(text + code, f->error_message.data, message), message };
	return row;
}

static void attempts(struct verb_request *q, const struct found *found)
{
	struct job_facts f;

	verb_facts(q, found, &f);
	if (f.durability == DURABILITY_MEMORY) {
		answer(q, found, NULL);
		return;
	}
	q->more = row_copy(&f);
	q->more_free = free;
	if (!q->more || store_read_attempts(q->broker->store, f.sequence, on_rows, q, &q->read) < 0)
		refuse_for_now(q);
}

void verb_attempts(struct verb_request *q, struct span id)
{
	verb_find(q, id, attempts);
}
