/*
 * signals.c — see signals.h.
 */
#include "signals.h"
#include "future.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SIGNALS 65 /* Linux: 1..64 */

struct caught {
	bool taken;  /* our handler is in place */
	bool missed; /* came while nobody waited */
	struct sigaction before;
	void (*fn)(void *arg);
	void *arg;
	struct list futures;
};

struct signals {
	struct io_watch watch;
	int fd;
	struct caught caught[SIGNALS];
};

struct signal_future {
	struct ga_future future;
	struct list node; /* in caught.futures while pending */
};

/* What the handler sees. */
static atomic_int wake_fd = -1;
static atomic_bool arrived[SIGNALS];
static atomic_bool ends_program[SIGNALS]; /* when it comes again before the loop has come to it */
static atomic_int handling;               /* threads in the handler: they may hold wake_fd */

static int signals_get(struct runtime *rt, struct signals **ret_signals);
static int take(struct signals *s, int sig);
static void restore(struct signals *s, int sig);
static void handler(int sig);
static void on_arrival(struct io_watch *w, unsigned events);
static void deliver(struct caught *c, int sig);
static void cancel_all(struct caught *c);
static void signal_future_end(struct ga_future *f);
static void signal_cancel(struct ga_future *f);
static void signal_free(struct ga_future *f);

static const struct future_ops signal_ops = { .kind = "signal",
					      .cancel = signal_cancel,
					      .free = signal_free };

ga_future *ga_signal_future(int signal)
{
	struct runtime *rt = runtime_get();
	struct signal_future *f;
	struct signals *s;

	if (!rt || signals_get(rt, &s) < 0 || take(s, signal) < 0)
		return NULL;
	f = malloc(sizeof(*f));
	if (!f)
		return NULL;
	future_init(&f->future, &signal_ops);
	list_init(&f->node);
	s->caught[signal].fn = NULL; /* from now on it is this program's to wait for */
	atomic_store(&ends_program[signal], false);
	if (s->caught[signal].missed) {
		s->caught[signal].missed = false;
		future_resolve(&f->future, signal, NULL);
		return &f->future;
	}
	list_push_back(&s->caught[signal].futures, &f->node);
	loop_hold(rt->loop, 1);
	return &f->future;
}

int signals_on(struct runtime *rt, int sig, void (*fn)(void *arg), void *arg)
{
	struct signals *s;
	int r = signals_get(rt, &s);

	if (r >= 0)
		r = take(s, sig);
	if (r < 0)
		return r;
	s->caught[sig].fn = fn;
	s->caught[sig].arg = arg;
	atomic_store(&ends_program[sig], true);
	return 0;
}

void signals_off(struct runtime *rt, int sig)
{
	if (rt->signals && rt->signals->caught[sig].fn)
		restore(rt->signals, sig);
}

void signals_close(struct runtime *rt)
{
	struct signals *s = rt->signals;

	if (!s)
		return;
	for (int sig = 1; sig < SIGNALS; sig++) {
		cancel_all(&s->caught[sig]);
		restore(s, sig);
	}
	atomic_store(&wake_fd, -1);
	while (atomic_load(&handling) >
	       0) /* on another thread; else it would write to whatever gets this number next */
		sched_yield();
	loop_hold(rt->loop, 1);
	io_watch_stop(&s->watch);
	close(s->fd);
	free(s);
	rt->signals = NULL;
}

static int signals_get(struct runtime *rt, struct signals **ret_signals)
{
	struct signals *s = rt->signals;
	int r, nobody = -1;

	if (s) {
		*ret_signals = s;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	for (int sig = 0; sig < SIGNALS; sig++)
		list_init(&s->caught[sig].futures);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->fd < 0 ? -errno : io_watch_start(rt->loop, &s->watch, s->fd, LOOP_READ, on_arrival, s);
	if (r >= 0 && !atomic_compare_exchange_strong(&wake_fd, &nobody, s->fd)) {
		io_watch_stop(&s->watch);
		r = -EBUSY;
	}
	if (r < 0) {
		if (s->fd >= 0)
			close(s->fd);
		free(s);
		return r;
	}
	loop_hold(rt->loop, -1); /* by itself it keeps no loop from ending */
	rt->signals = s;
	*ret_signals = s;
	return 0;
}

static int take(struct signals *s, int sig)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK };

	if (sig < 1 || sig >= SIGNALS)
		return -EINVAL;
	if (s->caught[sig].taken)
		return 0;
	sigemptyset(&action.sa_mask);
	atomic_store(&arrived[sig], false);
	if (sigaction(sig, &action, &s->caught[sig].before) < 0)
		return -errno;
	s->caught[sig].taken = true;
	return 0;
}

static void restore(struct signals *s, int sig)
{
	struct caught *c = &s->caught[sig];

	if (!c->taken)
		return;
	(void)sigaction(sig, &c->before, NULL);
	c->taken = c->missed = false;
	c->fn = NULL;
	atomic_store(&ends_program[sig], false);
	atomic_store(&arrived[sig], false);
}

static void handler(int sig)
{
	const uint64_t one = 1;
	int saved_errno = errno;
	ssize_t ignored;
	int fd;

	atomic_fetch_add(&handling, 1);
	fd = atomic_load(&wake_fd);
	if (atomic_exchange(&arrived[sig], true) && atomic_load(&ends_program[sig])) {
		(void)signal(sig, SIG_DFL); /* the loop hasn't come to the first one: a second Ctrl-C is meant */
		(void)raise(sig);
	}
	if (fd >= 0) {
		ignored = write(fd, &one, sizeof(one));
		(void)ignored;
	}
	atomic_fetch_sub(&handling, 1);
	errno = saved_errno;
}

static void on_arrival(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct signals *s = w->arg;
	uint64_t count;
	ssize_t ignored = read(s->fd, &count, sizeof(count));

	(void)ignored;
	for (int sig = 1; sig < SIGNALS; sig++)
		if (atomic_load_explicit(&arrived[sig], memory_order_relaxed) &&
		    atomic_exchange(&arrived[sig], false))
			deliver(&s->caught[sig], sig);
}

static void deliver(struct caught *c, int sig)
{
	struct list waiting, *node;

	if (list_empty(&c->futures)) {
		if (c->fn)
			c->fn(c->arg);
		else
			c->missed = true;
		return;
	}
	list_init(&waiting);
	list_splice_back(&waiting, &c->futures);
	while ((node = waiting.next) != &waiting) {
		struct signal_future *f = LIST_ENTRY(node, struct signal_future, node);

		signal_future_end(&f->future);
		future_resolve(&f->future, sig, NULL);
	}
}

/* Futures may outlive the loop, and what they wait for doesn't. */
static void cancel_all(struct caught *c)
{
	while (!list_empty(&c->futures))
		signal_cancel(&LIST_ENTRY(c->futures.next, struct signal_future, node)->future);
}

static void signal_future_end(struct ga_future *f)
{
	struct signal_future *s = container_of(f, struct signal_future, future);

	if (!list_linked(&s->node))
		return;
	list_remove(&s->node);
	loop_hold(f->loop, -1);
}

static void signal_cancel(struct ga_future *f)
{
	signal_future_end(f);
	future_resolve(f, -ECANCELED, NULL);
}

static void signal_free(struct ga_future *f)
{
	signal_future_end(f);
	free(container_of(f, struct signal_future, future));
}
