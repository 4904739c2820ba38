/*
 * Runners, groups, as_completed and task-locals without memory: each allocation fails once. Whatever fails says -ENOMEM,
 * nothing hangs, and nothing is lost (the sanitizers look). The linker gives this program's allocations to the functions
 * below (--wrap).
 */
#include "async_check.h"
#include "tap_main.h"
#include <gather/group.h>
#include <gather/local.h>
#include <gather/runner.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static unsigned countdown; /* the allocation that fails; 0: none */
static bool failed;

static bool granted(void)
{
	if (countdown == 0 || --countdown > 0)
		return true;
	failed = true;
	return false;
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

static const struct ga_local local = { .name = "local" };
static const int one = 1, two = 2;
static int value;

static int set_and_sleep(const void *arg)
{
	int r = ga_local_set(&local, &value);

	EXPECT(r == 0 ? ga_local_get(&local) == &value : r == -ENOMEM && !ga_local_get(&local));
	r = ga_sleep(GA_SECONDS(*(const int *)arg));
	return r < 0 ? r : 0;
}

static int fail_in_a_group(const void *unused GA_UNUSED)
{
	struct ga_group g;
	int r = ga_group_enter(&g);

	EXPECT(r == 0);
	r = ga_group_spawn(&g, set_and_sleep, &two);
	if (r >= 0)
		r = ga_group_spawn(&g, fail_now, NULL);
	if (r >= 0)
		r = ga_sleep(GA_SECONDS(50));
	return ga_group_exit(&g, r);
}

static bool expected(int r, int without_failure)
{
	return r == without_failure || (failed && r == -ENOMEM);
}

static int groups(void)
{
	struct ga_group g;
	const struct ga_failure *failures;
	size_t count;
	int r = ga_group_enter(&g);

	EXPECT(r == 0);
	r = ga_group_spawn(&g, set_and_sleep, &one);
	if (r >= 0)
		r = ga_group_spawn(&g, fail_in_a_group, NULL);
	r = ga_group_exit(&g, r);
	EXPECT(expected(r, -EIO));
	failures = ga_failures(NULL, &count);
	EXPECT(failures ? count >= 1 && failures[0].error == r : failed && count == 0);
	EXPECT(failed || failures[0].inner_count == 1);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return 0;
}

static int completed(void)
{
	ga_future *f[] = { ga_spawn(set_and_sleep, &two), ga_sleep_future(GA_SECONDS(1)) };
	ga_as_completed *c;
	ga_future *next;
	int r = ga_as_completed_new(f, 2, &c), got = 0;

	EXPECT(expected(r, 0));
	if (r >= 0) {
		while ((r = ga_as_completed_next(c, ga_now() + GA_SECONDS(9), &next)) == 0)
			got += expected(ga_result(next, NULL), 0);
		EXPECT((r == -ENODATA && got == 2) || expected(r, -ENODATA));
		ga_as_completed_free(c);
	}
	ga_release_all(f, 2);
	return 0;
}

static int scoped(void)
{
	struct ga_timeout scope, shield;
	int r = ga_timeout_enter(&scope, ga_now() + GA_SECONDS(3));

	EXPECT(expected(r, 0));
	if (r < 0)
		return 0;
	r = ga_shield_enter(&shield, ga_now() + GA_SECONDS(1));
	if (r >= 0)
		r = ga_timeout_exit(&shield, ga_sleep(GA_SECONDS(5)));
	EXPECT(expected(r, -ETIMEDOUT));
	r = ga_timeout_exit(&scope, ga_sleep(GA_SECONDS(5)));
	EXPECT(expected(r, -ETIMEDOUT));
	return 0;
}

static int all_of_it(const void *unused GA_UNUSED)
{
	int r = groups();

	if (r >= 0)
		r = completed();
	return r < 0 ? r : scoped();
}

static void each_allocation_may_fail(void **state GA_UNUSED)
{
	const struct ga_run_options options = { .virtual_time = true, .seed = 7 };
	unsigned nth = 0;

	do {
		int r;

		failed = false;
		countdown = ++nth;
		r = ga_run_with(all_of_it, NULL, &options);
		countdown = 0;
		assert_true(r == 0 || (failed && r == -ENOMEM));
		assert_null(loop_current());
	} while (failed);
	assert_true(nth > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
	};

	return TAP_RUN(tests);
}
