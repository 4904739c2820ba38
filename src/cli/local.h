/*
 * local.h — a private gatherd for the length of one command (--local).
 *
 * It serves a socket in a fresh directory that only this user can enter, in a session of its own, so that Ctrl-C on the
 * terminal reaches the command alone. It lives as long as the write end of a pipe is open here: however the command
 * ends, the daemon sees the end of that pipe and ends too.
 */
#pragma once
#include <gather/attributes.h>

struct local;

/* Start it and wait until it serves. An exit status; what went wrong was said. */
int local_start(struct local **ret_local) GA_MUST_CHECK;
const char *local_socket(const struct local *l);
/* End it, wait for that, remove the directory. NULL is a no-op. */
void local_stop(struct local *l);
/* The last lines of its log to standard error: for when it went away by itself. NULL is a no-op. */
void local_show_log(const struct local *l);
