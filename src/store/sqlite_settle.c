/*
 * What a start writes: names and the log anew, before the log is read; once all that was found is well, this boot, what
 * the log has into the database, both files synced, the mark. Where there is no room for that, the store is open all the
 * same, and it is done when there is.
 */
#include "clock.h"
#include "failpoint.h"
#include "sqlite_store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_PIECE ((size_t)256 << 10)

/* ---- the log ---- */

static int log_write_anew(int fd, char *piece)
{
	ssize_t size;

	for (off_t at = 0; (size = pread(fd, piece, LOG_PIECE, at)) != 0; at += size) {
		if (size < 0)
			return -errno;
		for (ssize_t done = 0, n; done < size; done += n) {
			n = pwrite(fd, piece + done, (size_t)(size - done), at + done);
			if (n < 0)
				return -errno;
		}
	}
	return file_sync(fd);
}

/*
 * What a failed sync was to write may be in memory alone, clean in the eyes of every later sync, and look like all else:
 * copied from there into the database, it would leave that in pieces when the power goes and takes the log's page along.
 */
static int log_settle(struct sqlite *q)
{
	int fd = openat(q->directory, STORE_WAL, O_RDWR | O_CLOEXEC | O_NOFOLLOW), r;
	char *piece;

	if (fd < 0)
		return errno == ENOENT ? 0
				       : sqlite_why(q, -errno, "%s: %s", STORE_WAL, strerror(errno));
	piece = malloc(LOG_PIECE);
	r = piece ? log_write_anew(fd, piece) : -ENOMEM;
	free(piece);
	close(fd);
	return r < 0 ? sqlite_why(q, r, "%s: %s", STORE_WAL, strerror(-r)) : 0;
}

int files_settle(struct sqlite *q)
{
	/* The database's name may be as uncertain as the log: that of a log must not outlive it. */
	int r = file_sync(q->directory);

	return r < 0 ? sqlite_why(q, r, "the directory: %s", strerror(-r)) : log_settle(q);
}

/* ---- this boot ---- */

static void boot_id_read(const struct sqlite *q, char ret_id[64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, ret_id, 63);

	if (fd >= 0)
		close(fd);
	ret_id[size < 0 ? 0 : size] = '\0';
	ret_id[strcspn(ret_id, "\n")] = '\0';
	if (q->options.boot_id)
		snprintf(ret_id, 64, "%s", q->options.boot_id);
}

static int boot_find(struct sqlite *q, const char *id, int64_t *ret_last)
{
	sqlite3_stmt *st = NULL;
	int code;

	if (sqlite3_prepare_v2(q->db, "SELECT number, boot_id, first_wall, first_boottime FROM boots",
			       -1, &st, NULL) != SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		*ret_last = MAX(*ret_last, sqlite3_column_int64(st, 0));
		if (!id[0] || sqlite3_column_bytes(st, 1) != (int)strlen(id) ||
		    memcmp(sqlite3_column_blob(st, 1), id, strlen(id)) != 0)
			continue;
		q->boot = sqlite3_column_int64(st, 0);
		q->boot_wall = sqlite3_column_int64(st, 2);
		q->boot_boottime = sqlite3_column_int64(st, 3);
	}
	sqlite3_finalize(st);
	return code == SQLITE_DONE ? 0 : sqlite_failed(q, STORE_FILE);
}

static int boot_insert(struct sqlite *q, const char *id)
{
	struct value row[BOOT_COLUMNS] = {
		[BOOT_NUMBER] = value_integer(q->boot),
		[BOOT_ID] = value_text(span_of(id)),
		[BOOT_WALL] = value_integer(q->boot_wall),
		[BOOT_BOOTTIME] = value_integer(q->boot_boottime),
	};
	sqlite3_stmt *st = NULL;
	int r = 0;

	row_seal(&table_boots, row, true);
	if (sqlite3_prepare_v2(q->db, "INSERT INTO boots VALUES(?1,?2,?3,?4,?5)", -1, &st, NULL) !=
		    SQLITE_OK ||
	    row_bind(&table_boots, st, row, true) != SQLITE_OK || sqlite3_step(st) != SQLITE_DONE)
		r = sqlite_failed(q, "boots");
	sqlite3_finalize(st);
	return r;
}

/* The number of this boot, given if it is new. Where boots have no id, each start is one. */
static int boot_know(struct sqlite *q, const char *id)
{
	int64_t last = 0;
	int r = boot_find(q, id, &last);

	if (r < 0 || q->boot)
		return r;
	q->boot = last + 1;
	q->boot_wall = clock_wall();
	q->boot_boottime = clock_boottime();
	q->boot_is_new = true;
	return 0;
}

static int boot_note(struct sqlite *q)
{
	char id[64];
	int r;

	boot_id_read(q, id);
	r = q->boot ? 0 : boot_know(q, id);
	return r < 0 || !q->boot_is_new ? r : boot_insert(q, id);
}

/* ---- what was recovered ---- */

/* Both files, whatever the checkpoint had to do: what was read may have come from the page cache alone. */
static int files_sync(struct sqlite *q)
{
	static const int pointers[] = { SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER };

	for (size_t i = 0; i < ARRAY_SIZE(pointers); i++) {
		sqlite3_file *file = NULL;

		sqlite3_file_control(q->db, "main", pointers[i], &file);
		if (!file || !file->pMethods)
			return sqlite_why(q, -EIO, "%s is not open", STORE_FILE);
#ifndef GATHER_SABOTAGE_NOSYNC
		if (file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) != SQLITE_OK)
			return sqlite_why(q, -EIO, "%s: not synced", STORE_FILE);
#endif
	}
	return file_sync(q->directory);
}

static int first_commit(struct sqlite *q)
{
	int r = transaction_begin(q, true);

	if (r < 0)
		return r;
	r = boot_note(q);
	if (r < 0)
		transaction_rollback(q);
	else
		r = transaction_commit(q);
	q->boot_is_new &= r < 0;
	return r;
}

static int checkpoint_all(struct sqlite *q)
{
	int log = 0, done = 0;

	FAILPOINT("store.before_recovery");
	if (sqlite3_wal_checkpoint_v2(q->db, "main", SQLITE_CHECKPOINT_TRUNCATE, &log, &done) !=
	    SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	q->wal_frames = 0;
	FAILPOINT("store.after_recovery");
	return files_sync(q);
}

static int mark_begin(struct sqlite *q)
{
	struct store_mark mark = { .commit_seq = q->committed.commit_seq };
	int r;

	memcpy(mark.store_id, q->committed.store_id, sizeof(mark.store_id));
	r = mark_create(q->directory, &mark);
	if (r < 0)
		return sqlite_why(q, r, "%s: %s", STORE_MARK, strerror(-r));
	q->mark_fd = r;
	return 0;
}

int settle_go_on(struct sqlite *q)
{
	int r = q->begun ? 0 : first_commit(q);

	q->begun |= r >= 0;
	if (r >= 0)
		r = checkpoint_all(q);
	if (r >= 0)
		r = mark_begin(q);
	if (r >= 0 && (fstatat(q->directory, STORE_FILE, &q->file, AT_SYMLINK_NOFOLLOW) < 0 ||
		       fstatat(q->directory, STORE_WAL, &q->wal, AT_SYMLINK_NOFOLLOW) < 0 ||
		       fstat(q->mark_fd, &q->mark) < 0))
		r = sqlite_why(q, -errno, "%s: %s", STORE_FILE, strerror(errno));
	if (r < 0)
		return r;
	q->opened = true;
	sqlite3_db_config(q->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return 0;
}

int store_settle(struct sqlite *q)
{
	int code = statements_prepare(q->db, q->statements), r;
	bool given_up = false;

	if (code != SQLITE_OK)
		return sqlite_failed_with(q, code, STORE_FILE);
	r = settle_go_on(q);
	if (r == -ENOSPC) { /* to start is what the ballast is kept for, too */
		ballast_release(q);
		given_up = true;
		r = settle_go_on(q);
	}
	if (r < 0 && (r != -ENOSPC || q->boot == 0))
		return r;
	space_look(q, !given_up);
	return pages_count(q);
}
