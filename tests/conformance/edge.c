/* Cancels as asyncio delivers them: once each, at the next suspension (ga_run_options.edge_cancel). */
#include "conform.h"

struct steps {
	int results[4];
};

static int sleep_thrice(const void *arg)
{
	struct steps *s = *(struct steps *const *)arg;

	for (int i = 0; i < 3; i++)
		s->results[i] = ga_sleep(GA_SECONDS(1));
	s->results[3] = ga_cancelling(ga_self());
	return 0;
}

CASE_EDGE(once, "spec, asyncio-task#asyncio.Task.cancel",
	  "edge: a cancel is delivered once: an ignored one isn't said again")
{
	struct steps s, *at = &s;
	GA_AUTO ga_future *t = ga_spawn(sleep_thrice, &at);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t));
	HOLDS(ga_await(t) == 0);
	HOLDS(s.results[0] == -ECANCELED && s.results[1] == 0 && s.results[2] == 0);
	HOLDS(s.results[3] == 1); /* but it still counts, as nobody took it back */
	return 0;
}

static int wait_in_pieces(const void *arg)
{
	struct steps *s = *(struct steps *const *)arg;

	s->results[0] = ga_sleep(GA_SECONDS(10));
	s->results[1] = ga_sleep(GA_SECONDS(10));
	s->results[2] = ga_sleep(GA_SECONDS(10));
	return 0;
}

CASE_EDGE(each, "asyncio-task#asyncio.Task.cancel", "edge: each newer cancel is delivered, too")
{
	struct steps s, *at = &s;
	GA_AUTO ga_future *t = ga_spawn(wait_in_pieces, &at);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(t) && settle() == 0);
	HOLDS(ga_cancel(t) && settle() == 0);
	HOLDS(ga_cancelling(t) == 2);
	HOLDS(ga_await(t) == 0);
	HOLDS(s.results[0] == -ECANCELED && s.results[1] == -ECANCELED && s.results[2] == 0);
	return 0;
}

CASE_EDGE(self, "asyncio-task#asyncio.Task.cancel",
	  "edge: of oneself it is delivered at the next suspension, and no more")
{
	HOLDS(ga_cancel(ga_self()));
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_sleep(0) == 0);
	HOLDS(ga_uncancel() == 0);
	return 0;
}

CASE_EDGE(undelivered, "asyncio-task#asyncio.Task.uncancel",
	  "edge: taken back before it was delivered, it isn't delivered")
{
	HOLDS(ga_cancel(ga_self()) && ga_uncancel() == 0);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

CASE_EDGE(two_at_once, "asyncio-task#asyncio.Task.cancel",
	  "edge: two cancels before one suspension are delivered as one")
{
	HOLDS(ga_cancel(ga_self()) && ga_cancel(ga_self()));
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_sleep(0) == 0);
	HOLDS(ga_uncancel() == 1);
	HOLDS(ga_uncancel() == 0);
	return 0;
}

CASE_EDGE(scope, "asyncio-task#asyncio.timeout",
	  "edge: a scope that expires cancels once, and its exit says -ETIMEDOUT")
{
	struct ga_timeout scope;
	int64_t start = ga_now();

	HOLDS(ga_timeout_enter(&scope, after(1)) == 0);
	HOLDS(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	HOLDS(ga_sleep(GA_SECONDS(1)) == 0); /* it cleans up */
	HOLDS(ga_timeout_exit(&scope, -ECANCELED) == -ETIMEDOUT);
	HOLDS(ga_now() - start == GA_SECONDS(2));
	return 0;
}
