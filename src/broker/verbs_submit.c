/* Jobs come in: one, an array, lines; and POST /v1/run. */
#include "clock.h"
#include "job_view.h"
#include "json_slice.h"
#include "json_write.h"
#include "submit.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

#define BATCH_MAX 100000 /* jobs in one request */

/* A request with many jobs: their answers, in order. */
struct batch {
	struct buf members; /* struct member */
	struct buf texts;   /* the problems of those that were refused at once */
	bool lines, durable;
};
struct member {
	struct ack ack;
	size_t text, text_size; /* in `texts`; 0: it was taken */
};

static void batch_free(void *more)
{
	struct batch *batch = more;

	buf_done(&batch->members);
	buf_done(&batch->texts);
	free(batch);
}

static struct batch *batch_new(struct verb_request *q)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		abort();
	q->more = batch;
	q->more_free = batch_free;
	return batch;
}

static void put_problem(const struct refusal *r, struct buf *out)
{
	json_put_literal(out, "{\"error\":");
	problem_view(r, out);
	json_put_literal(out, "}");
}

static void add_member(struct batch *batch, const struct member *m)
{
	if (buf_append(&batch->members, m, sizeof(*m)) < 0)
		abort();
	batch->durable |= m->ack.durable;
}

static void add_problem(struct batch *batch, const struct refusal *r)
{
	struct member m = { .text = buf_size(&batch->texts) };

	put_problem(r, &batch->texts);
	m.text_size = buf_size(&batch->texts) - m.text;
	add_member(batch, &m);
}

static void submit_member(struct verb_request *q, const json_t *object, struct span text)
{
	const struct submit_origin origin = { 0 };
	struct batch *batch = q->more;
	struct submitted submitted;
	struct member m = { 0 };
	struct refusal r;

	if (submit_object(q->broker, object, text, &origin, &submitted, &r) < 0) {
		add_problem(batch, &r);
		return;
	}
	ack_of(&submitted, &m.ack);
	add_member(batch, &m);
}

static void put_answer(struct verb_request *q, struct member *m, struct buf *out)
{
	const struct batch *batch = q->more;
	struct refusal r;

	if (m->text_size)
		json_put_raw(out, (struct span){ buf_data(&batch->texts) + m->text, m->text_size });
	else if (ack_settle(q->broker, &m->ack, &r) == 0)
		ack_view(&m->ack, out);
	else
		put_problem(&r, out);
}

static void answer_batch(struct verb_request *q)
{
	struct batch *batch = q->more;
	struct buf body = BUF_INIT;
	struct member m;

	if (!batch->lines)
		json_put_literal(&body, "[");
	for (; buf_size(&batch->members) > 0; buf_consume(&batch->members, sizeof(m))) {
		memcpy(&m, buf_data(&batch->members), sizeof(m));
		if (!batch->lines)
			json_put_separator(&body);
		put_answer(q, &m, &body);
		if (batch->lines)
			json_put_literal(&body, "\n");
	}
	if (!batch->lines)
		json_put_literal(&body, "]");
	verb_answer_buf(q, 200, batch->lines ? TYPE_NDJSON : TYPE_JSON, &body);
}

static void end_batch(struct verb_request *q)
{
	const struct batch *batch = q->more;

	if (batch->durable)
		verb_when_safe(q, answer_batch);
	else
		answer_batch(q);
}

static void submit_one(struct verb_request *q, const json_t *object, struct span text)
{
	const struct submit_origin origin = { .waits = verb_param(q, "wait", (char[2]){ 0 }, 2) };
	struct submitted submitted;
	struct refusal r;

	if (verb_read_wait(q) < 0)
		return;
	if (submit_object(q->broker, object, text, &origin, &submitted, &r) < 0)
		verb_refuse(q, &r);
	else
		verb_submitted(q, &submitted);
}

static void submit_array(struct verb_request *q, const json_t *array)
{
	struct span rest = q->body;
	struct refusal r;

	if (json_array_size(array) > BATCH_MAX) {
		refuse(&r, 413, "batch_too_large", "", "%zu jobs in one request: at most %d",
		       json_array_size(array), BATCH_MAX);
		verb_refuse(q, &r);
		return;
	}
	batch_new(q);
	for (size_t i = 0; i < json_array_size(array); i++)
		submit_member(q, json_array_get(array, i), json_next_element(&rest));
	end_batch(q);
}

static void submit_line(struct verb_request *q, struct span line)
{
	size_t limit = (size_t)q->broker->conf->max_body;
	json_t *object;
	struct refusal r;

	if (line.size > limit) {
		refuse(&r, 413, "line_too_long", "", "a line is at most %zu bytes (max_body)", limit);
		add_problem(q->more, &r);
	} else if (json_read_object(line, "the line", &object, &r) == 0) {
		submit_member(q, object, line);
		json_decref(object);
	} else {
		add_problem(q->more, &r);
	}
}

static void submit_lines(struct verb_request *q)
{
	const char *at = q->body.data, *end = at + q->body.size;
	struct batch *batch = batch_new(q);
	struct refusal r;
	unsigned lines = 0;

	batch->lines = true;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)),
			   *stop = newline ? newline : end;

		if (stop > at && ++lines <= BATCH_MAX)
			submit_line(q, (struct span){ at, (size_t)(stop - at) });
		at = stop + 1;
	}
	if (lines > BATCH_MAX) {
		refuse(&r, 413, "batch_too_large", "",
		       "%u lines in one request, and only the first %d were taken", lines, BATCH_MAX);
		add_problem(batch, &r);
	}
	end_batch(q);
}

void verb_submit(struct verb_request *q, struct span unused GA_UNUSED)
{
	json_t *root;
	struct refusal r;

	if (span_equal(q->content_type, SPAN(TYPE_NDJSON))) {
		submit_lines(q);
		return;
	}
	if (json_read_any(q->body, "the body", &root, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	if (json_is_array(root))
		submit_array(q, root);
	else
		submit_one(q, root, q->body);
	json_decref(root);
}

/* Job fields in the query of POST /v1/run: ?timeout=5s&priority=1&retries=3 */
static json_t *query_fields(const struct verb_request *q)
{
	char names[] = RUN_PARAMETERS, *rest = names, *name, value[300];
	json_t *fields = json_object();

	while ((name = strsep(&rest, " "))) {
		json_t *field;
		char *end;

		if (!verb_param(q, name, value, sizeof(value)))
			continue;
		long number = strtol(value, &end, 10);

		if (*value && !*end && strcmp(name, "idempotency_key") != 0 &&
		    strcmp(name, "limit_key") != 0)
			field = json_integer(number);
		else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
			field = json_boolean(value[0] == 't');
		else
			field = json_string(value);
		json_object_set_new(fields, name, field ? field : json_null()); /* no UTF-8 */
	}
	return fields;
}

void verb_run(struct verb_request *q, struct span name)
{
	const struct submit_origin origin = { .waits = true };
	const struct job_type *type;
	struct job_fields fields;
	struct submitted submitted;
	struct refusal r;

	if (verb_read_wait(q) < 0)
		return;
	if (q->deadline == 0)
		q->deadline = TIME_NEVER;
	json_t *extra = query_fields(q);
	int error = submit_type(q->broker, name, &type, &r);

	if (error < 0)
		r.status = 404;
	if (error == 0)
		error = fields_read(extra, false, &fields, &r);
	json_decref(extra);
	if (error == 0) {
		error = submit_job(q->broker, type, &fields, q->body, NULL, &origin, &submitted, &r);
		fields_done(&fields);
	}
	if (error < 0) {
		verb_refuse(q, &r);
		return;
	}
	q->waits_for_result = true;
	verb_submitted(q, &submitted);
}
