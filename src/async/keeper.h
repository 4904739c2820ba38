/*
 * keeper.h — what must be closed with its loop: pools of connections, the resolver.
 *
 * A task of the loop's own waits until the runtime closes and cancels all tasks; then it closes everything that was given
 * to it, newest first, on the loop's stack and while the loop still works. Entries are embedded and owned by their
 * objects; one thread.
 */
#pragma once
#include "compiler.h"
#include "list.h"

struct kept;
typedef void (*kept_close_fn)(struct kept *k);
struct kept {
	struct list node;
	kept_close_fn close; /* on the loop's stack; the entry is removed already */
};

/* Close it with this thread's loop. -ENOMEM; -EPERM: no loop; -ECANCELED: it is closing. */
int keeper_add(struct kept *k, kept_close_fn close) GA_MUST_CHECK;
void keeper_remove(struct kept *k); /* no-op for one that isn't in */
