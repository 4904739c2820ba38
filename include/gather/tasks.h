/*
 * tasks.h — the tasks of a process that runs libgather, seen from outside: what `gather ps` shows.
 *
 * Each loop keeps a table of its tasks in memory that other processes may read (unless GATHER_TASKS=0 was in the
 * environment of its program), also while the loop is stuck. ga_tasks_open() copies what it finds there; nothing is asked
 * of the process, and it isn't stopped: a row that changes just then is read again, and left out if it never rests.
 * Any thread; no loop is needed; nothing here suspends. Times are in nanoseconds.
 */
#pragma once
#include <gather/attributes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ga_tasks ga_tasks;

enum ga_task_state {
	GA_TASK_NEW,     /* hasn't run yet */
	GA_TASK_RUNNING, /* on the CPU, or it called the task that is */
	GA_TASK_PARKED,  /* waits */
	GA_TASK_READY,   /* will go on when its turn comes */
	GA_TASK_DONE,    /* has ended, and somebody still holds it */
};

struct ga_task_info {
	uint64_t id;   /* its number in its loop: the first task is 1 */
	unsigned loop; /* number of its loop in the process, from 0 */
	enum ga_task_state state;
	bool is_on_cpu;          /* of those that are RUNNING, the innermost */
	const char *name, *site; /* "" if it has none; site: file:line of the spawn */
	const char *waits_for;   /* while PARKED: "sleep", "lock", "readable 7"; else "" */
	uint64_t awaits;         /* id of the one task that it waits for; 0: none */
	uint64_t awaited_by;     /* id of a task that waits for it together with others; 0: none */
	int64_t since_ns;        /* how long it has been in its state */
	int64_t age_ns;          /* how long ago it was spawned */
	unsigned cancels;        /* requests not taken back */
	size_t stack_bytes;      /* what was asked for; 0: the default */
};

struct ga_loop_info {
	int thread;      /* id of its thread, as that process sees it */
	bool polls;      /* it waits for events; otherwise it works */
	int64_t busy_ns; /* for how long, without looking for events; 0 while it polls */
	uint64_t turns;  /* so far */
};

/* One place that tasks are spawned at. */
struct ga_site_use {
	const char *name, *site;
	uint64_t tasks;     /* spawned there so far */
	size_t stack_bytes; /* that they may use; 0: none has run yet */
	size_t used_bytes; /* the most that one did use: its high-water mark. 0: not measured (debug mode does) */
};

/* Copy the tables of process `pid`. The caller closes it. -ESRCH: no such process; -EACCES: it is another user's (or
 * forbids to be looked into); -ENODATA: it has no table: no loop, not libgather, GATHER_TASKS=0; -EPROTO: its libgather
 * is of another version, or the table is damaged; -ENOMEM. */
GA_API int ga_tasks_open(pid_t pid, ga_tasks **ret_tasks) GA_MUST_CHECK;
GA_API void ga_tasks_close(ga_tasks *tasks); /* NULL is a no-op */

/* The next task, loop by loop in no order; NULL after the last. Valid until the next call with the same object. */
GA_API const struct ga_task_info *ga_tasks_next(ga_tasks *tasks);
GA_API void ga_tasks_rewind(ga_tasks *tasks); /* begin with the first again */
/* False: there are not so many loops. */
GA_API bool ga_tasks_loop(const ga_tasks *tasks, unsigned loop, struct ga_loop_info *ret_info);
/* The next place; NULL after the last (ga_tasks_rewind() begins anew). Valid as above. */
GA_API const struct ga_site_use *ga_tasks_next_site(ga_tasks *tasks);

#ifdef __cplusplus
}
#endif
