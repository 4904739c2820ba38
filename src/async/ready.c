/*
 * ready.c — a future that resolves when a descriptor is readable or writable.
 */
#include "future.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct ready {
	struct ga_future future;
	struct io_watch watch;
};
_Static_assert(sizeof(struct ready) <= 128, "a stackless future is small");

static int ready_start(struct ready *r, int fd, bool writable);
static void on_ready(struct io_watch *w, unsigned events);
static void ready_cancel(struct ga_future *f);
static void ready_free(struct ga_future *f);

static const struct future_ops ready_ops = { .kind = "ready", .cancel = ready_cancel, .free = ready_free };

ga_future *ga_ready_future(int fd, bool writable)
{
	struct ready *f = loop_current() ? calloc(1, sizeof(*f)) : NULL;
	int r;

	if (!f)
		return NULL;
	future_init(&f->future, &ready_ops);
	r = ready_start(f, fd, writable);
	if (r == -EAGAIN)
		return &f->future;
	future_resolve(&f->future, r, NULL);
	return &f->future;
}

/* -EAGAIN: it is watched. Files and directories are always ready, as for poll(2), and epoll refuses them. */
static int ready_start(struct ready *f, int fd, bool writable)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return 0;
	r = io_watch_start(f->future.loop, &f->watch, fd, writable ? LOOP_WRITE : LOOP_READ,
			   on_ready, f);
	return r < 0 ? r : -EAGAIN;
}

static void on_ready(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct ready *f = w->arg;

	io_watch_stop(w);
	future_resolve(&f->future, 0, NULL);
}

static void ready_cancel(struct ga_future *f)
{
	io_watch_stop(&container_of(f, struct ready, future)->watch);
	future_resolve(f, -ECANCELED, NULL);
}

static void ready_free(struct ga_future *f)
{
	struct ready *r = container_of(f, struct ready, future);

	io_watch_stop(&r->watch);
	free(r);
}
