/*
 * A copy of the database, a few pages at a time between commits: SQLite's backup through the store's own connection, so
 * that what is committed meanwhile is in the copy too. It is made beside its place and linked there when it is whole.
 */
#include "clock.h"
#include "sqlite_store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEP_PAGES = 64 };

struct backup {
	sqlite3 *to;
	sqlite3_backup *copy;
	char path[512]; /* where it is made; empty: nowhere yet */
};

static void backup_free(struct backup *b)
{
	if (!b)
		return;
	if (b->copy)
		sqlite3_backup_finish(b->copy);
	sqlite3_close(b->to);
	if (b->path[0])
		unlink(b->path);
	free(b);
}

static int path_make(struct backup *b, const char *path)
{
	int size = snprintf(b->path, sizeof(b->path), "%s.XXXXXX", path), fd;

	if (size < 0 || (size_t)size >= sizeof(b->path))
		fd = -ENAMETOOLONG;
	else if (access(path, F_OK) == 0)
		fd = -EEXIST;
	else
		fd = mkostemp(b->path, O_CLOEXEC);
	if (fd == -1)
		fd = -errno;
	if (fd < 0)
		b->path[0] = '\0';
	else
		close(fd);
	return MIN(fd, 0);
}

static int backup_start(struct sqlite *q, struct store_read *read)
{
	struct backup *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	read->state = b;
	r = path_make(b, read->path);
	if (r < 0)
		return r;
	if (sqlite3_open_v2(b->path, &b->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
		    SQLITE_OK ||
	    sqlite3_exec(b->to, "PRAGMA synchronous=OFF", NULL, NULL, NULL) != SQLITE_OK)
		return -EIO;
	b->copy = sqlite3_backup_init(b->to, "main", q->db, "main");
	return b->copy ? 0 : -EIO;
}

static int sync_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = file_sync(fd);
	close(fd);
	return r;
}

static int sync_directory_of(const char *path)
{
	char directory[512];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash)
		return sync_path(".", O_RDONLY | O_DIRECTORY);
	slash[slash == directory] = '\0';
	return sync_path(directory, O_RDONLY | O_DIRECTORY);
}

/* A file of its own, without a log beside it, under the name that was asked for. */
static int backup_finish(struct backup *b, const char *path)
{
	int code = sqlite3_backup_finish(b->copy), r;

	b->copy = NULL;
	if (code != SQLITE_OK ||
	    sqlite3_exec(b->to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) != SQLITE_OK)
		return code == SQLITE_FULL ? -ENOSPC : -EIO;
	sqlite3_close(b->to);
	b->to = NULL;
	r = sync_path(b->path, O_RDONLY);
	if (r >= 0 && link(b->path, path) < 0)
		r = -errno;
	return r < 0 ? r : sync_directory_of(path);
}

int backup_step(struct sqlite *q, struct store_read *read, int64_t until)
{
	int r = read->state ? 0 : backup_start(q, read), code = SQLITE_OK;
	struct backup *b = read->state;

	while (r >= 0 && code == SQLITE_OK && clock_monotonic() < until)
		code = sqlite3_backup_step(b->copy, STEP_PAGES);
	if (r >= 0 && code == SQLITE_OK)
		return 1;
	if (r >= 0)
		r = code == SQLITE_DONE      ? backup_finish(b, read->path)
		    : code == SQLITE_FULL    ? -ENOSPC
		    : code == SQLITE_NOMEM   ? -ENOMEM
		    : code == SQLITE_CORRUPT ? -EBADMSG
					     : -EIO;
	backup_drop(read);
	return r;
}

void backup_drop(struct store_read *read)
{
	backup_free(read->state);
	read->state = NULL;
}
