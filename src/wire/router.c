/*
 * router.c — the broker's end: peers by name, an outbox each.
 *
 *   (unknown) --message--> LIVE --unroutable--> GONE --message--> LIVE
 *                           |                     |
 *                           '--forgotten, or garbage--> DEAD: whatever still comes is dropped
 *
 * Names are never used twice (incarnations rise), so the dead are remembered only for as long as something of theirs may
 * still be under way: the last GRAVES_MAX of them.
 */
#include "buf.h"
#include "clock.h"
#include "list.h"
#include "map.h"
#include "peer_id.h"
#include "pump.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define PEERS_MAX 8192
#define GRAVES_MAX 1024

enum peer_state { PEER_LIVE, PEER_GONE, PEER_DEAD };

struct peer {
	struct list node; /* in `waiting` while LIVE with something in the outbox; in `graves` while DEAD */
	struct peer_name name;
	enum peer_state state;
	bool delivering; /* one of its messages: the next ones wait, and it isn't freed */
	struct buf outbox;
};

/* A message that router_drain() found while an earlier one of the same peer was being delivered. */
struct deferred {
	struct list node;
	const struct peer *from;
	zmq_msg_t message;
};

struct router {
	struct loop *loop;
	void *context;
	struct pump pump;
	struct router_events events;
	void *arg;
	struct map peers;
	struct list waiting, graves, deferred;
	unsigned grave_count;
	unsigned delivering;  /* messages, one inside the other */
	struct peer *last;    /* the one that was looked up last, or NULL */
	int64_t nameless_due; /* when it may be told again */
};

static size_t router_receive(void *arg);
static unsigned router_flush(void *arg);
static int router_bind(struct router *r, const char *path);
static size_t receive_payload(struct router *r, const struct peer_name *name);
static void deliver(struct router *r, struct peer *peer, zmq_msg_t *message);
static void deliver_records(struct router *r, struct peer *peer, zmq_msg_t *message);
static void defer(struct router *r, struct peer *peer, zmq_msg_t *message);
static struct deferred *deferred_take(struct router *r, const struct peer *from);
static void deferred_free(struct deferred *d);
static void spoil(struct router *r, struct peer *peer, const char *why);
static void tell_nameless(struct router *r, const char *why);
static unsigned flush_peer(struct router *r, struct peer *peer);
static uint64_t name_hash(const struct peer_name *name);
static bool name_match(const void *item, const void *key);
static struct peer *peer_find(struct router *r, struct peer_name name);
static struct peer *peer_hear(struct router *r, struct peer_name name);
static void peer_move(struct router *r, struct peer *peer, enum peer_state state);
static void peer_free(struct router *r, struct peer *peer);

static const struct pump_ops router_ops = { router_receive, router_flush };

int router_open(struct loop *l, const char *path, const struct router_events *events, void *arg,
		struct router **ret_router)
{
	struct router *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->loop = l;
	r->events = *events;
	r->arg = arg;
	map_init(&r->peers, name_match);
	list_init(&r->waiting);
	list_init(&r->graves);
	list_init(&r->deferred);
	e = router_bind(r, path);
	if (e < 0) {
		router_close(r);
		return e;
	}
	*ret_router = r;
	return 0;
}

int router_send(struct router *r, struct peer_name to, const struct record *record)
{
	struct peer *peer = peer_find(r, to);
	int e;

	if (!peer || peer->state != PEER_LIVE)
		return -ENOTCONN;
	e = record_put(&peer->outbox, record);
	if (e < 0)
		return e;
	if (!list_linked(&peer->node)) {
		list_push_back(&r->waiting, &peer->node);
		pump_mark(&r->pump);
	}
	return 0;
}

void router_forget(struct router *r, struct peer_name name)
{
	struct peer *peer = peer_find(r, name);

	if (peer && peer->state != PEER_DEAD)
		peer_move(r, peer, PEER_DEAD);
}

size_t router_backlog(const struct router *r, struct peer_name name)
{
	const struct peer *peer = map_get(&r->peers, name_hash(&name), &name);

	return peer ? buf_size(&peer->outbox) : 0;
}

void router_drain(struct router *r)
{
	pump_drain(&r->pump);
}

void router_close(struct router *r)
{
	struct peer *peer;

	if (!r)
		return;
	assert(!r->delivering);
	pump_stop(&r->pump);
	if (r->context)
		zmq_ctx_term(r->context);
	while ((peer = map_take_any(&r->peers)) != NULL) {
		buf_done(&peer->outbox);
		free(peer);
	}
	map_done(&r->peers);
	free(r);
}

static int router_bind(struct router *r, const char *path)
{
	static const int on = 1;
	char endpoint[PUMP_ENDPOINT_SIZE];
	void *socket;
	int e = pump_endpoint(path, endpoint);

	if (e < 0)
		return e;
	r->context = pump_context_new();
	socket = r->context ? pump_socket_new(r->context, ZMQ_ROUTER) : NULL;
	if (!socket)
		return pump_error();
	e = pump_start(&r->pump, r->loop, socket, &router_ops, r);
	if (e < 0)
		return e;
	/* A record for a peer that isn't there must fail, not vanish. */
	if (zmq_setsockopt(socket, ZMQ_ROUTER_MANDATORY, &on, sizeof(on)) < 0 ||
	    zmq_bind(socket, endpoint) < 0)
		return pump_error();
	return 0;
}

/* A message is the sender's id, which ZeroMQ puts there, and one frame. */
static size_t router_receive(void *arg)
{
	struct router *r = arg;
	struct peer_id id;
	struct peer_name name;
	int size;

	while ((size = zmq_recv(r->pump.socket, &id, sizeof(id), ZMQ_DONTWAIT)) < 0 &&
	       zmq_errno() == EINTR)
		;
	if (size < 0)
		return 0;
	if (size != sizeof(id) || id.mark != PEER_ID_MARK)
		return receive_payload(r, NULL);
	name = peer_id_name(&id);
	return receive_payload(r, &name);
}

/* name NULL: the sender's id is no worker's. */
static size_t receive_payload(struct router *r, const struct peer_name *name)
{
	struct peer *peer = name ? peer_hear(r, *name) : NULL;
	zmq_msg_t message;
	size_t size;

	zmq_msg_init(&message);
	size = pump_receive_frames(&r->pump, &message);
	if (!name)
		tell_nameless(r, "routing id: a worker's has 13 bytes and starts with 1");
	else if (!peer)
		tell_nameless(r, "too many peers");
	else if (peer->state == PEER_DEAD)
		; /* late */
	else if (size == PUMP_MANY_FRAMES)
		spoil(r, peer, "more than one frame in a message");
	else if (zmq_msg_size(&message) == 0)
		spoil(r, peer, "an empty message");
	else
		deliver(r, peer, &message);
	zmq_msg_close(&message);
	return size;
}

/* A message, and those of the same peer that were deferred meanwhile. Takes the message's content. */
static void deliver(struct router *r, struct peer *peer, zmq_msg_t *message)
{
	struct deferred *next = NULL;

	if (peer->delivering) {
		defer(r, peer, message);
		return;
	}
	peer->delivering = true;
	r->delivering++;
	do {
		deliver_records(r, peer, message);
		if (next)
			deferred_free(next);
		next = deferred_take(r, peer);
		message = next ? &next->message : NULL;
	} while (next);
	r->delivering--;
	peer->delivering = false;
}

/* The records up to a malformed one count; the receiver may forget the peer at any of them. */
static void deliver_records(struct router *r, struct peer *peer, zmq_msg_t *message)
{
	struct span input = { zmq_msg_data(message), zmq_msg_size(message) };
	const char *why = "a message ends inside a record";

	while (input.size > 0 && peer->state != PEER_DEAD) {
		struct record record;

		if (record_next(&input, &record, &why) != 1) {
			spoil(r, peer, why);
			break;
		}
		r->events.record(r->arg, peer->name, &record);
	}
}

static void defer(struct router *r, struct peer *peer, zmq_msg_t *message)
{
	struct deferred *d = malloc(sizeof(*d));

	if (!d) {
		spoil(r, peer, "no memory to keep a message");
		return;
	}
	d->from = peer;
	zmq_msg_init(&d->message);
	zmq_msg_move(&d->message, message);
	list_push_back(&r->deferred, &d->node);
}

static struct deferred *deferred_take(struct router *r, const struct peer *from)
{
	LIST_FOREACH(node, &r->deferred) {
		struct deferred *d = LIST_ENTRY(node, struct deferred, node);

		if (d->from == from) {
			list_remove(node);
			return d;
		}
	}
	return NULL;
}

static void deferred_free(struct deferred *d)
{
	zmq_msg_close(&d->message);
	free(d);
}

static void spoil(struct router *r, struct peer *peer, const char *why)
{
	struct peer_name name = peer->name;

	peer_move(r, peer, PEER_DEAD);
	r->events.garbage(r->arg, name, why);
}

/* A flood of these must not become a flood of log lines. */
static void tell_nameless(struct router *r, const char *why)
{
	if (loop_now(r->loop) < r->nameless_due)
		return;
	r->nameless_due = loop_now(r->loop) + NSEC_PER_SEC;
	r->events.garbage(r->arg, (struct peer_name){ .slot = PEER_NAMELESS }, why);
}

/* Blocked peers stay in the list. */
static unsigned router_flush(void *arg)
{
	struct router *r = arg;
	unsigned sent = 0;

	LIST_FOREACH(node, &r->waiting)
		sent += flush_peer(r, LIST_ENTRY(node, struct peer, node));
	return sent;
}

static unsigned flush_peer(struct router *r, struct peer *peer)
{
	struct peer_id id = peer_id_of(peer->name);
	unsigned sent = 0;
	int e = 1;

	while (buf_size(&peer->outbox) > 0 && e == 1) {
		e = pump_send(&r->pump, &id, sizeof(id), &peer->outbox);
		sent += e == 1;
	}
	if (e == 1)
		list_remove(&peer->node);
	else if (e == -EHOSTUNREACH)
		peer_move(r, peer, PEER_GONE);
	else
		r->pump.blocked = true; /* also when there was no memory: later, then */
	return sent;
}

static uint64_t name_hash(const struct peer_name *name)
{
	struct peer_id id = peer_id_of(*name);

	return hash_bytes(&id, sizeof(id));
}

static bool name_equal(const struct peer_name *a, const struct peer_name *b)
{
	return a->incarnation == b->incarnation && a->slot == b->slot;
}

static bool name_match(const void *item, const void *key)
{
	return name_equal(&((const struct peer *)item)->name, key);
}

static struct peer *peer_find(struct router *r, struct peer_name name)
{
	if (!r->last || !name_equal(&r->last->name, &name))
		r->last = map_get(&r->peers, name_hash(&name), &name);
	return r->last;
}

/* The peer that a message came from; NULL if there are too many, or no memory. */
static struct peer *peer_hear(struct router *r, struct peer_name name)
{
	struct peer *peer = peer_find(r, name);

	if (peer) {
		if (peer->state == PEER_GONE)
			peer_move(r, peer, PEER_LIVE);
		return peer;
	}
	if (r->peers.used >= PEERS_MAX)
		return NULL;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->name = name;
	peer->state = PEER_LIVE;
	list_init(&peer->node);
	if (map_put(&r->peers, name_hash(&name), peer) < 0) {
		free(peer);
		return NULL;
	}
	return peer;
}

/* The only writer of peer->state. */
static void peer_move(struct router *r, struct peer *peer, enum peer_state state)
{
	peer->state = state;
	if (state == PEER_LIVE)
		return;
	list_remove(&peer->node);
	buf_done(&peer->outbox);
	if (state == PEER_GONE)
		return;
	list_push_back(&r->graves, &peer->node);
	r->grave_count++;
	while (r->grave_count > GRAVES_MAX) {
		struct peer *oldest = LIST_ENTRY(r->graves.next, struct peer, node);

		if (oldest->delivering)
			break;
		peer_free(r, oldest);
	}
}

static void peer_free(struct router *r, struct peer *peer)
{
	list_remove(&peer->node);
	r->grave_count--;
	map_take(&r->peers, name_hash(&peer->name), &peer->name);
	if (r->last == peer)
		r->last = NULL;
	free(peer);
}
