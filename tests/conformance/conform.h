/*
 * conform.h — conformance: a case a behaviour, what must hold in its name, and where that is written beside it.
 *
 *	CASE(order, "spec, asyncio-task#asyncio.gather", "gather: results are in argument order")
 *	{
 *		...
 *		HOLDS(ga_result(f[0], NULL) == 3);
 *		return 0;
 *	}
 *
 * Sources: `spec` is RUNTIME's list of behaviours, `libgather` what our headers state beyond it, `page#anchor` Python's
 * documentation of asyncio. tests/conformance/table makes docs/conformance.md of them.
 *
 * A case is the main coroutine of a program of its own. It runs in virtual time (which passes only when all wait), once in
 * order of arrival and once for each seed of the scheduler, so it may not count turns: settle() lets all others go as far as
 * they can. It holds whether cancels are levels or edges, and is tried under both; CASE_LEVEL and CASE_EDGE are about one of
 * the two. Cases with FIFO in their kind are about that order, and run in it alone; CASE_REAL: the clock is real, for
 * threads and sockets; CASE_BARE: an ordinary function, outside of any loop; CASE_CHILD: one that makes a child process end.
 * CONFORM_SEEDS: how many (default 200, and a tenth of it in real time). CONFORM_ONLY, CONFORM_SKIP: the cases with that text
 * in their names, or without it. CONFORM_CHILDREN=0: no child is made to end, for valgrind takes half a minute to bury one.
 */
#pragma once
#include <errno.h>
#include <gather/async.h>
#include <stdio.h>

enum case_kind {
	KIND_ANY_ORDER,
	KIND_LEVEL,
	KIND_EDGE,
	KIND_FIFO,
	KIND_REAL,
	KIND_BARE,
	KIND_CHILD
};

struct conform_case {
	const char *name, *source;
	ga_coroutine_fn body; /* 0: it holds */
	enum case_kind kind;
	struct conform_case *next;
};

void conform_add(struct conform_case *c);
/* Note where it failed; for HOLDS(). Returns a negative number that no call returns. */
int conform_failed(const char *file, int line, const char *expected);
void conform_note(const char *text); /* shown as a comment below the case that runs */

#define CASE_OF(id, source, name, kind)                                                            \
	static int id(const void *);                                                               \
	static struct conform_case id##_case = { name, source, id, kind, NULL };                   \
	__attribute__((constructor)) static void id##_add(void)                                    \
	{                                                                                          \
		conform_add(&id##_case);                                                           \
	}                                                                                          \
	static int id(const void *unused GA_UNUSED)

#define CASE(id, source, name) CASE_OF(id, source, name, KIND_ANY_ORDER)
#define CASE_LEVEL(id, source, name) CASE_OF(id, source, name, KIND_LEVEL)
#define CASE_EDGE(id, source, name) CASE_OF(id, source, name, KIND_EDGE)
#define CASE_FIFO(id, source, name) CASE_OF(id, source, name, KIND_FIFO)
#define CASE_REAL(id, source, name) CASE_OF(id, source, name, KIND_REAL)
#define CASE_BARE(id, source, name) CASE_OF(id, source, name, KIND_BARE)
#define CASE_CHILD(id, source, name) CASE_OF(id, source, name, KIND_CHILD)

#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return conform_failed(__FILE__, __LINE__, #condition);                     \
	} while (0)

/* ---- coroutines that many cases use ---- */

static inline int settle(void)
{
	return ga_sleep(GA_MILLISECONDS(1));
}

static inline int64_t after(int64_t seconds)
{
	return ga_now() + GA_SECONDS(seconds);
}

struct nap {
	int seconds, result;
};

/* Sleeps as long as told, and returns what it is told to, or -ECANCELED. */
static inline int take_nap(const void *arg)
{
	const struct nap nap = *(const struct nap *)arg;
	int r = ga_sleep(GA_SECONDS(nap.seconds));

	return r < 0 ? r : nap.result;
}

/* NAP(3, 7): three seconds, then 7; to be awaited in the block that it stands in. */
#define NAP(seconds, result) ga_spawn(take_nap, &(const struct nap){ seconds, result })

/* Takes a cancel for good, and returns 42. */
static inline int swallow(const void *unused GA_UNUSED)
{
	int r = ga_sleep(GA_SECONDS(1000));

	ga_uncancel();
	return r == -ECANCELED ? 42 : 0;
}

/* Takes a second to end once it is cancelled; *arg is told that it has. */
static inline int end_slowly(const void *arg)
{
	bool *ended = *(bool *const *)arg;

	if (ga_sleep(GA_SECONDS(1000)) == -ECANCELED)
		ga_uncancel();
	(void)ga_sleep(GA_SECONDS(1));
	*ended = true;
	return -ECANCELED;
}

static inline int await_it(const void *arg)
{
	return ga_await(*(ga_future *const *)arg);
}
