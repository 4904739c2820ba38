#include "clock.h"
#include "record.h"
#include "transport.h"
#include <errno.h>
#include <gather/client.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(GA_CLIENT_FOREVER == TIME_NEVER, "deadlines are passed on as they are");
_Static_assert((int)GA_SUCCEEDED == (int)JOB_SUCCEEDED && (int)GA_FAILED == (int)JOB_FAILED &&
		       (int)GA_CANCELLED == (int)JOB_CANCELLED && (int)GA_EXPIRED == (int)JOB_EXPIRED,
	       "final states are the daemon's numbers");

/*
 * Records are parsed where they were received. The one that the caller holds stays there (`in_taken`, `kept_taken`)
 * until the next call that may move the buffer.
 */
struct ga_client {
	struct transport transport;
	size_t in_taken; /* bytes at the start of transport.in that the caller is done with at the next call */
	struct buf kept;   /* events that came while a request waited for its answer */
	size_t kept_taken; /* as in_taken, of kept */
	uint64_t requests; /* the ref of the last request */
	char content_type[128];
};

static int next_record(struct ga_client *c, struct record *ret_record);
static int next_kept(struct ga_client *c, struct record *ret_record);
static bool event_of(const struct record *record, struct ga_client_event *ret_event);
static int find_response(struct ga_client *c, struct ga_response *ret_response);
static void let_go(struct ga_client *c);

int64_t ga_client_now(void)
{
	return clock_monotonic();
}

int ga_client_connect(const char *path, ga_client **ret_client)
{
	struct ga_client *c;
	int result;

	if (!path)
		path = getenv("GATHER_SOCKET");
	if (!path || !*path)
		path = "/run/gatherd/gatherd.sock";
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	result = transport_open(&c->transport, path);
	if (result < 0) {
		free(c);
		return result;
	}
	*ret_client = c;
	return 0;
}

void ga_client_close(ga_client *client)
{
	if (!client)
		return;
	transport_close(&client->transport);
	buf_done(&client->kept);
	free(client);
}

int ga_client_fd(const ga_client *client)
{
	return client->transport.fd;
}

bool ga_client_wants_write(const ga_client *client)
{
	return buf_size(&client->transport.out) > 0;
}

static int put(struct ga_client *c, const struct record *record)
{
	int result = record_put(&c->transport.out, record);

	return result < 0 ? result : transport_push(&c->transport);
}

int ga_client_submit(ga_client *client, const struct ga_submission *submission)
{
	const struct record record = {
		.kind = RECORD_SUBMIT,
		.ref = submission->tag,
		.submit = {
			.flags = (submission->want_accepted ? SUBMIT_WANT_ACCEPTED : 0) |
				 (submission->want_result ? SUBMIT_WANT_RESULT : 0),
			.type = span_of(submission->type),
			.options = span_of(submission->options),
			.args = span_of(submission->args),
		},
	};

	return put(client, &record);
}

int ga_client_cancel(ga_client *client, uint64_t tag)
{
	const struct record record = { .kind = RECORD_ABORT, .ref = tag };

	return put(client, &record);
}

int ga_client_flush(ga_client *client, int64_t deadline)
{
	let_go(client);
	return transport_flush(&client->transport, deadline);
}

int ga_client_next(ga_client *client, int64_t deadline, struct ga_client_event *ret_event)
{
	let_go(client);
	for (;;) {
		struct record record;
		int result = next_kept(client, &record);

		if (result == 0)
			result = next_record(client, &record);
		if (result == 1 && event_of(&record, ret_event))
			return 1;
		if (result == 0)
			result = transport_exchange(&client->transport, deadline);
		else if (result == 1)
			let_go(client); /* the late answer to a request that was given up */
		if (result <= 0)
			return result;
	}
}

int ga_client_request(ga_client *client, const char *method, const char *target, const void *body,
		      size_t body_size, int64_t deadline, struct ga_response *ret_response)
{
	const struct record record = {
		.kind = RECORD_REQUEST,
		.ref = client->requests + 1,
		.request = { .method = span_of(method),
			     .target = span_of(target),
			     .body = { body, body_size } },
	};
	int result;

	let_go(client);
	result = put(client, &record);
	if (result < 0)
		return result;
	client->requests++;
	while ((result = find_response(client, ret_response)) == 0) {
		result = transport_exchange(&client->transport, deadline);
		if (result <= 0)
			return result < 0 ? result : -ETIMEDOUT;
	}
	return result < 0 ? result : 0;
}

static void let_go(struct ga_client *c)
{
	buf_consume(&c->transport.in, c->in_taken);
	buf_consume(&c->kept, c->kept_taken);
	c->in_taken = c->kept_taken = 0;
}

static int parse(const struct buf *b, size_t *ret_taken, struct record *ret_record)
{
	struct span input = { buf_size(b) ? buf_data(b) : NULL, buf_size(b) };
	const char *why;
	int result;

	if (input.size == 0)
		return 0;
	result = record_next(&input, ret_record, &why);
	if (result == 1)
		*ret_taken = buf_size(b) - input.size;
	return result;
}

/* What a full daemon says at once to whoever comes, before it knows what they speak. */
static bool turned_away(const struct buf *in)
{
	static const char full[] = "HTTP/1.1 503 ";

	return buf_size(in) >= sizeof(full) - 1 && memcmp(buf_data(in), full, sizeof(full) - 1) == 0;
}

/* 1, 0: needs more input, -EPROTO or -EBUSY. */
static int next_record(struct ga_client *c, struct record *ret_record)
{
	int result = parse(&c->transport.in, &c->in_taken, ret_record);

	return result == -EPROTO && turned_away(&c->transport.in) ? -EBUSY : result;
}

static int next_kept(struct ga_client *c, struct record *ret_record)
{
	return parse(&c->kept, &c->kept_taken, ret_record);
}

/* 1: found; 0: not among what has come yet. Events before it are put aside. */
static int find_response(struct ga_client *c, struct ga_response *ret_response)
{
	struct record record;
	int result;

	while ((result = next_record(c, &record)) == 1) {
		if (record.kind == RECORD_RESPONSE && record.ref == c->requests) {
			struct span type = record.response.content_type;
			size_t size = MIN(type.size, sizeof(c->content_type) - 1);

			if (size)
				memcpy(c->content_type, type.data, size);
			c->content_type[size] = '\0';
			*ret_response = (struct ga_response){
				.status = record.response.status,
				.content_type = c->content_type,
				.body = { record.response.body.data, record.response.body.size },
			};
			return 1;
		}
		if (record.kind != RECORD_RESPONSE) {
			result = buf_append(&c->kept, buf_data(&c->transport.in), c->in_taken);
			if (result < 0) {
				c->in_taken = 0; /* it stays where it is */
				return result;
			}
		}
		let_go(c);
	}
	return result;
}

static struct ga_bytes bytes_of(struct span s)
{
	return (struct ga_bytes){ s.data, s.size };
}

static const char *durability_name(enum job_durability durability)
{
	static const char *const names[] = {
		[DURABILITY_MEMORY] = "memory", [DURABILITY_WRITE] = "write", [DURABILITY_FSYNC] = "fsync"
	};

	return (size_t)durability < ARRAY_SIZE(names) ? names[durability] : "?";
}

static void finished_event(const struct record_finished *f, struct ga_client_event *e)
{
	uuid_format(&f->id, e->id);
	e->kind = GA_EVENT_FINISHED;
	e->state = (enum ga_final_state)f->state;
	e->attempts = f->attempts;
	e->elapsed_us = f->elapsed_us;
	e->code = bytes_of(f->code);
	e->message = bytes_of(f->message);
	e->meta = bytes_of(f->meta);
	e->body = bytes_of(f->body);
}

static void refused_event(const struct record_refused *r, struct ga_client_event *e)
{
	e->kind = GA_EVENT_REFUSED;
	e->status = r->status;
	e->retry_after_ms = r->retry_after_ms;
	e->code = bytes_of(r->code);
	e->field = bytes_of(r->field);
	e->message = bytes_of(r->message);
}

/* False: a record that is no event. Kinds that this library doesn't know are skipped: they don't change the version. */
static bool event_of(const struct record *record, struct ga_client_event *ret_event)
{
	struct ga_client_event event = { .tag = record->ref };

	switch (record->kind) {
	case RECORD_FINISHED:
		finished_event(&record->finished, &event);
		break;
	case RECORD_ACCEPTED:
		event.kind = GA_EVENT_ACCEPTED;
		uuid_format(&record->accepted.id, event.id);
		event.durability = durability_name(record->accepted.durability);
		break;
	case RECORD_REFUSED:
		refused_event(&record->refused, &event);
		break;
	default:
		return false;
	}
	*ret_event = event;
	return true;
}
