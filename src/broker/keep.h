/*
 * keep.h — between the engine and the store: what a turn changed is saved at its end, and what must not be told before
 * it is safe is held until then.
 *
 * A turn's changes of jobs and groups, documents and removals are one batch; batches are answered for in order. A failed
 * commit leaves unknown what is kept: whoever waits is told so, and the broker ends. Without a store (store = "none")
 * nothing is durable, nothing is held, and documents live as long as who owns them.
 * Loop-affine; nothing here suspends.
 */
#pragma once
#include "broker.h"
#include "refusal.h"
#include "store.h"

/* Open the store that the configuration names: b->store and b->keep, both NULL without one. -EBADMSG: logged why, and
 * starting again is of no use; other -errno. */
int keep_open(struct broker *b) GA_MUST_CHECK;
/* What was kept is in the engine: commits are heard from now on. */
int keep_start(struct broker *b) GA_MUST_CHECK;
void keep_close(struct broker *b); /* what was handed over is committed, untold */

/* The end of a turn, when the engine's actions are carried out: hand over what changed. */
void keep_turn(struct broker *b);
/* Nothing is on its way to the store, and nobody waits for it. */
bool keep_is_idle(const struct broker *b);
/* As much waits for the store as may (store.queue_bytes): no more durable jobs now. */
bool keep_is_full(const struct broker *b);
/* The disk has no room even for what must be saved: that waits, and nothing new may wait behind it. */
bool keep_is_stalled(const struct broker *b);

/* ---- answers that wait ---- */
struct keep_hold;
/* `error`: 0: it is safe; -EIO: nobody knows whether it is. The hold is free again. */
typedef void (*keep_hold_fn)(struct keep_hold *h, int error);
struct keep_hold {
	struct list mates;
	uint64_t number; /* of the batch; 0: it isn't held */
	keep_hold_fn fn;
};
/* Call fn once all that has happened up to now is safe: soon, in the order of the calls; from within this one if
 * nothing is on its way. */
void keep_hold(struct broker *b, struct keep_hold *h, keep_hold_fn fn);
void keep_release(struct keep_hold *h); /* it won't be called; a no-op for one that isn't held */

/* Why the first save of this job or group was refused; NULL: it wasn't. Remembered until all that was held then is let
 * go. */
const struct store_refusal *keep_refusal(const struct broker *b, uint64_t sequence);
/* What whoever waited is told when nobody knows. */
void keep_unknown(struct refusal *r);

/* ---- what else is kept ---- */
/* Save a named document of a kind with this turn's batch; an empty body removes it. keep_hold() tells when it is safe.
 * To have a kind's documents read at start: a row in recover.c. -ENOMEM: nothing changed. */
int keep_document(struct broker *b, struct span kind, struct span name, struct span body) GA_MUST_CHECK;
/* Remove a finished job or group, with all that belongs to it. */
int keep_remove(struct broker *b, uint64_t sequence) GA_MUST_CHECK;
/* Save a job that the engine doesn't have. `row` and what it names are valid for the call. */
int keep_row(struct broker *b, const struct store_job *row) GA_MUST_CHECK;
