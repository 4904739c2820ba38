#include "runner_internal.h"

#include "children.h"
#include "clock.h"
#include "failpoint.h"
#include "log.h"
#include "progress.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SPARE_ATTEMPTS 1024u /* of each type */

static bool token_matches(const void *item, const void *key)
{
	return ((const struct ga_job *)item)->token == *(const uint64_t *)key;
}

static void settle_ended(struct loop_call *c);
static void begin_waiting(struct loop_call *c);

int runner_new(const struct runner_options *options, struct runner **ret_runner)
{
	size_t count = type_table_size(registry_table(options->registry));
	struct runner *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->pools = calloc(count + 1, sizeof(*r->pools));
	if (!r->pools) {
		free(r);
		return -ENOMEM;
	}
	r->loop = options->loop;
	r->registry = options->registry;
	r->send = options->send;
	r->arg = options->arg;
	r->grace = options->grace ? options->grace : GRACE_NS;
	for (size_t i = 0; i < count; i++) {
		struct attempt_pool *p = &r->pools[i];

		p->runner = r;
		p->type = registry_type(r->registry, i);
		p->size = sizeof(struct ga_job) + p->type->declaration.data_bytes;
	}
	map_init(&r->attempts, token_matches);
	list_init(&r->waiting);
	list_init(&r->ended);
	loop_call_init(&r->settle_call, settle_ended, r);
	loop_call_init(&r->begin_call, begin_waiting, r);
	*ret_runner = r;
	return 0;
}

static void forget(struct ga_job *job);

void runner_free(struct runner *r)
{
	struct ga_job *job;

	if (!r)
		return;
	assert(r->running == 0);
	while ((job = map_take_any(&r->attempts)) != NULL)
		forget(job);
	map_done(&r->attempts);
	for (size_t i = 0; i < type_table_size(registry_table(r->registry)); i++)
		while ((job = r->pools[i].spares) != NULL) {
			r->pools[i].spares = (struct ga_job *)(void *)job->future;
			free(job);
		}
	loop_call_stop(&r->settle_call);
	loop_call_stop(&r->begin_call);
	free(r->pools);
	free(r);
}

/* ---- attempts ---- */

void attempt_move(struct ga_job *job, enum attempt_state to)
{
	static const uint8_t from[] = {
		[ATTEMPT_WAITING] = 0,
		[ATTEMPT_RUNNING] = 1u << ATTEMPT_WAITING,
		[ATTEMPT_ABANDONED] = 1u << ATTEMPT_RUNNING,
		[ATTEMPT_ENDED] = 1u << ATTEMPT_WAITING | 1u << ATTEMPT_RUNNING | 1u << ATTEMPT_ABANDONED,
	};
	struct runner *r = attempt_runner(job);

	if (GA_UNLIKELY(!(from[to] & 1u << job->state)))
		abort(); /* a handler would run twice, or a result be lost */
	r->waiting_count -= job->state == ATTEMPT_WAITING;
	r->running -= job->state == ATTEMPT_RUNNING || job->state == ATTEMPT_ABANDONED;
	r->running += to == ATTEMPT_RUNNING || to == ATTEMPT_ABANDONED;
	job->state = (uint8_t)to;
}

static struct ga_job *attempt_new(struct attempt_pool *p)
{
	struct ga_job *job = p->spares;

	if (job) {
		p->spares = (struct ga_job *)(void *)job->future;
		p->spare_count--;
	} else {
		job = malloc(p->size);
		if (!job)
			return NULL;
	}
	memset(job, 0, p->size);
	job->magic = ATTEMPT_MAGIC;
	job->pool = p;
	job->state = ATTEMPT_WAITING;
	p->runner->waiting_count++;
	list_init(&job->place);
	return job;
}

void attempt_free(struct ga_job *job)
{
	struct attempt_pool *p = job->pool;

	assert(job->state == ATTEMPT_ENDED && !job->future);
	attempt_output_free(job->output);
	job->magic = 0;
	if (p->spare_count == SPARE_ATTEMPTS) {
		free(job);
		return;
	}
	job->future = (ga_future *)(void *)p->spares;
	p->spares = job;
	p->spare_count++;
}

const struct loaded_type *attempt_type(const struct ga_job *job)
{
	return job->pool->type;
}

/* ---- what the broker says ---- */

static bool may_begin(const struct runner *r)
{
	return r->unacknowledged < UNACKNOWLEDGED_MAX;
}

/* The broker is of this build and table, so that a type which isn't there means one of us is broken. */
static void refuse_unknown_type(struct runner *r, uint64_t token, uint16_t type)
{
	struct record result = {
		.kind = RECORD_RESULT,
		.ref = token,
		.result = { .outcome = OUTCOME_FAILED,
			    .code = SPAN("unknown_type"),
			    .message = SPAN("the worker has no job type of that number") }
	};

	log_error("attempt %llx is of type %u, which isn't in the table", (unsigned long long)token,
		  type);
	r->send(r->arg, &result);
}

/* Keep the arguments for later. */
static int attempt_put_off(struct ga_job *job, struct span args)
{
	if (args.size) {
		job->text = malloc(args.size);
		if (!job->text)
			return -ENOMEM;
		memcpy(job->text, args.data, args.size);
	}
	job->text_size = (uint32_t)args.size;
	list_push_back(&attempt_runner(job)->waiting, &job->place);
	return 0;
}

/* Begin, or wait until some results are acknowledged; the text is borrowed. */
static void take_args(struct ga_job *job, struct span args)
{
	if (GA_UNLIKELY(!may_begin(attempt_runner(job)))) {
		if (attempt_put_off(job, args) < 0)
			attempt_end_unrun(job, OUTCOME_RETURNED);
		return;
	}
	job->text = (char *)(uintptr_t)args.data; /* attempt_begin() parses it at once */
	job->text_size = (uint32_t)args.size;
	attempt_begin(job);
}

static void take_with_inputs(struct ga_job *job, const struct record_job *record)
{
	struct refusal refusal;
	char *args = inputs_fill(record, &refusal);

	if (args) {
		take_args(job, span_of(args));
	} else {
		attempt_error(job, false, "bad_argument", refusal.message);
		attempt_end_unrun(job, OUTCOME_FAILED);
	}
	free(args);
}

void runner_take(struct runner *r, uint64_t token, const struct record_job *record)
{
	struct ga_job *job;

	if (record->type >= type_table_size(registry_table(r->registry))) {
		refuse_unknown_type(r, token, record->type);
		return;
	}
	if (map_get(&r->attempts, token_hash(token), &token))
		return;
	job = attempt_new(&r->pools[record->type]);
	if (!job || map_put(&r->attempts, token_hash(token), job) < 0)
		abort(); /* small and fixed: the supervisor starts us anew, and the broker repeats the attempt */
	job->token = token;
	job->id = record->id;
	job->attempt = record->attempt;
	job->timeout_ms = record->timeout_ms;
	FAILPOINT("worker.before_start");
	if (GA_UNLIKELY(r->draining)) {
		attempt_end_unrun(job, OUTCOME_RETURNED);
		return;
	}
	if (record->inputs.size > 0)
		take_with_inputs(job, record);
	else
		take_args(job, record->args);
}

/* A WAITING attempt leaves the queue. */
static void unwait(struct ga_job *job)
{
	list_remove(&job->place);
	free(job->text);
	job->text = NULL;
}

void runner_cancel(struct runner *r, uint64_t token)
{
	struct ga_job *job = map_get(&r->attempts, token_hash(token), &token);

	if (!job)
		return;
	if (job->state == ATTEMPT_WAITING) {
		unwait(job);
		attempt_end_unrun(job, OUTCOME_CANCELLED);
	} else if (job->state == ATTEMPT_RUNNING) {
		attempt_stop(job, STOP_CANCEL);
	}
}

void runner_acknowledge(struct runner *r, struct span tokens)
{
	FAILPOINT("worker.before_forgetting");
	for (size_t i = 0; i < tokens.size / sizeof(uint64_t); i++) {
		uint64_t token = record_token(tokens, i);
		struct ga_job *job = map_get(&r->attempts, token_hash(token), &token);

		if (!job || !job->reported || job->acknowledged)
			continue;
		job->acknowledged = true;
		attempt_drop_result(job);
		if (job->state == ATTEMPT_ENDED) {
			map_take(&r->attempts, token_hash(token), &token);
			attempt_free(job);
		}
	}
	if (!list_empty(&r->waiting) && may_begin(r))
		loop_call_soon(r->loop, &r->begin_call);
}

static void begin_waiting(struct loop_call *c)
{
	struct runner *r = c->arg;

	while (!list_empty(&r->waiting) && may_begin(r)) {
		struct ga_job *job = LIST_ENTRY(list_pop_front(&r->waiting), struct ga_job, place);
		char *text = job->text;

		attempt_begin(job);
		free(text);
	}
}

static void settle_ended(struct loop_call *c)
{
	struct runner *r = c->arg;
	struct list *node;

	while ((node = list_pop_front(&r->ended)) != NULL) {
		struct ga_job *job = LIST_ENTRY(node, struct ga_job, place);

		attempt_settle(job, ga_result(job->future, NULL));
	}
}

void runner_drain(struct runner *r)
{
	struct ga_job *job;
	struct list *node;
	uint32_t at = 0;

	r->draining = true;
	while ((node = list_pop_front(&r->waiting)) != NULL) {
		job = LIST_ENTRY(node, struct ga_job, place);
		unwait(job);
		attempt_end_unrun(job, OUTCOME_RETURNED);
	}
	while ((job = map_next(&r->attempts, &at)) != NULL) {
		if (job->state == ATTEMPT_RUNNING && attempt_type(job)->declaration.work)
			attempt_stop(job, STOP_DRAIN); /* if no thread has taken it yet */
	}
}

/* ---- the broker comes and goes ---- */

int runner_held(const struct runner *r, struct buf *ret_tokens)
{
	const struct ga_job *job;
	uint32_t at = 0;
	int error = 0;

	while (error == 0 && (job = map_next(&r->attempts, &at)) != NULL)
		if (!job->acknowledged)
			error = record_put_token(ret_tokens, job->token);
	return error;
}

/* The broker wants no result of it; it isn't in the map any more. */
static void forget(struct ga_job *job)
{
	job->forgotten = true;
	attempt_drop_result(job);
	if (job->state == ATTEMPT_WAITING) {
		unwait(job);
		attempt_move(job, ATTEMPT_ENDED);
	} else if (job->state == ATTEMPT_RUNNING) {
		attempt_stop(job, STOP_CANCEL);
		return;
	}
	if (job->state == ATTEMPT_ENDED)
		attempt_free(job);
}

/* Take those that were not kept out of the map, which must not change while it is walked. */
static void forget_others(struct runner *r)
{
	struct ga_job **others = calloc(r->attempts.used + 1, sizeof(struct ga_job *));
	struct ga_job *job;
	size_t count = 0;
	uint32_t at = 0;

	if (!others)
		abort();
	while ((job = map_next(&r->attempts, &at)) != NULL) {
		if (!job->kept)
			others[count++] = job;
		job->kept = false;
	}
	for (size_t i = 0; i < count; i++) {
		map_take(&r->attempts, token_hash(others[i]->token), &others[i]->token);
		forget(others[i]);
	}
	free(others);
}

/* Another broker knows nothing of them. Attempts that waited for them alone end by this: the map may change. */
static void lose_children(struct runner *r)
{
	struct ga_job **parents = calloc(r->attempts.used + 1, sizeof(struct ga_job *));
	struct ga_job *job;
	size_t count = 0;
	uint32_t at = 0;

	if (!parents)
		abort();
	while ((job = map_next(&r->attempts, &at)) != NULL)
		if (children_left(job))
			parents[count++] = job;
	for (size_t i = 0; i < count; i++)
		children_lost(parents[i]);
	free(parents);
}

void runner_welcome(struct runner *r, struct span kept)
{
	struct ga_job *job;
	uint32_t at = 0;

	for (size_t i = 0; i < kept.size / sizeof(uint64_t); i++) {
		uint64_t token = record_token(kept, i);

		job = map_get(&r->attempts, token_hash(token), &token);
		if (job)
			job->kept = !job->acknowledged;
	}
	lose_children(r);
	forget_others(r);
	r->online = true;
	while ((job = map_next(&r->attempts, &at)) != NULL) {
		progress_repeat(job);
		if (job->reported)
			attempt_report(job);
	}
	if (!list_empty(&r->waiting) && may_begin(r))
		loop_call_soon(r->loop, &r->begin_call);
}

void runner_offline(struct runner *r)
{
	r->online = false;
}

void runner_counts(const struct runner *r, struct runner_counts *ret_counts)
{
	*ret_counts =
		(struct runner_counts){ .unacknowledged = r->unacknowledged,
					.waiting = r->waiting_count,
					.running = r->running,
					.kept = r->attempts.used - r->running - r->waiting_count };
}
