#include "long_call.h"
#include "clock.h"
#include "log.h"
#include <errno.h>
#include <string.h>

#define BEAT (250 * NSEC_PER_MSEC)
#define LONG_CALL_MAX (1800 * NSEC_PER_SEC)

static void *beat(void *arg)
{
	struct long_call *c = arg;
	int64_t now = clock_monotonic(), end = now + LONG_CALL_MAX;

	pthread_mutex_lock(&c->mutex);
	for (; !c->ended && now < end; now = clock_monotonic()) {
		int64_t due = now + BEAT;
		struct timespec at = { .tv_sec = due / NSEC_PER_SEC, .tv_nsec = due % NSEC_PER_SEC };

		role_heartbeat(c->page, now, 0);
		pthread_cond_clockwait(&c->over, &c->mutex, CLOCK_MONOTONIC, &at);
	}
	pthread_mutex_unlock(&c->mutex);
	return NULL;
}

void long_call_begin(struct long_call *c, struct shared_page *page)
{
	*c = (struct long_call){ .page = page };
	pthread_mutex_init(&c->mutex, NULL);
	pthread_cond_init(&c->over, NULL);
	int error = pthread_create(&c->thread, NULL, beat, c);

	c->started = error == 0;
	if (error)
		log_warning("no thread for the heartbeat: %s", strerror(error));
}

void long_call_end(struct long_call *c)
{
	pthread_mutex_lock(&c->mutex);
	c->ended = true;
	pthread_cond_signal(&c->over);
	pthread_mutex_unlock(&c->mutex);
	if (c->started)
		pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->over);
	pthread_mutex_destroy(&c->mutex);
}
