/*
 * store.h — where jobs outlive the process: batches of changes in, commits out, in order.
 *
 * The caller's thread gathers a turn's changes in a batch and hands it over. The store commits batches in the order of
 * their numbers, several in one transaction where they have queued up, without ever waiting for more. Answers (commits,
 * reads) come on the caller's thread, from store_dispatch(). Reads run between commits.
 *
 * What a committed change promises depends on how its batch was handed over: STORE_SYNC survives a loss of power,
 * STORE_WRITE the death of every process, and a loss of power after STORE_WRITE_DELAY and one sync.
 *
 * Implementations: sqlite (src/store/sqlite*.c; the file's schema is documented in docs/store.md), memory (tests, and
 * daemons without a store). One conformance suite runs over both.
 */
#pragma once
#include "compiler.h"
#include "store_job.h"
#include "store_read.h"
#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_batch;

enum store_sync { STORE_WRITE, STORE_SYNC };
#define STORE_WRITE_DELAY_MS 50

struct store_options {
	const char *directory; /* exists, is the caller's alone; NULL: the memory implementation */
	int64_t max_bytes; /* of the files: finished jobs leave early, oldest first, to stay below; 0: unlimited */
	int64_t reserve_bytes; /* that stay free on the file system: below, first saves of jobs are refused */
	int64_t key_ttl; /* ns for which an idempotency key outlives its job's acceptance */
	uint32_t quick_check_pages; /* check a database up to this size whole at start; larger: by its marks. 0: always whole */
	int64_t ballast_bytes; /* a file of this size is given up when the disk is full, so that jobs can finish; 0: 8 MiB */
	const char *boot_id; /* NULL: the machine's */
};

/* Open, take the lock, recover, make durable what was recovered. Blocks. -EBADMSG: corrupt, or of a newer version, or
 * not a store (`ret_why` says where and what would be right; nothing was changed): exit 78. -EBUSY: another process has
 * it. Other -errno: as the system says. */
int store_open(const struct store_options *options, struct store **ret_store, char *ret_why,
	       size_t why_size) GA_MUST_CHECK;
void store_close(struct store *s); /* commits what was handed over, without telling; NULL is a no-op */
const char *store_kind(const struct store *s); /* "sqlite", "memory" */
/* After an error: a sentence about it, for the log. Empty: none. */
const char *store_why(const struct store *s);

/* What was kept: all unfinished jobs and groups in order of sequence, then all documents. Once, before the first batch.
 * Spans are valid for the call. A visitor that returns below 0 ends it, with that result. -EBADMSG: a row is damaged. */
struct store_visitor {
	int (*job)(void *arg, const struct store_job *job);
	int (*group)(void *arg, const struct store_group *group);
	int (*document)(void *arg, const struct store_document *document);
	void *arg;
};
int store_load(struct store *s, const struct store_visitor *v) GA_MUST_CHECK;
struct store_facts {
	uint64_t last_sequence;             /* the highest ever given */
	int64_t last_wall;                  /* the latest wall time that was written */
	uint64_t finished[JOB_STATE_LIMIT]; /* finished jobs that are kept, by state */
	int64_t bytes;                      /* of the files */
	uint64_t removed_early;             /* finished jobs that left before their time, ever */
	uint64_t commits, syncs;            /* since the start */
	bool full;                          /* first saves are refused now, for want of space */
	bool stalled;                       /* and nothing else can be saved either: it waits */
};
void store_facts(const struct store *s, struct store_facts *ret_facts); /* kept, not counted: cheap */

/* ---- changes ---- */
/* Texts under 4 KiB are copied at once. Longer ones (and all of args, options, meta, body, members) are borrowed until
 * the batch is answered for. All -ENOMEM: the batch is as it was. */
struct store_batch *store_batch_new(struct store *s); /* NULL: no memory */
void store_batch_free(struct store_batch *batch);     /* one that isn't handed over after all */
int store_save_job(struct store_batch *batch, const struct store_job *job, bool first) GA_MUST_CHECK;
int store_save_attempt(struct store_batch *batch, const struct store_attempt *attempt) GA_MUST_CHECK;
int store_save_group(struct store_batch *batch, const struct store_group *group,
		     bool first) GA_MUST_CHECK;
int store_save_document(struct store_batch *batch, const struct store_document *document) GA_MUST_CHECK;
/* Finished jobs and groups, with all that belongs to them. */
int store_remove(struct store_batch *batch, uint64_t sequence) GA_MUST_CHECK;

enum store_refused {
	STORE_KEY_TAKEN = 1, /* its idempotency key belongs to another job */
	STORE_NO_SPACE,      /* first saves only: what exists is saved from a reserve */
	STORE_GONE,          /* a later save of what isn't kept: refused or removed before */
};
struct store_refusal {
	uint64_t sequence; /* of the job or group whose save didn't happen */
	enum store_refused why;
	struct uuid existing; /* KEY_TAKEN: the job that has the key */
	bool same_payload;
};
struct store_commit {
	uint64_t number; /* 0: of no batch: the store died between two */
	/* 0; or -errno: whether any of this batch is kept is unknown, and the store is of no more use: answer
	 * `unknown_outcome` to who waits, and exit. */
	int error;
	const struct store_refusal *refusals; /* all the rest is committed */
	size_t refusal_count;
};
typedef void (*store_committed_fn)(void *arg, const struct store_commit *commit);
void store_on_commit(struct store *s, store_committed_fn fn, void *arg);
/* Hand a batch over: numbers rise. The store's from now on. */
void store_commit(struct store *s, struct store_batch *batch, uint64_t number, enum store_sync sync);
int64_t store_queued_bytes(const struct store *s); /* handed over and not answered for */

/* Readable when store_dispatch() has something to say. */
int store_fd(const struct store *s);
void store_dispatch(struct store *s);
