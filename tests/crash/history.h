/*
 * history.h — the marks that a driver of a store leaves in a shim's log, and what follows from them: which batches there
 * were, and which of them were promised to last.
 */
#pragma once
#include "shim_log.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mark {
	MARK_OPENED = 1, /* generation; the store was opened and holds the batches up to `length` */
	MARK_HANDED,     /* batch `length` was handed over; data: one byte, enum store_sync */
	MARK_ACKED,      /* batch `length`, and all before it, are committed */
	MARK_FAILED,     /* batch `length` was answered with an error */
	MARK_FULL, /* batch `length` was committed but for jobs that the disk has no room for */
	MARK_CLOSED,
	/* of a daemon: data: a job's id */
	MARK_PROMISED, /* accepted, to survive a loss of power */
	MARK_DONE,     /* its success was told */
};

struct history {
	uint32_t *generations; /* of each batch, from 1 */
	uint8_t *synced;       /* whether it was handed over with STORE_SYNC */
	uint64_t *acked_at;    /* when each was committed */
	size_t room;
	uint32_t handed;  /* the last batch */
	uint32_t acked;   /* the last that is committed */
	uint32_t lasting; /* the last that a loss of power must leave */
	uint32_t failed;  /* the first that was answered with an error, or 0 */
	uint32_t generation;
	bool faulted;    /* a call was made to fail: closing tells nobody of it */
	bool full;       /* from here on, the scenario doesn't tell what is there */
	unsigned broken; /* acknowledgements after an error */
};

/* Write a mark into the log. */
void history_mark(int log, enum mark mark, uint32_t generation, uint32_t batch, uint8_t sync);
void history_mark_id(int log, enum mark mark, const uint8_t id[16]);
void history_take(struct history *h, const struct shim_record *r);
/* All records of a log in memory. */
void history_read(struct history *h, const char *log, size_t size);
/* The last batch that a loss of power at this time must leave: what wasn't synced when it was committed is, a little later. */
uint32_t history_lasting(const struct history *h, uint64_t time);
void history_done(struct history *h);
/* A file whole; ends the program if it can't be read. */
char *log_read(const char *path, size_t *ret_size);
