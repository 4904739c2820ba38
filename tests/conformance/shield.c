/* Shields: of one future, and as scopes. */
#include "conform.h"

static int shield_it(const void *arg)
{
	return ga_shield(*(ga_future *const *)arg);
}

CASE(shield_result, "asyncio-task#asyncio.shield", "shield: gives the inner's result, or its error")
{
	GA_AUTO ga_future *good = NAP(1, 3);
	GA_AUTO ga_future *bad = NAP(1, -EPROTO);

	HOLDS(ga_shield(good) == 3 && ga_shield(bad) == -EPROTO);
	return 0;
}

CASE(shield_outer, "spec, asyncio-task#asyncio.shield",
     "shield: outer cancelled: it sees -ECANCELED, and inner runs on")
{
	ga_future *inner = NAP(3, 6);
	GA_AUTO ga_future *outer = ga_spawn(shield_it, &inner);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(outer));
	HOLDS(ga_await(outer) == -ECANCELED);
	HOLDS(!ga_done(inner) && ga_cancelling(inner) == 0);
	HOLDS(ga_await(inner) == 6);
	ga_release(inner);
	return 0;
}

CASE(shield_wait_for, "spec, asyncio-task#asyncio.wait_for",
     "wait_for: of a shielded task that times out leaves the task running")
{
	ga_future *inner = NAP(3, 6);
	GA_AUTO ga_future *shield = ga_spawn(shield_it, &inner);

	HOLDS(ga_await_until(shield, after(1)) == -ETIMEDOUT);
	HOLDS(!ga_done(inner) && ga_cancelling(inner) == 0);
	HOLDS(ga_await(inner) == 6);
	ga_release(inner);
	return 0;
}

CASE(shield_inner, "spec, asyncio-task#asyncio.shield", "shield: inner cancelled: outer is cancelled")
{
	ga_future *inner = NAP(3, 6);
	GA_AUTO ga_future *outer = ga_spawn(shield_it, &inner);

	HOLDS(settle() == 0);
	HOLDS(ga_cancel(inner));
	HOLDS(ga_await(outer) == -ECANCELED);
	HOLDS(ga_cancelling(outer) == 0);
	ga_release(inner);
	return 0;
}

CASE(shield_done, "spec", "shield: inner already done: returns at once")
{
	GA_AUTO ga_future *f = ga_future_new();

	HOLDS(ga_resolve(f, 4, NULL) == 0);
	HOLDS(ga_cancel(ga_self())); /* there is no suspension to feel it */
	HOLDS(ga_shield(f) == 4);
	HOLDS(ga_uncancel() == 0);
	return 0;
}

CASE(shield_scope_outer, "spec", "shield: is a scope too: cancels from outside wait until it is left")
{
	struct ga_timeout scope;

	HOLDS(ga_shield_enter(&scope, GA_NEVER) == 0);
	HOLDS(ga_cancel(ga_self()));
	HOLDS(ga_cancelling(ga_self()) == 1);
	HOLDS(ga_sleep(GA_SECONDS(1)) == 0);
	HOLDS(ga_timeout_exit(&scope, 5) == 5);
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_uncancel() == 0 && ga_sleep(0) == 0);
	return 0;
}

CASE(shield_scope_timeout, "spec",
     "scopes: a shield protects from an outer scope's timeout, which is felt after it")
{
	struct ga_timeout outer, shield;

	HOLDS(ga_timeout_enter(&outer, after(1)) == 0);
	HOLDS(ga_shield_enter(&shield, GA_NEVER) == 0);
	HOLDS(ga_sleep(GA_SECONDS(3)) == 0);
	HOLDS(ga_timeout_exit(&shield, 0) == 0);
	HOLDS(ga_sleep(0) == -ECANCELED);
	HOLDS(ga_timeout_exit(&outer, -ECANCELED) == -ETIMEDOUT);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

CASE(shield_scope_deadline, "spec",
     "scopes: a shield protects from outer scopes only: its own deadline still works")
{
	struct ga_timeout outer, shield;
	int64_t start = ga_now();
	int r;

	HOLDS(ga_timeout_enter(&outer, after(1)) == 0);
	HOLDS(ga_shield_enter(&shield, after(3)) == 0);
	r = ga_sleep(GA_SECONDS(9));
	HOLDS(r == -ECANCELED && ga_now() - start == GA_SECONDS(3));
	HOLDS(ga_timeout_exit(&shield, r) == -ETIMEDOUT || ga_sleep(0) == -ECANCELED);
	HOLDS(ga_timeout_exit(&outer, -ECANCELED) == -ETIMEDOUT);
	HOLDS(ga_sleep(0) == 0);
	return 0;
}

CASE(shield_scope_inside, "spec", "scopes: a shield leaves the scopes inside it as they are")
{
	struct ga_timeout shield, inner;

	HOLDS(ga_shield_enter(&shield, GA_NEVER) == 0);
	HOLDS(ga_cancel(ga_self()));
	HOLDS(ga_timeout_enter(&inner, after(1)) == 0);
	HOLDS(ga_sleep(GA_SECONDS(9)) == -ECANCELED);
	HOLDS(ga_timeout_exit(&inner, -ECANCELED) == -ETIMEDOUT);
	HOLDS(ga_sleep(GA_SECONDS(1)) == 0);
	HOLDS(ga_timeout_exit(&shield, 0) == 0);
	HOLDS(ga_sleep(0) == -ECANCELED && ga_uncancel() == 0);
	return 0;
}
