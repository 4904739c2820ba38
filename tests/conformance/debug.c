/* Debug mode: what a program does wrong is reported, with the place. */
#include "conform.h"
#include <gather/debug.h>
#include <gather/runner.h>
#include <gather/sync.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define KINDS 6

static atomic_int counts[KINDS];
static char texts[KINDS][1024]; /* of each kind the first */

static void note_report(enum ga_report_kind kind, const char *text, void *arg GA_UNUSED)
{
	if (counts[kind] == 0)
		snprintf(texts[kind], sizeof(texts[kind]), "%s", text);
	counts[kind]++;
}

/* Its result, after the loop's end; what was reported stands in counts and texts. */
static int run_debugged(ga_coroutine_fn body, bool debug, bool virtual_time)
{
	const struct ga_run_options options = { .debug = debug,
						.virtual_time = virtual_time,
						.slow_ns = GA_MILLISECONDS(20) };
	int r;

	for (int i = 0; i < KINDS; i++)
		counts[i] = 0;
	ga_debug_report_to(note_report, NULL);
	r = ga_run_with(body, NULL, &options);
	ga_debug_report_to(NULL, NULL);
	return r;
}

static int reports(void)
{
	int sum = 0;

	for (int i = 0; i < KINDS; i++)
		sum += counts[i];
	return sum;
}

static int drop_pending(const void *unused GA_UNUSED)
{
	ga_release(ga_sleep_future(GA_SECONDS(1)));
	return ga_sleep(GA_SECONDS(2));
}

CASE_BARE(never_awaited, "spec, asyncio-dev#detect-never-awaited-coroutines",
	  "debug: a future made and dropped that nobody waited for is reported")
{
	HOLDS(run_debugged(drop_pending, true, true) == 0);
	HOLDS(counts[GA_REPORT_NEVER_AWAITED] == 1 && reports() == 1);
	return 0;
}

static int fail_unread(const void *unused GA_UNUSED)
{
	ga_future *t = NAP(1, -EPROTO);
	int r = ga_sleep(GA_SECONDS(2));

	ga_release(t);
	return r;
}

CASE_BARE(never_retrieved, "spec, asyncio-dev#detect-never-retrieved-exceptions",
	  "debug: a task's error that nobody read is reported, with the place of its spawn")
{
	HOLDS(run_debugged(fail_unread, true, true) == 0);
	HOLDS(counts[GA_REPORT_NEVER_RETRIEVED] == 1 && reports() == 1);
	HOLDS(strstr(texts[GA_REPORT_NEVER_RETRIEVED], "debug.c:"));
	HOLDS(strstr(texts[GA_REPORT_NEVER_RETRIEVED], "take_nap"));
	return 0;
}

static int fail_read(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *awaited = NAP(1, -EPROTO);
	GA_AUTO ga_future *asked = NAP(1, -EPROTO);
	GA_AUTO ga_future *cancelled = NAP(9, 0);
	GA_AUTO ga_future *good = NAP(1, 3);

	(void)ga_await(awaited);
	(void)ga_cancel(cancelled);
	if (ga_sleep(GA_SECONDS(2)) < 0 || !ga_done(good))
		return -EIO;
	return ga_result(asked, NULL) == -EPROTO ? 0 : -EIO;
}

CASE_BARE(retrieved, "asyncio-dev#detect-never-retrieved-exceptions",
	  "debug: errors that were awaited or read, results and cancels are not reported")
{
	HOLDS(run_debugged(fail_read, true, true) == 0);
	HOLDS(reports() == 0);
	return 0;
}

static int fail_after_gather(const void *unused GA_UNUSED)
{
	ga_future *f[] = { NAP(1, -EPROTO), NAP(2, -EIO) };

	if (ga_gather(f, 2, GA_DETACH) != -EPROTO)
		return -EIO;
	if (ga_sleep(GA_SECONDS(3)) < 0 || !ga_done(f[1]))
		return -EIO;
	ga_release_all(f, 2);
	return 0;
}

CASE_BARE(after_gather, "spec",
	  "gather: errors that arrive after it is done are not reported as unretrieved")
{
	HOLDS(run_debugged(fail_after_gather, true, true) == 0);
	HOLDS(reports() == 0);
	return 0;
}

static int fail_in_gather(const void *unused GA_UNUSED)
{
	ga_future *f[] = { NAP(1, -EPROTO), NAP(2, -EIO) };
	int r = ga_gather(f, 2, GA_RETURN_EXCEPTIONS);

	ga_release_all(f, 2);
	return r;
}

CASE_BARE(in_gather, "asyncio-task#asyncio.gather",
	  "gather: errors of its children count as retrieved, with return_exceptions too")
{
	HOLDS(run_debugged(fail_in_gather, true, true) == 0);
	HOLDS(reports() == 0);
	return 0;
}

static int fail_waited(const void *unused GA_UNUSED)
{
	ga_future *f[] = { NAP(1, -EPROTO) };
	int r = ga_wait(f, 1, GA_ALL_COMPLETED, GA_NEVER);

	ga_release_all(f, 1);
	return r == 1 ? 0 : -EIO;
}

CASE_BARE(waited, "asyncio-task#asyncio.wait",
	  "wait: doesn't read the errors of the waited: those that nobody reads are reported")
{
	HOLDS(run_debugged(fail_waited, true, true) == 0);
	HOLDS(counts[GA_REPORT_NEVER_RETRIEVED] == 1);
	return 0;
}

static int hog(const void *unused GA_UNUSED)
{
	int64_t until = ga_now() + GA_SECONDS(10);

	while (counts[GA_REPORT_SLOW] == 0 && ga_now() < until)
		;
	return counts[GA_REPORT_SLOW] > 0 ? 0 : -ETIMEDOUT; /* it was told while the step lasted */
}

static int spawn_hog(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *t = ga_spawn(hog, NULL);

	return ga_await(t);
}

CASE_BARE(slow, "spec, asyncio-dev#debug-mode",
	  "debug: a step that blocks the loop is reported while it blocks, with the task's name and place")
{
	HOLDS(run_debugged(spawn_hog, true, false) == 0);
	HOLDS(strstr(texts[GA_REPORT_SLOW], "hog") && strstr(texts[GA_REPORT_SLOW], "debug.c:"));
	return 0;
}

static ga_future *foreign;

static int use_foreign(const void *unused GA_UNUSED)
{
	return ga_await(foreign) == -EPERM ? 0 : -EIO;
}

static void *other_thread(void *arg)
{
	*(int *)arg = ga_run(use_foreign, NULL);
	return NULL;
}

static int be_foreign(const void *unused GA_UNUSED)
{
	pthread_t thread;
	int r = -EIO;

	foreign = ga_future_new();
	if (pthread_create(&thread, NULL, other_thread, &r) != 0)
		return -EAGAIN;
	pthread_join(thread, NULL);
	(void)ga_resolve(foreign, 0, NULL);
	(void)ga_await(foreign);
	ga_release(foreign);
	return r;
}

CASE_BARE(wrong_thread, "spec, asyncio-dev#concurrency-and-multithreading",
	  "debug: a call on another thread's loop is reported with the function's name")
{
	HOLDS(run_debugged(be_foreign, true, false) == 0);
	HOLDS(counts[GA_REPORT_THREAD] == 1 && strstr(texts[GA_REPORT_THREAD], "ga_await"));
	return 0;
}

static ga_future *leaked;

static int leak(const void *unused GA_UNUSED)
{
	leaked = ga_future_new();
	return 0;
}

CASE_BARE(leaks, "spec", "debug: what is still held when its loop ends is reported")
{
	HOLDS(run_debugged(leak, true, true) == 0);
	HOLDS(counts[GA_REPORT_LEAK] >= 1);
	ga_release(leaked);
	return 0;
}

static int release_unheld(const void *unused GA_UNUSED)
{
	struct ga_lock lock = { 0 };

	return ga_lock_release(&lock) == -EPERM ? 0 : -EIO;
}

CASE_BARE(misused, "libgather", "debug: releasing a lock that isn't held is reported")
{
	HOLDS(run_debugged(release_unheld, true, true) == 0);
	HOLDS(counts[GA_REPORT_MISUSE] == 1 && reports() == 1);
	return 0;
}

CASE_BARE(off, "asyncio-dev#debug-mode", "debug: without it nothing is reported")
{
	HOLDS(run_debugged(drop_pending, false, true) == 0 && reports() == 0);
	HOLDS(run_debugged(fail_unread, false, true) == 0 && reports() == 0);
	HOLDS(run_debugged(release_unheld, false, true) == 0 && reports() == 0);
	return 0;
}

static int ordinary(const void *unused GA_UNUSED)
{
	ga_future *f[] = { NAP(1, 1), ga_sleep_future(GA_SECONDS(1)), NAP(2, 2) };
	struct ga_timeout scope;
	int r = ga_gather(f, 3, 0);

	ga_release_all(f, 3);
	HOLDS(r == 0 && ga_timeout_enter(&scope, after(1)) == 0);
	HOLDS(ga_timeout_exit(&scope, ga_sleep(GA_SECONDS(2))) == -ETIMEDOUT);
	f[0] = NAP(9, 1);
	HOLDS(ga_await_until(f[0], after(1)) == -ETIMEDOUT);
	ga_release(f[0]);
	ga_release(NAP(0, 5)); /* goes on by itself */
	return ga_sleep(GA_SECONDS(1));
}

CASE_BARE(silent, "asyncio-dev#debug-mode", "debug: a program that does nothing wrong is told of nothing")
{
	HOLDS(run_debugged(ordinary, true, true) == 0);
	HOLDS(reports() == 0);
	return 0;
}
