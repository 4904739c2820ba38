/*
 * The store in memory: what it keeps ends with it. Rows stand in arrays in order of their sequence, found by halving;
 * all is small and simple here, as it is the measure for the others.
 */
#include "store_memory.h"
#include "clock.h"
#include "store_backend.h"
#include <errno.h>
#include <stdlib.h>

#define UPKEEP_EVERY (50 * NSEC_PER_MSEC)
enum { UPKEEP_ROWS = 256, FIRST_ROOM = 64 };

static int memory_open(const struct store_options *options, void **ret_state, char *ret_why,
		       size_t why_size)
{
	struct memory *m = calloc(1, sizeof(*m));

	(void)ret_why;
	(void)why_size;
	if (!m)
		return -ENOMEM;
	m->key_ttl = options->key_ttl;
	m->max_bytes = options->max_bytes;
	*ret_state = m;
	return 0;
}

static void row_free(struct memory_row *row)
{
	arena_done(&row->once);
	arena_done(&row->now);
	arena_done(&row->attempt_texts);
	free(row->attempts);
	free(row);
}

static void document_free(struct memory_document *document)
{
	arena_done(&document->arena);
	free(document);
}

static void key_free(struct memory_key *key)
{
	arena_done(&key->arena);
	free(key);
}

static void memory_close(void *state)
{
	struct memory *m = state;

	if (!m)
		return;
	for (size_t i = 0; i < m->row_count; i++)
		row_free(m->rows[i]);
	for (size_t i = 0; i < m->document_count; i++)
		document_free(m->documents[i]);
	for (size_t i = 0; i < m->key_count; i++)
		key_free(m->keys[i]);
	free(m->rows);
	free(m->documents);
	free(m->keys);
	free(m);
}

/* ---- arrays of pointers ---- */

static int array_insert(void *array, size_t *count, size_t *room, size_t at, void *item)
{
	void ***items = array;

	if (*count == *room) {
		size_t more = *room ? *room * 2 : FIRST_ROOM;
		void **grown = realloc(*items, more * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*items = grown;
		*room = more;
	}
	memmove(*items + at + 1, *items + at, (*count - at) * sizeof(**items));
	(*items)[at] = item;
	(*count)++;
	return 0;
}

static void array_remove(void *array, size_t *count, size_t at)
{
	void ***items = array;

	(*count)--;
	memmove(*items + at, *items + at + 1, (*count - at) * sizeof(**items));
}

size_t memory_place(const struct memory *m, uint64_t sequence)
{
	size_t low = 0, high = m->row_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->rows[middle]->sequence < sequence)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct memory_row *memory_find(const struct memory *m, uint64_t sequence)
{
	size_t at = memory_place(m, sequence);

	return at < m->row_count && m->rows[at]->sequence == sequence ? m->rows[at] : NULL;
}

/* ---- changes ---- */

static int64_t row_bytes(const struct memory_row *row)
{
	const struct store_job *job = &row->job;

	if (row->is_group)
		return (int64_t)(sizeof(*row) + row->group.spec.size + row->group.members.size);
	return (int64_t)(sizeof(*row) + job->options.size + job->args.size + job->meta.size +
			 job->body.size);
}

/* What the counts say of a row: before it changes, and after. */
static void row_count(struct memory *m, const struct memory_row *row, bool add)
{
	m->facts.bytes += add ? row_bytes(row) : -row_bytes(row);
	if (!row->is_group && job_state_is_final(row->job.state))
		m->facts.finished[row->job.state] += add ? 1 : UINT64_MAX;
}

static int copy_all(struct arena *arena, struct span *const texts[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = arena_copy(arena, *texts[i], texts[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int job_copy_once(struct memory_row *row)
{
	struct store_job *job = &row->job;
	struct span *texts[] = { &job->type, &job->queue,      &job->options,   &job->args,
				 &job->key,  &job->unique_key, &job->limit_key, &job->tags };

	return copy_all(&row->once, texts, ARRAY_SIZE(texts));
}

static void job_merge(struct store_job *job, const struct store_job *from)
{
	struct store_job once = *job;

	*job = *from;
	job->id = once.id;
	job->sequence = once.sequence;
	job->type = once.type;
	job->queue = once.queue;
	job->priority = once.priority;
	job->durability = once.durability;
	job->options = once.options;
	job->args = once.args;
	job->key = once.key;
	memcpy(job->payload, once.payload, sizeof(job->payload));
	job->unique_key = once.unique_key;
	job->limit_key = once.limit_key;
	job->tags = once.tags;
	job->group = once.group;
	job->member = once.member;
}

static int job_copy_now(struct memory_row *row)
{
	struct store_job *job = &row->job;
	struct span *texts[] = { &job->error_code, &job->error_message, &job->meta, &job->body };
	struct arena now = { 0 };
	int r = copy_all(&now, texts, ARRAY_SIZE(texts));

	arena_done(&row->now);
	row->now = now;
	return r;
}

static struct memory_key *key_find(struct memory *m, struct span key, size_t *ret_at)
{
	for (size_t i = 0; i < m->key_count; i++) {
		if (span_equal(m->keys[i]->key, key)) {
			*ret_at = i;
			return m->keys[i];
		}
	}
	return NULL;
}

/* 1: the key is another's. */
static int key_take(struct memory *m, struct store_batch *batch, const struct store_job *job)
{
	size_t at = 0;
	struct memory_key *key = key_find(m, job->key, &at);

	if (key && key->expires_wall > clock_wall()) {
		struct store_refusal refusal = key->holder;
		int r;

		refusal.sequence = job->sequence;
		refusal.same_payload = memcmp(key->payload, job->payload, sizeof(key->payload)) == 0;
		r = batch_refuse(batch, &refusal);
		return r < 0 ? r : 1;
	}
	if (key) {
		key_free(key);
		array_remove(&m->keys, &m->key_count, at);
	}
	key = calloc(1, sizeof(*key));
	if (!key)
		return -ENOMEM;
	key->holder = (struct store_refusal){ .why = STORE_KEY_TAKEN, .existing = job->id };
	memcpy(key->payload, job->payload, sizeof(key->payload));
	key->expires_wall = time_add(job->accepted_wall, m->key_ttl);
	if (arena_copy(&key->arena, job->key, &key->key) < 0 ||
	    array_insert(&m->keys, &m->key_count, &m->key_room, m->key_count, key) < 0) {
		key_free(key);
		return -ENOMEM;
	}
	return 0;
}

static void wall_note(struct memory *m, int64_t wall)
{
	m->facts.last_wall = MAX(m->facts.last_wall, wall);
}

static int row_insert(struct memory *m, struct memory_row *row)
{
	int r = array_insert(&m->rows, &m->row_count, &m->row_room, memory_place(m, row->sequence),
			     row);

	if (r < 0)
		return r;
	m->facts.last_sequence = MAX(m->facts.last_sequence, row->sequence);
	row_count(m, row, true);
	return 0;
}

static int gone(struct store_batch *batch, uint64_t sequence)
{
	return batch_refuse(batch, &(struct store_refusal){ .sequence = sequence, .why = STORE_GONE });
}

static void job_normalise(struct store_job *job)
{
	if (!job_state_is_final(job->state))
		job->expires_wall = 0;
	else if (job->expires_wall <= 0)
		job->expires_wall = INT64_MAX;
	job->due.same_boot = job->due.boot != 0;
	job->deadline.same_boot = job->deadline.boot != 0;
}

static int job_insert(struct memory *m, struct store_batch *batch, const struct store_job *job)
{
	struct memory_row *row;
	int r;

	if (memory_find(m, job->sequence))
		return -EEXIST;
	r = job->key.size ? key_take(m, batch, job) : 0;
	if (r != 0)
		return MIN(r, 0);
	row = calloc(1, sizeof(*row));
	if (!row)
		return -ENOMEM;
	row->sequence = job->sequence;
	row->job = *job;
	job_normalise(&row->job);
	if (job_copy_once(row) < 0 || job_copy_now(row) < 0 || row_insert(m, row) < 0) {
		row_free(row);
		return -ENOMEM;
	}
	return 0;
}

static int apply_job(struct memory *m, struct store_batch *batch, const struct change *change)
{
	const struct store_job *job = &change->job;
	struct memory_row *row;
	int r;

	wall_note(m, job->accepted_wall);
	wall_note(m, job->started_wall);
	wall_note(m, job->finished_wall);
	if (change->first)
		return job_insert(m, batch, job);
	row = memory_find(m, job->sequence);
	if (!row || row->is_group)
		return gone(batch, job->sequence);
	row_count(m, row, false);
	job_merge(&row->job, job);
	job_normalise(&row->job);
	r = job_copy_now(row);
	row_count(m, row, true);
	return r;
}

static int apply_attempt(struct memory *m, struct store_batch *batch, const struct change *change)
{
	struct memory_row *row = memory_find(m, change->attempt.sequence);
	struct store_attempt *attempts;
	size_t at = 0;

	(void)batch;
	if (!row || row->is_group)
		return 0;
	while (at < row->attempt_count && row->attempts[at].attempt < change->attempt.attempt)
		at++;
	if (at == row->attempt_count || row->attempts[at].attempt != change->attempt.attempt) {
		attempts = realloc(row->attempts, (row->attempt_count + 1) * sizeof(*attempts));
		if (!attempts)
			return -ENOMEM;
		row->attempts = attempts;
		memmove(attempts + at + 1, attempts + at,
			(row->attempt_count - at) * sizeof(*attempts));
		row->attempt_count++;
	}
	row->attempts[at] = change->attempt;

	struct span *texts[] = { &row->attempts[at].error_code, &row->attempts[at].error_message,
				 &row->attempts[at].log };

	return copy_all(&row->attempt_texts, texts, ARRAY_SIZE(texts));
}

static int apply_group(struct memory *m, struct store_batch *batch, const struct change *change)
{
	struct memory_row *row = memory_find(m, change->group.sequence);
	struct store_group *group;
	struct arena now = { 0 };

	wall_note(m, MAX(change->group.accepted_wall, change->group.finished_wall));
	if (change->first ? row != NULL : row && !row->is_group)
		return -EEXIST;
	if (!change->first && !row)
		return gone(batch, change->group.sequence);
	if (change->first) {
		row = calloc(1, sizeof(*row));
		if (!row)
			return -ENOMEM;
		row->sequence = change->group.sequence;
		row->is_group = true;
		row->group = change->group;
		if (arena_copy(&row->once, row->group.spec, &row->group.spec) < 0 ||
		    row_insert(m, row) < 0) {
			row_free(row);
			return -ENOMEM;
		}
	}
	row_count(m, row, false);
	group = &row->group;
	group->members = change->group.members;
	group->progress = change->group.progress;
	group->error = change->group.error;
	group->state = change->group.state;
	group->finished_wall = change->group.finished_wall;
	group->expires_wall = change->group.expires_wall;

	struct span *texts[] = { &group->members, &group->progress, &group->error };
	int r = copy_all(&now, texts, ARRAY_SIZE(texts));

	arena_done(&row->now);
	row->now = now;
	row_count(m, row, true);
	return r;
}

static int document_order(const struct store_document *a, const struct store_document *b)
{
	int order = memcmp(a->kind.data, b->kind.data, MIN(a->kind.size, b->kind.size));

	if (order == 0 && a->kind.size != b->kind.size)
		return a->kind.size < b->kind.size ? -1 : 1;
	if (order == 0)
		order = memcmp(a->name.data, b->name.data, MIN(a->name.size, b->name.size));
	if (order == 0 && a->name.size != b->name.size)
		return a->name.size < b->name.size ? -1 : 1;
	return order;
}

static int apply_document(struct memory *m, struct store_batch *batch, const struct change *change)
{
	struct memory_document *document;
	size_t at = 0;
	int order = 1;

	(void)batch;
	while (at < m->document_count &&
	       (order = document_order(&m->documents[at]->document, &change->document)) < 0)
		at++;
	if (at < m->document_count && order == 0) {
		document_free(m->documents[at]);
		array_remove(&m->documents, &m->document_count, at);
	}
	if (change->document.body.size == 0)
		return 0;
	document = calloc(1, sizeof(*document));
	if (!document)
		return -ENOMEM;
	document->document = change->document;

	struct span *texts[] = { &document->document.kind, &document->document.name,
				 &document->document.body };

	if (copy_all(&document->arena, texts, ARRAY_SIZE(texts)) < 0 ||
	    array_insert(&m->documents, &m->document_count, &m->document_room, at, document) < 0) {
		document_free(document);
		return -ENOMEM;
	}
	return 0;
}

static void row_remove(struct memory *m, size_t at)
{
	struct memory_row *row = m->rows[at];

	row_count(m, row, false);
	array_remove(&m->rows, &m->row_count, at);
	row_free(row);
}

static int apply_remove(struct memory *m, struct store_batch *batch, const struct change *change)
{
	(void)batch;
	if (memory_find(m, change->sequence))
		row_remove(m, memory_place(m, change->sequence));
	return 0;
}

static int memory_apply(void *state, struct list *batches, bool sync)
{
	static int (*const apply[CHANGE_KINDS])(struct memory *, struct store_batch *,
						const struct change *) = {
		[CHANGE_JOB] = apply_job,       [CHANGE_ATTEMPT] = apply_attempt,
		[CHANGE_GROUP] = apply_group,   [CHANGE_DOCUMENT] = apply_document,
		[CHANGE_REMOVE] = apply_remove,
	};

	(void)sync;
	LIST_FOREACH(place, batches) {
		struct store_batch *batch = LIST_ENTRY(place, struct store_batch, work.place);

		for (const struct change *c = batch->changes; c; c = c->next) {
			int r = apply[c->kind](state, batch, c);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int memory_sync(void *state)
{
	(void)state;
	return 0;
}

/* Those that came first, as far as their time is over. */
static void keys_expire(struct memory *m, int64_t now_wall)
{
	size_t due = 0;

	while (due < m->key_count && m->keys[due]->expires_wall <= now_wall)
		key_free(m->keys[due++]);
	m->key_count -= due;
	if (due > 0)
		memmove(m->keys, m->keys + due, m->key_count * sizeof(m->keys[0]));
}

static int memory_upkeep(void *state, int64_t now_wall, int64_t *ret_again)
{
	struct memory *m = state;

	*ret_again = UPKEEP_EVERY;
	keys_expire(m, now_wall);
	for (unsigned i = 0; i < UPKEEP_ROWS && m->cursor < m->row_count; i++) {
		const struct memory_row *row = m->rows[m->cursor];
		int64_t expires = row->is_group ? row->group.expires_wall : row->job.expires_wall;
		bool early = expires > now_wall && m->max_bytes && !row->is_group &&
			     m->facts.bytes > m->max_bytes;

		if (expires == 0 || (expires > now_wall && !early)) {
			m->cursor++;
			continue;
		}
		m->facts.removed_early += early;
		row_remove(m, m->cursor);
	}
	if (m->cursor < m->row_count)
		*ret_again = 0;
	else
		m->cursor = 0;
	return 0;
}

static void memory_facts(const void *state, struct store_facts *ret_facts)
{
	*ret_facts = ((const struct memory *)state)->facts;
}

static const char *memory_why(const void *state)
{
	(void)state;
	return "no memory";
}

const struct store_backend store_memory = {
	.kind = "memory",
	.open = memory_open,
	.close = memory_close,
	.load = memory_load,
	.apply = memory_apply,
	.sync = memory_sync,
	.read = memory_read,
	.read_drop = memory_read_drop,
	.upkeep = memory_upkeep,
	.facts = memory_facts,
	.why = memory_why,
};
