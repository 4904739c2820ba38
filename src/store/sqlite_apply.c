/* Batches as one transaction. */
#include "clock.h"
#include "failpoint.h"
#include "sqlite_store.h"
#include <errno.h>

/* What is being applied. */
struct applying {
	struct sqlite *q;
	struct store_batch *batch;
	bool refuse_first; /* there is no room for what is new */
};

/* ---- the transaction ---- */

static int sync_choose(struct sqlite *q, bool sync)
{
	int r;

	if (q->full_sync == sync)
		return 0;
#ifdef GATHER_SABOTAGE_NOSYNC
	r = 0;
#else
	r = sqlite_exec(q, sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
#endif
	if (r >= 0)
		q->full_sync = sync;
	return r;
}

int transaction_begin(struct sqlite *q, bool sync)
{
	int r = sync_choose(q, sync);

	if (r < 0)
		return r;
	r = sqlite_do(q, DO_BEGIN);
	if (r >= 0)
		q->facts.commit_seq++;
	return r;
}

void transaction_rollback(struct sqlite *q)
{
	if (!sqlite3_get_autocommit(q->db) && sqlite_do(q, DO_ROLLBACK) < 0)
		q->dead = true;
	q->facts = q->committed;
	blocks_settle(q, false);
}

static int mark_if_synced(struct sqlite *q)
{
	struct store_mark mark = { .commit_seq = q->committed.commit_seq };
	int r;

	if (q->mark_fd < 0)
		return 0;
	memcpy(mark.store_id, q->committed.store_id, sizeof(mark.store_id));
	FAILPOINT("store.before_mark");
	r = mark_write(q->mark_fd, &mark);
	FAILPOINT("store.after_mark");
	if (r >= 0)
		return 0;
	q->dead = true; /* also for want of space: what it tells of is committed, and must not be tried again */
	return sqlite_why(q, r, "%s: %s", STORE_MARK, strerror(-r));
}

static int commit(struct sqlite *q)
{
	struct value row[FACT_COLUMNS];
	int r = blocks_save(q);

	if (r < 0)
		return r;
	facts_values(&q->facts, row);
	r = sqlite_do_bound(q, DO_SAVE_FACTS, &table_facts, row, false);
	if (r < 0)
		return r;
	FAILPOINT("store.before_commit");
	if (FAILPOINT_FAILS("store.no_space"))
		return sqlite_why(q, -ENOSPC, "%s: failpoint", STORE_FILE);
	r = sqlite_do(q, DO_COMMIT);
	if (r >= 0 && FAILPOINT_FAILS("store.commit_error"))
		return sqlite_why(q, -EIO, "%s: failpoint", STORE_FILE);
	return r;
}

int transaction_commit(struct sqlite *q)
{
	int r = commit(q);

	if (r < 0) {
		transaction_rollback(q);
		return r;
	}
	FAILPOINT("store.after_commit");
	q->committed = q->facts;
	blocks_settle(q, true);
	r = check_in_place(q);
	if (r >= 0 && q->full_sync)
		r = mark_if_synced(q);
	return r;
}

int sqlite_sync(void *state)
{
	struct sqlite *q = state;
	sqlite3_file *wal = NULL;

	FAILPOINT("store.before_sync");
	if (sqlite3_file_control(q->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK)
		return sqlite_failed(q, STORE_WAL);
#ifndef GATHER_SABOTAGE_NOSYNC
	if (wal && wal->pMethods && wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) != SQLITE_OK) {
		q->dead = true;
		return sqlite_why(q, -EIO, "%s: not synced", STORE_WAL);
	}
#endif
	FAILPOINT("store.after_sync");
	return mark_if_synced(q);
}

/* ---- changes ---- */

static void wall_note(struct sqlite *q, int64_t wall)
{
	q->facts.last_wall = MAX(q->facts.last_wall, wall);
}

static int refuse(struct applying *a, uint64_t sequence, enum store_refused why)
{
	struct store_refusal refusal = { .sequence = sequence, .why = why };

	return batch_refuse(a->batch, &refusal) < 0 ? sqlite_why(a->q, -ENOMEM, "no memory") : 0;
}

static int job_key_taken(struct applying *a, const struct store_job *job, bool *ret_again)
{
	struct sqlite *q = a->q;
	sqlite3_stmt *st = q->statements[DO_READ_KEY];
	struct store_refusal refusal = { .sequence = job->sequence, .why = STORE_KEY_TAKEN };
	struct value row[KEY_COLUMNS];
	uint8_t payload[sizeof(job->payload)];
	int64_t sequence;
	int r;

	sqlite3_bind_text64(st, 1, job->key.data, job->key.size, SQLITE_STATIC, SQLITE_UTF8);
	if (sqlite3_step(st) != SQLITE_ROW) {
		sqlite3_reset(st);
		return sqlite_why(q, -EEXIST, "keys: %llu is there", (unsigned long long)job->sequence);
	}
	row_fetch(st, row, KEY_COLUMNS);
	sequence = value_as_integer(&row[KEY_SEQUENCE]);
	*ret_again = value_as_integer(&row[KEY_EXPIRES]) <= steady_wall(q, clock_wall());
	r = row_fits(&table_keys, row, KEY_COLUMNS) ? 0 : -EBADMSG;
	if (r >= 0)
		r = value_as_array(&row[KEY_PAYLOAD], payload, sizeof(payload));
	if (r >= 0)
		r = value_as_array(&row[KEY_ID], refusal.existing.b, sizeof(refusal.existing.b));
	sqlite3_reset(st);
	if (r < 0)
		return sqlite_why(q, r, "keys: row %lld is damaged", (long long)sequence);
	if (*ret_again) {
		sqlite3_bind_int64(q->statements[DO_DELETE_KEY], 1, sequence);
		return sqlite_do(q, DO_DELETE_KEY);
	}
	refusal.same_payload = memcmp(payload, job->payload, sizeof(payload)) == 0;
	return batch_refuse(a->batch, &refusal);
}

/* 1: the key is another's, and that is noted. */
static int job_take_key(struct applying *a, const struct store_job *job)
{
	struct sqlite *q = a->q;
	int64_t expires = steady_expiry(q, time_add(job->accepted_wall, q->options.key_ttl));
	struct value row[KEY_COLUMNS] = {
		[KEY_SEQUENCE] = value_integer((int64_t)job->sequence),
		[KEY_KEY] = value_text(job->key),
		[KEY_PAYLOAD] = value_blob(job->payload, sizeof(job->payload)),
		[KEY_ID] = value_blob(job->id.b, sizeof(job->id.b)),
		[KEY_EXPIRES] = value_integer(expires),
	};
	bool again = true;

	row_seal(&table_keys, row, true);
	while (again) {
		int r = sqlite_do_bound(q, DO_INSERT_KEY, &table_keys, row, true);

		if (r < 0)
			return r;
		if (sqlite3_changes(q->db) > 0) {
			q->key_expiry_wall = MIN(q->key_expiry_wall, expires);
			return 0;
		}
		r = job_key_taken(a, job, &again);
		if (r < 0)
			return r;
	}
	return 1;
}

static int job_counted(struct sqlite *q, const struct store_job *job, const struct value *row)
{
	if (!job_state_is_final(job->state))
		return block_change(q, job->sequence, 1);
	q->facts.finished[job->state]++;
	expiry_note(q, value_as_integer(&row[JOBS_EXPIRES]));
	return 0;
}

static int job_insert(struct applying *a, const struct store_job *job, struct value *row)
{
	struct sqlite *q = a->q;
	int r;

	if (a->refuse_first && !job->follows)
		return refuse(a, job->sequence, STORE_NO_SPACE);
	r = job->key.size ? job_take_key(a, job) : 0;
	if (r != 0)
		return MIN(r, 0);
	row_seal(&table_jobs, row, true);
	r = sqlite_do_bound(q, DO_INSERT_JOB, &table_jobs, row, true);
	if (r < 0)
		return r;
	q->facts.last_sequence = MAX(q->facts.last_sequence, job->sequence);
	return job_counted(q, job, row);
}

/* The state of a job that is kept, or 0. */
static int job_state_now(struct sqlite *q, uint64_t sequence)
{
	sqlite3_stmt *st = q->statements[DO_LOOK_AT_JOB];
	int r = sqlite_look(q, DO_LOOK_AT_JOB, (int64_t)sequence);

	if (r > 0) {
		r = sqlite3_column_int(st, 0);
		sqlite3_reset(st);
		if (r <= 0 || r >= JOB_STATE_LIMIT)
			return sqlite_why(q, -EBADMSG, "jobs: row %llu is damaged",
					  (unsigned long long)sequence);
	}
	return r;
}

/* A finished one is saved again: by hand it may become unfinished, too. */
static int job_update_ended(struct applying *a, const struct store_job *job, const struct value *row)
{
	struct sqlite *q = a->q;
	int before = job_state_now(q, job->sequence), r;

	if (before < 0)
		return before;
	if (before == 0)
		return refuse(a, job->sequence, STORE_GONE);
	r = sqlite_do_bound(q, DO_UPDATE_ENDED, &table_jobs, row, false);
	if (r < 0)
		return r;
	q->facts.finished[before]--;
	return job_counted(q, job, row);
}

static int apply_job(struct applying *a, const struct change *change)
{
	const struct store_job *job = &change->job;
	struct value row[JOBS_COLUMNS];
	struct sqlite *q = a->q;
	int r;

	wall_note(q, job->accepted_wall);
	wall_note(q, job->started_wall);
	wall_note(q, job->finished_wall);
	job_values(q, job, change->first, row);
	if (change->first)
		return job_insert(a, job, row);
	row_seal(&table_jobs, row, false);
	r = sqlite_do_bound(q, DO_UPDATE_JOB, &table_jobs, row, false);
	if (r < 0)
		return r;
	if (sqlite3_changes(q->db) == 0)
		return job_update_ended(a, job, row);
	if (!job_state_is_final(job->state))
		return 0;
	r = block_change(q, job->sequence, -1);
	return r < 0 ? r : job_counted(q, job, row);
}

static int apply_attempt(struct applying *a, const struct change *change)
{
	struct value row[ATTEMPT_COLUMNS];

	attempt_values(&change->attempt, row);
	row_seal(&table_attempts, row, true);
	return sqlite_do_bound(a->q, DO_SAVE_ATTEMPT, &table_attempts, row, true);
}

static int apply_group(struct applying *a, const struct change *change)
{
	const struct store_group *group = &change->group;
	struct value row[GROUP_COLUMNS];
	struct sqlite *q = a->q;
	int r;

	if (change->first && a->refuse_first)
		return refuse(a, group->sequence, STORE_NO_SPACE);
	wall_note(q, MAX(group->accepted_wall, group->finished_wall));
	group_values(q, group, row);
	row_seal(&table_groups, row, change->first);
	r = sqlite_do_bound(q, change->first ? DO_INSERT_GROUP : DO_UPDATE_GROUP, &table_groups,
			    row, change->first);
	if (r < 0)
		return r;
	if (!change->first && sqlite3_changes(q->db) == 0)
		return refuse(a, group->sequence, STORE_GONE);
	if (change->first)
		q->facts.last_sequence = MAX(q->facts.last_sequence, group->sequence);
	if (row[GROUP_EXPIRES].kind == VALUE_INTEGER)
		expiry_note(q, row[GROUP_EXPIRES].integer);
	return 0;
}

static int apply_document(struct applying *a, const struct change *change)
{
	const struct store_document *document = &change->document;
	struct value row[DOCUMENT_COLUMNS] = {
		[DOCUMENT_KIND] = value_text(document->kind),
		[DOCUMENT_NAME] = value_text(document->name),
		[DOCUMENT_BODY] = value_text(document->body),
	};
	sqlite3_stmt *st = a->q->statements[DO_DELETE_DOCUMENT];

	if (document->body.size == 0) {
		sqlite3_bind_text64(st, 1, document->kind.data, document->kind.size, SQLITE_STATIC,
				    SQLITE_UTF8);
		sqlite3_bind_text64(st, 2, document->name.data, document->name.size, SQLITE_STATIC,
				    SQLITE_UTF8);
		return sqlite_do(a->q, DO_DELETE_DOCUMENT);
	}
	row_seal(&table_documents, row, true);
	return sqlite_do_bound(a->q, DO_SAVE_DOCUMENT, &table_documents, row, true);
}

int job_delete(struct sqlite *q, uint64_t sequence)
{
	int state = job_state_now(q, sequence), r;

	if (state <= 0)
		return state;
	sqlite3_bind_int64(q->statements[DO_DELETE_JOB], 1, (int64_t)sequence);
	sqlite3_bind_int64(q->statements[DO_DELETE_ATTEMPTS], 1, (int64_t)sequence);
	r = sqlite_do(q, DO_DELETE_JOB);
	if (r >= 0)
		r = sqlite_do(q, DO_DELETE_ATTEMPTS);
	if (r < 0)
		return r;
	if (!job_state_is_final((enum job_state)state))
		r = block_change(q, sequence, -1);
	else
		q->facts.finished[state]--;
	return r < 0 ? r : 1;
}

int group_delete(struct sqlite *q, uint64_t sequence)
{
	sqlite3_bind_int64(q->statements[DO_DELETE_GROUP], 1, (int64_t)sequence);
	return sqlite_do(q, DO_DELETE_GROUP);
}

static int apply_remove(struct applying *a, const struct change *change)
{
	int r = job_delete(a->q, change->sequence);

	return r == 0 ? group_delete(a->q, change->sequence) : MIN(r, 0);
}

/* ---- batches ---- */

static int apply_batch(struct applying *a)
{
	static int (*const apply[CHANGE_KINDS])(struct applying *, const struct change *) = {
		[CHANGE_JOB] = apply_job,       [CHANGE_ATTEMPT] = apply_attempt,
		[CHANGE_GROUP] = apply_group,   [CHANGE_DOCUMENT] = apply_document,
		[CHANGE_REMOVE] = apply_remove,
	};

	a->batch->refusal_count = 0;
	for (const struct change *c = a->batch->changes; c; c = c->next) {
		int r = apply[c->kind](a, c);

		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_once(struct sqlite *q, struct list *batches, bool sync, bool refuse_first)
{
	int r = transaction_begin(q, sync);

	if (r < 0)
		return r;
	LIST_FOREACH(place, batches) {
		struct applying a = {
			.q = q,
			.batch = LIST_ENTRY(place, struct store_batch, work.place),
			.refuse_first = refuse_first,
		};

		r = apply_batch(&a);
		if (r < 0) {
			transaction_rollback(q);
			return r;
		}
	}
	return transaction_commit(q);
}

static int64_t bytes_of(const struct list *batches)
{
	int64_t bytes = 0;

	LIST_FOREACH(place, batches)
		bytes += LIST_ENTRY(place, struct store_batch, work.place)->bytes;
	return bytes;
}

static bool changes_nothing(const struct list *batches)
{
	LIST_FOREACH(place, batches) {
		if (LIST_ENTRY(place, struct store_batch, work.place)->changes)
			return false;
	}
	return true;
}

static bool is_first(const struct change *c)
{
	return c->first && ((c->kind == CHANGE_JOB && !c->job.follows) || c->kind == CHANGE_GROUP);
}

/* Refusing needs no room: true if that is all there is to do. */
static bool refuse_all(struct sqlite *q, const struct list *batches)
{
	LIST_FOREACH(place, batches) {
		struct applying a = {
			.q = q,
			.batch = LIST_ENTRY(place, struct store_batch, work.place),
		};

		a.batch->refusal_count = 0;
		for (const struct change *c = a.batch->changes; c; c = c->next) {
			uint64_t sequence = c->kind == CHANGE_JOB ? c->job.sequence : c->group.sequence;

			if (!is_first(c) || refuse(&a, sequence, STORE_NO_SPACE) < 0)
				return false;
		}
	}
	return true;
}

static int apply_all(struct sqlite *q, struct list *batches, bool sync)
{
	int r = q->opened ? 0 : settle_go_on(q);

	if (r < 0)
		return r;
	r = apply_once(q, batches, sync, !space_take(q, bytes_of(batches)));
	if (r == -ENOSPC && !q->dead) {
		ballast_release(q);
		r = checkpoint(q);
		if (r >= 0 || r == -ENOSPC)
			r = apply_once(q, batches, sync, true);
	}
	return r;
}

int sqlite_apply(void *state, struct list *batches, bool sync)
{
	struct sqlite *q = state;
	int r;

	if (changes_nothing(batches))
		return sync ? sqlite_sync(q) : 0;
	r = apply_all(q, batches, sync);
	if (r == -ENOSPC && !q->dead && !refuse_all(q, batches))
		return -EAGAIN;
	if (r == -ENOSPC && !q->dead)
		r = sync ? sqlite_sync(q) : 0; /* also for what was committed before */
	q->dead = q->dead || r < 0;
	return r;
}
