/*
 * worker_main.c — the worker role: one loop that joins the broker, runs what it sends, and tells its pulse.
 */
#include "charge.h"
#include "children.h"
#include "clock.h"
#include "http_policy.h"
#include "limits.h"
#include "log.h"
#include "modules.h"
#include "runner.h"
#include "runtime.h"
#include "settings.h"
#include "worker_link.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEARTBEAT_NS (250 * NSEC_PER_MSEC)

struct worker {
	const struct role *role;
	struct conf *conf;
	struct registry *registry;
	struct loop *loop;
	struct runner *runner;
	struct dealer *dealer;
	struct loop_timer heartbeat;
	int64_t heartbeat_due;
	struct loop_timer welcome; /* runs from HELLO to WELCOME */
	struct io_watch control;
	struct loop_call reconnect;
	char path[108]; /* of the broker's socket */
	uint32_t capacity[CLASS_COUNT];
	bool ready; /* the supervisor has been told */
	int status;
};

static void worker_stop(struct worker *w, int status)
{
	w->status = status;
	loop_stop(w->loop);
}

/* ---- the pulse ---- */

static void on_heartbeat(struct loop_timer *t)
{
	struct worker *w = t->arg;
	int64_t now = clock_monotonic();

	role_heartbeat(w->role->page, now, w->heartbeat_due ? now - w->heartbeat_due : 0);
	w->heartbeat_due = now + HEARTBEAT_NS;
	if (loop_timer_set(w->loop, &w->heartbeat, w->heartbeat_due) < 0)
		abort();
}

/* ---- the supervisor ---- */

static void reload(struct worker *w)
{
	struct conf_issue issue;
	struct conf *conf;
	char *text = NULL;
	int error = role_config(&text);

	if (error == 0)
		error = conf_parse(text, "the configuration in force", &conf, &issue);
	free(text);
	if (error != 0) {
		log_error("the new configuration isn't taken: %s",
			  error == -EINVAL ? issue.text : strerror(-error));
		return;
	}
	if (http_policy_apply(conf, w->capacity[CLASS_NET]) < 0) {
		conf_free(conf);
		return;
	}
	settings_use(conf);
	conf_free(w->conf);
	w->conf = conf;
}

static void on_control(struct io_watch *watch, unsigned events)
{
	struct worker *w = watch->arg;
	struct control_message m;
	int error;

	(void)events;
	while ((error = control_receive(watch->fd, &m)) == 0)
		if (m.kind == CONTROL_RELOAD)
			reload(w);
	if (error == -EAGAIN)
		return;
	if (error != -EPIPE)
		log_error("the supervisor can't be heard: %s", strerror(-error));
	worker_stop(w, error == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void tell_ready(struct worker *w)
{
	struct control_message m = { .kind = CONTROL_READY,
				     .slot = w->role->slot,
				     .incarnation = w->role->incarnation };

	if (!w->ready && control_send(ROLE_FD_CONTROL, &m) == 0)
		w->ready = true;
}

/* ---- the broker ---- */

static void send_record(void *arg, const struct record *record)
{
	struct worker *w = arg;
	int error = dealer_send(w->dealer, record);

	if (error == -ENOTCONN)
		return; /* on_disconnected() follows, and after it runner_welcome(), which sends all again */
	/* A result that is lost here would never be acknowledged, and its job never end: better to start anew. */
	if (error < 0) {
		log_error("a record of kind %d can't be sent: %s", (int)record->kind, strerror(-error));
		abort();
	}
}

static void say_hello(void *arg)
{
	struct worker *w = arg;
	struct buf held = BUF_INIT;
	struct record r = { .kind = RECORD_HELLO,
			    .hello = { .slot = w->role->slot,
				       .incarnation = w->role->incarnation,
				       .build_id = w->role->build_id,
				       .table_hash = type_table_hash(registry_table(w->registry)) } };

	memcpy(r.hello.capacity, w->capacity, sizeof(w->capacity));
	if (runner_held(w->runner, &held) < 0)
		abort();
	r.hello.held = (struct span){ buf_data(&held), buf_size(&held) };
	send_record(w, &r);
	buf_done(&held);
	/* A broker that is silent for longer is ended by the supervisor: it can't hear this connection. */
	if (loop_timer_set(w->loop, &w->welcome, time_add(loop_now(w->loop), w->conf->hang_kill)) < 0)
		abort();
}

static void on_no_welcome(struct loop_timer *t)
{
	log_error("the broker doesn't answer: the worker starts anew");
	worker_stop(t->arg, WORKER_EXIT_ANEW);
}

static void on_disconnected(void *arg)
{
	struct worker *w = arg;

	log_info("the broker is gone; results wait until it is back");
	loop_timer_stop(w->loop, &w->welcome);
	runner_offline(w->runner);
}

static void on_record(void *arg, const struct record *r)
{
	struct worker *w = arg;

	switch (r->kind) {
	case RECORD_JOB:
	case RECORD_JOB_INPUTS:
		runner_take(w->runner, r->ref, &r->job);
		break;
	case RECORD_RESULT_ACK:
		runner_acknowledge(w->runner, r->tokens.tokens);
		break;
	case RECORD_CHILD_END:
		children_end(w->runner, r->ref, &r->child_end);
		break;
	case RECORD_CANCEL:
		runner_cancel(w->runner, r->ref);
		break;
	case RECORD_WELCOME:
		log_debug("joined the broker of epoch %u", r->welcome.epoch);
		loop_timer_stop(w->loop, &w->welcome);
		runner_welcome(w->runner, r->welcome.kept);
		tell_ready(w);
		break;
	case RECORD_DRAIN:
		runner_drain(w->runner);
		break;
	default:
		log_debug("a record of kind %d from the broker means nothing here", (int)r->kind);
		break;
	}
}

/* What isn't a record came from the broker: begin the conversation anew, once we are out of the link's hands. */
static void on_garbage(void *arg, const char *why)
{
	struct worker *w = arg;

	log_error("the broker sent what isn't a record: %s", why);
	runner_offline(w->runner);
	loop_call_soon(w->loop, &w->reconnect);
}

static int connect_broker(struct worker *w)
{
	static const struct dealer_events events = { .record = on_record,
						     .garbage = on_garbage,
						     .connected = say_hello,
						     .disconnected = on_disconnected };
	struct peer_name self = { w->role->slot, w->role->incarnation };

	return dealer_open(w->loop, w->path, self, &events, w, &w->dealer);
}

static void reconnect(struct loop_call *c)
{
	struct worker *w = c->arg;
	int error;

	dealer_close(w->dealer);
	w->dealer = NULL;
	error = connect_broker(w);
	if (error == 0)
		return;
	log_error("no way to the broker: %s", strerror(-error));
	worker_stop(w, WORKER_EXIT_ANEW);
}

/* ---- start ---- */

/* The supervisor's word is final, and a handler may keep the loop busy: don't wait for its turn. */
static void on_terminate(int sig)
{
	(void)sig;
	_exit(EXIT_SUCCESS);
}

static int set_signals(struct worker *w)
{
	struct sigaction terminate = { .sa_handler = on_terminate };

	if (sigaction(SIGTERM, &terminate, NULL) < 0)
		return -errno;
	signal(SIGINT, SIG_IGN); /* of a terminal: the supervisor decides what it means */
	signal(SIGHUP, SIG_IGN);
	return charge_install(w->role->page);
}

/* The same modules as the broker knows? A plugin may have been replaced on disk since. */
static int check_table(const struct worker *w)
{
	struct type_table *given;
	bool same;

	if (type_table_load(span_of(w->role->types), &given) < 0) {
		log_error("the table of job types that was handed down isn't one");
		return -EPROTO;
	}
	same = type_table_hash(given) == type_table_hash(registry_table(w->registry));
	type_table_free(given);
	if (!same)
		log_error("the job types on disk aren't those that gatherd was started with: restart it");
	return same ? 0 : -ESTALE;
}

static int start_loop(struct worker *w)
{
	struct runner_options options = { .registry = w->registry, .send = send_record, .arg = w };
	struct runtime *runtime;
	int error = loop_new(NULL, &w->loop);

	if (error == 0)
		error = runtime_new(NULL, &runtime);
	options.loop = w->loop;
	if (error == 0) {
		charge_tasks(runtime);
		error = runner_new(&options, &w->runner);
	}
	if (error == 0)
		error = io_watch_start(w->loop, &w->control, ROLE_FD_CONTROL, LOOP_READ, on_control, w);
	loop_timer_init(&w->heartbeat, on_heartbeat, w);
	loop_timer_init(&w->welcome, on_no_welcome, w);
	loop_call_init(&w->reconnect, reconnect, w);
	return error;
}

static int start(struct worker *w)
{
	int error;

	if (snprintf(w->path, sizeof(w->path), "%s/workers.sock", w->conf->runtime_dir) >=
	    (int)sizeof(w->path)) {
		log_error("runtime_dir = %s is too long: a socket's path has at most 107 characters",
			  w->conf->runtime_dir);
		return -ENAMETOOLONG;
	}
	error = check_table(w);
	if (error < 0)
		return error;
	limits_apply(w->conf, w->capacity);
	limits_free_io_threads(w->role->cpu);
	error = set_signals(w);
	if (error == 0)
		error = start_loop(w);
	if (error == 0)
		error = http_policy_apply(w->conf, w->capacity[CLASS_NET]);
	if (error == 0)
		error = connect_broker(w);
	if (error < 0)
		log_error("the worker can't start: %s", strerror(-error));
	return error;
}

int worker_main(const struct role *role)
{
	struct worker w = { .role = role };
	int status = modules_load(role, &w.conf, &w.registry);

	if (status != 0)
		return status;
	if (start(&w) < 0)
		return EXIT_FAILURE;
	on_heartbeat(&w.heartbeat);
	if (loop_run(w.loop) < 0)
		w.status = EXIT_FAILURE;
	/* Handlers may still be on threads and stacks of their own: nothing can be taken down in order. */
	_exit(w.status);
}
