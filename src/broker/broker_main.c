#include "broker.h"
#include "clock.h"
#include "dispatch.h"
#include "door.h"
#include "epoch.h"
#include "front_http.h"
#include "group_desk.h"
#include "job_row.h"
#include "job_wait.h"
#include "keep.h"
#include "limit_form.h"
#include "log.h"
#include "lost.h"
#include "random.h"
#include "recover.h"
#include "sacrifice.h"
#include "schedules.h"
#include "webhook.h"
#include "worker_pids.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define PULSE (250 * NSEC_PER_MSEC)
/* At most, for answers to leave; the supervisor waits for twice that. */
#define FAREWELL NSEC_PER_SEC
#define EXIT_CONFIG 78
#define DESCRIPTORS_OWN 64
#define DESCRIPTORS_A_WORKER 2
#define ROUNDS_A_TURN 4
#define WALL_STEP (50 * NSEC_PER_MSEC)

static int start(struct broker *b);
static void on_turn(struct loop_hook *h);
static void on_wake(struct loop_timer *t);
static void on_pulse(struct loop_timer *t);
static void on_control(struct io_watch *w, unsigned events);
static void on_gone(struct loop_call *c);
static void on_go_on(struct loop_call *c);
static void on_farewell(struct loop_timer *t);
static void check_drained(struct broker *b);
static void end_failed(struct broker *b);
static void arm_wake(struct broker *b);

/* Whether a new start would find the same: a directory that is none, or may not be used; a damaged store. */
static bool is_lasting(int error)
{
	return error == -EBADMSG || error == -ENOTDIR || error == -ENOENT || error == -EACCES ||
	       error == -EPERM || error == -EROFS || error == -ELOOP;
}

static _Noreturn void start_failed(const struct broker *b, int error)
{
	if (error == -EBADMSG) /* it has been said what is wrong with it */
		fatal(EXIT_CONFIG, "can't start with %s as it is", b->conf->state_dir);
	fatal(is_lasting(error) ? EXIT_CONFIG : 1, "can't start: %s", strerror(-error));
}

int broker_main(const struct role *r)
{
	static struct broker broker;
	struct broker *b = &broker;
	struct conf_issue issue;

	b->role = r;
	if (conf_parse(r->config, "configuration", &b->conf, &issue) < 0)
		fatal(EXIT_CONFIG, "%s", issue.text);
	int error = start(b);

	if (error < 0)
		start_failed(b, error);
	const struct control_message ready = { .kind = CONTROL_READY };

	if (control_send(ROLE_FD_CONTROL, &ready) < 0)
		return 1;
	error = loop_run(b->loop);
	if (error < 0)
		log_error("the loop failed: %s", strerror(-error));
	schedules_free(b);
	keep_close(b);
	groups_close(b);
	webhooks_close(b);
	options_forget(b);
	return error < 0 || b->failed;
}

static int make_engine(struct broker *b)
{
	struct engine_options options = {
		.max_jobs = (uint32_t)b->conf->max_jobs,
		.max_args_bytes = (uint64_t)b->conf->args_bytes,
		.max_finished_bytes = (uint64_t)b->conf->finished_bytes,
		.key_ttl = b->conf->key_ttl,
		.result_ttl = b->conf->result_ttl,
		.failed_ttl = b->conf->failed_ttl,
	};
	struct random random;
	int r = epoch_next(b->conf->state_dir, &b->epoch);

	if (r < 0) {
		log_error("%s/epoch: %s", b->conf->state_dir,
			  r == -EBADMSG ? "not a number and a newline" : strerror(-r));
		return r;
	}
	if (b->store) {
		struct store_facts facts;

		store_facts(b->store, &facts);
		options.first_sequence = facts.last_sequence + 1;
	}
	options.epoch = b->epoch;
	random_seed_from_system(&random);
	options.seed = random_next(&random);
	r = engine_new(&options, &b->engine);
	if (r == 0)
		limits_configure(b);
	return r;
}

/* libzmq aborts when a worker connects and no descriptor is left: clients leave it its share. */
static int limit_connections(struct broker *b)
{
	unsigned wanted = (unsigned)b->conf->max_connections;
	unsigned own = DESCRIPTORS_OWN +
		       DESCRIPTORS_A_WORKER *
			       (unsigned)(MAX(b->conf->workers, sysconf(_SC_NPROCESSORS_ONLN)) +
					  1 /* the sacrificial one */);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_max <= own) {
		log_error("at most %llu descriptors may be open: the broker needs more than %u (ulimit -n)",
			  (unsigned long long)limit.rlim_max, own);
		return -EMFILE;
	}
	b->max_connections = (unsigned)MIN((rlim_t)wanted, limit.rlim_max - own);
	if (b->max_connections < wanted)
		log_warning("max_connections = %u: the limit of open descriptors allows %u", wanted,
			    b->max_connections);
	return 0;
}

static int open_doors(struct broker *b)
{
	int listeners[16];
	unsigned count = MIN(b->role->listeners, (unsigned)ARRAY_SIZE(listeners));
	int r = http_front_new(b, &b->http);

	for (unsigned i = 0; i < count; i++)
		listeners[i] = ROLE_FD_LISTENERS + (int)i;
	if (r == 0)
		r = door_new(b, listeners, count, &b->door);
	return r;
}

static int start(struct broker *b)
{
	int r = limit_connections(b);

	if (r == 0)
		r = loop_new(NULL, &b->loop);
	if (r == 0)
		r = type_table_load((struct span){ b->role->types, strlen(b->role->types) }, &b->types);
	if (r == 0)
		r = webhooks_open(b);
	if (r == 0)
		r = keep_open(b);
	if (r == 0)
		r = make_engine(b);
	if (r == 0)
		r = schedules_new(b);
	if (r < 0)
		return r;
	map_init(&b->waits, job_wait_match);
	connections_init(&b->connections, b);
	loop_timer_init(&b->wake, on_wake, b);
	loop_timer_init(&b->pulse, on_pulse, b);
	loop_timer_init(&b->farewell, on_farewell, b);
	loop_call_init(&b->gone_call, on_gone, b);
	loop_call_init(&b->go_on, on_go_on, b);
	b->started_at = clock_boottime();
	/* Before the link's own hook: what is decided in a turn leaves in the same turn. */
	loop_hook_add(b->loop, &b->turn, on_turn, b);
	r = dispatch_open(b);
	if (r == 0)
		r = groups_open(b);
	if (r == 0)
		r = recover(b);
	if (r == 0)
		r = keep_start(b);
	if (r == 0)
		r = open_doors(b);
	if (r == 0)
		r = schedules_start(b);
	if (r == 0 && b->draining)
		door_shut(b->door);
	if (r == 0)
		r = io_watch_start(b->loop, &b->control, ROLE_FD_CONTROL, LOOP_READ, on_control, b);
	if (r == 0)
		on_pulse(&b->pulse);
	return r;
}

struct engine *broker_engine(struct broker *b)
{
	if (!b->turn_begun) {
		int64_t now = clock_boottime(), wall = clock_wall();

		b->turn_begun = true;
		b->now = now;
		b->wall_offset = wall - now;
		/* Also when the event comes from a later hook: this turn's end has passed then. */
		loop_call_soon(b->loop, &b->go_on);
		engine_advance(b->engine, now, wall);
	}
	return b->engine;
}

void broker_client_gone(struct broker *b, uint64_t client)
{
	if (buf_append(&b->gone, &client, sizeof(client)) < 0)
		abort();
	loop_call_soon(b->loop, &b->gone_call);
}

/* The turn itself does the work; the call keeps the poll from waiting. */
static void on_go_on(struct loop_call *c GA_UNUSED)
{
}

static void on_gone(struct loop_call *c)
{
	struct broker *b = c->arg;

	for (; buf_size(&b->gone) > 0; buf_consume(&b->gone, sizeof(uint64_t))) {
		uint64_t client;

		memcpy(&client, buf_data(&b->gone), sizeof(client));
		engine_client_gone(broker_engine(b), client);
	}
}

/* The engine counts boot time, the loop monotonic time. Only a new due time is worth arming the timer again. */
static void arm_wake(struct broker *b)
{
	int64_t due = engine_next_due(b->engine);

	if (due == b->wake_due)
		return;
	b->wake_due = due;
	if (due != TIME_NEVER)
		due = time_add(loop_now(b->loop), MAX(due - clock_boottime(), 0));
	if (loop_timer_set(b->loop, &b->wake, due) < 0)
		log_error("no memory for the engine's timer");
}

/* The end of a turn: decide, tell, send. HTTP's parser runs inside it too, and may bring new events: a few rounds. */
static void on_turn(struct loop_hook *h)
{
	struct broker *b = h->arg;
	bool decided = false;

	http_front_flush(b->http);
	for (int i = 0; i < ROUNDS_A_TURN && b->turn_begun && !b->failed; i++) {
		b->turn_begun = false;
		decided = true;
		dispatch_actions(b);
		http_front_flush(b->http);
	}
	if (decided)
		keep_turn(b);
	connections_flush(&b->connections);
	if (decided)
		arm_wake(b);
	if (b->failed)
		end_failed(b);
	else if (decided || b->drained)
		check_drained(b);
}

/* The machine may have slept meanwhile, or not: what is due is seen anew. */
static void on_wake(struct loop_timer *t)
{
	struct broker *b = t->arg;

	b->wake_due = 0;
	broker_engine(b);
}

static void on_pulse(struct loop_timer *t)
{
	struct broker *b = t->arg;
	int64_t now = clock_monotonic();

	role_heartbeat(b->role->page, now, b->pulse_due ? MAX(now - b->pulse_due, 0) : 0);
	b->pulse_due = now + PULSE;
	sacrifice_pulse(b);
	b->wake_due = 0; /* boot time may have run ahead, if the machine slept */
	if (llabs(clock_wall() - clock_boottime() - b->wall_offset) > WALL_STEP)
		broker_engine(b); /* the wall clock was set: what follows it may be due */
	arm_wake(b);
	if (loop_timer_set(b->loop, t, b->pulse_due) < 0)
		log_error("no memory for the heartbeat");
}

static void begin_drain(struct broker *b)
{
	if (b->draining)
		return;
	b->draining = true;
	if (b->door)
		door_shut(b->door);
	schedules_stop(b);
	broker_engine(b);
	dispatch_drain(b);
}

/* What has been answered is still on its way to clients that read. */
static bool all_is_said(struct broker *b)
{
	return !connections_have_output(&b->connections) && !http_front_is_replying(b->http);
}

static void on_farewell(struct loop_timer *t)
{
	struct broker *b = t->arg;

	loop_stop(b->loop);
}

static void say_what_is_left(struct broker *b)
{
	uint64_t lost = 0, kept = 0;

	for (struct job *job = NULL; (job = engine_older(b->engine, job));) {
		if (job_state_is_final(job->state))
			continue;
		if (job->profile->durability == DURABILITY_MEMORY)
			lost++;
		else
			kept++;
	}
	if (lost)
		log_notice("%llu jobs kept in memory end with this daemon", (unsigned long long)lost);
	if (kept)
		log_info("%llu unfinished jobs are in the store", (unsigned long long)kept);
}

/* Whoever waits for the store is told that it failed; then another broker is to start. */
static void end_failed(struct broker *b)
{
	http_front_flush(b->http);
	connections_flush(&b->connections);
	if (all_is_said(b)) {
		loop_stop(b->loop);
	} else if (!heap_holds(&b->farewell.node) &&
		   loop_timer_set(b->loop, &b->farewell, time_add(loop_now(b->loop), FAREWELL)) < 0) {
		loop_stop(b->loop);
	}
}

static void check_drained(struct broker *b)
{
	const struct control_message drained = { .kind = CONTROL_DRAINED };
	struct engine_counts counts;

	if (b->drained && all_is_said(b))
		loop_stop(b->loop);
	if (!b->draining || b->drained)
		return;
	engine_counts(b->engine, &counts);
	if (counts.jobs[JOB_RUNNING] > 0 || !keep_is_idle(b))
		return;
	say_what_is_left(b);
	if (control_send(ROLE_FD_CONTROL, &drained) < 0)
		log_debug("the supervisor has gone already");
	b->drained = true;
	if (all_is_said(b) ||
	    loop_timer_set(b->loop, &b->farewell, time_add(loop_now(b->loop), FAREWELL)) < 0)
		loop_stop(b->loop);
}

static void reload(struct broker *b)
{
	struct conf_issue issue;
	struct conf *conf;
	char *text;
	int r = role_config(&text);

	if (r >= 0) {
		r = conf_parse(text, "configuration", &conf, &issue);
		free(text);
	}
	if (r < 0) {
		log_error("the new configuration isn't taken: %s",
			  r == -EINVAL ? issue.text : strerror(-r));
		return;
	}
	conf_free(b->conf);
	b->conf = conf;
	if (limit_connections(b) < 0)
		log_error("max_connections stays %u", b->max_connections);
	if (webhooks_open(b) < 0)
		log_error("webhooks are signed as before");
	engine_set_limits(b->engine, (uint32_t)conf->max_jobs, (uint64_t)conf->args_bytes);
	limits_configure(b);
}

static void obey(struct broker *b, const struct control_message *m)
{
	switch (m->kind) {
	case CONTROL_DRAIN:
		begin_drain(b);
		break;
	case CONTROL_WORKER_STARTED:
		lost_replaced(b, m->slot, m->incarnation);
		break;
	case CONTROL_WORKER_RUNS:
		worker_pids_note(b, m->slot, m->incarnation, m->status);
		break;
	case CONTROL_WORKERS_KNOWN:
		recover_known(b);
		break;
	case CONTROL_WORKER_LOST:
		lost_begin(b, m);
		break;
	case CONTROL_RELOAD:
		reload(b);
		break;
	default:
		log_warning("the supervisor said something unknown (%u)", m->kind);
	}
}

void broker_hear_supervisor(struct broker *b)
{
	struct control_message m;
	int r;

	while ((r = control_receive(ROLE_FD_CONTROL, &m)) == 0)
		obey(b, &m);
	if (r == -EPIPE) {
		log_error("the supervisor is gone: so is its broker");
		_exit(1);
	}
}

static void on_control(struct io_watch *w, unsigned events GA_UNUSED)
{
	broker_hear_supervisor(w->arg);
}
