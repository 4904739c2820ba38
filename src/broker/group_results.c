/*
 * What a group's members gave, page by page: each in the order asked for, as soon as it was told. A member that is in the
 * store alone is read from there, and the page goes on then.
 */
#include "clock.h"
#include "group_ask.h"
#include "group_row.h"
#include "group_view.h"
#include "json_write.h"
#include <errno.h>

#define PAGE_BYTES (512u << 10) /* then the client asks for the next page */
#define WHOLE_BYTES (32u << 20) /* of all results in one answer */

enum next { NEXT_ONE, NEXT_NOT_YET, NEXT_NONE };

static bool has_ended(const struct group *g)
{
	return job_state_is_final(group_told_state(g));
}

static bool by_completion(const struct group_ask *a, const struct group *g)
{
	return a->range.has_order ? a->range.by_completion : g->options.by_completion;
}

/* Whose turn it is at the cursor. Members that a wait has left behind have their turn, unfinished, in order of input. */
static enum next next_member(const struct group_ask *a, const struct group *g, uint32_t *ret_member)
{
	struct engine *e = a->q->broker->engine;
	uint32_t at = a->range.cursor;

	if (by_completion(a, g)) {
		if (at >= g->settled || !engine_group_outcome(e, g, g->order[at]))
			return has_ended(g) ? NEXT_NONE : NEXT_NOT_YET;
		*ret_member = g->order[at];
		return NEXT_ONE;
	}
	if (at >= g->made)
		return has_ended(g) ? NEXT_NONE : NEXT_NOT_YET;
	*ret_member = at;
	return has_ended(g) || engine_group_outcome(e, g, at) ? NEXT_ONE : NEXT_NOT_YET;
}

static void begin_result(struct group_ask *a)
{
	if (a->range.array)
		json_put_separator(&a->out);
}

static void end_result(struct group_ask *a)
{
	if (!a->range.array)
		json_put_literal(&a->out, "\n");
	a->range.cursor++;
	a->lines++;
}

static uint32_t member_at_cursor(const struct group_ask *a, const struct group *g)
{
	return by_completion(a, g) ? g->order[a->range.cursor] : a->range.cursor;
}

/* A member from the store, or what is known of one that isn't there any more. */
static void on_member(void *arg, const struct store_rows *rows)
{
	struct group_ask *a = arg;
	struct group *g = group_ask_group(a), *inner;
	struct job_facts f;

	a->q->read = NULL;
	if (!g || (rows->error < 0 && rows->error != -ENOENT)) {
		group_ask_refuse(a, g ? -EIO : -EIDRM);
		return;
	}
	uint32_t member = member_at_cursor(a, g);

	begin_result(a);
	if (rows->error == 0 && rows->job_count > 0) {
		facts_of_row(a->q->broker, &rows->jobs[0], &f);
		result_view_job(&f, member, a->range.inline_max, &a->out);
	} else if (rows->error == 0 && rows->group_count > 0 &&
		   group_row_unpack(a->q->broker, &rows->groups[0], &inner) == 0) {
		result_view_group(a->q->broker, inner, member, 0, &a->out);
		group_unpacked_free(inner);
	} else {
		result_view_gone((enum job_state)g->outcomes[member], member, &a->out);
	}
	end_result(a);
	results_go_on(a);
}

/* 0: it stands there; 1: it is being read; -ENOMEM. */
static int put_member(struct group_ask *a, const struct group *g, uint32_t member)
{
	struct broker *b = a->q->broker;
	uint64_t sequence = g->sequences[member];
	struct job *job = engine_job_at(b->engine, sequence);
	struct group *inner = job ? NULL : engine_group_at(b->engine, sequence);
	struct job_facts f;

	if (!job && !inner && sequence && g->durability != DURABILITY_MEMORY && b->store) {
		int error = store_read_sequence(b->store, sequence, on_member, a, &a->q->read);

		return error < 0 ? error : 1;
	}
	begin_result(a);
	if (job) {
		facts_of_job(b, job, &f);
		result_view_job(&f, member, a->range.inline_max, &a->out);
	} else if (inner) {
		result_view_group(b, inner, member, a->range.inline_max, &a->out);
	} else {
		result_view_gone((enum job_state)g->outcomes[member], member, &a->out);
	}
	end_result(a);
	return 0;
}

static void put_group(struct group_ask *a, const struct group *g)
{
	json_put_key(&a->out, "group");
	json_put_literal(&a->out, "{");
	group_view_members(a->q->broker, g, &a->out);
	json_put_literal(&a->out, "}");
}

static void answer(struct group_ask *a, const struct group *g, bool more)
{
	struct verb_request *q = a->q;
	struct buf *out = &a->out;

	if (a->range.array)
		json_put_literal(out, "]");
	if (a->range.whole) {
		json_put_literal(out, "}");
	} else {
		if (!a->range.array)
			json_put_literal(out, "{");
		put_group(a, g);
		json_put_key(out, "cursor");
		json_put_integer(out, a->range.cursor);
		json_put_key(out, "more");
		json_put_boolean(out, more);
		json_put_raw(out, span_of(a->range.array ? "}" : "}\n"));
	}
	/* Answering may free the request, and this with it. */
	struct buf body = a->out;

	a->out = (struct buf)BUF_INIT;
	verb_answer_buf(q, 200, a->range.array ? TYPE_JSON : TYPE_NDJSON, &body);
}

static void too_large(struct group_ask *a, const struct group *g)
{
	struct buf body = BUF_INIT;

	json_put_literal(&body, "{");
	group_view_members(a->q->broker, g, &body);
	json_put_key(&body, "results_left_out");
	json_put_integer(&body, g->made);
	json_put_literal(&body, "}");
	verb_answer_buf(a->q, 200, TYPE_JSON, &body);
}

static void on_progress(struct group_watch *w, bool over)
{
	struct group_ask *a = container_of(w, struct group_ask, watch);

	group_watch_stop(w);
	if (over)
		a->range.follow = false; /* what there is */
	results_go_on(a);
}

static bool begin_page(struct group_ask *a, const struct group *g)
{
	if (a->lines > 0 || buf_size(&a->out) > 0 || !a->range.array)
		return true;
	json_put_literal(&a->out, "{");
	if (a->range.whole)
		group_view_members(a->q->broker, g, &a->out);
	json_put_key(&a->out, "results");
	json_put_literal(&a->out, "[");
	return true;
}

/* It has nothing yet, and waits for the next member's end. */
static bool waits(struct group_ask *a, const struct group *g)
{
	int64_t deadline = a->q->deadline ? a->q->deadline : TIME_NEVER;

	if (a->lines > 0 || !a->range.follow || a->alone)
		return false;
	if (group_watch_start(a->q->broker, &a->watch, g, deadline, on_progress) < 0) {
		group_ask_refuse(a, -ENOMEM);
		return true;
	}
	return true;
}

void results_go_on(struct group_ask *a)
{
	size_t page = a->range.whole ? WHOLE_BYTES : PAGE_BYTES;
	struct group *g = group_ask_group(a);
	enum next next = NEXT_NONE;
	uint32_t member;

	if (!g) {
		group_ask_refuse(a, -EIDRM);
		return;
	}
	if (!begin_page(a, g))
		return;
	while ((next = next_member(a, g, &member)) == NEXT_ONE && a->lines < a->range.limit &&
	       buf_size(&a->out) < page) {
		int put = put_member(a, g, member);

		if (put < 0)
			group_ask_refuse(a, -ENOMEM);
		if (put != 0)
			return;
	}
	if (next == NEXT_NOT_YET && waits(a, g))
		return;
	if (a->range.whole && next == NEXT_ONE)
		too_large(a, g);
	else
		answer(a, g, next != NEXT_NONE);
}
