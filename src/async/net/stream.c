/*
 * stream.c — reading and writing, and the transport that passes bytes on as they are.
 */
#include "park.h"
#include "stream_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_MIN 4096u

static int read_begin(struct ga_stream *s);
static int64_t fill_until(struct ga_stream *s, const char *separator, size_t width, size_t max,
			  int64_t deadline);
static int plain_fill(struct ga_stream *s, int64_t deadline);
static int64_t plain_read(struct ga_stream *s, void *data, size_t size, int64_t deadline);
static int plain_write(struct ga_stream *s, struct iovec parts[2], int64_t deadline);
static int plain_shutdown(struct ga_stream *s);
static void plain_close(struct ga_stream *s);

static const struct stream_transport plain = {
	.fill = plain_fill,
	.read = plain_read,
	.write = plain_write,
	.shutdown = plain_shutdown,
	.close = plain_close,
};

static ssize_t send_parts(struct ga_stream *s, struct iovec parts[2]);

static inline int fill(struct ga_stream *s, int64_t deadline)
{
	return s->transport->fill(s, deadline);
}

int ga_stream_new(int fd, ga_stream **ret_stream)
{
	int flags = fcntl(fd, F_GETFL);
	struct loop *l = loop_current();
	struct stat st;
	ga_stream *s;
	int r;

	if (flags < 0 || fstat(fd, &st) < 0 ||
	    (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
		return -errno;
	if (!l)
		return -EPERM;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = io_watch_start(l, &s->watch, fd, 0, stream_on_event, s);
	if (r < 0) {
		free(s);
		return r;
	}
	s->fd = fd;
	s->is_pipe = !S_ISSOCK(st.st_mode);
	s->transport = &plain;
	s->chunk = CHUNK_MIN;
	*ret_stream = s;
	return 0;
}

int ga_stream_fd(const ga_stream *stream)
{
	return stream->fd;
}

void ga_stream_close(ga_stream *stream)
{
	if (!stream)
		return;
	stream_set_idle(stream, false);
	io_watch_stop(&stream->watch);
	stream->transport->close(stream);
	buf_done(&stream->in);
	free(stream);
}

int ga_stream_shutdown(ga_stream *stream)
{
	return stream->transport->shutdown(stream);
}

int64_t ga_stream_read(ga_stream *stream, void *data, size_t size, int64_t deadline)
{
	int64_t n;
	int r;

	if (size == 0)
		return stream->reading ? -EBUSY : 0;
	r = read_begin(stream);
	if (r < 0)
		return r;
	if (buf_size(&stream->in) == 0 && size >= CHUNK_MIN && stream->transport->read) {
		n = stream->transport->read(stream, data, size, deadline);
		stream->reading = false;
		return n == -ENODATA ? 0 : n;
	}
	if (buf_size(&stream->in) == 0)
		r = fill(stream, deadline);
	stream->reading = false;
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	size = MIN(size, buf_size(&stream->in));
	memcpy(data, buf_data(&stream->in), size);
	buf_consume(&stream->in, size);
	return (int64_t)size;
}

int ga_stream_read_exactly(ga_stream *stream, void *data, size_t size, int64_t deadline)
{
	int r = read_begin(stream);

	if (r < 0)
		return r;
	while (r >= 0 && buf_size(&stream->in) < size)
		r = fill(stream, deadline);
	stream->reading = false;
	if (r < 0)
		return r;
	if (size > 0)
		memcpy(data, buf_data(&stream->in), size);
	buf_consume(&stream->in, size);
	return 0;
}

int64_t ga_stream_read_until(ga_stream *stream, const char *separator, size_t max, int64_t deadline,
			     char **ret_data)
{
	size_t width = strlen(separator);
	int64_t size;
	int r;

	if (width == 0 || max == 0)
		return -EINVAL;
	r = read_begin(stream);
	if (r < 0)
		return r;
	size = fill_until(stream, separator, width, max, deadline);
	stream->reading = false;
	if (size < 0)
		return size;
	*ret_data = buf_data(&stream->in); /* consumed bytes stay in place until more are read */
	buf_consume(&stream->in, (size_t)size);
	return size;
}

/* Read on until the separator is in the buffer: where it ends. */
static int64_t fill_until(struct ga_stream *s, const char *separator, size_t width, size_t max,
			  int64_t deadline)
{
	size_t searched = 0;

	for (;;) {
		size_t held = MIN(buf_size(&s->in), max);
		const char *data = buf_data(&s->in), *found = NULL;
		int r;

		if (held >= width && held > searched)
			found = memmem(data + searched, held - searched, separator, width);
		if (found)
			return found - data + (int64_t)width;
		if (held == max)
			return -EMSGSIZE;
		searched = held >= width ? held - width + 1 : 0;
		r = fill(s, deadline);
		if (r < 0)
			return r;
	}
}

/* The task is the one that reads from here on, unless this fails. What lies in the buffer is had without waiting, so it is
 * paid for. */
static int read_begin(struct ga_stream *s)
{
	int r = 0;

	if (s->reading)
		return -EBUSY;
	s->reading = true;
	if (buf_size(&s->in) > 0)
		r = coop_spend();
	s->reading = r >= 0;
	return r;
}

int ga_stream_write(ga_stream *stream, const void *data, size_t size, int64_t deadline)
{
	return ga_stream_write_two(stream, data, size, NULL, 0, deadline);
}

int ga_stream_write_two(ga_stream *stream, const void *first, size_t first_size, const void *second,
			size_t second_size, int64_t deadline)
{
	struct iovec parts[2] = {
		{ (void *)(uintptr_t)first, first_size },
		{ (void *)(uintptr_t)second, second_size },
	};

	int r;

	if (stream->writing)
		return -EBUSY; /* its bytes would come between those of the other */
	stream->writing = true;
	r = stream->transport->write(stream, parts, deadline);
	stream->writing = false;
	return r;
}

static int plain_shutdown(struct ga_stream *s)
{
	if (!s->is_pipe || s->fd < 0)
		return shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0;
	if ((fcntl(s->fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
		return -ENOTSOCK; /* closing it would end the reading, too */
	if (s->writing)
		return -EBUSY;
	stream_set_idle(s, false);
	io_watch_stop(&s->watch);
	close(s->fd);
	s->fd = -1;
	return 0;
}

static void plain_close(struct ga_stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
}

static int plain_write(struct ga_stream *s, struct iovec parts[2], int64_t deadline)
{
	while (parts[0].iov_len + parts[1].iov_len > 0) {
		int r = coop_spend();
		ssize_t n;

		if (r < 0)
			return r;
		n = send_parts(s, parts);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			r = stream_wait(s, LOOP_WRITE, deadline);
			if (r < 0)
				return r;
		}
		for (int i = 0; i < 2 && n > 0; i++) {
			size_t sent = MIN((size_t)n, parts[i].iov_len);

			parts[i].iov_base = (char *)parts[i].iov_base + sent;
			parts[i].iov_len -= sent;
			n -= (ssize_t)sent;
		}
	}
	return 0;
}

static ssize_t send_parts(struct ga_stream *s, struct iovec parts[2])
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	if (s->is_pipe)
		return pipe_write(s->fd, parts, 2);
	if (parts[1].iov_len == 0)
		return send(s->fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
	return sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

static int plain_fill(struct ga_stream *s, int64_t deadline)
{
	char *room = buf_reserve(&s->in, s->chunk);
	int64_t n;

	if (!room)
		return -ENOMEM;
	n = plain_read(s, room, s->chunk, deadline);
	if (n < 0)
		return (int)n;
	buf_grew(&s->in, (size_t)n);
	stream_got(s, (size_t)n);
	return 0;
}

static int64_t plain_read(struct ga_stream *s, void *data, size_t size, int64_t deadline)
{
	bool tried = false;

	for (;;) {
		int r = coop_spend();
		ssize_t n;

		if (r >= 0 && s->drained && (tried || !stream_is_urged(s, deadline)))
			r = stream_wait(s, LOOP_READ, deadline);
		if (r < 0)
			return r;
		n = s->is_pipe ? read(s->fd, data, size) : recv(s->fd, data, size, 0);
		s->drained = n < (ssize_t)size;
		if (n > 0)
			return n;
		if (n == 0)
			return -ENODATA;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		tried = errno == EAGAIN;
	}
}
