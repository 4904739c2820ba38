/*
 * dealer.c — a worker's end: one outbox, and a monitor that tells when the broker comes and goes.
 *
 * The monitor's events and the messages come by different ways, so their order is kept here: on a new connection what is
 * still unread comes from the old one (a broker doesn't speak first) and is dropped before `connected` is told.
 */
#include "buf.h"
#include "peer_id.h"
#include "pump.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define MONITOR_ENDPOINT "inproc://monitor"
#define RECONNECT_MS 10
#define RECONNECT_MAX_MS 1000

struct dealer {
	struct loop *loop;
	void *context;
	struct pump pump, monitor;
	struct dealer_events events;
	void *arg;
	struct buf outbox;
	bool connected;
	bool ignoring; /* what this broker still sends: it sent garbage */
	bool delivering;
};

static size_t dealer_receive(void *arg);
static unsigned dealer_flush(void *arg);
static size_t monitor_receive(void *arg);
static int dealer_start(struct dealer *d, const char *path, struct peer_name self);
static int monitor_start(struct dealer *d);
static int dealer_connect(struct dealer *d, const char *path, struct peer_name self);
static void deliver(struct dealer *d, struct span input);
static void spoil(struct dealer *d, const char *why);
static void on_connected(struct dealer *d);
static void on_disconnected(struct dealer *d);

static const struct pump_ops dealer_ops = { dealer_receive, dealer_flush };
static const struct pump_ops monitor_ops = { monitor_receive, NULL };

int dealer_open(struct loop *l, const char *path, struct peer_name self,
		const struct dealer_events *events, void *arg, struct dealer **ret_dealer)
{
	struct dealer *d = calloc(1, sizeof(*d));
	int e;

	if (!d)
		return -ENOMEM;
	d->loop = l;
	d->events = *events;
	d->arg = arg;
	e = dealer_start(d, path, self);
	if (e < 0) {
		dealer_close(d);
		return e;
	}
	*ret_dealer = d;
	return 0;
}

int dealer_send(struct dealer *d, const struct record *record)
{
	int e;

	if (!d->connected)
		return -ENOTCONN;
	e = record_put(&d->outbox, record);
	if (e >= 0)
		pump_mark(&d->pump);
	return e;
}

size_t dealer_backlog(const struct dealer *d)
{
	return buf_size(&d->outbox);
}

void dealer_pause(struct dealer *d, bool paused)
{
	if (d->pump.paused == paused)
		return;
	d->pump.paused = paused;
	if (!paused)
		pump_mark(&d->pump);
}

void dealer_close(struct dealer *d)
{
	if (!d)
		return;
	assert(!d->delivering);
	if (d->pump.socket)
		zmq_socket_monitor(d->pump.socket, NULL, 0);
	pump_stop(&d->monitor);
	pump_stop(&d->pump);
	if (d->context)
		zmq_ctx_term(d->context);
	buf_done(&d->outbox);
	free(d);
}

static int dealer_start(struct dealer *d, const char *path, struct peer_name self)
{
	void *socket;
	int e;

	d->context = pump_context_new();
	socket = d->context ? pump_socket_new(d->context, ZMQ_DEALER) : NULL;
	if (!socket)
		return pump_error();
	e = pump_start(&d->pump, d->loop, socket, &dealer_ops, d);
	if (e >= 0)
		e = monitor_start(d);
	return e < 0 ? e : dealer_connect(d, path, self);
}

/* Before the connection is made, so that no event is missed. */
static int monitor_start(struct dealer *d)
{
	void *socket;

	if (zmq_socket_monitor(d->pump.socket, MONITOR_ENDPOINT,
			       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) < 0)
		return pump_error();
	socket = pump_socket_new(d->context, ZMQ_PAIR);
	if (!socket)
		return pump_error();
	if (zmq_connect(socket, MONITOR_ENDPOINT) < 0) {
		int e = pump_error();

		zmq_close(socket);
		return e;
	}
	return pump_start(&d->monitor, d->loop, socket, &monitor_ops, d);
}

/* ZMQ_IMMEDIATE: nothing is queued for a broker that isn't there. */
static int dealer_connect(struct dealer *d, const char *path, struct peer_name self)
{
	static const int on = 1, first = RECONNECT_MS, most = RECONNECT_MAX_MS;
	struct peer_id id = peer_id_of(self);
	char endpoint[PUMP_ENDPOINT_SIZE];
	void *socket = d->pump.socket;
	int e = pump_endpoint(path, endpoint);

	if (e < 0)
		return e;
	if (zmq_setsockopt(socket, ZMQ_ROUTING_ID, &id, sizeof(id)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_IMMEDIATE, &on, sizeof(on)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &first, sizeof(first)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL_MAX, &most, sizeof(most)) < 0 ||
	    zmq_connect(socket, endpoint) < 0)
		return pump_error();
	return 0;
}

static size_t dealer_receive(void *arg)
{
	struct dealer *d = arg;
	zmq_msg_t message;
	size_t size;

	zmq_msg_init(&message);
	size = pump_receive_frames(&d->pump, &message);
	if (size == 0 || !d->connected || d->ignoring)
		;
	else if (size == PUMP_MANY_FRAMES)
		spoil(d, "more than one frame in a message");
	else if (zmq_msg_size(&message) == 0)
		spoil(d, "an empty message");
	else
		deliver(d, (struct span){ zmq_msg_data(&message), zmq_msg_size(&message) });
	zmq_msg_close(&message);
	return size;
}

static void deliver(struct dealer *d, struct span input)
{
	const char *why = "a message ends inside a record";

	d->delivering = true;
	while (input.size > 0) {
		struct record record;

		if (record_next(&input, &record, &why) != 1) {
			spoil(d, why);
			break;
		}
		d->events.record(d->arg, &record);
	}
	d->delivering = false;
}

static void spoil(struct dealer *d, const char *why)
{
	d->ignoring = true;
	d->events.garbage(d->arg, why);
}

static unsigned dealer_flush(void *arg)
{
	struct dealer *d = arg;
	unsigned sent = 0;
	int e = 1;

	while (buf_size(&d->outbox) > 0 && e == 1) {
		e = pump_send(&d->pump, NULL, 0, &d->outbox);
		sent += e == 1;
	}
	if (e != 1)
		d->pump.blocked = true;
	return sent;
}

/* zmq_socket_monitor(3): a frame with the event's number (16 bits) and value (32), then one with the address. */
static size_t monitor_receive(void *arg)
{
	struct dealer *d = arg;
	uint16_t event = 0;
	zmq_msg_t message;
	size_t size;

	zmq_msg_init(&message);
	size = pump_receive_frames(&d->monitor, &message);
	if (size > 0 && zmq_msg_size(&message) >= sizeof(event))
		memcpy(&event, zmq_msg_data(&message), sizeof(event));
	zmq_msg_close(&message);
	if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
		on_connected(d);
	else if (event == ZMQ_EVENT_DISCONNECTED)
		on_disconnected(d);
	return size;
}

static void on_connected(struct dealer *d)
{
	on_disconnected(d);
	pump_drain(&d->pump); /* not connected yet: this drops what comes */
	d->connected = true;
	d->ignoring = false;
	d->events.connected(d->arg);
}

static void on_disconnected(struct dealer *d)
{
	if (!d->connected)
		return;
	d->connected = false;
	buf_clear(&d->outbox);
	d->events.disconnected(d->arg);
}
