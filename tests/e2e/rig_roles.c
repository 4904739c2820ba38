/*
 * rig_roles.c — roles that do nothing but what a test tells them, for tests of the supervisor alone.
 *
 * Each reports on standard error what it was started with and told. Signals make it misbehave: USR1 silences its loop,
 * USR2 makes it exit with status 78 (the broker) or 3 (a worker), WINCH with that of a worker that wants to start anew,
 * URG makes a worker start a process that outlives it, HUP one that leaves its process group too. $CMOCKA_RIG, which the
 * supervisor passes on, holds words that change what is done from the start. On a line "replace SLOT", "sacrifice" or "dismiss" the broker asks the supervisor for
 * that.
 */
#include "clock.h"
#include "job_terms.h"
#include "log.h"
#include "role.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t silenced, leaving, renewing, forking, escaping;
static uint64_t incarnations[4096];

static void on_signal(int number)
{
	silenced |= number == SIGUSR1;
	leaving |= number == SIGUSR2;
	renewing |= number == SIGWINCH;
	forking |= number == SIGURG;
	escaping |= number == SIGHUP;
}

static bool rigged(const char *word)
{
	const char *words = getenv("CMOCKA_RIG");

	return words && strstr(words, word);
}

static void descriptors_report(void)
{
	char text[256] = "";
	DIR *directory = opendir("/proc/self/fd");

	for (int fd = 0; fd < 64; fd++) {
		char name[16], path[32], target[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (fd == dirfd(directory) || readlink(path, target, sizeof(target)) < 0)
			continue;
		snprintf(name, sizeof(name), " %d", fd);
		strcat(text, name);
	}
	closedir(directory);
	log_info("descriptors%s", text);
}

static void environment_report(void)
{
	for (char **variable = environ; *variable; variable++)
		log_info("environment %s", *variable);
}

static void introduce(const struct role *r)
{
	static const int numbers[] = { SIGUSR1, SIGUSR2, SIGWINCH, SIGURG, SIGHUP };

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		signal(numbers[i], on_signal);
	if (rigged("stubborn"))
		signal(SIGTERM, SIG_IGN);
	log_info("started pid=%d slot=%u cpu=%u on=%d incarnation=%llu build=%d listeners=%u types=%s",
		 getpid(), r->slot, r->cpu, sched_getcpu(), (unsigned long long)r->incarnation,
		 r->build_id != 0, r->listeners, r->types ? r->types : "none");
	descriptors_report();
	environment_report();
}

static void outlive(bool escape)
{
	if (fork() > 0)
		return;
	if (escape)
		setsid();
	for (;;)
		pause();
}

static void misbehave(int status)
{
	while (silenced)
		pause();
	if (leaving)
		_exit(status);
	if (renewing)
		_exit(WORKER_EXIT_ANEW);
	if (forking || escaping)
		outlive(escaping);
	forking = escaping = 0;
}

static int ready(const struct role *r)
{
	struct control_message m = { .kind = CONTROL_READY, .slot = r->slot };

	return rigged("unready") ? 0 : control_send(ROLE_FD_CONTROL, &m);
}

static void told(const struct control_message *m)
{
	log_info("told kind=%u slot=%u incarnation=%llu token=%llu status=%d%s", m->kind, m->slot,
		 (unsigned long long)m->incarnation, (unsigned long long)m->token, m->status,
		 m->flags & CONTROL_BLAMELESS ? " blameless" : "");
	if (m->kind == CONTROL_WORKER_STARTED && m->slot < ARRAY_SIZE(incarnations))
		incarnations[m->slot] = m->incarnation;
	if (m->kind == CONTROL_RELOAD) {
		char *text = NULL;

		if (role_config(&text) >= 0)
			log_info("config %s", text);
		free(text);
	}
	if (m->kind == CONTROL_DRAIN && !rigged("undrainable")) {
		struct control_message drained = { .kind = CONTROL_DRAINED };

		_exit(control_send(ROLE_FD_CONTROL, &drained) < 0);
	}
}

/* What a line from the test asks of the supervisor. */
static void ask(const char *line)
{
	struct control_message m = { .slot = SACRIFICE_SLOT };

	if (strncmp(line, "replace ", 8) == 0) {
		m.kind = CONTROL_WORKER_RESTART;
		m.slot = (uint32_t)atoi(line + 8);
	} else if (strncmp(line, "sacrifice", 9) == 0) {
		m.kind = CONTROL_SACRIFICE;
	} else if (strncmp(line, "dismiss", 7) == 0) {
		m.kind = CONTROL_DISMISS;
	} else {
		return;
	}
	m.incarnation = incarnations[m.slot];
	if (control_send(ROLE_FD_CONTROL, &m) < 0)
		log_error("not sent");
}

static void serve_one(void)
{
	const struct timeval patience = { .tv_usec = 50000 };
	int fd = accept(ROLE_FD_LISTENERS, NULL, NULL);
	char line[64] = "";

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (write(fd, "hello\n", 6) == 6 && read(fd, line, sizeof(line) - 1) > 0)
		ask(line);
	close(fd);
}

static int loop(const struct role *r, int status)
{
	struct pollfd fds[] = { { .fd = ROLE_FD_CONTROL, .events = POLLIN },
				{ .fd = r->listeners ? ROLE_FD_LISTENERS : -1, .events = POLLIN } };
	struct control_message m;
	int error;

	introduce(r);
	error = ready(r);
	while (error >= 0 || error == -EAGAIN) {
		role_heartbeat(r->page, clock_monotonic(), 0);
		misbehave(status);
		if (poll(fds, 2, 50) > 0 && fds[1].revents)
			serve_one();
		error = control_receive(ROLE_FD_CONTROL, &m);
		if (error >= 0)
			told(&m);
	}
	return 0; /* the supervisor is gone */
}

int broker_main(const struct role *r)
{
	return loop(r, 78);
}

int worker_main(const struct role *r)
{
	atomic_store(&r->page->on_cpu, 1000 + r->slot);
	if (rigged("crashing") && (r->slot == SACRIFICE_SLOT || !rigged("lonely")))
		abort();
	return loop(r, 3);
}

int types_main(const struct role *r)
{
	if (strstr(r->config, "/broken.so")) {
		log_error("/broken.so: no such module");
		return 78;
	}
	if (strstr(r->config, "/crash.so"))
		raise(SIGSEGV);
	while (strstr(r->config, "/endless.so"))
		pause();
	puts("{\"rig\":1}");
	return 0;
}
