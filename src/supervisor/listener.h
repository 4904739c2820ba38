/*
 * listener.h — the sockets that the broker accepts on: systemd's, or one of our own.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <sys/types.h>

struct listeners {
	int *fds; /* close-on-exec, non-blocking, listening; owned */
	unsigned count;
	bool own; /* made here: its file is removed at the end */
};

/* Those of socket activation (sd_listen_fds(3)) if there are some, else one at `path`. Errors are logged. */
int listeners_open(const char *path, mode_t mode, struct listeners *ret_listeners) GA_MUST_CHECK;
/* Closes them; `path` is removed if the socket is our own. */
void listeners_done(struct listeners *l, const char *path);

/* Bind at `path`: a missing directory is made (0750), a file that nothing accepts on any more is removed first.
 * -EADDRINUSE: something does accept there; -EEXIST: there is a file that isn't a socket. */
int listener_bind(const char *path, mode_t mode, int *ret_fd) GA_MUST_CHECK;
