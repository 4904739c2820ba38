/*
 * sqlite_store.h — the store in an SQLite database: one connection, used by one thread at a time.
 *
 * Within a transaction `facts` and the blocks' changes run ahead of what is committed; rollback takes them back.
 * Functions return 0 or -errno, having written a sentence to `why`.
 */
#pragma once
#include "map.h"
#include "sqlite_statements.h"
#include "store_backend.h"
#include "store_mark.h"
#include <sys/stat.h>

#define STORE_FILE "store.db"
#define STORE_WAL "store.db-wal"
#define STORE_MARK "store.mark"
#define STORE_LOCK "store.lock"
#define STORE_BALLAST "store.ballast"
#define STORE_PAGE 4096

/* The one row of the table of facts. */
struct sqlite_facts {
	uint8_t store_id[16];
	int64_t created_wall;
	uint32_t schema_sum;
	uint64_t commit_seq, last_sequence;
	int64_t last_wall;
	uint64_t unfinished, removed_early;
	uint64_t finished[JOB_STATE_LIMIT];
};

/* How many of BLOCK_JOBS neighbouring sequences are unfinished: what has to be scanned at the start. */
#define BLOCK_SHIFT 12
struct block {
	uint64_t number;
	int64_t unfinished, change; /* change: in this transaction */
	struct list place;          /* among those with a change */
};

struct sqlite {
	struct store_options options;
	char path[512];
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	int directory, lock, mark_fd;
	struct stat file, wal, mark; /* as opened: they must stay where they are */
	bool begun, opened, dead,
		full_sync; /* begun, opened: some, all of what a start writes is written */
	bool boot_is_new;  /* it isn't stored yet */
	int64_t boot;      /* the number of this boot of the machine */
	int64_t boot_wall, boot_boottime; /* when it was first seen */

	struct sqlite_facts facts, committed;
	struct map blocks;
	struct list changed_blocks;
	int wal_frames; /* not checkpointed */

	bool full, ballast;  /* first saves are refused; the ballast is there */
	int64_t room;        /* for first saves, as far as is known */
	int64_t space_due;   /* CLOCK_MONOTONIC: when to look at the file system again */
	int64_t expiry_wall; /* nothing expires before it */
	int64_t key_expiry_wall;
	int64_t pages, free_pages; /* of the file */
	int64_t pages_due;         /* CLOCK_MONOTONIC: when to count them again */
	char why[256];
};

/* ---- errors (sqlite_errors.c) ---- */
/* What SQLite said last, as -errno and a sentence that starts with `what`. */
int sqlite_failed(struct sqlite *q, const char *what);
int sqlite_failed_with(struct sqlite *q, int code, const char *what); /* it returned `code` */
int sqlite_why(struct sqlite *q, int error, const char *format, ...) GA_PRINTF(3, 4); /* returns `error` */
/* Run a bound statement that returns no rows. */
int sqlite_do(struct sqlite *q, enum statement which) GA_MUST_CHECK;
int sqlite_do_bound(struct sqlite *q, enum statement which, const struct table *t,
		    const struct value *row, bool all) GA_MUST_CHECK;
/* Bind one number and start; 1: there is a row, 0: none. */
int sqlite_look(struct sqlite *q, enum statement which, int64_t number) GA_MUST_CHECK;
int sqlite_exec(struct sqlite *q, const char *sql) GA_MUST_CHECK;
int file_sync(int fd) GA_MUST_CHECK; /* fsync() */

/* ---- rows (sqlite_rows.c) ---- */
/* All, or what each save writes. */
void job_values(const struct sqlite *q, const struct store_job *job, bool all,
		struct value row[JOBS_COLUMNS]);
void attempt_values(const struct store_attempt *attempt, struct value row[ATTEMPT_COLUMNS]);
void group_values(const struct sqlite *q, const struct store_group *group,
		  struct value row[GROUP_COLUMNS]);
/* -EBADMSG: damaged. Spans are borrowed from the values. */
int values_job(const struct sqlite *q, const struct value row[JOBS_COLUMNS], unsigned count,
	       struct store_job *ret_job) GA_MUST_CHECK;
int values_attempt(const struct value row[ATTEMPT_COLUMNS],
		   struct store_attempt *ret_attempt) GA_MUST_CHECK;
int values_group(const struct value row[GROUP_COLUMNS], struct store_group *ret_group) GA_MUST_CHECK;
void facts_values(const struct sqlite_facts *facts, struct value row[FACT_COLUMNS]);
int values_facts(const struct value row[FACT_COLUMNS], bool sealed,
		 struct sqlite_facts *ret_facts) GA_MUST_CHECK; /* sealed: its checksum must fit */

/* ---- blocks (sqlite_blocks.c) ---- */
int blocks_load(struct sqlite *q) GA_MUST_CHECK;
int block_change(struct sqlite *q, uint64_t sequence, int change) GA_MUST_CHECK;
int blocks_save(struct sqlite *q) GA_MUST_CHECK; /* within the transaction */
void blocks_settle(struct sqlite *q, bool committed);
void blocks_done(struct sqlite *q);

/* ---- transactions (sqlite_apply.c) ---- */
int transaction_begin(struct sqlite *q, bool sync) GA_MUST_CHECK;
int transaction_commit(struct sqlite *q) GA_MUST_CHECK; /* -ENOSPC: rolled back */
void transaction_rollback(struct sqlite *q);
int sqlite_apply(void *state, struct list *batches, bool sync);
int sqlite_sync(void *state);
int job_delete(struct sqlite *q, uint64_t sequence) GA_MUST_CHECK; /* 1: there was one */
int group_delete(struct sqlite *q, uint64_t sequence) GA_MUST_CHECK;

/* ---- opening (sqlite_open.c, sqlite_check.c) ---- */
int check_files(struct sqlite *q, bool *ret_fresh) GA_MUST_CHECK;
int check_version(struct sqlite *q, int *ret_version) GA_MUST_CHECK;
int check_identity(struct sqlite *q) GA_MUST_CHECK; /* how far it has come */
/* steps[from] .. steps[to - 1], in one transaction that stands only if all is well afterwards. */
int migrate(struct sqlite *q, const char *const steps[], int from, int to) GA_MUST_CHECK;
int facts_read(struct sqlite *q, bool sealed) GA_MUST_CHECK;
int check_content(struct sqlite *q) GA_MUST_CHECK;
int check_schema(struct sqlite *q, uint32_t *ret_sum) GA_MUST_CHECK;
int check_in_place(struct sqlite *q) GA_MUST_CHECK; /* that nobody took the files away */

/* ---- what a start writes (sqlite_settle.c) ---- */
int files_settle(struct sqlite *q) GA_MUST_CHECK; /* before the log is read */
/* All is well: 0 also if there was no room for some of it; `opened` tells. */
int store_settle(struct sqlite *q) GA_MUST_CHECK;
int settle_go_on(struct sqlite *q) GA_MUST_CHECK; /* -ENOSPC: try again later */

/* ---- room (sqlite_space.c) ---- */
int sqlite_upkeep(void *state, int64_t now_wall, int64_t *ret_again);
void space_look(struct sqlite *q, bool now); /* sets `full` and `room` */
bool space_take(struct sqlite *q, int64_t bytes); /* false, and `full`: first saves of so much don't fit */
void ballast_release(struct sqlite *q);
int checkpoint(struct sqlite *q) GA_MUST_CHECK; /* -ENOSPC: there was no room for all of it */
int64_t steady_wall(const struct sqlite *q, int64_t now_wall);
/* While the wall clock is behind what it was in this boot, an end that is reckoned by it is too early: the end as it was
 * meant. */
int64_t steady_expiry(const struct sqlite *q, int64_t expires_wall);
int pages_count(struct sqlite *q) GA_MUST_CHECK;
void expiry_note(struct sqlite *q, int64_t expires_wall);

/* ---- reads (sqlite_read.c, sqlite_backup.c) ---- */
int sqlite_load(void *state, const struct store_visitor *v);
int sqlite_read(void *state, struct store_read *read, int64_t until);
void sqlite_read_drop(void *state, struct store_read *read);
int backup_step(struct sqlite *q, struct store_read *read, int64_t until) GA_MUST_CHECK; /* 1: goes on */
void backup_drop(struct store_read *read);
