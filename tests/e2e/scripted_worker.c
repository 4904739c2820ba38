/*
 * scripted_worker.c — a worker that does on the wire what no right one does: real supervisor, real broker, this worker.
 *
 * Its one job type, `script`, says in its argument what is done with the attempt: answered twice, in another's name, late
 * in the name of an attempt that is over, with bytes that are no records. In the end the attempt is answered rightly, as
 * soon as its worker may; what the job ends with shows whether anything else counted. Attempts tell each other their
 * tokens in files beside the workers' socket.
 */
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "peer_id.h"
#include "record.h"
#include "role.h"
#include "type_table.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

enum { CAPACITY = 64, MESSAGE_MAX = 2 << 20 };

/* An attempt, as one tells the others of it. */
struct trace {
	uint64_t token, incarnation;
	uint32_t slot;
};

struct worker {
	const struct role *role;
	char directory[200], endpoint[250];
	void *context, *socket;
	bool ready;
	struct answer { /* what is to be said later */
		uint64_t token;
		const char *body;
		int64_t due; /* 0: when the test lets go of it */
		bool used;
	} answers[CAPACITY];
};

static const struct ga_param params[] = {
	{ .name = "do", .type = GA_TEXT, .flags = GA_REQUIRED, .help = "what to do" },
	{ 0 },
};
static const struct ga_job_type script = { .name = "script", .help = "misbehaves", .params = params };
static const struct ga_job_type *const types[] = { &script };

/* ---- speaking ---- */

static void *dealer(struct worker *w, const void *id, size_t id_size)
{
	void *socket = zmq_socket(w->context, ZMQ_DEALER);

	if (id_size)
		zmq_setsockopt(socket, ZMQ_ROUTING_ID, id, id_size);
	zmq_setsockopt(socket, ZMQ_LINGER, &(int){ 1000 }, sizeof(int));
	if (zmq_connect(socket, w->endpoint) < 0)
		fatal(1, "connect: %s", zmq_strerror(errno));
	return socket;
}

static void *dealer_named(struct worker *w, uint32_t slot, uint64_t incarnation)
{
	const struct peer_id id = peer_id_of((struct peer_name){ slot, incarnation });

	return dealer(w, &id, sizeof(id));
}

static void say(void *socket, const struct record *records, size_t count, struct span tail)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < count; i++)
		if (record_put(&b, &records[i]) < 0)
			abort();
	if (tail.size > 0 && buf_append(&b, tail.data, tail.size) < 0)
		abort();
	zmq_send(socket, buf_data(&b), buf_size(&b), 0);
	buf_done(&b);
}

static struct record result(uint64_t token, const char *body)
{
	return (struct record){ .kind = RECORD_RESULT,
				.ref = token,
				.result = { .outcome = OUTCOME_SUCCEEDED, .body = span_of(body) } };
}

static void answer(void *socket, uint64_t token, const char *body)
{
	const struct record r = result(token, body);

	say(socket, &r, 1, (struct span){ 0 });
}

static void fail_for_now(struct worker *w, uint64_t token)
{
	const struct record r = { .kind = RECORD_RESULT,
				  .ref = token,
				  .result = { .outcome = OUTCOME_FAILED,
					      .retryable = true,
					      .code = SPAN("again"),
					      .message = SPAN("again") } };

	say(w->socket, &r, 1, (struct span){ 0 });
}

static void answer_later(struct worker *w, uint64_t token, const char *body, int64_t wait)
{
	for (size_t i = 0; i < CAPACITY; i++) {
		if (w->answers[i].used)
			continue;
		w->answers[i] =
			(struct answer){ token, body, wait ? clock_monotonic() + wait : 0, true };
		return;
	}
	abort();
}

static void hello(struct worker *w)
{
	struct type_table *table;
	struct record r = { .kind = RECORD_HELLO,
			    .hello = { .slot = w->role->slot,
				       .incarnation = w->role->incarnation,
				       .build_id = w->role->build_id } };

	if (type_table_load(span_of(w->role->types), &table) < 0)
		abort();
	r.hello.table_hash = type_table_hash(table);
	type_table_free(table);
	for (int c = 0; c < CLASS_COUNT; c++)
		r.hello.capacity[c] = CAPACITY;
	say(w->socket, &r, 1, (struct span){ 0 });
}

/* ---- what attempts tell each other ---- */

static void path_of(const struct worker *w, const char *name, char path[300])
{
	snprintf(path, 300, "%s/script-%s", w->directory, name);
}

static void leave(const struct worker *w, const char *name, struct trace t)
{
	char path[300], made[310];
	FILE *out;

	path_of(w, name, path);
	snprintf(made, sizeof(made), "%s.%d", path, getpid());
	out = fopen(made, "we");
	if (!out || fwrite(&t, sizeof(t), 1, out) != 1 || fclose(out) != 0 || rename(made, path) < 0)
		fatal(1, "%s: %m", path);
}

static bool find(const struct worker *w, const char *name, struct trace *ret_trace)
{
	char path[300];
	FILE *in;
	bool found;

	path_of(w, name, path);
	in = fopen(path, "re");
	found = in && fread(ret_trace, sizeof(*ret_trace), 1, in) == 1;
	if (in)
		fclose(in);
	return found;
}

/* ---- what is done with an attempt ---- */

struct attempt {
	uint64_t token;
	unsigned number;    /* 1, or a later one */
	struct trace first; /* the job's attempt 1 */
};

static void do_good(struct worker *w, const struct attempt *a)
{
	answer(w->socket, a->token, "good");
}

static void do_double(struct worker *w, const struct attempt *a)
{
	const struct record both[] = { result(a->token, "good"), result(a->token, "second") };

	say(w->socket, both, 2, (struct span){ 0 });
	answer(w->socket, a->token, "third");
}

/* The first attempt's result comes during the second. */
static void do_stale(struct worker *w, const struct attempt *a)
{
	if (a->number == 1) {
		fail_for_now(w, a->token);
		return;
	}
	answer(w->socket, a->first.token, "stale");
	answer_later(w, a->token, "good", 200 * NSEC_PER_MSEC);
}

static void do_unknown(struct worker *w, const struct attempt *a)
{
	const uint64_t invented[] = { 0, UINT64_MAX, a->token + 1000, a->token ^ UINT64_C(1) << 32, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(invented); i++)
		answer(w->socket, invented[i], "unknown");
	do_good(w, a);
}

static void do_hold(struct worker *w, const struct attempt *a)
{
	leave(w, "held", a->first);
	answer_later(w, a->token, "good", 0);
}

static void do_foreign(struct worker *w, const struct attempt *a)
{
	struct trace held;

	if (find(w, "held", &held) && held.slot != w->role->slot)
		answer(w->socket, held.token, "foreign");
	do_good(w, a);
}

/* Under the name of the worker that holds it. */
static void do_usurp(struct worker *w, const struct attempt *a)
{
	struct trace held;
	void *other;

	if (find(w, "held", &held) && held.slot != w->role->slot) {
		other = dealer_named(w, held.slot, held.incarnation);
		answer(other, held.token, "usurped");
		poll(NULL, 0, 300);
		zmq_close(other);
	}
	do_good(w, a);
}

/* The first attempt's worker speaks after its death. */
static void do_ghost(struct worker *w, const struct attempt *a)
{
	void *other;

	if (a->number == 1)
		_exit(WORKER_EXIT_ANEW);
	other = dealer_named(w, a->first.slot, a->first.incarnation);
	answer(other, a->first.token, "ghost");
	answer(other, a->token, "ghost");
	poll(NULL, 0, 200);
	zmq_close(other);
	do_good(w, a);
}

static void do_stranger(struct worker *w, const struct attempt *a)
{
	void *nameless = dealer(w, NULL, 0), *odd = dealer(w, "x", 1);

	answer(nameless, a->token, "strange");
	answer(odd, a->token, "strange");
	poll(NULL, 0, 200);
	zmq_close(nameless);
	zmq_close(odd);
	do_good(w, a);
}

static void do_freed(struct worker *w, const struct attempt *a)
{
	for (int i = 0; i < 1000; i++) {
		const struct record r = { .kind = RECORD_SLOT_FREED,
					  .ref = a->token,
					  .slot_freed = { (enum job_class)(i % CLASS_COUNT) } };

		say(w->socket, &r, 1, (struct span){ 0 });
	}
	do_good(w, a);
}

/* From here on: what ends this worker. The next attempt is right. */

static void do_garbage(struct worker *w, const struct attempt *a)
{
	if (a->number == 1)
		say(w->socket, NULL, 0, SPAN("GET / HTTP/1.1\r\n\r\n"));
	else
		do_good(w, a);
}

static void do_empty(struct worker *w, const struct attempt *a)
{
	if (a->number == 1)
		zmq_send(w->socket, "", 0, 0);
	else
		do_good(w, a);
}

static void do_frames(struct worker *w, const struct attempt *a)
{
	for (int i = 0; a->number == 1 && i < 1000; i++)
		zmq_send(w->socket, "x", 1, i < 999 ? ZMQ_SNDMORE : 0);
	if (a->number > 1)
		do_good(w, a);
}

/* A right result, and bytes behind it that are none. */
static void do_tail(struct worker *w, const struct attempt *a)
{
	const struct record r = result(a->token, "good");

	say(w->socket, &r, 1, a->number == 1 ? SPAN("\xd7\x01") : (struct span){ 0 });
}

static void do_unwanted(struct worker *w, const struct attempt *a)
{
	const struct record r = { .kind = RECORD_SUBMIT,
				  .ref = a->token,
				  .submit = { .type = SPAN("script") } };

	if (a->number == 1)
		say(w->socket, &r, 1, (struct span){ 0 });
	else
		do_good(w, a);
}

static void do_hello(struct worker *w, const struct attempt *a)
{
	if (a->number == 1)
		hello(w);
	else
		do_good(w, a);
}

static const struct {
	const char *name;
	void (*run)(struct worker *w, const struct attempt *a);
} scripts[] = {
	{ "good", do_good },       { "double", do_double },   { "stale", do_stale },
	{ "unknown", do_unknown }, { "hold", do_hold },       { "foreign", do_foreign },
	{ "usurp", do_usurp },     { "ghost", do_ghost },     { "stranger", do_stranger },
	{ "freed", do_freed },     { "garbage", do_garbage }, { "empty", do_empty },
	{ "frames", do_frames },   { "tail", do_tail },       { "unwanted", do_unwanted },
	{ "hello", do_hello },
};

static void take_job(struct worker *w, const struct record *r)
{
	struct attempt a = { .token = r->ref };
	char id[UUID_TEXT_SIZE], text[64] = "";

	uuid_format(&r->job.id, id);
	a.first = (struct trace){ a.token, w->role->incarnation, w->role->slot };
	/* The first that got as far as this: those before were lost on their way, with their worker. */
	a.number = find(w, id, &a.first) ? 2 : 1;
	if (a.number == 1)
		leave(w, id, a.first);
	if (r->job.args.size >= sizeof(text))
		abort();
	memcpy(text, r->job.args.data, r->job.args.size);
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		char wanted[40];

		snprintf(wanted, sizeof(wanted), "\"%s\"}", scripts[i].name);
		if (strstr(text, wanted)) {
			scripts[i].run(w, &a);
			return;
		}
	}
	fatal(1, "no such script: %s", text);
}

/* ---- the loop ---- */

static void take_message(struct worker *w, const char *data, size_t size)
{
	const struct control_message ready = { .kind = CONTROL_READY };
	struct span input = { data, size };
	struct record r;
	const char *why;

	while (record_next(&input, &r, &why) == 1) {
		if (r.kind == RECORD_JOB)
			take_job(w, &r);
		if (r.kind == RECORD_WELCOME && !w->ready)
			w->ready = control_send(ROLE_FD_CONTROL, &ready) == 0;
	}
}

static void answer_due(struct worker *w)
{
	struct trace unused;

	for (size_t i = 0; i < CAPACITY; i++) {
		struct answer *a = &w->answers[i];

		if (!a->used || (a->due ? clock_monotonic() < a->due : !find(w, "release", &unused)))
			continue;
		a->used = false;
		answer(w->socket, a->token, a->body);
	}
}

static int work(struct worker *w)
{
	char *message = malloc(MESSAGE_MAX);
	zmq_pollitem_t items[] = { { .socket = w->socket, .events = ZMQ_POLLIN },
				   { .fd = ROLE_FD_CONTROL, .events = ZMQ_POLLIN } };

	for (;;) {
		struct control_message m;
		int size;

		zmq_poll(items, 2, 20);
		role_heartbeat(w->role->page, clock_monotonic(), 0);
		if (control_receive(ROLE_FD_CONTROL, &m) == -EPIPE)
			break;
		while ((size = zmq_recv(w->socket, message, MESSAGE_MAX, ZMQ_DONTWAIT)) >= 0)
			take_message(w, message, (size_t)size);
		answer_due(w);
	}
	free(message);
	return 0;
}

int worker_main(const struct role *r)
{
	struct worker w = { .role = r };
	struct conf_issue issue;
	struct conf *conf;

	if (conf_parse(r->config, "configuration", &conf, &issue) < 0)
		fatal(78, "%s", issue.text);
	snprintf(w.directory, sizeof(w.directory), "%s", conf->runtime_dir);
	snprintf(w.endpoint, sizeof(w.endpoint), "ipc://%s/workers.sock", conf->runtime_dir);
	conf_free(conf);
	w.context = zmq_ctx_new();
	w.socket = dealer_named(&w, r->slot, r->incarnation);
	answer(w.socket, 1, "unasked"); /* it hasn't said hello */
	hello(&w);
	_exit(work(&w));
}

int types_main(const struct role *r GA_UNUSED)
{
	struct type_table *table;
	char why[200], *text;

	if (type_table_new(types, ARRAY_SIZE(types), &table, why, sizeof(why)) < 0)
		fatal(78, "%s", why);
	text = type_table_dump(table);
	puts(text);
	free(text);
	type_table_free(table);
	return fflush(stdout) == 0 ? 0 : 1;
}
