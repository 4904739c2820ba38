/*
 * transport.h — one Unix stream socket with its two buffers, and waiting on it with a deadline.
 *
 * The socket stays in blocking mode, so that a wait with nothing to write is a single recv(2); every other call passes
 * MSG_DONTWAIT. While output is stuck, input is read all the same: a daemon that waits for us to read doesn't read us.
 * Once the daemon has hung up, what it sent before can still be taken; then every call says -EPIPE.
 * Used by one thread at a time. Deadlines are absolute on CLOCK_MONOTONIC. -EINTR: a signal handler ran; nothing is
 * lost.
 */
#pragma once
#include "buf.h"
#include <stdbool.h>
#include <stdint.h>

struct transport {
	int fd;
	struct buf in, out;
	size_t push_at;   /* bytes of output at which transport_push() writes by itself */
	bool broken;      /* the daemon doesn't read any more: output is dropped */
	bool ended;       /* everything that it sent was read */
	bool timed_reads; /* SO_RCVTIMEO is set */
};

/* -errno of socket(2) and connect(2); -ENAMETOOLONG: no room for the path in a socket's address. */
int transport_open(struct transport *t, const char *path) GA_MUST_CHECK;
void transport_close(struct transport *t);

/* Output was appended: write it once enough has gathered. Never blocks. */
int transport_push(struct transport *t) GA_MUST_CHECK;
/* Until the socket has taken all output. 0, -ETIMEDOUT or -errno. */
int transport_flush(struct transport *t, int64_t deadline) GA_MUST_CHECK;
/* Write what there is and wait for more input. 1: there is more; 0: the deadline came; -EPIPE: the end. */
int transport_exchange(struct transport *t, int64_t deadline) GA_MUST_CHECK;
