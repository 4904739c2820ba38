#include "clock.h"
#include "front_http.h"
#include "json_write.h"
#include "verbs.h"
#include "worker_pids.h"
#include <stdlib.h>

#ifndef GATHER_VERSION
#error "GATHER_VERSION comes from the build"
#endif

static void answer(struct verb_request *q, struct buf *body)
{
	verb_answer_text(q, 200, TYPE_JSON, (struct span){ buf_data(body), buf_size(body) });
	buf_done(body);
}

static void put_integer(struct buf *out, const char *key, uint64_t value)
{
	json_put_key(out, key);
	json_put_integer(out, (int64_t)value);
}

static void put_text(struct buf *out, const char *key, const char *value)
{
	json_put_key(out, key);
	json_put_string(out, span_of(value));
}

static void put_classes(struct buf *out, const char *key, const uint32_t of_class[CLASS_COUNT])
{
	json_put_key(out, key);
	json_put_literal(out, "{");
	for (int c = 0; c < CLASS_COUNT; c++)
		put_integer(out, job_class_name((enum job_class)c), of_class[c]);
	json_put_literal(out, "}");
}

static void put_true(struct buf *out, const char *key)
{
	json_put_key(out, key);
	json_put_raw(out, SPAN("true"));
}

static void put_worker(struct buf *out, const struct worker_view *w, int32_t pid)
{
	json_put_separator(out);
	json_put_literal(out, "{");
	put_integer(out, "slot", w->slot);
	put_integer(out, "incarnation", w->incarnation);
	if (pid)
		put_integer(out, "pid", (uint64_t)pid);
	if (w->slot == SACRIFICE_SLOT)
		put_true(out, "sacrificial");
	put_text(out, "state", !w->joined ? "down" : w->draining ? "draining" : "up");
	put_classes(out, "capacity", w->capacity);
	put_classes(out, "running", w->held);
	put_integer(out, "dispatched", w->dispatched);
	put_integer(out, "finished", w->finished);
	json_put_literal(out, "}");
}

void verb_workers(struct verb_request *q, struct span unused GA_UNUSED)
{
	struct buf body = BUF_INIT;
	struct worker_view w;

	json_put_literal(&body, "{\"workers\":[");
	for (uint32_t i = 0; engine_worker_view(q->broker->engine, i, &w) == 0; i++)
		if (w.slot != SACRIFICE_SLOT || w.incarnation != 0)
			put_worker(&body, &w, worker_pids_get(q->broker, w.slot, w.incarnation));
	json_put_literal(&body, "]}");
	answer(q, &body);
}

static void put_json(struct buf *out, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	json_put_raw(out, text ? span_of(text) : SPAN("null"));
	free(text);
	json_decref(value);
}

void verb_types(struct verb_request *q, struct span unused GA_UNUSED)
{
	struct buf body = BUF_INIT;
	const struct job_type *type;

	json_put_literal(&body, "{\"types\":[");
	for (size_t i = 0; (type = type_at(q->broker->types, i)); i++) {
		json_put_separator(&body);
		put_json(&body, type_describe(type));
	}
	json_put_literal(&body, "]}");
	answer(q, &body);
}

void verb_type(struct verb_request *q, struct span name)
{
	const struct job_type *type = type_find(q->broker->types, name);
	struct buf body = BUF_INIT;
	struct refusal r;

	if (!type) {
		refuse(&r, 404, "unknown_type", "type",
		       "no job type \"%.*s\": GET /v1/types lists them",
		       (int)MIN(name.size, (size_t)64), name.data);
		verb_refuse(q, &r);
		return;
	}
	put_json(&body, type_describe(type));
	answer(q, &body);
}

static void put_boolean(struct buf *out, const char *key, bool value)
{
	json_put_key(out, key);
	json_put_boolean(out, value);
}

static void put_store(struct buf *out, const struct store *store)
{
	struct store_facts f;
	uint64_t finished = 0;

	json_put_key(out, "store");
	if (!store) {
		json_put_literal(out, "null");
		return;
	}
	store_facts(store, &f);
	for (int s = 0; s < JOB_STATE_LIMIT; s++)
		finished += f.finished[s];
	json_put_literal(out, "{");
	put_text(out, "kind", store_kind(store));
	put_boolean(out, "full", f.full);
	put_integer(out, "bytes", (uint64_t)f.bytes);
	put_integer(out, "queued_bytes", (uint64_t)store_queued_bytes(store));
	put_integer(out, "finished", finished);
	put_integer(out, "removed_early", f.removed_early);
	put_integer(out, "commits", f.commits);
	put_integer(out, "syncs", f.syncs);
	json_put_literal(out, "}");
}

void verb_stats(struct verb_request *q, struct span unused GA_UNUSED)
{
	struct broker *b = q->broker;
	struct buf body = BUF_INIT;
	struct engine_counts counts;

	engine_counts(b->engine, &counts);
	json_put_literal(&body, "{");
	put_text(&body, "version", GATHER_VERSION);
	put_integer(&body, "epoch", b->epoch);
	put_integer(&body, "uptime_s", (uint64_t)((clock_boottime() - b->started_at) / NSEC_PER_SEC));
	put_integer(&body, "connections", b->connections.count + http_front_connections(b->http));
	json_put_key(&body, "jobs");
	json_put_literal(&body, "{");
	for (int s = JOB_READY; s < JOB_STATE_LIMIT; s++)
		put_integer(&body, job_state_name((enum job_state)s), counts.jobs[s]);
	json_put_literal(&body, "}");
	json_put_key(&body, "totals");
	json_put_literal(&body, "{");
	put_integer(&body, "submitted", counts.submitted);
	put_integer(&body, "succeeded", counts.succeeded);
	put_integer(&body, "failed", counts.failed);
	put_integer(&body, "cancelled", counts.cancelled);
	put_integer(&body, "retried", counts.retried);
	put_integer(&body, "crashes", counts.crashes);
	put_integer(&body, "stale_results", counts.stale_results);
	put_integer(&body, "evicted", counts.evicted);
	json_put_literal(&body, "}");
	put_integer(&body, "args_bytes", counts.args_bytes);
	put_integer(&body, "finished_bytes", counts.finished_bytes);
	put_store(&body, b->store);
	json_put_literal(&body, "}");
	answer(q, &body);
}

void verb_healthz(struct verb_request *q, struct span unused GA_UNUSED)
{
	verb_answer_text(q, 200, "text/plain", SPAN("ok\n"));
}

void verb_readyz(struct verb_request *q, struct span unused GA_UNUSED)
{
	struct refusal r;

	if (q->broker->joined > 0 && !q->broker->draining) {
		verb_answer_text(q, 200, "text/plain", SPAN("ready\n"));
		return;
	}
	refuse(&r, 503, "not_ready", "",
	       q->broker->draining ? "shutting down" : "no worker has registered yet");
	verb_refuse(q, &r);
}
