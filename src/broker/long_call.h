/*
 * long_call.h — a heartbeat from a thread of its own while the broker is in one long call, before it has a loop that turns.
 *
 * Opening a store recovers it, which takes as long as its disk takes; the supervisor must not take that for a hang. It is
 * one after LONG_CALL_MAX all the same.
 */
#pragma once
#include "role.h"
#include <pthread.h>
#include <stdbool.h>

struct long_call {
	struct shared_page *page;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t over;
	bool started, ended;
};
void long_call_begin(struct long_call *c, struct shared_page *page);
void long_call_end(struct long_call *c);
