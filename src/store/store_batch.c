/*
 * What a batch gathers. A change and all that it copies is one piece of the arena, so that a failed allocation leaves
 * the batch as it was.
 */
#include "store_parts.h"
#include <errno.h>
#include <stdlib.h>

enum { FIRST_REFUSALS = 8 };

struct store_batch *store_batch_new(struct store *s)
{
	struct store_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	list_init(&batch->work.place);
	batch->work.kind = WORK_BATCH;
	batch->store = s;
	batch->changes_end = &batch->changes;
	return batch;
}

void store_batch_free(struct store_batch *batch)
{
	if (!batch)
		return;
	arena_done(&batch->arena);
	free(batch->refusals);
	free(batch);
}

static size_t copied_size(const struct span *text)
{
	return text->size < COPIED_BELOW ? text->size : 0;
}

/* A change of its kind, with its texts copied behind it. The texts are pointed to in `texts`, and lie in `row`. */
static struct change *change_add(struct store_batch *batch, enum change_kind kind, const void *row,
				 size_t row_size, const struct span **texts, size_t text_count)
{
	size_t size = offsetof(struct change, job) + row_size, borrowed = 0;
	struct change *change;
	char *room;

	for (size_t i = 0; i < text_count; i++) {
		size += copied_size(texts[i]);
		borrowed += texts[i]->size - copied_size(texts[i]);
	}
	change = arena_take(&batch->arena, size);
	if (!change)
		return NULL;
	change->next = NULL;
	change->kind = kind;
	change->first = false;
	memcpy(&change->job, row, row_size);
	room = (char *)&change->job + row_size;
	for (size_t i = 0; i < text_count; i++) {
		size_t place = (size_t)((const char *)texts[i] - (const char *)row);
		struct span *text = (struct span *)(void *)((char *)&change->job + place);

		if (copied_size(text) == 0)
			continue;
		memcpy(room, text->data, text->size);
		text->data = room;
		room += text->size;
	}
	*batch->changes_end = change;
	batch->changes_end = &change->next;
	batch->bytes += (int64_t)(size + borrowed);
	return change;
}

int store_save_job(struct store_batch *batch, const struct store_job *job, bool first)
{
	const struct span *texts[] = { &job->type,       &job->queue,        &job->key,
				       &job->unique_key, &job->limit_key,    &job->tags,
				       &job->error_code, &job->error_message };
	struct change *change =
		change_add(batch, CHANGE_JOB, job, sizeof(*job), texts, ARRAY_SIZE(texts));

	if (!change)
		return -ENOMEM;
	change->first = first;
	batch->bytes += (int64_t)(job->options.size + job->args.size + job->meta.size + job->body.size);
	return 0;
}

int store_save_attempt(struct store_batch *batch, const struct store_attempt *attempt)
{
	const struct span *texts[] = { &attempt->error_code, &attempt->error_message, &attempt->log };

	return change_add(batch, CHANGE_ATTEMPT, attempt, sizeof(*attempt), texts, ARRAY_SIZE(texts))
		       ? 0
		       : -ENOMEM;
}

int store_save_group(struct store_batch *batch, const struct store_group *group, bool first)
{
	const struct span *texts[] = { &group->spec, &group->progress, &group->error };
	struct change *change =
		change_add(batch, CHANGE_GROUP, group, sizeof(*group), texts, ARRAY_SIZE(texts));

	if (!change)
		return -ENOMEM;
	change->first = first;
	batch->bytes += (int64_t)group->members.size;
	return 0;
}

int store_save_document(struct store_batch *batch, const struct store_document *document)
{
	const struct span *texts[] = { &document->kind, &document->name, &document->body };

	return change_add(batch, CHANGE_DOCUMENT, document, sizeof(*document), texts, ARRAY_SIZE(texts))
		       ? 0
		       : -ENOMEM;
}

int store_remove(struct store_batch *batch, uint64_t sequence)
{
	return change_add(batch, CHANGE_REMOVE, &sequence, sizeof(sequence), NULL, 0) ? 0 : -ENOMEM;
}

int batch_refuse(struct store_batch *batch, const struct store_refusal *refusal)
{
	if (batch->refusal_count == batch->refusal_room) {
		size_t room = batch->refusal_room ? batch->refusal_room * 2 : FIRST_REFUSALS;
		struct store_refusal *more = realloc(batch->refusals, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		batch->refusals = more;
		batch->refusal_room = room;
	}
	batch->refusals[batch->refusal_count++] = *refusal;
	return 0;
}
