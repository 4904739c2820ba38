/*
 * link_rig.h — for the tests of worker_link: one broker's end and one worker's end on one loop, and raw sockets that play
 * the others.
 */
#pragma once
#include "clock.h"
#include "tap_main.h"
#include "worker_link.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#define PATIENCE (20 * NSEC_PER_SEC) /* a test that waits longer has failed */

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

void check(struct link *k);

extern const struct router_events router_events;
extern const struct dealer_events dealer_events;

/* Run until done(); fails the test if that takes too long. */
void run_until(struct link *k, bool (*done)(const struct link *k));
/* One whole turn: what was queued leaves. */
void one_turn(struct link *k);
int link_setup(void **state);
int link_teardown(void **state);
bool is_connected(const struct link *k);
bool is_disconnected(const struct link *k);
bool heard_one(const struct link *k);
bool told_one(const struct link *k);
void open_router(struct link *k);
void open_dealer(struct link *k, struct peer_name self);
void say(struct link *k, uint64_t ref);
/* Connected, and the broker has heard of the worker. */
void open_both(struct link *k);
/* A raw socket in the broker's place; flushes what it has sent when it is closed. */
void *raw_broker(struct link *k, void *context);

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, link_setup, link_teardown)
