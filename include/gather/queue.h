/*
 * queue.h — Queue, LifoQueue, PriorityQueue of pointers between the tasks of one loop (asyncio.Queue).
 *
 * A queue holds at most `max` items; putting waits for room, getting for an item. First come, first served: an item that
 * a waiting getter was woken for is that getter's, and room likewise the putter's, which ga_queue_get(), _get_now(), _put()
 * and _put_now() respect while ga_queue_size() counts what is there. Items belong to who put them, then to who got them;
 * while they are in the queue, nobody touches them.
 *
 * What may wait takes a deadline (on CLOCK_MONOTONIC; GA_NEVER: none), and what is possible at once is done even if that
 * has passed. Errors of all that wait: -ECANCELED and -ETIMEDOUT: no item was put, or none was got; -EPERM: outside a
 * task; -ENOMEM: no room for the timer. One loop: no use between threads.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ga_queue ga_queue;

enum ga_queue_order { GA_FIFO, GA_LIFO, GA_PRIORITY };

struct ga_queue_options {
	enum ga_queue_order order;
	size_t max; /* items; 0: no bound */
	/* GA_PRIORITY: negative: a goes first, positive: b does, 0: in order of arrival. It mustn't suspend. */
	int (*compare)(const void *a, const void *b);
	void (*drop)(void *item); /* called for items that the queue throws away; may be NULL; mustn't suspend */
};

/* A queue on the heap, the caller's. `options` are copied; NULL: FIFO without a bound. -EINVAL: no such order, or a
 * priority without compare; -ENOMEM. */
GA_API int ga_queue_new(const struct ga_queue_options *options, ga_queue **ret_queue) GA_MUST_CHECK;
/* Nobody may wait for it any more; what is in it is dropped. NULL is a no-op. */
GA_API void ga_queue_free(ga_queue *queue);
GA_API void ga_queue_freep(ga_queue **queue); /* for cleanup attributes */

/* Put an item, which may be NULL, and count it as unfinished. 0; -ESHUTDOWN: shut down, before or while it waited;
 * -ENOMEM also: no room to keep it. On an error it isn't in the queue. */
GA_API int ga_queue_put(ga_queue *queue, void *item, int64_t deadline) GA_ASYNC GA_MUST_CHECK;
/* The same without waiting, in a task or outside. -EAGAIN: full. */
GA_API int ga_queue_put_now(ga_queue *queue, void *item) GA_MUST_CHECK;
/* Take the next item. 0; -ESHUTDOWN: shut down, and nothing is left. */
GA_API int ga_queue_get(ga_queue *queue, int64_t deadline, void **ret_item) GA_ASYNC GA_MUST_CHECK;
/* The same without waiting, in a task or outside. -EAGAIN: empty. */
GA_API int ga_queue_get_now(ga_queue *queue, void **ret_item) GA_MUST_CHECK;

/* What was put and got is worked off. -EINVAL: more often than items were put. */
GA_API int ga_queue_task_done(ga_queue *queue);
/* Wait until each item that was put is worked off. 0, at once if that is so. */
GA_API int ga_queue_join(ga_queue *queue, int64_t deadline) GA_ASYNC;

/* No more items: putting fails, also for who waits for room; getting goes on until nothing is left, then fails, also for
 * who waits. ga_queue_join() goes on waiting for what is unfinished. Immediate: what is in the queue is dropped and counts
 * as finished. */
GA_API void ga_queue_shutdown(ga_queue *queue, bool immediate);

GA_API size_t ga_queue_size(const ga_queue *queue); /* items in it */
GA_API size_t ga_queue_max(const ga_queue *queue);  /* 0: no bound */
GA_API bool ga_queue_empty(const ga_queue *queue);
GA_API bool ga_queue_full(const ga_queue *queue);

#ifdef __cplusplus
}
#endif
