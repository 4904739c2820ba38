/*
 * process_launch.c — from a clone of this process to a running program.
 *
 * clone(CLONE_VM | CLONE_VFORK): as with vfork(2), nothing is copied, so the cost doesn't grow with the parent's memory,
 * and the calling thread stands still until the child has called exec or exited. posix_spawn(3) does the same, but gives
 * no pidfd in glibc 2.36, and knows no PR_SET_PDEATHSIG. What makes it safe: the child has a stack of its own; all
 * signals are blocked until their handlers are off, so that none of ours runs in it; and it makes system calls alone,
 * because any state of libc's, or of a sanitizer's, would be the parent's. errno is the calling thread's, which sleeps.
 *
 * valgrind and qemu-user make a fork of it: then the child's error comes by a pipe, that exec closes.
 */
#include "process_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_STACK_BYTES 16384
#define CANNOT_RUN 127 /* as shells exit; nobody sees it */

/* ThreadSanitizer's clone() takes the child for a forked process and would switch itself off in our memory. */
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#ifdef WITH_TSAN
int __clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define UNINSTRUMENTED __attribute__((noinline, disable_sanitizer_instrumentation))
#endif
#endif
#ifndef UNINSTRUMENTED
#define UNINSTRUMENTED __attribute__((noinline, no_sanitize("address", "thread", "undefined")))
#endif

struct child {
	_Alignas(64) char stack[CHILD_STACK_BYTES];
	const struct launch *launch;
	const char *const *env;
	pid_t parent;
	int pipe;    /* to tell the error by */
	bool shares; /* the memory: set by the child */
	int error;
	char *names[]; /* to be tried in turn, until NULL; their text stands behind */
};

static bool kernel_is_new_enough(void);
static pid_t start_child(struct child *c, int *ret_pidfd);
static int error_of(const struct child *c, int pipe);
static struct child *child_new(const struct launch *l);
static const char *search_path(const char *const *env);
static size_t put_names(const char *path, const char *program, char **names, char *text,
			size_t *ret_count);
static int child_main(void *arg);

int process_launch(const struct launch *l, pid_t *ret_pid, int *ret_pidfd)
{
	int pidfd = -1, pipe[2], r;
	struct child *child;
	pid_t pid;

	if (!kernel_is_new_enough())
		return -ENOSYS;
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return -errno;
	child = child_new(l);
	pid = -ENOMEM;
	if (child) {
		child->pipe = pipe[1];
		pid = start_child(child, &pidfd);
	}
	close(pipe[1]);
	r = pid < 0 ? pid : -error_of(child, pipe[0]);
	close(pipe[0]);
	free(child);
	if (r < 0) {
		if (pid >= 0) {
			(void)waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){ 0 }, WEXITED);
			close(pidfd);
		}
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}

static pid_t start_child(struct child *c, int *ret_pidfd)
{
	const int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
	char *stack = c->stack + sizeof(c->stack);
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = clone(child_main, stack, flags | CLONE_PIDFD, c, ret_pidfd);
	if (pid < 0 && errno == EINVAL) { /* qemu-user 7.2 */
		pid = clone(child_main, stack, flags, c);
		*ret_pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
	}
	if (pid < 0)
		pid = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static int error_of(const struct child *c, int pipe)
{
	int error = 0;

	if (c->shares)
		return c->error;
	while (read(pipe, &error, sizeof(error)) < 0 && errno == EINTR)
		;
	return error;
}

/* An older kernel would ignore CLONE_PIDFD, and the child would run unwatched. waitid() knows P_PIDFD from 5.4 on. */
static bool kernel_is_new_enough(void)
{
	return waitid(P_PIDFD, INT_MAX, &(siginfo_t){ 0 }, WEXITED) < 0 && errno == EBADF;
}

static struct child *child_new(const struct launch *l)
{
	const char *const *env = l->env ? l->env : (const char *const *)environ;
	const char *path = search_path(env);
	size_t count, text_size = put_names(path, l->argv[0], NULL, NULL, &count);
	size_t size = sizeof(struct child) + (count + 1) * sizeof(char *) + text_size;
	struct child *c = aligned_alloc(64, (size + 63) / 64 * 64);

	if (!c)
		return NULL;
	c->launch = l;
	c->env = env;
	c->parent = getpid();
	c->shares = false;
	c->error = 0;
	(void)put_names(path, l->argv[0], c->names, (char *)&c->names[count + 1], &count);
	c->names[count] = NULL;
	return c;
}

static const char *search_path(const char *const *env)
{
	for (; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			return *env + 5;
	return "/bin:/usr/bin"; /* as execvp(3) */
}

/* The program's name, with each directory of the path unless it has one; returns the size of their text. With names
 * NULL it only counts. */
static size_t put_names(const char *path, const char *program, char **names, char *text,
			size_t *ret_count)
{
	size_t used = 0, count = 0, length = strlen(program);
	bool done = false;

	if (strchr(program, '/') || length == 0)
		path = "";
	while (!done) {
		size_t width = strcspn(path, ":");

		if (names) {
			names[count] = text + used;
			memcpy(text + used, path, width);
			text[used + width] = '/';
			memcpy(text + used + width + (width > 0), program, length + 1);
		}
		used += width + (width > 0) + length + 1;
		count++;
		done = path[width] == '\0';
		path += width + 1;
	}
	*ret_count = count;
	return used;
}

/* ---- in the child: system calls alone ---- */

static UNINSTRUMENTED void reset_signals(void)
{
	const unsigned long standard[8] = { 0 }; /* the kernel's struct sigaction: SIG_DFL, no flags */

	for (int sig = 1; sig <= 64; sig++)
		(void)syscall(SYS_rt_sigaction, sig, standard, NULL, 8);
}

static UNINSTRUMENTED int place(const struct launch *l, pid_t parent)
{
	if (syscall(l->same_session ? SYS_setpgid : SYS_setsid, 0, 0) < 0)
		return -1;
	if (l->death_signal && syscall(SYS_prctl, PR_SET_PDEATHSIG, l->death_signal, 0, 0, 0) < 0)
		return -1;
	if (l->death_signal && syscall(SYS_getppid) != parent) {
		errno = ESRCH; /* it died before we asked; nobody reads this */
		return -1;
	}
	return l->directory ? (int)syscall(SYS_chdir, l->directory) : 0;
}

/* A source below 3 is lifted first: what stands there is about to be replaced. */
static UNINSTRUMENTED int connect_stdio(const struct launch *l)
{
	int from[3];

	for (int i = 0; i < 3; i++) {
		from[i] = l->fds[i];
		if (from[i] >= 0 && from[i] < 3)
			from[i] = (int)syscall(SYS_fcntl, from[i], F_DUPFD, 3);
		if (from[i] < 0 && l->fds[i] >= 0)
			return -1;
	}
	for (int i = 0; i < 3; i++) {
		if (from[i] == LAUNCH_INHERIT)
			continue;
		if (syscall(SYS_dup3, from[i] == LAUNCH_AS_STDOUT ? 1 : from[i], i, 0) < 0)
			return -1;
	}
	if (syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) < 0) {
		errno = errno == EINVAL ? ENOSYS : errno; /* it has the flag from 5.11 on */
		return -1;
	}
	return 0;
}

/* The error of the first file that is there and can't be run; else that there is none. */
static UNINSTRUMENTED void run(const struct child *c)
{
	int error = 0;

	for (char *const *name = c->names; *name; name++) {
		(void)syscall(SYS_execve, *name, c->launch->argv, c->env);
		if (error == 0 && errno != ENOENT && errno != ENOTDIR)
			error = errno;
	}
	if (error)
		errno = error;
}

static UNINSTRUMENTED int child_main(void *arg)
{
	const unsigned long none[16] = { 0 };
	struct child *c = arg;
	int pipe;

	c->shares = true;
	reset_signals();
	pipe = (int)syscall(SYS_fcntl, c->pipe, F_DUPFD_CLOEXEC, 3);
	if (pipe >= 0 && place(c->launch, c->parent) >= 0 && connect_stdio(c->launch) >= 0) {
		(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, 8);
		run(c);
	}
	c->error = errno;
	(void)syscall(SYS_write, pipe, &c->error, sizeof(c->error));
	/* Rather than exit: valgrind would look for leaks first, in all that is reserved for stacks. */
	(void)syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	return CANNOT_RUN;
}
