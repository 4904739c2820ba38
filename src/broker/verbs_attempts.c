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

/* What the engine knows beyond attempt number `last`. */
static void put_notes(const struct broker *b, const struct job *job, unsigned last, struct buf *out)
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
	}
	if (job->state != JOB_RUNNING)
		return;
	row = (struct store_attempt){ .attempt = job->attempts,
				      .slot = job->slot,
				      .started_wall = job->started_at + b->wall_offset };
	put_attempt(out, &row, "running");
}

static void answer(struct verb_request *q, const struct job *job, const struct store_rows *rows)
{
	struct buf body = BUF_INIT;
	char id[UUID_TEXT_SIZE];
	unsigned last = 0;

	uuid_format(&q->lookup.id, id);
	json_put_literal(&body, "{");
	json_put_key(&body, "id");
	json_put_string(&body, span_of(id));
	json_put_literal(&body, ",\"attempts\":[");
	for (size_t i = 0; rows && i < rows->attempt_count; i++) {
		put_attempt(&body, &rows->attempts[i], outcome_name(rows->attempts[i].outcome));
		last = MAX(last, (unsigned)rows->attempts[i].attempt);
	}
	if (job)
		put_notes(q->broker, job, last, &body);
	json_put_literal(&body, "]}");
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

static void on_rows(void *arg, const struct store_rows *rows)
{
	struct verb_request *q = arg;
	struct job *job = NULL;
	struct refusal r;

	q->read = NULL;
	if (rows->error < 0 && rows->error != -ENOENT) {
		refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
		verb_refuse(q, &r);
		return;
	}
	if (engine_find(broker_engine(q->broker), &q->lookup.id, &job) < 0)
		job = NULL;
	answer(q, job, rows);
}

static void attempts(struct verb_request *q, const struct found *found)
{
	struct job_facts f;
	struct refusal r;

	verb_facts(q, found, &f);
	if (f.durability == DURABILITY_MEMORY) {
		answer(q, found->job, NULL);
		return;
	}
	if (store_read_attempts(q->broker->store, f.sequence, on_rows, q, &q->read) == 0)
		return;
	refuse(&r, 503, "no_memory", "", "the daemon is out of memory: ask again later");
	verb_refuse(q, &r);
}

void verb_attempts(struct verb_request *q, struct span id)
{
	verb_find(q, id, attempts);
}
