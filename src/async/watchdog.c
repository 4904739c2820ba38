/*
 * watchdog.c — a thread that notices a step which holds a loop, while it does.
 *
 * It samples what the loops show (task_table.h) a few times in the span that is too long. If a loop works on the same step
 * all the while, its thread is sent SIGURG, which nobody else needs and which is ignored where it isn't handled; the
 * handler, on the thread's signal stack, takes the backtrace of whatever stack was running. The thread ends with the last
 * loop that is watched.
 */
#include "clock.h"
#include "debugging.h"
#include "task.h"
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 48
#define FRAMES_OF_HANDLER 2 /* its own, and the one that returns from it */
#define SAMPLES 4           /* in the span */
#define SAMPLE_LEAST NSEC_PER_MSEC
#define SAMPLE_MOST (250 * NSEC_PER_MSEC)
#define ANSWER_NS NSEC_PER_SEC

struct watched {
	struct list node;
	struct runtime *rt;
	struct table_header *header;
	pid_t tid;
	int64_t slow_ns;
	/* the step that was seen last, and since when; the watchdog's */
	uint64_t turns, steps;
	uint32_t running;
	int64_t since;
	bool told;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct list loops;
static pthread_t thread;
static bool runs;
static uintptr_t generation; /* of the thread: one that was told to end ends, though another loop began meanwhile */
static struct sigaction previous;

/* What the handler answers; one question at a time, by the watchdog alone. */
static struct {
	_Atomic pid_t asked; /* the thread; 0: nobody, or it was too late */
	void *frames[FRAMES];
	int count;
	bool in_task;
	char name[sizeof(((struct table_site *)0)->name)],
		place[sizeof(((struct table_site *)0)->place)];
	sem_t done;
} answer;

static void prepare(void);
static void *watch(void *mine);
static bool is_slow(struct watched *w, int64_t now);
static bool ask(pid_t tid);
static void report(int64_t held, bool answered);
static void on_signal(int sig, siginfo_t *info, void *context);

void watchdog_add(struct runtime *rt, int64_t slow_ns)
{
	struct watched *w = calloc(1, sizeof(*w));
	sigset_t all, before;

	(void)pthread_once(&once, prepare);
	if (!w)
		return;
	*w = (struct watched){
		.rt = rt, .header = rt->slab->header, .tid = gettid(), .slow_ns = slow_ns, .since = INT64_MAX
	};
	pthread_mutex_lock(&lock);
	list_push_back(&loops, &w->node);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's signals aren't this thread's */
	if (!runs)
		runs = pthread_create(&thread, NULL, watch, (void *)generation) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void watchdog_remove(struct runtime *rt)
{
	pthread_t ended;
	bool last;

	pthread_mutex_lock(&lock);
	LIST_FOREACH(node, &loops) {
		struct watched *w = LIST_ENTRY(node, struct watched, node);

		if (w->rt == rt) {
			list_remove(&w->node);
			free(w);
		}
	}
	last = runs && list_empty(&loops);
	ended = thread;
	if (last) {
		runs = false;
		generation++;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (last)
		(void)pthread_join(ended, NULL);
}

void watchdog_write_here(void)
{
	const struct task *t = task_current();
	const char *const parts[] = { "libgather: on the loop: ", t ? "task " : "no task",
				      t ? task_name(t) : "",      t ? " (" : "",
				      t ? task_site(t) : "",      t ? ")\n" : "\n" };
	void *frames[FRAMES];
	ssize_t ignored;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		ignored = write(STDERR_FILENO, parts[i], strlen(parts[i]));
		(void)ignored;
	}
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
}

void watchdog_prepare(void)
{
	void *frame;

	(void)backtrace(&frame, 1); /* loads the unwinder, which a handler mustn't */
}

static void prepare(void)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	pthread_condattr_t monotonic;

	watchdog_prepare();
	list_init(&loops);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	sem_init(&answer.done, 0, 0);
	sigemptyset(&action.sa_mask);
	(void)sigaction(SIGURG, &action, &previous);
}

static struct timespec until(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
}

/* It stops once the list was empty; who made it so waits for that. */
static void *watch(void *mine)
{
	pthread_setname_np(pthread_self(), "ga-watchdog");
	pthread_mutex_lock(&lock);
	while (generation == (uintptr_t)mine && !list_empty(&loops)) {
		int64_t now = clock_monotonic(), pause = SAMPLE_MOST;
		struct timespec wake;

		LIST_FOREACH(node, &loops) {
			struct watched *w = LIST_ENTRY(node, struct watched, node);

			pause = MIN(pause, MAX(w->slow_ns / SAMPLES, SAMPLE_LEAST));
			if (is_slow(w, now)) {
				int64_t held = now - w->since;
				bool answered = ask(w->tid);

				pthread_mutex_unlock(&lock); /* the report function may take its time */
				report(held, answered);
				pthread_mutex_lock(&lock);
				break; /* the list may be another now */
			}
		}
		wake = until(clock_monotonic() + pause);
		if (generation == (uintptr_t)mine && !list_empty(&loops))
			pthread_cond_timedwait(&changed, &lock, &wake);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* The same step as for so long, and it wasn't told yet. */
static bool is_slow(struct watched *w, int64_t now)
{
	uint64_t turns = __atomic_load_n(&w->header->turns, __ATOMIC_RELAXED);
	uint64_t steps = __atomic_load_n(&w->rt->steps, __ATOMIC_RELAXED);
	uint32_t running = __atomic_load_n(&w->header->running, __ATOMIC_RELAXED);
	bool idle = __atomic_load_n(&w->header->polling, __ATOMIC_RELAXED) || turns == 0 ||
		    !__atomic_load_n(&w->header->turning, __ATOMIC_RELAXED);

	if (idle || w->since == INT64_MAX || turns != w->turns || steps != w->steps ||
	    running != w->running) {
		w->turns = turns;
		w->steps = steps;
		w->running = running;
		w->since = idle ? INT64_MAX : now;
		w->told = false;
		return false;
	}
	if (w->told || now - w->since < w->slow_ns)
		return false;
	w->told = true;
	return true;
}

static bool ask(pid_t tid)
{
	struct timespec limit;
	int r;

	while (sem_trywait(&answer.done) == 0)
		; /* an answer that came too late */
	atomic_store(&answer.asked, tid);
	if (syscall(SYS_tgkill, getpid(), tid, SIGURG) < 0)
		return false;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit = until((int64_t)limit.tv_sec * NSEC_PER_SEC + limit.tv_nsec + ANSWER_NS);
	do
		r = sem_timedwait(&answer.done, &limit);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return true;
	/* Blocked signals, or a system call that can't be interrupted. If it answers just now, wait for that. */
	if (atomic_exchange(&answer.asked, 0) == tid)
		return false;
	while (sem_wait(&answer.done) < 0 && errno == EINTR)
		;
	return true;
}

static void report(int64_t held, bool answered)
{
	char frames[1600] = "\n    (no backtrace: its signals are blocked)", who[192] = "a step";

	if (answered) {
		if (answer.in_task)
			snprintf(who, sizeof(who), "task %s (%s)", answer.name, answer.place);
		else
			snprintf(who, sizeof(who), "a callback outside of tasks");
		debug_put_frames(frames, sizeof(frames), answer.frames + FRAMES_OF_HANDLER,
				 MAX(answer.count - FRAMES_OF_HANDLER, 0));
	}
	debug_report(GA_REPORT_SLOW, "%s has held the loop for %lld ms, and still does%s", who,
		     (long long)(held / NSEC_PER_MSEC), frames);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	pid_t tid = gettid();

	if (info->si_code == SI_TKILL && info->si_pid == getpid() &&
	    atomic_compare_exchange_strong(&answer.asked, &tid, 0)) {
		const struct task *t = task_current();

		answer.in_task = t != NULL;
		if (t) {
			memcpy(answer.name, task_name(t), sizeof(answer.name));
			memcpy(answer.place, task_site(t), sizeof(answer.place));
		}
		answer.count = backtrace(answer.frames, FRAMES);
		(void)sem_post(&answer.done);
	} else if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(sig, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(sig);
	}
	errno = saved_errno;
}
