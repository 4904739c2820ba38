#include "disk.h"
#include "clock.h"
#include <stdlib.h>

static struct save *log_add(struct disk *d);
static void sync_add(struct disk *d, uint64_t batch);
static struct row *row_at(struct disk *d, uint64_t sequence);
static void settle(struct disk *d, uint64_t batch);
static bool key_is_taken(const struct disk *d, const struct model_job *job);
static void key_take(struct disk *d, const struct model *m, const struct model_job *job);
static void refuse(struct disk *d, uint64_t sequence);

void disk_done(struct disk *d)
{
	free(d->rows);
	free(d->log);
	free(d->syncs);
}

void disk_save(struct disk *d, const struct model *m, const struct model_job *job,
	       const struct job *real)
{
	bool first = job->saved.state == 0;
	struct save *s = log_add(d);
	struct row *row = &s->row;

	*s = (struct save){ .batch = m->open, .first = first };
	d->last_sequence = MAX(d->last_sequence, job->sequence);
	row->used = true;
	row->judged = *job;
	row->judged.saved = job->is;
	row->job = (struct restored_job){
		.id = real->id,
		.sequence = real->sequence,
		.state = (enum job_state)real->state,
		.cancelling = real->cancelling,
		.attempts = real->attempts,
		.failures = real->failures,
		.crashes = real->crashes,
		.token = real->token,
		.slot = real->slot,
		.incarnation = m->workers[MIN(real->slot, (uint32_t)MODEL_WORKERS)].incarnation,
		.due = engine_due(m->e, real),
		.accepted_at = real->accepted_at + m->boot,
		.elapsed_us = real->elapsed_us,
	};
	if (row->job.due != 0)
		row->job.due += m->boot;
	if (real->extra && real->extra->deadline != 0)
		row->deadline = real->extra->deadline + m->boot;
	if (real->error)
		memcpy(row->error_code, real->error->code, sizeof(row->error_code));
	if (real->sync)
		sync_add(d, m->open);
}

size_t disk_decide(struct disk *d, const struct model *m, uint64_t batch, struct random *random,
		   unsigned full_percent, const uint64_t **ret_refused)
{
	static uint64_t refused[256];
	size_t count = 0;

	for (size_t i = 0; i < d->count && batch > d->decided; i++) {
		struct save *s = &d->log[i];
		const struct model_job *job = &s->row.judged;

		if (s->batch != batch || s->refused || !s->first)
			continue;
		if (count < ARRAY_SIZE(refused) &&
		    (key_is_taken(d, job) || random_below(random, 100) < full_percent)) {
			refused[count++] = job->sequence;
			refuse(d, job->sequence);
		} else {
			key_take(d, m, job);
		}
	}
	d->decided = MAX(d->decided, batch);
	*ret_refused = refused;
	return count;
}

void disk_told(struct disk *d, uint64_t batch)
{
	d->told = batch;
	for (size_t i = 0; i < d->sync_count; i++)
		if (d->syncs[i] <= batch)
			d->safe = MAX(d->safe, d->syncs[i]);
	settle(d, d->safe);
}

void disk_timer(struct disk *d)
{
	d->safe = d->told;
	settle(d, d->safe);
}

const struct row *disk_view(const struct disk *d, uint64_t sequence, uint64_t batch)
{
	for (size_t i = d->count; i-- > 0;)
		if (d->log[i].batch <= batch && d->log[i].row.job.sequence == sequence &&
		    !d->log[i].refused)
			return &d->log[i].row;
	return sequence < d->row_count && d->rows[sequence].used ? &d->rows[sequence] : NULL;
}

void disk_crash(struct disk *d, const struct model *m, uint64_t batch)
{
	settle(d, batch);
	d->count = d->sync_count = 0;
	d->decided = d->told = d->safe = 0;
	d->last_sequence = 0;
	memset(d->keys, 0, sizeof(d->keys));
	for (size_t i = 0; i < d->row_count; i++)
		if (d->rows[i].used) {
			key_take(d, m, &d->rows[i].judged);
			d->last_sequence = i;
		}
}

static struct save *log_add(struct disk *d)
{
	if (d->count == d->size) {
		d->size = d->size ? d->size * 2 : 64;
		d->log = reallocarray(d->log, d->size, sizeof(*d->log));
		if (!d->log)
			abort();
	}
	return &d->log[d->count++];
}

static void sync_add(struct disk *d, uint64_t batch)
{
	if (d->sync_count > 0 && d->syncs[d->sync_count - 1] == batch)
		return;
	if (d->sync_count == d->sync_size) {
		d->sync_size = d->sync_size ? d->sync_size * 2 : 64;
		d->syncs = reallocarray(d->syncs, d->sync_size, sizeof(*d->syncs));
		if (!d->syncs)
			abort();
	}
	d->syncs[d->sync_count++] = batch;
}

static struct row *row_at(struct disk *d, uint64_t sequence)
{
	size_t count = MAX(d->row_count * 2, (size_t)sequence + 256);

	if (sequence >= d->row_count) {
		d->rows = reallocarray(d->rows, count, sizeof(*d->rows));
		if (!d->rows)
			abort();
		memset(d->rows + d->row_count, 0, (count - d->row_count) * sizeof(*d->rows));
		d->row_count = count;
	}
	return &d->rows[sequence];
}

/* From the log into the rows. */
static void settle(struct disk *d, uint64_t batch)
{
	size_t kept = 0, syncs = 0;

	for (size_t i = 0; i < d->count; i++) {
		struct save *s = &d->log[i];

		if (s->batch > batch)
			d->log[kept++] = *s;
		else if (!s->refused)
			*row_at(d, s->row.job.sequence) = s->row;
	}
	d->count = kept;
	for (size_t i = 0; i < d->sync_count; i++)
		if (d->syncs[i] > batch)
			d->syncs[syncs++] = d->syncs[i];
	d->sync_count = syncs;
}

static bool key_is_taken(const struct disk *d, const struct model_job *job)
{
	return job->key > 0 && d->keys[job->key].sequence != 0 &&
	       d->keys[job->key].sequence != job->sequence &&
	       d->keys[job->key].until > job->accepted_at;
}

static void key_take(struct disk *d, const struct model *m, const struct model_job *job)
{
	if (job->key == 0)
		return;
	d->keys[job->key].sequence = job->sequence;
	d->keys[job->key].until = time_add(job->accepted_at, m->key_ttl);
}

/* With whatever was saved of it since. */
static void refuse(struct disk *d, uint64_t sequence)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->log[i].row.job.sequence == sequence)
			d->log[i].refused = true;
}
