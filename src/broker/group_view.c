#include "group_view.h"
#include "clock.h"
#include "engine_groups.h"
#include "job_view.h"
#include "json_write.h"

enum job_state group_told_state(const struct group *g)
{
	return job_state_is_final((enum job_state)g->state) && g->untold ? JOB_RUNNING
									 : (enum job_state)g->state;
}

static const char *kind_name(const struct group *g)
{
	static const char *const names[] = {
		[GROUP_GATHER] = "gather", [GROUP_WAIT] = "wait", [GROUP_CHAIN] = "chain", [GROUP_MAP] = "map"
	};

	return names[g->options.kind];
}

static void put_text(struct buf *out, const char *key, const char *value)
{
	json_put_key(out, key);
	json_put_string(out, span_of(value));
}

static void put_number(struct buf *out, const char *key, uint64_t value)
{
	json_put_key(out, key);
	json_put_integer(out, (int64_t)value);
}

static void put_instant(struct broker *b, struct buf *out, const char *key, int64_t at)
{
	if (at == 0)
		return;
	json_put_key(out, key);
	json_put_instant(out, at + b->wall_offset);
}

static void put_id(const struct group *g, struct buf *out)
{
	char id[UUID_TEXT_SIZE];

	uuid_format(&g->id, id);
	put_text(out, "id", id);
	put_text(out, "kind", kind_name(g));
	put_text(out, "state", job_state_name(group_told_state(g)));
}

void group_view_ack(const struct group *g, struct buf *out)
{
	put_id(g, out);
	put_text(out, "durability", job_durability_name((enum job_durability)g->durability));
	put_number(out, "members", g->count);
}

static void put_end(struct broker *b, const struct group *g, struct buf *out)
{
	if (!job_state_is_final(group_told_state(g)))
		return;
	put_instant(b, out, "finished_at", g->finished_at);
	if (g->timed_out) {
		json_put_key(out, "timed_out");
		json_put_boolean(out, true);
	}
	if (g->error)
		error_view(span_of(g->error->code), span_of(g->error->message), 0, out);
}

void group_view_members(struct broker *b, const struct group *g, struct buf *out)
{
	group_view_ack(g, out);
	put_number(out, "made", g->made);
	put_number(out, "succeeded", g->succeeded);
	put_number(out, "failed", g->failed);
	put_number(out, "cancelled", g->cancelled);
	put_instant(b, out, "accepted_at", g->accepted_at);
	put_instant(b, out, "started_at", g->started_at);
	put_end(b, g, out);
}

/* ---- results ---- */

static void open_result(uint32_t index, struct buf *out)
{
	json_put_literal(out, "{");
	put_number(out, "index", index);
}

void result_view_job(const struct job_facts *f, uint32_t index, size_t inline_max, struct buf *out)
{
	open_result(index, out);
	job_view_result(f, inline_max, out);
	json_put_literal(out, "}");
}

void result_view_gone(enum job_state outcome, uint32_t index, struct buf *out)
{
	open_result(index, out);
	put_text(out, "state", outcome ? job_state_name(outcome) : "failed");
	error_view(SPAN("gone"), SPAN("its result is no longer kept"), 0, out);
	json_put_literal(out, "}");
}

/* Whether all of its results were written; what was appended may be cut short otherwise. */
static bool put_results(struct broker *b, const struct group *g, size_t inline_max, struct buf *out)
{
	size_t before = buf_size(out);

	for (uint32_t i = 0; i < g->made; i++) {
		struct job *job = engine_job_at(b->engine, g->sequences[i]);
		struct group *inner = job ? NULL : engine_group_at(b->engine, g->sequences[i]);
		struct job_facts f;

		json_put_separator(out);
		if (job) {
			facts_of_job(b, job, &f);
			result_view_job(&f, i, inline_max, out);
		} else if (inner) {
			result_view_group(b, inner, i, inline_max, out);
		} else if (g->durability == DURABILITY_MEMORY) {
			result_view_gone((enum job_state)g->outcomes[i], i, out);
		} else {
			return false;
		}
		if (buf_size(out) - before > inline_max)
			return false;
	}
	return true;
}

void result_view_group(struct broker *b, const struct group *g, uint32_t index, size_t inline_max,
		       struct buf *out)
{
	open_result(index, out);
	put_id(g, out);
	put_end(b, g, out);
	size_t before = buf_size(out);

	json_put_key(out, "results");
	json_put_literal(out, "[");
	if (put_results(b, g, inline_max, out)) {
		json_put_literal(out, "]");
	} else {
		out->end -= buf_size(out) - before;
		put_number(out, "results_left_out", g->made);
	}
	json_put_literal(out, "}");
}
