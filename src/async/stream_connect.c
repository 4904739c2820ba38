/*
 * stream_connect.c — making connections.
 */
#include "dns.h"
#include "park.h"
#include "stream_io.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct lookup {
	struct park park;
	struct dns_query query;
	struct loop_timer timer;
	struct dns_answer *answer;
};

static int look_up(const char *host, int64_t deadline, struct dns_answer **ret_answer);
static int connect_any(const struct dns_answer *answer, uint16_t port, int64_t deadline,
		       ga_stream **ret_stream);
static int connect_to(const struct sockaddr *sa, socklen_t size, int64_t deadline,
		      ga_stream **ret_stream);

int ga_connect_tcp(const char *host, uint16_t port, int64_t deadline, ga_stream **ret_stream)
{
	struct sockaddr_storage sa;
	struct dns_answer *answer;
	struct address address;
	int r;

	if (address_parse(host, &address) == 0)
		return connect_to((struct sockaddr *)&sa, address_to_sockaddr(&address, port, &sa),
				  deadline, ret_stream);
	r = look_up(host, deadline, &answer);
	if (r < 0)
		return r;
	r = connect_any(answer, port, deadline, ret_stream);
	dns_answer_unref(answer);
	return r;
}

int ga_connect_unix(const char *path, int64_t deadline, ga_stream **ret_stream)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	return connect_to((struct sockaddr *)&sa, sizeof(sa), deadline, ret_stream);
}

static void on_answer(struct dns_query *q, struct dns_answer *answer)
{
	struct lookup *l = container_of(q, struct lookup, query);

	l->answer = dns_answer_ref(answer);
	park_wake(&l->park, 0);
}

static void on_deadline(struct loop_timer *t)
{
	struct lookup *l = t->arg;

	dns_query_stop(&l->query);
	park_wake(&l->park, -ETIMEDOUT);
}

static enum park_answer lookup_abort(struct park *p)
{
	dns_query_stop(&container_of(p, struct lookup, park)->query);
	return PARK_ABORTED;
}

static int lookup_wait(struct lookup *l, int64_t deadline)
{
	struct loop *loop = loop_current();
	int r;

	loop_timer_init(&l->timer, on_deadline, l);
	r = loop_timer_set(loop, &l->timer, deadline);
	if (r >= 0)
		r = park_wait(&l->park);
	else
		dns_query_stop(&l->query);
	loop_timer_stop(loop, &l->timer);
	return r;
}

static int look_up(const char *host, int64_t deadline, struct dns_answer **ret_answer)
{
	struct dns *d = dns_shared();
	struct lookup l = { 0 };
	int r;

	if (!d)
		return -ENOMEM;
	r = park_begin(&l.park, lookup_abort);
	if (r < 0)
		return r;
	r = dns_lookup(d, host, &l.query, on_answer, &l.answer);
	if (r == 0)
		r = lookup_wait(&l, deadline);
	if (r >= 0 && l.answer->error)
		r = -EHOSTUNREACH;
	if (r < 0) {
		dns_answer_unref(l.answer);
		return r;
	}
	*ret_answer = l.answer;
	return 0;
}

static int connect_any(const struct dns_answer *answer, uint16_t port, int64_t deadline,
		       ga_stream **ret_stream)
{
	int r = -EHOSTUNREACH;

	for (unsigned i = 0; i < answer->count; i++) {
		struct sockaddr_storage sa;
		socklen_t size = address_to_sockaddr(&answer->addresses[i], port, &sa);

		r = connect_to((struct sockaddr *)&sa, size, deadline, ret_stream);
		if (r >= 0 || r == -ETIMEDOUT || r == -ECANCELED)
			return r;
	}
	return r;
}

/* A Unix socket whose queue is full says so instead of connecting later. */
static int connect_begin(int fd, const struct sockaddr *sa, socklen_t size, int64_t deadline)
{
	for (;;) {
		int r;

		if (connect(fd, sa, size) == 0)
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

static int connect_to(const struct sockaddr *sa, socklen_t size, int64_t deadline, ga_stream **ret_stream)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r, one = 1;
	ga_stream *s;

	if (fd < 0)
		return -errno;
	if (sa->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	r = ga_stream_new(fd, &s);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = connect_begin(fd, sa, size, deadline);
	if (r == -EINPROGRESS)
		r = connect_finish(s, deadline);
	if (r < 0) {
		ga_stream_close(s);
		return r;
	}
	*ret_stream = s;
	return 0;
}
