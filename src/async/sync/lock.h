/*
 * lock.h — what a condition needs of its lock.
 */
#pragma once
#include <gather/sync.h>

/* Acquire it, whatever comes; whether a cancel came meanwhile. In a task. */
bool lock_acquire_always(struct ga_lock *lock) GA_ASYNC;
