/*
 * shim.h — the parts of libshim.so, which is preloaded into programs under test: it writes down what they do to the files
 * of one directory (shim_log.h), makes chosen calls fail, and sets their wall clock.
 *
 * The calls that it stands in for make the system call themselves: there is no other shim below.
 */
#pragma once
#include "shim_log.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SHIM_EXPORT __attribute__((visibility("default")))

/* ---- which files ---- */
/* The inode number of a descriptor's file or directory if it is under the directory, else 0. Keeps errno. */
uint64_t shim_file(int fd);
/* The path under the directory ("" is itself) of what `name` in `dir` is or would be, symbolic links in its last part not
 * followed. False: elsewhere, or no such directory. Keeps errno. */
bool shim_path(int dir, const char *name, char ret_path[4096]);
bool shim_path_of_fd(int fd, char ret_path[4096]);

/* ---- the log; no-ops without one ---- */
void shim_write_record(enum shim_op op, uint64_t file, uint64_t offset, uint64_t length,
		       const void *data, size_t data_size);
/* SHIM_SYNC_BEGIN; returns its position. */
uint64_t shim_sync_begin(int fd, uint64_t file);
void shim_problem(const char *what);

/* ---- the clock ---- */
bool shim_clock_is_set(void);    /* a test moves it */
int64_t shim_clock_offset(void); /* of the wall clock, in ns */

/* ---- faults ---- */
enum shim_calls {
	CALLS_OPEN = 1,
	CALLS_WRITE = 2,
	CALLS_SYNC = 4,
	CALLS_RESIZE = 8,
	CALLS_NAME = 16
};
/* 0: let this call pass; > 0: fail with that errno; SHIM_SHORT: write half. Counts. */
#define SHIM_SHORT (-1)
int shim_fault(enum shim_calls calls, const char *what);
