#include "clock.h"
#include "cpu.h"
#include "job_terms.h"
#include "state.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define TYPES_PATIENCE (10 * NSEC_PER_SEC)
#define ADOPTED_PATIENCE (1 * NSEC_PER_SEC)

static void broker_start(struct supervisor *s, int64_t now);
static void worker_start(struct supervisor *s, struct child *c, int64_t now);
static void tell_pid(struct supervisor *s, const struct child *c);
static void child_look(struct supervisor *s, struct child *c, int64_t now);

int family_init(struct supervisor *s)
{
	uint32_t *cpus;
	unsigned cpu_count;
	int r = cpu_allowed(&cpus, &cpu_count);

	if (r < 0)
		return r;
	s->worker_count =
		MIN(cpu_workers(s->conf->workers, cpu_count, cpu_quota_here()), SACRIFICE_SLOT);
	s->workers = calloc(s->worker_count, sizeof(*s->workers));
	if (s->workers) {
		for (unsigned i = 0; i < s->worker_count; i++)
			child_init(&s->workers[i], "worker", i,
				   s->conf->pin ? cpus[i % cpu_count] : CPU_NONE);
	}
	free(cpus);
	child_init(&s->sacrifice, "worker", SACRIFICE_SLOT, CPU_NONE);
	child_init(&s->broker, "broker", 0, CPU_NONE);
	child_init(&s->types, "types", 0, CPU_NONE);
	s->types.has_output = true;
	random_seed_from_system(&s->random);
	/* Far fewer than one process a microsecond is ever started, so this grows faster than the numbers in use. */
	s->last_incarnation = (uint64_t)(clock_boottime() / NSEC_PER_USEC);
	return s->workers ? 0 : -ENOMEM;
}

void family_done(struct supervisor *s)
{
	for (unsigned i = 0; s->workers && i < s->worker_count; i++)
		child_done(&s->workers[i]);
	free(s->workers);
	child_done(&s->sacrifice);
	child_done(&s->broker);
	child_done(&s->types);
	buf_done(&s->table);
}

struct child *family_at(struct supervisor *s, unsigned i)
{
	if (i == 0)
		return &s->types;
	if (i == 1)
		return &s->broker;
	if (i == 2)
		return &s->sacrifice;
	return i - 3 < s->worker_count ? &s->workers[i - 3] : NULL;
}

struct child *family_worker(struct supervisor *s, uint32_t slot)
{
	if (slot == SACRIFICE_SLOT)
		return &s->sacrifice;
	return slot < s->worker_count ? &s->workers[slot] : NULL;
}

void family_types(struct supervisor *s, int64_t now)
{
	int r = child_start(&s->types, &s->launch, ++s->last_incarnation, now);

	if (r < 0) {
		log_error("a process can't be started: %s", strerror(-r));
		phase_stop(s, EXIT_FAILURE, 0, now);
		return;
	}
	s->types.kill_at = now + TYPES_PATIENCE;
}

void family_start(struct supervisor *s, int64_t now)
{
	const struct control_message known = { .kind = CONTROL_WORKERS_KNOWN };

	broker_start(s, now);
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_start(s, &s->workers[i], now);
	child_send(&s->broker, &known);
}

void family_tick(struct supervisor *s, int64_t now)
{
	struct child *c;

	for (unsigned i = 0; (c = family_at(s, i)); i++) {
		if (child_lives(c)) {
			child_look(s, c, now);
		} else if (now >= c->restart_at && s->phase != PHASE_STOPPING) {
			if (c == &s->broker)
				broker_start(s, now);
			else
				worker_start(s, c, now);
		}
	}
}

void family_tell(struct supervisor *s, uint32_t kind)
{
	const struct control_message m = { .kind = kind };
	struct child *c;

	for (unsigned i = 0; (c = family_at(s, i)); i++)
		child_send(c, &m);
}

int64_t family_due(struct supervisor *s)
{
	int64_t due = TIME_NEVER;
	struct child *c;

	for (unsigned i = 0; (c = family_at(s, i)); i++)
		due = MIN(due, child_lives(c) ? c->kill_at : c->restart_at);
	return due;
}

bool family_lives(struct supervisor *s)
{
	struct child *c;

	for (unsigned i = 0; (c = family_at(s, i)); i++)
		if (child_lives(c))
			return true;
	return false;
}

/* One SIGKILL for each process that is our child now; -1: the kernel doesn't list them. */
static int adopted_kill(void)
{
	char path[64];
	FILE *list;
	int pid, r = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
	list = fopen(path, "re");
	if (!list)
		return -1;
	while (fscanf(list, "%d", &pid) == 1)
		r = kill(pid, SIGKILL);
	fclose(list);
	return r;
}

void family_kill_adopted(void)
{
	int64_t end = clock_monotonic() + ADOPTED_PATIENCE;

	/* Each one that dies may leave us children of its own: until there is none. */
	while (clock_monotonic() < end && adopted_kill() >= 0) {
		pid_t pid;

		do
			pid = waitpid(-1, NULL, WNOHANG);
		while (pid > 0);
		if (pid < 0)
			return;
		(void)usleep(1000);
	}
}

/* What a new broker has to know of the workers. Deaths first: each slot's latest that may have cost attempts. An earlier
 * broker may have heard of it and died before it had written down what follows from it. */
static void workers_tell(struct supervisor *s)
{
	struct child *c;

	for (unsigned i = 0; (c = family_at(s, i)); i++)
		if (c->death.kind)
			child_send(&s->broker, &c->death);
	for (unsigned i = 0; (c = family_at(s, i)); i++) {
		const struct control_message m = { .kind = CONTROL_WORKER_STARTED,
						   .slot = c->slot,
						   .incarnation = c->incarnation };

		if (child_lives(c) && c != &s->types && c != &s->broker) {
			child_send(&s->broker, &m);
			tell_pid(s, c);
		}
	}
}

static void tell_pid(struct supervisor *s, const struct child *c)
{
	const struct control_message m = { .kind = CONTROL_WORKER_RUNS,
					   .slot = c->slot,
					   .incarnation = c->incarnation,
					   .status = c->pid };

	child_send(&s->broker, &m);
}

static void broker_start(struct supervisor *s, int64_t now)
{
	const struct control_message known = { .kind = CONTROL_WORKERS_KNOWN };
	int r = child_start(&s->broker, &s->launch, ++s->last_incarnation, now);

	if (r < 0) {
		log_error("the broker can't be started: %s", strerror(-r));
		child_retry(s, &s->broker, now);
		return;
	}
	log_debug("broker started, pid %d", s->broker.pid);
	if (!s->broker.was_ready && s->broker.restart.count == 0)
		return; /* the first one: the workers are yet to come */
	workers_tell(s);
	child_send(&s->broker, &known);
	if (s->phase == PHASE_DRAINING)
		child_send(&s->broker, &(struct control_message){ .kind = CONTROL_DRAIN });
}

static void worker_start(struct supervisor *s, struct child *c, int64_t now)
{
	struct control_message m = { .kind = CONTROL_WORKER_STARTED,
				     .slot = c->slot,
				     .incarnation = ++s->last_incarnation };
	char name[CHILD_NAME_SIZE];
	int r;

	child_send(&s->broker, &m); /* before it lives, so that the broker knows whoever says HELLO */
	r = child_start(c, &s->launch, m.incarnation, now);
	child_name(c, name);
	if (r < 0) {
		log_error("%s can't be started: %s", name, strerror(-r));
		m.kind = CONTROL_WORKER_LOST;
		m.status = SIGKILL;
		m.flags = CONTROL_BLAMELESS;
		child_send(&s->broker, &m);
		if (c == &s->sacrifice) {
			c->started = now;
			c->restart_at = TIME_NEVER;
			sacrifice_ended(s, false, now);
		} else {
			child_retry(s, c, now);
		}
		return;
	}
	tell_pid(s, c);
	log_debug("%s started, pid %d, incarnation %llu", name, c->pid,
		  (unsigned long long)c->incarnation);
}

static void child_abort(struct child *c, int signal_number, const char *what)
{
	char name[CHILD_NAME_SIZE];

	log_error("%s (pid %d) gives no sign of life for %.1f s: %s", child_name(c, name), c->pid,
		  (double)c->pulse.silent / (double)NSEC_PER_SEC, what);
	c->end = END_HANG;
	child_kill(c, signal_number);
}

static void child_pulse(struct supervisor *s, struct child *c, int64_t now)
{
	const struct pulse_limits limits = { s->conf->hang_warn, s->conf->hang_abort,
					     s->conf->hang_kill };
	int64_t beat = atomic_load_explicit(&c->page->heartbeat, memory_order_relaxed);
	char name[CHILD_NAME_SIZE];

	switch (pulse_look(&c->pulse, &limits, now, beat)) {
	case PULSE_FINE:
		return;
	case PULSE_BACK:
		log_notice("%s (pid %d) is back", child_name(c, name), c->pid);
		return;
	case PULSE_WARN:
		log_warning("%s (pid %d) gives no sign of life for %.1f s", child_name(c, name),
			    c->pid, (double)c->pulse.silent / (double)NSEC_PER_SEC);
		return;
	case PULSE_ABORT:
		child_abort(c, SIGABRT, "aborted");
		return;
	case PULSE_KILL:
		child_abort(c, SIGKILL, "killed");
		return;
	}
}

static void child_look(struct supervisor *s, struct child *c, int64_t now)
{
	char name[CHILD_NAME_SIZE];

	if (now >= c->kill_at) {
		c->kill_at = TIME_NEVER;
		if (c == &s->types) {
			log_error("the job types take too long to load: killed");
			c->end = END_HANG;
		} else {
			log_warning("%s (pid %d) doesn't end when told to: killed",
				    child_name(c, name), c->pid);
		}
		child_kill(c, SIGKILL);
	}
	/* The types role has no loop, and one that was told to end needs none: their deadline is above. */
	if (c != &s->types && c->end != END_ASKED)
		child_pulse(s, c, now);
}
