/*
 * task_reader.h — reading task tables: the inside of gather/tasks.h, for tests.
 */
#pragma once
#include <gather/tasks.h>

/* As ga_tasks_open(), of the one table behind a descriptor, whatever stands there; `fd` stays the caller's. -EPROTO. */
int tasks_open_fd(int fd, ga_tasks **ret_tasks) GA_MUST_CHECK;
