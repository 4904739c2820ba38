/*
 * shim_clock.c — a wall clock that a test moves: it runs as the real one does, off by what stands in a mapped file.
 */
#include "shim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC INT64_C(1000000000)

static _Atomic int64_t none;
static _Atomic int64_t *offset = &none;

__attribute__((constructor)) static void set_up(void)
{
	const char *path = getenv(SHIM_CLOCK_VARIABLE);

	if (!path)
		return;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	void *page = (void *)syscall(SYS_mmap, NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);

	if (page != MAP_FAILED)
		offset = page;
	syscall(SYS_close, fd);
}

bool shim_clock_is_set(void)
{
	return offset != &none;
}

int64_t shim_clock_offset(void)
{
	return *offset;
}

SHIM_EXPORT int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret_time);

	if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
		int64_t wall = ret_time->tv_sec * NSEC_PER_SEC + ret_time->tv_nsec + *offset;

		ret_time->tv_sec = wall / NSEC_PER_SEC;
		ret_time->tv_nsec = wall % NSEC_PER_SEC;
	}
	return r;
}

SHIM_EXPORT int gettimeofday(struct timeval *ret_time, void *zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	ret_time->tv_sec = now.tv_sec;
	ret_time->tv_usec = now.tv_nsec / 1000;
	return 0;
}

SHIM_EXPORT time_t time(time_t *ret_time)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret_time)
		*ret_time = now.tv_sec;
	return now.tv_sec;
}
