/* How a request goes on: once something is safe, once a job is found, once it has ended. */
#include "clock.h"
#include "job_view.h"
#include "log.h"
#include "text.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

/* ---- what is safe ---- */

static void on_safe(struct keep_hold *h, int error)
{
	struct verb_request *q = container_of(h, struct verb_request, hold);
	struct refusal r;

	if (error == 0) {
		q->safe(q);
		return;
	}
	keep_unknown(&r);
	verb_refuse(q, &r);
}

void verb_when_safe(struct verb_request *q, verb_safe_fn fn)
{
	q->safe = fn;
	keep_hold(q->broker, &q->hold, on_safe);
}

/* ---- a job by id ---- */

static void refuse_not_found(struct verb_request *q, int error)
{
	char id[UUID_TEXT_SIZE];
	struct refusal r;

	uuid_format(&q->lookup.id, id);
	switch (error) {
	case -EIDRM:
		refuse(&r, 410, "gone", "id", "this job has finished and its result is no longer kept");
		break;
	case -ESTALE:
		refuse(&r, 410, "lost", "id",
		       "this job was kept in memory and was lost when the daemon restarted");
		break;
	case -ENOENT:
		refuse(&r, 404, "no_such_job", "id", "no job %s", id);
		break;
	default:
		refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
	}
	verb_refuse(q, &r);
}

static void on_found(struct lookup *l, const struct found *found)
{
	struct verb_request *q = container_of(l, struct verb_request, lookup);

	if (found->error < 0)
		refuse_not_found(q, found->error);
	else
		q->found(q, found);
}

void verb_find(struct verb_request *q, struct span id, verb_found_fn fn)
{
	struct uuid uuid;
	struct refusal r;

	if (uuid_parse(id.data, id.size, &uuid) == 0) {
		q->found = fn;
		lookup_start(q->broker, &q->lookup, &uuid, on_found);
		return;
	}
	refuse(&r, 400, "bad_id", "id",
	       "\"%.*s\" is not a job id: those look like 01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70",
	       (int)MIN(id.size, (size_t)40), id.data);
	verb_refuse(q, &r);
}

void verb_facts(struct verb_request *q, const struct found *found, struct job_facts *ret_facts)
{
	if (found->job)
		facts_of_job(q->broker, found->job, ret_facts);
	else
		facts_of_row(q->broker, found->row, ret_facts);
}

/* ---- waiting for an end ---- */

int verb_read_wait(struct verb_request *q)
{
	char text[32];
	int64_t ns;
	struct refusal r;

	if (!verb_param(q, "wait", text, sizeof(text)))
		return 0;
	if (duration_parse(text, &ns) < 0 || ns > 86400 * NSEC_PER_SEC) {
		refuse(&r, 400, "bad_parameter", "wait",
		       "wait=%s: takes a duration up to a day, e.g. 30s", text);
		verb_refuse(q, &r);
		return -EINVAL;
	}
	q->deadline = time_add(loop_now(q->broker->loop), ns);
	return 0;
}

/* The bare result, for POST /v1/run. */
static void answer_result(struct verb_request *q, const struct job_facts *f)
{
	char code[32];
	struct refusal r;

	snprintf(code, sizeof(code), "%.*s", (int)f->error_code.size, f->error_code.data);
	if (f->state == JOB_SUCCEEDED) {
		verb_result_bytes(q, f);
		return;
	}
	if (!f->has_error)
		refuse(&r, f->state == JOB_EXPIRED ? 504 : 502, job_state_name(f->state), "",
		       f->state == JOB_EXPIRED ? "the job's deadline passed" : "the job was cancelled");
	else
		refuse(&r, span_equal(f->error_code, SPAN("timeout")) ? 504 : 502, f->error_code.data,
		       "", "%.*s", (int)f->error_message.size, f->error_message.data);
	verb_refuse(q, &r);
}

static void answer_facts(struct verb_request *q, const struct job_facts *f, struct job *job)
{
	struct engine *e = q->broker->engine; /* answering frees the request */
	bool finished = job_state_is_final(f->state);

	if (finished && q->waits_for_result)
		answer_result(q, f);
	else
		verb_answer_facts(q, f, finished || q->deadline == 0 ? 200 : 202);
	if (finished && job)
		engine_delivered(e, job);
}

/* Arguments that were away. */
static void on_args(void *arg, const struct store_rows *rows)
{
	struct verb_request *q = arg;
	struct job_facts f;
	struct job *job;

	q->read = NULL;
	if (rows->error < 0) {
		refuse_not_found(q, -EIO);
	} else if (engine_find(broker_engine(q->broker), &q->lookup.id, &job) == 0) {
		facts_of_job(q->broker, job, &f);
		f.args = rows->jobs[0].args;
		f.args_away = false;
		answer_facts(q, &f, job);
	} else {
		facts_of_row(q->broker, &rows->jobs[0], &f);
		answer_facts(q, &f, NULL);
	}
}

void verb_answer_found(struct verb_request *q, const struct found *found)
{
	struct job_facts f;

	if (found->job && found->job->args_away && !q->waits_for_result) {
		q->lookup.id = found->job->id;
		if (store_read_sequence(q->broker->store, found->job->sequence, on_args, q, &q->read) < 0)
			refuse_not_found(q, -ENOMEM);
		return;
	}
	verb_facts(q, found, &f);
	answer_facts(q, &f, found->job);
}

/* The time was over before the submission itself was safe. */
static void answer_late(struct verb_request *q)
{
	struct refusal r;

	if (ack_settle(q->broker, &q->ack, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	q->found = verb_answer_found;
	lookup_start(q->broker, &q->lookup, &q->ack.id, on_found);
}

static void on_end(struct job_wait *w, struct job *job, enum job_wait_end end)
{
	struct verb_request *q = container_of(w, struct verb_request, wait);
	const struct found found = { .job = job };

	if (end == WAIT_FINISHED) {
		verb_answer_found(q, &found);
	} else if (end == WAIT_REFUSED) {
		refuse_not_found(q, -ENOENT);
	} else if (q->hold.number) {
		q->safe = answer_late;
	} else {
		q->found = verb_answer_found;
		lookup_start(q->broker, &q->lookup, &w->id, on_found);
	}
}

static int start_waiting(struct verb_request *q, const struct job *job)
{
	struct refusal r;

	if (job_wait_start(q->broker, &q->wait, job, q->deadline, on_end) == 0)
		return 0;
	refuse(&r, 503, "no_memory", "", "the daemon is out of memory: ask again later");
	verb_refuse(q, &r);
	return -ENOMEM;
}

void verb_wait(struct verb_request *q, struct job *job)
{
	const struct found found = { .job = job };

	if (!job_is_awaited(job))
		verb_answer_found(q, &found);
	else if (start_waiting(q, job) < 0)
		log_debug("no memory for a request that waits");
}

/* ---- acknowledgements ---- */

static void wait_for_found(struct verb_request *q, const struct found *found)
{
	if (found->job)
		verb_wait(q, found->job);
	else
		verb_answer_found(q, found);
}

static void wait_for(struct verb_request *q, const struct uuid *id)
{
	job_wait_stop(&q->wait);
	lookup_stop(&q->lookup);
	q->found = wait_for_found;
	lookup_start(q->broker, &q->lookup, id, on_found);
}

/* The commit has decided: it is as it was accepted, or another job has its key, or it is refused after all. */
static void answer_settled(struct verb_request *q)
{
	struct uuid before = q->ack.id;
	struct buf body = BUF_INIT;
	struct refusal r;

	if (ack_settle(q->broker, &q->ack, &r) < 0) {
		job_wait_stop(&q->wait);
		lookup_stop(&q->lookup);
		verb_refuse(q, &r);
	} else if (q->deadline == 0) {
		ack_view(&q->ack, &body);
		verb_answer_buf(q, q->ack.duplicate ? 200 : 201, TYPE_JSON, &body);
	} else if (!uuid_equal(&before, &q->ack.id)) {
		wait_for(q, &q->ack.id);
	}
}

void verb_submitted(struct verb_request *q, const struct submitted *s)
{
	bool waits = q->deadline > 0;

	ack_of(s, &q->ack);
	if (!q->ack.durable && !waits) {
		answer_settled(q);
	} else if (!q->ack.durable) {
		verb_wait(q, s->job);
	} else if (waits && !job_is_awaited(s->job)) {
		wait_for(q, &q->ack.id);
	} else if (!waits || start_waiting(q, s->job) == 0) {
		/* The commit can't come after the end that is waited for. */
		verb_when_safe(q, answer_settled);
	}
}
