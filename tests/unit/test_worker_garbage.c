/* test_worker_garbage.c — what no worker and no broker would send ends that conversation, and nothing else. */
#include "link_rig.h"

static bool garbage_one(const struct link *k)
{
	return k->garbage >= 1;
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

/* The worker hears something from a broker that isn't a record: an empty message, or one of several frames. */
static void hear_from_broker(struct link *k, const char *data, size_t size, int frames)
{
	void *context = zmq_ctx_new(), *raw = raw_broker(k, context);
	char any[100], id[13];

	open_dealer(k, worker);
	say(k, 1);
	one_turn(k);
	assert_int_equal(zmq_recv(raw, id, sizeof(id), 0), sizeof(id));
	assert_true(zmq_recv(raw, any, sizeof(any), 0) > 0);
	assert_int_equal(zmq_send(raw, id, sizeof(id), ZMQ_SNDMORE), sizeof(id));
	for (int i = 1; i < frames; i++)
		assert_int_equal(zmq_send(raw, data, size, ZMQ_SNDMORE), (int)size);
	assert_int_equal(zmq_send(raw, data, size, 0), (int)size);
	run_until(k, garbage_one);
	zmq_close(raw);
	zmq_ctx_term(context);
	assert_int_equal(k->to_worker, 0);
}

static void a_broker_that_sends_nothing_is_ignored(void **state)
{
	struct link *k = *state;

	hear_from_broker(k, "", 0, 1);
	assert_string_equal(k->why, "an empty message");
}

static void a_broker_that_sends_many_frames_is_ignored(void **state)
{
	struct link *k = *state;

	hear_from_broker(k, "frame", 5, 3);
	assert_string_equal(k->why, "more than one frame in a message");
}

static void the_dead_are_remembered_for_a_while_only(void **state)
{
	struct link *k = *state;
	void *context = zmq_ctx_new();
	char record[64];
	size_t size = one_record(record, 1);

	open_router(k);
	k->forget = true;
	for (unsigned i = 0; i < 1100; i++) { /* the first of them more than GRAVES_MAX deaths ago */
		unsigned char id[13];
		void *raw;

		make_id(id, 2);
		id[6] = (unsigned char)i;
		id[7] = (unsigned char)(i >> 8);
		raw = raw_peer(k, context, id, sizeof(id));
		assert_int_equal(zmq_send(raw, record, size, 0), (int)size);
		k->to_broker = 0;
		run_until(k, heard_one);
		zmq_close(raw);
	}
	zmq_ctx_term(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(a_message_that_is_no_record_ends_that_peer_alone),
		LINK_TEST(a_thousand_frames_are_garbage),
		LINK_TEST(a_peer_without_a_workers_id_is_ignored),
		LINK_TEST(another_workers_id_cannot_be_taken_over),
		LINK_TEST(a_message_beyond_the_limit_ends_that_connection),
		LINK_TEST(a_broker_that_sends_garbage_is_ignored),
		LINK_TEST(a_broker_that_sends_nothing_is_ignored),
		LINK_TEST(a_broker_that_sends_many_frames_is_ignored),
		LINK_TEST(the_dead_are_remembered_for_a_while_only),
	};

	return TAP_RUN(tests);
}
