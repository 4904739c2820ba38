/*
 * future.c — the part that all futures share, and the plain future that is resolved by hand.
 */
#include "future.h"
#include "debugging.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static void plain_cancel(struct ga_future *f);
static void plain_free(struct ga_future *f);

static const struct future_ops plain_ops = { .kind = "future",
					     .cancel = plain_cancel,
					     .free = plain_free };

/* What ga_on_done() keeps until it has called. */
struct done_call {
	struct future_waiter waiter;
	struct loop_call call;
	struct ga_future *future;
	ga_done_fn fn;
	void *arg;
};

static void on_resolved(struct future_waiter *w, struct ga_future *f);
static void make_done_call(struct loop_call *c);

void future_init(struct ga_future *f, const struct future_ops *ops)
{
	*f = (struct ga_future){ .magic = FUTURE_MAGIC, .refs = 1, .ops = ops, .loop = loop_current() };
	assert(f->loop);
	list_init(&f->waiters);
	if (debug_on())
		debug_made(f);
}

bool future_resolve(struct ga_future *f, int result, void *value)
{
	struct list *node;

	assert(f->magic == FUTURE_MAGIC);
	if (f->state != FUTURE_PENDING)
		return false;
	f->state = FUTURE_RESOLVED;
	f->result = result;
	f->value = value;
	if (list_empty(&f->waiters))
		return true;
	f->refs++; /* a waiter may drop the last handle */
	while ((node = list_pop_front(&f->waiters)) != NULL) {
		struct future_waiter *w = LIST_ENTRY(node, struct future_waiter, node);

		if (debug_on())
			debug_read(f);
		w->fn(w, f);
	}
	ga_release(f);
	return true;
}

void future_wait(struct ga_future *f, struct future_waiter *w, waiter_fn fn)
{
	assert(f->magic == FUTURE_MAGIC && future_pending(f));
	w->fn = fn;
	list_push_back(&f->waiters, &w->node);
	if (debug_on())
		debug_waited(f);
}

ga_future *ga_future_new(void)
{
	struct ga_future *f = loop_current() ? malloc(sizeof(*f)) : NULL;

	if (f)
		future_init(f, &plain_ops);
	return f;
}

int ga_resolve(ga_future *future, int result, void *value)
{
	if (!future || future->ops != &plain_ops)
		return -EINVAL;
	if (!future_is_here(future, "ga_resolve"))
		return -EPERM;
	return future_resolve(future, result, value) ? 0 : -EALREADY;
}

bool ga_done(const ga_future *future)
{
	return !future || !future_pending(future);
}

int ga_result(const ga_future *future, void **ret_value)
{
	if (!future)
		return -ENOMEM;
	if (future_pending(future))
		return -EINPROGRESS;
	if (debug_on())
		debug_read(future);
	if (ret_value)
		*ret_value = future->value;
	return future->result;
}

ga_future *ga_retain(ga_future *future)
{
	if (future)
		future->refs++;
	return future;
}

void ga_release(ga_future *future)
{
	if (!future)
		return;
	assert(future->magic == FUTURE_MAGIC && future->refs > 0);
	if (--future->refs > 0)
		return;
	if (debug_on() && !debug_gone(future)) {
		future->refs = 1;
		return;
	}
	future->magic = 0;
	future->ops->free(future);
}

void ga_releasep(ga_future **future)
{
	ga_release(*future);
	*future = NULL;
}

void ga_release_all(ga_future *const futures[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		ga_release(futures[i]);
}

bool ga_cancel(ga_future *future)
{
	if (!future || !future_pending(future) || !future_is_here(future, "ga_cancel"))
		return false;
	future->refs++; /* cancelling may drop the last handle */
	future->ops->cancel(future);
	ga_release(future);
	return true;
}

int ga_on_done(ga_future *future, ga_done_fn fn, void *arg)
{
	struct done_call *d;

	if (!future)
		return -EINVAL;
	if (!future_is_here(future, "ga_on_done"))
		return -EPERM;
	d = malloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->future = ga_retain(future);
	d->fn = fn;
	d->arg = arg;
	loop_call_init(&d->call, make_done_call, d);
	if (future_pending(future))
		future_wait(future, &d->waiter, on_resolved);
	else
		loop_call_soon(future->loop, &d->call);
	return 0;
}

static void on_resolved(struct future_waiter *w, struct ga_future *f)
{
	struct done_call *d = container_of(w, struct done_call, waiter);

	loop_call_soon(f->loop, &d->call);
	if (debug_on())
		debug_unread(f);
}

static void make_done_call(struct loop_call *c)
{
	struct done_call *d = c->arg;

	d->fn(d->future, d->arg);
	ga_release(d->future);
	free(d);
}

static void plain_cancel(struct ga_future *f)
{
	future_resolve(f, -ECANCELED, NULL);
}

static void plain_free(struct ga_future *f)
{
	free(f);
}
