/*
 * store_backend.h — what an implementation of the store provides.
 *
 * All but open, load and close run on the store's thread; those run on the caller's, when that thread doesn't. They may
 * block on the disk, never on anything else. After one returned an error that isn't named here, the store is dead: only
 * close follows.
 */
#pragma once
#include "store_parts.h"

struct store_backend {
	const char *kind;
	int (*open)(const struct store_options *options, void **ret_state, char *ret_why,
		    size_t why_size);
	void (*close)(void *state); /* NULL is a no-op */
	int (*load)(void *state, const struct store_visitor *v);
	/* Apply batches (struct work, in order) as one transaction and commit it, so that it survives a loss of power if
	 * `sync`. What is refused is noted in its batch. -EAGAIN: there is no room even for what has to be saved:
	 * nothing happened, try again later. */
	int (*apply)(void *state, struct list *batches, bool sync);
	/* Make what was committed survive a loss of power. */
	int (*sync)(void *state);
	/* Go on with a read until CLOCK_MONOTONIC `until`. 1: not at its end. An error is in its rows. */
	int (*read)(void *state, struct store_read *read, int64_t until);
	void (*read_drop)(void *state, struct store_read *read); /* between slices: it won't go on */
	/* Do a small step of what is to be done besides: expiry and the like. `ret_again`: ns until the next. */
	int (*upkeep)(void *state, int64_t now_wall, int64_t *ret_again);
	void (*facts)(const void *state, struct store_facts *ret_facts); /* but commits, syncs */
	const char *(*why)(const void *state);
};

extern const struct store_backend store_memory, store_sqlite;
