/*
 * charge.h — who is on the CPU: so that a crash or a hang is charged to the attempt that caused it and to no other.
 *
 * The loop's thread writes the token of the attempt whose handler it runs into the shared page; a crash or a hang needs no
 * more. A thread of the pools keeps its own, and a handler of fatal signals copies that of the thread that crashed: the
 * page names one attempt, and the loop's would be the wrong one.
 */
#pragma once
#include "role.h"
#include "runtime.h"
#include <stdatomic.h>

/* On the loop's thread, before any other handler of SIGSEGV is set (it is called last). The page must stay mapped. */
int charge_install(struct shared_page *page) GA_MUST_CHECK;
/* The page, with nobody on it, without the handler: for tests, which have no process to lose. */
void charge_to(struct shared_page *page);
/* From now on for the tasks of this runtime too, each time that they run. */
void charge_tasks(struct runtime *rt);

/* The page's; never NULL. Atomic, because the handler moves it on whichever thread crashed. */
extern _Atomic uint64_t *_Atomic charge_cell;
/* On a thread of a pool: from now on it works for `token`; 0: for nobody. */
void charge_thread(uint64_t token);

/* On the loop's thread: from now on it works for `token`. Returns whom it worked for before, to be set again. */
static inline uint64_t charge(uint64_t token)
{
	_Atomic uint64_t *cell = atomic_load_explicit(&charge_cell, memory_order_relaxed);
	uint64_t before = atomic_load_explicit(cell, memory_order_relaxed);

	atomic_store_explicit(cell, token, memory_order_relaxed);
	return before;
}
