/* Running statements, and telling what went wrong. */
#include "sqlite_store.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* SQLite knows ENOSPC; a quota and a limit of file sizes are no room either. The file remembers what its last failed
 * call said. */
static bool is_no_room(sqlite3 *db)
{
	static const int pointers[] = { SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER };

	for (size_t i = 0; i < ARRAY_SIZE(pointers); i++) {
		sqlite3_file *file = NULL;
		int error = 0;

		if (sqlite3_file_control(db, "main", pointers[i], &file) != SQLITE_OK || !file ||
		    !file->pMethods)
			continue;
		file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
		if (error == ENOSPC || error == EDQUOT || error == EFBIG)
			return true;
	}
	return false;
}

static int error_of(sqlite3 *db)
{
	int code = sqlite3_extended_errcode(db);

	if ((code & 0xff) == SQLITE_FULL || (code == SQLITE_IOERR_WRITE && is_no_room(db)))
		return -ENOSPC;
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* no such table, and the like */
		return -EBADMSG;
	case SQLITE_BUSY:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_CANTOPEN:
		return sqlite3_system_errno(db) > 0 ? -sqlite3_system_errno(db) : -EIO;
	default:
		return -EIO;
	}
}

int sqlite_failed(struct sqlite *q, const char *what)
{
	return sqlite_why(q, error_of(q->db), "%s: %s", what, sqlite3_errmsg(q->db));
}

int sqlite_failed_with(struct sqlite *q, int code, const char *what)
{
	if (code == SQLITE_NOMEM)
		return sqlite_why(q, -ENOMEM, "%s: no memory", what);
	return sqlite_failed(q, what);
}

int sqlite_why(struct sqlite *q, int error, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(q->why, sizeof(q->why), format, values);
	va_end(values);
	return error;
}

static int step_to_end(struct sqlite *q, enum statement which)
{
	sqlite3_stmt *st = q->statements[which];
	int code = sqlite3_step(st);

	while (code == SQLITE_ROW)
		code = sqlite3_step(st);
	if (code != SQLITE_DONE) {
		int r = sqlite_failed(q, STORE_FILE);

		sqlite3_reset(st);
		return r;
	}
	sqlite3_reset(st);
	return 0;
}

int sqlite_do(struct sqlite *q, enum statement which)
{
	return step_to_end(q, which);
}

int sqlite_do_bound(struct sqlite *q, enum statement which, const struct table *t,
		    const struct value *row, bool all)
{
	if (row_bind(t, q->statements[which], row, all) != SQLITE_OK)
		return sqlite_failed(q, t->name);
	return step_to_end(q, which);
}

int sqlite_look(struct sqlite *q, enum statement which, int64_t number)
{
	sqlite3_stmt *st = q->statements[which];
	int code;

	sqlite3_bind_int64(st, 1, number);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE) {
		int r = sqlite_failed(q, STORE_FILE);

		sqlite3_reset(st);
		return r;
	}
	sqlite3_reset(st);
	return 0;
}

int sqlite_exec(struct sqlite *q, const char *sql)
{
	return sqlite3_exec(q->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
								       : sqlite_failed(q, STORE_FILE);
}

/* For whatever reason a sync failed, it isn't tried again: want of room is one, where room is found as late as that. */
int file_sync(int fd)
{
#ifdef GATHER_SABOTAGE_NOSYNC
	(void)fd;
	return 0;
#else
	return fsync(fd) == 0 ? 0 : errno == ENOSPC || errno == EDQUOT ? -EIO : -errno;
#endif
}
