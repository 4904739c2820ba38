/*
 * debug.c — reports, and the futures that they are about.
 */
#include "clock.h"
#include "debugging.h"
#include "future.h"
#include "map.h"
#include "task.h"
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES 8
#define FRAMES_OURS 2 /* take_frames(), and who called it */
#define TEXT_SIZE 2048u
#define LEAKS_SHOWN 50
#define SLOW_NS (100 * NSEC_PER_MSEC)

/* What is known of a future, from its making to its last handle. */
struct made {
	const struct ga_future *future;
	struct loop *loop;
	pthread_t thread;
	const char *kind;
	char by[160]; /* the task that made it */
	void *frames[FRAMES];
	int frame_count;
	unsigned waits, reads;
};

bool debug_active;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static struct map made;                                  /* by future */
static unsigned loops;
static ga_report_fn report_fn;
static void *report_arg;

static bool is_made(const void *item, const void *key);
static uint64_t hash_of(const struct ga_future *f);
static struct made *find(const struct ga_future *f);
static int take_frames(void *frames[FRAMES]);
static void describe(const struct ga_future *f, char *text, size_t size);
static const char *describe_task(const struct task *t, char *text, size_t size);
static void report_with_frames(enum ga_report_kind kind, const char *text, void *const frames[],
			       int count);
static void emit(enum ga_report_kind kind, const char *text);
static void report_end(const struct ga_future *f, const struct made *m);
static void report_leaks(const struct loop *l);

void ga_debug_report_to(ga_report_fn fn, void *arg)
{
	pthread_mutex_lock(&lock);
	report_fn = fn;
	report_arg = arg;
	pthread_mutex_unlock(&lock);
}

void debug_begin(struct runtime *rt, bool wanted, int64_t slow_ns)
{
	const char *set = getenv("GATHER_DEBUG");
	void *frames[FRAMES];

	if (!wanted && !(set && strcmp(set, "1") == 0))
		return;
	if (rt->debugged) {
		watchdog_remove(rt); /* to begin anew with another span */
		watchdog_add(rt, slow_ns > 0 ? slow_ns : SLOW_NS);
		return;
	}
	(void)backtrace(frames, FRAMES); /* it loads what it needs at its first call, on a deep stack */
	pthread_mutex_lock(&lock);
	if (loops++ == 0 && !made.match)
		map_init(&made, is_made);
	__atomic_store_n(&debug_active, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
	rt->debugged = true;
	watchdog_add(rt, slow_ns > 0 ? slow_ns : SLOW_NS);
}

void debug_end(struct runtime *rt)
{
	if (!rt->debugged)
		return;
	watchdog_remove(rt);
	report_leaks(rt->loop);
	rt->debugged = false;
	pthread_mutex_lock(&lock);
	if (--loops == 0) {
		void *m;

		__atomic_store_n(&debug_active, false, __ATOMIC_RELAXED);
		while ((m = map_take_any(&made)) != NULL)
			free(m); /* of loops that aren't debugged */
		map_done(&made);
		map_init(&made, is_made);
	}
	pthread_mutex_unlock(&lock);
}

void debug_report(enum ga_report_kind kind, const char *format, ...)
{
	char *text = malloc(TEXT_SIZE);
	va_list values;

	if (!text)
		return;
	va_start(values, format);
	vsnprintf(text, TEXT_SIZE, format, values);
	va_end(values);
	emit(kind, text);
	free(text);
}

void debug_misuse(const char *function, const char *what)
{
	char text[256], task[160];
	void *frames[FRAMES];
	int count = take_frames(frames);

	snprintf(text, sizeof(text), "%s(): %s; called by %s", function, what,
		 describe_task(task_current(), task, sizeof(task)));
	report_with_frames(GA_REPORT_MISUSE, text, frames, count);
}

void debug_made(struct ga_future *f)
{
	struct made *m = calloc(1, sizeof(*m)), *stale;

	if (!m)
		return;
	m->future = f;
	m->loop = f->loop;
	m->thread = pthread_self();
	m->kind = f->ops->kind;
	m->frame_count = task_of(f) ? 0 : take_frames(m->frames); /* a task knows its place */
	(void)describe_task(task_current(), m->by, sizeof(m->by));
	pthread_mutex_lock(&lock);
	stale = map_take(&made, hash_of(f), f);
	free(stale);
	if (map_put(&made, hash_of(f), m) < 0)
		free(m);
	pthread_mutex_unlock(&lock);
}

void debug_waited(const struct ga_future *f)
{
	struct made *m;

	pthread_mutex_lock(&lock);
	m = find(f);
	if (m)
		m->waits++;
	pthread_mutex_unlock(&lock);
}

void debug_read(const struct ga_future *f)
{
	bool elsewhere = false;
	struct made *m;

	pthread_mutex_lock(&lock);
	m = find(f);
	if (m) {
		m->reads++;
		elsewhere = !pthread_equal(m->thread, pthread_self());
	}
	pthread_mutex_unlock(&lock);
	if (elsewhere)
		(void)debug_elsewhere("ga_result", f);
}

void debug_unread(const struct ga_future *f)
{
	struct made *m;

	pthread_mutex_lock(&lock);
	m = find(f);
	if (m && m->reads > 0)
		m->reads--;
	pthread_mutex_unlock(&lock);
}

void debug_forget(const struct ga_future *f)
{
	struct made *m;

	pthread_mutex_lock(&lock);
	m = map_take(&made, hash_of(f), f);
	pthread_mutex_unlock(&lock);
	free(m);
}

bool debug_gone(const struct ga_future *f)
{
	bool waited = future_pending(f) && !list_empty(&f->waiters);
	struct made *m;

	pthread_mutex_lock(&lock);
	m = map_take(&made, hash_of(f), f);
	pthread_mutex_unlock(&lock);
	if (!m)
		return !waited; /* made before the loop was debugged, or its loop is gone */
	if (!pthread_equal(m->thread, pthread_self()))
		(void)debug_elsewhere("ga_release", f);
	report_end(f, m);
	free(m);
	return !waited;
}

bool debug_elsewhere(const char *function, const struct ga_future *f)
{
	char text[256], what[192] = "";
	void *frames[FRAMES];

	if (!debug_on())
		return false;
	if (f)
		describe(f, what, sizeof(what));
	snprintf(text, sizeof(text),
		 f ? "%s() of %s: called on another thread than its loop's"
		   : "%s()%s: called on a thread without a loop",
		 function, what);
	report_with_frames(GA_REPORT_THREAD, text, frames, take_frames(frames));
	return false;
}

size_t debug_put_frames(char *to, size_t size, void *const frames[], int count)
{
	size_t used = 0;

	to[0] = '\0';
	for (int i = 0; i < count && used + 1 < size; i++) {
		const char *at = frames[i];
		Dl_info info;
		int n;

		if (!dladdr(at, &info))
			n = snprintf(to + used, size - used, "\n    %p", frames[i]);
		else if (info.dli_sname)
			n = snprintf(to + used, size - used, "\n    %s+0x%zx (%s)", info.dli_sname,
				     (size_t)(at - (const char *)info.dli_saddr), info.dli_fname);
		else
			n = snprintf(to + used, size - used, "\n    %s(+0x%zx)", info.dli_fname,
				     (size_t)(at - (const char *)info.dli_fbase));
		used += n > 0 ? MIN((size_t)n, size - 1 - used) : 0;
	}
	return used;
}

static bool is_made(const void *item, const void *key)
{
	return ((const struct made *)item)->future == key;
}

static uint64_t hash_of(const struct ga_future *f)
{
	return ((uintptr_t)f >> 4) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct made *find(const struct ga_future *f)
{
	return map_get(&made, hash_of(f), f);
}

/* The unwinder needs some KiB of stack: none are taken on the smallest. */
static int take_frames(void *frames[FRAMES])
{
	const struct task *t = task_current();

	return t && t->fiber && t->fiber->stack.class == 0 ? 0 : backtrace(frames, FRAMES);
}

/* "task greet (greet.c:12)", or "a sleep". */
static void describe(const struct ga_future *f, char *text, size_t size)
{
	const struct task *t = task_of(f);

	if (t)
		(void)describe_task(t, text, size);
	else
		snprintf(text, size, "a future (%s)", f->ops->kind);
}

static const char *describe_task(const struct task *t, char *text, size_t size)
{
	if (t)
		snprintf(text, size, "task %s (%s)", task_name(t), task_site(t));
	else
		snprintf(text, size, "the loop");
	return text;
}

static void report_with_frames(enum ga_report_kind kind, const char *text, void *const frames[],
			       int count)
{
	char *all = malloc(TEXT_SIZE);
	size_t used;

	if (!all)
		return;
	used = (size_t)snprintf(all, TEXT_SIZE, "%s", text);
	if (count > FRAMES_OURS) /* the first of the rest is the public function, or future_init() */
		debug_put_frames(all + used, TEXT_SIZE - used, frames + FRAMES_OURS,
				 count - FRAMES_OURS);
	emit(kind, all);
	free(all);
}

static void emit(enum ga_report_kind kind, const char *text)
{
	const char *const parts[] = { "libgather: ", text, "\n" };
	ga_report_fn fn;
	ssize_t ignored;
	void *arg;

	pthread_mutex_lock(&lock);
	fn = report_fn;
	arg = report_arg;
	pthread_mutex_unlock(&lock);
	if (fn) {
		fn(kind, text, arg);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) { /* stdio wants more stack than a task may have */
		ignored = write(STDERR_FILENO, parts[i], strlen(parts[i]));
		(void)ignored;
	}
}

static void report_end(const struct ga_future *f, const struct made *m)
{
	char what[192], text[512];

	describe(f, what, sizeof(what));
	if (future_pending(f) && !list_empty(&f->waiters)) {
		snprintf(text, sizeof(text),
			 "%s was released for the last time while it is waited for", what);
		report_with_frames(GA_REPORT_MISUSE, text, m->frames, m->frame_count);
	} else if (future_pending(f) && m->waits == 0) {
		snprintf(text, sizeof(text), "%s was never awaited; made by %s", what, m->by);
		report_with_frames(GA_REPORT_NEVER_AWAITED, text, m->frames, m->frame_count);
	} else if (!future_pending(f) && f->result < 0 && f->result != -ECANCELED && m->reads == 0) {
		snprintf(text, sizeof(text), "%s: its error was never retrieved: %s; made by %s",
			 what, strerrordesc_np(-f->result) ? strerrordesc_np(-f->result) : "unknown",
			 m->by);
		report_with_frames(GA_REPORT_NEVER_RETRIEVED, text, m->frames, m->frame_count);
	}
}

/* Taken out one by one: a report function may release them. */
static struct made *take_leak(const struct loop *l)
{
	struct made *m = NULL;
	uint32_t pos = 0;

	pthread_mutex_lock(&lock);
	do
		m = map_next(&made, &pos);
	while (m && m->loop != l);
	if (m)
		(void)map_take(&made, hash_of(m->future), m->future);
	pthread_mutex_unlock(&lock);
	return m;
}

static void report_leaks(const struct loop *l)
{
	struct made *m;
	size_t count = 0;

	while ((m = take_leak(l)) != NULL) {
		char what[192], text[512];

		if (count++ < LEAKS_SHOWN) {
			describe(m->future, what, sizeof(what));
			snprintf(text, sizeof(text),
				 "%s is still held when its loop ends%s; made by %s", what,
				 future_pending(m->future) ? ", and pending" : "", m->by);
			report_with_frames(GA_REPORT_LEAK, text, m->frames, m->frame_count);
		}
		free(m);
	}
	if (count > LEAKS_SHOWN)
		debug_report(GA_REPORT_LEAK, "and %zu more are still held", count - LEAKS_SHOWN);
}
