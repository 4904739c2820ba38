/*
 * server.c — listening, and a task for each connection.
 */
#include "address.h"
#include "clock.h"
#include "list.h"
#include "park.h"
#include "stream_io.h"
#include "tls_session.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define DEFAULT_STREAMS 10000u
#define DEFAULT_HANDSHAKE GA_SECONDS(10)

struct ga_server {
	ga_stream *listener; /* for its descriptor and its waiting; never read */
	char *path;          /* of a Unix socket that was made here */
};

/* One call of ga_serve(), in its frame. */
struct serving {
	struct ga_server *server;
	ga_serve_fn handler;
	struct ga_serve_options options;
	struct list connections;
	unsigned active;
	struct park *room; /* the accepting task, while it waits for a connection to end */
};

struct connection {
	struct list node;
	struct serving *serving;
	ga_stream *stream;
	ga_future *task;
};

static int bind_and_listen(const struct sockaddr *sa, socklen_t size, ga_server **ret_server);
static int accept_all(struct serving *s);
static int accept_one(struct serving *s);
static int connection_start(struct serving *s, int fd);
static int connection_run(const void *arg);
static void on_connection_done(ga_future *task, void *arg);
static int wait_for_end(struct serving *s, bool cancellable);

int ga_listen_tcp(const char *host, uint16_t port, ga_server **ret_server)
{
	struct sockaddr_storage sa;
	struct address address;
	socklen_t size;

	if (address_parse(host ? host : "127.0.0.1", &address) < 0)
		return -EINVAL;
	size = address_to_sockaddr(&address, port, &sa);
	return bind_and_listen((struct sockaddr *)&sa, size, ret_server);
}

int ga_listen_unix(const char *path, ga_server **ret_server)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char *copy;
	int r;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	r = bind_and_listen((struct sockaddr *)&sa, sizeof(sa), ret_server);
	if (r < 0) {
		free(copy);
		return r;
	}
	(*ret_server)->path = copy;
	return 0;
}

int ga_server_new(int fd, ga_server **ret_server)
{
	ga_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	r = ga_stream_new(fd, &server->listener);
	if (r < 0) {
		free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

uint16_t ga_server_port(const ga_server *server)
{
	struct sockaddr_storage sa;
	socklen_t size = sizeof(sa);
	struct address ignored;
	uint16_t port;

	if (getsockname(server->listener->fd, (struct sockaddr *)&sa, &size) < 0 ||
	    address_from_sockaddr((struct sockaddr *)&sa, &ignored, &port) < 0)
		return 0;
	return port;
}

int ga_server_fd(const ga_server *server)
{
	return server->listener->fd;
}

void ga_server_close(ga_server *server)
{
	if (!server)
		return;
	ga_stream_close(server->listener);
	if (server->path)
		(void)unlink(server->path);
	free(server->path);
	free(server);
}

int ga_serve(ga_server *server, ga_serve_fn handler, const struct ga_serve_options *options)
{
	struct serving s = { .server = server, .handler = handler };
	int r;

	if (options)
		s.options = *options;
	if (s.options.max_streams == 0)
		s.options.max_streams = DEFAULT_STREAMS;
	if (s.options.handshake_timeout_ns == 0)
		s.options.handshake_timeout_ns = DEFAULT_HANDSHAKE;
	if (s.options.tls && !s.options.tls->server)
		return -EINVAL;
	list_init(&s.connections);
	r = accept_all(&s);
	LIST_FOREACH(node, &s.connections)
		ga_cancel(LIST_ENTRY(node, struct connection, node)->task);
	while (s.active > 0 && wait_for_end(&s, false) != -EPERM)
		;
	return r;
}

static int bind_and_listen(const struct sockaddr *sa, socklen_t size, ga_server **ret_server)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r = 0, one = 1;

	if (fd < 0)
		return -errno;
	if (sa->sa_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, sa, size) < 0 || listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r == 0)
		r = ga_server_new(fd, ret_server);
	if (r < 0)
		close(fd);
	return r;
}

static int accept_all(struct serving *s)
{
	for (;;) {
		int r = 0;

		while (s->active >= s->options.max_streams && r >= 0)
			r = wait_for_end(s, true);
		if (r >= 0)
			r = coop_spend();
		if (r >= 0)
			r = accept_one(s);
		if (r == -EAGAIN)
			r = stream_wait(s->server->listener, LOOP_READ, GA_NEVER);
		if (r < 0)
			return r;
	}
}

/* Errors that pass: the peer has given up, or descriptors and memory are short and may be free again soon. */
static int accept_one(struct serving *s)
{
	int fd = accept4(s->server->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		return connection_start(s, fd);
	switch (errno) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN: /* and the like: errors of the new connection's network, as accept(2) says */
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ENOPROTOOPT:
		return 0;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return ga_sleep(GA_MILLISECONDS(50));
	default:
		return -errno;
	}
}

/* A connection that there is no memory for is closed; serving goes on. */
static int connection_start(struct serving *s, int fd)
{
	const struct ga_spawn_options options = { .name = "connection",
						  .stack_bytes = s->options.stack_bytes };
	struct connection *c = calloc(1, sizeof(*c));
	int one = 1;

	if (!c || ga_stream_new(fd, &c->stream) < 0) {
		close(fd);
		free(c);
		return 0;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
			 sizeof(one)); /* fails for a Unix socket, which needs none */
	c->serving = s;
	list_push_back(&s->connections, &c->node);
	s->active++;
	c->task = ga_spawn_with(connection_run, c, &options);
	if (!c->task || ga_on_done(c->task, on_connection_done, c) < 0) {
		ga_cancel(c->task); /* it hasn't run yet, and never will */
		on_connection_done(c->task, c);
	}
	return 0;
}

static int connection_run(const void *arg)
{
	const struct connection *c = arg;
	const struct ga_serve_options *options = &c->serving->options;

	if (options->tls) {
		int r = tls_start(c->stream, options->tls, NULL,
				  time_add(ga_now(), options->handshake_timeout_ns));

		if (r < 0)
			return r; /* which ends this connection alone */
	}
	return c->serving->handler(c->stream, options->arg);
}

/* On the loop's stack; a task that was cancelled before it ran comes here too. */
static void on_connection_done(ga_future *task GA_UNUSED, void *arg)
{
	struct connection *c = arg;
	struct serving *s = c->serving;

	list_remove(&c->node);
	ga_stream_close(c->stream);
	ga_release(c->task);
	free(c);
	s->active--;
	if (s->room)
		park_wake(s->room, 0);
}

static enum park_answer end_abort(struct park *p GA_UNUSED)
{
	return PARK_ABORTED;
}

/* The connections live in the serving frame: it must see them end. */
static enum park_answer end_refuse(struct park *p GA_UNUSED)
{
	return PARK_CANNOT;
}

static int wait_for_end(struct serving *s, bool cancellable)
{
	struct park park;
	int r = park_begin(&park, cancellable ? end_abort : end_refuse);

	if (r < 0)
		return r;
	park_for(&park, "connections");
	s->room = &park;
	r = park_wait(&park);
	s->room = NULL;
	return r;
}
