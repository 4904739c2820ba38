/*
 * store_parts.h — the store's own: what its caller's side, its thread and its implementations share.
 *
 * A piece of work (a batch, a read) is made by the caller's thread, given to the store's thread through `in`, and comes
 * back through `out`. Whoever has it, owns it.
 */
#pragma once
#include "arena.h"
#include "list.h"
#include "store.h"
#include <pthread.h>

#define COPIED_BELOW 4096 /* longer texts are borrowed */

struct store_backend;

enum work_kind { WORK_BATCH, WORK_READ };

struct work {
	struct list place;
	enum work_kind kind;
};

enum change_kind {
	CHANGE_JOB,
	CHANGE_ATTEMPT,
	CHANGE_GROUP,
	CHANGE_DOCUMENT,
	CHANGE_REMOVE,
	CHANGE_KINDS
};

struct change {
	struct change *next;
	enum change_kind kind;
	bool first;
	union {
		struct store_job job;
		struct store_attempt attempt;
		struct store_group group;
		struct store_document document;
		uint64_t sequence;
	};
};

struct store_batch {
	struct work work;
	struct store *store;
	struct arena arena;
	struct change *changes, **changes_end;
	int64_t bytes; /* that it holds or borrows */
	uint64_t number;
	enum store_sync sync;
	int error;
	struct store_refusal *refusals; /* the store thread's, until answered */
	size_t refusal_count, refusal_room;
};

enum read_kind {
	READ_ID,
	READ_GROUP_ID,
	READ_SEQUENCE,
	READ_ATTEMPTS,
	READ_LIST,
	READ_GROUPS,
	READ_BACKUP,
	READ_KINDS
};

struct store_read {
	struct work work;
	enum read_kind kind;
	store_rows_fn fn; /* the caller's thread's; NULL: cancelled */
	void *arg;
	_Atomic bool cancelled;
	struct uuid id;
	uint64_t sequence;
	struct store_filter filter; /* its texts are in the arena */
	const char *path;
	struct arena arena;
	struct store_rows rows; /* its texts are in the arena */
	size_t job_room, attempt_room, group_room;
	size_t group_bytes; /* of groups' texts */
	unsigned slices;    /* so far */
	void *state;        /* the implementation's, between slices; gone when it is answered */
};

struct store {
	const struct store_backend *backend;
	void *state; /* the implementation's: the store thread's once `running` */
	pthread_t thread;
	int fd; /* eventfd: `out` isn't empty */

	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct list in, out;         /* of struct work */
	bool running, closing, away; /* away: the thread waits for `wake` */
	struct store_facts facts;
	char thread_why[256]; /* it died of */
	int died;             /* between two batches: the error, until it is told */

	/* The caller's thread's. */
	char why[256];
	struct list answers; /* taken from `out`, and being told */
	int64_t queued_bytes;
	store_committed_fn committed;
	void *committed_arg;
};

/* ---- the thread (store_thread.c) ---- */
void *store_run(void *store);

/* ---- what implementations use ---- */
/* Note that a save didn't happen. -ENOMEM. */
int batch_refuse(struct store_batch *batch, const struct store_refusal *refusal) GA_MUST_CHECK;
/* Copy a row to what is read. `whole`: with options, args, meta and body. -ENOMEM. */
int rows_add_job(struct store_read *read, const struct store_job *job, bool whole) GA_MUST_CHECK;
int rows_add_attempt(struct store_read *read, const struct store_attempt *attempt) GA_MUST_CHECK;
int rows_add_group(struct store_read *read, const struct store_group *group) GA_MUST_CHECK;
/* The sequences not above `last` that an id can be of, the highest first: 0 after them. */
uint64_t id_sequence(const struct uuid *id, uint64_t last);
uint64_t id_ms(const struct uuid *id);
bool filter_takes(const struct store_filter *filter, const struct store_job *job);
bool filter_takes_group(const struct store_filter *filter, const struct store_group *group);
bool groups_are_full(const struct store_read *read); /* no more on this page */
bool filter_ends(const struct store_filter *filter, const struct uuid *id); /* nothing below it can match */

/* ---- frees ---- */
void work_free(struct work *work);
void read_free(struct store_read *read);
