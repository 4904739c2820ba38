/*
 * group.h — tasks that belong to a block of code (asyncio.TaskGroup), and futures in the order in which they end
 * (asyncio.as_completed).
 *
 *	struct ga_group group;
 *	int r = ga_group_enter(&group);
 *
 *	if (r < 0)
 *		return r;
 *	r = ga_group_spawn(&group, fetch, "a");
 *	if (r >= 0)
 *		r = ga_group_spawn(&group, fetch, "b");
 *	return ga_group_exit(&group, r);
 *
 * The first error of a child cancels its siblings, and what the body is suspended in or suspends in next; an error of the
 * body (handed to the exit) cancels the children. All are joined, so a child may use what lies on the body's stack. For
 * tasks of one loop.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

/* On the stack of the task that enters it, and of no use to others but for spawning. */
struct ga_group {
	uint64_t opaque[26];
};

/* -EPERM: outside of a task. Groups, timeouts and shields nest: what was entered last is left first. */
GA_API int ga_group_enter(struct ga_group *group) GA_MUST_CHECK;

/* Start a task of the group: 0; -ENOMEM; -ECANCELED: the group was aborted and takes none; -EPERM: another thread's;
 * -EINVAL: it isn't entered. Any task of the loop may call it until the exit has returned, so children may spawn more.
 * ga_group_spawn(group, fn, arg) keeps nothing of a child that has ended well. */
#define ga_group_spawn(group, fn, ...)                                                             \
	ga_group_spawn_at((group), (fn), (__VA_ARGS__), NULL, #fn, GA_HERE, NULL)
/* *ret_task is borrowed until the group's exit has returned. options and ret_task may be NULL. */
#define ga_group_spawn_with(group, fn, arg, options, ret_task)                                     \
	ga_group_spawn_at((group), (fn), (arg), (options), #fn, GA_HERE, (ret_task))
GA_API int ga_group_spawn_at(struct ga_group *group, ga_coroutine_fn fn, const void *arg,
			     const struct ga_spawn_options *options, const char *name,
			     const char *site, ga_future **ret_task) GA_MUST_CHECK;

/* Join all, and leave. `result` is the body's: < 0 cancels the children first. Returns the first error, of a child or of the
 * body; else -ECANCELED, if the body's result is that or the task was cancelled meanwhile; else `result`. A child that ended
 * cancelled is no error. What interrupted the body because of a child's error is over then: ga_cancelling() counts none of
 * it. -EPERM: another task's; -EBUSY: a scope inside hasn't been left; -EINVAL: not entered; then nothing was left. */
GA_API int ga_group_exit(struct ga_group *group, int result) GA_ASYNC;

/* An error of a group: in order of time, so that the first is the one that ga_group_exit() returned. */
struct ga_failure {
	const char *name; /* of the task; NULL: the body */
	const char *site; /* where it was spawned; "" for the body */
	int error;
	const struct ga_failure *inner; /* if the error is that of a group inside: what that one failed with */
	size_t inner_count;
};
/* What the task's (NULL: the running one's) last group failed with; NULL and 0: it didn't, or memory was short. Lives until
 * the task leaves its next group, or its last handle is released. ret_count may be NULL. */
GA_API const struct ga_failure *ga_failures(const ga_future *task, size_t *ret_count);

/* ---- as_completed ---- */

typedef struct ga_as_completed ga_as_completed;

/* Hand out these futures as they are done; those that are already come first. Borrows the futures, not the array, until
 * it is freed. A NULL counts as done, and one that is given twice comes twice. -ENOMEM; -EPERM: of another loop;
 * -EDEADLK: the running task itself. */
GA_API int ga_as_completed_new(ga_future *const futures[], size_t count,
			       ga_as_completed **ret_iterator) GA_MUST_CHECK;
/* 0 and the next one: the handle that was given, done. -ENODATA: all were handed out. -ETIMEDOUT and -ECANCELED cancel
 * none of them and lose none: the next call goes on. Several tasks may take from one. */
GA_API int ga_as_completed_next(ga_as_completed *iterator, int64_t deadline,
				ga_future **ret_future) GA_ASYNC GA_MUST_CHECK;
/* NULL is a no-op. No task may be inside a call on it. */
GA_API void ga_as_completed_free(ga_as_completed *iterator);

#ifdef __cplusplus
}
#endif
