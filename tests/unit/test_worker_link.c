/* test_worker_link.c — ZeroMQ on the loop: both ends, packing, blocking, comings and goings, garbage. */
#include "clock.h"
#include "random.h"
#include "tap_main.h"
#include "worker_link.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

/* ThreadSanitizer doesn't see how libzmq's threads hand messages over: what they do in there is left out. */
GA_API const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:libzmq.so\nrace:libzmq.so";
}

#define PATIENCE (20 * NSEC_PER_SEC) /* a test that waits longer has failed */

/* One broker's end and one worker's end on one loop; raw sockets play the others. */
struct link {
	char directory[40], path[80];
	struct loop *loop;
	struct loop_timer patience;
	struct router *router;
	struct dealer *dealer;
	struct peer_name heard; /* the sender of the last record */
	unsigned to_broker, to_worker, connects, disconnects, garbage;
	uint64_t last_ref; /* of what came to the broker */
	uint64_t job_ref;  /* of what came to the worker */
	unsigned disorder; /* refs that didn't follow each other */
	char why[100];
	bool echo, forget, drain, impatient;
	bool (*done)(const struct link *k);
};

static const struct peer_name worker = { .slot = 3, .incarnation = UINT64_C(0x1122334455667788) };

static void check(struct link *k)
{
	if (k->done && k->done(k))
		loop_stop(k->loop);
}

static void on_record(void *arg, struct peer_name from, const struct record *r)
{
	struct link *k = arg;

	if (r->kind == RECORD_RESULT)
		k->disorder += r->ref != k->last_ref + 1;
	k->heard = from;
	k->last_ref = r->ref;
	k->to_broker++;
	if (k->drain && r->ref == 2) /* until the third record, sent apart from this one, must have come */
		for (int64_t end = clock_monotonic() + NSEC_PER_SEC / 5; clock_monotonic() < end;)
			router_drain(k->router);
	if (k->echo) {
		const struct record job = { .kind = RECORD_JOB, .ref = r->ref };

		if (router_send(k->router, from, &job) < 0)
			k->disorder++;
	}
	if (k->forget)
		router_forget(k->router, from);
	check(k);
}

static void on_garbage(void *arg, struct peer_name from, const char *why)
{
	struct link *k = arg;

	k->heard = from;
	k->garbage++;
	snprintf(k->why, sizeof(k->why), "%s", why);
	check(k);
}

static void on_job(void *arg, const struct record *r)
{
	struct link *k = arg;

	k->disorder += r->kind == RECORD_JOB && r->ref != k->job_ref + 1;
	k->job_ref = r->ref;
	k->to_worker++;
	check(k);
}

static void on_dealer_garbage(void *arg, const char *why)
{
	on_garbage(arg, (struct peer_name){ 0 }, why);
}

static void on_connected(void *arg)
{
	struct link *k = arg;

	k->connects++;
	check(k);
}

static void on_disconnected(void *arg)
{
	struct link *k = arg;

	k->disconnects++;
	check(k);
}

static const struct router_events router_events = { on_record, on_garbage };
static const struct dealer_events dealer_events = { on_job, on_dealer_garbage, on_connected,
						    on_disconnected };

static void on_impatience(struct loop_timer *t)
{
	struct link *k = t->arg;

	k->impatient = true;
	loop_stop(k->loop);
}

/* Run until done(); fails the test if that takes too long. */
static void run_until(struct link *k, bool (*done)(const struct link *k))
{
	k->done = done;
	if (done(k))
		return;
	assert_int_equal(loop_timer_set(k->loop, &k->patience, clock_monotonic() + PATIENCE), 0);
	assert_int_equal(loop_run(k->loop), 0);
	loop_timer_stop(k->loop, &k->patience);
	assert_false(k->impatient);
	k->done = NULL;
}

static void on_deferred(struct loop_call *c)
{
	loop_stop(c->arg);
}

/* One whole turn: what was queued leaves. */
static void one_turn(struct link *k)
{
	struct loop_call c;

	loop_call_init(&c, on_deferred, k->loop);
	loop_call_soon(k->loop, &c);
	assert_int_equal(loop_run(k->loop), 0);
}

static int link_setup(void **state)
{
	struct link *k = calloc(1, sizeof(*k));

	strcpy(k->directory, "/tmp/test_link.XXXXXX");
	if (!mkdtemp(k->directory) || loop_new(NULL, &k->loop) < 0)
		return -1;
	snprintf(k->path, sizeof(k->path), "%s/workers.sock", k->directory);
	loop_timer_init(&k->patience, on_impatience, k);
	*state = k;
	return 0;
}

static int link_teardown(void **state)
{
	struct link *k = *state;

	dealer_close(k->dealer);
	router_close(k->router);
	loop_free(k->loop);
	unlink(k->path);
	rmdir(k->directory);
	free(k);
	return 0;
}

static bool is_connected(const struct link *k)
{
	return k->connects > k->disconnects;
}

static bool is_disconnected(const struct link *k)
{
	return k->disconnects > 0;
}

static bool heard_one(const struct link *k)
{
	return k->to_broker >= 1;
}

static bool told_one(const struct link *k)
{
	return k->to_worker >= 1;
}

static bool garbage_one(const struct link *k)
{
	return k->garbage >= 1;
}

static bool reached_1000(const struct link *k)
{
	return k->last_ref >= 1000;
}

static void open_router(struct link *k)
{
	assert_int_equal(router_open(k->loop, k->path, &router_events, k, &k->router), 0);
}

static void open_dealer(struct link *k, struct peer_name self)
{
	assert_int_equal(dealer_open(k->loop, k->path, self, &dealer_events, k, &k->dealer), 0);
	run_until(k, is_connected);
}

static void say(struct link *k, uint64_t ref)
{
	const struct record r = { .kind = RECORD_RESULT,
				  .ref = ref,
				  .result = { .outcome = OUTCOME_SUCCEEDED, .body = SPAN("done") } };

	assert_int_equal(dealer_send(k->dealer, &r), 0);
}

/* Connected, and the broker has heard of the worker. */
static void open_both(struct link *k)
{
	open_router(k);
	open_dealer(k, worker);
	say(k, 1);
	run_until(k, heard_one);
}

static void a_record_goes_there_and_back(void **state)
{
	struct link *k = *state;

	k->echo = true;
	open_both(k);
	run_until(k, told_one);
	assert_int_equal(k->heard.slot, worker.slot);
	assert_true(k->heard.incarnation == worker.incarnation);
	assert_int_equal(k->last_ref, 1);
	assert_int_equal(k->job_ref, 1);
	assert_int_equal(k->disorder, 0);
	assert_int_equal(router_backlog(k->router, worker), 0);
	assert_int_equal(dealer_backlog(k->dealer), 0);
}

static void what_gathers_in_a_turn_arrives_in_order(void **state)
{
	struct link *k = *state;

	open_router(k);
	open_dealer(k, worker);
	for (uint64_t i = 1; i <= 1000; i++)
		say(k, i);
	assert_true(dealer_backlog(k->dealer) > 1000);
	run_until(k, reached_1000);
	assert_int_equal(k->disorder, 0);
	assert_int_equal(k->to_broker, 1000);
}

/* A raw socket in the broker's place counts messages, not records. */
static void what_gathers_in_a_turn_is_few_messages(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new(), *raw = zmq_socket(context, ZMQ_ROUTER);
	char endpoint[100], *buffer = malloc(PACK_MAX + 1);
	size_t bytes = 0, whole;
	unsigned messages = 0;

	snprintf(endpoint, sizeof(endpoint), "ipc://%s", k->path);
	assert_int_equal(zmq_bind(raw, endpoint), 0);
	open_dealer(k, worker);
	for (uint64_t i = 1; i <= 10000; i++)
		say(k, i);
	whole = dealer_backlog(k->dealer);
	one_turn(k);
	assert_int_equal(dealer_backlog(k->dealer), 0);
	while (bytes < whole) {
		int size;

		assert_int_equal(zmq_recv(raw, buffer, 64, 0), 13);
		size = zmq_recv(raw, buffer, PACK_MAX + 1, 0);
		assert_in_range(size, 1, PACK_MAX);
		bytes += (size_t)size;
		messages++;
	}
	assert_int_equal(bytes, whole);
	assert_int_equal(messages, whole / PACK_MAX + 1);
	free(buffer);
	zmq_close(raw);
	dealer_close(k->dealer);
	k->dealer = NULL;
	zmq_ctx_term(context);
}

static void the_largest_record_passes_both_ways(void **state)
{
	struct link *k = *state;
	struct record r = { .kind = RECORD_REQUEST, .ref = 7 };
	char *body = calloc(1, RECORD_MAX);

	open_both(k);
	r.request.body = (struct span){ body, RECORD_MAX };
	r.request.body.size -= record_size(&r) - RECORD_MAX;
	assert_int_equal(record_size(&r), RECORD_MAX);
	k->to_broker = 0;
	assert_int_equal(dealer_send(k->dealer, &r), 0);
	assert_int_equal(router_send(k->router, worker, &r), 0);
	run_until(k, heard_one);
	run_until(k, told_one);
	assert_int_equal(k->last_ref, 7);
	assert_int_equal(k->job_ref, 7);
	r.request.body.size++;
	assert_int_equal(dealer_send(k->dealer, &r), -EMSGSIZE);
	assert_int_equal(router_send(k->router, worker, &r), -EMSGSIZE);
	free(body);
}

static void an_unknown_peer_is_not_sent_to(void **state)
{
	struct link *k = *state;
	const struct record r = { .kind = RECORD_DRAIN };

	open_router(k);
	assert_int_equal(router_send(k->router, worker, &r), -ENOTCONN);
	assert_int_equal(router_backlog(k->router, worker), 0);
	router_forget(k->router, worker);
}

static bool gone(const struct link *k)
{
	const struct record r = { .kind = RECORD_DRAIN };

	return router_send(k->router, worker, &r) == -ENOTCONN;
}

static void ask_again(struct loop_timer *t)
{
	struct link *k = t->arg;

	check(k);
	(void)!loop_timer_set(k->loop, t, loop_now(k->loop) + NSEC_PER_MSEC);
}

static void a_worker_that_died_is_followed_by_its_next_incarnation(void **state)
{
	struct link *k = *state;
	struct peer_name next = { .slot = worker.slot, .incarnation = worker.incarnation + 1 };
	struct loop_timer ask;

	k->echo = true;
	open_both(k);
	dealer_close(k->dealer);
	k->dealer = NULL;
	loop_timer_init(&ask, ask_again, k);
	assert_int_equal(loop_timer_set(k->loop, &ask, 0), 0);
	run_until(k, gone);
	loop_timer_stop(k->loop, &ask);
	router_forget(k->router, worker);
	k->to_broker = k->connects = k->to_worker = 0;
	k->job_ref = 0;
	open_dealer(k, next);
	say(k, 1);
	run_until(k, told_one);
	assert_true(k->heard.incarnation == next.incarnation);
	assert_int_equal(k->garbage, 0);
}

static void a_broker_that_comes_back_is_told_of(void **state)
{
	struct link *k = *state;
	const struct record r = { .kind = RECORD_DRAIN };

	open_both(k);
	router_close(k->router);
	k->router = NULL;
	run_until(k, is_disconnected);
	assert_int_equal(dealer_send(k->dealer, &r), -ENOTCONN);
	assert_int_equal(dealer_backlog(k->dealer), 0);
	open_router(k);
	run_until(k, is_connected);
	assert_int_equal(k->connects, 2);
	k->to_broker = 0;
	k->last_ref = 0;
	say(k, 1);
	run_until(k, heard_one);
	assert_int_equal(k->disorder, 0);
	assert_int_equal(k->to_broker, 1);
}

/* A raw socket in the broker's place; flushes what it has sent when it is closed. */
static void *raw_broker(struct link *k, void *context)
{
	void *raw = zmq_socket(context, ZMQ_ROUTER);
	char endpoint[100];

	snprintf(endpoint, sizeof(endpoint), "ipc://%s", k->path);
	assert_int_equal(zmq_bind(raw, endpoint), 0);
	return raw;
}

static bool is_blocked(const struct link *k)
{
	static char body[PACK_MAX];
	const struct record r = { .kind = RECORD_RESULT,
				  .result = { .outcome = OUTCOME_SUCCEEDED, .body = { body, 200000 } } };

	if (dealer_backlog(k->dealer) > 2 * PACK_MAX)
		return true; /* ZeroMQ takes no more */
	assert_int_equal(dealer_send(k->dealer, &r), 0);
	return false;
}

/* A broker that doesn't read goes: the next one must not get what was meant for it before HELLO. */
static void what_was_unsent_is_dropped_with_the_connection(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new(), *raw = raw_broker(k, context);
	struct loop_timer ask;

	open_dealer(k, worker);
	loop_timer_init(&ask, ask_again, k);
	assert_int_equal(loop_timer_set(k->loop, &ask, 0), 0);
	run_until(k, is_blocked);
	loop_timer_stop(k->loop, &ask);
	zmq_close(raw);
	zmq_ctx_term(context);
	run_until(k, is_disconnected);
	assert_int_equal(dealer_backlog(k->dealer), 0);
	open_router(k);
	run_until(k, is_connected);
	say(k, 1);
	run_until(k, heard_one);
	assert_int_equal(k->last_ref, 1);
	assert_int_equal(k->disorder, 0);
}

/* It came from the old broker, but was not read while that lived. */
static void what_was_unread_is_dropped_with_the_connection(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new(), *raw = raw_broker(k, context);
	const struct record old = { .kind = RECORD_JOB, .ref = 99 };
	struct buf b = BUF_INIT;
	char id[13], any[100];

	open_dealer(k, worker);
	say(k, 1);
	one_turn(k);
	assert_int_equal(zmq_recv(raw, id, sizeof(id), 0), sizeof(id));
	assert_true(zmq_recv(raw, any, sizeof(any), 0) > 0);
	dealer_pause(k->dealer, true);
	assert_int_equal(record_put(&b, &old), 0);
	assert_int_equal(zmq_send(raw, id, sizeof(id), ZMQ_SNDMORE), sizeof(id));
	assert_int_equal(zmq_send(raw, buf_data(&b), buf_size(&b), 0), buf_size(&b));
	zmq_close(raw);
	zmq_ctx_term(context);
	run_until(k, is_disconnected);
	open_router(k);
	run_until(k, is_connected);
	dealer_pause(k->dealer, false);
	k->echo = true;
	say(k, 1);
	run_until(k, told_one);
	assert_int_equal(k->job_ref, 1);
	assert_int_equal(k->to_worker, 1);
	buf_done(&b);
}

static void a_stale_socket_file_is_replaced(void **state)
{
	struct link *k = *state;
	FILE *f = fopen(k->path, "w");

	assert_non_null(f);
	fclose(f);
	open_both(k);
}

static void a_forgotten_peer_is_not_heard_any_more(void **state)
{
	struct link *k = *state;
	const struct record r = { .kind = RECORD_DRAIN };

	open_both(k);
	k->forget = true; /* at the second of these three, which come in one message */
	k->to_broker = 0;
	for (uint64_t i = 2; i <= 4; i++)
		say(k, i);
	run_until(k, heard_one);
	assert_int_equal(k->to_broker, 1);
	assert_int_equal(router_send(k->router, worker, &r), -ENOTCONN);
	say(k, 5);
	one_turn(k);
	router_drain(k->router);
	assert_int_equal(k->to_broker, 1);
}

static bool five_turns(const struct link *k)
{
	return k->to_broker >= 2;
}

static void a_paused_worker_reads_nothing_until_it_goes_on(void **state)
{
	struct link *k = *state;

	open_both(k);
	dealer_pause(k->dealer, true);
	k->echo = true;
	say(k, 2);
	run_until(k, five_turns);
	one_turn(k);
	say(k, 3);
	k->to_broker = 1;
	run_until(k, five_turns);
	assert_int_equal(k->to_worker, 0);
	dealer_pause(k->dealer, false);
	k->job_ref = 1;
	run_until(k, told_one);
}

struct turns {
	struct loop_hook hook;
	struct loop_timer end;
	unsigned count;
};

static void count_turn(struct loop_hook *h)
{
	((struct turns *)h->arg)->count++;
}

static void end_turns(struct loop_timer *t)
{
	loop_stop(t->arg);
}

static void a_paused_worker_does_not_spin(void **state)
{
	struct link *k = *state;
	const struct record job = { .kind = RECORD_JOB, .ref = 1 };
	struct turns turns = { 0 };

	open_both(k);
	dealer_pause(k->dealer, true);
	assert_int_equal(router_send(k->router, worker, &job), 0);
	loop_timer_init(&turns.end, end_turns, k->loop);
	assert_int_equal(loop_timer_set(k->loop, &turns.end, clock_monotonic() + NSEC_PER_SEC / 10), 0);
	loop_hook_add(k->loop, &turns.hook, count_turn, &turns);
	assert_int_equal(loop_run(k->loop), 0);
	loop_hook_remove(&turns.hook);
	assert_in_range(turns.count, 1, 100);
	assert_int_equal(k->to_worker, 0);
}

#define FLOOD 20000
static bool flood_came(const struct link *k)
{
	return k->to_worker >= FLOOD;
}

/* Far beyond what pipes and kernel buffers hold; then it must all come, in order. */
static void what_a_slow_worker_does_not_take_waits_in_the_outbox(void **state)
{
	struct link *k = *state;
	static char args[65536];
	size_t before;

	open_both(k);
	dealer_pause(k->dealer, true);
	for (uint64_t i = 1; i <= FLOOD; i++) {
		const struct record job = { .kind = RECORD_JOB,
					    .ref = i,
					    .job.args = { args, i % 8 ? 10 : sizeof(args) } };

		assert_int_equal(router_send(k->router, worker, &job), 0);
	}
	before = router_backlog(k->router, worker);
	for (int i = 0; i < 20; i++)
		one_turn(k);
	assert_true(router_backlog(k->router, worker) > 0);
	assert_true(router_backlog(k->router, worker) < before);
	dealer_pause(k->dealer, false);
	run_until(k, flood_came);
	assert_int_equal(k->disorder, 0);
	assert_int_equal(router_backlog(k->router, worker), 0);
}

static void draining_delivers_what_has_arrived(void **state)
{
	struct link *k = *state;

	open_both(k);
	say(k, 2);
	one_turn(k);
	/* The I/O threads carry it over meanwhile; the loop doesn't run. */
	for (int64_t end = clock_monotonic() + PATIENCE; k->last_ref != 2 && clock_monotonic() < end;)
		router_drain(k->router);
	assert_int_equal(k->last_ref, 2);
}

static bool reached_4(const struct link *k)
{
	return k->last_ref >= 4;
}

static void draining_inside_a_record_keeps_the_order_of_that_peer(void **state)
{
	struct link *k = *state;

	open_both(k);
	k->drain = true;
	say(k, 2);
	say(k, 3);
	one_turn(k); /* one message with two records; and then another */
	say(k, 4);
	one_turn(k);
	run_until(k, reached_4);
	assert_int_equal(k->disorder, 0);
	assert_int_equal(k->to_broker, 4);
}

static void a_wrong_path_is_refused(void **state)
{
	struct link *k = *state;
	struct router *router = NULL;
	struct dealer *dealer = NULL;
	char path[110];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	assert_int_equal(router_open(k->loop, path, &router_events, k, &router), -ENAMETOOLONG);
	assert_int_equal(dealer_open(k->loop, path, worker, &dealer_events, k, &dealer), -ENAMETOOLONG);
	assert_int_equal(router_open(k->loop, "workers.sock", &router_events, k, &router), -EINVAL);
	assert_int_equal(dealer_open(k->loop, "", worker, &dealer_events, k, &dealer), -EINVAL);
	assert_true(router_open(k->loop, "/nonexistent/x", &router_events, k, &router) < 0);
	assert_null(router);
	assert_null(dealer);
}

/* A raw peer with this routing id (size 0: ZeroMQ makes one), connected to the broker. */
static void *raw_peer(struct link *k, void *context, const void *id, size_t id_size)
{
	void *raw = zmq_socket(context, ZMQ_DEALER);
	char endpoint[100];

	snprintf(endpoint, sizeof(endpoint), "ipc://%s", k->path);
	if (id_size)
		assert_int_equal(zmq_setsockopt(raw, ZMQ_ROUTING_ID, id, id_size), 0);
	assert_int_equal(zmq_setsockopt(raw, ZMQ_LINGER, &(int){ 0 }, sizeof(int)), 0);
	assert_int_equal(zmq_connect(raw, endpoint), 0);
	return raw;
}

static void make_id(unsigned char id[13], uint32_t slot)
{
	memset(id, 0, 13);
	id[0] = 1;
	id[1] = (unsigned char)slot;
	id[5] = 9;
}

static size_t one_record(char *out, uint64_t ref)
{
	const struct record r = { .kind = RECORD_SLOT_FREED, .ref = ref };
	struct buf b = BUF_INIT;
	size_t size;

	assert_int_equal(record_put(&b, &r), 0);
	size = buf_size(&b);
	memcpy(out, buf_data(&b), size);
	buf_done(&b);
	return size;
}

/* After any garbage the real worker is still served. */
static void assert_still_served(struct link *k)
{
	unsigned before = k->to_broker;
	bool echo = k->echo;

	k->echo = true;
	k->to_worker = 0;
	k->job_ref = 99;
	k->last_ref = 99;
	say(k, 100);
	run_until(k, told_one);
	assert_true(k->to_broker > before);
	k->echo = echo;
}

static void a_message_that_is_no_record_ends_that_peer_alone(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new();
	char record[64];
	size_t size = one_record(record, 1);
	const struct {
		const char *data;
		size_t size;
		const char *why;
	} cases[] = {
		{ "", 0, "an empty message" },
		{ "\0", 1, "magic: a record starts with the byte 0xd7" },
		{ "GET / HTTP/1.1\r\n\r\n", 18, "magic: a record starts with the byte 0xd7" },
		{ "\xd7\x02", 2, "version: this side speaks version 1" },
		{ record, size - 1, "a message ends inside a record" },
		{ record, 3, "a message ends inside a record" },
	};

	open_both(k);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned char id[13];
		unsigned before = k->to_broker;
		void *raw;

		make_id(id, 20 + (unsigned)i);
		raw = raw_peer(k, context, id, sizeof(id));
		k->garbage = 0;
		assert_int_equal(zmq_send(raw, cases[i].data, cases[i].size, 0), cases[i].size);
		assert_int_equal(zmq_send(raw, "", 0, 0), 0); /* ignored by then, as this: */
		assert_int_equal(zmq_send(raw, record, size, 0), size);
		run_until(k, garbage_one);
		assert_string_equal(k->why, cases[i].why);
		assert_int_equal(k->heard.slot, 20 + i);
		assert_still_served(k);
		assert_int_equal(k->to_broker, before + 1);
		assert_int_equal(k->garbage, 1);
		zmq_close(raw);
	}
	zmq_ctx_term(context);
}

static void a_thousand_frames_are_garbage(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new(), *raw;
	unsigned char id[13];

	open_both(k);
	make_id(id, 5);
	raw = raw_peer(k, context, id, sizeof(id));
	for (int i = 0; i < 1000; i++)
		assert_int_equal(zmq_send(raw, "x", 1, i < 999 ? ZMQ_SNDMORE : 0), 1);
	run_until(k, garbage_one);
	assert_string_equal(k->why, "more than one frame in a message");
	assert_int_equal(k->heard.slot, 5);
	assert_still_served(k);
	zmq_close(raw);
	zmq_ctx_term(context);
}

static void a_peer_without_a_workers_id_is_ignored(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new();
	char record[64], long_id[255];
	size_t size = one_record(record, 1);
	const struct {
		const void *id;
		size_t size;
	} cases[] = {
		{ NULL, 0 },     { long_id, 255 }, { "\x01", 1 },
		{ long_id, 12 }, { long_id, 14 },  { "\x02wwwwxxxxyyyy", 13 },
	};

	memset(long_id, 1, sizeof(long_id));
	open_router(k);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		void *raw = raw_peer(k, context, cases[i].id, cases[i].size);

		k->garbage = 0;
		assert_int_equal(zmq_send(raw, record, size, 0), size);
		if (i == 0) { /* told of once a second at most */
			run_until(k, garbage_one);
			assert_int_equal(k->heard.slot, PEER_NAMELESS);
			assert_non_null(strstr(k->why, "13 bytes"));
		}
		zmq_close(raw);
	}
	open_dealer(k, worker);
	assert_still_served(k);
	assert_int_equal(k->to_broker, 1);
	zmq_ctx_term(context);
}

static void another_workers_id_cannot_be_taken_over(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new(), *raw;
	unsigned char id[13] = { 1, 3, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 };
	char record[64];
	size_t size = one_record(record, 1);

	open_both(k);
	raw = raw_peer(k, context, id, sizeof(id));
	assert_int_equal(zmq_send(raw, record, size, 0), size);
	for (int i = 0; i < 10; i++)
		assert_still_served(k);
	assert_int_equal(k->to_broker, 11);
	zmq_close(raw);
	zmq_ctx_term(context);
}

static void a_message_beyond_the_limit_ends_that_connection(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new(), *raw, *monitor;
	unsigned char id[13];
	char *large = calloc(1, 3 << 20), event[6];

	open_both(k);
	make_id(id, 6);
	raw = raw_peer(k, context, id, sizeof(id));
	assert_int_equal(zmq_socket_monitor(raw, "inproc://raw", ZMQ_EVENT_DISCONNECTED), 0);
	monitor = zmq_socket(context, ZMQ_PAIR);
	assert_int_equal(zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &(int){ 20000 }, sizeof(int)), 0);
	assert_int_equal(zmq_connect(monitor, "inproc://raw"), 0);
	assert_int_equal(zmq_send(raw, large, 3 << 20, 0), 3 << 20);
	assert_int_equal(zmq_recv(monitor, event, sizeof(event), 0), sizeof(event));
	assert_still_served(k);
	assert_int_equal(k->garbage, 0);
	zmq_close(raw);
	zmq_close(monitor);
	zmq_ctx_term(context);
	free(large);
}

static void a_broker_that_sends_garbage_is_ignored(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new(), *raw = raw_broker(k, context);
	char any[100], record[64], id[13];
	size_t size = one_record(record, 1);

	open_dealer(k, worker);
	say(k, 1);
	one_turn(k);
	assert_int_equal(zmq_recv(raw, id, sizeof(id), 0), sizeof(id));
	assert_true(zmq_recv(raw, any, sizeof(any), 0) > 0);
	dealer_pause(k->dealer, true); /* until all of it is there */
	assert_int_equal(zmq_send(raw, id, sizeof(id), ZMQ_SNDMORE), sizeof(id));
	assert_int_equal(zmq_send(raw, "nonsense", 8, 0), 8);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(zmq_send(raw, id, sizeof(id), ZMQ_SNDMORE), sizeof(id));
		assert_int_equal(zmq_send(raw, record, size, 0), size);
	}
	dealer_pause(k->dealer, false);
	run_until(k, garbage_one);
	zmq_close(raw);
	zmq_ctx_term(context);
	run_until(k, is_disconnected);
	assert_int_equal(k->to_worker, 0);
	assert_int_equal(k->garbage, 1);
	k->echo = true; /* the next broker is listened to */
	k->last_ref = 0;
	open_router(k);
	run_until(k, is_connected);
	say(k, 1);
	run_until(k, told_one);
}

/* The broker's side of the flood runs on a thread of its own, with its own loop; it asserts nothing. */
#define EACH_WAY 200000u
struct flood_broker {
	const char *path;
	struct loop *loop;
	struct router *router;
	unsigned heard, wrong;
	pthread_barrier_t *bound;
};

static void flood_record(void *arg, struct peer_name from, const struct record *r)
{
	struct flood_broker *b = arg;
	const struct record job = { .kind = RECORD_JOB, .ref = r->ref, .job.args = SPAN("{\"n\":1}") };

	b->wrong += r->ref != ++b->heard;
	b->wrong += router_send(b->router, from, &job) < 0;
}

static void flood_garbage(void *arg, struct peer_name from GA_UNUSED, const char *why GA_UNUSED)
{
	((struct flood_broker *)arg)->wrong++;
}

static void flood_stop(struct loop_call *c)
{
	loop_stop(c->arg);
}

static void *flood_main(void *arg)
{
	static const struct router_events events = { flood_record, flood_garbage };
	struct flood_broker *b = arg;

	if (loop_new(NULL, &b->loop) < 0 || router_open(b->loop, b->path, &events, b, &b->router) < 0)
		abort();
	pthread_barrier_wait(b->bound);
	b->wrong += loop_run(b->loop) < 0;
	router_close(b->router);
	loop_free(b->loop);
	return NULL;
}

static bool all_came(const struct link *k)
{
	return k->to_worker >= EACH_WAY;
}

static void many_records_go_each_way_in_order(void **state)
{
	struct link *k = *state;
	pthread_barrier_t bound;
	struct flood_broker b = { .path = k->path, .bound = &bound };
	struct loop_call stop;
	pthread_t thread;
	int64_t start;

	assert_int_equal(pthread_barrier_init(&bound, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, flood_main, &b), 0);
	pthread_barrier_wait(&bound);
	open_dealer(k, worker);
	start = clock_monotonic();
	for (uint64_t i = 1; i <= EACH_WAY; i++) {
		say(k, i);
		if (i % 1000 == 0)
			one_turn(k);
	}
	run_until(k, all_came);
	printf("# %.1f million records a second each way\n",
	       EACH_WAY * 1e3 / (double)(clock_monotonic() - start));
	loop_call_init(&stop, flood_stop, b.loop);
	loop_call_from_thread(b.loop, &stop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&bound);
	assert_int_equal(b.wrong, 0);
	assert_int_equal(b.heard, EACH_WAY);
	assert_int_equal(k->to_worker, EACH_WAY);
	assert_int_equal(k->disorder, 0);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, link_setup, link_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(a_record_goes_there_and_back),
		LINK_TEST(what_gathers_in_a_turn_arrives_in_order),
		LINK_TEST(what_gathers_in_a_turn_is_few_messages),
		LINK_TEST(the_largest_record_passes_both_ways),
		LINK_TEST(an_unknown_peer_is_not_sent_to),
		LINK_TEST(a_worker_that_died_is_followed_by_its_next_incarnation),
		LINK_TEST(a_broker_that_comes_back_is_told_of),
		LINK_TEST(what_was_unsent_is_dropped_with_the_connection),
		LINK_TEST(what_was_unread_is_dropped_with_the_connection),
		LINK_TEST(a_stale_socket_file_is_replaced),
		LINK_TEST(a_forgotten_peer_is_not_heard_any_more),
		LINK_TEST(a_paused_worker_reads_nothing_until_it_goes_on),
		LINK_TEST(a_paused_worker_does_not_spin),
		LINK_TEST(what_a_slow_worker_does_not_take_waits_in_the_outbox),
		LINK_TEST(draining_delivers_what_has_arrived),
		LINK_TEST(draining_inside_a_record_keeps_the_order_of_that_peer),
		LINK_TEST(a_wrong_path_is_refused),
		LINK_TEST(a_message_that_is_no_record_ends_that_peer_alone),
		LINK_TEST(a_thousand_frames_are_garbage),
		LINK_TEST(a_peer_without_a_workers_id_is_ignored),
		LINK_TEST(another_workers_id_cannot_be_taken_over),
		LINK_TEST(a_message_beyond_the_limit_ends_that_connection),
		LINK_TEST(a_broker_that_sends_garbage_is_ignored),
		LINK_TEST(many_records_go_each_way_in_order),
	};

	return TAP_RUN(tests);
}
