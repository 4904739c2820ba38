/*
 * stream_pipe.c — writing to a pipe whose reader may be gone.
 *
 * send(2) has MSG_NOSIGNAL; for pipes, SIGPIPE goes to the writing thread. So it is blocked there meanwhile and, where it
 * came, taken away. Nothing about signals changes for the rest of the program.
 */
#include "stream_io.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <time.h>

static bool waits_already(const sigset_t *blocked);

ssize_t pipe_write(int fd, const struct iovec *parts, int count)
{
	const struct timespec now = { 0 };
	sigset_t pipe_only, before;
	bool waited;
	int saved_errno;
	ssize_t n;

	if (fd < 0) { /* shut down */
		errno = EPIPE;
		return -1;
	}
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	waited = waits_already(&before);
	n = writev(fd, parts, count);
	saved_errno = errno;
	while (n < 0 && saved_errno == EPIPE && !waited &&
	       sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved_errno;
	return n;
}

/* A program that blocks SIGPIPE itself may have one waiting, which isn't ours to take. */
static bool waits_already(const sigset_t *blocked)
{
	sigset_t waiting;

	return sigismember(blocked, SIGPIPE) && sigpending(&waiting) == 0 &&
	       sigismember(&waiting, SIGPIPE);
}
