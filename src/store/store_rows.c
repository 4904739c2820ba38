/* What a read gathers, and which rows a list wants. */
#include "store_parts.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	FIRST_ROWS = 4,
	ID_SEQUENCE_BITS = 40,
	ID_RANDOM_BITS = 22,
};

/* Room for one more row behind an array. */
static void *rows_grow(void *rows, size_t count, size_t *room, size_t row_size)
{
	if (count == *room) {
		size_t more = *room ? *room * 2 : FIRST_ROWS;
		void *grown = realloc(rows, more * row_size);

		if (!grown)
			return NULL;
		*room = more;
		return grown;
	}
	return rows;
}

static int copy_texts(struct arena *a, struct span *const texts[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = arena_copy(a, *texts[i], texts[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The rows are const to who reads them alone. */
static struct store_job *own_jobs(const struct store_read *read)
{
	return (struct store_job *)(uintptr_t)read->rows.jobs;
}

static struct store_attempt *own_attempts(const struct store_read *read)
{
	return (struct store_attempt *)(uintptr_t)read->rows.attempts;
}

static struct store_group *own_groups(const struct store_read *read)
{
	return (struct store_group *)(uintptr_t)read->rows.groups;
}

int rows_add_job(struct store_read *read, const struct store_job *job, bool whole)
{
	struct store_job *jobs =
		rows_grow(own_jobs(read), read->rows.job_count, &read->job_room, sizeof(*jobs));
	struct store_job *row;

	if (!jobs)
		return -ENOMEM;
	read->rows.jobs = jobs;
	row = &jobs[read->rows.job_count];
	*row = *job;
	if (!whole)
		row->options = row->args = row->meta = row->body = (struct span){ 0 };

	struct span *texts[] = { &row->type,       &row->queue,         &row->options,   &row->args,
				 &row->key,        &row->unique_key,    &row->limit_key, &row->tags,
				 &row->error_code, &row->error_message, &row->meta,      &row->body };

	if (copy_texts(&read->arena, texts, ARRAY_SIZE(texts)) < 0)
		return -ENOMEM;
	read->rows.job_count++;
	return 0;
}

int rows_add_attempt(struct store_read *read, const struct store_attempt *attempt)
{
	struct store_attempt *attempts = rows_grow(own_attempts(read), read->rows.attempt_count,
						   &read->attempt_room, sizeof(*attempts));
	struct store_attempt *row;

	if (!attempts)
		return -ENOMEM;
	read->rows.attempts = attempts;
	row = &attempts[read->rows.attempt_count];
	*row = *attempt;

	struct span *texts[] = { &row->error_code, &row->error_message, &row->log };

	if (copy_texts(&read->arena, texts, ARRAY_SIZE(texts)) < 0)
		return -ENOMEM;
	read->rows.attempt_count++;
	return 0;
}

int rows_add_group(struct store_read *read, const struct store_group *group)
{
	struct store_group *groups = rows_grow(own_groups(read), read->rows.group_count,
					       &read->group_room, sizeof(*groups));
	struct store_group *row;

	if (!groups)
		return -ENOMEM;
	read->rows.groups = groups;
	row = &groups[read->rows.group_count];
	*row = *group;

	struct span *texts[] = { &row->spec, &row->members, &row->progress, &row->error };

	if (copy_texts(&read->arena, texts, ARRAY_SIZE(texts)) < 0)
		return -ENOMEM;
	read->group_bytes += row->spec.size + row->members.size + row->progress.size + row->error.size;
	read->rows.group_count++;
	return 0;
}

void read_free(struct store_read *read)
{
	free(own_jobs(read));
	free(own_attempts(read));
	free(own_groups(read));
	arena_done(&read->arena);
	free(read);
}

static uint64_t big_endian(const uint8_t *bytes, int size)
{
	uint64_t value = 0;

	for (int i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

uint64_t id_ms(const struct uuid *id)
{
	return big_endian(id->b, 6);
}

uint64_t id_sequence(const struct uuid *id, uint64_t last)
{
	const uint64_t mask = (UINT64_C(1) << ID_SEQUENCE_BITS) - 1;
	uint64_t low = big_endian(id->b + 8, 8) >> ID_RANDOM_BITS & mask;
	uint64_t sequence = (last & ~mask) | low;

	if (sequence <= last)
		return sequence;
	return sequence > mask ? sequence - mask - 1 : 0;
}

/* Whether one of the texts between newlines is this one. */
static bool tags_have(struct span tags, struct span tag)
{
	const char *at = tags.data, *end = tags.data + tags.size;

	while (tags.size > 0 && (size_t)(end - at) >= tag.size + 2) {
		const char *next = memchr(at + 1, '\n', (size_t)(end - at) - 1);

		if (!next)
			return false;
		if (span_equal((struct span){ at + 1, (size_t)(next - at) - 1 }, tag))
			return true;
		at = next;
	}
	return false;
}

bool filter_takes(const struct store_filter *filter, const struct store_job *job)
{
	if (!job_state_is_final(job->state))
		return false;
	if (filter->states && !(filter->states >> job->state & 1))
		return false;
	if (filter->since_wall && job->accepted_wall < filter->since_wall)
		return false;
	if (filter->type.size && !span_equal(filter->type, job->type))
		return false;
	if (filter->queue.size && !span_equal(filter->queue, job->queue))
		return false;
	return !filter->tag.size || tags_have(job->tags, filter->tag);
}

bool filter_takes_group(const struct store_filter *filter, const struct store_group *group)
{
	return job_state_is_final(group->state) && group->parent == 0 &&
	       (!filter->states || filter->states >> group->state & 1);
}

bool groups_are_full(const struct store_read *read)
{
	return read->rows.group_count >= read->filter.limit || read->group_bytes >= GROUPS_BYTES;
}

bool filter_ends(const struct store_filter *filter, const struct uuid *id)
{
	return filter->since_wall > 0 && (int64_t)id_ms(id) < filter->since_wall / 1000000;
}
