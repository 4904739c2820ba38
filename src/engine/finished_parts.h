/*
 * finished_parts.h — finished jobs and how long they are kept: finished.c. The engine's own.
 */
#pragma once
#include "engine.h"
#include "heap.h"
#include "list.h"

/* Finished jobs that live equally long, so that they expire in the order in which they finished. */
struct lifetime {
	int64_t ttl;
	uint64_t users; /* profiles that have it; the engine's own two lifetimes have one besides */
	struct list jobs;
	struct heap_node due; /* in engine.expiries, always: at the first job's end, or at TIME_NEVER */
};
int finished_init(struct engine *e) GA_MUST_CHECK;
void finished_done(struct engine *e);
int lifetime_acquire(struct engine *e, int64_t ttl) GA_MUST_CHECK;
void lifetime_release(struct engine *e, int64_t ttl);
struct lifetime *lifetime_of(const struct engine *e, const struct job *job);
bool lifetime_matches(const void *item, const void *key);
void finished_enter(struct engine *e, struct job *job);
void finished_leave(struct engine *e, struct job *job);
void finished_expire(struct engine *e);          /* what is due */
void finished_evict(struct engine *e);           /* down to max_finished_bytes */
uint64_t finished_weight(const struct job *job); /* bytes that it takes */
uint64_t bytes_weight(const struct bytes *b);    /* NULL: 0 */
