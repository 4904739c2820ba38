/*
 * group_row.h — a group of the engine as a row of the store, and a row as a group again. What its columns hold is
 * documented in docs/groups.md.
 */
#pragma once
#include "broker.h"
#include "store_job.h"

struct group;

/* What a row borrows besides the group; to be kept until its batch is answered for. */
struct group_texts {
	struct bytes *members, *progress, *error;
};
void group_row_fill(struct broker *b, const struct group *group, struct store_group *ret_row,
		    struct group_texts *ret_texts);
void group_texts_done(struct group_texts *t); /* its own references */
/* Put an unfinished group back into the engine. -EINVAL: it can't be read. Others as engine_group_restore(). */
int group_row_restore(struct broker *b, const struct store_group *row) GA_MUST_CHECK;
/* A group on its own, for looking at: group_unpacked_free(). */
int group_row_unpack(struct broker *b, const struct store_group *row,
		     struct group **ret_group) GA_MUST_CHECK;
