/*
 * connection.h — a blocking stream to a server that speaks lines: TCP on loopback, or a Unix socket.
 */
#pragma once
#include "figures.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTION_BUFFER (256 * 1024)

struct connection {
	int fd;
	size_t taken, filled; /* of `buffer`: what was read and not yet consumed lies between them */
	char buffer[CONNECTION_BUFFER];
};

static inline int connection_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		figures_fail("%s: too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		figures_fail("%s: can't connect", path);
	return fd;
}

static inline int connection_tcp(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		figures_fail("port %s: can't connect", port);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* `where`: the path of a Unix socket, or a port on loopback. */
static inline void connection_open(struct connection *c, const char *where)
{
	c->fd = strchr(where, '/') ? connection_unix(where) : connection_tcp(where);
	c->taken = c->filled = 0;
}

static inline void connection_write(struct connection *c, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(c->fd, data, size);

		if (n <= 0)
			figures_fail("the server closed the connection");
		data += n;
		size -= (size_t)n;
	}
}

/* Wait for more bytes. What was returned before by this connection is no longer valid. */
static inline void connection_read(struct connection *c)
{
	ssize_t n;

	if (c->taken) {
		memmove(c->buffer, c->buffer + c->taken, c->filled - c->taken);
		c->filled -= c->taken;
		c->taken = 0;
	}
	if (c->filled == sizeof(c->buffer))
		figures_fail("an answer is larger than the buffer");
	n = read(c->fd, c->buffer + c->filled, sizeof(c->buffer) - c->filled);
	if (n == 0)
		exit(0); /* a worker ends with its server */
	if (n < 0)
		figures_fail("can't read from the server");
	c->filled += (size_t)n;
}

/* The next whole line that is there already, without its end, or NULL. */
static inline char *connection_line_here(struct connection *c)
{
	char *start = c->buffer + c->taken;
	char *end = memchr(start, '\n', c->filled - c->taken);

	if (!end)
		return NULL;
	c->taken += (size_t)(end + 1 - start);
	*end = '\0';
	return start;
}

static inline char *connection_line(struct connection *c)
{
	char *line;

	while (!(line = connection_line_here(c)))
		connection_read(c);
	return line;
}
