/* Task-locals: contextvars. */
#include "conform.h"
#include <gather/local.h>

static int zero, first, second;
static const struct ga_local request = { "request", &zero }, user = { "user", NULL };

CASE(initial, "contextvars#contextvars.ContextVar.get",
     "local: gives its initial value where none was set")
{
	HOLDS(ga_local_get(&request) == &zero && ga_local_get(&user) == NULL);
	return 0;
}

CASE(set, "contextvars#contextvars.ContextVar.set", "local: gives what was set last, each key its own")
{
	HOLDS(ga_local_set(&request, &first) == 0);
	HOLDS(ga_local_get(&request) == &first && ga_local_get(&user) == NULL);
	HOLDS(ga_local_set(&request, &second) == 0 && ga_local_set(&user, &first) == 0);
	HOLDS(ga_local_get(&request) == &second && ga_local_get(&user) == &first);
	HOLDS(settle() == 0);
	HOLDS(ga_local_get(&request) == &second);
	return 0;
}

struct seen {
	void *at_start, *later;
};

static int look(const void *arg)
{
	struct seen *s = *(struct seen *const *)arg;

	s->at_start = ga_local_get(&request);
	if (ga_sleep(GA_SECONDS(1)) < 0)
		return -EIO;
	s->later = ga_local_get(&request);
	return 0;
}

CASE(inherited, "spec, contextvars#asyncio-support",
     "local: a task sees what its spawner had when it spawned it, whatever is set later")
{
	struct seen s, *at = &s;
	GA_AUTO ga_future *t = NULL;

	HOLDS(ga_local_set(&request, &first) == 0);
	t = ga_spawn(look, &at);
	HOLDS(ga_local_set(&request, &second) == 0); /* before it has run */
	HOLDS(ga_await(t) == 0);
	HOLDS(s.at_start == &first && s.later == &first);
	return 0;
}

static int set_own(const void *unused GA_UNUSED)
{
	if (ga_local_set(&request, &second) < 0)
		return -EIO;
	(void)settle();
	return ga_local_get(&request) == &second ? 0 : -EIO;
}

CASE(own, "contextvars#asyncio-support",
     "local: what a task sets is seen neither by its spawner nor by its siblings")
{
	struct seen s, *at = &s;
	ga_future *f[2];

	HOLDS(ga_local_set(&request, &first) == 0);
	f[0] = ga_spawn(set_own, NULL);
	f[1] = ga_spawn(look, &at);
	HOLDS(ga_gather(f, 2, 0) == 0);
	HOLDS(ga_local_get(&request) == &first);
	HOLDS(s.at_start == &first && s.later == &first);
	ga_release_all(f, 2);
	return 0;
}

static int look_deeper(const void *arg)
{
	GA_AUTO ga_future *t = ga_spawn(look, arg);

	return ga_await(t);
}

CASE(inherited_twice, "contextvars#asyncio-support",
     "local: is inherited through tasks that never touch it")
{
	struct seen s, *at = &s;
	GA_AUTO ga_future *t = NULL;

	HOLDS(ga_local_set(&request, &first) == 0);
	t = ga_spawn(look_deeper, &at);
	HOLDS(ga_await(t) == 0);
	HOLDS(s.at_start == &first);
	return 0;
}

static void *in_callback;
static int set_in_callback;

static void look_outside(ga_future *f GA_UNUSED, void *arg GA_UNUSED)
{
	in_callback = ga_local_get(&request);
	set_in_callback = ga_local_set(&request, &second);
}

CASE(outside, "libgather",
     "local: outside of tasks and their work gives its initial value, and setting is -EPERM")
{
	GA_AUTO ga_future *f = ga_future_new();

	HOLDS(ga_local_set(&request, &first) == 0);
	HOLDS(ga_on_done(f, look_outside, NULL) == 0 && ga_resolve(f, 0, NULL) == 0);
	HOLDS(settle() == 0);
	HOLDS(in_callback == &zero && set_in_callback == -EPERM);
	return 0;
}

CASE(eager, "asyncio-task#eager-task-factory", "local: an eager task has its own, too")
{
	const struct ga_spawn_options eagerly = { .eager = true };
	GA_AUTO ga_future *t = NULL;

	HOLDS(ga_local_set(&request, &first) == 0);
	t = ga_spawn_with(set_own, NULL, &eagerly);
	HOLDS(ga_local_get(&request) == &first);
	HOLDS(ga_await(t) == 0 && ga_local_get(&request) == &first);
	return 0;
}
