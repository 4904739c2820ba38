/*
 * stream_io.h — what a stream is made of, and waiting for its descriptor; for streams, servers and transports.
 */
#pragma once
#include "buf.h"
#include "loop.h"
#include "park.h"

#include <gather/stream.h>
#include <sys/uio.h>

struct stream_wait;
struct tls_session;

/* How bytes come and go: as they are, or as TLS. All but `flush` are called on a task's stack too. */
struct stream_transport {
	/* More into the buffer: 0, or -ENODATA at the end. */
	int (*fill)(struct ga_stream *s, int64_t deadline) GA_ASYNC;
	/* Into the caller's memory, with nothing in the buffer: how many, or as above. May be NULL. */
	int64_t (*read)(struct ga_stream *s, void *data, size_t size, int64_t deadline) GA_ASYNC;
	/* All of both parts, which are used up. */
	int (*write)(struct ga_stream *s, struct iovec parts[2], int64_t deadline) GA_ASYNC;
	int (*shutdown)(struct ga_stream *s);
	void (*close)(struct ga_stream *s); /* the descriptor too; it isn't watched any more */
	/* On the loop's stack, when it is writable and the transport said stream_flushing(). */
	void (*flush)(struct ga_stream *s);
};

/* The descriptor stays watched for reading while nobody reads, because the next read wants just that; such an idle watch
 * doesn't keep the loop running. */
struct ga_stream {
	int fd;
	const struct stream_transport *transport;
	struct tls_session *tls; /* of the TLS transport, or NULL */
	struct io_watch watch;
	struct stream_wait *reader, *writer; /* who waits, in its frame */
	bool reading, writing; /* a task is inside such a call: it waits, or its turn was over */
	struct buf in;
	unsigned chunk; /* how much to ask the kernel for */
	bool idle;
	bool drained;  /* the last read took all there was: reading first would mostly be in vain */
	bool is_pipe;  /* no socket: read(2) and write(2) */
	bool flushing; /* the transport has bytes left to send, whoever waits */
};

/* Suspend until it can be read (LOOP_READ) or written. -EBUSY: another task waits for the same. */
int stream_wait(struct ga_stream *s, unsigned event, int64_t deadline) GA_ASYNC;
/* Whether that could end without the descriptor's doing, by a cancel or a deadline that are there already. */
bool stream_is_urged(const struct ga_stream *s, int64_t deadline);
/* writev(2) to a pipe, without its SIGPIPE: the program's handling of that signal stays as it is. */
ssize_t pipe_write(int fd, const struct iovec *parts, int count);

/* One try of an operation, on the loop's stack. -EAGAIN: again when the descriptor is ready; -EINPROGRESS: again soon, to
 * let others run; anything else is its result. */
typedef int (*stream_attempt_fn)(struct ga_stream *s, void *arg);
/* Suspend until the attempt has a result. It is made soon, even if the task was cancelled or the deadline has passed, and
 * then whenever the descriptor is ready for `event`. -EBUSY as above. */
int stream_try(struct ga_stream *s, unsigned event, stream_attempt_fn attempt, void *arg,
	       int64_t deadline) GA_ASYNC;
/* The transport has bytes to send that no task waits for (any more), or hasn't. */
void stream_flushing(struct ga_stream *s, bool flushing);

/* Ask for more the next time if what was asked for came. */
void stream_got(struct ga_stream *s, size_t bytes);

/* For the watch of every stream. */
void stream_on_event(struct io_watch *w, unsigned events);
void stream_set_idle(struct ga_stream *s, bool idle);
