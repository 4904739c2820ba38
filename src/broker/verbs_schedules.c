#include "json_write.h"
#include "schedules.h"
#include "verbs.h"
#include <stdlib.h>

#define PAGE_DEFAULT 1000
#define PAGE_MAX 1000

/* What the answer is about, until the change is safe: the schedule itself may be gone by then. */
struct change {
	char name[65];
	int status;
	bool removed;
};

static struct schedule *find(struct verb_request *q, struct span name)
{
	struct schedule *s = schedule_find(q->broker, name);
	struct refusal r;

	if (s)
		return s;
	refuse(&r, 404, "no_such_schedule", "name",
	       "no schedule \"%.*s\": GET /v1/schedules lists them",
	       (int)MIN(name.size, (size_t)64), name.data);
	verb_refuse(q, &r);
	return NULL;
}

static void answer_schedule(struct verb_request *q, const struct schedule *s, int status)
{
	struct buf body = BUF_INIT;

	schedule_view(q->broker, s, true, &body);
	verb_answer_buf(q, status, TYPE_JSON, &body);
}

static void on_safe(struct verb_request *q)
{
	const struct change *change = q->more;
	struct schedule *s = schedule_find(q->broker, span_of(change->name));
	struct buf body = BUF_INIT;

	if (s && !change->removed) {
		answer_schedule(q, s, change->status);
		return;
	}
	json_put_literal(&body, "{\"name\":");
	json_put_string(&body, span_of(change->name));
	json_put_literal(&body, ",\"removed\":true}");
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

/* Answer once the change is safe. */
static void answer_change(struct verb_request *q, struct span name, int status, bool removed)
{
	struct change *change = calloc(1, sizeof(*change));
	struct refusal r;

	if (!change) {
		refuse(&r, 503, "no_memory", "", "it is done, but there is no memory for the answer");
		verb_refuse(q, &r);
		return;
	}
	memcpy(change->name, name.data, name.size);
	change->status = status;
	change->removed = removed;
	q->more = change;
	q->more_free = free;
	verb_when_safe(q, on_safe);
}

void verb_schedules(struct verb_request *q, struct span unused GA_UNUSED)
{
	char text[80] = "", cursor[80] = "", *end;
	struct buf body = BUF_INIT;
	long limit = PAGE_DEFAULT;
	struct schedule *s;
	struct refusal r;

	if (verb_param(q, "limit", text, sizeof(text))) {
		limit = strtol(text, &end, 10);
		if (*end || limit < 1 || limit > PAGE_MAX) {
			refuse(&r, 400, "bad_parameter", "limit",
			       "limit=%s: takes a number from 1 to %d", text, PAGE_MAX);
			verb_refuse(q, &r);
			return;
		}
	}
	verb_param(q, "cursor", cursor, sizeof(cursor));
	json_put_literal(&body, "{\"schedules\":[");
	for (s = schedule_after(q->broker, span_of(cursor)); s && limit > 0; limit--) {
		json_put_separator(&body);
		schedule_view(q->broker, s, false, &body);
		snprintf(cursor, sizeof(cursor), "%s", s->name);
		s = schedule_after(q->broker, span_of(s->name));
	}
	json_put_literal(&body, "],\"cursor\":");
	if (s)
		json_put_string(&body, span_of(cursor));
	else
		json_put_literal(&body, "null");
	json_put_literal(&body, "}");
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

void verb_schedule(struct verb_request *q, struct span name)
{
	struct schedule *s = find(q, name);

	if (s)
		answer_schedule(q, s, 200);
}

void verb_schedule_put(struct verb_request *q, struct span name)
{
	struct refusal r;
	int fresh = schedule_put(q->broker, name, q->body, &r);

	if (fresh < 0)
		verb_refuse(q, &r);
	else
		answer_change(q, name, fresh ? 201 : 200, false);
}

void verb_schedule_delete(struct verb_request *q, struct span name)
{
	struct schedule *s = find(q, name);

	if (!s)
		return;
	schedule_remove(q->broker, s);
	answer_change(q, name, 200, true);
}

static void set_paused(struct verb_request *q, struct span name, bool paused)
{
	struct schedule *s = find(q, name);

	if (!s)
		return;
	schedule_pause(q->broker, s, paused);
	answer_change(q, name, 200, false);
}

void verb_schedule_pause(struct verb_request *q, struct span name)
{
	set_paused(q, name, true);
}

void verb_schedule_resume(struct verb_request *q, struct span name)
{
	set_paused(q, name, false);
}

void verb_schedule_run(struct verb_request *q, struct span name)
{
	struct schedule *s = find(q, name);
	struct submitted submitted;
	struct refusal r;

	if (!s)
		return;
	if (verb_read_wait(q) < 0)
		return;
	if (schedule_run(q->broker, s, &submitted, &r) < 0)
		verb_refuse(q, &r);
	else
		verb_submitted(q, &submitted);
}
