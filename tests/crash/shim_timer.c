/*
 * shim_timer.c — timers on the wall clock that a test moves: they count by it, and who waits for one that is to be told
 * when the clock is set (TFD_TIMER_CANCEL_ON_SET) is told.
 */
#include "shim.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC INT64_C(1000000000)
#define TIMERS_MAX 8
#define LOOK_NS 10000000

/* A timer on the wall clock. */
static struct timer {
	_Atomic int fd;        /* below 0: none */
	_Atomic int64_t clock; /* where the clock was when it was last set */
	_Atomic bool woken;
} timers[TIMERS_MAX] = { [0 ... TIMERS_MAX - 1] = { .fd = -1 } };

static int set(int fd, int flags, const struct itimerspec *value, struct itimerspec *ret_old)
{
	return (int)syscall(SYS_timerfd_settime, fd, flags, value, ret_old);
}

/* Timers are made readable when the clock has moved. */
static void *watch(void *unused)
{
	static const struct timespec pause = { .tv_nsec = LOOK_NS };
	static const struct itimerspec now = { .it_value = { .tv_nsec = 1 } };

	for (;;) {
		nanosleep(&pause, NULL);
		for (int i = 0; i < TIMERS_MAX; i++) {
			struct timer *t = &timers[i];

			if (t->fd < 0 || t->clock == shim_clock_offset() ||
			    atomic_exchange(&t->woken, true))
				continue;
			set(t->fd, 0, &now, NULL);
		}
	}
	return unused;
}

static struct timer *find(int fd)
{
	for (int i = 0; i < TIMERS_MAX; i++) {
		if (timers[i].fd == fd)
			return &timers[i];
	}
	return NULL;
}

SHIM_EXPORT int timerfd_create(int clock, int flags)
{
	int fd = (int)syscall(SYS_timerfd_create, clock, flags);
	struct timer *t = clock == CLOCK_REALTIME && fd >= 0 && shim_clock_is_set() ? find(-1) : NULL;
	pthread_t thread;

	if (!t)
		return fd;
	t->clock = shim_clock_offset();
	t->fd = fd;
	if (t == timers && pthread_create(&thread, NULL, watch, NULL) != 0)
		shim_problem("no thread to watch the clock");
	return fd;
}

SHIM_EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *value,
				struct itimerspec *ret_old)
{
	struct itimerspec real = *value;
	struct timer *t = find(fd);

	if (t) {
		int64_t offset = shim_clock_offset();
		int64_t at = value->it_value.tv_sec * NSEC_PER_SEC + value->it_value.tv_nsec;

		t->clock = offset;
		t->woken = false;
		if ((flags & TFD_TIMER_ABSTIME) && at != 0) {
			at = at - offset > 1 ? at - offset : 1;
			real.it_value.tv_sec = at / NSEC_PER_SEC;
			real.it_value.tv_nsec = at % NSEC_PER_SEC;
		}
	}
	return set(fd, flags, &real, ret_old);
}

SHIM_EXPORT ssize_t read(int fd, void *data, size_t size)
{
	struct timer *t = find(fd);
	ssize_t r = syscall(SYS_read, fd, data, size);

	if (t && fd >= 0 && t->clock != shim_clock_offset()) {
		errno = ECANCELED;
		return -1;
	}
	return r;
}
