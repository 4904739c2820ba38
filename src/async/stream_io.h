/*
 * stream_io.h — waiting for a descriptor in a task, for streams and servers.
 */
#pragma once
#include "buf.h"
#include "loop.h"

#include <gather/stream.h>
#include <sys/types.h>

struct iovec;
struct stream_wait;

/* The descriptor stays watched for reading while nobody reads, because the next read wants just that; such an idle watch
 * doesn't keep the loop running. */
struct ga_stream {
	int fd;
	struct io_watch watch;
	struct stream_wait *reader, *writer; /* who waits, in its frame */
	struct buf in;
	unsigned chunk;   /* how much to ask the kernel for */
	unsigned at_once; /* calls that didn't have to wait, since one did */
	bool idle;
	bool is_pipe; /* no socket: read(2) and write(2) */
};

/* Suspend until it can be read (LOOP_READ) or written. -EBUSY: another task waits for the same. */
int stream_wait(struct ga_stream *s, unsigned event, int64_t deadline) GA_ASYNC;
/* writev(2) to a pipe, without its SIGPIPE: the program's handling of that signal stays as it is. */
ssize_t pipe_write(int fd, const struct iovec *parts, int count);
/* Called before each operation: lets others run now and then, so that a busy stream starves nobody. */
int stream_pace(struct ga_stream *s) GA_ASYNC;
