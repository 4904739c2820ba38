#include "disk.h"
#include "buf.h"
#include "clock.h"
#include <stdlib.h>

static struct save *log_add(struct disk *d);
static void sync_add(struct disk *d, uint64_t batch);
static void make_room(struct disk *d, uint64_t sequence);
static uint64_t top_of(struct model *m, uint64_t group);
static bool is_new(const struct disk *d, uint64_t sequence, uint64_t batch);
static void settle(struct disk *d, uint64_t batch);
static bool key_is_taken(const struct disk *d, const struct model_job *job);
static void key_take(struct disk *d, const struct model *m, const struct model_job *job);
static void refuse(struct disk *d, uint64_t sequence);

void disk_done(struct disk *d)
{
	free(d->rows);
	free(d->groups);
	free(d->refused);
	free(d->log);
	free(d->syncs);
}

void disk_save(struct disk *d, struct model *m, const struct model_job *job, const struct job *real)
{
	uint32_t slot = MIN(real->slot, (uint32_t)MODEL_WORKERS);
	bool first = job->saved.state == 0;
	struct save *s = log_add(d);
	struct row *row = &s->row;

	memset(s, 0, sizeof(*s));
	s->batch = m->open;
	s->sequence = job->sequence;
	s->top = top_of(m, job->group);
	s->first = first;
	make_room(d, job->sequence);
	d->refused[job->sequence] &= !first;
	d->last_sequence = MAX(d->last_sequence, job->sequence);
	row->used = true;
	row->judged = *job;
	row->wall_offset = m->wall_offset;
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
		.incarnation = m->workers[slot].incarnation,
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

void disk_save_group(struct disk *d, struct model *m, const struct model_group *g,
		     const struct group *real)
{
	bool first = g->saved.state == 0;
	struct buf text = BUF_INIT;
	struct group_row *row;
	struct save *s;

	make_room(d, g->sequence);
	if (!first && d->refused[g->sequence])
		return;
	s = log_add(d);
	row = &s->group;
	memset(s, 0, sizeof(*s));
	s->batch = m->open;
	s->sequence = g->sequence;
	s->top = top_of(m, g->sequence);
	s->first = first;
	s->is_group = true;
	d->refused[g->sequence] &= !first;
	d->last_sequence = MAX(d->last_sequence, g->sequence);
	row->used = true;
	row->judged = *g;
	row->judged.saved = g->is;
	row->group = (struct restored_group){
		.id = real->id,
		.sequence = real->sequence,
		.state = (enum job_state)real->state,
		.cancelling = real->cancelling,
		.timed_out = real->timed_out,
		.accepted_at = real->accepted_at + m->boot,
		.due = engine_group_due(m->e, real),
	};
	if (row->group.due != 0)
		row->group.due += m->boot;
	row->member_count = real->made;
	memcpy(row->members, real->sequences, real->made * sizeof(uint64_t));
	if (group_settled_text(real, &text) < 0 || buf_size(&text) >= sizeof(row->settled))
		abort();
	if (buf_size(&text) > 0)
		memcpy(row->settled, buf_data(&text), buf_size(&text));
	buf_done(&text);
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
		/* Those that come together are refused together. */
		bool together = s->top != 0 && is_new(d, s->top, batch);
		uint64_t dice = together ? (s->top * 7919 + batch * 31) % 100
					 : random_below(random, 100);

		if (s->batch != batch || s->refused || !s->first)
			continue;
		if (count < ARRAY_SIZE(refused) &&
		    (dice < full_percent || (!s->is_group && key_is_taken(d, &s->row.judged)))) {
			refused[count++] = s->sequence;
			refuse(d, s->sequence);
		} else if (!s->is_group) {
			key_take(d, m, &s->row.judged);
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
		if (d->log[i].batch <= batch && d->log[i].sequence == sequence &&
		    !d->log[i].refused && !d->log[i].is_group)
			return &d->log[i].row;
	return sequence < d->row_count && d->rows[sequence].used ? &d->rows[sequence] : NULL;
}

const struct group_row *disk_view_group(const struct disk *d, uint64_t sequence, uint64_t batch)
{
	for (size_t i = d->count; i-- > 0;)
		if (d->log[i].batch <= batch && d->log[i].sequence == sequence &&
		    !d->log[i].refused && d->log[i].is_group)
			return &d->log[i].group;
	return sequence < d->row_count && d->groups[sequence].used ? &d->groups[sequence] : NULL;
}

void disk_crash(struct disk *d, const struct model *m, uint64_t batch)
{
	settle(d, batch);
	d->count = d->sync_count = 0;
	d->decided = d->told = d->safe = 0;
	d->last_sequence = 0;
	memset(d->keys, 0, sizeof(d->keys));
	for (size_t i = 0; i < d->row_count; i++)
		if (d->rows[i].used || d->groups[i].used) {
			if (d->rows[i].used)
				key_take(d, m, &d->rows[i].judged);
			d->last_sequence = i;
		}
	if (d->row_count > 0)
		memset(d->refused, 0, d->row_count * sizeof(*d->refused));
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

static void make_room(struct disk *d, uint64_t sequence)
{
	size_t count = MAX(d->row_count * 2, (size_t)sequence + 256), more = count - d->row_count;

	if (sequence < d->row_count)
		return;
	d->rows = reallocarray(d->rows, count, sizeof(*d->rows));
	d->groups = reallocarray(d->groups, count, sizeof(*d->groups));
	d->refused = reallocarray(d->refused, count, sizeof(*d->refused));
	if (!d->rows || !d->groups || !d->refused)
		abort();
	memset(d->rows + d->row_count, 0, more * sizeof(*d->rows));
	memset(d->groups + d->row_count, 0, more * sizeof(*d->groups));
	memset(d->refused + d->row_count, 0, more * sizeof(*d->refused));
	d->row_count = count;
}

static uint64_t top_of(struct model *m, uint64_t group)
{
	const struct model_group *g = model_group(m, group);

	while (g && g->parent)
		g = model_group(m, g->parent);
	return g ? g->sequence : 0;
}

/* From the log into the rows. */
static void settle(struct disk *d, uint64_t batch)
{
	size_t kept = 0, syncs = 0;

	for (size_t i = 0; i < d->count; i++) {
		struct save *s = &d->log[i];

		if (s->batch > batch)
			d->log[kept++] = *s;
		else if (s->is_group && !s->refused)
			d->groups[s->sequence] = s->group;
		else if (!s->refused)
			d->rows[s->sequence] = s->row;
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
		d->log[i].refused |= d->log[i].sequence == sequence;
	d->refused[sequence] = true;
}

static bool is_new(const struct disk *d, uint64_t sequence, uint64_t batch)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->log[i].sequence == sequence && d->log[i].batch == batch && d->log[i].first)
			return true;
	return false;
}
