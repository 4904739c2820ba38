/*
 * stream_race.c — the attempts to connect to one host, beside each other.
 */
#include "stream_race.h"
#include "clock.h"
#include "dns_channel.h"
#include "park_until.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEXT_AFTER (250 * NSEC_PER_MSEC) /* RFC 8305, section 8 */

struct attempt {
	struct race *race;
	struct io_watch watch; /* its fd: -1 once it is over */
};

/* In memory of its own: it is large for a small stack. */
struct race {
	struct park_until wait;
	struct loop *loop;
	struct loop_timer next_one;
	uint16_t port;
	int error;        /* of the attempt that failed last */
	unsigned started; /* of `attempts` */
	unsigned open;    /* of these, still under way */
	unsigned count;   /* of `order` */
	const struct address *order[DNS_ADDRESSES_MAX];
	struct attempt attempts[DNS_ADDRESSES_MAX];
};

static void take_turns(struct race *race, const struct dns_answer *answer);
static int race_run(struct race *race, int64_t deadline);
static void start_next(struct race *race);
static int attempt_start(struct attempt *a, const struct address *address);
static void attempt_end(struct attempt *a);
static void on_connected(struct io_watch *w, unsigned events);
static void on_next(struct loop_timer *t);
static enum park_answer race_abort(struct park *p);

int race_connect(const struct dns_answer *answer, uint16_t port, int64_t deadline)
{
	struct race *race = calloc(1, sizeof(*race));
	int r;

	if (!race)
		return -ENOMEM;
	race->loop = loop_current();
	race->port = port;
	race->error = -EHOSTUNREACH;
	take_turns(race, answer);
	r = park_begin(&race->wait.park, race_abort);
	if (r >= 0) {
		park_for(&race->wait.park, "connect");
		r = race_run(race, deadline);
	}
	free(race);
	return r;
}

/* The families alternate, beginning with the preferred one; each keeps its order (section 4). */
static void take_turns(struct race *race, const struct dns_answer *answer)
{
	unsigned next[2] = { 0, 0 };
	bool v6 = answer->addresses[0].v6;

	while (race->count < answer->count) {
		unsigned *at = &next[v6];

		while (*at < answer->count && answer->addresses[*at].v6 != v6)
			++*at;
		if (*at < answer->count)
			race->order[race->count++] = &answer->addresses[(*at)++];
		v6 = !v6;
	}
}

static int race_run(struct race *race, int64_t deadline)
{
	int r;

	loop_timer_init(&race->next_one, on_next, race);
	start_next(race);
	r = park_wait_until(&race->wait, deadline);
	loop_timer_stop(race->loop, &race->next_one);
	for (unsigned i = 0; i < race->started; i++)
		attempt_end(&race->attempts[i]);
	return r;
}

/* Start attempts until one is under way; there being none is the end. */
static void start_next(struct race *race)
{
	int r = -EAGAIN;

	while (race->started < race->count && !race->wait.park.woken) {
		struct attempt *a = &race->attempts[race->started];

		a->race = race;
		r = attempt_start(a, race->order[race->started++]);
		if (r == -EINPROGRESS)
			break;
		if (r < 0)
			race->error = r;
		else
			park_wake(&race->wait.park, r);
	}
	if (race->open == 0)
		park_wake(&race->wait.park, race->error);
	else if (race->started < race->count &&
		 loop_timer_set(race->loop, &race->next_one,
				time_add(loop_clock(race->loop), NEXT_AFTER)) < 0)
		park_wake(&race->wait.park, -ENOMEM);
}

/* The descriptor, connected; -EINPROGRESS; or an error. */
static int attempt_start(struct attempt *a, const struct address *address)
{
	struct sockaddr_storage sa;
	socklen_t size = address_to_sockaddr(address, a->race->port, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r, one = 1;

	a->watch.fd = -1;
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&sa, size) == 0)
		return fd;
	r = errno == EINTR || errno == EINPROGRESS ? 0 : -errno;
	if (r == 0)
		r = io_watch_start(a->race->loop, &a->watch, fd, LOOP_WRITE, on_connected, a);
	if (r < 0) {
		close(fd);
		a->watch.fd = -1;
		return r;
	}
	a->race->open++;
	return -EINPROGRESS;
}

static void attempt_end(struct attempt *a)
{
	if (a->watch.fd < 0)
		return;
	io_watch_stop(&a->watch);
	close(a->watch.fd);
	a->watch.fd = -1;
	a->race->open--;
}

static void on_connected(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct attempt *a = w->arg;
	struct race *race = a->race;
	int error = 0, fd = w->fd;
	socklen_t size = sizeof(error);

	if (race->wait.park.woken)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error) {
		race->error = -error;
		attempt_end(a);
		start_next(race);
		return;
	}
	io_watch_stop(w);
	w->fd = -1; /* the winner's isn't closed */
	race->open--;
	park_wake(&race->wait.park, fd);
}

static void on_next(struct loop_timer *t)
{
	start_next(t->arg);
}

static enum park_answer race_abort(struct park *p GA_UNUSED)
{
	return PARK_ABORTED; /* race_run() ends the attempts */
}
