/* What few jobs have: a deadline, keys, a history of attempts. */
#include "clock.h"
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

enum { NOTES_MAX = 32 };

static void note_free(struct job_note *note);
static int keys_enter(struct engine *e, struct job_extra *x, const struct submission *s);
static void keys_leave(struct engine *e, struct job_extra *x);
static uint64_t bytes_hash(const struct bytes *b);
static struct span span_of_bytes(const struct bytes *b);
static struct job *key_holder(struct engine *e, struct span key);

int key_find(struct engine *e, const struct submission *s, struct job **ret_job)
{
	struct job_extra *x;
	struct job *job;

	if (s->key.size > 0) {
		job = key_holder(e, s->key);
		if (job) {
			*ret_job = job;
			return memcmp(job->extra->payload, s->payload, sizeof(s->payload)) == 0
				       ? 1
				       : -ENOTUNIQ;
		}
	}
	if (s->unique_key.size == 0)
		return 0;
	x = map_get(&e->uniques, hash_bytes(s->unique_key.data, s->unique_key.size), &s->unique_key);
	if (!x)
		return 0;
	*ret_job = x->job;
	return 1;
}

int extra_new(struct engine *e, struct job *job, const struct submission *s)
{
	struct job_extra *x;
	int r;

	if (s->deadline == 0 && s->key.size == 0 && s->unique_key.size == 0 && !s->group &&
	    s->lost_group == 0)
		return 0;
	r = extra_ensure(job);
	if (r < 0)
		return r;
	x = job->extra;
	x->group = group_ref(s->group);
	x->lost_group = s->lost_group;
	x->member = s->member;
	x->blocked = s->blocked;
	x->starts_at = s->due;
	memcpy(x->payload, s->payload, sizeof(x->payload));
	r = keys_enter(e, x, s);
	if (r == 0 && s->deadline != 0) {
		x->deadline = s->deadline;
		r = heap_set(&e->deadlines, &x->deadline_due, s->deadline);
	}
	if (r < 0)
		extra_free(e, job);
	return r;
}

void extra_free(struct engine *e, struct job *job)
{
	struct job_extra *x = GA_TAKE_PTR(job->extra);

	if (!x)
		return;
	heap_remove(&e->deadlines, &x->deadline_due);
	group_unref(e, x->group);
	keys_leave(e, x);
	bytes_unref(x->key);
	bytes_unref(x->unique_key);
	while (x->notes) {
		struct job_note *note = x->notes;

		x->notes = note->next;
		note_free(note);
	}
	told_free(x->told);
	free(x);
}

/* What it has stays with it: it may be yet to be saved. */
void extra_leave(struct engine *e, struct job *job)
{
	if (!job->extra)
		return;
	heap_remove(&e->deadlines, &job->extra->deadline_due);
	keys_leave(e, job->extra);
}

void extra_settle(struct engine *e, struct job *job)
{
	struct job_extra *x = job->extra;

	if (!x)
		return;
	heap_remove(&e->deadlines, &x->deadline_due);
	if (x->unique_key) {
		struct span key = span_of_bytes(x->unique_key);

		if (map_get(&e->uniques, bytes_hash(x->unique_key), &key) == x)
			map_take(&e->uniques, bytes_hash(x->unique_key), &key);
	}
}

int extra_revive(struct engine *e, struct job *job)
{
	struct job_extra *x = job->extra;
	struct span key;

	if (!x)
		return 0;
	if (x->unique_key) {
		key = span_of_bytes(x->unique_key);
		if (map_get(&e->uniques, bytes_hash(x->unique_key), &key))
			return -EEXIST;
		if (map_put(&e->uniques, bytes_hash(x->unique_key), x) < 0)
			return -ENOMEM;
	}
	x->deadline = 0; /* it has passed, or belonged to the first life */
	return 0;
}

static void note_free(struct job_note *note)
{
	free(note->error);
	bytes_unref(note->log);
	free(note);
}

void note_add(struct engine *e, struct job *job, enum job_outcome outcome)
{
	struct job_note *note, **last;

	if (extra_ensure(job) < 0)
		return;
	note = calloc(1, sizeof(*note));
	if (!note)
		return; /* the history has a gap */
	note->attempt = job->attempts;
	note->slot = job->slot;
	note->outcome = outcome;
	note->started_at = job->started_at;
	note->ended_at = e->now;
	if (outcome != OUTCOME_SUCCEEDED && job->error)
		note->error = error_new(job->error->signal, span_of(job->error->code),
					span_of(job->error->message));
	if (job_is_durable(job))
		note->log = told_log(job);
	note->next = job->extra->notes;
	job->extra->notes = note;
	if (++job->extra->note_count <= NOTES_MAX)
		return;
	last = &job->extra->notes;
	while ((*last)->next)
		last = &(*last)->next;
	note_free(*last);
	*last = NULL;
	job->extra->note_count--;
}

void notes_trim(struct job *job)
{
	struct job_note **at = job->extra ? &job->extra->notes : NULL;

	while (at && *at) {
		struct job_note *note = *at;

		if (!note->saved) {
			at = &note->next;
			continue;
		}
		*at = note->next;
		job->extra->note_count--;
		note_free(note);
	}
}

bool key_matches(const void *item, const void *key)
{
	const struct job_extra *x = item;

	return span_equal(span_of_bytes(x->key), *(const struct span *)key);
}

bool unique_matches(const void *item, const void *key)
{
	const struct job_extra *x = item;

	return span_equal(span_of_bytes(x->unique_key), *(const struct span *)key);
}

int extra_ensure(struct job *job)
{
	if (job->extra)
		return 0;
	job->extra = calloc(1, sizeof(*job->extra));
	if (!job->extra)
		return -ENOMEM;
	job->extra->job = job;
	list_init(&job->extra->siblings);
	return 0;
}

/* Where jobs come back from a store, it may have had an earlier holder, whose time is over, or have a later one. */
static int key_take_over(struct engine *e, struct job_extra *x)
{
	const struct span key = span_of_bytes(x->key);
	const struct job_extra *other = map_get(&e->keys, bytes_hash(x->key), &key);

	if (other && other->job->sequence > x->job->sequence)
		return 0;
	if (other)
		map_take(&e->keys, bytes_hash(x->key), &key);
	return map_put(&e->keys, bytes_hash(x->key), x);
}

/* A finished job that comes back leaves its unique key to one that hasn't finished. */
static int keys_enter(struct engine *e, struct job_extra *x, const struct submission *s)
{
	int r = 0;

	if (s->key.size > 0) {
		x->key = bytes_new(s->key.data, s->key.size);
		if (!x->key)
			return -ENOMEM;
		r = key_take_over(e, x);
	}
	if (r == 0 && s->unique_key.size > 0) {
		x->unique_key = bytes_new(s->unique_key.data, s->unique_key.size);
		if (!x->unique_key)
			return -ENOMEM;
		if (!map_get(&e->uniques, bytes_hash(x->unique_key), &s->unique_key))
			r = map_put(&e->uniques, bytes_hash(x->unique_key), x);
	}
	return r;
}

static void keys_leave(struct engine *e, struct job_extra *x)
{
	struct span key = span_of_bytes(x->key);

	if (x->key && map_get(&e->keys, bytes_hash(x->key), &key) == x)
		map_take(&e->keys, bytes_hash(x->key), &key);
	key = span_of_bytes(x->unique_key);
	if (x->unique_key && map_get(&e->uniques, bytes_hash(x->unique_key), &key) == x)
		map_take(&e->uniques, bytes_hash(x->unique_key), &key);
}

/* A key is forgotten key_ttl after its job's acceptance, though the job may still be here. */
static struct job *key_holder(struct engine *e, struct span key)
{
	struct job_extra *x = map_get(&e->keys, hash_bytes(key.data, key.size), &key);

	if (!x)
		return NULL;
	if (time_add(x->job->accepted_at, e->options.key_ttl) > e->now)
		return x->job;
	map_take(&e->keys, hash_bytes(key.data, key.size), &key);
	return NULL;
}

static uint64_t bytes_hash(const struct bytes *b)
{
	return hash_bytes(b->data, b->size);
}

static struct span span_of_bytes(const struct bytes *b)
{
	return b ? (struct span){ b->data, b->size } : (struct span){ 0 };
}
