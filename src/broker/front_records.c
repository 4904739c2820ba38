#include "front_records.h"
#include "job_view.h"
#include "log.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

#define PATH_ROOM 1024

/* A batch mostly repeats its type and options: what the last one was parsed into. */
struct session {
	const struct job_type *type;
	struct job_fields fields;
	struct buf options; /* the text that `fields` came from */
	struct list asks;   /* struct ask under way */
	unsigned ask_count; /* of them, requests */
	unsigned held;      /* of them, acknowledgements that wait for a commit */
};

/* A request, or a submission whose acknowledgement waits for a commit, or whose job is another's: its end is looked for. */
struct ask {
	struct list mates;
	struct connection *connection;
	uint64_t tag;
	bool is_request, is_held, wants_accepted, wants_end;
	struct verb_request request;
};

static int64_t on_input(struct connection *c, struct span input);
static void on_closed(struct connection *c);
static unsigned holds(const struct connection *c);
static void on_finished(struct connection *c, struct job *job);
static void take(struct connection *c, const struct record *r);
static void submit(struct connection *c, const struct record *r);
static void ask(struct connection *c, const struct record *r);

static const struct protocol records_protocol = {
	.name = "records", .input = on_input, .holds = holds, .finished = on_finished, .closed = on_closed
};

int records_open(struct broker *b, int fd)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	fields_defaults(&s->fields);
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
	fields_done(&session->fields);
	fields_defaults(&session->fields);
	if (s->options.size == 0)
		return 0;
	int error = json_read_object(s->options, "options", &object, r);

	if (error < 0)
		return error;
	error = fields_read(object, false, &fields, r);
	json_decref(object);
	if (error < 0)
		return error;
	if (buf_append(&session->options, s->options.data, s->options.size) < 0) {
		fields_done(&fields);
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	}
	session->fields = fields;
	return 0;
}

static struct ask *ask_new(struct connection *c, uint64_t tag)
{
	struct session *s = c->state;
	struct ask *a = calloc(1, sizeof(*a));

	if (!a) {
		connection_close(c);
		return NULL;
	}
	a->connection = c;
	a->tag = tag;
	a->request.broker = c->broker;
	list_push_back(&s->asks, &a->mates);
	return a;
}

static void ask_free(struct ask *a)
{
	struct session *s = a->connection->state;

	s->ask_count -= a->is_request;
	s->held -= a->is_held;
	verb_forget(&a->request);
	list_remove(&a->mates);
	free(a);
}

static void put_accepted(struct connection *c, uint64_t tag, const struct ack *ack)
{
	put(c, &(struct record){ .kind = RECORD_ACCEPTED,
				 .ref = tag,
				 .accepted = { .id = ack->id, .durability = ack_durability(ack) } });
}

/* ---- the end of a job ---- */

static void put_finished(struct connection *c, uint64_t tag, const struct job_facts *f)
{
	struct record r = { .kind = RECORD_FINISHED,
			    .ref = tag,
			    .finished = { .id = f->id,
					  .state = f->state,
					  .attempts = f->attempts,
					  .elapsed_us = f->elapsed_us,
					  .meta = f->meta,
					  .body = f->body } };

	if (f->has_error && f->state != JOB_SUCCEEDED) {
		r.finished.code = f->error_code;
		r.finished.message = f->error_message;
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

static void on_finished(struct connection *c, struct job *job)
{
	struct job_facts f; /* the part that put_finished() reads: clearing the rest takes as long */

	facts_of_end(job, &f);
	put_finished(c, job->tag, &f);
}

static void answer_found(struct ask *a, const struct found *found)
{
	struct connection *c = a->connection;
	uint64_t tag = a->tag;
	struct job_facts f;
	struct refusal r;

	if (found->error < 0) {
		ask_free(a);
		refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
		refuse_record(c, tag, &r);
		return;
	}
	verb_facts(&a->request, found, &f);
	if (found->job)
		engine_delivered(c->broker->engine, found->job);
	ask_free(a); /* first: putting may close the connection, and that frees those under way */
	put_finished(c, tag, &f);
}

static void on_end(struct job_wait *w, struct job *job, enum job_wait_end end)
{
	struct ask *a = container_of(container_of(w, struct verb_request, wait), struct ask, request);

	if (end == WAIT_FINISHED)
		answer_found(a, &(struct found){ .job = job });
}

static void on_found(struct lookup *l, const struct found *found)
{
	struct ask *a = container_of(container_of(l, struct verb_request, lookup), struct ask, request);
	struct connection *c = a->connection;

	if (!found->job || !job_is_awaited(found->job))
		answer_found(a, found);
	else if (job_wait_start(c->broker, &a->request.wait, found->job, TIME_NEVER, on_end) < 0)
		connection_close(c);
}

/* ---- submissions ---- */

static void on_safe(struct keep_hold *h, int error)
{
	struct verb_request *q = container_of(h, struct verb_request, hold);
	struct ask *a = container_of(q, struct ask, request);
	struct connection *c = a->connection;
	struct broker *b = q->broker;
	uint64_t tag = a->tag, name = c->name;
	struct ack ack = q->ack;
	bool wants_accepted = a->wants_accepted;
	struct session *s = c->state;
	struct refusal r;

	s->held--;
	a->is_held = false;
	connection_out(c); /* it may have waited for this to be closed */
	if (error < 0)
		keep_unknown(&r);
	else
		error = ack_settle(b, &ack, &r);
	if (error < 0) {
		ask_free(a);
		refuse_record(c, tag, &r);
		return;
	}
	/* Its own job finds its client by itself. */
	if (!a->wants_end || !ack.duplicate)
		ask_free(GA_TAKE_PTR(a));
	if (wants_accepted)
		put_accepted(c, tag, &ack);
	if (a && connection_find(&b->connections, name))
		lookup_start(b, &q->lookup, &ack.id, on_found);
}

static void accept(struct connection *c, uint64_t tag, unsigned flags, const struct submitted *submitted)
{
	struct session *session = c->state;
	struct ack ack;
	struct ask *a;

	ack_of(submitted, &ack);
	if (!ack.durable && flags & SUBMIT_WANT_ACCEPTED)
		put_accepted(c, tag, &ack);
	if (!ack.durable && !(ack.duplicate && flags & SUBMIT_WANT_RESULT))
		return;
	a = c->closed ? NULL : ask_new(c, tag);
	if (!a)
		return;
	a->request.ack = ack;
	a->wants_accepted = flags & SUBMIT_WANT_ACCEPTED;
	a->wants_end = flags & SUBMIT_WANT_RESULT;
	if (ack.durable) {
		session->held++;
		a->is_held = true;
		keep_hold(c->broker, &a->request.hold, on_safe);
	} else {
		lookup_start(c->broker, &a->request.lookup, &ack.id, on_found);
	}
}

static void submit(struct connection *c, const struct record *r)
{
	const struct record_submit *s = &r->submit;
	struct session *session = c->state;
	bool pushed = s->flags & SUBMIT_WANT_RESULT;
	const struct submit_origin origin = { .client = pushed ? c->name + 1 : 0,
					      .tag = r->ref,
					      .waits = pushed };
	struct submitted submitted;
	struct refusal refusal;

	if (recall(c, s, &refusal) < 0 || submit_job(c->broker, session->type, &session->fields,
						     s->args, NULL, &origin, &submitted, &refusal) < 0)
		refuse_record(c, r->ref, &refusal);
	else
		accept(c, r->ref, s->flags, &submitted);
}

/* ---- requests ---- */

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

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
						    : -1;
}

/* A path as HTTP would have it, decoded into `room`; what doesn't fit there is no path of ours. */
static struct span decode_path(struct span path, char room[PATH_ROOM])
{
	size_t n = 0;

	if (path.size > PATH_ROOM || !memchr(path.data, '%', path.size))
		return path;
	for (size_t i = 0; i < path.size; i++) {
		const char *at = path.data + i;
		bool escaped = *at == '%' && i + 2 < path.size && hex_digit(at[1]) >= 0 &&
			       hex_digit(at[2]) >= 0;

		room[n++] = (char)(escaped ? hex_digit(at[1]) << 4 | hex_digit(at[2]) : *at);
		i += escaped ? 2 : 0;
	}
	return (struct span){ room, n };
}

static void ask(struct connection *c, const struct record *r)
{
	struct session *s = c->state;
	const struct record_request *q = &r->request;
	const char *mark = memchr(q->target.data, '?', q->target.size);
	char room[PATH_ROOM];
	struct refusal refusal;

	c->asks++;
	if (s->ask_count >= CONNECTION_ASKS_MAX) {
		verb_too_many(&refusal);
		refuse_record(c, r->ref, &refusal);
		return;
	}
	struct ask *a = ask_new(c, r->ref);

	if (!a)
		return;
	a->request = (struct verb_request){
		.broker = c->broker, .method = q->method, .path = q->target, .body = q->body
	};
	a->request.content_type = SPAN(TYPE_JSON);
	a->request.answer = on_answer;
	if (mark) {
		a->request.path.size = (size_t)(mark - q->target.data);
		a->request.query = (struct span){ mark + 1, q->target.size - a->request.path.size - 1 };
	}
	a->request.path = decode_path(a->request.path, room);
	a->is_request = true;
	s->ask_count++;
	verb_ask(&a->request);
}

static unsigned holds(const struct connection *c)
{
	const struct session *s = c->state;

	return s->held;
}

static void on_closed(struct connection *c)
{
	struct session *s = c->state;

	LIST_FOREACH(node, &s->asks)
		ask_free(LIST_ENTRY(node, struct ask, mates));
	broker_client_gone(c->broker, c->name + 1);
	fields_done(&s->fields);
	buf_done(&s->options);
	free(s);
}
