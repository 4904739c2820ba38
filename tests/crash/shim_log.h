/*
 * shim_log.h — what the preloaded shim writes down: each change of the files under one directory, in the order in which
 * the program learned of it, and between them what the program promised.
 *
 * A change is logged after the call did it and before it returned; a sync twice, before the call and after it. So when a
 * promise stands behind a sync's end, all that the sync covered stands before it. One append a record: the log may be
 * written by several processes, and by the program itself (marks).
 */
#pragma once
#include <stdint.h>

enum shim_op {
	SHIM_CREATE = 1, /* `file` is new and empty; data: its path, or none (unnamed) */
	SHIM_FOUND,      /* `file` was there and is opened for writing; data: its path */
	SHIM_WRITE,      /* at `offset`, `length` bytes: data */
	SHIM_TRUNCATE,   /* to `length` */
	SHIM_EXTEND,     /* at least to `length` */
	SHIM_SYNC_BEGIN, /* of a file or a directory; data: the directory's path */
	SHIM_SYNC_END,   /* `offset`: position in the log of the begin */
	SHIM_SYNC_FAILED, /* likewise: what was to be synced never will be, but readers still see it */
	SHIM_RENAME,      /* data: from, NUL, to */
	SHIM_LINK,        /* `file` gets a name: data */
	SHIM_UNLINK,      /* data: path */
	SHIM_DIRECTORY, /* data: path */
	SHIM_FAULT,     /* a call was made to fail; data: which */
	SHIM_PROBLEM,   /* a call that the log can't represent; data: which */
	SHIM_MARK,      /* the program's own: `offset` and `length` as it likes */
};

struct shim_record {
	uint32_t size; /* of the record with its data, rounded up to 8 */
	uint32_t op;
	uint64_t time; /* CLOCK_MONOTONIC, ns */
	uint64_t file; /* inode number: unique as long as the file exists */
	uint64_t offset, length;
	uint32_t data_size;
	uint32_t pid;
};
_Static_assert(sizeof(struct shim_record) == 48, "the same in all programs that write the log");

/* Environment. The directory, the log file. */
#define SHIM_DIRECTORY_VARIABLE "GATHER_TEST_DIRECTORY"
#define SHIM_LOG_VARIABLE "GATHER_TEST_LOG"
/* Only in processes whose command line has this word; unset: in all. */
#define SHIM_ONLY_VARIABLE "GATHER_TEST_ONLY"
/* CALLS:N:ERROR[:stay]: the N-th of the calls fails, and with `stay` each one after it. CALLS: open, write, sync, resize,
 * name (rename, unlink, link, mkdir) or any; ERROR: EIO, ENOSPC, EDQUOT, EMFILE, EROFS, short (a write
 * writes half), or kill (the process ends by SIGKILL before the call). */
#define SHIM_FAULT_VARIABLE "GATHER_TEST_FAULT"
/* A file with one int64_t: nanoseconds by which the wall clock is off. */
#define SHIM_CLOCK_VARIABLE "GATHER_TEST_CLOCK"
