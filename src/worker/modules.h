/*
 * modules.h — the role's start, shared by the types role and the workers: configuration, then modules.
 */
#pragma once
#include "conf.h"
#include "registry.h"
#include "role.h"

#define EXIT_CONFIGURATION 78 /* EX_CONFIG of sysexits(3): the supervisor doesn't try again */

/* Read the role's configuration and load what it names; both are the caller's. 0, or the exit status, with the reason on
 * standard error. */
int modules_load(const struct role *role, struct conf **ret_conf,
		 struct registry **ret_registry) GA_MUST_CHECK;
