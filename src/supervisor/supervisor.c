#include "supervisor.h"
#include "clock.h"
#include "state.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How often pulses are felt: a quarter of the shortest silence that matters, within reason. */
#define LOOK_MIN (10 * NSEC_PER_MSEC)
#define LOOK_MAX (500 * NSEC_PER_MSEC)

/* The poll set: these two, the types role's output, and the control channel of each child. */
enum { POLL_SIGNALS, POLL_EOF, POLL_TABLE, POLL_CHILDREN };

static int run(struct supervisor *s);
static int wait_for_events(struct supervisor *s, struct pollfd *fds, unsigned count);
static void dispatch(struct supervisor *s, const struct pollfd *fds, unsigned count);
static void signals_take(struct supervisor *s, int64_t now);
static void eof_look(struct supervisor *s, int64_t now);

int supervise(const struct options *o)
{
	struct supervisor s;
	int status;

	log_open("supervisor", LEVEL_INFO);
	status = setup_all(&s, o);
	if (!status)
		status = run(&s);
	setup_undo(&s);
	return status;
}

static int run(struct supervisor *s)
{
	unsigned count = POLL_CHILDREN + 3 + s->worker_count;
	struct pollfd *fds = calloc(count, sizeof(*fds));

	if (!fds)
		return EXIT_FAILURE;
	s->watchdog_last = clock_monotonic();
	family_types(s, clock_monotonic());
	while (s->phase != PHASE_STOPPING || family_lives(s)) {
		int64_t now;

		if (wait_for_events(s, fds, count) > 0)
			dispatch(s, fds, count);
		now = clock_monotonic();
		phase_tick(s, now);
		family_tick(s, now);
		reload_tick(s);
		service_update(s);
		service_watchdog(s, now);
	}
	free(fds);
	family_kill_adopted();
	return s->status;
}

static int poll_timeout(struct supervisor *s)
{
	int64_t now = clock_monotonic();
	int64_t look = MIN(s->conf->hang_warn / 4, LOOK_MAX);
	int64_t due = MIN(family_due(s), s->phase_end);

	due = MIN(due, now + MAX(look, LOOK_MIN));

	/* Rounded up: waking too early would turn the loop for nothing. */
	return (int)(MAX(due - now + NSEC_PER_MSEC - 1, 0) / NSEC_PER_MSEC);
}

static int wait_for_events(struct supervisor *s, struct pollfd *fds, unsigned count)
{
	fds[POLL_SIGNALS] = (struct pollfd){ .fd = s->signals, .events = POLLIN };
	fds[POLL_EOF] = (struct pollfd){ .fd = s->until_eof, .events = POLLIN };
	fds[POLL_TABLE] = (struct pollfd){ .fd = s->types.output, .events = POLLIN };
	for (unsigned i = POLL_CHILDREN; i < count; i++) {
		const struct child *c = family_at(s, i - POLL_CHILDREN);
		short events = POLLIN;

		if (buf_size(&c->outbox) > 0)
			events |= POLLOUT;
		fds[i] = (struct pollfd){ .fd = c->control, .events = events };
	}
	return poll(fds, count, poll_timeout(s));
}

static void dispatch(struct supervisor *s, const struct pollfd *fds, unsigned count)
{
	int64_t now = clock_monotonic();

	if (fds[POLL_TABLE].revents)
		types_read(s);
	for (unsigned i = POLL_CHILDREN; i < count; i++) {
		struct child *c = family_at(s, i - POLL_CHILDREN);

		if (fds[i].revents & POLLOUT)
			child_flush(c);
		if (fds[i].revents & ~POLLOUT)
			messages_read(s, c, now);
	}
	/* After the channels: what a child said before it died comes before its death. */
	if (fds[POLL_SIGNALS].revents)
		signals_take(s, now);
	if (fds[POLL_EOF].revents)
		eof_look(s, now);
}

static void stop_asked(struct supervisor *s, int64_t now)
{
	switch (s->phase) {
	case PHASE_TYPES:
	case PHASE_SERVING:
		phase_drain(s, now);
		break;
	case PHASE_DRAINING:
		log_notice("stopping at once");
		phase_stop(s, EXIT_SUCCESS, 2 * NSEC_PER_SEC, now);
		break;
	case PHASE_STOPPING:
		s->phase_end = now;
		break;
	}
}

static void signals_take(struct supervisor *s, int64_t now)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			family_reap(s, now);
		else if (info.ssi_signo == SIGHUP)
			s->reload_wanted = true;
		else
			stop_asked(s, now);
	}
}

static void eof_look(struct supervisor *s, int64_t now)
{
	char ignored[256];
	ssize_t size = read(s->until_eof, ignored, sizeof(ignored));

	if (size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN)))
		return;
	close(s->until_eof);
	s->until_eof = -1;
	phase_stop(s, EXIT_SUCCESS, 0, now);
	s->phase_end = now; /* also if it was stopping already: whoever wanted the results is gone */
}
