/* What the store in memory answers. */
#include "clock.h"
#include "store_memory.h"
#include <errno.h>

/* It begins empty. */
int memory_load(void *state, const struct store_visitor *v)
{
	(void)state;
	(void)v;
	return 0;
}

static int read_job(struct memory *m, struct store_read *read, uint64_t sequence)
{
	const struct memory_row *row = memory_find(m, sequence);

	if (!row || row->is_group || (read->kind == READ_ID && !uuid_equal(&row->job.id, &read->id)))
		return -ENOENT;
	return rows_add_job(read, &row->job, true);
}

static int read_group(struct memory *m, struct store_read *read, uint64_t sequence)
{
	const struct memory_row *row = memory_find(m, sequence);

	if (!row || !row->is_group ||
	    (read->kind == READ_GROUP_ID && !uuid_equal(&row->group.id, &read->id)))
		return -ENOENT;
	return rows_add_group(read, &row->group);
}

static int read_attempts(struct memory *m, struct store_read *read)
{
	const struct memory_row *row = memory_find(m, read->sequence);
	int r = 0;

	for (size_t i = 0; row && i < row->attempt_count && r >= 0; i++)
		r = rows_add_attempt(read, &row->attempts[i]);
	return r;
}

static int read_list(struct memory *m, struct store_read *read, int64_t until)
{
	const struct store_filter *filter = &read->filter;
	size_t at = filter->below ? memory_place(m, filter->below) : m->row_count;

	while (at > 0 && clock_monotonic() < until) {
		const struct memory_row *row = m->rows[at - 1];

		if (row->is_group || !filter_takes(filter, &row->job)) {
			at--;
			continue;
		}
		if (read->rows.job_count == filter->limit)
			break;
		if (rows_add_job(read, &row->job, false) < 0)
			return -ENOMEM;
		at--;
	}
	read->rows.next = at > 0 ? m->rows[at - 1]->sequence + 1 : 0;
	return 0;
}

static int read_groups(struct memory *m, struct store_read *read)
{
	size_t at = read->filter.below ? memory_place(m, read->filter.below) : m->row_count;

	for (; at > 0 && !groups_are_full(read); at--) {
		const struct memory_row *row = m->rows[at - 1];

		if (row->is_group && filter_takes_group(&read->filter, &row->group) &&
		    rows_add_group(read, &row->group) < 0)
			return -ENOMEM;
	}
	read->rows.next = at > 0 ? m->rows[at - 1]->sequence + 1 : 0;
	return 0;
}

static int read_sequence(struct memory *m, struct store_read *read)
{
	int r = read_job(m, read, read->sequence);

	return r == -ENOENT ? read_group(m, read, read->sequence) : r;
}

static int read_ids(struct memory *m, struct store_read *read)
{
	uint64_t sequence = id_sequence(&read->id, m->facts.last_sequence);

	return read->kind == READ_ID ? read_job(m, read, sequence) : read_group(m, read, sequence);
}

int memory_read(void *state, struct store_read *read, int64_t until)
{
	int r = -EOPNOTSUPP; /* a backup of what is in memory */

	if (read->kind == READ_ID || read->kind == READ_GROUP_ID)
		r = read_ids(state, read);
	else if (read->kind == READ_SEQUENCE)
		r = read_sequence(state, read);
	else if (read->kind == READ_ATTEMPTS)
		r = read_attempts(state, read);
	else if (read->kind == READ_LIST)
		r = read_list(state, read, until);
	else if (read->kind == READ_GROUPS)
		r = read_groups(state, read);
	read->rows.error = MIN(r, 0);
	return 0;
}

void memory_read_drop(void *state, struct store_read *read)
{
	(void)state;
	(void)read;
}
