/*
 * async_check.h — for tests of coroutines: expectations that may fail on a coroutine's stack, and virtual time.
 *
 * cmocka leaves a failed assertion by longjmp, which a coroutine's stack doesn't survive. So a coroutine says where an
 * expectation failed and returns, and the test asserts that its run returned 0.
 */
#pragma once
#include "fiber.h"
#include "loop.h"
#include "runtime.h"
#include <errno.h>
#include <gather/async.h>
#include <stdio.h>

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);   \
			return -1000000 - __LINE__;                                                \
		}                                                                                  \
	} while (0)

struct virtual_clock {
	int64_t now;
};

static inline int64_t virtual_now(void *arg)
{
	return ((struct virtual_clock *)arg)->now;
}

static inline void virtual_idle(void *arg, int64_t due)
{
	((struct virtual_clock *)arg)->now = due;
}

static inline void virtual_done(ga_future *main GA_UNUSED, void *arg)
{
	loop_stop(arg);
}

/* As ga_run(), in virtual time (it begins at 1 s and jumps whenever all are parked), on stacks of one's choice. */
static inline int run_virtual_on(const struct stacks_options *stacks, ga_coroutine_fn fn,
				 const void *arg)
{
	struct virtual_clock clock = { GA_SECONDS(1) };
	struct loop_options options = { .clock = virtual_now, .idle = virtual_idle, .clock_arg = &clock };
	struct loop *l;
	struct runtime *rt;
	ga_future *main;
	int r = loop_new(&options, &l);

	if (r < 0)
		return r;
	r = runtime_new(stacks, &rt);
	if (r >= 0) {
		main = ga_spawn(fn, arg);
		r = ga_on_done(main, virtual_done, l);
		if (r >= 0)
			r = loop_run(l);
		if (r >= 0)
			r = ga_result(main, NULL);
		ga_release(main);
	}
	loop_free(l);
	return r;
}

static inline int run_virtual(ga_coroutine_fn fn)
{
	return run_virtual_on(NULL, fn, NULL);
}

/* A unit test that runs the coroutine NAME_body, defined before it. */
#define CASE(name)                                                                                 \
	static int name##_body(const void *arg GA_UNUSED);                                         \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		assert_int_equal(run_virtual(name##_body), 0);                                     \
	}                                                                                          \
	static int name##_body(const void *arg GA_UNUSED)

/* Coroutines that many tests use. */
static inline int sleep_then_return(const void *arg) /* *arg: seconds; returns them, or -ECANCELED */
{
	int seconds = *(const int *)arg;
	int r = ga_sleep(GA_SECONDS(seconds));

	return r < 0 ? r : seconds;
}

static inline int fail_now(const void *unused GA_UNUSED)
{
	return -EIO;
}

static inline int swallow_cancel(const void *unused GA_UNUSED) /* returns 42 when cancelled */
{
	return ga_sleep(GA_SECONDS(1000)) == -ECANCELED ? 42 : 0;
}

static inline int one_turn(void)
{
	return ga_sleep(0);
}
