/* The verbs about queues and limit keys: show them, limit them, pause them. */
#include "json_write.h"
#include "limit_form.h"
#include "limit_key.h"
#include "text.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

#define LISTED_MAX 1000 /* keys without a limit of their own in one answer */

struct change {
	enum limit_kind kind;
	size_t size;
	char name[LIMIT_KEY_MAX + 1];
};

static void answer_changed(struct verb_request *q);

static const char *what_is(enum limit_kind kind)
{
	return kind == LIMIT_QUEUE ? "queue" : "limit key";
}

static bool check_name(struct verb_request *q, enum limit_kind kind, struct span name)
{
	struct refusal r;

	if (kind == LIMIT_QUEUE ? name_valid(name.data, name.size) : limit_key_valid(name))
		return true;
	if (kind == LIMIT_QUEUE)
		refuse(&r, 422, "bad_name", "name",
		       "queue \"%.*s\": takes 1 to 64 letters, digits, '.', '_' or '-', not starting with '.'",
		       (int)MIN(name.size, (size_t)64), name.data);
	else
		refuse(&r, 422, "bad_name", "key",
		       "key \"%.*s\": takes 1 to %d visible ASCII characters but / \\ and \"",
		       (int)MIN(name.size, (size_t)64), name.data, LIMIT_KEY_MAX);
	verb_refuse(q, &r);
	return false;
}

/* ---- showing ---- */

static void show(struct verb_request *q, enum limit_kind kind, struct span name)
{
	struct buf body = BUF_INIT;
	struct limit_view v;
	struct refusal r;

	if (engine_limit_find(broker_engine(q->broker), kind, name, &v) < 0) {
		refuse(&r, 404, "no_such_limit", kind == LIMIT_QUEUE ? "name" : "key",
		       "no job names the %s \"%.*s\", and it has no limit of its own",
		       what_is(kind), (int)MIN(name.size, (size_t)128), name.data);
		verb_refuse(q, &r);
		return;
	}
	limit_view_put(&body, kind, &v);
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

static void list(struct verb_request *q, enum limit_kind kind, const char *member)
{
	struct engine *e = broker_engine(q->broker);
	struct buf body = BUF_INIT;
	struct limit_view v;
	unsigned listed = 0, more = 0;

	json_put_literal(&body, "{");
	json_put_key(&body, member);
	json_put_literal(&body, "[");
	for (uint32_t i = 0; engine_limit_view(e, kind, i, &v) == 0; i++) {
		if (!v.own && !v.paused && listed >= LISTED_MAX) {
			more++;
			continue;
		}
		listed += !v.own && !v.paused;
		json_put_separator(&body);
		limit_view_put(&body, kind, &v);
	}
	json_put_literal(&body, "]");
	engine_limit_find(e, kind, SPAN(""), &v);
	json_put_key(&body, "defaults");
	json_put_literal(&body, "{");
	limit_put(&body, &v.limit);
	json_put_literal(&body, "}");
	if (more > 0) {
		json_put_key(&body, "not_listed");
		json_put_integer(&body, more);
	}
	json_put_literal(&body, "}");
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

void verb_queues(struct verb_request *q, struct span unused GA_UNUSED)
{
	list(q, LIMIT_QUEUE, "queues");
}

void verb_limits(struct verb_request *q, struct span unused GA_UNUSED)
{
	list(q, LIMIT_KEY, "limits");
}

void verb_queue(struct verb_request *q, struct span name)
{
	show(q, LIMIT_QUEUE, name);
}

void verb_limit(struct verb_request *q, struct span key)
{
	show(q, LIMIT_KEY, key);
}

/* ---- changing ---- */

static void refuse_change(struct verb_request *q, int error)
{
	struct refusal r;

	if (error == -ENOSPC)
		refuse(&r, 429, "too_many_limits", "",
		       "there are as many queues or limit keys as there may be: remove some of their limits");
	else
		refuse(&r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	verb_refuse(q, &r);
}

/* The change is made: answer with what is so now, once it is kept. */
static void changed(struct verb_request *q, enum limit_kind kind, struct span name, int error)
{
	struct change *c = error < 0 ? NULL : calloc(1, sizeof(*c));

	if (error == 0)
		error = c ? limits_keep(q->broker, kind, name) : -ENOMEM;
	if (error < 0) {
		free(c);
		refuse_change(q, error);
		return;
	}
	c->kind = kind;
	c->size = name.size;
	memcpy(c->name, name.data, name.size);
	q->more = c;
	q->more_free = free;
	verb_when_safe(q, answer_changed);
}

static void answer_changed(struct verb_request *q)
{
	const struct change *c = q->more;
	const struct span name = { c->name, c->size };
	struct buf body = BUF_INIT;
	struct limit_view v;

	if (engine_limit_find(q->broker->engine, c->kind, name, &v) < 0) {
		/* Nobody names it now; the defaults will hold for who does. */
		engine_limit_find(q->broker->engine, c->kind, SPAN(""), &v);
		v.name = c->name;
	}
	limit_view_put(&body, c->kind, &v);
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

static void set(struct verb_request *q, enum limit_kind kind, struct span name)
{
	struct engine *e = broker_engine(q->broker);
	struct limit_view v;
	json_t *object;
	struct refusal r;
	int error;

	if (!check_name(q, kind, name))
		return;
	if (json_read_object(q->body, "the body", &object, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	if (engine_limit_find(e, kind, name, &v) < 0)
		engine_limit_find(e, kind, SPAN(""), &v); /* what isn't named stays as it is */
	error = json_object_size(object) == 0
			? refuse(&r, 422, "missing_field", "",
				 "a limit has concurrency, rate, burst and max_pending: give what is to change")
			: limit_read(object, &v.limit, &r);
	json_decref(object);
	if (error < 0) {
		verb_refuse(q, &r);
		return;
	}
	changed(q, kind, name, engine_set_limit(e, kind, name, &v.limit));
}

static void unset(struct verb_request *q, enum limit_kind kind, struct span name)
{
	if (check_name(q, kind, name))
		changed(q, kind, name, engine_set_limit(broker_engine(q->broker), kind, name, NULL));
}

static void pause_or_resume(struct verb_request *q, enum limit_kind kind, struct span name, bool paused)
{
	struct engine *e = broker_engine(q->broker);
	int error = 0;

	if (!check_name(q, kind, name))
		return;
	if (paused)
		error = engine_pause(e, kind, name);
	else
		engine_resume(e, kind, name);
	changed(q, kind, name, error);
}

void verb_queue_set(struct verb_request *q, struct span name)
{
	set(q, LIMIT_QUEUE, name);
}

void verb_queue_unset(struct verb_request *q, struct span name)
{
	unset(q, LIMIT_QUEUE, name);
}

void verb_queue_pause(struct verb_request *q, struct span name)
{
	pause_or_resume(q, LIMIT_QUEUE, name, true);
}

void verb_queue_resume(struct verb_request *q, struct span name)
{
	pause_or_resume(q, LIMIT_QUEUE, name, false);
}

void verb_limit_set(struct verb_request *q, struct span key)
{
	set(q, LIMIT_KEY, key);
}

void verb_limit_unset(struct verb_request *q, struct span key)
{
	unset(q, LIMIT_KEY, key);
}

void verb_limit_pause(struct verb_request *q, struct span key)
{
	pause_or_resume(q, LIMIT_KEY, key, true);
}

void verb_limit_resume(struct verb_request *q, struct span key)
{
	pause_or_resume(q, LIMIT_KEY, key, false);
}
