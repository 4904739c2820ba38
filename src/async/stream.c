/*
 * stream.c — reading and writing.
 */
#include "clock.h"
#include "park.h"
#include "stream_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK_MIN 4096u
#define CHUNK_MAX 65536u
#define AT_ONCE_MAX 64u

struct stream_wait {
	struct park park;
	struct loop_timer timer;
};

static void on_event(struct io_watch *w, unsigned events);
static void on_deadline(struct loop_timer *t);
static enum park_answer wait_abort(struct park *p);
static int fill(struct ga_stream *s, int64_t deadline);
static int write_parts(struct ga_stream *s, struct iovec parts[2], int64_t deadline);
static ssize_t send_parts(struct ga_stream *s, struct iovec parts[2]);

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
	r = io_watch_start(l, &s->watch, fd, 0, on_event, s);
	if (r < 0) {
		free(s);
		return r;
	}
	s->fd = fd;
	s->is_pipe = !S_ISSOCK(st.st_mode);
	s->chunk = CHUNK_MIN;
	*ret_stream = s;
	return 0;
}

int ga_stream_fd(const ga_stream *stream)
{
	return stream->fd;
}

static void set_idle(struct ga_stream *s, bool idle)
{
	if (s->idle == idle)
		return;
	s->idle = idle;
	loop_hold(s->watch.loop, idle ? -1 : 1);
}

void ga_stream_close(ga_stream *stream)
{
	if (!stream)
		return;
	set_idle(stream, false);
	io_watch_stop(&stream->watch);
	if (stream->fd >= 0)
		close(stream->fd);
	buf_done(&stream->in);
	free(stream);
}

int ga_stream_shutdown(ga_stream *stream)
{
	if (!stream->is_pipe || stream->fd < 0)
		return shutdown(stream->fd, SHUT_WR) < 0 ? -errno : 0;
	if ((fcntl(stream->fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
		return -ENOTSOCK; /* closing it would end the reading, too */
	if (stream->writer)
		return -EBUSY;
	set_idle(stream, false);
	io_watch_stop(&stream->watch);
	close(stream->fd);
	stream->fd = -1;
	return 0;
}

int64_t ga_stream_read(ga_stream *stream, void *data, size_t size, int64_t deadline)
{
	size_t held = buf_size(&stream->in);
	int r;

	if (size == 0)
		return 0;
	if (held == 0) {
		r = fill(stream, deadline);
		if (r < 0)
			return r == -ENODATA ? 0 : r;
		held = buf_size(&stream->in);
	}
	size = MIN(size, held);
	memcpy(data, buf_data(&stream->in), size);
	buf_consume(&stream->in, size);
	return (int64_t)size;
}

int ga_stream_read_exactly(ga_stream *stream, void *data, size_t size, int64_t deadline)
{
	while (buf_size(&stream->in) < size) {
		int r = fill(stream, deadline);

		if (r < 0)
			return r;
	}
	if (size > 0)
		memcpy(data, buf_data(&stream->in), size);
	buf_consume(&stream->in, size);
	return 0;
}

int64_t ga_stream_read_until(ga_stream *stream, const char *separator, size_t max, int64_t deadline,
			     char **ret_data)
{
	size_t width = strlen(separator), searched = 0;
	char *found = NULL, *data;
	int r;

	if (width == 0 || max == 0)
		return -EINVAL;
	for (;;) {
		size_t held = MIN(buf_size(&stream->in), max);

		if (held >= width && held > searched)
			found = memmem(buf_data(&stream->in) + searched, held - searched, separator,
				       width);
		if (found)
			break;
		if (held == max)
			return -EMSGSIZE;
		searched = held >= width ? held - width + 1 : 0;
		r = fill(stream, deadline);
		if (r < 0)
			return r;
	}
	data = buf_data(&stream->in);
	max = (size_t)(found - data) + width;
	buf_consume(&stream->in, max);
	*ret_data = data; /* consumed bytes stay in place until more are read */
	return (int64_t)max;
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

	return write_parts(stream, parts, deadline);
}

static int write_parts(struct ga_stream *s, struct iovec parts[2], int64_t deadline)
{
	while (parts[0].iov_len + parts[1].iov_len > 0) {
		int r = stream_pace(s);
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

	return s->is_pipe ? pipe_write(s->fd, parts, 2) : sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

/* Read more into the buffer: 0, or -ENODATA at the end. */
static int fill(struct ga_stream *s, int64_t deadline)
{
	for (;;) {
		int r = stream_pace(s);
		ssize_t n;
		char *room;

		if (r < 0)
			return r;
		room = buf_reserve(&s->in, s->chunk);
		if (!room)
			return -ENOMEM;
		n = s->is_pipe ? read(s->fd, room, s->chunk) : recv(s->fd, room, s->chunk, 0);
		if (n > 0) {
			buf_grew(&s->in, (size_t)n);
			if ((size_t)n == s->chunk)
				s->chunk = MIN(s->chunk * 2, CHUNK_MAX);
			return 0;
		}
		if (n == 0)
			return -ENODATA;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		r = stream_wait(s, LOOP_READ, deadline);
		if (r < 0)
			return r;
	}
}

int stream_pace(struct ga_stream *s)
{
	if (++s->at_once < AT_ONCE_MAX)
		return 0;
	s->at_once = 0;
	return ga_sleep(0);
}

/* Watch for what is waited for, and go on watching for reading. */
static int watch_update(struct ga_stream *s)
{
	unsigned events = (s->reader ? LOOP_READ : s->watch.events & LOOP_READ) |
			  (s->writer ? LOOP_WRITE : 0);
	int r;

	set_idle(s, false);
	r = io_watch_change(&s->watch, events);
	set_idle(s, r >= 0 && events != 0 && !s->reader && !s->writer);
	return r;
}

int stream_wait(struct ga_stream *s, unsigned event, int64_t deadline)
{
	struct stream_wait **place = event == LOOP_READ ? &s->reader : &s->writer;
	struct stream_wait w;
	int r, ignored;

	if (*place)
		return -EBUSY;
	if (s->watch.loop != loop_current())
		return -EPERM;
	r = park_begin(&w.park, wait_abort);
	if (r < 0)
		return r;
	s->at_once = 0;
	*place = &w;
	loop_timer_init(&w.timer, on_deadline, &w);
	r = watch_update(s);
	if (r >= 0)
		r = loop_timer_set(s->watch.loop, &w.timer, deadline);
	if (r >= 0)
		r = park_wait(&w.park);
	loop_timer_stop(s->watch.loop, &w.timer);
	*place = NULL;
	ignored = watch_update(s); /* it watches for less now */
	(void)ignored;
	return r;
}

static void on_event(struct io_watch *w, unsigned events)
{
	struct ga_stream *s = w->arg;
	unsigned unwanted = 0;

	if (events & LOOP_READ) {
		if (s->reader)
			park_wake(&s->reader->park, 0);
		else
			unwanted |= LOOP_READ; /* it waits in the kernel; the next read tries first */
	}
	if (events & LOOP_WRITE && s->writer)
		park_wake(&s->writer->park, 0);
	if (unwanted) {
		set_idle(s, false);
		(void)!io_watch_change(w, w->events & ~unwanted);
	}
}

static void on_deadline(struct loop_timer *t)
{
	struct stream_wait *w = t->arg;

	park_wake(&w->park, -ETIMEDOUT);
}

static enum park_answer wait_abort(struct park *p GA_UNUSED)
{
	return PARK_ABORTED; /* its frame undoes the rest */
}
