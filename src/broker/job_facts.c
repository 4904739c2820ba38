#include "job_facts.h"
#include "clock.h"
#include "engine_durable.h"
#include "engine_groups.h"
#include "engine_limits.h"
#include "job_row.h"

static struct span text_of(const struct bytes *b)
{
	return b ? (struct span){ b->data, b->size } : (struct span){ 0 };
}

static int64_t wall_of(const struct broker *b, int64_t at)
{
	return at == 0 || at == TIME_NEVER ? at : at + b->wall_offset;
}

static void take_error(const struct job *job, struct job_facts *f)
{
	f->has_error = job->error;
	if (!job->error)
		return;
	f->error_signal = job->error->signal;
	f->error_code = span_of(job->error->code);
	f->error_message = span_of(job->error->message);
}

void facts_of_end(const struct job *job, struct job_facts *facts)
{
	facts->id = job->id;
	facts->state = job->state;
	facts->attempts = job->attempts;
	facts->elapsed_us = job->elapsed_us;
	facts->meta = text_of(job->meta);
	facts->body = text_of(job->body);
	take_error(job, facts);
}

void facts_of_job(struct broker *b, const struct job *job, struct job_facts *ret_facts)
{
	const struct job_profile *p = job->profile;
	const struct job_extra *x = job->extra;
	const struct job_type *type = type_at(b->types, p->type);

	*ret_facts = (struct job_facts){ .id = job->id,
					 .sequence = job->sequence,
					 .state = job->state,
					 .durability = p->durability,
					 .type = type,
					 .type_name = span_of(type->name),
					 .queue = span_of(job_queue_name(job)),
					 .priority = p->priority,
					 .attempts = job->attempts,
					 .retries_max = p->retries.max,
					 .timeout_ms = p->timeout_ms,
					 .elapsed_us = job->elapsed_us,
					 .slot = job->slot,
					 .accepted_wall = uuid7_ms(&job->id) * NSEC_PER_MSEC,
					 .started_wall = wall_of(b, job->started_at),
					 .finished_wall = wall_of(b, job->finished_at),
					 .due_wall = wall_of(b, engine_due(b->engine, job)),
					 .deadline_wall = x ? wall_of(b, x->deadline) : 0,
					 .args_away = job->args_away,
					 .args = text_of(job->args),
					 .meta = text_of(job->meta),
					 .body = text_of(job->body),
					 .tags = text_of(job_options(b, job)->tags),
					 .key = x ? text_of(x->key) : (struct span){ 0 },
					 .limit_key = span_of(job_limit_key(job)),
					 .told = job_told(job) };
	if (x && x->group) {
		ret_facts->group = &x->group->id;
		ret_facts->member = x->member;
	}
	take_error(job, ret_facts);
}

static struct span text_or_none(struct span text)
{
	return text.size ? text : (struct span){ 0 };
}

void facts_of_row(struct broker *b, const struct store_job *row, struct job_facts *ret_facts)
{
	const struct job_fields *f = options_fields(b, row->options);

	*ret_facts = (struct job_facts){ .id = row->id,
					 .sequence = row->sequence,
					 .state = row->state,
					 .durability = row->durability,
					 .type = type_find(b->types, row->type),
					 .type_name = row->type,
					 .queue = row->queue,
					 .priority = row->priority,
					 .attempts = row->attempts,
					 .retries_max = f->at_most_once ? 0 : f->retries.max,
					 .timeout_ms = f->timeout_ms,
					 .elapsed_us = row->elapsed_us,
					 .slot = row->slot,
					 .accepted_wall = row->accepted_wall,
					 .started_wall = row->started_wall,
					 .finished_wall = row->finished_wall,
					 .due_wall = row->due.wall,
					 .deadline_wall = row->deadline.wall,
					 .has_error = row->error_code.size > 0,
					 .error_signal = row->error_signal,
					 .error_code = row->error_code,
					 .error_message = row->error_message,
					 .args = text_or_none(row->args),
					 .meta = text_or_none(row->meta),
					 .body = text_or_none(row->body),
					 .tags = row->tags,
					 .key = row->key,
					 .limit_key = row->limit_key };
}

bool tags_have(struct span tags, struct span tag)
{
	const char *at = tags.data, *end = at + tags.size;

	for (; at < end && (size_t)(end - at) >= tag.size + 2; at++) {
		if (*at == '\n' && at[tag.size + 1] == '\n' && memcmp(at + 1, tag.data, tag.size) == 0)
			return true;
	}
	return false;
}
