/*
 * process.c — the life of a child: started, watched, ended, reaped.
 *
 * Its end is learned with WNOWAIT and it is reaped only when it is freed: until then its pid can't be given to another
 * process, so a signal to its group reaches that group and no other.
 */
#include "clock.h"
#include "future.h"
#include "process_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLOSE_MAX_NS (5 * NSEC_PER_SEC) /* for the killed to die, when the loop closes */

struct stdio_end {
	int child;     /* to be its descriptor, or LAUNCH_... */
	bool opened;   /* by us */
	ga_stream *us; /* our end, of a pipe */
};

struct end_future {
	struct ga_future future;
	struct list node; /* in process.futures while pending */
};
_Static_assert(sizeof(struct end_future) <= 128, "a stackless future is small");

static int check_start(const char *const argv[], struct runtime *rt);
static int open_ends(const struct ga_process_options *o, struct stdio_end ends[3]);
static int open_end(enum ga_stdio kind, int fd, int number, struct stdio_end *end);
static int open_pipe(int number, struct stdio_end *end);
static void close_ends(struct stdio_end ends[3]);
static int start(ga_process *p, const char *const argv[], const struct ga_process_options *o,
		 const struct stdio_end ends[3]);
static void on_end(struct io_watch *w, unsigned events);
static void process_end(ga_process *p, int status);
static int learn_status(const ga_process *p);
static int signal_group(const ga_process *p, int signal);
static int wait_for_death(const ga_process *p, int64_t limit);
static void process_part(ga_process *p);
static void close_streams(ga_process *p);
static void process_done(ga_process *p);
static void end_cancel(struct ga_future *f);
static void end_free(struct ga_future *f);

static const struct future_ops end_ops = { .kind = "process", .cancel = end_cancel, .free = end_free };

int ga_process_start(const char *const argv[], const struct ga_process_options *options,
		     ga_process **ret_process)
{
	static const struct ga_process_options standard = { 0 };
	struct stdio_end ends[3] = { { .child = -1 }, { .child = -1 }, { .child = -1 } };
	struct runtime *rt = runtime_get();
	ga_process *p;
	int r = check_start(argv, rt);

	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	if (!options)
		options = &standard;
	p->runtime = rt;
	p->status = -EINPROGRESS;
	list_init(&p->futures);
	r = open_ends(options, ends);
	if (r >= 0)
		r = start(p, argv, options, ends);
	if (r < 0)
		for (int i = 0; i < 3; i++)
			ga_stream_close(ends[i].us);
	close_ends(ends);
	if (r < 0) {
		free(p);
		return r;
	}
	p->in = ends[0].us;
	p->out = ends[1].us;
	p->err = ends[2].us;
	list_push_back(&rt->processes, &p->node);
	*ret_process = p;
	return 0;
}

void ga_process_free(ga_process *process)
{
	if (!process)
		return;
	(void)signal_group(process, SIGKILL);
	if (process->status == -EINPROGRESS) {
		close_streams(process);
		process->freed = true;
		return;
	}
	process_part(process);
	process_done(process);
}

void ga_process_freep(ga_process **process)
{
	ga_process_free(*process);
	*process = NULL;
}

pid_t ga_process_pid(const ga_process *process)
{
	return process->pid;
}

ga_stream *ga_process_stdin(const ga_process *process)
{
	return process->in;
}

ga_stream *ga_process_stdout(const ga_process *process)
{
	return process->out;
}

ga_stream *ga_process_stderr(const ga_process *process)
{
	return process->err;
}

int ga_process_status(const ga_process *process)
{
	return process->status;
}

int ga_process_wait(ga_process *process, int64_t deadline)
{
	GA_AUTO ga_future *end = NULL;
	int r;

	if (process->status != -EINPROGRESS)
		return process->status;
	end = ga_process_future(process);
	if (!end)
		return -ENOMEM;
	r = ga_wait(&end, 1, GA_ALL_COMPLETED, deadline);
	if (r < 0)
		return r;
	return r == 0 ? -ETIMEDOUT : ga_result(end, NULL);
}

ga_future *ga_process_future(ga_process *process)
{
	struct end_future *e = loop_current() ? malloc(sizeof(*e)) : NULL;

	if (!e)
		return NULL;
	future_init(&e->future, &end_ops);
	list_init(&e->node);
	if (process->status == -EINPROGRESS)
		list_push_back(&process->futures, &e->node);
	else
		future_resolve(&e->future, process->status, NULL);
	return &e->future;
}

int ga_process_kill(ga_process *process, int signal)
{
	int r = signal_group(process, signal);

	return r == 0 && process->status != -EINPROGRESS ? -ESRCH : r;
}

/* They die at once or, in the middle of some disk's or network's I/O, later; then init reaps them. */
void processes_close(struct runtime *rt)
{
	int64_t limit = time_add(clock_monotonic(), CLOSE_MAX_NS);

	rt->processes_closed = true;
	LIST_FOREACH(node, &rt->processes)
		(void)signal_group(LIST_ENTRY(node, ga_process, node), SIGKILL);
	while (!list_empty(&rt->processes)) {
		ga_process *p = LIST_ENTRY(rt->processes.next, ga_process, node);
		bool freed = p->freed;

		if (p->status == -EINPROGRESS)
			process_end(p, wait_for_death(p, limit));
		if (!freed)
			process_part(p); /* what is left wants its maker's ga_process_free() */
	}
}

static int check_start(const char *const argv[], struct runtime *rt)
{
	if (!rt)
		return loop_current() ? -ENOMEM : -EPERM;
	if (!argv || !argv[0])
		return -EINVAL;
	return rt->processes_closed ? -ECANCELED : 0;
}

static int open_ends(const struct ga_process_options *o, struct stdio_end ends[3])
{
	int r = o->out == GA_STDIO_TO_STDOUT || o->in == GA_STDIO_TO_STDOUT ? -EINVAL : 0;

	if (r >= 0)
		r = open_end(o->in, o->in_fd, 0, &ends[0]);
	if (r >= 0)
		r = open_end(o->out, o->out_fd, 1, &ends[1]);
	if (r >= 0)
		r = open_end(o->err, o->err_fd, 2, &ends[2]);
	return r;
}

static int open_end(enum ga_stdio kind, int fd, int number, struct stdio_end *end)
{
	switch (kind) {
	case GA_STDIO_INHERIT:
		end->child = LAUNCH_INHERIT;
		return 0;
	case GA_STDIO_TO_STDOUT:
		end->child = LAUNCH_AS_STDOUT;
		return 0;
	case GA_STDIO_FD:
		end->child = fd;
		return fd < 0 ? -EBADF : 0;
	case GA_STDIO_PIPE:
		return open_pipe(number, end);
	case GA_STDIO_NULL:
		end->child = open("/dev/null", O_RDWR | O_CLOEXEC);
		end->opened = end->child >= 0;
		return end->opened ? 0 : -errno;
	}
	return -EINVAL;
}

static int open_pipe(int number, struct stdio_end *end)
{
	int fds[2], theirs = number == 0 ? 0 : 1, r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	end->child = fds[theirs];
	end->opened = true;
	r = ga_stream_new(fds[!theirs], &end->us);
	if (r < 0)
		close(fds[!theirs]);
	return r;
}

static void close_ends(struct stdio_end ends[3])
{
	for (int i = 0; i < 3; i++)
		if (ends[i].opened)
			close(ends[i].child);
}

static int start(ga_process *p, const char *const argv[], const struct ga_process_options *o,
		 const struct stdio_end ends[3])
{
	const struct launch l = { .argv = argv,
				  .env = o->env,
				  .directory = o->directory,
				  .fds = { ends[0].child, ends[1].child, ends[2].child },
				  .same_session = o->same_session,
				  .death_signal = o->parent_death_signal };
	int r = process_launch(&l, &p->pid, &p->pidfd);

	if (r < 0)
		return r;
	r = io_watch_start(p->runtime->loop, &p->watch, p->pidfd, LOOP_READ, on_end, p);
	if (r < 0) { /* rather than leave it running unwatched */
		(void)signal_group(p, SIGKILL);
		(void)waitid(P_PIDFD, (id_t)p->pidfd, &(siginfo_t){ 0 }, WEXITED);
		close(p->pidfd);
	}
	return r;
}

static void on_end(struct io_watch *w, unsigned events GA_UNUSED)
{
	ga_process *p = w->arg;
	int status = learn_status(p);

	if (status != -EINPROGRESS)
		process_end(p, status);
}

/* RUNNING -> ENDED, and for a freed one to its very end. */
static void process_end(ga_process *p, int status)
{
	struct list *node;

	io_watch_stop(&p->watch);
	p->status = status;
	while ((node = list_pop_front(&p->futures)) != NULL)
		future_resolve(&LIST_ENTRY(node, struct end_future, node)->future, status, NULL);
	if (!p->freed)
		return;
	process_part(p);
	process_done(p);
}

static int learn_status(const ga_process *p)
{
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EINPROGRESS;
	return info.si_code == CLD_EXITED ? info.si_status : 256 + info.si_status;
}

static int wait_for_death(const ga_process *p, int64_t limit)
{
	struct pollfd dead = { .fd = p->pidfd, .events = POLLIN };
	int status;

	do {
		int64_t left = MAX(limit - clock_monotonic(), (int64_t)0);

		(void)poll(&dead, 1, (int)(left / NSEC_PER_MSEC));
		status = learn_status(p);
	} while (status == -EINPROGRESS && clock_monotonic() < limit);
	return status == -EINPROGRESS ? -ECHILD : status;
}

/* Whoever else has reaped it, its pid may be anybody's by now. */
static int signal_group(const ga_process *p, int signal)
{
	if (p->pidfd < 0 ||
	    waitid(P_PIDFD, (id_t)p->pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -ESRCH;
	return kill(-p->pid, signal) < 0 ? -errno : 0;
}

/* Reap it, and take from the loop what it has there. */
static void process_part(ga_process *p)
{
	close_streams(p);
	if (p->pidfd < 0)
		return;
	(void)waitid(P_PIDFD, (id_t)p->pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
	close(p->pidfd);
	p->pidfd = -1;
	list_remove(&p->node);
}

static void close_streams(ga_process *p)
{
	ga_stream_close(p->in);
	ga_stream_close(p->out);
	ga_stream_close(p->err);
	p->in = p->out = p->err = NULL;
}

static void process_done(ga_process *p)
{
	buf_done(&p->out_bytes.buf);
	buf_done(&p->err_bytes.buf);
	free(p);
}

static void end_cancel(struct ga_future *f)
{
	list_remove(&container_of(f, struct end_future, future)->node);
	future_resolve(f, -ECANCELED, NULL);
}

static void end_free(struct ga_future *f)
{
	struct end_future *e = container_of(f, struct end_future, future);

	list_remove(&e->node);
	free(e);
}
