#include "pump.h"
#include "buf.h"
#include "clock.h"
#include "record.h"
#include <errno.h>
#include <sched.h>
#include <unistd.h>

/* In one go; then other descriptors have their turn. */
#define BUDGET_BYTES (512u << 10)
#define BUDGET_MESSAGES 256u
#define ROUNDS 4 /* of sending and receiving at the end of one turn */
/* The event that reopens a full pipe can be consumed by a call for another peer: hence also by time. */
#define RETRY_NS (10 * NSEC_PER_MSEC)
/* Messages in a pipe. Flow control is by capacity; this bounds what a side that stopped reading can pile up. */
#define HIGH_WATER 256
#define MESSAGE_MAX (INT64_C(2) << 20)
/* An empty outbox keeps at most this much memory. */
#define OUTBOX_KEEP (4u * PACK_MAX)

static void on_readable(struct io_watch *w, unsigned events);
static void on_turn_end(struct loop_hook *h);
static void on_wake(struct loop_call *c);
static void on_retry(struct loop_timer *t);
static void receive_some(struct pump *p, bool *ret_more);
static void quieten(void *socket);

void *pump_context_new(void)
{
	void *context = zmq_ctx_new();
	cpu_set_t allowed;

	if (!context)
		return NULL;
	zmq_ctx_set(context, ZMQ_IO_THREADS, 1);
	zmq_ctx_set(context, ZMQ_BLOCKY, 0);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ||
	    CPU_COUNT(&allowed) >= sysconf(_SC_NPROCESSORS_ONLN))
		return context;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			zmq_ctx_set(context, ZMQ_THREAD_AFFINITY_CPU_ADD, cpu);
	return context;
}

void *pump_socket_new(void *context, int type)
{
	static const int64_t message_max = MESSAGE_MAX;
	static const int none = 0, high_water = HIGH_WATER;
	void *socket = zmq_socket(context, type);

	if (!socket)
		return NULL;
	if (zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof(message_max)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water, sizeof(high_water)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water, sizeof(high_water)) < 0) {
		zmq_close(socket);
		return NULL;
	}
	return socket;
}

int pump_endpoint(const char *path, char ret_endpoint[PUMP_ENDPOINT_SIZE])
{
	if (*path != '/')
		return -EINVAL;
	if (strlen(path) > PUMP_PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(ret_endpoint, "ipc://");
	strcat(ret_endpoint, path);
	return 0;
}

int pump_error(void)
{
	int error = zmq_errno();

	return error > 0 && error < ZMQ_HAUSNUMERO ? -error : -EIO;
}

int pump_start(struct pump *p, struct loop *l, void *socket, const struct pump_ops *ops, void *arg)
{
	size_t size = sizeof(int);
	int fd, r;

	*p = (struct pump){ .loop = l, .socket = socket, .ops = ops, .arg = arg };
	loop_call_init(&p->wake, on_wake, p);
	loop_timer_init(&p->retry, on_retry, p);
	if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) < 0)
		r = pump_error();
	else
		r = io_watch_start(l, &p->watch, fd, LOOP_READ, on_readable, p);
	if (r < 0) {
		zmq_close(socket);
		p->socket = NULL;
		return r;
	}
	loop_hook_add(l, &p->hook, on_turn_end, p);
	pump_mark(p);
	return 0;
}

void pump_stop(struct pump *p)
{
	if (!p->socket)
		return;
	io_watch_stop(&p->watch);
	loop_hook_remove(&p->hook);
	loop_call_stop(&p->wake);
	loop_timer_stop(p->loop, &p->retry);
	zmq_close(p->socket);
	p->socket = NULL;
}

void pump_mark(struct pump *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	loop_call_soon(p->loop, &p->wake);
}

void pump_drain(struct pump *p)
{
	while (p->ops->receive(p->arg) > 0)
		;
}

/* ZeroMQ hands over a message's frames together: further ones are there. */
size_t pump_receive_frames(struct pump *p, zmq_msg_t *first)
{
	zmq_msg_t frame;
	bool more;
	int r;

	while ((r = zmq_msg_recv(first, p->socket, ZMQ_DONTWAIT)) < 0 && zmq_errno() == EINTR)
		;
	if (r < 0)
		return 0;
	if (!zmq_msg_more(first))
		return zmq_msg_size(first) + 1;
	zmq_msg_init(&frame);
	do {
		r = zmq_msg_recv(&frame, p->socket, ZMQ_DONTWAIT);
		more = r >= 0 ? zmq_msg_more(&frame) : zmq_errno() == EINTR;
	} while (more);
	zmq_msg_close(&frame);
	return PUMP_MANY_FRAMES;
}

int pump_send(struct pump *p, const void *id, size_t id_size, struct buf *outbox)
{
	size_t size = record_pack((struct span){ buf_data(outbox), buf_size(outbox) });
	zmq_msg_t message;
	int r = 0;

	if (zmq_msg_init_size(&message, size) < 0)
		return -ENOMEM; /* before the id: a message that was begun must be finished */
	while (id && (r = zmq_send(p->socket, id, id_size, ZMQ_SNDMORE | ZMQ_DONTWAIT)) < 0 &&
	       zmq_errno() == EINTR)
		;
	if (r >= 0) {
		memcpy(zmq_msg_data(&message), buf_data(outbox), size);
		while ((r = zmq_msg_send(&message, p->socket, ZMQ_DONTWAIT)) < 0 && zmq_errno() == EINTR)
			;
	}
	if (r < 0) {
		r = zmq_errno() == EAGAIN ? 0 : pump_error();
		zmq_msg_close(&message);
		return r;
	}
	buf_consume(outbox, size);
	if (buf_size(outbox) == 0 && outbox->size > OUTBOX_KEEP)
		buf_done(outbox);
	return 1;
}

/* What is received now may cause sending: that waits for the hook, so that it is packed. */
static void on_readable(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct pump *p = w->arg;
	bool more;

	receive_some(p, &more);
	if (more || p->blocked)
		pump_mark(p);
}

static void on_turn_end(struct loop_hook *h)
{
	struct pump *p = h->arg;
	bool more = false;

	if (!p->dirty)
		return;
	loop_call_stop(&p->wake);
	for (int round = 0; round < ROUNDS && p->dirty && !more; round++) {
		unsigned sent;

		p->dirty = p->blocked = false;
		sent = p->ops->flush ? p->ops->flush(p->arg) : 0;
		receive_some(p, &more);
		if (p->blocked && sent > 0)
			p->dirty = true; /* others may have got room meanwhile */
	}
	if (more || p->dirty) {
		p->dirty = false;
		pump_mark(p);
	} else if (p->blocked && loop_timer_set(p->loop, &p->retry, loop_now(p->loop) + RETRY_NS) < 0) {
		pump_mark(p); /* no memory for a timer: try at every turn */
	}
}

static void on_wake(struct loop_call *c GA_UNUSED)
{
}

static void on_retry(struct loop_timer *t)
{
	pump_mark(t->arg);
}

/* `ret_more`: the budget ran out before ZeroMQ said EAGAIN. */
static void receive_some(struct pump *p, bool *ret_more)
{
	size_t bytes = 0;
	unsigned messages = 0;

	*ret_more = false;
	if (p->paused) {
		quieten(p->socket);
		return;
	}
	while (messages < BUDGET_MESSAGES && bytes < BUDGET_BYTES) {
		size_t size = p->ops->receive(p->arg);

		if (size == 0 || p->paused)
			return;
		messages++;
		bytes += size;
	}
	*ret_more = true;
}

/* Let ZeroMQ look at what its descriptor announces: until then that stays readable. */
static void quieten(void *socket)
{
	size_t size = sizeof(int);
	int events;

	while (zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) < 0 && zmq_errno() == EINTR)
		;
}
