/*
 * Locks, queues and the like without memory: waiting needs none, and what does need some says so and changes nothing.
 * The linker gives this program's allocations to the functions below (--wrap).
 */
#include "queue_check.h"
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static bool memory_is_out;
static int refused;

static bool granted(void)
{
	refused += memory_is_out;
	return !memory_is_out;
}

void *__wrap_malloc(size_t size)
{
	return granted() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return granted() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return granted() ? __real_realloc(old, size) : NULL;
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return granted() ? __real_reallocarray(old, count, size) : NULL;
}

struct rig {
	struct ga_lock lock;
	struct ga_event event;
	struct ga_condition condition;
	struct ga_semaphore semaphore;
	struct ga_barrier barrier;
	ga_queue *queue;
	int64_t deadline;
};

/* Everything that waits, waited for once. */
static int wait_for_all(struct rig *rig)
{
	void *got;

	EXPECT(ga_event_wait(&rig->event, rig->deadline) == 0);
	EXPECT(ga_semaphore_acquire(&rig->semaphore, rig->deadline) == 0);
	EXPECT(ga_lock_acquire(&rig->lock, rig->deadline) == 0);
	EXPECT(ga_condition_wait(&rig->condition, rig->deadline) == 0);
	EXPECT(ga_lock_release(&rig->lock) == 0);
	EXPECT(ga_queue_get(rig->queue, rig->deadline, &got) == 0);
	EXPECT(ga_queue_put(rig->queue, NULL, rig->deadline) == 0);
	EXPECT(ga_queue_join(rig->queue, rig->deadline) == 0);
	return ga_barrier_wait(&rig->barrier, rig->deadline);
}

static int wait_without_memory(const void *arg)
{
	EXPECT(one_turn() == 0); /* it has its stack now */
	return wait_for_all((struct rig *)(uintptr_t)arg);
}

static int give_all(struct rig *rig)
{
	void *got;

	EXPECT(settle() == 0);
	ga_event_set(&rig->event);
	EXPECT(settle() == 0);
	EXPECT(ga_semaphore_release(&rig->semaphore) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_release(&rig->lock) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_acquire(&rig->lock, 0) == 0);
	EXPECT(ga_condition_notify(&rig->condition, 1) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_lock_release(&rig->lock) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_queue_put_now(rig->queue, NULL) == 0);
	EXPECT(ga_queue_get_now(rig->queue, &got) == -EAGAIN); /* it is the waiter's */
	EXPECT(settle() == 0);
	EXPECT(ga_queue_get_now(rig->queue, &got) == 0);
	EXPECT(settle() == 0);
	EXPECT(ga_queue_task_done(rig->queue) == 0 && ga_queue_task_done(rig->queue) == 0);
	EXPECT(settle() == 0);
	return ga_barrier_wait(&rig->barrier, GA_NEVER);
}

static int rig_up(struct rig *rig)
{
	void *got;

	*rig = (struct rig){ .deadline = GA_NEVER, .queue = queue_of(GA_FIFO, 0) };
	EXPECT(ga_lock_acquire(&rig->lock, GA_NEVER) == 0);
	ga_condition_init(&rig->condition, &rig->lock);
	ga_semaphore_init(&rig->semaphore, 0);
	EXPECT(ga_barrier_init(&rig->barrier, 2) == 0);
	EXPECT(ga_queue_put_now(rig->queue, NULL) == 0); /* its first room */
	EXPECT(ga_queue_get_now(rig->queue, &got) == 0 && ga_queue_task_done(rig->queue) == 0);
	return 0;
}

static int wait_through(bool with_deadline)
{
	struct rig rig = { .deadline = GA_NEVER };
	GA_AUTO ga_future *t = ga_spawn(wait_without_memory, &rig);
	int r;

	EXPECT(rig_up(&rig) == 0);
	EXPECT(ga_sleep(1) == 0); /* the loop has room for timers now */
	if (with_deadline)
		rig.deadline = ga_now() + GA_SECONDS(1);
	refused = 0;
	memory_is_out = true;
	r = give_all(&rig);
	if (r >= 0)
		r = ga_await(t) == 0 ? r : -1;
	memory_is_out = false;
	EXPECT(r == 1 && refused == 0);
	ga_queue_free(rig.queue);
	return 0;
}

CASE(waiting_allocates_nothing)
{
	return wait_through(false);
}

CASE(waiting_with_a_deadline_allocates_nothing_once_the_loop_has_timers)
{
	return wait_through(true);
}

CASE(without_room_for_the_timer_a_wait_fails_and_leaves_no_waiter)
{
	struct rig rig;
	int64_t soon = ga_now() + GA_SECONDS(1);
	int acquired, waited;

	EXPECT(rig_up(&rig) == 0);
	memory_is_out = true;
	acquired = ga_lock_acquire(&rig.lock, soon);
	waited = ga_condition_wait(&rig.condition, soon);
	memory_is_out = false;
	EXPECT(acquired == -ENOMEM && waited == -ENOMEM);
	EXPECT(ga_lock_held(&rig.lock)); /* even so it was acquired again */
	EXPECT(rig.lock.waiters.count == 0 && rig.condition.waiters.count == 0);
	EXPECT(ga_lock_release(&rig.lock) == 0);
	ga_queue_free(rig.queue);
	return 0;
}

static void a_queue_that_cant_be_made_is_none(void **state GA_UNUSED)
{
	ga_queue *q = NULL;
	int r;

	memory_is_out = true;
	r = ga_queue_new(NULL, &q);
	memory_is_out = false;
	assert_int_equal(r, -ENOMEM);
	assert_null(q);
}

static int newest_first(const void *a, const void *b)
{
	return (a < b) - (a > b);
}

/* Put until memory is wanted: that put fails, and the rest is as before. */
static int fill(enum ga_queue_order order)
{
	struct ga_queue_options options = { .order = order, .compare = newest_first };
	ga_queue *q;
	size_t held = 1;
	void *got;
	int r = 0, last;

	EXPECT(ga_queue_new(&options, &q) == 0);
	EXPECT(ga_queue_put_now(q, item('a')) == 0);
	memory_is_out = true;
	while (held < 26 && (r = ga_queue_put_now(q, item((char)('a' + held)))) == 0)
		held++;
	last = ga_queue_put(q, NULL, GA_NEVER);
	memory_is_out = false;
	EXPECT(r == -ENOMEM && last == -ENOMEM && ga_queue_size(q) == held);
	for (size_t i = 0; i < held; i++) {
		EXPECT(ga_queue_get_now(q, &got) == 0);
		EXPECT(got == item((char)(order == GA_FIFO ? 'a' + i : 'a' + held - 1 - i)));
		EXPECT(ga_queue_task_done(q) == 0);
	}
	EXPECT(ga_queue_task_done(q) == -EINVAL && ga_queue_get_now(q, &got) == -EAGAIN);
	ga_queue_free(q);
	return 0;
}

CASE(a_put_without_memory_fails_and_changes_nothing)
{
	EXPECT(fill(GA_FIFO) == 0);
	EXPECT(fill(GA_LIFO) == 0);
	EXPECT(fill(GA_PRIORITY) == 0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_allocates_nothing),
		cmocka_unit_test(waiting_with_a_deadline_allocates_nothing_once_the_loop_has_timers),
		cmocka_unit_test(without_room_for_the_timer_a_wait_fails_and_leaves_no_waiter),
		cmocka_unit_test(a_queue_that_cant_be_made_is_none),
		cmocka_unit_test(a_put_without_memory_fails_and_changes_nothing),
	};

	return TAP_RUN(tests);
}
