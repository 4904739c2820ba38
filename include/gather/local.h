/*
 * local.h — values that belong to a task and to those that it spawns (asyncio: contextvars).
 *
 *	static const struct ga_local request = { .name = "request" };
 *
 *	ga_local_set(&request, r);       // in the handler
 *	... ga_local_get(&request) ...   // in whatever it calls or spawns
 *
 * A task sees what its spawner had when it spawned it; what either sets later is its own. Nothing is copied until then.
 * What runs in the executor can read what the task had that handed it in. Values are borrowed: they must outlive all that
 * can see them. Callbacks on the loop's stack are outside of tasks.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A key, known by its address: static, as a rule. */
struct ga_local {
	const char *name; /* for reports */
	void *initial;    /* what is read where none was set */
};

/* The running task's value, or in the executor that of the task it works for; `initial` where none was set, and elsewhere. */
GA_API void *ga_local_get(const struct ga_local *local);
/* 0; -ENOMEM: the value is what it was; -EPERM: outside of tasks. */
GA_API int ga_local_set(const struct ga_local *local, void *value) GA_MUST_CHECK;

#ifdef __cplusplus
}
#endif
