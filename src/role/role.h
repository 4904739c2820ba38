/*
 * role.h — what a child of the supervisor inherits, and nothing else.
 *
 * The supervisor starts `gatherd --role NAME` from a descriptor of its own binary, with descriptors at fixed numbers and
 * all others closed. role_adopt() reads them in the child. The control channel is a SOCK_SEQPACKET pair that carries
 * struct control_message; the shared page is how a child tells its pulse and what is on its CPU without a system call.
 */
#pragma once
#include "compiler.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum role_fd {
	ROLE_FD_CONTROL = 3,  /* to the supervisor */
	ROLE_FD_PAGE = 4,     /* memfd: struct shared_page */
	ROLE_FD_CONFIG = 5,   /* memfd: the configuration in force, as conf_dump() writes it */
	ROLE_FD_TYPES = 6,    /* memfd: the table of job types as JSON (broker and workers) */
	ROLE_FD_LISTENERS = 7 /* broker: the listening sockets, `--listeners N` of them */
};

#define SHARED_PAGE_MAGIC UINT64_C(0x6761746865723031)

/* One page for each child, written by the child alone. */
struct shared_page {
	uint64_t magic;
	_Atomic int64_t heartbeat; /* CLOCK_MONOTONIC ns, from inside the loop, at least once a second */
	_Atomic uint64_t on_cpu; /* token of the attempt whose handler runs now on the loop; 0: none */
	_Atomic uint64_t loop_lag_ns; /* how late the last heartbeat's timer was */
};

enum control_kind {
	CONTROL_READY = 1, /* child -> supervisor: it serves */
	CONTROL_DRAIN,     /* supervisor -> broker: accept no more, finish what runs, then exit 0 */
	CONTROL_DRAINED,   /* broker -> supervisor: nothing unfinished runs */
	CONTROL_WORKER_STARTED, /* supervisor -> broker: slot, incarnation */
	CONTROL_WORKERS_KNOWN,  /* supervisor -> broker: all live incarnations have been named */
	CONTROL_WORKER_LOST, /* supervisor -> broker: slot, incarnation, token = culprit or 0, status = signal or 0 (hang);
				 * below 0: it exited by itself, with exit status -1 - status. Flag CONTROL_BLAMELESS.
				 * Before WORKERS_KNOWN, of an incarnation that wasn't said to have started: it died
				 * before this broker; its attempts may be in the store. The last such one of each slot
				 * is named to every broker: whoever has heard of it already loses nothing by that */
	CONTROL_WORKER_RESTART, /* broker -> supervisor: this incarnation is of another build or table: end it */
	CONTROL_RELOAD, /* supervisor -> children: a new ROLE_FD_CONFIG content stands in the memfd */
	CONTROL_SACRIFICE, /* broker -> supervisor: a worker is wanted in SACRIFICE_SLOT. Started once: when it dies, or
				 * never gets as far as READY, the broker asks again; the supervisor sees to the pace */
	CONTROL_DISMISS, /* broker -> supervisor: slot, incarnation: that one isn't wanted any longer: end it */
	CONTROL_WORKER_RUNS, /* supervisor -> broker: slot, incarnation, status = its process id */
};

/* No job is to blame for this death: the worker was told to end, or did so on its own account. */
#define CONTROL_BLAMELESS 1u

/* A worker exits with this (EX_TEMPFAIL) to be started anew for reasons of its own. */
#define WORKER_EXIT_ANEW 75

struct control_message {
	uint32_t kind;
	uint32_t slot;
	uint64_t incarnation;
	uint64_t token;
	int32_t status;
	uint32_t flags;
};

struct role {
	const char *name;     /* "broker", "worker", "types" */
	uint32_t slot;        /* worker: its slot */
	uint32_t cpu;         /* worker: the CPU it is pinned to, or UINT32_MAX */
	uint64_t incarnation; /* of this child; unique for the supervisor's life */
	uint64_t build_id;    /* of the binary, from its GNU build id */
	unsigned listeners;   /* broker: how many descriptors from ROLE_FD_LISTENERS on */
	struct shared_page *page;
	char *config; /* text, NUL-terminated */
	char *types;  /* text, NUL-terminated; NULL for the types role */
};

/* Read what was inherited; checks that the supervisor lives (PDEATHSIG is set). -errno with a logged reason. */
int role_adopt(int argc, char *const argv[], struct role *ret_role) GA_MUST_CHECK;
void role_done(struct role *r);
/* The configuration in force as text, NUL-terminated, e.g. after CONTROL_RELOAD; to be freed. */
int role_config(char **ret_text) GA_MUST_CHECK;
/* The pulse, from inside the loop, at least once a second. `lag_ns`: how late the timer that led here was. */
void role_heartbeat(struct shared_page *page, int64_t now, int64_t lag_ns);
/* Send to, and receive from, the supervisor (ROLE_FD_CONTROL, non-blocking). -EAGAIN; -EPIPE: the supervisor is gone: exit. */
int control_send(int fd, const struct control_message *m) GA_MUST_CHECK;
int control_receive(int fd, struct control_message *ret_m) GA_MUST_CHECK;

/* The mains, called by gatherd's main() once the role is adopted; each returns an exit status. */
int broker_main(const struct role *r);
int worker_main(const struct role *r);
int types_main(const struct role *r); /* prints the table on standard output */
