#include "front_lines.h"
#include "clock.h"
#include "job_view.h"
#include "json_write.h"
#include "submit.h"
#include "verbs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TAG_MAX 256 /* bytes of JSON: it is kept until the answer */

struct session {
	struct list lines; /* struct line under way */
	unsigned asks;     /* of them, verbs other than submit */
};

/* A line whose answer is still to come. */
struct line {
	struct list mates;
	struct connection *connection;
	struct verb_request request;
	char *tag; /* JSON text, or NULL */
	bool asks;
};

static int64_t on_input(struct connection *c, struct span input);
static void on_closed(struct connection *c);
static void on_finished(struct connection *c, struct job *job);
static bool on_ended(struct connection *c);
static void take_line(struct connection *c, struct span text);
static void submit(struct connection *c, json_t *object, struct span text, const json_t *tag);
static void ask(struct connection *c, const json_t *object, const json_t *tag);

static const struct protocol lines_protocol = {
	.name = "lines", .input = on_input, .finished = on_finished, .ended = on_ended, .closed = on_closed
};

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

static void begin(struct connection *c, const char *tag)
{
	struct buf *out = connection_out(c);

	json_put_literal(out, "{");
	if (!tag)
		return;
	json_put_key(out, "tag");
	json_put_raw(out, span_of(tag));
}

static void end(struct connection *c)
{
	json_put_literal(connection_out(c), "}\n");
}

static char *tag_text(const json_t *tag)
{
	return tag ? json_dumps(tag, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
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

static void refuse_line(struct connection *c, const json_t *tag, const struct refusal *r)
{
	char *text = tag_text(tag);

	begin(c, text);
	json_put_key(connection_out(c), "error");
	problem_view(r, connection_out(c));
	end(c);
	free(text);
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
			refuse_line(c, NULL, &r);
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
		refuse_line(c, NULL, &r);
		return;
	}
	json_t *tag = json_incref(json_object_get(object, "tag"));

	json_object_del(object, "tag");
	if (check_tag(tag, &r) < 0) {
		refuse_line(c, NULL, &r);
	} else if (json_object_get(object, "op")) {
		ask(c, object, tag);
	} else {
		submit(c, object, text, tag);
	}
	json_decref(tag);
	json_decref(object);
}

static void line_free(struct line *l)
{
	struct session *s = l->connection->state;

	s->asks -= l->asks;
	verb_forget(&l->request);
	list_remove(&l->mates);
	free(l->tag);
	free(l);
}

static struct line *line_new(struct connection *c, const json_t *tag)
{
	struct session *s = c->state;
	struct line *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->connection = c;
	l->tag = tag_text(tag);
	l->request.broker = c->broker;
	list_push_back(&s->lines, &l->mates);
	return l;
}

static void answer_job(struct connection *c, const char *tag, struct job *job, enum job_detail detail)
{
	begin(c, tag);
	job_view_members(c->broker, job, detail, connection_out(c));
	end(c);
}

/* The time limit of a waited line was first: the job as it is then. */
static void on_limit(struct job_wait *w, struct job *job, bool finished)
{
	struct line *l = container_of(container_of(w, struct verb_request, wait), struct line, request);

	answer_job(l->connection, l->tag, job, VIEW_WHOLE);
	if (finished)
		engine_delivered(l->connection->broker->engine, job);
	line_free(l);
}

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

static void submit(struct connection *c, json_t *object, struct span text, const json_t *tag)
{
	struct submit_origin origin = { 0 };
	struct refusal r;
	struct job *job;
	struct line *l = NULL;
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
		/* Without a limit the job itself knows its line, and ends with its client. */
		if (wait == TIME_NEVER) {
			origin.client = c->name + 1;
			origin.tag = (uintptr_t)l;
		}
	}
	if (submit_object(c->broker, object, text, &origin, &job, &r) < 0) {
		refuse_line(c, tag, &r);
		if (l)
			line_free(l);
		return;
	}
	if (!l) {
		char *echoed = tag_text(tag);

		answer_job(c, echoed, job, VIEW_ACK);
		free(echoed);
	} else if (wait != TIME_NEVER) {
		int64_t deadline = time_add(loop_now(c->broker->loop), wait);

		if (job_wait_start(c->broker, &l->request.wait, job, deadline, on_limit) < 0)
			connection_close(c);
	}
}

static void on_finished(struct connection *c, struct job *job)
{
	struct line *l = (struct line *)(uintptr_t)job->tag;

	answer_job(c, l->tag, job, VIEW_WHOLE);
	line_free(l);
}

static void on_answer(struct verb_request *q, const struct verb_answer *a)
{
	struct line *l = container_of(q, struct line, request);
	struct connection *c = l->connection;
	struct buf *out = connection_out(c);
	bool object = a->body.size > 2 && a->body.data[0] == '{' && a->status < 400;

	begin(c, l->tag);
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
	end(c);
	line_free(l);
}

struct op {
	const char *name, *method, *path;
	bool takes_id;    /* behind the path */
	const char *tail; /* and this behind the id */
};

static const struct op ops[] = {
	{ "show", "GET", "/v1/jobs/", true, NULL },
	{ "result", "GET", "/v1/jobs/", true, "/result" },
	{ "why", "GET", "/v1/jobs/", true, "/why" },
	{ "cancel", "POST", "/v1/jobs/", true, "/cancel" },
	{ "retry", "POST", "/v1/jobs/", true, "/retry" },
	{ "list", "GET", "/v1/jobs", false, NULL },
	{ "workers", "GET", "/v1/workers", false, NULL },
	{ "queues", "GET", "/v1/queues", false, NULL },
	{ "types", "GET", "/v1/types", false, NULL },
	{ "stats", "GET", "/v1/stats", false, NULL },
};

static const struct op *find_op(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	}
	return NULL;
}

static const char *const query_names[] = { "state", "type", "queue", "limit", "cursor", "wait" };

#define QUERY_VALUE_MAX 64
#define QUERY_SIZE (ARRAY_SIZE(query_names) * (3 * QUERY_VALUE_MAX + 10))

/* What the verb takes besides the id, as a query. What it doesn't take is told, not passed over. */
static int write_query(const json_t *object, char *out, struct refusal *r)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)object, key, v)
	{
		size_t i = 0;
		char number[32];
		const char *text = json_string_value(v);

		while (i < ARRAY_SIZE(query_names) && strcmp(query_names[i], key) != 0)
			i++;
		if (i == ARRAY_SIZE(query_names)) {
			if (strcmp(key, "op") == 0 || strcmp(key, "id") == 0)
				continue;
			return refuse(r, 422, "unknown_field", key,
				      "unknown field \"%.40s\": an op takes id, state, type, queue, "
				      "limit, cursor, wait and tag",
				      key);
		}
		if (json_is_integer(v)) {
			snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
			text = number;
		}
		if (!text || strlen(text) > QUERY_VALUE_MAX)
			return refuse(r, 422, "bad_field", key,
				      "%s takes a text of at most %d bytes, or a whole number", key,
				      QUERY_VALUE_MAX);
		out += sprintf(out, "&%s=", key);
		for (; *text; text++)
			out += sprintf(out, "%%%02x", (unsigned char)*text);
	}
	*out = '\0';
	return 0;
}

static int check_id(const struct op *op, const char *id, struct refusal *r)
{
	if (!op->takes_id || (id && strlen(id) <= 64 && !strchr(id, '/')))
		return 0;
	return refuse(r, 422, "missing_field", "id",
		      "op \"%s\" takes the job's id: {\"op\": \"%s\", \"id\": \"...\"}", op->name,
		      op->name);
}

static void ask(struct connection *c, const json_t *object, const json_t *tag)
{
	const struct op *op = find_op(json_string_value(json_object_get(object, "op")));
	const char *id = json_string_value(json_object_get(object, "id"));
	struct session *s = c->state;
	char path[128], query[QUERY_SIZE] = "";
	struct refusal r;

	if (!op) {
		refuse(&r, 422, "unknown_op", "op",
		       "op takes show, result, why, cancel, retry, list, workers, queues, types or stats");
		refuse_line(c, tag, &r);
		return;
	}
	c->asks++;
	if (s->asks >= CONNECTION_ASKS_MAX) {
		verb_too_many(&r);
		refuse_line(c, tag, &r);
		return;
	}
	if (check_id(op, id, &r) < 0 || write_query(object, query, &r) < 0) {
		refuse_line(c, tag, &r);
		return;
	}
	struct line *l = line_new(c, tag);

	if (!l) {
		connection_close(c);
		return;
	}
	snprintf(path, sizeof(path), "%s%s%s", op->path, op->takes_id ? id : "",
		 op->tail ? op->tail : "");
	s->asks++;
	l->asks = true;
	l->request.method = span_of(op->method);
	l->request.path = span_of(path);
	l->request.query = span_of(query);
	l->request.content_type = SPAN(TYPE_JSON);
	l->request.answer = on_answer;
	verb_ask(&l->request);
}

/* `echo ... | nc -N -U` says all it has to say, and then waits for the answers. */
static bool on_ended(struct connection *c)
{
	const struct session *s = c->state;

	return !list_empty(&s->lines);
}

static void on_closed(struct connection *c)
{
	struct session *s = c->state;

	LIST_FOREACH(node, &s->lines)
		line_free(LIST_ENTRY(node, struct line, mates));
	broker_client_gone(c->broker, c->name + 1);
	free(s);
}
