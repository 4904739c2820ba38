/*
 * pump.h — one ZeroMQ socket on the loop; inside src/wire alone.
 *
 * ZMQ_FD is an edge that any call on the socket may consume (zmq_getsockopt(3), ZMQ_FD): so no descriptor event says when
 * to stop. The rule here: receiving goes on until -EAGAIN, which has looked at everything that has happened on the socket;
 * whatever is called on the socket after that is followed by receiving again. Sending waits for the end of the turn.
 * The owner embeds the pump and owns the context. Loop-affine; never suspends.
 */
#pragma once
#include "loop.h"
#include <zmq.h>

struct buf;

struct pump_ops {
	/* Take one message. Its size, at least 1; or 0: none (ZeroMQ said EAGAIN). */
	size_t (*receive)(void *arg);
	/* Send what has gathered. How many messages went; NULL: never sends. */
	unsigned (*flush)(void *arg);
};

struct pump {
	struct loop *loop;
	void *socket;
	const struct pump_ops *ops;
	void *arg;
	struct io_watch watch;
	struct loop_hook hook;
	struct loop_call wake;   /* keeps the poll from waiting while `dirty` */
	struct loop_timer retry; /* while `blocked` */
	bool dirty;              /* the hook has something to do */
	bool blocked;            /* set by flush: ZeroMQ took less than there was */
	bool paused;             /* don't receive */
};

/* A context with one I/O thread, which stays on the CPUs of the calling thread. NULL: errno says why. */
void *pump_context_new(void);
/* A socket with the options common to both sides: bounded messages, no lingering. NULL: errno says why. */
void *pump_socket_new(void *context, int type);
#define PUMP_PATH_MAX 107 /* what sockaddr_un holds */
#define PUMP_ENDPOINT_SIZE (PUMP_PATH_MAX + 7)
/* "ipc://PATH". -EINVAL: not absolute; -ENAMETOOLONG. */
int pump_endpoint(const char *path, char ret_endpoint[PUMP_ENDPOINT_SIZE]) GA_MUST_CHECK;
/* errno of a ZeroMQ call as -errno: its own numbers become -EIO. */
int pump_error(void);

/* Takes the socket over: pump_stop() closes it. On error it is closed, too. */
int pump_start(struct pump *p, struct loop *l, void *socket, const struct pump_ops *ops,
	       void *arg) GA_MUST_CHECK;
void pump_stop(struct pump *p);
void pump_mark(struct pump *p); /* run at the end of this turn, or of the next if this turn's hooks have run */
/* Receive until nothing is left, without a budget. */
void pump_drain(struct pump *p);

/* Take the rest of a message, whose first frame stays in `first` (initialised by the caller). 0: none; its size + 1 if it
 * has a single frame; else PUMP_MANY_FRAMES. */
#define PUMP_MANY_FRAMES SIZE_MAX
size_t pump_receive_frames(struct pump *p, zmq_msg_t *first);

/* Send one message of the outbox's first records to a ROUTER's peer, or (id NULL) on a DEALER.
 * 1: sent; 0: blocked for now; -EHOSTUNREACH: no such peer; or another -errno. Then the outbox is as before. */
int pump_send(struct pump *p, const void *id, size_t id_size, struct buf *outbox) GA_MUST_CHECK;
