/* cancel, uncancel, cancelling: a level that is counted. */
#include "conform.h"

static int body_count;

static int count_body(const void *unused GA_UNUSED)
{
	body_count++;
	return 0;
}

CASE(finished, "spec, asyncio-task#asyncio.Task.cancel", "cancel: on a finished task returns false")
{
	GA_AUTO ga_future *t = NAP(0, 3);

	HOLDS(ga_await(t) == 3);
	HOLDS(!ga_cancel(t));
	HOLDS(ga_cancelling(t) == 0 && ga_result(t, NULL) == 3);
	return 0;
}

CASE(counts, "spec, asyncio-task#asyncio.Task.cancelling",
     "cancel: on an unfinished task returns true each time, and the count grows")
{
	GA_AUTO ga_future *t = NAP(9, 3);

	HOLDS(ga_cancelling(t) == 0);
	HOLDS(ga_cancel(t) && ga_cancelling(t) == 1);
	HOLDS(ga_cancel(t) && ga_cancelling(t) == 2);
	HOLDS(ga_await(t) == -ECANCELED);
	return 0;
}

CASE(before_first_run, "spec", "cancel: before the first run the body never executes")
{
	GA_AUTO ga_future *t = NULL;

	body_count = 0;
	t = ga_spawn(count_body, NULL);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(body_count == 0);
	return 0;
}

CASE(is_thrown, "asyncio-task#asyncio.Task.cancel",
     "cancel: the task's wait ends with -ECANCELED, and a task that returns it is cancelled")
{
	int64_t start = ga_now();
	GA_AUTO ga_future *t = NAP(9, 3);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(!ga_done(t)); /* soon, not inside the call */
	HOLDS(ga_await(t) == -ECANCELED);
	HOLDS(ga_now() - start == GA_MILLISECONDS(1));
	return 0;
}

CASE(suppressed, "spec, asyncio-task#asyncio.Task.cancel",
     "cancel: caught and taken back, followed by a return, is a normal result")
{
	GA_AUTO ga_future *t = ga_spawn(swallow, NULL);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == 42);
	HOLDS(ga_cancelling(t) == 0);
	return 0;
}

static int clean_up_and_fail(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(9)) == -ECANCELED ? -EPROTO : 0;
}

CASE(other_error, "asyncio-task#asyncio.Task.cancel",
     "cancel: an error on the way out stands in its place")
{
	GA_AUTO ga_future *t = ga_spawn(clean_up_and_fail, NULL);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == -EPROTO);
	return 0;
}

CASE(transitive, "spec", "cancel: propagates to what is awaited, transitively")
{
	ga_future *inner = NAP(9, 1), *middle = ga_spawn(await_it, &inner),
		  *outer = ga_spawn(await_it, &middle);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(outer));
	HOLDS(ga_await(outer) == -ECANCELED);
	HOLDS(ga_done(middle) && ga_result(middle, NULL) == -ECANCELED);
	HOLDS(ga_done(inner) && ga_result(inner, NULL) == -ECANCELED);
	ga_release(inner);
	ga_release(middle);
	ga_release(outer);
	return 0;
}

CASE(inner_decides, "asyncio-task#asyncio.Task.cancel",
     "cancel: what is awaited may take the cancel: then its awaiter goes on with its result")
{
	ga_future *inner = ga_spawn(swallow, NULL), *outer = ga_spawn(await_it, &inner);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(outer));
	HOLDS(ga_await(outer) == 42);
	ga_release(inner);
	ga_release(outer);
	return 0;
}

static int cancel_self(const void *unused GA_UNUSED)
{
	if (!ga_cancel(ga_self()))
		return -EIO;
	if (ga_cancelling(ga_self()) != 1)
		return -EIO;
	return ga_sleep(GA_SECONDS(9)) == -ECANCELED ? 7 : -EIO;
}

CASE(self, "spec", "cancel: of oneself takes effect at the next park")
{
	int64_t start = ga_now();
	GA_AUTO ga_future *t = ga_spawn(cancel_self, NULL);

	HOLDS(ga_await(t) == 7);
	HOLDS(ga_now() == start);
	return 0;
}

static int cancel_self_and_return(const void *unused GA_UNUSED)
{
	ga_cancel(ga_self());
	return 7;
}

CASE(self_return, "asyncio-task#asyncio.Task.cancel",
     "cancel: of a task that suspends no more: its result stands")
{
	GA_AUTO ga_future *t = ga_spawn(cancel_self_and_return, NULL);

	HOLDS(ga_await(t) == 7);
	return 0;
}

CASE(awaited_cancelled, "spec", "cancel: of an awaited future cancels its awaiter")
{
	ga_future *inner = ga_future_new(), *outer = ga_spawn(await_it, &inner);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(inner));
	HOLDS(ga_await(outer) == -ECANCELED);
	HOLDS(ga_cancelling(outer) == 0); /* nobody asked for it */
	ga_release(inner);
	ga_release(outer);
	return 0;
}

static int ignore_thrice(const void *unused GA_UNUSED)
{
	for (int i = 0; i < 3; i++)
		if (ga_sleep(GA_SECONDS(9)) != -ECANCELED)
			return -EIO;
	if (ga_uncancel() != 0)
		return -EIO;
	return ga_sleep(GA_SECONDS(1)) == 0 ? 11 : -EIO;
}

CASE_LEVEL(level, "spec", "cancel: ignored, it is said again at each suspension until it is taken back")
{
	int64_t start = ga_now();
	GA_AUTO ga_future *t = ga_spawn(ignore_thrice, NULL);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == 11);
	HOLDS(ga_now() - start == GA_SECONDS(1) + GA_MILLISECONDS(1));
	return 0;
}

static int take_back_one_of_two(const void *unused GA_UNUSED)
{
	if (ga_sleep(GA_SECONDS(9)) != -ECANCELED || ga_uncancel() != 1)
		return -EIO;
	if (ga_sleep(GA_SECONDS(9)) != -ECANCELED || ga_uncancel() != 0)
		return -EIO;
	return ga_sleep(0) == 0 ? 12 : -EIO;
}

CASE_LEVEL(counted, "spec, asyncio-task#asyncio.Task.uncancel",
	   "uncancel: takes one request back and returns how many are left")
{
	GA_AUTO ga_future *t = ga_spawn(take_back_one_of_two, NULL);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t) && ga_cancel(t));
	HOLDS(ga_await(t) == 12);
	return 0;
}

CASE(uncancel_none, "asyncio-task#asyncio.Task.uncancel",
     "uncancel: without a request it is 0 and stays 0")
{
	HOLDS(ga_uncancel() == 0 && ga_uncancel() == 0);
	HOLDS(ga_cancelling(ga_self()) == 0);
	HOLDS(ga_cancel(ga_self()) && ga_cancelling(ga_self()) == 1); /* nothing was owed */
	HOLDS(ga_uncancel() == 0);
	return 0;
}

CASE(uncancel_undelivered, "asyncio-task#asyncio.Task.uncancel",
     "uncancel: a request taken back before it was delivered isn't delivered")
{
	HOLDS(ga_cancel(ga_self()));
	HOLDS(ga_uncancel() == 0);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

CASE(cancelling_futures, "asyncio-task#asyncio.Task.cancelling",
     "cancelling: is a task's; of other futures and of nothing it is 0")
{
	GA_AUTO ga_future *f = ga_future_new();

	HOLDS(ga_cancelling(NULL) == 0 && ga_cancelling(f) == 0);
	HOLDS(ga_cancel(f) && ga_cancelling(f) == 0);
	return 0;
}

CASE_LEVEL(each_reaches, "spec", "cancel: a newer one reaches again what is awaited")
{
	ga_future *inner = ga_spawn(take_back_one_of_two, NULL), *outer = ga_spawn(await_it, &inner);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(outer) && ga_cancel(outer));
	HOLDS(ga_await(outer) == 12);
	ga_release(inner);
	ga_release(outer);
	return 0;
}

struct late {
	ga_future *future;
	int first, next;
};

static int await_then_sleep(const void *arg)
{
	struct late *l = *(struct late *const *)arg;

	l->first = ga_await(l->future);
	l->next = ga_sleep(0);
	return 0;
}

CASE(result_first, "spec",
     "cancel: a result that came first stands: -ECANCELED means that it did not happen")
{
	struct late l = { .future = ga_future_new() }, *at = &l;
	GA_AUTO ga_future *t = ga_spawn(await_then_sleep, &at);

	HOLDS(settle() == 0);
	HOLDS(ga_resolve(l.future, 5, NULL) == 0);
	HOLDS(ga_cancel(t)); /* its task hasn't run since */
	HOLDS(ga_await(t) == 0);
	HOLDS(l.first == 5);
	HOLDS(l.next == -ECANCELED);
	ga_release(l.future);
	return 0;
}

static int gather_two(const void *arg)
{
	return ga_gather(arg, 2, GA_DETACH);
}

CASE(ring, "libgather", "cancel: goes once round a ring of tasks that wait for each other")
{
	ga_future *children[2] = { NULL, ga_future_new() }, *gatherer;

	gatherer = ga_spawn(gather_two, children);
	children[0] = ga_spawn(await_it, &gatherer);
	HOLDS(settle() == 0);
	HOLDS(ga_cancel(gatherer));
	HOLDS(ga_await(children[0]) == -ECANCELED && ga_await(gatherer) == -ECANCELED);
	ga_release_all(children, 2);
	ga_release(gatherer);
	return 0;
}

CASE_LEVEL(starves_none, "libgather",
	   "cancel: a task that ignores it and goes on suspending lets the others run")
{
	GA_AUTO ga_future *other = ga_spawn(count_body, NULL);
	int turns = 0;

	HOLDS(ga_cancel(ga_self()));
	for (; turns < 1000 && !ga_done(other); turns++)
		HOLDS(ga_sleep(GA_SECONDS(1)) == -ECANCELED);
	HOLDS(ga_done(other));
	HOLDS(ga_uncancel() == 0);
	return 0;
}

CASE(stackless, "spec", "cancel: of a sleep without a stack resolves it with -ECANCELED")
{
	GA_AUTO ga_future *f = ga_sleep_future(GA_SECONDS(9));

	HOLDS(ga_cancel(f));
	HOLDS(ga_await(f) == -ECANCELED);
	HOLDS(!ga_cancel(f));
	return 0;
}

CASE(nothing, "libgather", "cancel: of no future at all is false")
{
	HOLDS(!ga_cancel(NULL));
	return 0;
}
