#include "dispatch.h"
#include "child_jobs.h"
#include "engine_durable.h"
#include "engine_groups.h"
#include "failpoint.h"
#include "group_desk.h"
#include "group_inputs.h"
#include "job_row.h"
#include "job_wait.h"
#include "keep.h"
#include "log.h"
#include "lost.h"
#include "sacrifice.h"
#include "webhook.h"
#include <errno.h>
#include <stdlib.h>

#define ACKS_MANY 256
#define ACK_DELAY (5 * NSEC_PER_MSEC)

static void on_record(void *arg, struct peer_name from, const struct record *r);
static void on_garbage(void *arg, struct peer_name from, const char *why);
static void on_hello(struct broker *b, struct peer_name from, const struct record *r);
static void on_result(struct broker *b, struct peer_name from, const struct record *r);
static void on_progress(struct broker *b, struct peer_name from, const struct record *r);
static void tell_to_finish(struct broker *b, struct peer_name worker);
static void act(struct broker *b, const struct action *a);
static void on_ack_timer(struct loop_timer *t);

static const struct router_events router_events = { .record = on_record, .garbage = on_garbage };

int dispatch_open(struct broker *b)
{
	char path[128];

	loop_timer_init(&b->ack_timer, on_ack_timer, b);
	list_init(&b->lost);
	if (snprintf(path, sizeof(path), "%s/workers.sock", b->conf->runtime_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return router_open(b->loop, path, &router_events, b, &b->router);
}

static void ask_for_restart(struct peer_name worker)
{
	const struct control_message m = { .kind = CONTROL_WORKER_RESTART,
					   .slot = worker.slot,
					   .incarnation = worker.incarnation };

	if (control_send(ROLE_FD_CONTROL, &m) < 0)
		log_error("can't ask for a restart of worker %u", worker.slot);
}

static void on_garbage(void *arg GA_UNUSED, struct peer_name from, const char *why)
{
	if (from.slot == PEER_NAMELESS) {
		log_warning("a stranger on the workers' socket sent garbage (%s): ignored", why);
		return;
	}
	log_error("worker %u sent bytes that are no records (%s): it is restarted", from.slot, why);
	ask_for_restart(from);
}

static void on_record(void *arg, struct peer_name from, const struct record *r)
{
	struct broker *b = arg;

	if (r->kind == RECORD_HELLO) {
		on_hello(b, from, r);
		return;
	}
	if (!dispatch_has_joined(b, from)) {
		log_debug("worker %u spoke before it was welcome: ignored", from.slot);
		return;
	}
	if (GA_UNLIKELY(!list_empty(&b->lost)))
		lost_hear(b, from);
	switch (r->kind) {
	case RECORD_RESULT:
		on_result(b, from, r);
		break;
	case RECORD_PROGRESS:
		on_progress(b, from, r);
		break;
	case RECORD_CHILD:
	case RECORD_CHILD_CANCEL:
	case RECORD_PARK:
	case RECORD_UNPARK:
		children_hear(b, from.slot, r);
		break;
	case RECORD_SLOT_FREED:
		engine_slot_freed(broker_engine(b), from.slot, r->slot_freed.job_class);
		break;
	default:
		on_garbage(arg, from, "a kind that workers don't send");
	}
}

static void welcome(struct broker *b, struct peer_name to, const struct record_hello *hello)
{
	struct record answer = { .kind = RECORD_WELCOME, .welcome.epoch = b->epoch };
	struct buf kept = BUF_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < hello->held.size / sizeof(uint64_t); i++) {
		uint64_t token = record_token(hello->held, i);

		if (engine_worker_holds(b->engine, to.slot, token))
			r = record_put_token(&kept, token);
	}
	answer.welcome.kept = (struct span){ buf_data(&kept), buf_size(&kept) };
	engine_worker_told(b->engine, to.slot);
	if (r == 0)
		r = router_send(b->router, to, &answer);
	if (r < 0)
		log_error("can't welcome worker %u: %s", to.slot, strerror(-r));
	buf_done(&kept);
}

bool dispatch_has_joined(struct broker *b, struct peer_name worker)
{
	bool joined;

	return engine_worker_incarnation(b->engine, worker.slot, &joined) == worker.incarnation &&
	       joined;
}

static void on_hello(struct broker *b, struct peer_name from, const struct record *r)
{
	const struct record_hello *hello = &r->hello;
	struct engine_worker w = { .slot = from.slot, .incarnation = from.incarnation };

	if (hello->build_id != b->role->build_id || hello->table_hash != type_table_hash(b->types)) {
		log_warning("worker %u is of another build or has other job types: it is restarted",
			    from.slot);
		ask_for_restart(from);
		return;
	}
	memcpy(w.capacity, hello->capacity, sizeof(w.capacity));
	broker_hear_supervisor(b);
	if (dispatch_has_joined(b, from)) {
		/* It lost this connection, and with it what was under way: only its end is certain. */
		log_warning("worker %u registered twice: it is restarted", from.slot);
		ask_for_restart(from);
		return;
	}
	int error = engine_worker_joined(broker_engine(b), &w);

	if (error < 0) {
		log_notice("a stranger registered as worker %u: ignored (%s)", from.slot,
			   strerror(-error));
		return;
	}
	welcome(b, from, hello);
	b->joined += from.slot != SACRIFICE_SLOT;
	if (b->draining)
		tell_to_finish(b, from);
	log_debug("worker %u has registered", from.slot);
}

/* It is worth no retry: the next one tells more. */
static void on_progress(struct broker *b, struct peer_name from, const struct record *r)
{
	const struct attempt_progress progress = { .token = r->ref,
						   .fraction = r->progress.fraction,
						   .log_from = r->progress.log_from,
						   .text = r->progress.text,
						   .log = r->progress.log };
	int error = engine_progress(broker_engine(b), from.slot, &progress);

	if (error < 0)
		log_debug("worker %u: progress of attempt %llx isn't taken: %s", from.slot,
			  (unsigned long long)r->ref, strerror(-error));
}

/* Acknowledgements leave together, one record a worker. */
static uint32_t ack_place(uint32_t slot)
{
	return slot == SACRIFICE_SLOT ? 0 : slot + 1;
}

static struct acks *acks_for(struct broker *b, struct peer_name worker)
{
	uint32_t place = ack_place(worker.slot);

	if (place >= b->ack_slots) {
		struct acks *grown = realloc(b->acks, (place + 1) * sizeof(*grown));

		if (!grown)
			return NULL;
		memset(grown + b->ack_slots, 0, (place + 1 - b->ack_slots) * sizeof(*grown));
		b->acks = grown;
		b->ack_slots = place + 1;
	}
	struct acks *acks = &b->acks[place];

	if (acks->incarnation != worker.incarnation)
		buf_clear(&acks->tokens);
	acks->slot = worker.slot;
	acks->incarnation = worker.incarnation;
	return acks;
}

static void send_acks_of(struct broker *b, struct acks *acks)
{
	const struct record r = { .kind = RECORD_RESULT_ACK,
				  .tokens.tokens = { buf_data(&acks->tokens), buf_size(&acks->tokens) } };

	/* A worker that has gone needs none; where there is no memory now, they leave later. */
	int error = router_send(b->router, (struct peer_name){ acks->slot, acks->incarnation }, &r);

	if (error == 0 || error == -ENOTCONN)
		buf_clear(&acks->tokens);
}

/*
 * An acknowledgement only lets the worker forget a result: it is not worth a wake-up of its own. It rides with the next
 * job, or leaves when many have gathered or a little time has passed.
 */
static void send_acks(struct broker *b)
{
	bool waiting = false;

	for (uint32_t i = 0; i < b->ack_slots; i++) {
		struct acks *acks = &b->acks[i];
		size_t size = buf_size(&acks->tokens);

		if (size > 0 && (acks->rides || size >= ACKS_MANY * sizeof(uint64_t)))
			send_acks_of(b, acks);
		else
			waiting |= size > 0;
		acks->rides = false;
	}
	if (waiting && !heap_holds(&b->ack_timer.node) &&
	    loop_timer_set(b->loop, &b->ack_timer, loop_now(b->loop) + ACK_DELAY) < 0)
		log_error("no memory for the timer of acknowledgements");
}

static void on_ack_timer(struct loop_timer *t)
{
	struct broker *b = t->arg;

	for (uint32_t i = 0; i < b->ack_slots; i++) {
		if (buf_size(&b->acks[i].tokens) > 0)
			send_acks_of(b, &b->acks[i]);
	}
}

static void acknowledge(struct broker *b, struct peer_name worker, uint64_t token)
{
	struct acks *acks = acks_for(b, worker);

	FAILPOINT("broker.before_result_ack");
	if (!acks || record_put_token(&acks->tokens, token) < 0)
		log_error("no memory to acknowledge a result of worker %u", worker.slot);
}

static void on_result(struct broker *b, struct peer_name from, const struct record *r)
{
	const struct attempt_result result = { .token = r->ref,
					       .outcome = r->result.outcome,
					       .retryable = r->result.retryable,
					       .busy = r->result.busy,
					       .retry_after_ms = r->result.retry_after_ms,
					       .elapsed_us = r->result.elapsed_us,
					       .code = r->result.code,
					       .message = r->result.message,
					       .meta = r->result.meta,
					       .body = r->result.body };

	FAILPOINT("broker.before_result");
	int error = engine_result(broker_engine(b), from.slot, &result);

	if (error == -ENOMEM) {
		/* Not acknowledged, so it isn't lost: the worker says it again when it has been restarted. */
		log_error("no memory for a result of worker %u: it is restarted", from.slot);
		ask_for_restart(from);
		return;
	}
	if (error == -ESTALE)
		log_debug("worker %u: a result of attempt %llx, which is not its own any more",
			  from.slot, (unsigned long long)r->ref);
}

static void tell_to_finish(struct broker *b, struct peer_name worker)
{
	const struct record drain = { .kind = RECORD_DRAIN };

	engine_worker_drains(broker_engine(b), worker.slot);
	if (router_send(b->router, worker, &drain) < 0)
		log_warning("can't tell worker %u to finish", worker.slot);
}

void dispatch_drain(struct broker *b)
{
	struct worker_view w;

	for (uint32_t i = 0; engine_worker_view(b->engine, i, &w) == 0; i++) {
		if (w.joined)
			tell_to_finish(b, (struct peer_name){ w.slot, w.incarnation });
	}
}

/* Whether there was anything to do, so that there may be more. What the engine does may make room for members of maps. */
static bool run_engine(struct broker *b)
{
	bool settled = inputs_settle(b), fed;
	size_t count;
	const struct action *actions = engine_run(b->engine, &count);

	for (size_t i = 0; i < count; i++)
		act(b, &actions[i]);
	engine_reap(b->engine);
	webhooks_flush(b);
	fed = groups_feed(b);
	return settled || fed || count > 0;
}

void dispatch_actions(struct broker *b)
{
	while (run_engine(b))
		;
	groups_flush(b);
	send_acks(b);
}

/* By the engine's word: it dispatches to live incarnations only. */
static struct peer_name peer_at(struct broker *b, uint32_t slot)
{
	return (struct peer_name){ slot, engine_worker_incarnation(b->engine, slot, NULL) };
}

static int send_cancel(struct broker *b, uint32_t slot, uint64_t token)
{
	return router_send(b->router, peer_at(b, slot),
			   &(struct record){ .kind = RECORD_CANCEL, .ref = token });
}

void dispatch_job(struct broker *b, const struct job *job, struct span args, struct span inputs)
{
	const struct record record = { .kind = inputs.size ? RECORD_JOB_INPUTS : RECORD_JOB,
				       .ref = job->token,
				       .job = { .id = job->id,
						.type = job->profile->type,
						.attempt = job->attempts,
						.timeout_ms = job->profile->timeout_ms,
						.args = args,
						.inputs = inputs } };
	int r = router_send(b->router, peer_at(b, job->slot), &record);

	/* What was asked for while its arguments or inputs were read. */
	if (r == 0 && job->cancelling)
		r = send_cancel(b, job->slot, job->token);
	if (ack_place(job->slot) < b->ack_slots)
		b->acks[ack_place(job->slot)].rides = true;
	if (r == 0)
		return;
	/* A worker that went between is about to be reported lost: its jobs come back then. Else it must be. */
	log_warning("can't send a job to worker %u: %s", job->slot, strerror(-r));
	if (r != -ENOTCONN)
		ask_for_restart(peer_at(b, job->slot));
}

static void send_webhook(struct broker *b, const struct job *job, struct span args)
{
	struct buf own = BUF_INIT;

	dispatch_job(b, job, webhook_sign_call(b, args, &own), (struct span){ 0 });
	buf_done(&own); /* what was sent was copied */
}

static void send_job(struct broker *b, const struct job *job, struct span args)
{
	FAILPOINT("broker.before_dispatch");
	if (GA_UNLIKELY(job->profile->options && job_options(b, job)->calls_webhook))
		send_webhook(b, job, args);
	else if (!inputs_take(b, job, args))
		dispatch_job(b, job, args, (struct span){ 0 });
}

void dispatch_tell(struct broker *b, uint32_t slot, const struct record *r)
{
	int error = router_send(b->router, peer_at(b, slot), r);

	if (error == 0 || error == -ENOTCONN) /* one that has gone needs to know no more */
		return;
	log_warning("can't tell worker %u: %s", slot, strerror(-error));
	ask_for_restart(peer_at(b, slot));
}

/* An attempt whose arguments are read from the store. */
struct fetch {
	struct broker *broker;
	struct uuid id;
	uint64_t token;
	struct store_read *read;
};

/* Its arguments can't be had: that ends the attempt as if its worker had said so. */
static void fail_fetched(struct broker *b, const struct job *job, int error)
{
	const struct attempt_result result = { .token = job->token,
					       .outcome = OUTCOME_FAILED,
					       .retryable = error != -ENOENT,
					       .code = SPAN("args_unavailable"),
					       .message = span_of(strerror(-error)) };

	log_error("the arguments of a job can't be read from the store: %s", strerror(-error));
	if (engine_result(broker_engine(b), job->slot, &result) < 0)
		log_error("and it can't be told so");
}

static void on_fetched(void *arg, const struct store_rows *rows)
{
	struct fetch *f = arg;
	struct broker *b = f->broker;
	struct job *job;

	/* Its worker may have gone meanwhile. */
	if (engine_find(broker_engine(b), &f->id, &job) < 0 || job->state != JOB_RUNNING ||
	    job->token != f->token) {
		log_debug("an attempt ended before its arguments were read");
	} else if (rows->error < 0) {
		fail_fetched(b, job, rows->error);
	} else {
		send_job(b, job, rows->jobs[0].args);
	}
	free(f);
}

static void fetch_job(struct broker *b, const struct job *job)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (f) {
		*f = (struct fetch){ .broker = b, .id = job->id, .token = job->token };
		if (store_read_sequence(b->store, job->sequence, on_fetched, f, &f->read) == 0)
			return;
	}
	/* Like a job that could not be sent: its worker starts anew, and the job with it. */
	free(f);
	log_error("no memory to read a job's arguments");
	ask_for_restart(peer_at(b, job->slot));
}

static void dispatch(struct broker *b, const struct job *job)
{
	if (job->args_away)
		fetch_job(b, job);
	else
		send_job(b, job,
			 (struct span){ job->args ? job->args->data : NULL,
					job->args ? job->args->size : 0 });
}

static void tell_client(struct broker *b, struct job *job)
{
	struct connection *c = NULL;

	if (children_tell(b, job))
		engine_delivered(b->engine, job);
	else if (job->client)
		c = connection_find(&b->connections, job->client - 1);
	if (c) {
		c->protocol->finished(c, job);
		engine_delivered(b->engine, job);
	}
	job_waits_tell(b, job, WAIT_FINISHED);
	groups_tell_member(b, job);
}

static void act(struct broker *b, const struct action *a)
{
	switch (a->kind) {
	case ACTION_DISPATCH:
		dispatch(b, a->job);
		break;
	case ACTION_CANCEL:
		if (send_cancel(b, a->slot, a->token) < 0)
			log_warning("can't tell worker %u to cancel a job", a->slot);
		break;
	case ACTION_ENDED:
		if (peer_at(b, a->slot).incarnation) /* one that has died keeps nothing */
			acknowledge(b, peer_at(b, a->slot), a->token);
		break;
	case ACTION_FINISHED:
		if (a->job->profile->durability == DURABILITY_MEMORY)
			webhook_call_later(b, a->job); /* keep.c makes those of others */
		tell_client(b, a->job);
		break;
	case ACTION_REFUSED: /* who submitted it was told when the commit came */
		job_waits_tell(b, a->job, WAIT_REFUSED);
		break;
	case ACTION_GROUP_FINISHED:
		groups_tell(b, a->group);
		break;
	case ACTION_RETRYING:
		log_debug("attempt %u failed, to be retried: %s", a->job->attempts,
			  a->job->error ? a->job->error->message : "");
		break;
	case ACTION_SACRIFICE:
	case ACTION_DISMISS:
		sacrifice_wish(b, a->kind);
		break;
	default:
		break;
	}
}
