/* Once warm, suspending and resuming takes no memory: every allocation of libgather and of libevent is counted. */
#include "async_check.h"
#include "tap_main.h"
#include <event2/event.h>
#include <gather/queue.h>
#include <gather/stream.h>
#include <gather/sync.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CYCLES 2000

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static unsigned long allocations;

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	allocations++;
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	allocations++;
	return __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	allocations++;
	return __real_reallocarray(old, count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	allocations++;
	return __real_aligned_alloc(alignment, size);
}

/* One cycle, and what it is about. */
typedef int (*cycle_fn)(void *arg);

static int count_allocations(cycle_fn cycle, void *arg)
{
	unsigned long before;

	for (int i = 0; i < CYCLES; i++)
		EXPECT(cycle(arg) == 0);
	before = allocations;
	for (int i = 0; i < CYCLES; i++)
		EXPECT(cycle(arg) == 0);
	return (int)(allocations - before);
}

static int yield(void *unused GA_UNUSED)
{
	return ga_sleep(0);
}

CASE(yielding_takes_no_memory)
{
	EXPECT(count_allocations(yield, NULL) == 0);
	return 0;
}

static int nap(void *unused GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(1));
}

CASE(sleeping_takes_no_memory)
{
	EXPECT(count_allocations(nap, NULL) == 0);
	return 0;
}

static int nap_in_scope(void *unused GA_UNUSED)
{
	struct ga_timeout scope;
	int r = ga_timeout_enter(&scope, ga_now() + GA_SECONDS(1));

	return r < 0 || ga_timeout_exit(&scope, ga_sleep(GA_SECONDS(9))) != -ETIMEDOUT;
}

CASE(a_timeout_that_expires_takes_no_memory)
{
	EXPECT(count_allocations(nap_in_scope, NULL) == 0);
	return 0;
}

static int nothing(const void *unused GA_UNUSED)
{
	return 0;
}

static int spawn_and_join(void *unused GA_UNUSED)
{
	GA_AUTO ga_future *task = ga_spawn(nothing, NULL);

	return ga_await(task);
}

CASE(spawning_and_joining_takes_no_memory)
{
	EXPECT(count_allocations(spawn_and_join, NULL) == 0);
	return 0;
}

static int await_sleep(void *unused GA_UNUSED)
{
	GA_AUTO ga_future *sleep = ga_sleep_future(GA_SECONDS(1));

	return ga_await(sleep);
}

/* Its own memory comes from a slab, but under sanitizers and valgrind from malloc(). */
CASE(awaiting_a_stackless_sleep_takes_no_more_than_itself)
{
	EXPECT(count_allocations(await_sleep, NULL) <= CYCLES);
	return 0;
}

struct pair {
	struct ga_lock lock;
	ga_queue *there, *back;
	ga_stream *ends[2];
};

static int hold_and_yield(void *arg)
{
	struct pair *p = arg;
	int r = ga_lock_acquire(&p->lock, GA_NEVER);

	if (r < 0)
		return r;
	r = ga_sleep(0);
	return ga_lock_release(&p->lock) < 0 ? -EPERM : r;
}

static int hold_for_ever(const void *arg)
{
	while (hold_and_yield((void *)(uintptr_t)arg) == 0)
		;
	return 0;
}

CASE(handing_a_lock_over_takes_no_memory)
{
	struct pair p = { 0 };
	GA_AUTO ga_future *other = ga_spawn(hold_for_ever, &p);
	int n = count_allocations(hold_and_yield, &p);

	ga_cancel(other);
	(void)ga_await(other);
	EXPECT(n == 0);
	return 0;
}

static int queue_round_trip(void *arg)
{
	struct pair *p = arg;
	void *item;

	EXPECT(ga_queue_put(p->there, p, GA_NEVER) == 0);
	return ga_queue_get(p->back, GA_NEVER, &item);
}

static int pass_items_back(const void *arg)
{
	const struct pair *p = arg;
	void *item;

	while (ga_queue_get(p->there, GA_NEVER, &item) == 0)
		EXPECT(ga_queue_put(p->back, item, GA_NEVER) == 0);
	return 0;
}

CASE(a_queue_s_items_take_no_memory)
{
	struct pair p = { 0 };
	ga_future *other;
	int n;

	EXPECT(ga_queue_new(NULL, &p.there) == 0 && ga_queue_new(NULL, &p.back) == 0);
	other = ga_spawn(pass_items_back, &p);
	n = count_allocations(queue_round_trip, &p);
	ga_queue_shutdown(p.there, false);
	(void)ga_await(other);
	ga_release(other);
	ga_queue_free(p.there);
	ga_queue_free(p.back);
	EXPECT(n == 0);
	return 0;
}

static int stream_round_trip(void *arg)
{
	struct pair *p = arg;
	char data[512] = { 0 };

	EXPECT(ga_stream_write(p->ends[0], data, sizeof(data), GA_NEVER) == 0);
	return ga_stream_read_exactly(p->ends[0], data, sizeof(data), GA_NEVER);
}

static int echo(const void *arg)
{
	const struct pair *p = arg;
	char data[4096];
	int64_t n;

	while ((n = ga_stream_read(p->ends[1], data, sizeof(data), GA_NEVER)) > 0)
		EXPECT(ga_stream_write(p->ends[1], data, (size_t)n, GA_NEVER) == 0);
	return (int)n;
}

CASE(reading_and_writing_streams_takes_no_memory)
{
	struct pair p = { 0 };
	ga_future *other;
	int fds[2], n;

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	EXPECT(ga_stream_new(fds[0], &p.ends[0]) == 0 && ga_stream_new(fds[1], &p.ends[1]) == 0);
	other = ga_spawn(echo, &p);
	n = count_allocations(stream_round_trip, &p);
	EXPECT(ga_stream_shutdown(p.ends[0]) == 0 && ga_await(other) == 0);
	ga_release(other);
	ga_stream_close(p.ends[0]);
	ga_stream_close(p.ends[1]);
	EXPECT(n == 0);
	return 0;
}

static void *counted_malloc(size_t size)
{
	return malloc(size);
}

static void *counted_realloc(void *old, size_t size)
{
	return realloc(old, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yielding_takes_no_memory),
		cmocka_unit_test(sleeping_takes_no_memory),
		cmocka_unit_test(a_timeout_that_expires_takes_no_memory),
		cmocka_unit_test(spawning_and_joining_takes_no_memory),
		cmocka_unit_test(awaiting_a_stackless_sleep_takes_no_more_than_itself),
		cmocka_unit_test(handing_a_lock_over_takes_no_memory),
		cmocka_unit_test(a_queue_s_items_take_no_memory),
		cmocka_unit_test(reading_and_writing_streams_takes_no_memory),
	};

	event_set_mem_functions(counted_malloc, counted_realloc, free);
	return TAP_RUN(tests);
}
