/*
 * place.h — the directories that gatherd lives in, and the lock that lets only one broker use a state directory.
 */
#pragma once
#include "compiler.h"
#include <sys/types.h>

/* Create it with `mode`, its parents with 0755, if missing. -ENOTDIR and mkdir(2)'s errors. 1: it was made. */
int place_make(const char *path, mode_t mode) GA_MUST_CHECK;
/* As place_make() with 0700, for a place that others could have prepared (in /tmp): -EPERM unless it is a directory of
 * this user's, no symbolic link, that nobody else can write to. */
int place_make_own(const char *path) GA_MUST_CHECK;

/* flock(2) on DIRECTORY/lock, with our pid inside. -EWOULDBLOCK: another process has it, `ret_holder` says which (0: it
 * isn't known). The descriptor is the lock. */
int place_lock(const char *directory, int *ret_fd, pid_t *ret_holder) GA_MUST_CHECK;

/* Remove a directory with all that is in it, links not followed. What can't be removed stays. */
void place_remove(const char *path);
