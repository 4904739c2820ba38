#include "job_row.h"
#include "clock.h"
#include "engine_durable.h"
#include "engine_groups.h"
#include "engine_limits.h"
#include "log.h"
#include <errno.h>
#include <stdlib.h>

#define KNOWN_MAX 1024
#define STORED_MESSAGE_MAX 4095 /* so that the store copies it */

/* Texts of options that were read before. */
struct known_text {
	struct bytes *text;
	struct job_fields fields;
};
struct known_fields {
	struct map texts;          /* struct known_text by text */
	struct known_text *recent; /* of a job's profile, whose bytes it holds */
	struct bytes *recent_text;
};

static struct span text_of(const struct bytes *b)
{
	return b ? (struct span){ b->data, b->size } : (struct span){ 0 };
}

static int64_t wall_of(const struct broker *b, int64_t at)
{
	return at == 0 ? 0 : at == TIME_NEVER ? TIME_NEVER : time_add(at, b->wall_offset);
}

static struct store_due due_of(const struct broker *b, int64_t at)
{
	return (struct store_due){ .boot = at, .wall = wall_of(b, at), .same_boot = true };
}

/* ---- out ---- */

/* What only the first save writes. */
static void fill_once(struct broker *b, const struct job *job, struct store_job *row)
{
	const struct job_profile *p = job->profile;
	const struct job_extra *x = job->extra;

	row->type = span_of(type_at(b->types, p->type)->name);
	row->queue = span_of(job_queue_name(job));
	row->priority = p->priority;
	row->durability = p->durability;
	row->options = text_of(p->options);
	row->args = text_of(job->args);
	row->limit_key = span_of(job_limit_key(job));
	row->tags = text_of(job_options(b, job)->tags);
	/* A member of what is kept already is a map's: only its turn has come. */
	row->follows = job_options(b, job)->calls_webhook || (x && x->group && x->group->stored);
	if (!x)
		return;
	row->key = text_of(x->key);
	memcpy(row->payload, x->payload, sizeof(row->payload));
	row->unique_key = text_of(x->unique_key);
	row->group = x->group ? x->group->sequence : x->lost_group;
	row->member = x->member;
}

static void fill_end(const struct broker *b, const struct job *job, struct store_job *row)
{
	const struct job_profile *p = job->profile;
	bool failed = job->state == JOB_FAILED || job->state == JOB_EXPIRED;
	int64_t ttl = failed ? p->failed_ttl : p->result_ttl;

	row->finished_wall = wall_of(b, job->finished_at);
	row->expires_wall = wall_of(b, time_add(job->finished_at, ttl));
	row->meta = text_of(job->meta);
	row->body = text_of(job->body);
}

static struct span cut(const char *message)
{
	return (struct span){ message, strnlen(message, STORED_MESSAGE_MAX) };
}

void job_row_fill(struct broker *b, const struct job *job, struct store_job *ret_row)
{
	struct store_job *row = ret_row;

	*row = (struct store_job){ .id = job->id,
				   .sequence = job->sequence,
				   .state = job->state,
				   .cancelling = job->cancelling,
				   .attempts = job->attempts,
				   .failures = job->failures,
				   .crashes = job->crashes,
				   .token = job->token,
				   .slot = job->slot,
				   .elapsed_us = job->elapsed_us,
				   .accepted_wall = uuid7_ms(&job->id) * NSEC_PER_MSEC,
				   .started_wall = wall_of(b, job->started_at) };
	if (job->state == JOB_RUNNING)
		row->incarnation = engine_worker_incarnation(b->engine, job->slot, NULL);
	row->due = due_of(b, engine_due(b->engine, job));
	if (job->extra)
		row->deadline = due_of(b, job->extra->deadline);
	if (job->error) {
		row->error_signal = job->error->signal;
		row->error_code = span_of(job->error->code);
		row->error_message = cut(job->error->message);
	}
	if (job_state_is_final(job->state))
		fill_end(b, job, row);
	if (!job->stored)
		fill_once(b, job, row);
}

void job_row_note(const struct broker *b, const struct job *job, const struct job_note *note,
		  struct store_attempt *ret_row)
{
	*ret_row = (struct store_attempt){ .sequence = job->sequence,
					   .attempt = note->attempt,
					   .slot = note->slot,
					   .started_wall = wall_of(b, note->started_at),
					   .ended_wall = wall_of(b, note->ended_at),
					   .outcome = note->outcome };
	ret_row->log = text_of(note->log);
	if (note->error) {
		ret_row->error_signal = note->error->signal;
		ret_row->error_code = span_of(note->error->code);
		ret_row->error_message = cut(note->error->message);
	}
}

/* ---- back ---- */

/* The engine's time for an instant of the wall clock, 0 for none. Below 0: before the boot. */
static int64_t time_of(const struct broker *b, int64_t wall)
{
	int64_t at = wall == TIME_NEVER ? TIME_NEVER : wall - b->wall_offset;

	return wall == 0 ? 0 : at ? at : 1;
}

static int64_t time_of_due(const struct broker *b, const struct store_due *due)
{
	if (due->boot == 0 && due->wall == 0)
		return 0;
	return MAX(due->same_boot ? due->boot : time_of(b, due->wall), 1);
}

/* The same; an instant that the client named follows the wall clock, within this boot too. */
static int64_t time_of_instant(const struct broker *b, const struct store_due *due, int64_t wall)
{
	int64_t at = time_of_due(b, due);

	return at != 0 && wall != 0 ? MAX(time_of(b, wall), 1) : at;
}

/* When it may go on: a retry waits by the boot clock, as the backoff says. */
static int64_t due_of_row(struct broker *b, const struct store_job *row)
{
	const struct job_fields *f = options_fields(b, row->options);

	return time_of_instant(b, &row->due, row->state == JOB_RETRYING ? 0 : f->run_at_wall);
}

static struct job_error *error_of(const struct store_job *row)
{
	struct job_error *error;

	if (row->error_code.size == 0 && row->error_message.size == 0)
		return NULL;
	error = calloc(1, sizeof(*error) + row->error_message.size + 1);
	if (!error)
		return NULL;
	error->signal = row->error_signal;
	memcpy(error->code, row->error_code.data, MIN(row->error_code.size, sizeof(error->code) - 1));
	if (row->error_message.size > 0)
		memcpy(error->message, row->error_message.data, row->error_message.size);
	return error;
}

static struct bytes *bytes_of(struct span text)
{
	return text.size ? bytes_new(text.data, text.size) : NULL;
}

static void fill_submission(struct broker *b, const struct store_job *row,
			    const struct job_type *type, struct submission *s)
{
	const struct job_fields *f = options_fields(b, row->options);

	*s = (struct submission){ .type = type->index,
				  .job_class = type->job_class,
				  .durability = row->durability,
				  .queue = row->queue,
				  .options = row->options,
				  .priority = row->priority,
				  .detached = true,
				  .at_most_once = f->at_most_once,
				  .timeout_ms = f->timeout_ms,
				  .retries = f->retries,
				  .result_ttl = f->result_ttl,
				  .failed_ttl = f->failed_ttl,
				  .deadline = time_of_instant(b, &row->deadline, f->deadline_wall),
				  .deadline_wall = f->deadline_wall != 0,
				  .due_wall = f->run_at_wall != 0,
				  .limit_key = row->limit_key,
				  .unique_key = row->unique_key,
				  .key = row->key,
				  .due = row->state == JOB_BLOCKED ? due_of_row(b, row) : 0,
				  .group = row->group ? engine_group_at(b->engine, row->group) : NULL,
				  .lost_group = row->group,
				  .member = row->member,
				  .exempt = true };
	memcpy(s->payload, row->payload, sizeof(s->payload));
	if (f->at_most_once)
		s->retries.max = 0;
}

int job_row_restore(struct broker *b, const struct store_job *row, struct job **ret_job)
{
	const struct job_type *type = type_find(b->types, row->type);
	bool away = row->args.size > (size_t)b->conf->store_inline_bytes;
	struct submission s;

	if (!type)
		return -EUNATCH;
	fill_submission(b, row, type, &s);
	struct restored_job r = { .id = row->id,
				  .sequence = row->sequence,
				  .state = row->state,
				  .cancelling = row->cancelling,
				  .attempts = row->attempts,
				  .failures = row->failures,
				  .crashes = row->crashes,
				  .token = row->token,
				  .incarnation = row->incarnation,
				  .slot = row->slot,
				  .due = due_of_row(b, row),
				  .accepted_at = time_of(b, row->accepted_wall),
				  .started_at = time_of(b, row->started_wall),
				  .finished_at = time_of(b, row->finished_wall),
				  .elapsed_us = row->elapsed_us,
				  .error = error_of(row),
				  .meta = bytes_of(row->meta),
				  .body = bytes_of(row->body),
				  .args_away = away };
	int error = 0;

	if (!away)
		s.args = bytes_of(row->args);
	if ((row->meta.size && !r.meta) || (row->body.size && !r.body) ||
	    (!away && row->args.size && !s.args))
		error = -ENOMEM;
	if (error == 0)
		error = engine_restore(b->engine, &s, &r, ret_job);
	bytes_unref(s.args);
	if (error < 0) {
		free(r.error);
		bytes_unref(r.meta);
		bytes_unref(r.body);
	}
	return error;
}

/* ---- options ---- */

static bool text_matches(const void *item, const void *key)
{
	const struct known_text *t = item;

	return span_equal(text_of(t->text), *(const struct span *)key);
}

static void known_free(struct known_text *t)
{
	bytes_unref(t->text);
	fields_done(&t->fields);
	free(t);
}

static void forget_all(struct known_fields *k)
{
	struct known_text *t;

	while ((t = map_take_any(&k->texts)))
		known_free(t);
	bytes_unref(GA_TAKE_PTR(k->recent_text));
	k->recent = NULL;
}

/* What an older or newer gatherd took as a field, and this one doesn't, is as if it had not been asked for. */
static void read_text(struct span text, struct job_fields *ret_fields)
{
	struct refusal r = { 0 };
	json_t *object = NULL;
	int error = json_read_object(text, "options", &object, &r);

	if (error == 0)
		error = fields_read(object, false, ret_fields, &r);
	json_decref(object);
	if (error == 0)
		return;
	log_warning("a stored job's options can't be read (%s): it goes by the defaults", r.message);
	fields_defaults(ret_fields);
}

static struct known_text *known(struct broker *b, struct span text)
{
	struct known_fields *k = b->known_fields;
	struct known_text *t;

	if (!k) {
		k = b->known_fields = calloc(1, sizeof(*k));
		if (!k)
			abort();
		map_init(&k->texts, text_matches);
	}
	t = map_get(&k->texts, hash_bytes(text.data, text.size), &text);
	if (t)
		return t;
	if (k->texts.used >= KNOWN_MAX)
		forget_all(k);
	t = calloc(1, sizeof(*t));
	if (!t || !(t->text = bytes_new(text.data, text.size)) ||
	    map_put(&k->texts, hash_bytes(text.data, text.size), t) < 0)
		abort();
	read_text(text, &t->fields);
	return t;
}

static const struct job_fields *no_fields(void)
{
	static struct job_fields defaults;

	if (defaults.timeout_ms == 0)
		fields_defaults(&defaults);
	return &defaults;
}

const struct job_fields *options_fields(struct broker *b, struct span text)
{
	return text.size ? &known(b, text)->fields : no_fields();
}

/* Jobs that were submitted alike share the text itself: mostly it is the one before. */
const struct job_fields *job_options(struct broker *b, const struct job *job)
{
	struct bytes *text = job->profile->options;
	struct known_text *t;

	if (!text)
		return no_fields();
	if (b->known_fields && b->known_fields->recent_text == text)
		return &b->known_fields->recent->fields;
	t = known(b, text_of(text));
	bytes_unref(b->known_fields->recent_text);
	b->known_fields->recent_text = bytes_ref(text);
	b->known_fields->recent = t;
	return &t->fields;
}

void options_forget(struct broker *b)
{
	if (!b->known_fields)
		return;
	forget_all(b->known_fields);
	map_done(&b->known_fields->texts);
	free(GA_TAKE_PTR(b->known_fields));
}
