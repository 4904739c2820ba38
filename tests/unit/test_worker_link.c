/* test_worker_link.c — ZeroMQ on the loop: both ends, packing, blocking, comings and goings. */
#include "link_rig.h"
#include <pthread.h>

static bool reached_1000(const struct link *k)
{
	return k->last_ref >= 1000;
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
		LINK_TEST(many_records_go_each_way_in_order),
	};

	return TAP_RUN(tests);
}
