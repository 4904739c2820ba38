/*
 * ps.h — the tasks of processes as `gather ps` holds them: copies, sorted by process, loop and id.
 */
#pragma once
#include "cli.h"
#include <gather/tasks.h>

struct ps_task {
	struct ga_task_info info; /* its texts are this task's own */
	pid_t pid;
	int worker; /* slot; -1: not one of the daemon's */
};

struct ps_list {
	struct ps_task *item;
	size_t count, room;
};

/* "12.3s", "4m10s", "3h02m", "5d07h". */
void ps_put_time(struct strbuf *out, int64_t ns);
/* The tasks of one loop, `count` from `first`, below those that await them. */
void ps_put_tree(struct strbuf *out, const struct ps_task *first, size_t count);
