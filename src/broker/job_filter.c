#include "job_filter.h"
#include "clock.h"
#include "job_row.h"
#include "text.h"
#include <errno.h>

static int take_states(struct job_filter *f, const char *value, struct refusal *r)
{
	const char *at = value;

	f->states = 0;
	do {
		size_t size = strcspn(at, ",");
		char name[24];
		enum job_state state;

		snprintf(name, sizeof(name), "%.*s", (int)MIN(size, sizeof(name) - 1), at);
		if (job_state_parse(name, &state) < 0)
			return refuse(
				r, 400, "bad_parameter", "state",
				"state=%.40s: takes ready, running, retrying, succeeded, failed, cancelled, "
				"scheduled, blocked, expired or accepted, or several with commas between",
				value);
		f->states |= 1u << state;
		at += size;
	} while (*at++ == ',');
	return 1;
}

static int take_since(struct broker *b, struct job_filter *f, const char *value, struct refusal *r)
{
	int64_t ns;

	if (instant_parse(value, &f->since_wall) == 0)
		return 1;
	if (duration_parse(value, &ns) < 0)
		return refuse(r, 400, "bad_parameter", "since",
			      "since=%.40s: takes a duration such as 1h, or an RFC 3339 instant such as "
			      "2026-12-01T08:00:00Z",
			      value);
	broker_engine(b);
	f->since_wall = MAX(b->now + b->wall_offset - ns, 1);
	return 1;
}

/* A name that is empty or too long would be taken for another, or for all: a bulk action must not. */
static int take_name(char *out, size_t out_size, const char *name, const char *value, struct refusal *r)
{
	size_t size = strlen(value);

	if (size == 0 || size >= out_size)
		return refuse(r, 400, "bad_parameter", name, "%s takes 1 to %zu bytes, not %zu",
			      name, out_size - 1, size);
	memcpy(out, value, size + 1);
	return 1;
}

int filter_take(struct broker *b, struct job_filter *f, const char *name, const char *value,
		struct refusal *r)
{
	if (strcmp(name, "state") == 0)
		return take_states(f, value, r);
	if (strcmp(name, "since") == 0)
		return take_since(b, f, value, r);
	if (strcmp(name, "type") == 0)
		return take_name(f->type, sizeof(f->type), name, value, r);
	if (strcmp(name, "queue") == 0)
		return take_name(f->queue, sizeof(f->queue), name, value, r);
	if (strcmp(name, "tag") == 0)
		return take_name(f->tag, sizeof(f->tag), name, value, r);
	return 0;
}

int filter_read(const struct verb_request *q, struct job_filter *ret_filter, struct refusal *r)
{
	static const char *const names[] = { "state", "type", "queue", "tag", "since" };
	struct job_filter f = { 0 };
	char value[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (verb_param(q, names[i], value, sizeof(value)) &&
		    filter_take(q->broker, &f, names[i], value, r) < 0)
			return -EINVAL;
	}
	*ret_filter = f;
	return 0;
}

bool filter_matches(struct broker *b, const struct job_filter *f, const struct job *job)
{
	if (f->states && !(f->states >> job->state & 1))
		return false;
	if (f->type[0] && strcmp(f->type, type_at(b->types, job->profile->type)->name) != 0)
		return false;
	if (f->queue[0] && strcmp(f->queue, job_queue_name(job)) != 0)
		return false;
	if (f->since_wall && uuid7_ms(&job->id) * NSEC_PER_MSEC < f->since_wall)
		return false;
	if (f->tag[0]) {
		const struct bytes *tags = job_options(b, job)->tags;

		return tags && tags_have((struct span){ tags->data, tags->size }, span_of(f->tag));
	}
	return true;
}

bool filter_wants_finished(const struct job_filter *f)
{
	return !f->states || f->states & JOB_STATES_FINAL;
}

void filter_for_store(const struct job_filter *f, uint64_t below, uint32_t limit,
		      struct store_filter *ret_filter)
{
	*ret_filter = (struct store_filter){ .states = f->states & JOB_STATES_FINAL,
					     .type = span_of(f->type),
					     .queue = span_of(f->queue),
					     .tag = span_of(f->tag),
					     .since_wall = f->since_wall,
					     .below = below,
					     .limit = limit };
}
