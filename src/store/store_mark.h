/*
 * store_mark.h — the mark beside a database: how far it is known to have come.
 *
 * A file of one line: the store's id, the last commit that was synced, a checksum. Rewritten in place after each synced
 * commit, itself unsynced: whoever opens the database and finds an earlier commit in it knows that something is lost.
 */
#pragma once
#include "compiler.h"
#include <stdint.h>

struct store_mark {
	uint8_t store_id[16];
	uint64_t commit_seq;
};

/* Read it from a directory. -ENOENT: none. -EBADMSG: damaged. */
int mark_read(int directory, struct store_mark *ret_mark) GA_MUST_CHECK;
/* Make it, durable. Returns its descriptor. */
int mark_create(int directory, const struct store_mark *mark) GA_MUST_CHECK;
int mark_write(int fd, const struct store_mark *mark) GA_MUST_CHECK;
