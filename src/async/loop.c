/*
 * loop.c — the event loop on libevent; the only file that includes it.
 *
 * libevent waits for descriptors and nothing else. Timers are a heap of our own with one timerfd for its head, armed
 * when the head moves earlier and edge-triggered, so that setting and stopping a timer costs no system call (most of them
 * are stopped) and expiry is exact to the microsecond, which libevent's coarse clock is not.
 */
#include "loop.h"
#include "clock.h"
#include "task_table.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Between two polls the calls run at most so many times over, and start no further round after so many calls. */
#define ROUNDS_PER_TURN 64
#define CALLS_PER_TURN 256

struct loop {
	struct loop_head head;
	struct event_base *base;
	struct loop_options options;
	int64_t armed; /* when the timerfd will fire, or TIME_NEVER */
	struct heap timers;
	struct list calls, hooks, watches;
	_Atomic(struct loop_call *) foreign; /* calls from other threads, newest first, linked by node.next */
	struct event *timer_event, *wake_event;
	struct event **spare_events; /* memory of stopped watches, for the next ones */
	unsigned spare_count, spare_size, event_count;
	int timer_fd, wake_fd;
	int waits; /* watches with events, and holds */
	bool running, stopped;
	struct table_header *shown; /* its turns; `unseen` without a task table */
	struct table_header unseen;
	void (*object_done)(void *object);
};

GA_THREAD_LOCAL struct loop *this_loop;

static int loop_setup(struct loop *l);
static int loop_watch_own(struct loop *l, int fd, short what, event_callback_fn fn,
			  struct event **ret_event);
static void on_wake(evutil_socket_t fd, short what, void *arg);
static void on_timerfd(evutil_socket_t fd, short what, void *arg);
static void turn_begin(struct loop *l);
static inline void poll_ended(struct loop *l);
static void turn_timers(struct loop *l);
static void turn_calls(struct loop *l);
static void turn_hooks(struct loop *l);
static bool turn_poll(struct loop *l, int *ret_error);
static bool arm_timerfd(struct loop *l);
static void take_foreign(struct loop *l);
static void on_event(evutil_socket_t fd, short what, void *arg);
static void watch_quieten(struct io_watch *w);
static struct event *event_take(struct loop *l);
static void event_give(struct loop *l, struct event *event);
static void let_go(struct loop *l);

int loop_new(const struct loop_options *options, struct loop **ret_loop)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	if (options)
		l->options = *options;
	l->timer_fd = l->wake_fd = -1;
	l->armed = TIME_NEVER;
	heap_init(&l->timers);
	list_init(&l->calls);
	list_init(&l->hooks);
	list_init(&l->watches);
	r = loop_setup(l);
	if (r < 0) {
		loop_free(l);
		return r;
	}
	l->shown = &l->unseen;
	l->head.now = loop_clock(l);
	this_loop = l;
	*ret_loop = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	assert(!l->running);
	if (l->object_done)
		l->object_done(l->head.object);
	let_go(l);
	if (l->timer_event)
		event_free(l->timer_event);
	if (l->wake_event)
		event_free(l->wake_event);
	while (l->spare_count > 0)
		event_free(l->spare_events[--l->spare_count]);
	free(l->spare_events);
	if (l->base)
		event_base_free(l->base);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	heap_done(&l->timers);
	if (this_loop == l)
		this_loop = NULL;
	free(l);
}

int loop_run(struct loop *l)
{
	int r = 0;

	if (l->running)
		return -EBUSY;
	l->running = true;
	l->stopped = false;
	__atomic_store_n(&l->shown->turning, 1, __ATOMIC_RELAXED);
	do {
		turn_begin(l);
		turn_timers(l);
		turn_calls(l);
		turn_hooks(l);
	} while (!l->stopped && turn_poll(l, &r));
	l->running = false;
	__atomic_store_n(&l->shown->turning, 0, __ATOMIC_RELAXED);
	return r;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

int64_t loop_clock(const struct loop *l)
{
	return l->options.clock ? l->options.clock(l->options.clock_arg) : clock_monotonic();
}

void loop_hold(struct loop *l, int by)
{
	l->waits += by;
	assert(l->waits >= 0);
}

int io_watch_start(struct loop *l, struct io_watch *w, int fd, unsigned events, io_fn fn, void *arg)
{
	int r;

	*w = (struct io_watch){ .loop = l, .fn = fn, .arg = arg, .fd = fd, .event = event_take(l) };
	if (!w->event)
		return -ENOMEM;
	list_push_back(&l->watches, &w->node);
	r = io_watch_change(w, events);
	if (r < 0)
		io_watch_stop(w);
	return r;
}

int io_watch_change(struct io_watch *w, unsigned events)
{
	short what = (short)(EV_PERSIST | (events & LOOP_READ ? EV_READ : 0) |
			     (events & LOOP_WRITE ? EV_WRITE : 0));

	if (!w->event)
		return -EINVAL;
	if (events == w->events)
		return 0;
	watch_quieten(w);
	if (!events)
		return 0;
	if (event_assign(w->event, w->loop->base, w->fd, what, on_event, w) < 0 ||
	    event_add(w->event, NULL) < 0)
		return -EINVAL;
	w->events = events;
	w->loop->waits++;
	return 0;
}

void io_watch_stop(struct io_watch *w)
{
	if (!w->event)
		return;
	watch_quieten(w);
	event_give(w->loop, w->event);
	w->event = NULL;
	list_remove(&w->node);
}

void loop_timer_init(struct loop_timer *t, timer_fn fn, void *arg)
{
	*t = (struct loop_timer){ .fn = fn, .arg = arg };
}

int loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due)
{
	if (due == TIME_NEVER) {
		loop_timer_stop(l, t);
		return 0;
	}
	return heap_set(&l->timers, &t->node, due);
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
	heap_remove(&l->timers, &t->node);
}

void loop_call_init(struct loop_call *c, call_fn fn, void *arg)
{
	list_init(&c->node);
	c->fn = fn;
	c->arg = arg;
}

void loop_call_soon(struct loop *l, struct loop_call *c)
{
	if (!list_linked(&c->node))
		list_push_back(&l->calls, &c->node);
}

void loop_call_stop(struct loop_call *c)
{
	list_remove(&c->node);
}

void loop_call_from_thread(struct loop *l, struct loop_call *c)
{
	struct loop_call *head = atomic_load_explicit(&l->foreign, memory_order_relaxed);
	const uint64_t one = 1;
	ssize_t ignored;
	int fd = l->wake_fd; /* once pushed, the call may end whatever holds the loop */

	do {
		c->node.next = head ? &head->node : NULL;
	} while (!atomic_compare_exchange_weak_explicit(&l->foreign, &head, c, memory_order_release,
							memory_order_relaxed));
	if (head)
		return; /* whoever pushed the first one wakes the loop */
	ignored = write(fd, &one, sizeof(one));
	(void)ignored; /* EAGAIN: it is awake already */
}

void loop_hook_add(struct loop *l, struct loop_hook *h, void (*fn)(struct loop_hook *h), void *arg)
{
	h->fn = fn;
	h->arg = arg;
	list_push_back(&l->hooks, &h->node);
}

void loop_hook_remove(struct loop_hook *h)
{
	if (h->node.next)
		list_remove(&h->node);
}

void loop_attach(struct loop *l, void *object, void (*done)(void *object))
{
	l->head.object = object;
	l->object_done = done;
}

void loop_show(struct loop *l, struct table_header *header)
{
	l->shown = header ? header : &l->unseen;
	l->shown->turning = l->running;
}

static int loop_setup(struct loop *l)
{
	struct event_config *config = event_config_new();
	int r;

	if (!config)
		return -ENOMEM;
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
						    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST |
						    EVENT_BASE_FLAG_NO_CACHE_TIME);
	l->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!l->base)
		return -ENOMEM;
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->timer_fd < 0 || l->wake_fd < 0)
		return -errno;
	r = loop_watch_own(l, l->timer_fd, EV_READ | EV_PERSIST | EV_ET, on_timerfd, &l->timer_event);
	if (r < 0)
		return r;
	return loop_watch_own(l, l->wake_fd, EV_READ | EV_PERSIST, on_wake, &l->wake_event);
}

static int loop_watch_own(struct loop *l, int fd, short what, event_callback_fn fn,
			  struct event **ret_event)
{
	struct event *event = event_new(l->base, fd, what, fn, l);

	if (!event)
		return -ENOMEM;
	if (event_add(event, NULL) < 0) {
		event_free(event);
		return -ENOMEM;
	}
	*ret_event = event;
	return 0;
}

static void on_wake(evutil_socket_t fd, short what GA_UNUSED, void *arg)
{
	uint64_t count;
	ssize_t ignored = read(fd, &count, sizeof(count));

	(void)ignored;
	poll_ended(arg);
	take_foreign(arg);
}

/* Only stores: a debugger's thread and other processes look at them. */
static void turn_begin(struct loop *l)
{
	l->head.now = loop_clock(l);
	__atomic_store_n(&l->shown->turn_began, l->head.now, __ATOMIC_RELAXED);
	__atomic_store_n(&l->shown->turns, l->shown->turns + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&l->shown->polling, 0, __ATOMIC_RELAXED);
}

/* The first event after a poll: it may have waited for long, and what is called now may stay for long. */
static inline void poll_ended(struct loop *l)
{
	if (l->shown->polling)
		turn_begin(l);
}

/* The turn itself fires the timers; an edge needs no read. */
static void on_timerfd(evutil_socket_t fd GA_UNUSED, short what GA_UNUSED, void *arg)
{
	struct loop *l = arg;

	l->armed = TIME_NEVER;
}

/* Timers set meanwhile wait for the next turn, even if they are due: their sequence numbers are newer. */
static void turn_timers(struct loop *l)
{
	uint64_t newest = l->timers.next_sequence;
	struct heap_node *node;

	while (l->timers.used && l->timers.slots[0].sequence < newest &&
	       (node = heap_pop_due(&l->timers, l->head.now)) != NULL) {
		struct loop_timer *t = container_of(node, struct loop_timer, node);

		t->fn(t);
	}
}

static void turn_calls(struct loop *l)
{
	unsigned calls = 0;

	for (int round = 0; round < ROUNDS_PER_TURN && calls < CALLS_PER_TURN; round++) {
		struct list snapshot, *node;

		if (list_empty(&l->calls))
			return;
		list_init(&snapshot);
		list_splice_back(&snapshot, &l->calls);
		if (GA_UNLIKELY(l->options.order != NULL))
			l->options.order(l->options.clock_arg, &snapshot);
		while ((node = list_pop_front(&snapshot)) != NULL) {
			struct loop_call *c = LIST_ENTRY(node, struct loop_call, node);

			calls++;
			c->fn(c);
		}
	}
}

/* A hook may remove itself or others: those that ran are moved behind a mark, so that no neighbour is remembered. */
static void turn_hooks(struct loop *l)
{
	struct list mark;

	if (list_empty(&l->hooks))
		return;
	list_push_back(&l->hooks, &mark);
	while (l->hooks.next != &mark) {
		struct list *node = list_pop_front(&l->hooks);
		struct loop_hook *h = LIST_ENTRY(node, struct loop_hook, node);

		list_push_back(&l->hooks, node);
		h->fn(h);
	}
	list_remove(&mark);
}

/* Wait for events and run their callbacks. False: nothing is left to wait for, or the poll failed. */
static bool turn_poll(struct loop *l, int *ret_error)
{
	int64_t due = heap_next_due(&l->timers);
	bool wait = list_empty(&l->calls) &&
		    atomic_load_explicit(&l->foreign, memory_order_acquire) == NULL;

	if (wait && due == TIME_NEVER && l->waits == 0)
		return false;
	if (wait && due != TIME_NEVER) {
		if (l->options.clock) {
			wait = false;
			if (l->options.idle && due > l->head.now)
				l->options.idle(l->options.clock_arg, due);
		} else {
			wait = arm_timerfd(l);
		}
	}
	__atomic_store_n(&l->shown->polling, 1, __ATOMIC_RELAXED);
	if (event_base_loop(l->base, EVLOOP_ONCE | (wait ? 0 : EVLOOP_NONBLOCK)) < 0) {
		*ret_error = errno ? -errno : -EIO;
		return false;
	}
	return true;
}

/* See to it that the poll ends when the first timer is due. False: that is already so, don't wait. */
static bool arm_timerfd(struct loop *l)
{
	int64_t due = heap_next_due(&l->timers);
	struct itimerspec when = { .it_value = { .tv_sec = due / NSEC_PER_SEC,
						 .tv_nsec = due % NSEC_PER_SEC } };

	if (due <= l->head.now)
		return false;
	if (due >= l->armed)
		return true; /* it fires earlier, finds nothing due and arms again */
	if (timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		return false; /* poll without waiting, rather than miss it */
	l->armed = due;
	return true;
}

static void take_foreign(struct loop *l)
{
	struct loop_call *c = atomic_exchange_explicit(&l->foreign, NULL, memory_order_acquire);
	struct list *oldest = NULL;

	while (c) { /* newest first: turn the order round */
		struct list *next = c->node.next;

		c->node.next = oldest;
		oldest = &c->node;
		c = next ? LIST_ENTRY(next, struct loop_call, node) : NULL;
	}
	while (oldest) {
		struct list *next = oldest->next;

		list_push_back(&l->calls, oldest);
		oldest = next;
	}
}

static void on_event(evutil_socket_t fd GA_UNUSED, short what, void *arg)
{
	struct io_watch *w = arg;

	poll_ended(w->loop);
	w->fn(w, (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0));
}

static void watch_quieten(struct io_watch *w)
{
	if (!w->events)
		return;
	event_del(w->event);
	w->events = 0;
	w->loop->waits--;
}

/* The list of spares has room for every event there is, so that giving one back can't fail. */
static struct event *event_take(struct loop *l)
{
	struct event **spares;
	struct event *event;

	if (l->spare_count > 0)
		return l->spare_events[--l->spare_count];
	if (l->event_count == l->spare_size) {
		unsigned size = l->spare_size ? l->spare_size * 2 : 64;

		spares = reallocarray(l->spare_events, size, sizeof(struct event *));
		if (!spares)
			return NULL;
		l->spare_events = spares;
		l->spare_size = size;
	}
	event = event_new(l->base, -1, 0, on_event, NULL);
	if (event)
		l->event_count++;
	return event;
}

static void event_give(struct loop *l, struct event *event)
{
	l->spare_events[l->spare_count++] = event;
}

/* What is still started may be stopped later, when there is no loop any more: futures and streams outlive it. */
static void let_go(struct loop *l)
{
	while (!list_empty(&l->watches)) {
		struct io_watch *w = LIST_ENTRY(l->watches.next, struct io_watch, node);

		io_watch_stop(w);
		w->loop = NULL;
	}
	for (uint32_t i = 0; i < l->timers.used; i++)
		l->timers.slots[i].node->place = 0;
	l->timers.used = 0;
}
