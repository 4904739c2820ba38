/*
 * store_read.h — reading what is kept, and copying it: part of store.h.
 *
 * Each read is answered once, by store_dispatch(), with what was committed when it ran: all that was handed over before
 * it is in there. Rows are valid for the call. Rows whose checksum doesn't fit: -EBADMSG.
 */
#pragma once
#include "store_job.h"

struct store;
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
	uint32_t states;              /* bits of finished states; 0: all */
	struct span type, queue, tag; /* empty: any */
	int64_t since_wall;           /* accepted at or after; 0: ever */
	uint64_t below;               /* sequences below this; 0: from the newest */
	uint32_t limit;
};
/* A job whole, by id; finished or not. All return -ENOMEM and then don't answer. */
int store_read_job(struct store *s, const struct uuid *id, store_rows_fn fn, void *arg,
		   struct store_read **ret_read) GA_MUST_CHECK;
int store_read_group(struct store *s, const struct uuid *id, store_rows_fn fn, void *arg,
		     struct store_read **ret_read) GA_MUST_CHECK;
/* A job whole, or a group, by sequence. */
int store_read_sequence(struct store *s, uint64_t sequence, store_rows_fn fn, void *arg,
			struct store_read **ret_read) GA_MUST_CHECK;
int store_read_attempts(struct store *s, uint64_t sequence, store_rows_fn fn, void *arg,
			struct store_read **ret_read) GA_MUST_CHECK;
/* Finished jobs, newest first, without options, args, meta and body. Time in ids never goes back, nor does the list look
 * further than ids older than `since_wall`. */
int store_list(struct store *s, const struct store_filter *filter, store_rows_fn fn, void *arg,
	       struct store_read **ret_read) GA_MUST_CHECK;
/* Finished groups that aren't members, newest first, whole: a page ends at GROUPS_BYTES of texts, too. Of the filter,
 * `states`, `below` and `limit`. */
#define GROUPS_BYTES ((size_t)4 << 20)
int store_list_groups(struct store *s, const struct store_filter *filter, store_rows_fn fn,
		      void *arg, struct store_read **ret_read) GA_MUST_CHECK;
/* A consistent copy of everything committed, as a file that `sqlite3` reads. -EEXIST: there is one: nothing is overwritten. */
int store_backup(struct store *s, const char *path, store_rows_fn fn, void *arg,
		 struct store_read **ret_read) GA_MUST_CHECK;
void store_read_cancel(struct store_read *read); /* its fn won't be called */
