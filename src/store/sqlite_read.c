/* What is read: everything once at the start, rows and pages of rows later. No statement stays open between. */
#include "clock.h"
#include "sqlite_store.h"
#include <errno.h>
#include <stdlib.h>

enum {
	ROWS_BETWEEN_LOOKS = 16, /* at the clock */
	LIST_SLICES = 25,        /* then a page is handed out as it is */
};

static int damaged(struct sqlite *q, const char *table, const struct value *key)
{
	return sqlite_why(q, -EBADMSG, "%s: %s: row %lld is damaged", STORE_FILE, table,
			  (long long)value_as_integer(key));
}

/* Go to the next row: 1, or 0 after the last, the statement reset then. */
static int next_row(struct sqlite *q, enum statement which)
{
	sqlite3_stmt *st = q->statements[which];
	int code = sqlite3_step(st), r;

	if (code == SQLITE_ROW)
		return 1;
	r = code == SQLITE_DONE ? 0 : sqlite_failed(q, STORE_FILE);
	sqlite3_reset(st);
	return r;
}

/* ---- all ---- */

struct loading {
	struct sqlite *q;
	const struct store_visitor *v;
	struct store_group group; /* the next, while `has_group` */
	bool has_group;
};

static int group_next(struct loading *l)
{
	struct value row[GROUP_COLUMNS];
	int r = next_row(l->q, DO_LOAD_GROUPS);

	l->has_group = r > 0;
	if (r <= 0)
		return r;
	row_fetch(l->q->statements[DO_LOAD_GROUPS], row, GROUP_COLUMNS);
	if (values_group(row, &l->group) < 0)
		return damaged(l->q, "groups", &row[GROUP_SEQUENCE]);
	return 0;
}

static int groups_below(struct loading *l, uint64_t sequence)
{
	int r = 0;

	while (l->has_group && l->group.sequence < sequence && r >= 0) {
		r = l->v->group(l->v->arg, &l->group);
		if (r >= 0)
			r = group_next(l);
	}
	return r;
}

static int load_block(struct loading *l, const struct block *b)
{
	struct sqlite *q = l->q;
	sqlite3_stmt *st = q->statements[DO_LOAD_JOBS];
	struct value row[JOBS_COLUMNS];
	struct store_job job;
	int64_t count = 0;
	int r = 0;

	sqlite3_bind_int64(st, 1, (int64_t)(b->number << BLOCK_SHIFT));
	sqlite3_bind_int64(st, 2, (int64_t)(((b->number + 1) << BLOCK_SHIFT) - 1));
	while (r >= 0 && (r = next_row(q, DO_LOAD_JOBS)) > 0) {
		row_fetch(st, row, JOBS_COLUMNS);
		if (values_job(q, row, JOBS_COLUMNS, &job) < 0)
			r = damaged(q, "jobs", &row[JOBS_SEQUENCE]);
		if (r >= 0)
			r = groups_below(l, job.sequence);
		if (r >= 0)
			r = l->v->job(l->v->arg, &job);
		count++;
	}
	sqlite3_reset(st);
	if (r >= 0 && count != b->unfinished)
		r = sqlite_why(q, -EBADMSG, "%s: block %llu: %lld unfinished jobs, not %lld",
			       STORE_FILE, (unsigned long long)b->number, (long long)count,
			       (long long)b->unfinished);
	return r;
}

static int block_order(const void *a, const void *b)
{
	const struct block *const *left = a, *const *right = b;

	return (*left)->number < (*right)->number ? -1 : (*left)->number > (*right)->number;
}

static int load_jobs(struct loading *l)
{
	struct map *blocks = &l->q->blocks;
	struct block **sorted = calloc((size_t)blocks->used + 1, sizeof(struct block *)), *b;
	uint32_t at = 0, count = 0;
	int r = 0;

	if (!sorted)
		return sqlite_why(l->q, -ENOMEM, "no memory");
	while ((b = map_next(blocks, &at)) != NULL)
		sorted[count++] = b;
	qsort(sorted, count, sizeof(struct block *), block_order);
	for (uint32_t i = 0; i < count && r >= 0; i++)
		r = load_block(l, sorted[i]);
	free(sorted);
	return r;
}

static int load_documents(struct loading *l)
{
	sqlite3_stmt *st = l->q->statements[DO_LOAD_DOCUMENTS];
	struct value row[DOCUMENT_COLUMNS];
	int r = 0;

	while (r >= 0 && (r = next_row(l->q, DO_LOAD_DOCUMENTS)) > 0) {
		struct store_document document;

		row_fetch(st, row, DOCUMENT_COLUMNS);
		document.kind = value_as_bytes(&row[DOCUMENT_KIND]);
		document.name = value_as_bytes(&row[DOCUMENT_NAME]);
		document.body = value_as_bytes(&row[DOCUMENT_BODY]);
		if (row_fits(&table_documents, row, DOCUMENT_COLUMNS))
			r = l->v->document(l->v->arg, &document);
		else
			r = sqlite_why(l->q, -EBADMSG, "%s: documents: '%.*s' is damaged", STORE_FILE,
				       (int)MIN(document.name.size, (size_t)64), document.name.data);
	}
	sqlite3_reset(st);
	return r;
}

int sqlite_load(void *state, const struct store_visitor *v)
{
	struct loading l = { .q = state, .v = v };
	int r = group_next(&l);

	if (r >= 0)
		r = load_jobs(&l);
	if (r >= 0)
		r = groups_below(&l, UINT64_MAX);
	sqlite3_reset(l.q->statements[DO_LOAD_GROUPS]);
	if (r >= 0)
		r = load_documents(&l);
	if (r == -EBADMSG)
		l.q->dead = true; /* closing leaves the files as they are */
	return MIN(r, 0);
}

/* ---- single ones ---- */

static int read_job(struct sqlite *q, struct store_read *read, uint64_t sequence)
{
	sqlite3_stmt *st = q->statements[DO_READ_JOB];
	struct value row[JOBS_COLUMNS];
	struct store_job job;
	int r = sqlite_look(q, DO_READ_JOB, (int64_t)sequence);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	row_fetch(st, row, JOBS_COLUMNS);
	if (values_job(q, row, JOBS_COLUMNS, &job) < 0)
		r = damaged(q, "jobs", &row[JOBS_SEQUENCE]);
	else if (read->kind == READ_ID && !uuid_equal(&job.id, &read->id))
		r = -ENOENT;
	else
		r = rows_add_job(read, &job, true);
	sqlite3_reset(st);
	return r;
}

static int read_group(struct sqlite *q, struct store_read *read, uint64_t sequence)
{
	sqlite3_stmt *st = q->statements[DO_READ_GROUP];
	struct value row[GROUP_COLUMNS];
	struct store_group group;
	int r = sqlite_look(q, DO_READ_GROUP, (int64_t)sequence);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	row_fetch(st, row, GROUP_COLUMNS);
	if (values_group(row, &group) < 0)
		r = damaged(q, "groups", &row[GROUP_SEQUENCE]);
	else if (read->kind == READ_GROUP_ID && !uuid_equal(&group.id, &read->id))
		r = -ENOENT;
	else
		r = rows_add_group(read, &group);
	sqlite3_reset(st);
	return r;
}

static int read_attempts(struct sqlite *q, struct store_read *read)
{
	sqlite3_stmt *st = q->statements[DO_READ_ATTEMPTS];
	struct value row[ATTEMPT_COLUMNS];
	struct store_attempt attempt;
	int r = 0;

	sqlite3_bind_int64(st, 1, (int64_t)read->sequence);
	while (r >= 0 && (r = next_row(q, DO_READ_ATTEMPTS)) > 0) {
		row_fetch(st, row, ATTEMPT_COLUMNS);
		if (values_attempt(row, &attempt) < 0)
			r = damaged(q, "attempts", &row[ATTEMPT_SEQUENCE]);
		else
			r = rows_add_attempt(read, &attempt);
	}
	sqlite3_reset(st);
	return r;
}

/* ---- lists ---- */

enum page { PAGE_FULL, PAGE_GOES_ON, PAGE_LAST /* what is below can't match */ };

/* One of these, or -errno. */
static int list_job(struct sqlite *q, struct store_read *read, sqlite3_stmt *st)
{
	struct value row[JOBS_COLUMNS];
	struct store_job job;

	if (sqlite3_column_type(st, JOBS_EXPIRES) == SQLITE_NULL)
		return PAGE_GOES_ON;
	row_fetch(st, row, JOBS_SMALL);
	if (values_job(q, row, JOBS_SMALL, &job) < 0)
		return damaged(q, "jobs", &row[JOBS_SEQUENCE]);
	if (filter_ends(&read->filter, &job.id))
		return PAGE_LAST;
	if (filter_takes(&read->filter, &job)) {
		int r = rows_add_job(read, &job, false);

		if (r < 0)
			return r;
	}
	return read->rows.job_count < read->filter.limit ? PAGE_GOES_ON : PAGE_FULL;
}

static int list_group(struct sqlite *q, struct store_read *read, sqlite3_stmt *st)
{
	struct value row[GROUP_COLUMNS];
	struct store_group group;

	row_fetch(st, row, GROUP_COLUMNS);
	if (values_group(row, &group) < 0)
		return damaged(q, "groups", &row[GROUP_SEQUENCE]);
	if (filter_takes_group(&read->filter, &group)) {
		int r = rows_add_group(read, &group);

		if (r < 0)
			return r;
	}
	return groups_are_full(read) ? PAGE_FULL : PAGE_GOES_ON;
}

/* Down from `below`, for a slice. 1: the page goes on. */
static int list_step(struct sqlite *q, struct store_read *read, int64_t until)
{
	bool groups = read->kind == READ_GROUPS;
	enum statement which = groups ? DO_LIST_GROUPS : DO_LIST_JOBS;
	sqlite3_stmt *st = q->statements[which];
	uint64_t below = read->filter.below ? read->filter.below : INT64_MAX;
	unsigned looked = 0;
	int r = sqlite_look(q, which, (int64_t)MIN(below, (uint64_t)INT64_MAX));
	int page = PAGE_GOES_ON;

	while (r > 0) {
		read->filter.below = (uint64_t)sqlite3_column_int64(st, 0);
		page = groups ? list_group(q, read, st) : list_job(q, read, st);
		if (page != PAGE_GOES_ON)
			break;
		if (++looked % ROWS_BETWEEN_LOOKS == 0 && clock_monotonic() >= until) {
			sqlite3_reset(st);
			read->rows.next = read->filter.below;
			return read->slices + 1 < LIST_SLICES;
		}
		r = next_row(q, which);
	}
	sqlite3_reset(st);
	if (r < 0 || page < 0)
		return MIN(r, page);
	/* A full page goes on below its last row. */
	read->rows.next = page == PAGE_FULL ? read->filter.below : 0;
	return 0;
}

int sqlite_read(void *state, struct store_read *read, int64_t until)
{
	struct sqlite *q = state;
	uint64_t by_id = id_sequence(&read->id, q->committed.last_sequence);
	int r = 0;

	switch (read->kind) {
	case READ_ID:
		r = read_job(q, read, by_id);
		break;
	case READ_GROUP_ID:
		r = read_group(q, read, by_id);
		break;
	case READ_SEQUENCE:
		r = read_job(q, read, read->sequence);
		if (r == -ENOENT)
			r = read_group(q, read, read->sequence);
		break;
	case READ_ATTEMPTS:
		r = read_attempts(q, read);
		break;
	case READ_LIST:
	case READ_GROUPS:
		r = list_step(q, read, until);
		break;
	case READ_BACKUP:
		r = backup_step(q, read, until);
		break;
	case READ_KINDS:
		break;
	}
	read->rows.error = MIN(r, 0);
	return MAX(r, 0);
}

void sqlite_read_drop(void *state, struct store_read *read)
{
	(void)state;
	backup_drop(read);
}
