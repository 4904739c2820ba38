/*
 * stream_connect.c — making connections.
 */
#include "lookup.h"
#include "stream_io.h"
#include "stream_race.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_begin(int fd, const struct sockaddr_un *sa, int64_t deadline);
static int connect_finish(ga_stream *s, int64_t deadline);

int ga_connect_tcp(const char *host, uint16_t port, int64_t deadline, ga_stream **ret_stream)
{
	struct dns_answer *answer;
	int fd, r = lookup_host(host, deadline, &answer);

	if (r < 0)
		return r;
	fd = race_connect(answer, port, deadline);
	dns_answer_unref(answer);
	if (fd < 0)
		return fd;
	r = ga_stream_new(fd, ret_stream);
	if (r < 0)
		close(fd);
	return r;
}

int ga_connect_unix(const char *path, int64_t deadline, ga_stream **ret_stream)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	ga_stream *s;
	int fd, r;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = ga_stream_new(fd, &s);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = connect_begin(fd, &sa, deadline);
	if (r == -EINPROGRESS)
		r = connect_finish(s, deadline);
	if (r < 0) {
		ga_stream_close(s);
		return r;
	}
	*ret_stream = s;
	return 0;
}

/* A Unix socket whose queue is full says so instead of connecting later. */
static int connect_begin(int fd, const struct sockaddr_un *sa, int64_t deadline)
{
	for (;;) {
		int r;

		if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
			return 0;
		if (errno == EINTR || errno == EINPROGRESS)
			return -EINPROGRESS;
		if (errno != EAGAIN)
			return -errno;
		if (ga_now() >= deadline)
			return -ETIMEDOUT;
		r = ga_sleep(GA_MILLISECONDS(5));
		if (r < 0)
			return r;
	}
}

static int connect_finish(ga_stream *s, int64_t deadline)
{
	int error = 0, r = stream_wait(s, LOOP_WRITE, deadline);
	socklen_t size = sizeof(error);

	if (r < 0)
		return r;
	return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}
