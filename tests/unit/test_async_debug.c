/* Debug mode: what it reports, and that it is silent of what is right. */
#include "async_check.h"
#include "debugging.h"
#include "tap_main.h"
#include <gather/debug.h>
#include <gather/queue.h>
#include <gather/runner.h>
#include <gather/sync.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The reports of a run, one behind the other; the watchdog's come on its thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char reports[16384];
static _Atomic unsigned counts[GA_REPORT_MISUSE + 1];

static void note(enum ga_report_kind kind, const char *text, void *arg GA_UNUSED)
{
	pthread_mutex_lock(&lock);
	strncat(reports, text, sizeof(reports) - strlen(reports) - 1);
	strncat(reports, "\n", sizeof(reports) - strlen(reports) - 1);
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&counts[kind], 1);
}

static unsigned total(void)
{
	unsigned sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		sum += counts[i];
	return sum;
}

static bool said(const char *what)
{
	bool found;

	pthread_mutex_lock(&lock);
	found = strstr(reports, what) != NULL;
	pthread_mutex_unlock(&lock);
	return found;
}

static int run_debugged(ga_coroutine_fn fn, const void *arg, const struct ga_run_options *options)
{
	int r;

	memset(reports, 0, sizeof(reports));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		counts[i] = 0;
	ga_debug_report_to(note, NULL);
	r = ga_run_with(fn, arg, options);
	ga_debug_report_to(NULL, NULL);
	if (r < 0)
		fprintf(stderr, "# %s\n", reports);
	return r;
}

/* A unit test that runs NAME_body in debug mode, in virtual time, and then looks at the reports. */
#define DEBUG_CASE(name, expect)                                                                   \
	static int name##_body(const void *arg GA_UNUSED);                                         \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		const struct ga_run_options options = { .debug = true, .virtual_time = true };     \
                                                                                                   \
		bool as_expected;                                                                  \
                                                                                                   \
		assert_int_equal(run_debugged(name##_body, NULL, &options), 0);                    \
		as_expected = expect;                                                              \
		if (!as_expected)                                                                  \
			fprintf(stderr, "# reports: %s\n", reports);                               \
		assert_true(as_expected);                                                          \
	}                                                                                          \
	static int name##_body(const void *arg GA_UNUSED)

static int await_fails(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *task = ga_spawn(fail_now, NULL);

	return ga_await(task);
}

/* All that waits, ends and reads as it should. */
DEBUG_CASE(what_is_right_is_not_reported, total() == 0)
{
	GA_AUTO ga_future *nap = ga_sleep_future(GA_SECONDS(1));
	GA_AUTO ga_future *fails = ga_spawn(fail_now, NULL);
	GA_AUTO ga_future *cancelled = ga_spawn(swallow_cancel, NULL);
	GA_AUTO ga_future *plain = ga_future_new();
	GA_AUTO ga_future *inner = ga_spawn(await_fails, NULL);
	GA_AUTO ga_future *failed = ga_future_new();
	GA_AUTO ga_future *awaited = ga_future_new();
	ga_future *some[] = { nap, plain };
	ga_future *all[] = { fails, inner };

	EXPECT(ga_wait(some, 2, GA_FIRST_COMPLETED, GA_NEVER) == 1);
	EXPECT(ga_gather(all, 2, GA_RETURN_EXCEPTIONS) == 0);
	ga_cancel(cancelled); /* and nobody looks at what it made of that: it is no error */
	EXPECT(ga_resolve(failed, -EIO, NULL) == 0);
	EXPECT(ga_result(failed, NULL) == -EIO);
	EXPECT(ga_resolve(awaited, -EIO, NULL) == 0);
	EXPECT(ga_await(awaited) == -EIO);
	return 0;
}

DEBUG_CASE(a_task_whose_error_nobody_read_is_reported_with_its_place,
	   counts[GA_REPORT_NEVER_RETRIEVED] == 1 && total() == 1 && said("task fail_now (") &&
		   said("test_async_debug.c:") && said("Input/output error"))
{
	ga_release(ga_spawn(fail_now, NULL));
	return one_turn();
}

DEBUG_CASE(an_error_that_a_wait_saw_is_not_retrieved_yet, counts[GA_REPORT_NEVER_RETRIEVED] == 1)
{
	GA_AUTO ga_future *task = ga_spawn(fail_now, NULL);
	ga_future *tasks[] = { task };

	EXPECT(ga_wait(tasks, 1, GA_FIRST_EXCEPTION, GA_NEVER) == 1);
	return 0;
}

static void look_away(ga_future *future GA_UNUSED, void *arg GA_UNUSED)
{
}

DEBUG_CASE(a_callback_that_doesnt_look_retrieves_nothing, counts[GA_REPORT_NEVER_RETRIEVED] == 1)
{
	GA_AUTO ga_future *task = ga_spawn(fail_now, NULL);

	EXPECT(ga_on_done(task, look_away, NULL) == 0);
	return one_turn();
}

DEBUG_CASE(a_future_that_nobody_waited_for_is_reported,
	   counts[GA_REPORT_NEVER_AWAITED] == 1 && total() == 1 &&
		   said("a future (sleep) was never awaited; "
			"made by task main"))
{
	ga_release(ga_sleep_future(GA_SECONDS(1)));
	return 0;
}

static int take_lock(const void *arg)
{
	struct ga_lock *a_lock = (struct ga_lock *)(uintptr_t)arg;

	EXPECT(ga_lock_acquire(a_lock, GA_NEVER) == 0);
	return ga_lock_release(a_lock);
}

DEBUG_CASE(a_lock_that_isnt_held_can_be_released_by_nobody,
	   counts[GA_REPORT_MISUSE] == 1 &&
		   said("ga_lock_release(): the lock isn't held; called by task main"))
{
	struct ga_lock a_lock = { 0 };
	GA_AUTO ga_future *task = ga_spawn(take_lock, &a_lock);

	EXPECT(ga_await(task) == 0);
	EXPECT(ga_lock_release(&a_lock) == -EPERM);
	return 0;
}

static int await_it(const void *future)
{
	return ga_await((ga_future *)(uintptr_t)future);
}

static int return_seven(const void *unused GA_UNUSED)
{
	return 7;
}

static ga_future *kept[2];

static bool let_go(void)
{
	ga_release_all(kept, 2);
	return true;
}

DEBUG_CASE(what_is_still_held_when_the_loop_ends_is_reported,
	   counts[GA_REPORT_LEAK] == 2 && total() == 2 && said("task return_seven (") &&
		   said("a future (future) is still held when its loop ends, and pending") && let_go())
{
	kept[0] = ga_spawn(return_seven, NULL);
	kept[1] = ga_future_new();
	return one_turn();
}

static void *use_elsewhere(void *arg)
{
	ga_future *future = arg;

	if (ga_cancel(future) || ga_resolve(future, 0, NULL) != -EPERM || ga_await(future) != -EPERM)
		return arg;
	return ga_spawn(return_seven, NULL);
}

DEBUG_CASE(a_call_on_another_thread_is_refused_and_reported,
	   counts[GA_REPORT_THREAD] == 4 && total() == 4 && said("ga_cancel() of a future (future)") &&
		   said("ga_resolve()") && said("ga_await()") && said("ga_spawn()"))
{
	GA_AUTO ga_future *future = ga_future_new();
	GA_AUTO ga_future *waiter = ga_spawn(await_it, future);
	pthread_t thread;
	void *wrong;

	EXPECT(pthread_create(&thread, NULL, use_elsewhere, future) == 0);
	EXPECT(pthread_join(thread, &wrong) == 0 && !wrong);
	EXPECT(one_turn() == 0);
	EXPECT(ga_resolve(future, 0, NULL) == 0);
	return ga_await(waiter);
}

DEBUG_CASE(a_queue_that_is_done_too_often_is_reported, counts[GA_REPORT_MISUSE] == 1)
{
	ga_queue *queue;

	EXPECT(ga_queue_new(NULL, &queue) == 0);
	EXPECT(ga_queue_task_done(queue) == -EINVAL);
	ga_queue_free(queue);
	return 0;
}

static int gather_it(const void *future)
{
	ga_future *only[] = { (ga_future *)(uintptr_t)future };

	return ga_gather(only, 1, 0);
}

DEBUG_CASE(a_future_that_is_dropped_while_it_is_waited_for_is_reported_and_kept,
	   counts[GA_REPORT_MISUSE] == 1 && total() == 1 &&
		   said("a future (future) was released for the last time while it is waited for"))
{
	ga_future *future = ga_future_new();
	GA_AUTO ga_future *waiter = ga_spawn(gather_it, future);

	EXPECT(one_turn() == 0);
	ga_release(future);
	EXPECT(ga_resolve(future, 0, NULL) == 0);
	EXPECT(ga_await(waiter) == 0);
	ga_release(future);
	return 0;
}

static void the_environment_turns_it_on(void **state GA_UNUSED)
{
	assert_int_equal(setenv("GATHER_DEBUG", "1", 1), 0);
	assert_int_equal(run_debugged(a_future_that_nobody_waited_for_is_reported_body, NULL, NULL), 0);
	assert_int_equal(counts[GA_REPORT_NEVER_AWAITED], 1);
	unsetenv("GATHER_DEBUG");
	assert_int_equal(run_debugged(a_future_that_nobody_waited_for_is_reported_body, NULL, NULL), 0);
	assert_int_equal(total(), 0);
	assert_false(debug_active);
}

static void reports_go_to_standard_error_by_themselves(void **state GA_UNUSED)
{
	const struct ga_run_options options = { .debug = true };
	int saved = dup(STDERR_FILENO), ends[2];
	char text[512] = "";

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	assert_int_equal(
		ga_run_with(a_future_that_nobody_waited_for_is_reported_body, NULL, &options), 0);
	dup2(saved, STDERR_FILENO);
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	close(saved);
	assert_non_null(strstr(text, "libgather: "));
}

/* ---- the watchdog ---- */

static sem_t reported;

static void note_and_tell(enum ga_report_kind kind, const char *text, void *arg)
{
	note(kind, text, arg);
	if (kind == GA_REPORT_SLOW)
		sem_post(&reported);
}

/* Exported, so that dladdr(3) knows it. It holds the loop until that was reported, or for ten seconds. */
__attribute__((visibility("default"), noinline)) int hold_the_loop(void);
int hold_the_loop(void)
{
	struct timespec now;
	time_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + 10;
	while (sem_trywait(&reported) < 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end)
			return -ETIMEDOUT;
	}
	return 0;
}

static int holder(const void *unused GA_UNUSED)
{
	int r = hold_the_loop();

	return r < 0 ? r : ga_sleep(0);
}

static int spawn_holder(const void *stack_bytes)
{
	const struct ga_spawn_options options = { .stack_bytes = *(const size_t *)stack_bytes };
	GA_AUTO ga_future *task = ga_spawn_with(holder, NULL, &options);

	return ga_await(task);
}

static int run_watched(ga_coroutine_fn fn, const void *arg)
{
	const struct ga_run_options options = { .debug = true, .slow_ns = GA_MILLISECONDS(20) };
	int r;

	memset(reports, 0, sizeof(reports));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		counts[i] = 0;
	sem_init(&reported, 0, 0);
	ga_debug_report_to(note_and_tell, NULL);
	r = ga_run_with(fn, arg, &options);
	ga_debug_report_to(NULL, NULL);
	sem_destroy(&reported);
	return r;
}

/* A loop ends while the report of its step is still being written, and another one begins. */
static atomic_bool ended, first_closed, second_runs;

static bool becomes_true(atomic_bool *flag)
{
	for (int i = 0; i < 5000 && !*flag; i++)
		usleep(1000);
	return *flag;
}

static void note_until_the_second_runs(enum ga_report_kind kind, const char *text, void *arg)
{
	note_and_tell(kind, text, arg);
	if (kind == GA_REPORT_SLOW)
		(void)becomes_true(&second_runs);
}

static int first_main(const void *unused GA_UNUSED)
{
	int r = hold_the_loop();

	ended = true;
	return r;
}

static int second_main(const void *unused GA_UNUSED)
{
	second_runs = true;
	return becomes_true(&first_closed) ? 0 : -ETIMEDOUT;
}

static void *second(void *result)
{
	const struct ga_run_options options = { .debug = true, .slow_ns = GA_SECONDS(100) };

	(void)becomes_true(&ended);
	usleep(50000); /* for the first to be closing */
	*(int *)result = ga_run_with(second_main, NULL, &options);
	return NULL;
}

static void a_loop_ends_without_waiting_for_another_that_began_meanwhile(void **state GA_UNUSED)
{
	const struct ga_run_options options = { .debug = true, .slow_ns = GA_MILLISECONDS(20) };
	int result = -1;
	pthread_t thread;

	sem_init(&reported, 0, 0);
	ga_debug_report_to(note_until_the_second_runs, NULL);
	assert_int_equal(pthread_create(&thread, NULL, second, &result), 0);
	assert_int_equal(ga_run_with(first_main, NULL, &options), 0);
	first_closed = true;
	pthread_join(thread, NULL);
	ga_debug_report_to(NULL, NULL);
	sem_destroy(&reported);
	assert_int_equal(result, 0);
}

static void a_step_that_holds_the_loop_is_reported_while_it_does(void **state GA_UNUSED)
{
	size_t stacks[] = { 16384, 65536, 262144 };

	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		assert_int_equal(run_watched(spawn_holder, &stacks[i]), 0);
		assert_int_equal(counts[GA_REPORT_SLOW], 1);
		assert_true(said("task holder ("));
		assert_true(said("test_async_debug.c:"));
		if (!said("hold_the_loop+0x"))
			fprintf(stderr, "# %s\n", reports);
		assert_true(said("hold_the_loop+0x"));
	}
}

static void hold_in_callback(ga_future *f GA_UNUSED, void *arg)
{
	*(int *)arg = hold_the_loop();
}

static int hold_outside(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *future = ga_future_new();
	int result = 1;

	EXPECT(ga_on_done(future, hold_in_callback, &result) == 0);
	EXPECT(ga_resolve(future, 0, NULL) == 0);
	EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	return result;
}

static void a_callback_that_holds_the_loop_is_reported_too(void **state GA_UNUSED)
{
	assert_int_equal(run_watched(hold_outside, NULL), 0);
	assert_int_equal(counts[GA_REPORT_SLOW], 1);
	assert_true(said("a callback outside of tasks has held the loop"));
}

static int wait_a_while(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_MILLISECONDS(150));
}

static void a_loop_that_waits_is_not_slow(void **state GA_UNUSED)
{
	assert_int_equal(run_watched(wait_a_while, NULL), 0);
	assert_int_equal(total(), 0);
}

/* ---- stacks ---- */

__attribute__((noinline)) static int go_deep(size_t levels)
{
	volatile char frame[1000];

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (char)levels;
	return levels == 0 ? 0 : go_deep(levels - 1) + frame[0] - frame[1];
}

static int use_stack(const void *levels)
{
	size_t count = *(const size_t *)levels;

	return count > 0 ? go_deep(count) : ga_sleep(0);
}

DEBUG_CASE(the_most_stack_that_tasks_of_a_place_used_is_known, total() == 0)
{
	const struct ga_spawn_options options = { .stack_bytes = 262144 };
	static const size_t sizes[] = { 0, 90, 9 };
	struct ga_site_use uses[16];
	size_t count, used[3] = { 0 };

	for (int i = 0; i < 3; i++) {
		GA_AUTO ga_future *task = NULL;

		switch (i) { /* three places */
		case 0:
			task = ga_spawn_with(use_stack, &sizes[0], &options);
			break;
		case 1:
			task = ga_spawn_with(use_stack, &sizes[1], &options);
			break;
		default:
			task = ga_spawn_with(use_stack, &sizes[2], &options);
		}
		EXPECT(ga_await(task) == 0);
	}
	count = ga_site_uses(uses, ARRAY_SIZE(uses));
	EXPECT(count == 4);
	EXPECT(ga_site_uses(NULL, 0) == 4);
	for (size_t i = 0, k = 0; i < count; i++) {
		if (strcmp(uses[i].name, "use_stack") != 0) {
			EXPECT(uses[i].used_bytes > 0 && uses[i].used_bytes < uses[i].stack_bytes);
			continue;
		}
		EXPECT(uses[i].tasks == 1 && uses[i].stack_bytes >= 250000);
		used[k++] = uses[i].used_bytes;
	}
	EXPECT(used[0] > 0 && used[1] >= 90000);
	EXPECT(used[2] >= 9000 && used[2] < used[1] / 4); /* what the second left is gone */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_right_is_not_reported),
		cmocka_unit_test(a_task_whose_error_nobody_read_is_reported_with_its_place),
		cmocka_unit_test(an_error_that_a_wait_saw_is_not_retrieved_yet),
		cmocka_unit_test(a_callback_that_doesnt_look_retrieves_nothing),
		cmocka_unit_test(a_future_that_nobody_waited_for_is_reported),
		cmocka_unit_test(a_lock_that_isnt_held_can_be_released_by_nobody),
		cmocka_unit_test(what_is_still_held_when_the_loop_ends_is_reported),
		cmocka_unit_test(a_call_on_another_thread_is_refused_and_reported),
		cmocka_unit_test(a_queue_that_is_done_too_often_is_reported),
		cmocka_unit_test(a_future_that_is_dropped_while_it_is_waited_for_is_reported_and_kept),
		cmocka_unit_test(the_environment_turns_it_on),
		cmocka_unit_test(reports_go_to_standard_error_by_themselves),
		cmocka_unit_test(a_step_that_holds_the_loop_is_reported_while_it_does),
		cmocka_unit_test(a_loop_ends_without_waiting_for_another_that_began_meanwhile),
		cmocka_unit_test(a_callback_that_holds_the_loop_is_reported_too),
		cmocka_unit_test(a_loop_that_waits_is_not_slow),
		cmocka_unit_test(the_most_stack_that_tasks_of_a_place_used_is_known),
	};

	return TAP_RUN(tests);
}
