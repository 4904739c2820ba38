#include "front_lines.h"
#include "clock.h"
#include "job_view.h"
#include "json_slice.h"
#include "json_write.h"
#include "line_ops.h"
#include "submit.h"
#include "verbs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TAG_MAX 256 /* bytes of JSON: it is kept until the answer */

struct session {
	struct list lines; /* struct line under way */
	unsigned asks;     /* of them, verbs other than submit */
	unsigned held; /* of them, acknowledgements that wait for a commit: others wait behind them */
};

/* A line whose answer is still to come. */
struct line {
	struct list mates;
	struct connection *connection;
	struct verb_request request;
	char *tag; /* JSON text, or NULL */
	bool asks, held;
	bool pushed;     /* the job itself knows its line */
	struct buf text; /* its answer, held for the sake of order; else empty */
};

static int64_t on_input(struct connection *c, struct span input);
static void on_closed(struct connection *c);
static void on_finished(struct connection *c, struct job *job);
static bool on_ended(struct connection *c);
static unsigned holds(const struct connection *c);
static void take_line(struct connection *c, struct span text);
static void submit(struct connection *c, json_t *object, struct span text, struct span tag);
static void ask(struct connection *c, const json_t *object, struct span text, struct span tag);
static void on_safe(struct keep_hold *h, int error);
static void say_later(struct connection *c, struct buf *text);

static const struct protocol lines_protocol = { .name = "lines",
						.input = on_input,
						.holds = holds,
						.finished = on_finished,
						.ended = on_ended,
						.closed = on_closed };

int lines_open(struct broker *b, int fd)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	list_init(&s->lines);
	int r = connection_open(&b->connections, fd, &lines_protocol, s);

	if (r < 0)
		free(s);
	return r;
}

static void begin(struct buf *out, struct span tag)
{
	json_put_literal(out, "{");
	if (tag.size == 0)
		return;
	json_put_key(out, "tag");
	json_put_raw(out, tag);
}

static void end(struct buf *out)
{
	json_put_literal(out, "}\n");
}

static struct span tag_of(const struct line *l)
{
	return span_of(l->tag);
}

static int check_tag(const json_t *tag, struct refusal *r)
{
	if (!tag || json_is_number(tag))
		return 0;
	if (!json_is_string(tag))
		return refuse(r, 422, "bad_field", "tag", "tag takes a string or a number");
	if (json_string_length(tag) > TAG_MAX)
		return refuse(r, 422, "bad_field", "tag", "a tag has at most %d bytes", TAG_MAX);
	return 0;
}

static void put_refusal(struct buf *out, struct span tag, const struct refusal *r)
{
	begin(out, tag);
	json_put_key(out, "error");
	problem_view(r, out);
	end(out);
}

/* Where an answer goes that is ready: out, or, behind those that wait for a commit, into `own` and then to say_later(). */
static struct buf *answer_place(struct connection *c, struct buf *own)
{
	const struct session *s = c->state;

	return s->held > 0 ? own : connection_out(c);
}

static void refuse_line(struct connection *c, struct span tag, const struct refusal *r)
{
	struct buf own = BUF_INIT;

	put_refusal(answer_place(c, &own), tag, r);
	say_later(c, &own);
}

static int64_t on_input(struct connection *c, struct span input)
{
	size_t limit = (size_t)c->broker->conf->max_body, used = 0;
	struct refusal r;

	while (used < input.size && connection_goes_on(c)) {
		const char *at = input.data + used, *newline = memchr(at, '\n', input.size - used);
		size_t size = newline ? (size_t)(newline - at) : input.size - used;

		if (size > limit) {
			refuse(&r, 413, "line_too_long", "",
			       "a line is at most %zu bytes (max_body)", limit);
			refuse_line(c, (struct span){ 0 }, &r);
			return -EPROTO;
		}
		if (!newline)
			break;
		used += size + 1;
		if (size > 0 && at[size - 1] == '\r')
			size--;
		if (size > 0)
			take_line(c, (struct span){ at, size });
	}
	return (int64_t)used;
}

static void take_line(struct connection *c, struct span text)
{
	struct refusal r;
	json_t *object;

	if (json_read_object(text, "the line", &object, &r) < 0) {
		refuse_line(c, (struct span){ 0 }, &r);
		return;
	}
	const json_t *tag = json_object_get(object, "tag");
	int error = check_tag(tag, &r);
	struct span tag_text = tag ? json_member_text(text, SPAN("tag")) : (struct span){ 0 };

	json_object_del(object, "tag");
	if (error < 0)
		refuse_line(c, (struct span){ 0 }, &r);
	else if (json_object_get(object, "op") || json_object_get(object, "group"))
		ask(c, object, text, tag_text);
	else
		submit(c, object, text, tag_text);
	json_decref(object);
}

static void line_free(struct line *l)
{
	struct session *s = l->connection->state;

	s->asks -= l->asks;
	s->held -= l->held;
	verb_forget(&l->request);
	list_remove(&l->mates);
	free(l->tag);
	buf_done(&l->text);
	free(l);
}

static struct line *line_new(struct connection *c, struct span tag)
{
	struct session *s = c->state;
	struct line *l = calloc(1, sizeof(*l));

	if (l && tag.size > 0 && !(l->tag = strndup(tag.data, tag.size))) {
		free(l);
		return NULL;
	}
	if (!l)
		return NULL;
	l->connection = c;
	l->request.broker = c->broker;
	list_push_back(&s->lines, &l->mates);
	return l;
}

static void refuse_and_free(struct line *l, const struct refusal *r)
{
	put_refusal(connection_out(l->connection), tag_of(l), r);
	line_free(l);
}

/* ---- the end of a job ---- */

static void answer_found(struct line *l, const struct found *found)
{
	struct connection *c = l->connection;
	struct job_facts f;
	struct refusal r;

	if (found->error < 0) {
		refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
		refuse_and_free(l, &r);
		return;
	}
	verb_facts(&l->request, found, &f);
	begin(connection_out(c), tag_of(l));
	job_view_members(&f, VIEW_WHOLE, connection_out(c));
	end(connection_out(c));
	if (found->job && job_state_is_final(f.state))
		engine_delivered(c->broker->engine, found->job);
	line_free(l);
}

static void on_found(struct lookup *lookup, const struct found *found)
{
	answer_found(container_of(container_of(lookup, struct verb_request, lookup), struct line,
				  request),
		     found);
}

static void on_end(struct job_wait *w, struct job *job, enum job_wait_end end)
{
	struct line *l = container_of(container_of(w, struct verb_request, wait), struct line, request);
	const struct found found = { .job = job };

	if (end == WAIT_FINISHED)
		answer_found(l, &found);
	else if (end == WAIT_OVER && !l->held) /* else on_safe() answers */
		lookup_start(l->connection->broker, &l->request.lookup, &w->id, on_found);
}

static void wait_for(struct line *l, struct job *job)
{
	struct broker *b = l->connection->broker;

	if (job_wait_start(b, &l->request.wait, job, l->request.deadline, on_end) < 0)
		connection_close(l->connection);
}

static void wait_for_found(struct lookup *lookup, const struct found *found)
{
	struct line *l = container_of(container_of(lookup, struct verb_request, lookup),
				      struct line, request);

	if (found->job && job_is_awaited(found->job))
		wait_for(l, found->job);
	else
		answer_found(l, found);
}

/* ---- submissions ---- */

static int read_wait(const json_t *value, int64_t *ret_ns, struct refusal *r)
{
	static const struct ga_param param = { "wait", GA_DURATION, 0,    NULL, 0,
					       86400,  "s",         NULL, NULL };

	*ret_ns = 0;
	if (!value || json_is_false(value))
		return 0;
	*ret_ns = TIME_NEVER;
	if (json_is_true(value))
		return 0;
	int error = param_check(&param, "", value, r);

	if (error == 0)
		*ret_ns = param_duration(value);
	return error;
}

static void put_ack(struct buf *out, struct span tag, const struct ack *ack)
{
	begin(out, tag);
	ack_view_members(ack, out);
	end(out);
}

static void hold(struct line *l)
{
	struct session *s = l->connection->state;

	s->held++;
	l->held = true;
	keep_hold(l->connection->broker, &l->request.hold, on_safe);
}

/* An answer that is ready comes behind those that wait for a commit, so that answers come in the order of the lines. */
static void say_later(struct connection *c, struct buf *text)
{
	struct line *l;

	if (buf_size(text) == 0)
		return;
	l = line_new(c, (struct span){ 0 });
	if (!l) {
		buf_done(text);
		connection_close(c);
		return;
	}
	l->text = *text;
	hold(l);
}

static void say_held(struct line *l)
{
	json_put_raw(connection_out(l->connection),
		     (struct span){ buf_data(&l->text), buf_size(&l->text) });
	line_free(l);
}

/* The commit has decided, and the job's end is waited for. */
static void go_on_waiting(struct line *l, bool is_another)
{
	struct verb_request *q = &l->request;

	if (is_another) {
		job_wait_stop(&q->wait);
		lookup_start(q->broker, &q->lookup, &q->ack.id, wait_for_found);
	} else if (!l->pushed && !q->wait.broker) {
		lookup_start(q->broker, &q->lookup, &q->ack.id, on_found); /* its time is over already */
	}
}

static void on_safe(struct keep_hold *h, int error)
{
	struct verb_request *q = container_of(h, struct verb_request, hold);
	struct line *l = container_of(q, struct line, request);
	struct session *s = l->connection->state;
	const struct uuid id = q->ack.id;
	struct refusal r;

	s->held--;
	l->held = false;
	connection_out(l->connection);
	if (buf_size(&l->text) > 0) {
		say_held(l);
	} else if (error < 0) {
		keep_unknown(&r);
		refuse_and_free(l, &r);
	} else if (ack_settle(q->broker, &q->ack, &r) < 0) {
		refuse_and_free(l, &r);
	} else if (q->deadline == 0) {
		put_ack(connection_out(l->connection), tag_of(l), &q->ack);
		line_free(l);
	} else {
		go_on_waiting(l, !uuid_equal(&id, &q->ack.id));
	}
}

static void answer_ack(struct connection *c, struct span tag, const struct ack *ack)
{
	struct line *l;
	struct buf own = BUF_INIT;

	if (!ack->durable) {
		put_ack(answer_place(c, &own), tag, ack);
		say_later(c, &own);
		return;
	}
	l = line_new(c, tag);
	if (!l) {
		connection_close(c);
		return;
	}
	l->request.ack = *ack;
	hold(l);
}

static void answer_end(struct line *l, const struct submitted *s)
{
	struct verb_request *q = &l->request;

	ack_of(s, &q->ack);
	l->pushed = q->deadline == TIME_NEVER && !s->duplicate;
	if (!l->pushed && !job_is_awaited(s->job)) {
		lookup_start(q->broker, &q->lookup, &q->ack.id, on_found);
		return;
	}
	if (!l->pushed && job_wait_start(q->broker, &q->wait, s->job, q->deadline, on_end) < 0)
		connection_close(l->connection);
	else if (q->ack.durable)
		hold(l);
}

static void submit(struct connection *c, json_t *object, struct span text, struct span tag)
{
	struct submit_origin origin = { 0 };
	struct submitted submitted;
	struct refusal r;
	struct line *l = NULL;
	struct ack ack;
	int64_t wait;

	if (read_wait(json_object_get(object, "wait"), &wait, &r) < 0) {
		refuse_line(c, tag, &r);
		return;
	}
	json_object_del(object, "wait");
	if (wait > 0) {
		l = line_new(c, tag);
		if (!l) {
			connection_close(c);
			return;
		}
		origin.waits = true;
		l->request.deadline = time_add(loop_now(c->broker->loop), wait);
		/* Without a limit the job itself knows its line, and ends with its client. */
		if (wait == TIME_NEVER) {
			origin.client = c->name + 1;
			origin.tag = (uintptr_t)l;
		}
	}
	if (submit_object(c->broker, object, text, &origin, &submitted, &r) < 0) {
		if (l)
			line_free(l);
		refuse_line(c, tag, &r);
	} else if (l) {
		answer_end(l, &submitted);
	} else {
		ack_of(&submitted, &ack);
		answer_ack(c, tag, &ack);
	}
}

static void on_finished(struct connection *c GA_UNUSED, struct job *job)
{
	answer_found((struct line *)(uintptr_t)job->tag, &(struct found){ .job = job });
}

static void on_answer(struct verb_request *q, const struct verb_answer *a)
{
	struct line *l = container_of(q, struct line, request);
	struct connection *c = l->connection;
	struct buf own = BUF_INIT, *out = answer_place(c, &own);
	bool object = a->body.size > 2 && a->body.data[0] == '{' && a->status < 400;

	begin(out, tag_of(l));
	if (object) {
		json_put_separator(out);
		json_put_raw(out, (struct span){ a->body.data + 1, a->body.size - 2 });
	} else if (a->status >= 400) {
		json_put_key(out, "error");
		json_put_raw(out, a->body);
	} else {
		json_put_key(out, "body");
		json_put_string(out, a->body);
	}
	end(out);
	line_free(l);
	say_later(c, &own);
}

static void ask(struct connection *c, const json_t *object, struct span text, struct span tag)
{
	struct session *s = c->state;
	struct op_request op;
	struct refusal r;

	c->asks++;
	if (s->asks >= CONNECTION_ASKS_MAX) {
		verb_too_many(&r);
		refuse_line(c, tag, &r);
		return;
	}
	int error = json_object_get(object, "op") ? op_read(object, &op, &r)
						  : op_group(object, text, &op, &r);

	if (error < 0) {
		refuse_line(c, tag, &r);
		return;
	}
	struct line *l = line_new(c, tag);

	if (!l) {
		op_done(&op);
		connection_close(c);
		return;
	}
	s->asks++;
	l->asks = true;
	l->request.method = span_of(op.method);
	l->request.path = span_of(op.path);
	l->request.query = span_of(op.query);
	l->request.body = span_of(op.body);
	l->request.content_type = SPAN(TYPE_JSON);
	l->request.answer = on_answer;
	verb_ask(&l->request);
	op_done(&op);
}

/* `echo ... | nc -N -U` says all it has to say, and then waits for the answers. */
static bool on_ended(struct connection *c)
{
	const struct session *s = c->state;

	return !list_empty(&s->lines);
}

static unsigned holds(const struct connection *c)
{
	const struct session *s = c->state;

	return s->held;
}

static void on_closed(struct connection *c)
{
	struct session *s = c->state;

	LIST_FOREACH(node, &s->lines)
		line_free(LIST_ENTRY(node, struct line, mates));
	broker_client_gone(c->broker, c->name + 1);
	free(s);
}
