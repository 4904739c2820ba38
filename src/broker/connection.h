/*
 * connection.h — a client on the Unix socket that speaks records or NDJSON: buffers, limits, end.
 *
 * Input is handed to the protocol as it comes; output gathers in a turn and leaves with one send at its end. Bounded: past
 * CONNECTION_OUTPUT_MAX of unsent output the connection isn't read, and closed when the client takes none of it for
 * CONNECTION_STALL, or when the results that are pushed make it CONNECTION_OUTPUT_END. The table owns the connections;
 * others hold names (never pointers), which a closed connection no longer answers to.
 */
#pragma once
#include "buf.h"
#include "clock.h"
#include "list.h"
#include "loop.h"
#include "span.h"

#define CONNECTION_OUTPUT_MAX (4u << 20)
#define CONNECTION_OUTPUT_END (256u << 20)
#define CONNECTION_ASKS_A_TURN                                                                     \
	8 /* a list or a why may look at many jobs: the others must not wait for a flood of them */
#define CONNECTION_ASKS_MAX 1024   /* whose answers are still to come */
#define CONNECTION_HOLDS_MAX 16384 /* answers that wait for a commit: past that it isn't read */
#define CONNECTION_STALL (60 * NSEC_PER_SEC)

struct broker;
struct connection;
struct job;

/* What a protocol does with a connection. */
struct protocol {
	const char *name;
	/* Consume what can be used of the input, while connection_goes_on(); returns how many bytes. -EPROTO: close once
	 * the output has left. */
	int64_t (*input)(struct connection *c, struct span input);
	/* The client will send no more. Whether answers are still to come, so that it is kept until
	 * it closes altogether. NULL: there are none. Asked again after each answer. */
	bool (*ended)(struct connection *c);
	/* How many answers wait for a commit: even what is about to be closed says them first. NULL: none do. Each one
	 * that does no longer comes with a connection_out(). */
	unsigned (*holds)(const struct connection *c);
	/* A job that was submitted for this connection has ended. */
	void (*finished)(struct connection *c, struct job *job);
	/* It is closed: forget it. */
	void (*closed)(struct connection *c);
};

struct connection {
	struct broker *broker;
	const struct protocol *protocol;
	void *state; /* the protocol's */
	uint64_t name;
	struct io_watch watch;
	struct loop_timer stall;    /* how long its output is unread */
	struct loop_timer presence; /* whether a client that has ended its input is still there */
	struct list dirty;          /* has output to send at the end of the turn */
	struct loop_call resume;    /* hands on what was held back */
	struct buf in, out;
	unsigned watched; /* the events that the watch waits for */
	unsigned asks;    /* verbs that were asked for in this turn */
	bool closing;     /* no more input; closed when the output has left */
	bool ended;       /* the client has shut down its side: it may still read */
	bool reading;     /* its input is being handed on: only that may free it afterwards */
	bool held; /* input waits until output has left, answers are safe, or for the next turn */
	bool closed;
};

struct connections {
	struct broker *broker;
	struct connection **table; /* by the low half of the name */
	uint32_t *generations;
	uint32_t size, count;
	struct list dirty;
};

void connections_init(struct connections *all, struct broker *b);
/* Take over an accepted descriptor. -ENOMEM: then fd is still the caller's. */
int connection_open(struct connections *all, int fd, const struct protocol *protocol,
		    void *state) GA_MUST_CHECK;
struct connection *connection_find(struct connections *all, uint64_t name); /* NULL: closed */
/* Whether another request may be taken off the input now; if not, the input is handed on again when it may. */
bool connection_goes_on(struct connection *c);
struct buf *connection_out(struct connection *c); /* append here; it leaves at the end of the turn */
void connection_close(struct connection *c);      /* now */
void connection_finish(struct connection *c);     /* once the output has left */
void connections_flush(struct connections *all);  /* at the end of the turn */
bool connections_have_output(const struct connections *all);
bool peer_is_gone(int fd); /* altogether: one that has only shut down its side still reads */
