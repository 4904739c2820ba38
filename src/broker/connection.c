#include "connection.h"
#include "broker.h"
#include "clock.h"
#include "log.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (64u << 10)
#define READS_A_TURN 4 /* so that one flood doesn't keep the others waiting */

static void on_ready(struct io_watch *w, unsigned events);
static void on_stall(struct loop_timer *t);
static void on_presence(struct loop_timer *t);
static void on_resume(struct loop_call *call);
static void read_some(struct connection *c);
static void end_reading(struct connection *c);
static void hand_on(struct connection *c);
static void end_input(struct connection *c);
static void update_watch(struct connection *c);
static void send_some(struct connection *c);
static void watch_stall(struct connection *c, bool progress);
static void release(struct connection *c);

void connections_init(struct connections *all, struct broker *b)
{
	*all = (struct connections){ .broker = b };
	list_init(&all->dirty);
}

static int grow(struct connections *all)
{
	uint32_t size = all->size ? all->size * 2 : 64;
	struct connection **table = realloc(all->table, size * sizeof(*table));

	if (!table)
		return -ENOMEM;
	all->table = table;
	uint32_t *generations = realloc(all->generations, size * sizeof(*generations));

	if (!generations)
		return -ENOMEM;
	all->generations = generations;
	for (uint32_t i = all->size; i < size; i++) {
		table[i] = NULL;
		generations[i] = 1;
	}
	all->size = size;
	return 0;
}

static int place(struct connections *all, struct connection *c)
{
	if (all->count == all->size) {
		int r = grow(all);

		if (r < 0)
			return r;
	}
	uint32_t i = 0;

	while (all->table[i])
		i++;
	all->table[i] = c;
	all->count++;
	c->name = (uint64_t)all->generations[i] << 32 | i;
	return 0;
}

static void unplace(struct connections *all, struct connection *c)
{
	uint32_t i = (uint32_t)c->name;

	all->table[i] = NULL;
	all->generations[i]++;
	all->count--;
}

int connection_open(struct connections *all, int fd, const struct protocol *protocol, void *state)
{
	struct broker *b = all->broker;
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->broker = b;
	c->protocol = protocol;
	c->state = state;
	c->watched = LOOP_READ;
	list_init(&c->dirty);
	loop_timer_init(&c->stall, on_stall, c);
	loop_timer_init(&c->presence, on_presence, c);
	loop_call_init(&c->resume, on_resume, c);
	int r = place(all, c);

	if (r == 0) {
		r = io_watch_start(b->loop, &c->watch, fd, LOOP_READ, on_ready, c);
		if (r < 0)
			unplace(all, c);
	}
	if (r < 0) {
		free(c);
		return r;
	}
	return 0;
}

struct connection *connection_find(struct connections *all, uint64_t name)
{
	uint32_t i = (uint32_t)name;

	if (i >= all->size || !all->table[i] || all->table[i]->name != name)
		return NULL;
	return all->table[i];
}

struct buf *connection_out(struct connection *c)
{
	if (!list_linked(&c->dirty))
		list_push_back(&c->broker->connections.dirty, &c->dirty);
	return &c->out;
}

/* What is left of it goes by release(), which waits while it is being read. */
static void hang_up(struct connection *c)
{
	struct connections *all = &c->broker->connections;

	c->closed = true;
	io_watch_stop(&c->watch);
	loop_timer_stop(c->broker->loop, &c->stall);
	loop_timer_stop(c->broker->loop, &c->presence);
	loop_call_stop(&c->resume);
	list_remove(&c->dirty);
	close(c->watch.fd);
	unplace(all, c);
	c->protocol->closed(c);
}

void connection_close(struct connection *c)
{
	if (c->closed)
		return;
	hang_up(c);
	if (!c->reading)
		release(c);
}

static void release(struct connection *c)
{
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

void connection_finish(struct connection *c)
{
	c->closing = true;
	connection_out(c);
}

void connections_flush(struct connections *all)
{
	struct list *node;

	while ((node = list_pop_front(&all->dirty)))
		send_some(LIST_ENTRY(node, struct connection, dirty));
}

bool connections_have_output(const struct connections *all)
{
	for (uint32_t i = 0; i < all->size; i++) {
		if (all->table[i] && buf_size(&all->table[i]->out) > 0)
			return true;
	}
	return false;
}

static void on_ready(struct io_watch *w, unsigned events)
{
	struct connection *c = w->arg;

	if (events & LOOP_READ)
		read_some(c); /* may close it, and then nothing of c is left */
	else if (events & LOOP_WRITE)
		connection_out(c);
}

static unsigned holds(const struct connection *c)
{
	return c->protocol->holds ? c->protocol->holds(c) : 0;
}

/* Input has to wait for what the client does, or the disk. */
static bool is_crowded(const struct connection *c)
{
	return buf_size(&c->out) > CONNECTION_OUTPUT_MAX || holds(c) >= CONNECTION_HOLDS_MAX;
}

bool connection_goes_on(struct connection *c)
{
	if (c->closed)
		return false;
	c->held = is_crowded(c) || c->asks >= CONNECTION_ASKS_A_TURN;
	return !c->held;
}

static void read_some(struct connection *c)
{
	c->reading = true;
	c->asks = 0;
	for (int i = 0; i < READS_A_TURN && !c->closed && !c->closing && !c->held; i++) {
		char *at = buf_reserve(&c->in, READ_SIZE);
		ssize_t n = at ? recv(c->watch.fd, at, READ_SIZE, MSG_DONTWAIT) : -1;

		if (n > 0) {
			buf_grew(&c->in, (size_t)n);
			hand_on(c);
			if ((size_t)n < READ_SIZE)
				break;
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n == 0)
			end_input(c);
		else
			hang_up(c);
		break;
	}
	end_reading(c);
}

static void end_reading(struct connection *c)
{
	c->reading = false;
	if (c->closed)
		release(c);
	else
		connection_out(c); /* its watch is brought up to date at the end of the turn */
}

static void on_resume(struct loop_call *call)
{
	struct connection *c = call->arg;

	if (c->closing)
		return;
	c->reading = true;
	c->held = false;
	c->asks = 0;
	hand_on(c);
	end_reading(c);
}

static void hand_on(struct connection *c)
{
	int64_t used = c->protocol->input(c, (struct span){ buf_data(&c->in), buf_size(&c->in) });

	if (c->closed)
		return;
	if (used < 0) {
		buf_clear(&c->in);
		connection_finish(c);
		return;
	}
	buf_consume(&c->in, (size_t)used);
	if (buf_size(&c->in) == 0 && c->in.size > 4 * READ_SIZE)
		buf_done(&c->in);
}

bool peer_is_gone(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static bool answers_are_due(struct connection *c)
{
	return c->protocol->ended && c->protocol->ended(c);
}

static int watch_presence(struct connection *c)
{
	struct loop *l = c->broker->loop;

	return loop_timer_set(l, &c->presence, time_add(loop_now(l), NSEC_PER_SEC));
}

/* The client has shut down its side, or has gone: only the socket knows which. */
static void end_input(struct connection *c)
{
	if (peer_is_gone(c->watch.fd)) {
		hang_up(c);
	} else if (answers_are_due(c)) {
		c->ended = true;
		if (watch_presence(c) < 0)
			hang_up(c);
	} else {
		connection_finish(c);
	}
}

static void on_presence(struct loop_timer *t)
{
	struct connection *c = t->arg;

	if (peer_is_gone(c->watch.fd) || watch_presence(c) < 0)
		connection_close(c);
}

static void send_some(struct connection *c)
{
	bool progress = false;

	while (buf_size(&c->out) > 0) {
		ssize_t n = send(c->watch.fd, buf_data(&c->out), buf_size(&c->out),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			connection_close(c);
			return;
		}
		buf_consume(&c->out, (size_t)n);
		progress = true;
	}
	if (buf_size(&c->out) > CONNECTION_OUTPUT_END) {
		log_notice("closed a client that left %zu bytes of results unread", buf_size(&c->out));
		connection_close(c);
		return;
	}
	if (c->held && !is_crowded(c))
		loop_call_soon(c->broker->loop, &c->resume);
	if (buf_size(&c->out) > 0) {
		watch_stall(c, progress);
	} else if ((c->closing && holds(c) == 0) || (c->ended && !answers_are_due(c))) {
		connection_close(c);
		return;
	} else {
		loop_timer_stop(c->broker->loop, &c->stall);
		if (c->out.size > 4 * READ_SIZE)
			buf_done(&c->out);
	}
	update_watch(c);
}

/* Unsent output starts the clock; each byte that the client takes restarts it. */
static void watch_stall(struct connection *c, bool progress)
{
	struct loop *l = c->broker->loop;

	if (!progress && heap_holds(&c->stall.node))
		return;
	if (loop_timer_set(l, &c->stall, time_add(loop_now(l), CONNECTION_STALL)) < 0)
		log_warning("no memory for a connection's timer");
}

static void update_watch(struct connection *c)
{
	size_t unsent = buf_size(&c->out);
	unsigned events = unsent ? LOOP_WRITE : 0;

	if (unsent <= CONNECTION_OUTPUT_MAX && !c->closing && !c->ended && !c->held)
		events |= LOOP_READ;
	if (events == c->watched)
		return;
	c->watched = events;
	if (io_watch_change(&c->watch, events) < 0)
		connection_close(c);
}

static void on_stall(struct loop_timer *t)
{
	struct connection *c = t->arg;

	log_notice("closed a client that left %zu bytes of answers unread for 60 s", buf_size(&c->out));
	connection_close(c);
}
