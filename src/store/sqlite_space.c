/*
 * Room: what expired leaves, in small transactions between the others; the oldest leave early when the files would grow
 * past their limit; the log is checkpointed; free pages go back to the file system; and first saves are refused while
 * the disk is nearly full, so that what was accepted can still finish.
 */
#include "clock.h"
#include "failpoint.h"
#include "sqlite_store.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	CHECKPOINT_FRAMES = 4096,
	FULL_CHECKPOINT_FRAMES = 64, /* while the disk is full */
	REMOVE_ROWS = 128,
	VACUUM_FROM = 1024, /* free pages worth the trouble */
};
#define LOG_ROOM (INT64_C(16) << 20) /* CHECKPOINT_FRAMES of them */
#define UPKEEP_EVERY NSEC_PER_SEC
#define VACUUM_EVERY (20 * NSEC_PER_MSEC)
#define SPACE_EVERY (100 * NSEC_PER_MSEC)
#define CLOCK_SLACK NSEC_PER_SEC /* two clocks never quite agree */

/* ---- the file system ---- */

static bool ballast_make(struct sqlite *q)
{
	int fd = openat(q->directory, STORE_BALLAST, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return false;
	r = posix_fallocate(fd, 0, q->options.ballast_bytes);
	close(fd);
	if (r != 0)
		unlinkat(q->directory, STORE_BALLAST, 0);
	return r == 0;
}

void ballast_release(struct sqlite *q)
{
	unlinkat(q->directory, STORE_BALLAST, 0);
	q->ballast = false;
	q->full = true;
	q->space_due = clock_monotonic() + SPACE_EVERY;
}

static bool available_read(const struct sqlite *q, int64_t *ret_bytes)
{
	struct statvfs fs;

	if (fstatvfs(q->directory, &fs) < 0)
		return false;
	*ret_bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
	return true;
}

void space_look(struct sqlite *q, bool now)
{
	int64_t available;

	if (!now && clock_monotonic() < q->space_due)
		return;
	q->space_due = clock_monotonic() + SPACE_EVERY;
	if (!available_read(q, &available))
		return;
	if (!q->ballast && (now || available >= q->options.reserve_bytes + q->options.ballast_bytes)) {
		q->ballast = ballast_make(q);
		if (!available_read(q, &available))
			return;
	}
	q->room = available - q->options.reserve_bytes - (int64_t)q->wal_frames * STORE_PAGE;
	q->full = !q->ballast || q->room < 0;
}

/*
 * What is saved needs its room twice: in the log, and in the database that the log is copied into. A log that no longer
 * fits there can't be begun anew, and nothing more could be saved, not even what ends.
 */
bool space_take(struct sqlite *q, int64_t bytes)
{
	if (q->room < 2 * bytes)
		q->space_due = 0;
	space_look(q, false);
	if (q->room < 2 * bytes)
		q->full = true;
	else
		q->room -= 2 * bytes;
	return !q->full;
}

/* ---- time ---- */

/* The wall clock, unless it has been set forward since this boot was first seen: nothing expires early. */
int64_t steady_wall(const struct sqlite *q, int64_t now_wall)
{
	return MIN(now_wall, q->boot_wall + (clock_boottime() - q->boot_boottime));
}

int64_t steady_expiry(const struct sqlite *q, int64_t expires_wall)
{
	int64_t behind = q->boot_wall + (clock_boottime() - q->boot_boottime) - clock_wall();

	return behind > CLOCK_SLACK ? time_add(expires_wall, behind) : expires_wall;
}

void expiry_note(struct sqlite *q, int64_t expires_wall)
{
	q->expiry_wall = MIN(q->expiry_wall, expires_wall);
}

/* ---- removal ---- */

struct due {
	uint64_t sequences[REMOVE_ROWS];
	size_t count;
	int64_t next_wall; /* of the first that isn't due */
};

/* The first rows of an index whose second column isn't after `until`. */
static int due_find(struct sqlite *q, enum statement which, int64_t until, struct due *ret_due)
{
	sqlite3_stmt *st = q->statements[which];
	int r = sqlite_look(q, which, REMOVE_ROWS);

	ret_due->count = 0;
	ret_due->next_wall = INT64_MAX;
	while (r > 0) {
		int64_t expires = sqlite3_column_int64(st, 1);
		int code;

		if (expires > until) {
			ret_due->next_wall = expires;
			break;
		}
		ret_due->sequences[ret_due->count++] = (uint64_t)sqlite3_column_int64(st, 0);
		ret_due->next_wall = until;
		code = sqlite3_step(st);
		if (code == SQLITE_DONE && ret_due->count < REMOVE_ROWS)
			ret_due->next_wall = INT64_MAX;
		r = code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : sqlite_failed(q, STORE_FILE);
	}
	sqlite3_reset(st);
	return MIN(r, 0);
}

static int key_delete(struct sqlite *q, uint64_t sequence)
{
	sqlite3_bind_int64(q->statements[DO_DELETE_KEY], 1, (int64_t)sequence);
	return sqlite_do(q, DO_DELETE_KEY);
}

static int due_remove(struct sqlite *q, const struct due *due,
		      int (*remove)(struct sqlite *, uint64_t), bool early)
{
	int r = transaction_begin(q, false);

	for (size_t i = 0; i < due->count && r >= 0; i++)
		r = remove(q, due->sequences[i]);
	q->facts.removed_early += r >= 0 && early ? due->count : 0;
	if (r >= 0)
		return transaction_commit(q);
	transaction_rollback(q);
	return r;
}

/* Up to so many of what is due. 1: there may be more. */
static int expire(struct sqlite *q, enum statement which, int (*remove)(struct sqlite *, uint64_t),
		  int64_t until, int64_t *ret_next)
{
	struct due due;
	int r = due_find(q, which, until, &due);

	if (r >= 0 && due.count > 0)
		r = due_remove(q, &due, remove, false);
	*ret_next = due.next_wall;
	return r < 0 ? r : due.count == REMOVE_ROWS;
}

static int expire_all(struct sqlite *q, int64_t now_wall)
{
	int64_t jobs, groups;
	int r = 0, more = 0;

	if (q->expiry_wall <= now_wall) {
		q->expiry_wall = INT64_MAX; /* what comes meanwhile lowers it */
		r = expire(q, DO_FIRST_EXPIRED_JOBS, job_delete, now_wall, &jobs);
		more = r > 0;
		if (r >= 0)
			r = expire(q, DO_FIRST_EXPIRED_GROUPS, group_delete, now_wall, &groups);
		more |= r > 0;
		if (r < 0) {
			q->expiry_wall = 0;
			return r;
		}
		expiry_note(q, MIN(jobs, groups));
	}
	if (q->key_expiry_wall <= now_wall) {
		r = expire(q, DO_FIRST_KEYS, key_delete, now_wall, &q->key_expiry_wall);
		more |= r > 0;
	}
	return r < 0 ? r : more;
}

/* ---- the files ---- */

static int number_read(struct sqlite *q, enum statement which, int64_t *ret_number)
{
	sqlite3_stmt *st = q->statements[which];
	int code = sqlite3_step(st);

	if (code == SQLITE_ROW)
		*ret_number = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return code == SQLITE_ROW ? 0 : sqlite_failed(q, STORE_FILE);
}

int pages_count(struct sqlite *q)
{
	int r = number_read(q, DO_PAGE_COUNT, &q->pages);

	return r < 0 ? r : number_read(q, DO_FREE_COUNT, &q->free_pages);
}

static bool is_too_large(const struct sqlite *q)
{
	int64_t room = q->options.max_bytes - MIN(LOG_ROOM, q->options.max_bytes / 4);

	return q->options.max_bytes > 0 && (q->pages - q->free_pages) * STORE_PAGE > room;
}

/* The oldest finished ones leave before their time. 1: there may be more. */
static int remove_early(struct sqlite *q)
{
	struct due due;
	int r;

	if (!is_too_large(q))
		return 0;
	r = due_find(q, DO_FIRST_EXPIRED_JOBS, INT64_MAX, &due);
	if (r < 0 || due.count == 0)
		return r;
	r = due_remove(q, &due, job_delete, true);
	return r < 0 ? r : 1;
}

static bool wants_vacuum(const struct sqlite *q)
{
	return q->free_pages >= VACUUM_FROM && q->free_pages > q->pages / 8;
}

static int vacuum(struct sqlite *q)
{
	int r;

	if (!wants_vacuum(q))
		return 0;
	r = transaction_begin(q, false);
	if (r >= 0)
		r = sqlite_do(q, DO_VACUUM);
	if (r >= 0)
		return transaction_commit(q);
	transaction_rollback(q);
	return r;
}

/* On a full disk the log has to be used again and again, and its room may be what the database needs. */
int checkpoint(struct sqlite *q)
{
	int mode = q->full ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
	int frames = 0, done = 0;

	FAILPOINT("store.before_checkpoint");
	if (sqlite3_wal_checkpoint_v2(q->db, "main", mode, &frames, &done) != SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	FAILPOINT("store.after_checkpoint");
	q->wal_frames = frames - done;
	return 0;
}

/* 1: there is more to do at once. */
static int upkeep_step(struct sqlite *q, int64_t now_wall)
{
	bool is_long = q->wal_frames >= (q->full ? FULL_CHECKPOINT_FRAMES : CHECKPOINT_FRAMES);
	int r = q->opened ? 0 : settle_go_on(q), more;

	if (r >= 0 && is_long)
		r = checkpoint(q);
	if (r < 0)
		return r;
	more = expire_all(q, now_wall);
	if (more < 0)
		return more;
	if (clock_monotonic() < q->pages_due)
		return more;
	r = pages_count(q);
	if (r >= 0)
		r = remove_early(q);
	if (r >= 0 && !(more |= r))
		r = vacuum(q);
	if (!more)
		q->pages_due = clock_monotonic() + (wants_vacuum(q) ? VACUUM_EVERY : SPACE_EVERY);
	return r < 0 ? r : more;
}

int sqlite_upkeep(void *state, int64_t now_wall, int64_t *ret_again)
{
	struct sqlite *q = state;
	int64_t steady = steady_wall(q, now_wall);
	int64_t next = MIN(q->expiry_wall, q->key_expiry_wall);
	int r = upkeep_step(q, steady);

	space_look(q, false);
	*ret_again = UPKEEP_EVERY;
	if (r == -ENOSPC && !q->dead) { /* there will be room again, or not: removal can wait */
		q->full = true;
		return 0;
	}
	if (r < 0) {
		q->dead = true;
		return r;
	}
	if (r > 0)
		*ret_again = 0;
	else if (wants_vacuum(q))
		*ret_again = VACUUM_EVERY;
	else if (next > steady && next - steady < UPKEEP_EVERY)
		*ret_again = next - steady;
	return 0;
}
