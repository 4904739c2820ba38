/*
 * process_parts.h — what the parts of <gather/process.h> share.
 *
 * A process is RUNNING, then ENDED (its status is known, and it is a zombie that keeps its pid), then reaped. It is in
 * runtime.processes until it is reaped. Its maker frees the struct; freed while it runs, it frees itself at its end.
 */
#pragma once
#include "buf.h"
#include "runtime.h"
#include <gather/process.h>

struct collected {
	struct buf buf;
	bool cut, ended;
};

struct ga_process {
	struct list node;
	struct runtime *runtime;
	struct io_watch watch; /* of the pidfd, while it runs */
	pid_t pid;
	int pidfd;  /* -1: reaped */
	int status; /* -EINPROGRESS while it runs */
	bool freed; /* by its maker */
	ga_stream *in, *out, *err;
	struct list futures;                   /* that wait for its end */
	size_t fed;                            /* of the input, by ga_process_communicate() */
	struct collected out_bytes, err_bytes; /* the same of its outputs */
};

#define LAUNCH_INHERIT (-1)
#define LAUNCH_AS_STDOUT (-2)

struct launch {
	const char *const *argv, *const *env;
	const char *directory;
	int fds[3]; /* to be its 0, 1 and 2, or one of the above */
	bool same_session;
	int death_signal;
};
/* Start the program: its pid, and a pidfd. The errno of what failed, in the child as well. */
int process_launch(const struct launch *l, pid_t *ret_pid, int *ret_pidfd) GA_MUST_CHECK;

/* Kill and reap all that are left; none can be started after this. */
void processes_close(struct runtime *rt);
