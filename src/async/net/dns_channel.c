/*
 * dns_channel.c — the only file that knows c-ares.
 */
#include "dns_channel.h"
#include "clock.h"

#include <ares.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define STALE_AFTER (30 * NSEC_PER_SEC)

struct dns_socket {
	struct list node;
	struct io_watch watch;
};

struct dns_channel {
	struct loop *loop;
	ares_channel ares;
	struct loop_timer timer;
	struct list sockets;
	int64_t made;
	bool closing;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void);
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable);
static void on_socket(struct io_watch *w, unsigned events);
static void on_timer(struct loop_timer *t);
static void rearm(struct dns_channel *c);
static void on_addrinfo(void *arg, int status, int timeouts, struct ares_addrinfo *info);

int dns_channel_new(struct loop *l, const struct dns_options *options, struct dns_channel **ret_channel)
{
	struct dns_channel *c = calloc(1, sizeof(*c));
	struct ares_options ares = {
		.timeout = options->timeout_ms ? (int)options->timeout_ms : 2000,
		.tries = options->tries ? (int)options->tries : 3,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = c,
	};
	int status;

	if (!c)
		return -ENOMEM;
	c->loop = l;
	c->made = loop_now(l);
	list_init(&c->sockets);
	loop_timer_init(&c->timer, on_timer, c);
	pthread_once(&library_once, library_init);
	status = ares_init_options(&c->ares, &ares,
				   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status == ARES_SUCCESS && options->servers)
		status = ares_set_servers_ports_csv(c->ares, options->servers);
	if (status != ARES_SUCCESS) {
		dns_channel_free(c);
		return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
	}
	*ret_channel = c;
	return 0;
}

void dns_channel_free(struct dns_channel *c)
{
	if (!c)
		return;
	c->closing = true;
	if (c->ares)
		ares_destroy(c->ares);
	loop_timer_stop(c->loop, &c->timer);
	free(c);
}

bool dns_channel_stale(const struct dns_channel *c)
{
	return loop_now(c->loop) - c->made > STALE_AFTER;
}

void dns_channel_ask(struct dns_channel *c, const char *name, struct dns_request *r, dns_reply_fn fn)
{
	static const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC,
							  .ai_socktype = SOCK_STREAM };

	r->channel = c;
	r->fn = fn;
	ares_getaddrinfo(c->ares, name, NULL, &hints, on_addrinfo, r);
	rearm(c);
}

static void library_init(void)
{
	(void)ares_library_init(ARES_LIB_INIT_ALL);
}

/* Both false: c-ares is about to close it. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	unsigned events = (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0);
	struct dns_channel *c = arg;
	struct dns_socket *s = NULL;

	LIST_FOREACH(node, &c->sockets)
		if (LIST_ENTRY(node, struct dns_socket, node)->watch.fd == fd)
			s = LIST_ENTRY(node, struct dns_socket, node);
	if (!events) {
		if (s) {
			io_watch_stop(&s->watch);
			list_remove(&s->node);
			free(s);
		}
		return;
	}
	/* Where this fails (no memory), the lookup runs into its timeout. */
	if (s) {
		int ignored = io_watch_change(&s->watch, events);

		(void)ignored;
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	if (io_watch_start(c->loop, &s->watch, fd, events, on_socket, c) < 0) {
		free(s);
		return;
	}
	list_push_back(&c->sockets, &s->node);
}

static void on_socket(struct io_watch *w, unsigned events)
{
	struct dns_channel *c = w->arg;
	int fd = w->fd;

	ares_process_fd(c->ares, events & LOOP_READ ? fd : ARES_SOCKET_BAD,
			events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
	rearm(c);
}

static void on_timer(struct loop_timer *t)
{
	struct dns_channel *c = t->arg;

	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rearm(c);
}

static void rearm(struct dns_channel *c)
{
	struct timeval space, *wait = ares_timeout(c->ares, NULL, &space);
	int64_t due = TIME_NEVER;
	int ignored;

	if (wait)
		due = loop_clock(c->loop) + wait->tv_sec * NSEC_PER_SEC + wait->tv_usec * NSEC_PER_USEC;
	/* Without memory for the timer the sockets still wake it, and those who wait have deadlines. */
	ignored = loop_timer_set(c->loop, &c->timer, due);
	(void)ignored;
}

static unsigned collect(const struct ares_addrinfo *info, struct address *out, unsigned *ret_ttl)
{
	unsigned count = 0, ttl = UINT32_MAX;

	for (const struct ares_addrinfo_node *n = info->nodes; n && count < DNS_ADDRESSES_MAX;
	     n = n->ai_next) {
		uint16_t ignored;

		if (address_from_sockaddr(n->ai_addr, &out[count], &ignored) < 0)
			continue;
		ttl = MIN(ttl, n->ai_ttl > 0 ? (unsigned)n->ai_ttl : 0u);
		count++;
	}
	*ret_ttl = count > 0 ? ttl : 0;
	return count;
}

static void on_addrinfo(void *arg, int status, int timeouts GA_UNUSED, struct ares_addrinfo *info)
{
	struct address addresses[DNS_ADDRESSES_MAX];
	struct dns_request *r = arg;
	struct dns_reply reply = { .addresses = addresses };

	if (!r->channel->closing) {
		if (status == ARES_SUCCESS && info)
			reply.count = collect(info, addresses, &reply.ttl_seconds);
		if (status == ARES_SUCCESS && reply.count == 0)
			status = ARES_ENODATA;
		if (status != ARES_SUCCESS)
			reply.error = ares_strerror(status);
		reply.exists_not = status == ARES_ENOTFOUND || status == ARES_ENODATA;
	}
	ares_freeaddrinfo(info);
	if (!r->channel->closing)
		r->fn(r, &reply);
}
