#include "transport.h"
#include "clock.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 << 10)
#define PUSH_BYTES ((size_t)64 << 10)
/* A wait at least this long is a recv(2) with a timeout, repeated until the deadline; a shorter one is a poll(2). */
#define SLICE_NS (200 * NSEC_PER_MSEC)

static int send_some(struct transport *t);
static int wait_for(struct transport *t, short events, int64_t deadline);
static int receive(struct transport *t, int flags);
static int receive_until(struct transport *t, int64_t deadline);

int transport_open(struct transport *t, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	*t = (struct transport){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
				 .push_at = PUSH_BYTES };
	if (t->fd < 0)
		return -errno;
	if (connect(t->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	error = errno;
	close(t->fd);
	return -error;
}

void transport_close(struct transport *t)
{
	close(t->fd);
	buf_done(&t->in);
	buf_done(&t->out);
}

int transport_push(struct transport *t)
{
	if (buf_size(&t->out) < t->push_at)
		return 0;
	return send_some(t);
}

int transport_flush(struct transport *t, int64_t deadline)
{
	for (;;) {
		int result = send_some(t);

		if (result < 0 || buf_size(&t->out) == 0)
			return result;
		result = wait_for(t, (short)(POLLOUT | (t->ended ? 0 : POLLIN)), deadline);
		if (result <= 0)
			return result < 0 ? result : -ETIMEDOUT;
		if (!t->ended && (result = receive(t, MSG_DONTWAIT)) < 0 && result != -EAGAIN &&
		    result != -EPIPE)
			return result;
	}
}

int transport_exchange(struct transport *t, int64_t deadline)
{
	int result = buf_size(&t->out) ? send_some(t) : 0;

	if (result < 0)
		return result;
	if (t->ended)
		return -EPIPE;
	if (buf_size(&t->out) == 0)
		return receive_until(t, deadline);
	result = wait_for(t, POLLIN | POLLOUT, deadline);
	if (result <= 0)
		return result;
	result = receive(t, MSG_DONTWAIT);
	/* Only room for output: the caller finds no new input and comes back. */
	return result == -EAGAIN ? 1 : result;
}

/* Write until the socket is full. A peer that is gone shows itself to the reader, after what it said last. */
static int send_some(struct transport *t)
{
	while (buf_size(&t->out) > 0) {
		ssize_t n = t->broken ? -1
				      : send(t->fd, buf_data(&t->out), buf_size(&t->out),
					     MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			buf_consume(&t->out, (size_t)n);
		} else if (t->broken || errno == EPIPE || errno == ECONNRESET) {
			t->broken = true;
			buf_clear(&t->out);
			break;
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			break;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	t->push_at = buf_size(&t->out) + PUSH_BYTES;
	return t->broken && t->ended ? -EPIPE : 0;
}

/* 1: ready; 0: the deadline came. */
static int wait_for(struct transport *t, short events, int64_t deadline)
{
	struct pollfd p = { .fd = t->fd, .events = events };
	int64_t left = deadline == TIME_NEVER ? 0 : MAX(deadline - clock_monotonic(), 0);
	struct timespec limit = { .tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC };
	int n = ppoll(&p, 1, deadline == TIME_NEVER ? NULL : &limit, NULL);

	return n < 0 ? -errno : n;
}

static int receive(struct transport *t, int flags)
{
	char *room = buf_reserve(&t->in, READ_BYTES);
	ssize_t n;

	if (!room)
		return -ENOMEM;
	n = recv(t->fd, room, READ_BYTES, flags);
	if (n > 0) {
		buf_grew(&t->in, (size_t)n);
		return 1;
	}
	if (n < 0 && errno != ECONNRESET)
		return -errno;
	t->ended = true;
	return -EPIPE;
}

static int set_read_timeout(struct transport *t, bool timed)
{
	struct timeval limit = { .tv_usec = timed ? SLICE_NS / NSEC_PER_USEC : 0 };

	if (timed == t->timed_reads)
		return 0;
	if (setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	t->timed_reads = timed;
	return 0;
}

static int receive_until(struct transport *t, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline == TIME_NEVER ? TIME_NEVER : deadline - clock_monotonic();
		int result;

		if (left < SLICE_NS) {
			result = receive(t, MSG_DONTWAIT);
			if (result != -EAGAIN)
				return result;
			if (left <= 0)
				return 0;
			result = wait_for(t, POLLIN, deadline);
			if (result <= 0)
				return result;
			continue;
		}
		result = set_read_timeout(t, left != TIME_NEVER);
		if (result < 0)
			return result;
		result = receive(t, 0);
		if (result != -EAGAIN)
			return result;
	}
}
