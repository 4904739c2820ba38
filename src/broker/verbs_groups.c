/* The verbs of groups: POST /v1/groups, show, cancel, results. */
#include "clock.h"
#include "group_ask.h"
#include "group_view.h"
#include "json_write.h"
#include <errno.h>
#include <stdlib.h>

/* ---- one comes in ---- */

static void answer_group(struct group_ask *a, const struct group *g, int status)
{
	struct buf body = BUF_INIT;

	json_put_literal(&body, "{");
	if (status == 201)
		group_view_ack(g, &body);
	else
		group_view_members(a->q->broker, g, &body);
	json_put_literal(&body, "}");
	verb_answer_buf(a->q, status, TYPE_JSON, &body);
}

static void on_watched(struct group_watch *w, bool over)
{
	struct group_ask *a = container_of(w, struct group_ask, watch);
	struct group *g = group_ask_group(a);

	if (!g)
		group_ask_refuse(a, -EIDRM);
	else if (job_state_is_final(group_told_state(g)))
		results_go_on(a);
	else if (over)
		answer_group(a, g, 202);
}

/* It is safe, or needn't be. */
static void accepted(struct verb_request *q)
{
	struct group_ask *a = q->more;
	struct group *g = group_ask_group(a);
	struct refusal r;

	if (!g) {
		group_ask_refuse(a, -EIDRM);
	} else if (g->refused) {
		refuse(&r, 503, "store_full", "",
		       "the disk is full: durable groups are refused until there is room (store.reserve_bytes), "
		       "those of durability \"memory\" are not");
		r.retry_after_ms = 10000;
		verb_refuse(q, &r);
	} else if (q->deadline == 0) {
		answer_group(a, g, 201);
	} else if (job_state_is_final(group_told_state(g))) {
		results_go_on(a);
	} else if (group_watch_start(q->broker, &a->watch, g, q->deadline, on_watched) < 0) {
		group_ask_refuse(a, -ENOMEM);
	}
}

void verb_group_submit(struct verb_request *q, struct span unused GA_UNUSED)
{
	const struct submit_origin origin = { .waits = verb_param(q, "wait", (char[2]){ 0 }, 2) };
	struct group_ask *a = group_ask_new(q);
	struct refusal r;
	struct group *g;
	json_t *object;
	int error;

	if (verb_read_wait(q) < 0)
		return;
	error = json_read_object(q->body, "the body", &object, &r);
	if (error == 0) {
		error = group_submit(q->broker, object, q->body, &origin, &g, &r);
		json_decref(object);
	}
	if (error != 0) {
		verb_refuse(q, &r);
		return;
	}
	a->id = g->id;
	a->sequence = g->sequence;
	a->range = (struct results_range){
		.limit = UINT32_MAX, .inline_max = SIZE_MAX / 2, .array = true, .whole = true
	};
	if (g->durability != DURABILITY_MEMORY)
		verb_when_safe(q, accepted);
	else
		accepted(q);
}

/* ---- one is asked for ---- */

static void show_safe(struct verb_request *q)
{
	struct group_ask *a = q->more;
	struct group *g = group_ask_group(a);

	if (g)
		answer_group(a, g, 200);
	else
		group_ask_refuse(a, -EIDRM);
}

/* What is told of a durable group is safe first. */
static void show(struct group_ask *a, struct group *g)
{
	if (!a->alone && g->durability != DURABILITY_MEMORY)
		verb_when_safe(a->q, show_safe);
	else
		answer_group(a, g, 200);
}

void verb_group_show(struct verb_request *q, struct span id)
{
	group_ask_find(group_ask_new(q), id, show);
}

static void cancel(struct group_ask *a, struct group *g)
{
	struct refusal r;

	if (a->alone || engine_group_cancel(a->q->broker->engine, g) == -EALREADY) {
		refuse(&r, 409, "already_finished", "id", "the group has ended already: it is %s",
		       job_state_name((enum job_state)g->state));
		verb_refuse(a->q, &r);
		return;
	}
	show(a, g);
}

void verb_group_cancel(struct verb_request *q, struct span id)
{
	group_ask_find(group_ask_new(q), id, cancel);
}

/* ---- results ---- */

static int read_number(const struct verb_request *q, const char *name, unsigned long max,
		       unsigned long *ret_number, struct refusal *r)
{
	char text[32], *end;

	if (!verb_param(q, name, text, sizeof(text)))
		return 0;
	*ret_number = strtoul(text, &end, 10);
	if (*end || text[0] < '0' || text[0] > '9' || *ret_number > max)
		return refuse(r, 400, "bad_parameter", name, "%s=%s: takes a number from 0 to %lu",
			      name, text, max);
	return 0;
}

static int read_flag(const struct verb_request *q, const char *name, bool *ret_flag, struct refusal *r)
{
	char text[16];

	if (!verb_param(q, name, text, sizeof(text)))
		return 0;
	*ret_flag = strcmp(text, "true") == 0;
	if (*ret_flag || strcmp(text, "false") == 0)
		return 0;
	return refuse(r, 400, "bad_parameter", name, "%s=%s: takes true or false", name, text);
}

static int read_order(const struct verb_request *q, struct results_range *range, struct refusal *r)
{
	char text[16];

	range->has_order = verb_param(q, "order", text, sizeof(text));
	if (!range->has_order)
		return 0;
	range->by_completion = strcmp(text, "completed") == 0;
	if (range->by_completion || strcmp(text, "input") == 0)
		return 0;
	return refuse(r, 400, "bad_parameter", "order", "order=%s: takes input or completed", text);
}

static int read_range(const struct verb_request *q, struct results_range *ret_range, struct refusal *r)
{
	struct results_range range = { 0 };
	unsigned long cursor = 0, limit = GROUP_MEMBERS_MAX, inline_max = SIZE_MAX / 2;
	int error = read_number(q, "cursor", GROUP_MEMBERS_MAX, &cursor, r);

	if (error == 0)
		error = read_number(q, "limit", GROUP_MEMBERS_MAX, &limit, r);
	if (error == 0)
		error = read_number(q, "inline_max", inline_max, &inline_max, r);
	if (error == 0)
		error = read_flag(q, "follow", &range.follow, r);
	if (error == 0)
		error = read_flag(q, "array", &range.array, r);
	if (error == 0)
		error = read_order(q, &range, r);
	range.cursor = (uint32_t)cursor;
	range.limit = (uint32_t)limit;
	range.inline_max = inline_max;
	*ret_range = range;
	return error;
}

static void show_results(struct group_ask *a, struct group *g GA_UNUSED)
{
	results_go_on(a);
}

void verb_group_results(struct verb_request *q, struct span id)
{
	struct group_ask *a = group_ask_new(q);
	struct refusal r;

	if (verb_read_wait(q) < 0)
		return;
	if (read_range(q, &a->range, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	group_ask_find(a, id, show_results);
}
