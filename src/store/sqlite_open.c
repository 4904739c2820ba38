/*
 * Opening: lock, look, recover, check, make durable what was recovered. Until all of it has succeeded, closing leaves
 * the files as they are.
 */
#include "buf.h"
#include "clock.h"
#include "failpoint.h"
#include "random.h"
#include "sqlite_store.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define BALLAST_DEFAULT (INT64_C(8) << 20)
#define FRESH STORE_FILE ".new"

static int directory_open(struct sqlite *q);
static int database_create(struct sqlite *q);
static int database_open(struct sqlite *q);

static void sqlite_close(void *state)
{
	struct sqlite *q = state;

	if (!q)
		return;
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(q->statements[i]);
	if (q->db && (q->dead || !q->opened))
		sqlite3_db_config(q->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(q->db);
	blocks_done(q);
	if (q->mark_fd >= 0)
		close(q->mark_fd);
	if (q->lock >= 0)
		close(q->lock);
	if (q->directory >= 0)
		close(q->directory);
	free(q);
}

static int open_all(struct sqlite *q)
{
	bool fresh = false;
	int r = directory_open(q);

	if (r >= 0)
		r = check_files(q, &fresh);
	if (r >= 0)
		r = fresh ? database_create(q) : files_settle(q);
	if (r >= 0)
		r = database_open(q);
	return r < 0 ? r : store_settle(q);
}

/* SQLite counts its memory under a lock unless it is told not to, once in a process. */
static void configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int sqlite_open(const struct store_options *options, void **ret_state, char *ret_why,
		       size_t why_size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sqlite *q = calloc(1, sizeof(*q));
	int r;

	pthread_once(&once, configure);
	if (!q)
		return -ENOMEM;
	q->options = *options;
	if (q->options.ballast_bytes == 0)
		q->options.ballast_bytes = BALLAST_DEFAULT;
	q->directory = q->lock = q->mark_fd = -1;
	r = open_all(q);
	if (r < 0) {
		snprintf(ret_why, why_size, "%s: %s", options->directory,
			 q->why[0] ? q->why : strerror(-r));
		sqlite_close(q);
		return r;
	}
	q->why[0] = '\0';
	q->options.directory = q->options.boot_id = NULL; /* the caller's */
	*ret_state = q;
	return 0;
}

/* ---- the directory ---- */

static int directory_open(struct sqlite *q)
{
	int size = snprintf(q->path, sizeof(q->path), "%s/%s", q->options.directory, STORE_FILE);

	if (size < 0 || (size_t)size >= sizeof(q->path))
		return -ENAMETOOLONG;
	q->directory = open(q->options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q->directory < 0)
		return -errno;
	q->lock = openat(q->directory, STORE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (q->lock < 0)
		return sqlite_why(q, -errno, "%s: %s", STORE_LOCK, strerror(errno));
	if (flock(q->lock, LOCK_EX | LOCK_NB) < 0)
		return sqlite_why(q, errno == EWOULDBLOCK ? -EBUSY : -errno,
				  "another process has this store open");
	return 0;
}

/* ---- pragmas ---- */

struct pragma {
	const char *name;
	const char *value; /* NULL: only read */
	const char *expected;
};

static int last_text(void *arg, int count, char **values, char **names)
{
	char *text = arg;

	(void)names;
	if (count > 0)
		snprintf(text, 32, "%s", values[0] ? values[0] : "");
	return 0;
}

static int pragma_do(struct sqlite *q, const struct pragma *p)
{
	char sql[96], text[32] = "";

	if (p->value) {
		snprintf(sql, sizeof(sql), "PRAGMA %s=%s", p->name, p->value);
		if (sqlite3_exec(q->db, sql, NULL, NULL, NULL) != SQLITE_OK)
			return sqlite_failed(q, STORE_FILE);
	}
	snprintf(sql, sizeof(sql), "PRAGMA %s", p->name);
	if (sqlite3_exec(q->db, sql, last_text, text, NULL) != SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	if (strcmp(text, p->expected) != 0)
		return sqlite_why(q, -EBADMSG, "%s: pragma %s is '%s', not '%s'", STORE_FILE,
				  p->name, text, p->expected);
	return 0;
}

static int pragmas_do(struct sqlite *q, const struct pragma *pragmas, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++)
		r = pragma_do(q, &pragmas[i]);
	return r;
}

static int connect_to(struct sqlite *q, const char *path)
{
	static const int options[][2] = {
		{ SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1 }, { SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },   { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },
	};

	if (sqlite3_open_v2(path, &q->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return sqlite_failed(q, STORE_FILE);
	sqlite3_extended_result_codes(q->db, 1);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (sqlite3_db_config(q->db, options[i][0], options[i][1], NULL) != SQLITE_OK)
			return sqlite_failed(q, STORE_FILE);
	}
	return 0;
}

/* ---- a new one ---- */

/* Write the facts as they are in `facts`, with the schema as it is now. */
static int facts_write(struct sqlite *q)
{
	struct value row[FACT_COLUMNS];
	sqlite3_stmt *st = NULL;
	int r = check_schema(q, &q->facts.schema_sum);

	if (r < 0)
		return r;
	facts_values(&q->facts, row);
	if (sqlite3_prepare_v2(
		    q->db, "REPLACE INTO facts VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
		    -1, &st, NULL) != SQLITE_OK ||
	    row_bind(&table_facts, st, row, true) != SQLITE_OK || sqlite3_step(st) != SQLITE_DONE)
		r = sqlite_failed(q, "facts");
	sqlite3_finalize(st);
	return r;
}

static int database_fill(struct sqlite *q)
{
	static const struct pragma pragmas[] = {
		{ "locking_mode", "EXCLUSIVE", "exclusive" },
		{ "page_size", "4096", "4096" },
		{ "auto_vacuum", "INCREMENTAL", "2" },
		{ "encoding", "'UTF-8'", "UTF-8" },
		{ "journal_mode", "WAL", "wal" },
		{ "synchronous", "FULL", "2" },
	};
	char sql[128];
	int r = pragmas_do(q, pragmas, ARRAY_SIZE(pragmas));

	snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d",
		 STORE_APPLICATION_ID, STORE_SCHEMA_VERSION);
	if (r >= 0)
		r = sqlite_exec(q, "BEGIN IMMEDIATE");
	for (int i = 0; i < STORE_SCHEMA_VERSION && r >= 0; i++)
		r = sqlite_exec(q, store_migrations[i]);
	if (r >= 0)
		r = sqlite_exec(q, sql);
	q->facts = (struct sqlite_facts){ .created_wall = clock_wall(), .commit_seq = 1 };
	if (getrandom(q->facts.store_id, sizeof(q->facts.store_id), 0) < 0)
		r = -errno;
	if (r >= 0)
		r = facts_write(q);
	if (r >= 0)
		r = sqlite_exec(q, "COMMIT");
	if (r >= 0)
		r = sqlite_exec(q, "PRAGMA wal_checkpoint(TRUNCATE)");
	return r;
}

/* Made under another name, so that a database under its own is always whole. */
static int database_create(struct sqlite *q)
{
	char path[sizeof(q->path) + 4];
	int fd, r;

	unlinkat(q->directory, FRESH, 0);
	unlinkat(q->directory, FRESH "-wal", 0);
	unlinkat(q->directory, FRESH "-journal", 0);
	fd = openat(q->directory, FRESH, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return sqlite_why(q, -errno, "%s: %s", FRESH, strerror(errno));
	snprintf(path, sizeof(path), "%s.new", q->path);
	r = connect_to(q, path);
	if (r >= 0)
		r = database_fill(q);
	if (r >= 0)
		sqlite3_db_config(q->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	sqlite3_close(q->db);
	q->db = NULL;
	if (r >= 0)
		r = file_sync(fd);
	close(fd);
	FAILPOINT("store.before_rename");
	if (r >= 0 && renameat(q->directory, FRESH, q->directory, STORE_FILE) < 0)
		r = -errno;
	return r < 0 ? r : file_sync(q->directory);
}

/* ---- one that is there ---- */

static int migrate_steps(struct sqlite *q, const char *const steps[], int from, int to)
{
	char sql[64];
	int r = 0;

	for (int version = from; version < to && r >= 0; version++)
		r = sqlite_exec(q, steps[version]);
	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", to);
	if (r >= 0)
		r = sqlite_exec(q, sql);
	/* The sum of older columns doesn't cover today's: the row is taken as it stands, and sealed again. */
	if (r >= 0)
		r = facts_read(q, false);
	return r < 0 ? r : facts_write(q);
}

int migrate(struct sqlite *q, const char *const steps[], int from, int to)
{
	int r = sqlite_exec(q, "BEGIN IMMEDIATE");

	if (r >= 0)
		r = migrate_steps(q, steps, from, to);
	if (r >= 0)
		r = check_identity(q);
	if (r >= 0)
		r = check_content(q);
	return r < 0 ? r : sqlite_exec(q, "COMMIT");
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct sqlite *q = arg;

	(void)db;
	(void)name;
	q->wal_frames = frames;
	return SQLITE_OK;
}

static bool wants_whole_check(const struct sqlite *q, const char *pages)
{
	return q->options.quick_check_pages == 0 ||
	       strtoll(pages, NULL, 10) <= (long long)q->options.quick_check_pages;
}

static int database_open(struct sqlite *q)
{
	static const struct pragma pragmas[] = {
		{ "locking_mode", "EXCLUSIVE", "exclusive" },
		{ "mmap_size", "0", "0" },
		{ "cell_size_check", "1", "1" },
		{ "journal_mode", "WAL", "wal" },
		{ "page_size", NULL, "4096" },
		{ "encoding", NULL, "UTF-8" },
		{ "auto_vacuum", NULL, "2" },
		{ "temp_store", "MEMORY", "2" },
		{ "cache_size", "-32768", "-32768" },
		{ "secure_delete", "0", "0" },
		{ "wal_autocheckpoint", "0", "0" },
		{ "journal_size_limit", "67108864", "67108864" },
#ifdef GATHER_SABOTAGE_NOSYNC
		{ "synchronous", "OFF", "0" },
#else
		{ "synchronous", "FULL", "2" },
#endif
	};
	char pages[32] = "";
	int version = 0, r = connect_to(q, q->path);

	if (r >= 0)
		r = pragmas_do(q, pragmas, ARRAY_SIZE(pragmas));
	if (r >= 0)
		r = check_version(q, &version);
	if (r >= 0)
		r = version < STORE_SCHEMA_VERSION
			    ? migrate(q, store_migrations, version, STORE_SCHEMA_VERSION)
			    : check_identity(q);
	if (r >= 0 && sqlite3_exec(q->db, "PRAGMA page_count", last_text, pages, NULL) != SQLITE_OK)
		r = sqlite_failed(q, STORE_FILE);
	if (r >= 0 && wants_whole_check(q, pages))
		r = check_content(q);
	if (r < 0)
		return r;
	q->full_sync = true;
	sqlite3_wal_hook(q->db, on_wal, q);
	return blocks_load(q);
}

/* ---- the rest of the table ---- */

static void sqlite_facts(const void *state, struct store_facts *ret_facts)
{
	const struct sqlite *q = state;

	*ret_facts = (struct store_facts){
		.last_sequence = q->committed.last_sequence,
		.last_wall = q->committed.last_wall,
		.bytes = q->pages * STORE_PAGE + (int64_t)q->wal_frames * (STORE_PAGE + 24),
		.removed_early = q->committed.removed_early,
		.full = q->full,
	};
	memcpy(ret_facts->finished, q->committed.finished, sizeof(ret_facts->finished));
}

static const char *sqlite_why_dead(const void *state)
{
	return ((const struct sqlite *)state)->why;
}

const struct store_backend store_sqlite = {
	.kind = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.load = sqlite_load,
	.apply = sqlite_apply,
	.sync = sqlite_sync,
	.read = sqlite_read,
	.read_drop = sqlite_read_drop,
	.upkeep = sqlite_upkeep,
	.facts = sqlite_facts,
	.why = sqlite_why_dead,
};
