#include "clock.h"
#include "failpoint.h"
#include "memory_file.h"
#include "state.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static void child_died(struct supervisor *s, struct child *c, int status, int64_t now);
static void types_died(struct supervisor *s, int status, int64_t now);
static void broker_died(struct supervisor *s, int status, int64_t now);
static void worker_died(struct supervisor *s, struct child *c, int status, int64_t now);

static struct child *child_by_pid(struct supervisor *s, pid_t pid)
{
	struct child *c;

	for (unsigned i = 0; (c = family_at(s, i)); i++)
		if (child_lives(c) && c->pid == pid)
			return c;
	return NULL; /* adopted: an orphan of one of the children */
}

void family_reap(struct supervisor *s, int64_t now)
{
	for (;;) {
		siginfo_t info = { .si_pid = 0 };
		struct child *c;
		int status;

		/* Look before reaping: the number is taken until then, and so is the name of its process group. */
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		c = child_by_pid(s, info.si_pid);
		if (c)
			(void)kill(-c->pid, SIGKILL); /* what it started and left behind */
		if (waitpid(info.si_pid, &status, WNOHANG) <= 0)
			return;
		if (c)
			child_died(s, c, status, now);
	}
}

void child_retry(struct supervisor *s, struct child *c, int64_t now)
{
	const struct conf *conf = s->conf;
	bool is_broker = c == &s->broker;
	struct restart_limits limits = {
		.limit = (unsigned)(is_broker ? conf->broker_restarts : conf->worker_restarts),
		.window = is_broker ? conf->broker_restart_window : conf->worker_restart_window,
		.give_up = is_broker,
		.first = conf->restart_delay,
		.longest = conf->restart_delay_max,
	};
	char name[CHILD_NAME_SIZE];
	int64_t wait = restart_after(&c->restart, &limits, c->started, now, random_unit(&s->random));

	if (wait == RESTART_GIVE_UP) {
		log_error("the broker died more than %u times in %.0f s: giving up", limits.limit,
			  (double)limits.window / (double)NSEC_PER_SEC);
		phase_stop(s, EXIT_FAILURE, 2 * NSEC_PER_SEC, now);
		return;
	}
	log_notice("%s is started again in %.1f s", child_name(c, name),
		   (double)wait / (double)NSEC_PER_SEC);
	c->restart_at = now + wait;
}

static void death_log(const struct child *c, int status, uint64_t on_cpu)
{
	char name[CHILD_NAME_SIZE], during[64] = "";

	child_name(c, name);
	if (on_cpu)
		snprintf(during, sizeof(during), " while attempt %llx ran", (unsigned long long)on_cpu);
	if (c->end == END_ASKED)
		log_debug("%s (pid %d) has ended", name, c->pid);
	else if (WIFSIGNALED(status))
		log_error("%s (pid %d) died of SIG%s%s", name, c->pid,
			  sigabbrev_np(WTERMSIG(status)) ?: "?", during);
	else
		log_error("%s (pid %d) exited with status %d%s", name, c->pid, WEXITSTATUS(status),
			  during);
}

static void child_died(struct supervisor *s, struct child *c, int status, int64_t now)
{
	messages_read(s, c, now); /* what it said last still counts */
	if (c == &s->types)
		types_died(s, status, now);
	else if (c == &s->broker)
		broker_died(s, status, now);
	else
		worker_died(s, c, status, now);
}

/* Whether a child found the configuration or the set-up wrong, so that starting it again is of no use. */
static bool is_hopeless(struct supervisor *s, const struct child *c, int status)
{
	char name[CHILD_NAME_SIZE];

	if (s->phase == PHASE_STOPPING || !WIFEXITED(status) || WEXITSTATUS(status) != EX_CONFIG)
		return false;
	log_error("%s can't run as it is set up: stopping", child_name(c, name));
	return true;
}

static void types_died(struct supervisor *s, int status, int64_t now)
{
	int r;

	types_read(s);
	if (s->phase == PHASE_TYPES && (status != 0 || buf_size(&s->table) == 0)) {
		bool from_outside = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
				    s->types.end == END_NONE;

		death_log(&s->types, status, 0);
		log_error("the job types can't be loaded");
		child_gone(&s->types);
		phase_stop(s, from_outside ? EXIT_FAILURE : EX_CONFIG, 0, now);
		return;
	}
	child_gone(&s->types);
	if (s->phase != PHASE_TYPES)
		return;
	r = memory_file("types", 0, false);
	if (r >= 0) {
		s->launch.types = r;
		r = memory_file_write(r, buf_data(&s->table), buf_size(&s->table));
	}
	buf_done(&s->table);
	if (r < 0) {
		log_error("the table of job types can't be handed on: %s", strerror(-r));
		phase_stop(s, EXIT_FAILURE, 0, now);
		return;
	}
	phase_serve(s, now);
}

static void broker_died(struct supervisor *s, int status, int64_t now)
{
	bool done = s->phase == PHASE_DRAINING && WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (!done && s->phase != PHASE_STOPPING)
		death_log(&s->broker, status, 0);
	child_gone(&s->broker);
	sacrifice_unwanted(s);
	if (s->phase == PHASE_STOPPING)
		return;
	if (is_hopeless(s, &s->broker, status))
		phase_stop(s, EX_CONFIG, 2 * NSEC_PER_SEC, now);
	else if (done)
		phase_stop(s, EXIT_SUCCESS, 2 * NSEC_PER_SEC, now);
	else
		child_retry(s, &s->broker, now);
}

/* Whether the process itself did what ended it: then what was on its CPU is to blame. A SIGKILL from outside, most often
 * for want of memory, says nothing about that. */
static bool is_own_fault(const struct child *c, int status)
{
	if (c->end == END_HANG || WIFEXITED(status))
		return true;
	switch (WTERMSIG(status)) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGABRT:
	case SIGSYS:
	case SIGTRAP:
		return true;
	default:
		return false;
	}
}

/* It was told to end, or it ended on its own account: then no job is to blame. */
static bool is_blameless(const struct child *c, int status)
{
	return c->end == END_ASKED ||
	       (c->end == END_NONE && WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_ANEW);
}

static int32_t lost_status(const struct child *c, int status)
{
	if (c->end == END_HANG)
		return 0;
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1 - WEXITSTATUS(status);
}

static void worker_died(struct supervisor *s, struct child *c, int status, int64_t now)
{
	struct control_message m = { .kind = CONTROL_WORKER_LOST,
				     .slot = c->slot,
				     .incarnation = c->incarnation,
				     .status = lost_status(c, status) };
	bool was_ready = c->state == CHILD_UP;

	if (is_blameless(c, status))
		m.flags = CONTROL_BLAMELESS;
	else if (is_own_fault(c, status))
		m.token = atomic_load_explicit(&c->page->on_cpu, memory_order_relaxed);
	death_log(c, status, m.token);
	FAILPOINT("supervisor.before_telling");
	child_send(&s->broker, &m);
	if (was_ready) /* jobs come to registered ones only */
		c->death = m;
	child_gone(c);
	if (s->phase == PHASE_STOPPING)
		return;
	if (is_hopeless(s, c, status))
		phase_stop(s, EX_CONFIG, 2 * NSEC_PER_SEC, now);
	else if (c == &s->sacrifice)
		sacrifice_ended(s, was_ready, now);
	else
		child_retry(s, c, now);
}
