/*
 * executor.h — bounds of the thread pools behind ga_executor() (async.h).
 *
 * Each loop has two pools of its own. A thread is started when work comes that no idle one could take, up to a limit, and
 * stays until the loop ends, which joins it; beyond that work waits in a queue, up to another limit, and what comes then
 * is answered at once by a future resolved with -EAGAIN. Threads have all signals blocked. As with any threads, a process
 * that calls fork(2) while it has them may do nothing in the child but call exec or _exit: ga_process_start() is safe.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bound a pool of this thread's loop: how many threads (1..256; by default 32 for GA_POOL_IO, 1 for GA_POOL_CPU), and how
 * much work may wait for one (by default 65,536). Threads that are more already stay. -EINVAL; -ENOMEM; -EPERM: no loop;
 * -ECANCELED: it has closed. */
GA_API int ga_executor_limit(enum ga_pool pool, unsigned threads, unsigned queue) GA_MUST_CHECK;

#ifdef __cplusplus
}
#endif
