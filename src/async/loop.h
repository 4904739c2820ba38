/*
 * loop.h — the event loop beneath libgather: descriptors, timers, calls, on one thread.
 *
 * The only part that knows libevent (in loop.c alone). Roles of the daemon use it directly, with callbacks; tasks and
 * futures stand on it. All structures are embedded and owned by the caller, and must be stopped before they are freed;
 * stopping one that isn't started is a no-op. Callbacks run on the loop's stack and never suspend; each may stop or free
 * its own watch. Each turn: fire due timers, run the calls queued so far (a snapshot; a few times over while they queue
 * more, so that tasks that only talk to each other don't pay for a poll each time), run the hooks, poll.
 * Level-triggered. Not thread-safe but for loop_call_from_thread().
 *
 * Changes of watches reach the kernel at the next poll (libevent's changelist). So a descriptor is watched only if its
 * open file is this process's alone: after io_watch_stop() and close(), a duplicate kept elsewhere (dup, fork, SCM_RIGHTS)
 * would stay registered and keep the loop awake.
 */
#pragma once
#include "compiler.h"
#include "heap.h"
#include "list.h"
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct table_header;
struct loop_options {
	int64_t (*clock)(void *arg); /* NULL: CLOCK_MONOTONIC; tests may bring a clock of their own */
	/* With such a clock the loop never sleeps while timers are set. Called instead, when nothing is left to do
	 * before `due`: the clock may jump there. May be NULL. */
	void (*idle)(void *arg, int64_t due);
	/* May change the order of the calls that run next, which are due already: for tests. May be NULL. */
	void (*order)(void *arg, struct list *calls);
	void *clock_arg; /* of all three */
};

int loop_new(const struct loop_options *options,
	     struct loop **ret_loop) GA_MUST_CHECK; /* options may be NULL; becomes loop_current() */
/* Not from inside loop_run(). What is still queued is forgotten; watches and timers that are started are stopped, and may
 * be stopped again later. */
void loop_free(struct loop *l);
int loop_run(struct loop *l) GA_MUST_CHECK; /* until loop_stop(), or nothing is left to wait for; 0 or -errno */
void loop_stop(struct loop *l); /* loop_run() returns before it polls again, and can be called again */
static inline int64_t loop_now(const struct loop *l); /* the time when this turn's events came in: cheap */
int64_t loop_clock(const struct loop *l);             /* the time now */
extern GA_THREAD_LOCAL struct loop *this_loop;        /* set by loop.c alone */
static inline struct loop *loop_current(void)         /* this thread's loop, or NULL */
{
	return this_loop;
}
/* Something outside (a thread, a signal) will call in: keeps loop_run() from ending. Undone by -1. */
void loop_hold(struct loop *l, int by);

#define LOOP_READ 1u
#define LOOP_WRITE 2u

struct io_watch;
typedef void (*io_fn)(struct io_watch *w, unsigned events);
struct io_watch {
	struct list node;  /* in the loop's, from start to stop */
	struct loop *loop; /* NULL: it ended while this was started */
	io_fn fn;
	void *arg;
	int fd;
	unsigned events;
	void *event; /* the library's, recycled by the loop */
};
/* Call fn while fd is readable or writable as `events` says (0: neither, for now). */
int io_watch_start(struct loop *l, struct io_watch *w, int fd, unsigned events, io_fn fn,
		   void *arg) GA_MUST_CHECK;
int io_watch_change(struct io_watch *w, unsigned events) GA_MUST_CHECK;
void io_watch_stop(struct io_watch *w); /* before the descriptor is closed */

struct loop_timer;
typedef void (*timer_fn)(struct loop_timer *t);
struct loop_timer {
	struct heap_node node;
	timer_fn fn;
	void *arg;
};
void loop_timer_init(struct loop_timer *t, timer_fn fn, void *arg);
int loop_timer_set(struct loop *l, struct loop_timer *t,
		   int64_t due) GA_MUST_CHECK; /* also moves it; fires once */
void loop_timer_stop(struct loop *l, struct loop_timer *t);

/* A call to make soon, on the loop's stack, in the next turn (never inside this call). Queuing a queued one is a no-op. */
struct loop_call;
typedef void (*call_fn)(struct loop_call *c);
struct loop_call {
	struct list node;
	call_fn fn;
	void *arg;
};
void loop_call_init(struct loop_call *c, call_fn fn, void *arg);
void loop_call_soon(struct loop *l, struct loop_call *c);
void loop_call_stop(struct loop_call *c);
/* From any thread; wakes the loop by its eventfd. Not for a call that is still queued, and it can't be stopped: what
 * waits for it holds the loop. */
void loop_call_from_thread(struct loop *l, struct loop_call *c);

/* A hook runs at the end of every turn, before the loop polls: what has gathered in the turn is flushed there.
 * What a hook queues by loop_call_soon() keeps the poll from waiting. */
struct loop_hook {
	struct list node;
	void (*fn)(struct loop_hook *h);
	void *arg;
};
void loop_hook_add(struct loop *l, struct loop_hook *h, void (*fn)(struct loop_hook *h), void *arg);
void loop_hook_remove(struct loop_hook *h);

/* What libgather keeps for this loop: one object, given to `done` by loop_free() while the loop still works. */
void loop_attach(struct loop *l, void *object, void (*done)(void *object));
static inline void *loop_attached(const struct loop *l);
/* Show the turns there from now on, in a task table; NULL: no more. */
void loop_show(struct loop *l, struct table_header *header);

/* What of a loop is read so often that a call would cost more. */
struct loop_head {
	int64_t now;
	void *object;
};
static inline int64_t loop_now(const struct loop *l)
{
	return ((const struct loop_head *)(const void *)l)->now;
}
static inline void *loop_attached(const struct loop *l)
{
	return ((const struct loop_head *)(const void *)l)->object;
}
