#include "clock.h"
#include "configuration.h"
#include "state.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* What systemd allows beyond the patience that it was told of. */
#define STOP_MARGIN (10 * NSEC_PER_SEC)

static void first_steps(const struct supervisor *s);

void service_open(struct supervisor *s)
{
	uint64_t period_us = 0;

	if (sd_watchdog_enabled(0, &period_us) > 0)
		s->watchdog = (int64_t)MIN(period_us, (uint64_t)INT64_MAX / 1000) * NSEC_PER_USEC;
}

static unsigned workers_up(const struct supervisor *s)
{
	unsigned up = 0;

	for (unsigned i = 0; i < s->worker_count; i++)
		up += s->workers[i].state == CHILD_UP;
	return up;
}

/* The broker serves, a worker too, and no other worker is on its way for the first time. */
static bool is_ready(const struct supervisor *s)
{
	if (s->broker.state != CHILD_UP || workers_up(s) == 0)
		return false;
	for (unsigned i = 0; i < s->worker_count; i++)
		if (!s->workers[i].was_ready && s->workers[i].restart.count == 0)
			return false;
	return true;
}

static void say_ready(struct supervisor *s)
{
	s->ready = true;
	log_info("ready: workers %u, socket %s", s->worker_count,
		 s->listeners.own ? s->conf->socket : "from systemd");
	sd_notify(0, "READY=1");
	if (s->options->dev)
		first_steps(s);
	if (s->ready_fd >= 0) {
		if (write(s->ready_fd, "ready\n", 6) != 6)
			log_warning("nobody reads the descriptor of --ready-fd");
		close(s->ready_fd);
		s->ready_fd = -1;
	}
}

void service_update(struct supervisor *s)
{
	char status[sizeof(s->told)];

	if (s->phase != PHASE_SERVING)
		return;
	if (!s->ready && is_ready(s))
		say_ready(s);
	snprintf(status, sizeof(status), "STATUS=broker %s, %u of %u workers up",
		 s->broker.state == CHILD_UP ? "up" : "down", workers_up(s), s->worker_count);
	if (strcmp(status, s->told) == 0)
		return;
	memcpy(s->told, status, sizeof(status));
	sd_notify(0, status);
}

/* Only the broker's heart counts: a hung worker is dealt with here, and the service goes on without it. */
void service_watchdog(struct supervisor *s, int64_t now)
{
	bool well = true;

	if (!s->watchdog || now - s->watchdog_last < s->watchdog / 2)
		return;
	if (s->phase == PHASE_SERVING)
		well = child_lives(&s->broker) && s->broker.pulse.silent < s->conf->hang_warn;
	if (!well)
		return; /* asked again at the next turn: a broker that comes back in time is enough */
	s->watchdog_last = now;
	sd_notify(0, "WATCHDOG=1");
}

void service_reloading(bool done)
{
	if (done)
		sd_notify(0, "READY=1");
	else
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
			   (long long)(clock_monotonic() / NSEC_PER_USEC));
}

void service_stopping(const char *status, int64_t patience)
{
	sd_notifyf(0, "STOPPING=1\nSTATUS=%s\nEXTEND_TIMEOUT_USEC=%lld", status,
		   (long long)(time_add(patience, STOP_MARGIN) / NSEC_PER_USEC));
}

/* `gather` as its user can type it: by name, or where it was built. */
static const char *gather_command(char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (length <= 0)
		return "gather";
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash - path) + sizeof("/gather") > size ||
	    strncmp(path, "/usr/", 5) == 0)
		return "gather";
	memcpy(slash, "/gather", sizeof("/gather"));
	return access(path, X_OK) == 0 ? path : "gather";
}

static void first_steps(const struct supervisor *s)
{
	char path[PATH_MAX];

	printf("socket: %s\n"
	       "try:    GATHER_SOCKET=%s %s run sleep seconds=1\n"
	       "or:     curl --unix-socket %s http://localhost/v1/types\n"
	       "end:    Ctrl-C\n",
	       s->conf->socket, s->conf->socket, gather_command(path, sizeof(path)), s->conf->socket);
	fflush(stdout);
}
