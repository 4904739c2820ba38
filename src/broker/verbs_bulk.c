/*
 * POST /v1/bulk: cancel, retry or purge all jobs that a filter takes, in slices that never hold the loop for long. First
 * what the engine has, the newest first, then what the store alone has. Only jobs that were there at its start are looked
 * at; if its client leaves, it ends where it is.
 */
#include "clock.h"
#include "engine_groups.h"
#include "job_filter.h"
#include "json_write.h"
#include <errno.h>
#include <stdlib.h>

#define SLICE (2 * NSEC_PER_MSEC)
#define LOOKS_A_CLOCK 32 /* jobs between two looks at the clock */
#define PAUSE_WHEN_FULL (20 * NSEC_PER_MSEC)
#define PAGE 500

enum bulk_action { BULK_CANCEL, BULK_RETRY, BULK_PURGE, BULK_COUNT };

static const struct {
	const char *name;
	uint32_t states;  /* that it can do something about */
	uint32_t initial; /* of them, those that are meant if none are named */
} actions[BULK_COUNT] = {
	[BULK_CANCEL] = { "cancel", ~JOB_STATES_FINAL &((1u << JOB_STATE_LIMIT) - 2), ~JOB_STATES_FINAL },
	[BULK_RETRY] = { "retry", JOB_STATES_FINAL & ~(1u << JOB_SUCCEEDED), 1u << JOB_FAILED },
	[BULK_PURGE] = { "purge", JOB_STATES_FINAL, JOB_STATES_FINAL },
};

struct bulk {
	struct verb_request *request;
	struct broker *broker;
	enum bulk_action action;
	struct job_filter filter;
	uint64_t below; /* where it goes on */
	bool in_store;  /* what the engine has is done */
	bool last_page;
	struct uuid *ids; /* of this page, to be retried */
	size_t id, id_count;
	struct loop_timer slice;
	struct lookup lookup;
	uint64_t matched, done;
};

static void on_slice(struct loop_timer *t);
static void on_page(void *arg, const struct store_rows *rows);
static void on_found(struct lookup *l, const struct found *found);

/* ---- the request ---- */

static int read_action(const json_t *value, struct bulk *bulk, struct refusal *r)
{
	const char *name = json_string_value(value);

	for (int i = 0; name && i < BULK_COUNT; i++) {
		if (strcmp(actions[i].name, name) == 0) {
			bulk->action = (enum bulk_action)i;
			return 0;
		}
	}
	return refuse(r, 422, "bad_field", "action", "action takes cancel, retry or purge");
}

static int read_filter(struct broker *b, const json_t *object, struct bulk *bulk, struct refusal *r)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object) || json_object_size(object) == 0)
		return refuse(
			r, 422, "bad_field", "filter",
			"filter takes an object with at least one of state, type, queue, tag and since");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const char *text = json_string_value(value);
		int taken = text ? filter_take(b, &bulk->filter, key, text, r) : 0;

		if (taken < 0)
			return taken;
		if (taken == 0)
			return refuse(r, 422, "bad_field", "filter",
				      "filter.%.40s: a filter takes state, type, queue, tag and since, each a string",
				      key);
	}
	return 0;
}

static int bulk_read(struct verb_request *q, struct bulk *bulk, struct refusal *r)
{
	json_t *object;
	const char *key;
	json_t *value;
	int error = json_read_object(q->body, "the body", &object, r);

	if (error < 0)
		return error;
	json_object_foreach(object, key, value)
	{
		if (error == 0 && strcmp(key, "action") != 0 && strcmp(key, "filter") != 0)
			error = refuse(r, 422, "unknown_field", key,
				       "unknown field \"%.40s\": known are action filter", key);
	}
	if (error == 0)
		error = read_action(json_object_get(object, "action"), bulk, r);
	if (error == 0)
		error = read_filter(q->broker, json_object_get(object, "filter"), bulk, r);
	json_decref(object);
	if (error < 0)
		return error;
	uint32_t asked = bulk->filter.states ? bulk->filter.states : actions[bulk->action].initial;

	bulk->filter.states = asked & actions[bulk->action].states;
	if (!bulk->filter.states)
		return refuse(r, 422, "bad_field", "filter.state", "no job of these states can be %s",
			      bulk->action == BULK_CANCEL  ? "cancelled"
			      : bulk->action == BULK_RETRY ? "retried"
							   : "purged");
	return 0;
}

static void bulk_free(void *more)
{
	struct bulk *bulk = more;

	loop_timer_stop(bulk->broker->loop, &bulk->slice);
	lookup_stop(&bulk->lookup);
	free(bulk->ids);
	free(bulk);
}

static void go_on(struct bulk *bulk, int64_t after)
{
	struct loop *l = bulk->broker->loop;

	if (loop_timer_set(l, &bulk->slice, time_add(loop_now(l), after)) < 0)
		abort();
}

void verb_bulk(struct verb_request *q, struct span unused GA_UNUSED)
{
	struct bulk *bulk = calloc(1, sizeof(*bulk));
	struct refusal r;
	struct job *newest;

	if (!bulk)
		abort();
	bulk->request = q;
	bulk->broker = q->broker;
	loop_timer_init(&bulk->slice, on_slice, bulk);
	q->more = bulk;
	q->more_free = bulk_free;
	if (bulk_read(q, bulk, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	newest = engine_older(broker_engine(q->broker), NULL);
	bulk->below = newest ? newest->sequence + 1 : 0;
	go_on(bulk, 0);
}

/* ---- its end ---- */

static void answer(struct verb_request *q)
{
	const struct bulk *bulk = q->more;
	struct buf body = BUF_INIT;

	if (buf_printf(&body, "{\"action\":\"%s\",\"matched\":%llu,\"done\":%llu}",
		       actions[bulk->action].name, (unsigned long long)bulk->matched,
		       (unsigned long long)bulk->done) < 0)
		abort();
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

static void fail(struct bulk *bulk)
{
	struct refusal r;

	refuse(&r, 503, "store_failed", "", "the store can't be read: %llu jobs were done before",
	       (unsigned long long)bulk->done);
	verb_refuse(bulk->request, &r);
}

/* ---- what the engine has ---- */

static bool act_on(struct bulk *bulk, struct job *job)
{
	struct broker *b = bulk->broker;
	uint64_t sequence = job->sequence;
	bool durable = job->profile->durability != DURABILITY_MEMORY;

	switch (bulk->action) {
	case BULK_CANCEL:
		return engine_cancel(b->engine, job) == 0;
	case BULK_RETRY:
		return engine_retry(b->engine, job) == 0;
	default:
		return engine_purge(b->engine, job) == 0 &&
		       (!durable || keep_remove(b, sequence) == 0);
	}
}

/* False: the slice is over, and more is to be looked at. */
static bool work_in_memory(struct bulk *bulk)
{
	struct engine *e = broker_engine(bulk->broker);
	int64_t end = clock_monotonic() + SLICE;
	struct job *job = engine_below(e, bulk->below);

	for (unsigned looks = 1; job; looks++) {
		struct job *next = engine_older(e, job); /* a purged one has no place any more */

		if (filter_matches(bulk->broker, &bulk->filter, job)) {
			bulk->matched++;
			bulk->done += act_on(bulk, job);
		}
		bulk->below = next ? next->sequence + 1 : 0;
		if (next && looks % LOOKS_A_CLOCK == 0 && clock_monotonic() > end)
			return false;
		job = next;
	}
	return true;
}

/* ---- what the store alone has ---- */

static void read_page(struct bulk *bulk)
{
	struct verb_request *q = bulk->request;
	struct store_filter filter;

	filter_for_store(&bulk->filter, bulk->below, PAGE, &filter);
	if (store_list(bulk->broker->store, &filter, on_page, bulk, &q->read) < 0)
		fail(bulk);
}

static void take_row(struct bulk *bulk, const struct store_job *row)
{
	struct job *job;

	if (engine_find(bulk->broker->engine, &row->id, &job) == 0)
		return; /* done already, or it has come back */
	bulk->matched++;
	if (bulk->action == BULK_RETRY)
		bulk->ids[bulk->id_count++] = row->id;
	else
		bulk->done += keep_remove(bulk->broker, row->sequence) == 0;
}

static void on_page(void *arg, const struct store_rows *rows)
{
	struct bulk *bulk = arg;

	bulk->request->read = NULL;
	if (rows->error < 0) {
		fail(bulk);
		return;
	}
	if (!bulk->ids)
		bulk->ids = calloc(PAGE, sizeof(*bulk->ids));
	if (!bulk->ids)
		abort();
	broker_engine(bulk->broker);
	bulk->id = bulk->id_count = 0;
	for (size_t i = 0; i < rows->job_count && i < PAGE; i++)
		take_row(bulk, &rows->jobs[i]);
	bulk->below = rows->next;
	bulk->last_page = rows->next == 0;
	go_on(bulk, 0);
}

static void on_found(struct lookup *l, const struct found *found)
{
	struct bulk *bulk = container_of(l, struct bulk, lookup);
	struct job *job;

	if (found->error == 0 && retry_found(bulk->broker, found, &job) == 0)
		bulk->done++;
	go_on(bulk, 0);
}

static void on_slice(struct loop_timer *t)
{
	struct bulk *bulk = t->arg;

	if (keep_is_full(bulk->broker)) {
		go_on(bulk, PAUSE_WHEN_FULL);
	} else if (!bulk->in_store) {
		bulk->in_store = bulk->below == 0 || work_in_memory(bulk);
		if (bulk->in_store)
			bulk->below = 0;
		go_on(bulk, 0);
	} else if (bulk->id < bulk->id_count) {
		lookup_start(bulk->broker, &bulk->lookup, &bulk->ids[bulk->id++], on_found);
	} else if (!bulk->broker->store || bulk->action == BULK_CANCEL || bulk->last_page) {
		verb_when_safe(bulk->request, answer);
	} else {
		read_page(bulk);
	}
}
