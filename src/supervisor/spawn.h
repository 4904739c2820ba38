/*
 * spawn.h — fork and exec of a role: descriptors at their fixed numbers, nothing else inherited.
 */
#pragma once
#include "child.h"

/* The descriptors that are this process's own. */
struct spawn {
	int control, page;
	int output; /* becomes its standard output; -1: standard error does */
};

/* The pid, or -errno. */
int spawn_role(const struct child *c, const struct launch *launch, const struct spawn *own) GA_MUST_CHECK;

/* The variables that children may see, out of `all`: an array that the caller frees, its strings borrowed. */
char **spawn_environment(char *const all[]);
