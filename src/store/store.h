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
#include "job_terms.h"
#include "span.h"
#include "uuid.h"
#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_batch;

enum store_sync { STORE_WRITE, STORE_SYNC };
#define STORE_WRITE_DELAY_MS 50

/* A point in time to come: meant in boot time within this boot of the machine, in wall time after it. */
struct store_due {
	int64_t boot; /* CLOCK_BOOTTIME, ns; 0: none */
	int64_t wall; /* Unix, ns */
	bool same_boot; /* loaded: `boot` is of this boot */
};

/* A job as the store keeps it. Saved whole; what is marked (once) is written by the first save only. */
struct store_job {
	struct uuid id;           /* (once) */
	uint64_t sequence;        /* (once) of acceptance; the key of the row */
	struct span type, queue;  /* (once) names */
	int8_t priority;          /* (once) */
	enum job_durability durability; /* (once) */
	struct span options;      /* (once) the job's further fields, a JSON object; empty: none */
	struct span args;         /* (once) JSON object; empty: none */
	struct span key;          /* (once) idempotency key; unique among all; empty: none */
	uint8_t payload[16];      /* (once) digest of what was submitted under the key */
	struct span unique_key;   /* (once) opaque */
	struct span limit_key;    /* (once) */
	struct span tags;         /* (once) separated and surrounded by newlines: "\na\nb\n"; empty: none */
	uint64_t group;           /* (once) sequence of the group that it is a member of; 0: none */
	uint32_t member;          /* (once) its place there, from 0 */
	struct store_due deadline; /* (once) */

	enum job_state state;
	bool cancelling;
	uint16_t attempts, failures;
	uint8_t crashes;
	uint64_t token, incarnation; /* of the current or last attempt; 0: none yet */
	uint32_t slot;
	struct store_due due; /* SCHEDULED, RETRYING: when */
	uint32_t elapsed_us;
	int64_t accepted_wall, started_wall, finished_wall; /* 0: not yet */
	int64_t expires_wall; /* finished: removed after that; 0: unfinished */
	int32_t error_signal;
	struct span error_code, error_message;
	struct span meta, body; /* of a finished one */
};
/* One ended attempt, for the history. */
struct store_attempt {
	uint64_t sequence; /* the job's */
	uint16_t attempt;  /* from 1 */
	uint32_t slot;
	int64_t started_wall, ended_wall;
	enum job_outcome outcome; /* 0: its worker died */
	int32_t error_signal;
	struct span error_code, error_message;
	struct span log; /* lines that the handler logged */
};
/* A group: its members stand in its own order; they are jobs (by sequence) or groups. */
struct store_group {
	struct uuid id;       /* (once) */
	uint64_t sequence;    /* (once) from the same count as the jobs' */
	uint64_t parent;      /* (once) sequence of the group that it is a member of; 0: none */
	uint32_t member;      /* (once) its place there */
	struct span spec;     /* (once) JSON: kind and options */
	struct span members;  /* sequences, 8 bytes little-endian each, in order; grows in a map */
	struct span progress; /* JSON of the group's own: cursor of a map and the like; empty: none */
	enum job_state state;
	struct span error; /* JSON; empty: none */
	int64_t accepted_wall, finished_wall, expires_wall;
};
/* A named document of a kind: schedules, limits, paused queues, webhook secrets are the broker's own affair. */
struct store_document {
	struct span kind, name; /* together the key */
	struct span body;       /* JSON; empty: removed */
};

struct store_options {
	const char *directory; /* exists, is the caller's alone; NULL: the memory implementation */
	int64_t max_bytes;     /* of the files: finished jobs leave early, oldest first, to stay below; 0: unlimited */
	int64_t reserve_bytes; /* that stay free on the file system: below, first saves of jobs are refused */
	int64_t key_ttl;       /* ns for which an idempotency key outlives its job's acceptance */
	uint32_t quick_check_pages; /* check a database up to this size whole at start; larger: by its marks. 0: always whole */
};

/* Open, take the lock, recover, make durable what was recovered. Blocks. -EBADMSG: corrupt, or of a newer version, or
 * not a store (`ret_why` says where and what would be right; nothing was changed): exit 78. -EBUSY: another process has
 * it. Other -errno: as the system says. */
int store_open(const struct store_options *options, struct store **ret_store, char *ret_why,
	       size_t why_size) GA_MUST_CHECK;
void store_close(struct store *s); /* commits what was handed over, without telling; NULL is a no-op */
const char *store_kind(const struct store *s); /* "sqlite", "memory" */

/* What was kept: all unfinished jobs and groups in order of sequence, then all documents. Once, before the first batch.
 * Spans are valid for the call. A visitor that returns below 0 ends it, with that result. */
struct store_visitor {
	int (*job)(void *arg, const struct store_job *job);
	int (*group)(void *arg, const struct store_group *group);
	int (*document)(void *arg, const struct store_document *document);
	void *arg;
};
int store_load(struct store *s, const struct store_visitor *v) GA_MUST_CHECK;
struct store_facts {
	uint64_t last_sequence;            /* the highest ever given */
	int64_t last_wall;                 /* the latest wall time that was written */
	uint64_t finished[JOB_STATE_LIMIT]; /* finished jobs that are kept, by state */
	int64_t bytes;                     /* of the files */
	uint64_t removed_early;            /* finished jobs that left before their time, ever */
	uint64_t commits, syncs;           /* since the start */
	bool full;                         /* first saves are refused now, for want of space */
};
void store_facts(const struct store *s, struct store_facts *ret_facts); /* kept, not counted: cheap */

/* ---- changes ---- */
/* Texts under 4 KiB are copied at once. Longer ones (and all of args, options, meta, body, members) are borrowed until
 * the batch is answered for. All -ENOMEM: the batch is as it was. */
struct store_batch *store_batch_new(struct store *s); /* NULL: no memory */
void store_batch_free(struct store_batch *batch);     /* one that isn't handed over after all */
int store_save_job(struct store_batch *batch, const struct store_job *job, bool first) GA_MUST_CHECK;
int store_save_attempt(struct store_batch *batch, const struct store_attempt *attempt) GA_MUST_CHECK;
int store_save_group(struct store_batch *batch, const struct store_group *group, bool first) GA_MUST_CHECK;
int store_save_document(struct store_batch *batch, const struct store_document *document) GA_MUST_CHECK;
/* Finished jobs and groups, with all that belongs to them. */
int store_remove(struct store_batch *batch, uint64_t sequence) GA_MUST_CHECK;

enum store_refused {
	STORE_KEY_TAKEN = 1, /* its idempotency key belongs to another job */
	STORE_NO_SPACE,      /* first saves only: what exists is saved from a reserve */
};
struct store_refusal {
	uint64_t sequence; /* of the job or group whose first save didn't happen */
	enum store_refused why;
	struct uuid existing; /* KEY_TAKEN: the job that has the key */
	bool same_payload;
};
struct store_commit {
	uint64_t number;
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

/* ---- reads: answered once each by store_dispatch(); rows are valid for the call ---- */
struct store_read;
struct store_rows {
	int error; /* 0; -ENOENT: no such job or group; -errno */
	const struct store_job *jobs;
	size_t job_count;
	const struct store_attempt *attempts;
	size_t attempt_count;
	const struct store_group *groups;
	size_t group_count;
	uint64_t next; /* of a list: go on below this sequence; 0: that was all. A page may be short of its limit. */
};
typedef void (*store_rows_fn)(void *arg, const struct store_rows *rows);
struct store_filter {
	uint32_t states;    /* bits of finished states; 0: all */
	struct span type, queue, tag; /* empty: any */
	int64_t since_wall; /* accepted at or after; 0: ever */
	uint64_t below;     /* sequences below this; 0: from the newest */
	uint32_t limit;
};
/* A job whole, by id; finished or not. All return -ENOMEM and then don't answer. */
int store_read_job(struct store *s, const struct uuid *id, store_rows_fn fn, void *arg,
		   struct store_read **ret_read) GA_MUST_CHECK;
int store_read_group(struct store *s, const struct uuid *id, store_rows_fn fn, void *arg,
		     struct store_read **ret_read) GA_MUST_CHECK;
/* A job whole, by sequence. */
int store_read_sequence(struct store *s, uint64_t sequence, store_rows_fn fn, void *arg,
			struct store_read **ret_read) GA_MUST_CHECK;
int store_read_attempts(struct store *s, uint64_t sequence, store_rows_fn fn, void *arg,
			struct store_read **ret_read) GA_MUST_CHECK;
/* Finished jobs, newest first, without args, meta and body. */
int store_list(struct store *s, const struct store_filter *filter, store_rows_fn fn, void *arg,
	       struct store_read **ret_read) GA_MUST_CHECK;
/* A consistent copy of everything committed, as a file that `sqlite3` reads. -EEXIST: there is one: nothing is overwritten. */
int store_backup(struct store *s, const char *path, store_rows_fn fn, void *arg,
		 struct store_read **ret_read) GA_MUST_CHECK;
void store_read_cancel(struct store_read *read); /* its fn won't be called */
