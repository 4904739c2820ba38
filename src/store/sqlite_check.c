/*
 * Noticing what SQLite doesn't: that a database was emptied, cut, swapped, taken back in time, taken away, or that bits
 * of it changed. Nothing here writes.
 */
#include "crc32c.h"
#include "sqlite_store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { HEADER_SIZE = 100, WRITE_VERSION_AT = 18, READ_VERSION_AT = 19, APPLICATION_ID_AT = 68 };

static bool is_there(const struct sqlite *q, const char *name, struct stat *ret_stat)
{
	return fstatat(q->directory, name, ret_stat, AT_SYMLINK_NOFOLLOW) == 0;
}

static int check_absent(struct sqlite *q)
{
	static const char *const others[] = { STORE_WAL, STORE_MARK };
	struct stat ignored;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (is_there(q, others[i], &ignored))
			return sqlite_why(q, -EBADMSG,
					  "%s is missing beside %s: restore it, or move that away to "
					  "start with an empty store",
					  STORE_FILE, others[i]);
	}
	return 0;
}

static uint32_t big_endian32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int check_header(struct sqlite *q, const unsigned char header[HEADER_SIZE], ssize_t size)
{
	if (size < HEADER_SIZE || memcmp(header, "SQLite format 3", 16) != 0)
		return sqlite_why(q, -EBADMSG, "%s is not an SQLite database", STORE_FILE);
	if (big_endian32(header + APPLICATION_ID_AT) != STORE_APPLICATION_ID)
		return sqlite_why(q, -EBADMSG, "%s is a database of another application", STORE_FILE);
	/* 2 with a log, 1 a copy without; SQLite takes others for a file that is to be read only. */
	if (header[WRITE_VERSION_AT] != header[READ_VERSION_AT] || header[WRITE_VERSION_AT] < 1 ||
	    header[WRITE_VERSION_AT] > 2)
		return sqlite_why(q, -EBADMSG, "%s is damaged: its header", STORE_FILE);
	return 0;
}

int check_files(struct sqlite *q, bool *ret_fresh)
{
	unsigned char header[HEADER_SIZE];
	struct stat st;
	ssize_t size;
	int fd, r;

	if (!is_there(q, STORE_FILE, &st)) {
		r = errno == ENOENT ? check_absent(q) : -errno;
		*ret_fresh = r >= 0;
		return r;
	}
	*ret_fresh = false;
	if (!S_ISREG(st.st_mode))
		return sqlite_why(q, -EBADMSG, "%s is not a file", STORE_FILE);
	if (st.st_size == 0)
		return sqlite_why(q, -EBADMSG, "%s is empty: restore a backup, or move it away",
				  STORE_FILE);
	fd = openat(q->directory, STORE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return sqlite_why(q, -errno, "%s: %s", STORE_FILE, strerror(errno));
	size = pread(fd, header, sizeof(header), 0);
	r = size < 0 ? -errno : check_header(q, header, size);
	close(fd);
	return r;
}

/* ---- the database ---- */

int check_version(struct sqlite *q, int *ret_version)
{
	sqlite3_stmt *st = NULL;
	int version = 0;

	if (sqlite3_prepare_v2(q->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		int r = sqlite_failed(q, STORE_FILE);

		sqlite3_finalize(st);
		return r;
	}
	version = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	if (version > STORE_SCHEMA_VERSION)
		return sqlite_why(q, -EBADMSG,
				  "%s has schema version %d, of a newer gatherd: this one knows up to %d",
				  STORE_FILE, version, STORE_SCHEMA_VERSION);
	if (version < 1)
		return sqlite_why(q, -EBADMSG, "%s has schema version %d", STORE_FILE, version);
	*ret_version = version;
	return 0;
}

/* A checksum of what the tables, indexes and views are. */
int check_schema(struct sqlite *q, uint32_t *ret_sum)
{
	sqlite3_stmt *st = NULL;
	uint32_t sum = 0;
	int code;

	if (sqlite3_prepare_v2(q->db,
			       "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid",
			       -1, &st, NULL) != SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		for (int i = 0; i < 4; i++) {
			const void *text = sqlite3_column_blob(st, i);

			sum = crc32c(sum, text, (size_t)sqlite3_column_bytes(st, i));
		}
	}
	sqlite3_finalize(st);
	if (code != SQLITE_DONE)
		return sqlite_failed(q, STORE_FILE);
	*ret_sum = sum;
	return 0;
}

int facts_read(struct sqlite *q, bool sealed)
{
	struct value row[FACT_COLUMNS];
	sqlite3_stmt *st = NULL;
	int code, r = -EBADMSG;

	if (sqlite3_prepare_v2(q->db, "SELECT * FROM facts", -1, &st, NULL) != SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW && sqlite3_column_count(st) == FACT_COLUMNS) {
		row_fetch(st, row, FACT_COLUMNS);
		r = values_facts(row, sealed, &q->facts);
	} else if (code != SQLITE_ROW && code != SQLITE_DONE) {
		r = sqlite_failed(q, STORE_FILE);
	}
	sqlite3_finalize(st);
	if (r == -EBADMSG)
		return sqlite_why(q, r, "%s: facts: the row is damaged", STORE_FILE);
	q->committed = q->facts;
	return r;
}

static int check_mark(struct sqlite *q)
{
	struct store_mark mark;
	int r = mark_read(q->directory, &mark);

#ifdef GATHER_SABOTAGE_NO_MARK
	r = -ENOENT;
#endif
	if (r == -ENOENT)
		return 0;
	if (r == -EBADMSG)
		return sqlite_why(q, r, "%s is damaged: remove it if %s is known to be good",
				  STORE_MARK, STORE_FILE);
	if (r < 0)
		return sqlite_why(q, r, "%s: %s", STORE_MARK, strerror(-r));
	if (memcmp(mark.store_id, q->facts.store_id, sizeof(mark.store_id)) != 0)
		return sqlite_why(q, -EBADMSG,
				  "%s belongs to another store than %s: remove it after a restore",
				  STORE_MARK, STORE_FILE);
	if (q->facts.commit_seq < mark.commit_seq)
		return sqlite_why(
			q, -EBADMSG,
			"%s: its last commit is %llu, but %llu was made durable (%s): commits "
			"are lost; restore a backup, or remove that file to go on without them",
			STORE_FILE, (unsigned long long)q->facts.commit_seq,
			(unsigned long long)mark.commit_seq, STORE_MARK);
	return 0;
}

int check_identity(struct sqlite *q)
{
	uint32_t sum = 0;
	int r = facts_read(q, true);

	if (r >= 0)
		r = check_schema(q, &sum);
	if (r >= 0 && sum != q->facts.schema_sum)
		r = sqlite_why(q, -EBADMSG, "%s: its schema was changed", STORE_FILE);
	return r < 0 ? r : check_mark(q);
}

/* ---- all of its content ---- */

static int check_integrity(struct sqlite *q)
{
	sqlite3_stmt *st = NULL;
	const char *text;
	int r = 0;

	if (sqlite3_prepare_v2(q->db, "PRAGMA integrity_check(1)", -1, &st, NULL) != SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	if (sqlite3_step(st) != SQLITE_ROW) {
		r = sqlite_failed(q, STORE_FILE);
	} else {
		text = (const char *)sqlite3_column_text(st, 0);
		if (!text || strcmp(text, "ok") != 0) {
			const char *title_end = text ? strchr(text, '\n') : NULL;

			r = sqlite_why(q, -EBADMSG, "%s is damaged: %s", STORE_FILE,
				       title_end ? title_end + 1
				       : text    ? text
						 : "?");
		}
	}
	sqlite3_finalize(st);
	return r;
}

static void recount(struct sqlite_facts *counts, const struct value *job)
{
	int64_t state = value_as_integer(&job[JOBS_STATE]);

	if (job[JOBS_EXPIRES].kind == VALUE_NULL)
		counts->unfinished++;
	else if (state > 0 && state < JOB_STATE_LIMIT)
		counts->finished[state]++;
}

static int check_rows(struct sqlite *q, const struct table *t, struct sqlite_facts *counts)
{
	struct value row[COLUMN_LIMIT];
	sqlite3_stmt *st = NULL;
	char sql[64];
	int code, r = 0;

	snprintf(sql, sizeof(sql), "SELECT * FROM %s", t->name);
	if (sqlite3_prepare_v2(q->db, sql, -1, &st, NULL) != SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	if (sqlite3_column_count(st) != (int)t->column_count)
		r = sqlite_why(q, -EBADMSG, "%s: %s has other columns", STORE_FILE, t->name);
	while (r >= 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		row_fetch(st, row, t->column_count);
		if (!row_fits(t, row, t->column_count))
			r = sqlite_why(q, -EBADMSG, "%s: %s: row %lld is damaged", STORE_FILE,
				       t->name, (long long)value_as_integer(&row[0]));
		if (t == &table_jobs)
			recount(counts, row);
	}
	if (r >= 0 && code != SQLITE_DONE)
		r = sqlite_failed(q, STORE_FILE);
	sqlite3_finalize(st);
	return r;
}

int check_content(struct sqlite *q)
{
	struct sqlite_facts counts = { 0 };
	int r = check_integrity(q);

	for (size_t i = 0; store_tables[i] && r >= 0; i++)
		r = check_rows(q, store_tables[i], &counts);
	if (r >= 0 && (counts.unfinished != q->facts.unfinished ||
		       memcmp(counts.finished, q->facts.finished, sizeof(counts.finished)) != 0))
		r = sqlite_why(q, -EBADMSG, "%s: jobs: there are more or fewer than facts says",
			       STORE_FILE);
	return r;
}

/* ---- while it is open ---- */

static bool is_same(const struct sqlite *q, const char *name, const struct stat *before)
{
	struct stat now;

	return is_there(q, name, &now) && now.st_ino == before->st_ino && now.st_dev == before->st_dev;
}

int check_in_place(struct sqlite *q)
{
	const char *missing = NULL;

	if (!q->opened)
		return 0;
	if (!is_same(q, STORE_FILE, &q->file))
		missing = STORE_FILE;
	else if (!is_same(q, STORE_WAL, &q->wal))
		missing = STORE_WAL;
	else if (!is_same(q, STORE_MARK, &q->mark))
		missing = STORE_MARK;
	if (!missing)
		return 0;
	return sqlite_why(q, -ESTALE, "%s was removed or replaced under way", missing);
}
