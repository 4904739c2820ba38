/*
 * child.h — one process of the supervisor: started from the supervisor's own binary, watched, ended.
 *
 * A struct child is a place (the broker, worker slot 3) that processes occupy one after the other. It owns this side of
 * the control channel and the mapping of the shared page. Each process leads a process group of its own, so that a
 * Ctrl-C at the terminal reaches the supervisor alone, and what a worker left behind can be killed with it.
 */
#pragma once
#include "buf.h"
#include "log.h"
#include "pulse.h"
#include "restart.h"
#include "role.h"
#include <sys/types.h>

/*
 *   down -> starting -> up -> down     child_move() alone writes it
 *     ^--------'
 */
enum child_state {
	CHILD_DOWN,     /* no process; started again at `restart_at`, unless that is TIME_NEVER */
	CHILD_STARTING, /* forked, hasn't said READY */
	CHILD_UP,
};

/* Why the supervisor itself sent it a deadly signal. */
enum child_end {
	END_NONE,
	END_HANG,  /* its loop was silent */
	END_ASKED, /* a stop, or the broker wants another one */
};

/* What all children are started with. Descriptors are borrowed. */
struct launch {
	int program; /* the supervisor's own binary, open since its start: an upgrade never mixes builds */
	int config; /* memfd */
	int types;  /* memfd, or -1 */
	int *listeners;
	unsigned listener_count;
	enum log_level level;
	char **environment;
};

struct child {
	const char *role;
	uint32_t slot, cpu;
	enum child_state state;
	enum child_end end;
	bool was_ready; /* some process here has said READY */
	pid_t pid;
	uint64_t incarnation;
	int control; /* -1: none */
	int output;  /* the read end of its standard output, if `has_output`; -1: none */
	bool has_output;
	struct shared_page *page;
	struct buf outbox; /* of struct control_message: what its socket had no room for */
	int64_t started, restart_at, kill_at;
	struct pulse pulse;
	struct restart restart;
	/* A worker's: the CONTROL_WORKER_LOST of the last process here that may have held attempts. Kind 0: none. */
	struct control_message death;
};

/* Zeroes it; the child is DOWN and never due. `role` is borrowed. */
void child_init(struct child *c, const char *role, uint32_t slot, uint32_t cpu);
void child_done(struct child *c);

/* Fork and exec. -errno: nothing was started. */
int child_start(struct child *c, const struct launch *launch, uint64_t incarnation,
		int64_t now) GA_MUST_CHECK;
void child_ready(struct child *c); /* it said so */
/* It was reaped: closes what belonged to the process. */
void child_gone(struct child *c);

static inline bool child_lives(const struct child *c)
{
	return c->state != CHILD_DOWN;
}

/* Queued if the socket is full; dropped if the child is down or its end is closed (then its death is on the way). */
void child_send(struct child *c, const struct control_message *m);
void child_flush(struct child *c);
/* -EAGAIN: no more; -EPIPE: closed, by now on this side too. */
int child_receive(struct child *c, struct control_message *ret_m) GA_MUST_CHECK;

/* SIGTERM now, SIGKILL at `kill_at`. */
void child_end(struct child *c, enum child_end why, int64_t kill_at);
void child_kill(struct child *c, int signal_number);
/* "worker 3", "sacrificial worker" or "broker". */
#define CHILD_NAME_SIZE 32
char *child_name(const struct child *c, char name[CHILD_NAME_SIZE]);
