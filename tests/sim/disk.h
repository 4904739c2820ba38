/*
 * disk.h — the world's store: what the engine handed out to be saved, batch by batch, in plain arrays.
 *
 * Batches are committed in order. What survives a crash is a prefix of them: at least up to the last that was told as
 * committed; after a loss of power, at least up to the last of those that had to be synced.
 */
#pragma once
#include "model_groups.h"

struct row {
	bool used;
	struct model_job judged;       /* the model's job as of this save */
	struct restored_job job;       /* as the engine had it; times are the world's */
	int64_t deadline, wall_offset; /* as it was then */
	char error_code[32];           /* empty: no error */
};
struct group_row {
	bool used;
	struct model_group judged;
	struct restored_group group; /* but for what it points to */
	uint64_t members[MODEL_MEMBERS];
	size_t member_count;
	char settled[8 * MODEL_MEMBERS], error_code[32];
};
struct save {
	uint64_t batch, sequence, top; /* top: of the groups that it is in; 0: none */
	bool first, refused, is_group;
	union {
		struct row row;
		struct group_row group;
	};
};
struct disk {
	struct row *rows; /* by sequence: what no crash takes back */
	struct group_row *groups;
	size_t row_count;
	bool *refused;    /* these sequences */
	struct save *log; /* what came after that, in order */
	size_t count, size;
	uint64_t *syncs; /* the batches that have to be synced, of those in the log */
	size_t sync_count, sync_size;
	uint64_t decided, told,
		safe; /* batches: whose keys were looked at, committed and told, that a loss of power leaves */
	uint64_t last_sequence;
	struct {
		uint64_t sequence; /* 0: nobody */
		int64_t until;
	} keys[MODEL_KEYS + 1];
};
void disk_done(struct disk *d);

/* Into the batch that is being filled. */
void disk_save(struct disk *d, struct model *m, const struct model_job *job, const struct job *real);
void disk_save_group(struct disk *d, struct model *m, const struct model_group *g,
		     const struct group *real);
/* The store looks at the keys of this batch: how many first saves it refuses, for their keys or for want of space (as
 * many percent). The sequences are valid until the next call. */
size_t disk_decide(struct disk *d, const struct model *m, uint64_t batch, struct random *random,
		   unsigned full_percent, const uint64_t **ret_refused);
void disk_told(struct disk *d, uint64_t batch); /* those up to it are committed, and the engine knows */
void disk_timer(struct disk *d);                /* all that was told is synced now */
/* A job as it would be found if what came after this batch were lost; NULL: not at all. */
const struct row *disk_view(const struct disk *d, uint64_t sequence, uint64_t batch);
const struct group_row *disk_view_group(const struct disk *d, uint64_t sequence, uint64_t batch);
/* All after this batch is lost; batches begin again at 1. */
void disk_crash(struct disk *d, const struct model *m, uint64_t batch);
