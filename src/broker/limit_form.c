#include "limit_form.h"
#include "clock.h"
#include "json_write.h"
#include "text.h"
#include <errno.h>
#include <stdlib.h>

#define NUMBER_MAX 1000000000.0

static const struct ga_param limit_params[] = {
	{ "concurrency", GA_INTEGER, 0, NULL, 1, NUMBER_MAX, NULL, NULL, "running jobs" },
	{ "rate", GA_TEXT, 0, NULL, 3, 64, NULL, NULL, "starts in a time" },
	{ "burst", GA_INTEGER, 0, NULL, 1, NUMBER_MAX, NULL, NULL, "starts at once" },
	{ "max_pending", GA_INTEGER, 0, NULL, 1, NUMBER_MAX, NULL, NULL, "waiting jobs" },
	{ 0 },
};

static int read_rate(const json_t *value, struct limit *l, struct refusal *r);

int limit_read(const json_t *object, struct limit *io_limit, struct refusal *r)
{
	struct limit l = *io_limit;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		const struct ga_param *p = limit_params;
		json_int_t number = json_integer_value(value);
		int error = 0;

		while (p->name && strcmp(p->name, name) != 0)
			p++;
		if (!p->name)
			return refuse(r, 422, "unknown_field", name,
				      "unknown field \"%.40s\": a limit has concurrency, rate, burst and max_pending",
				      name);
		if (!json_is_null(value))
			error = param_check(p, "", value, r);
		if (error < 0)
			return error;
		if (p == &limit_params[0])
			l.concurrency = (uint32_t)number;
		else if (p == &limit_params[1])
			error = read_rate(value, &l, r);
		else if (p == &limit_params[2])
			l.burst = (uint32_t)number;
		else
			l.max_pending = (uint64_t)number;
		if (error < 0)
			return error;
	}
	*io_limit = l;
	return 0;
}

static int read_rate(const json_t *value, struct limit *l, struct refusal *r)
{
	l->rate = 0;
	l->per = 0;
	if (json_is_null(value) || rate_parse(json_string_value(value), &l->rate, &l->per) == 0)
		return 0;
	return refuse(r, 422, "bad_field", "rate",
		      "rate \"%.40s\": takes a number in a time, like \"100/s\", \"10/m\" or \"5/10s\", up to "
		      "1000000/s",
		      json_string_value(value));
}

static void put_number(struct buf *out, const char *key, uint64_t value)
{
	if (value == 0)
		return;
	json_put_key(out, key);
	json_put_integer(out, (int64_t)value);
}

void limit_put(struct buf *out, const struct limit *limit)
{
	char rate[RATE_TEXT_SIZE];

	put_number(out, "concurrency", limit->concurrency);
	if (limit->rate > 0) {
		json_put_key(out, "rate");
		json_put_string(out, span_of(rate_format(limit->rate, limit->per, rate)));
	}
	put_number(out, "burst", limit->burst);
	put_number(out, "max_pending", limit->max_pending);
}

static void put_flag(struct buf *out, const char *key, bool value)
{
	json_put_key(out, key);
	json_put_boolean(out, value);
}

static void put_wait(struct buf *out, const char *key, int64_t until)
{
	int64_t now = clock_boottime();

	if (until <= now)
		return;
	json_put_key(out, key);
	json_put_milliseconds(out, until - now);
}

void limit_view_put(struct buf *out, enum limit_kind kind, const struct limit_view *v)
{
	json_put_literal(out, "{");
	json_put_key(out, kind == LIMIT_QUEUE ? "name" : "key");
	json_put_string(out, span_of(v->name));
	if (kind == LIMIT_QUEUE) {
		json_put_key(out, "ready");
		json_put_integer(out, (int64_t)v->ready);
	}
	json_put_key(out, "running");
	json_put_integer(out, (int64_t)v->running);
	if (kind == LIMIT_QUEUE) { /* for later: scheduled, retrying, or behind others of their group */
		json_put_key(out, "scheduled");
		json_put_integer(out, (int64_t)(v->pending - v->ready));
	} else {
		json_put_key(out, "pending");
		json_put_integer(out, (int64_t)v->pending);
	}
	put_flag(out, "paused", v->paused);
	limit_put(out, &v->limit);
	if (v->slowed)
		put_number(out, "slowed_to", v->concurrency);
	put_wait(out, "busy_ms", v->busy_until);
	put_wait(out, "next_start_ms", v->rate_until);
	put_flag(out, "own", v->own);
	json_put_literal(out, "}");
}
