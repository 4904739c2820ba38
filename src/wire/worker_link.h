/*
 * worker_link.h — ZeroMQ between the broker (ROUTER) and its workers (DEALER) on the loop: the sole home of ZMQ_FD's edge rules.
 *
 * Each side appends records to an outbox; what has gathered at the end of a loop turn leaves as one message (packs of at
 * most PACK_MAX), so a lone record goes at once and a flood is packed. What can't be sent yet stays in the outbox.
 * A message that isn't a whole number of records ends that peer's conversation (-EPROTO is reported), never the process.
 * The context is made here, after fork; its I/O thread keeps the caller's CPU affinity. Loop-affine; never suspends.
 * Sent isn't received: what a side needs to know to have arrived is acknowledged by records. Neither end may be closed
 * from within its own events. A role that ends may _exit without closing.
 */
#pragma once
#include "loop.h"
#include "record.h"

struct peer_name {
	uint32_t slot;
	uint64_t incarnation;
};

#define PEER_NAMELESS UINT32_MAX

struct router;
struct router_events {
	/* One record from a peer; spans are valid for the call. */
	void (*record)(void *arg, struct peer_name from, const struct record *r);
	/* A peer sent what isn't a record: it is ignored from now on. With slot PEER_NAMELESS it has no valid routing id
	 * either; that is told at most once a second. */
	void (*garbage)(void *arg, struct peer_name from, const char *why);
};
/* Bind at an absolute ipc path in a private directory; a stale socket there is replaced. -ENAMETOOLONG: over 107
 * characters; -EINVAL: not absolute. */
int router_open(struct loop *l, const char *path, const struct router_events *events, void *arg,
		struct router **ret_router) GA_MUST_CHECK;
/* Queue a record for a peer that has been heard of. -ENOTCONN: unknown or gone (what was queued for it is dropped); if it
 * comes back, it is heard of again. */
int router_send(struct router *r, struct peer_name to, const struct record *record) GA_MUST_CHECK;
void router_forget(struct router *r,
		   struct peer_name peer); /* it died: drop its outbox; ignore what still comes from it */
size_t router_backlog(const struct router *r, struct peer_name peer); /* bytes not handed to ZeroMQ yet */
/* Read and deliver whatever has arrived already, now (before a lost worker's jobs are returned). Called from within
 * `record`, it leaves the later messages of that same peer for after this one. */
void router_drain(struct router *r);
void router_close(struct router *r);

struct dealer;
struct dealer_events {
	void (*record)(void *arg, const struct record *r);
	void (*garbage)(void *arg, const char *why);
	void (*connected)(void *arg); /* also again after the broker came back: say HELLO */
	void (*disconnected)(void *arg);
};
int dealer_open(struct loop *l, const char *path, struct peer_name self,
		const struct dealer_events *events, void *arg,
		struct dealer **ret_dealer) GA_MUST_CHECK;
/* -ENOTCONN before `connected` and after `disconnected`: a new connection starts with HELLO, nothing is carried over. */
int dealer_send(struct dealer *d, const struct record *record) GA_MUST_CHECK;
size_t dealer_backlog(const struct dealer *d);
void dealer_pause(struct dealer *d, bool paused); /* stop, or go on, reading */
void dealer_close(struct dealer *d);
