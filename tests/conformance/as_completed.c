/* as_completed. */
#include "conform.h"
#include <gather/group.h>

CASE(order, "spec, asyncio-task#asyncio.as_completed",
     "as_completed: yields in completion order and hands back the same handles")
{
	ga_future *f[] = { NAP(3, 3), NAP(1, 1), NAP(2, 2) };
	ga_future *const expected[] = { f[1], f[2], f[0] };
	ga_as_completed *it;
	ga_future *next;

	HOLDS(ga_as_completed_new(f, 3, &it) == 0);
	for (int i = 0; i < 3; i++) {
		HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0);
		HOLDS(next == expected[i] && ga_result(next, NULL) == i + 1);
	}
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == -ENODATA);
	HOLDS(ga_as_completed_next(it, 0, &next) == -ENODATA);
	ga_as_completed_free(it);
	ga_release_all(f, 3);
	return 0;
}

CASE(errors, "asyncio-task#asyncio.as_completed",
     "as_completed: an error is the future's, not the iteration's")
{
	ga_future *f[] = { NAP(1, -EPROTO), NAP(2, 2) };
	ga_as_completed *it;
	ga_future *next;

	HOLDS(ga_as_completed_new(f, 2, &it) == 0);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0 && ga_result(next, NULL) == -EPROTO);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0 && ga_result(next, NULL) == 2);
	ga_as_completed_free(it);
	ga_release_all(f, 2);
	return 0;
}

CASE(timeout, "spec, asyncio-task#asyncio.as_completed",
     "as_completed: a timeout surfaces at the next step and cancels nothing")
{
	ga_future *f[] = { NAP(1, 1), NAP(5, 5) };
	int64_t deadline = after(2);
	ga_as_completed *it;
	ga_future *next = NULL;

	HOLDS(ga_as_completed_new(f, 2, &it) == 0);
	HOLDS(ga_as_completed_next(it, deadline, &next) == 0 && next == f[0]);
	HOLDS(ga_as_completed_next(it, deadline, &next) == -ETIMEDOUT);
	HOLDS(ga_now() == deadline);
	HOLDS(!ga_done(f[1]) && ga_cancelling(f[1]) == 0);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0 && next == f[1]);
	HOLDS(ga_result(next, NULL) == 5);
	ga_as_completed_free(it);
	ga_release_all(f, 2);
	return 0;
}

CASE(resumes, "spec", "as_completed: iteration can stop and resume without loss")
{
	ga_future *f[] = { NAP(1, 1), NAP(2, 2), NAP(3, 3), NAP(4, 4) };
	ga_as_completed *it;
	ga_future *next;
	int sum = 0;

	HOLDS(ga_as_completed_new(f, 4, &it) == 0);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0);
	sum += ga_result(next, NULL);
	HOLDS(ga_sleep(GA_SECONDS(9)) == 0); /* meanwhile all end */
	for (int i = 0; i < 3; i++) {
		HOLDS(ga_as_completed_next(it, 0, &next) == 0); /* they are there: no wait, no timeout */
		sum += ga_result(next, NULL);
	}
	HOLDS(sum == 10);
	ga_as_completed_free(it);
	ga_release_all(f, 4);
	return 0;
}

struct taker {
	ga_as_completed *it;
	ga_future *got;
};

static int take(const void *arg)
{
	struct taker *t = *(struct taker *const *)arg;

	return ga_as_completed_next(t->it, GA_NEVER, &t->got);
}

CASE(cancelled, "spec", "as_completed: a cancelled step cancels nothing and loses nothing")
{
	ga_future *f[] = { NAP(2, 1), NAP(3, 2) };
	struct taker taker = { 0 }, *at = &taker;
	ga_future *next, *t;

	HOLDS(ga_as_completed_new(f, 2, &taker.it) == 0);
	t = ga_spawn(take, &at);
	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED && !taker.got);
	HOLDS(ga_cancelling(f[0]) == 0 && ga_cancelling(f[1]) == 0);
	for (int i = 0; i < 2; i++)
		HOLDS(ga_as_completed_next(taker.it, GA_NEVER, &next) == 0 && next == f[i]);
	ga_release(t);
	ga_as_completed_free(taker.it);
	ga_release_all(f, 2);
	return 0;
}

CASE(cancelled_late, "spec",
     "as_completed: cancelled after one was done but before it ran, the step loses none")
{
	ga_future *f[] = { ga_future_new(), NAP(3, 2) };
	struct taker taker = { 0 }, *at = &taker;
	ga_future *next, *t;
	int r;

	HOLDS(ga_as_completed_new(f, 2, &taker.it) == 0);
	t = ga_spawn(take, &at);
	HOLDS(settle() == 0);
	HOLDS(ga_resolve(f[0], 0, NULL) == 0);
	HOLDS(ga_cancel(t));
	r = ga_await(t);
	HOLDS(r == 0 || r == -ECANCELED);
	if (r == -ECANCELED) {
		HOLDS(!taker.got);
		HOLDS(ga_as_completed_next(taker.it, GA_NEVER, &next) == 0 && next == f[0]);
	} else {
		HOLDS(taker.got == f[0]);
	}
	HOLDS(ga_as_completed_next(taker.it, GA_NEVER, &next) == 0 && next == f[1]);
	ga_release(t);
	ga_as_completed_free(taker.it);
	ga_release_all(f, 2);
	return 0;
}

CASE(done_already, "asyncio-task#asyncio.as_completed",
     "as_completed: what is done already comes first, without a wait")
{
	ga_future *f[] = { NAP(1, 1), ga_future_new() };
	ga_as_completed *it;
	ga_future *next;
	int64_t start = ga_now();

	HOLDS(ga_resolve(f[1], 8, NULL) == 0);
	HOLDS(ga_as_completed_new(f, 2, &it) == 0);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0 && next == f[1] && ga_now() == start);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0 && next == f[0]);
	ga_as_completed_free(it);
	ga_release_all(f, 2);
	return 0;
}

CASE(none, "asyncio-task#asyncio.as_completed", "as_completed: of nothing is over at once")
{
	ga_as_completed *it;
	ga_future *next;

	HOLDS(ga_as_completed_new(NULL, 0, &it) == 0);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == -ENODATA);
	ga_as_completed_free(it);
	ga_as_completed_free(NULL);
	return 0;
}

CASE(left_early, "asyncio-task#asyncio.as_completed", "as_completed: left early, the others run on")
{
	ga_future *f[] = { NAP(1, 1), NAP(2, 2) };
	ga_as_completed *it;
	ga_future *next;

	HOLDS(ga_as_completed_new(f, 2, &it) == 0);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0);
	ga_as_completed_free(it);
	HOLDS(ga_await(f[1]) == 2);
	ga_release_all(f, 2);
	return 0;
}

CASE(many, "asyncio-task#asyncio.as_completed",
     "as_completed: of a hundred sleeps gives each once, in order")
{
	ga_future *f[100], *next;
	ga_as_completed *it;

	for (int i = 0; i < 100; i++)
		f[i] = ga_sleep_future(GA_MILLISECONDS(100 - i));
	HOLDS(ga_as_completed_new(f, 100, &it) == 0);
	for (int i = 99; i >= 0; i--)
		HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == 0 && next == f[i]);
	HOLDS(ga_as_completed_next(it, GA_NEVER, &next) == -ENODATA);
	ga_as_completed_free(it);
	ga_release_all(f, 100);
	return 0;
}
