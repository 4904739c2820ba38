#include "front_records.h"
#include "log.h"
#include "submit.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

/* A batch mostly repeats its type and options: what the last one was parsed into. */
struct session {
	const struct job_type *type;
	struct job_fields fields;
	struct buf options; /* the text that `fields` came from */
	struct list asks;   /* struct ask under way */
	unsigned ask_count;
};

struct ask {
	struct list mates;
	struct connection *connection;
	uint64_t tag;
	struct verb_request request;
};

static int64_t on_input(struct connection *c, struct span input);
static void on_closed(struct connection *c);
static void on_finished(struct connection *c, struct job *job);
static void take(struct connection *c, const struct record *r);
static void submit(struct connection *c, const struct record *r);
static void ask(struct connection *c, const struct record *r);

static const struct protocol records_protocol = {
	.name = "records", .input = on_input, .finished = on_finished, .closed = on_closed
};

int records_open(struct broker *b, int fd)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	job_fields_defaults(&s->fields);
	list_init(&s->asks);
	int r = connection_open(&b->connections, fd, &records_protocol, s);

	if (r < 0)
		free(s);
	return r;
}

static void put(struct connection *c, const struct record *r)
{
	/* A body that is too large for a record was refused by the worker's side of the codec long before. */
	if (record_put(connection_out(c), r) < 0)
		connection_close(c);
}

static int64_t on_input(struct connection *c, struct span input)
{
	struct span left = input;
	struct record r;
	const char *why = NULL;
	int got = 0;

	while (connection_goes_on(c) && (got = record_next(&left, &r, &why)) > 0)
		take(c, &r);
	if (got == -EPROTO && !c->closed) {
		put(c, &(struct record){ .kind = RECORD_REFUSED,
					 .refused = { .status = 400,
						      .code = SPAN("bad_record"),
						      .message = span_of(why) } });
		return -EPROTO;
	}
	return (int64_t)(input.size - left.size);
}

static void refuse_record(struct connection *c, uint64_t tag, const struct refusal *r)
{
	put(c, &(struct record){ .kind = RECORD_REFUSED,
				 .ref = tag,
				 .refused = { .status = (uint16_t)r->status,
					      .retry_after_ms = r->retry_after_ms,
					      .code = span_of(r->code),
					      .field = span_of(r->field),
					      .message = span_of(r->message) } });
}

static void take(struct connection *c, const struct record *r)
{
	struct refusal refusal;

	switch (r->kind) {
	case RECORD_SUBMIT:
		submit(c, r);
		break;
	case RECORD_ABORT:
		c->asks++; /* it is looked for among all of this client's */
		engine_cancel_tag(broker_engine(c->broker), c->name + 1, r->ref);
		break;
	case RECORD_REQUEST:
		ask(c, r);
		break;
	default:
		refuse(&refusal, 400, "bad_record", "",
		       "kind %d is not for clients: they send SUBMIT, ABORT and REQUEST",
		       (int)r->kind);
		refuse_record(c, r->ref, &refusal);
	}
}

/* The type and the fields of this submission, from the ones before if they are the same. */
static int recall(struct connection *c, const struct record_submit *s, struct refusal *r)
{
	struct session *session = c->state;
	struct job_fields fields;
	json_t *object;

	if (!session->type || !span_equal(span_of(session->type->name), s->type)) {
		int error = submit_type(c->broker, s->type, &session->type, r);

		if (error < 0) {
			session->type = NULL;
			return error;
		}
	}
	if (span_equal(s->options,
		       (struct span){ buf_data(&session->options), buf_size(&session->options) }))
		return 0;
	buf_clear(&session->options);
	job_fields_defaults(&session->fields);
	if (s->options.size == 0)
		return 0;
	int error = json_read_object(s->options, "options", &object, r);

	if (error < 0)
		return error;
	error = job_fields_read(object, false, &fields, r);
	json_decref(object);
	if (error < 0)
		return error;
	if (buf_append(&session->options, s->options.data, s->options.size) < 0)
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	session->fields = fields;
	return 0;
}

static void submit(struct connection *c, const struct record *r)
{
	const struct record_submit *s = &r->submit;
	struct session *session = c->state;
	bool pushed = s->flags & SUBMIT_WANT_RESULT;
	const struct submit_origin origin = { .client = pushed ? c->name + 1 : 0,
					      .tag = r->ref,
					      .waits = pushed };
	struct refusal refusal;
	struct job *job;

	if (recall(c, s, &refusal) < 0 || submit_job(c->broker, session->type, &session->fields,
						     s->args, NULL, &origin, &job, &refusal) < 0) {
		refuse_record(c, r->ref, &refusal);
		return;
	}
	if (s->flags & SUBMIT_WANT_ACCEPTED)
		put(c, &(struct record){
			       .kind = RECORD_ACCEPTED,
			       .ref = r->ref,
			       .accepted = { .id = job->id, .durability = DURABILITY_MEMORY } });
}

static struct span text_of(const struct bytes *b)
{
	return b ? (struct span){ b->data, b->size } : (struct span){ 0 };
}

static void on_finished(struct connection *c, struct job *job)
{
	struct record r = { .kind = RECORD_FINISHED,
			    .ref = job->tag,
			    .finished = { .id = job->id,
					  .state = job->state,
					  .attempts = job->attempts,
					  .elapsed_us = job->elapsed_us,
					  .meta = text_of(job->meta),
					  .body = text_of(job->body) } };

	if (job->error && job->state != JOB_SUCCEEDED) {
		r.finished.code = span_of(job->error->code);
		r.finished.message = span_of(job->error->message);
	}
	if (record_size(&r) > RECORD_MAX) {
		r.finished.state = JOB_FAILED; /* as far as this client is concerned */
		r.finished.meta = r.finished.body = (struct span){ 0 };
		r.finished.code = SPAN("result_too_large");
		r.finished.message =
			SPAN("the result doesn't fit into a record: GET /v1/jobs/{id}/result has it");
	}
	put(c, &r);
}

static void ask_free(struct ask *a)
{
	struct session *s = a->connection->state;

	s->ask_count--;
	verb_forget(&a->request);
	list_remove(&a->mates);
	free(a);
}

static void on_answer(struct verb_request *q, const struct verb_answer *answer)
{
	struct ask *a = container_of(q, struct ask, request);
	struct connection *c = a->connection;
	struct record r = { .kind = RECORD_RESPONSE,
			    .ref = a->tag,
			    .response = { .status = (uint16_t)answer->status,
					  .content_type = span_of(answer->content_type),
					  .body = answer->body } };

	if (record_size(&r) > RECORD_MAX) {
		static const char too_large[] =
			"{\"status\":500,\"code\":\"answer_too_large\",\"detail\":\"the answer is over "
			"1 MiB: ask for less at once\"}";

		r.response.status = 500;
		r.response.content_type = SPAN(TYPE_PROBLEM);
		r.response.body = SPAN(too_large);
	}
	ask_free(a); /* first: putting the answer may close the connection, and that frees those under way */
	put(c, &r);
}

static void ask(struct connection *c, const struct record *r)
{
	struct session *s = c->state;
	const struct record_request *q = &r->request;
	const char *mark = memchr(q->target.data, '?', q->target.size);
	struct refusal refusal;

	c->asks++;
	if (s->ask_count >= CONNECTION_ASKS_MAX) {
		verb_too_many(&refusal);
		refuse_record(c, r->ref, &refusal);
		return;
	}
	struct ask *a = calloc(1, sizeof(*a));

	if (!a) {
		connection_close(c);
		return;
	}
	a->connection = c;
	a->tag = r->ref;
	a->request = (struct verb_request){
		.broker = c->broker, .method = q->method, .path = q->target, .body = q->body
	};
	a->request.content_type = SPAN(TYPE_JSON);
	a->request.answer = on_answer;
	if (mark) {
		a->request.path.size = (size_t)(mark - q->target.data);
		a->request.query = (struct span){ mark + 1, q->target.size - a->request.path.size - 1 };
	}
	list_push_back(&s->asks, &a->mates);
	s->ask_count++;
	verb_ask(&a->request);
}

static void on_closed(struct connection *c)
{
	struct session *s = c->state;

	LIST_FOREACH(node, &s->asks)
		ask_free(LIST_ENTRY(node, struct ask, mates));
	broker_client_gone(c->broker, c->name + 1);
	buf_done(&s->options);
	free(s);
}
