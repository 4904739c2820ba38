/*
 * executor.h — the thread pools of a loop.
 *
 * Threads start when work comes and no other is idle, and stay. What a thread has finished reaches the loop by
 * loop_call_from_thread(); everything else belongs to the loop's thread.
 */
#pragma once
#include "runtime.h"
#include <sched.h>

#define IO_THREADS 32
#define CPU_THREADS 1
#define THREADS_MAX 256
#define QUEUE_MAX 65536

/* Which CPUs the I/O threads may use: process-wide, for pools that are made later. By default those that the process was
 * allowed when it started; a process that was pinned before exec says what it was allowed before. */
void executor_set_io_cpus(const cpu_set_t *cpus);
/* Wait until all that was handed in is done, and its calls on the loop are made; end the threads. */
void executor_close(struct runtime *rt);
