/*
 * inherit.h — reading what the supervisor left at the fixed descriptors and on the command line. Internal to src/role.
 */
#pragma once
#include "role.h"
#include <sys/types.h>

/* `gatherd --role NAME` followed by pairs of these; `parent` is the only one that every role has. */
struct role_arguments {
	const char *name;
	uint64_t slot, cpu, incarnation, listeners, parent, log_level;
};

/* -EINVAL: not a command line of the supervisor's. Missing values: 0, `cpu` UINT32_MAX. */
int role_arguments_parse(int argc, char *const argv[], struct role_arguments *ret_args) GA_MUST_CHECK;

/* The whole content of a memfd, NUL-terminated, read without moving the offset that all processes share; to be freed. */
int inherit_text(int fd, char **ret_text) GA_MUST_CHECK;
int inherit_page(int fd, struct shared_page **ret_page) GA_MUST_CHECK;
/* The first eight bytes of the GNU build id of the running program; 0: it has none. */
uint64_t inherit_build_id(void);
