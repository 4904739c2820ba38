/*
 * future.h — what every future is made of: a state, a result, those who wait, and the operations of its kind.
 *
 * Whoever adds a kind of future embeds `struct ga_future` as the first member, calls future_init() with its operations and,
 * once, future_resolve(). A future is PENDING or RESOLVED; future_resolve() is the only writer of that. It is reference
 * counted: the maker's handle is one reference, and whatever will resolve it later and must find it alive (a thread, a
 * transfer) holds another. Belongs to the loop of its thread; nothing here suspends. Aim: <= 128 bytes with its timer.
 */
#pragma once
#include "debugging.h"
#include "loop.h"
#include <gather/async.h>

#define FUTURE_MAGIC 0x67614655u

enum future_state { FUTURE_PENDING, FUTURE_RESOLVED };

struct future_ops {
	const char *kind; /* "sleep", "task", for reports and the task table */
	/* Of a pending future: stop, and resolve it with -ECANCELED, now or later; or with its result, if that came
	 * first. Runs on the canceller's stack, which may be a task's small one: what needs a deep stack (libcurl,
	 * OpenSSL) is put off by loop_call_soon(). May be called again while the future is pending. */
	void (*cancel)(struct ga_future *f);
	/* The last reference is gone, with the future pending or resolved: stop what runs, free the memory.
	 * On any stack, as above. */
	void (*free)(struct ga_future *f);
	/* What it is about in a few words, a host for example; NULL: its kind says all. */
	void (*describe)(const struct ga_future *f, char *text, size_t size);
};

struct ga_future {
	uint32_t magic;
	uint32_t refs;
	int result;
	enum future_state state;
	const struct future_ops *ops;
	struct loop *loop;
	void *value;
	struct list waiters;
};
_Static_assert(sizeof(struct ga_future) <= 56, "futures are counted in millions");

/* Somebody who waits; embedded and owned by the waiter, in at most one future's list. */
struct future_waiter;
typedef void (*waiter_fn)(struct future_waiter *w, struct ga_future *f);
struct future_waiter {
	struct list node;
	waiter_fn fn; /* called once, from inside future_resolve(), unlinked already; it only schedules and never suspends */
};

/* Pending, with one reference, on this thread's loop (which must exist). */
void future_init(struct ga_future *f, const struct future_ops *ops);
/* Resolve and tell the waiters. False: it was resolved before, and nothing changed. */
bool future_resolve(struct ga_future *f, int result, void *value);

static inline bool future_pending(const struct ga_future *f)
{
	return f->state == FUTURE_PENDING;
}

/* Whether it belongs to this thread's loop. If not, debug mode reports that `function`, which is public, was called. */
static inline bool future_is_here(const struct ga_future *f, const char *function)
{
	return GA_LIKELY(f->loop == loop_current()) || debug_elsewhere(function, f);
}

/* Wait for a pending future; the waiter keeps a reference of its own for as long as it needs the future. */
void future_wait(struct ga_future *f, struct future_waiter *w, waiter_fn fn);
static inline void future_unwait(struct future_waiter *w) /* no-op for one that was told */
{
	list_remove(&w->node);
}
