/*
 * GET /v1/backup: a consistent copy of the store, as a file that sqlite3 reads. It is made beside the state, has no name any
 * more once it is whole, and leaves as the answer: so it belongs to who asked, wherever that is.
 */
#include "log.h"
#include "verbs.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct backup {
	char path[4096];
};

static void refuse_backup(struct verb_request *q, int error)
{
	struct refusal r;

	if (error == -ENOSPC)
		refuse(&r, 503, "store_full", "", "there is no room on the daemon's disk for the copy");
	else
		refuse(&r, 503, "backup_failed", "", "the copy can't be made: %s", strerror(-error));
	verb_refuse(q, &r);
}

static void on_copied(void *arg, const struct store_rows *rows)
{
	struct verb_request *q = arg;
	struct backup *backup = q->more;
	struct verb_answer a = { .status = 200, .content_type = "application/vnd.sqlite3" };
	struct stat status;

	q->read = NULL;
	if (rows->error < 0) {
		log_error("a backup failed: %s", strerror(-rows->error));
		refuse_backup(q, rows->error);
		return;
	}
	int fd = open(backup->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	unlink(backup->path);
	if (fd < 0 || fstat(fd, &status) < 0) {
		refuse_backup(q, -errno);
		if (fd >= 0)
			close(fd);
		return;
	}
	a.file = &(struct verb_file){ .fd = fd, .size = (uint64_t)status.st_size };
	q->answer(q, &a);
}

void backup_clean(const struct broker *b)
{
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/backup-*", b->conf->state_dir);
	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
}

void verb_backup(struct verb_request *q, struct span unused GA_UNUSED)
{
	static unsigned serial;
	struct refusal r;
	struct backup *backup;

	if (!q->takes_files || !q->broker->store) {
		if (!q->broker->store)
			refuse(&r, 409, "no_store", "",
			       "this daemon keeps jobs in memory: there is nothing to copy");
		else
			refuse(&r, 400, "http_only", "",
			       "a backup is a long answer: GET /v1/backup over HTTP, or `gather backup FILE`");
		verb_refuse(q, &r);
		return;
	}
	backup = calloc(1, sizeof(*backup));
	if (!backup)
		abort();
	q->more = backup;
	q->more_free = free;
	snprintf(backup->path, sizeof(backup->path), "%s/backup-%u-%u", q->broker->conf->state_dir,
		 q->broker->epoch, ++serial);
	int error = store_backup(q->broker->store, backup->path, on_copied, q, &q->read);

	if (error < 0)
		refuse_backup(q, error);
}
