/*
 * lookup.h — a job by id, wherever it is: the engine has it, or the store alone.
 *
 * What the engine knows of a durable job may be newer than what is safe: then the answer waits for the commit, so that
 * nothing is told that a loss of power could take back.
 */
#pragma once
#include "keep.h"

/* Exactly one of `job`, `row` and `error` says what was found; all valid for the call. */
struct found {
	int error; /* as engine_find(): -ENOENT, -ESTALE, -EIDRM; -EIO: the store failed; -ENOMEM */
	struct job *job;
	const struct store_job *row; /* whole; finished, and in the store alone */
};
struct lookup;
typedef void (*lookup_fn)(struct lookup *l, const struct found *found);
struct lookup {
	struct broker *broker;
	struct uuid id;
	struct keep_hold hold;
	struct store_read *read;
	lookup_fn fn;
};
/* fn is called once, perhaps from within this. Not while the engine's actions are carried out. */
void lookup_start(struct broker *b, struct lookup *l, const struct uuid *id, lookup_fn fn);
void lookup_stop(struct lookup *l); /* fn won't be called; a no-op if it isn't under way */
