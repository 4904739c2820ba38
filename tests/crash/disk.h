/*
 * disk.h — a disk as a shim's log describes it: what surely is on it, what may be, and the images that a loss of power at
 * this point could leave.
 *
 * Of a file: what was synced stands. Each later write is kept, lost or torn, independently in each unit of 512 B or 4 KiB,
 * but a unit always shows some moment of its history: a later write isn't kept where an earlier one to the same unit is
 * lost. The size moves on its own. Names (creations, renames, removals) stand once their directory was synced; others are
 * kept or lost, each for itself. What a failed sync covered is visible to readers, but no later sync brings it to the
 * disk, unless the page is written again.
 */
#pragma once
#include "shim_log.h"
#include <stdbool.h>
#include <stddef.h>

struct disk;
struct disk *disk_new(void);
void disk_free(struct disk *d);
/* Go on by one record of a log that stays in memory; `base` is its start. */
void disk_apply(struct disk *d, const char *base, const struct shim_record *r);
/* How many changes may still be lost. */
size_t disk_pending(const struct disk *d);

/* Make an image in an empty directory. The same seed gives the same image. `ret_what` describes it. */
void disk_image(const struct disk *d, uint64_t seed, const char *directory, char *ret_what,
		size_t what_size);
/* What a running system sees: nothing lost. */
void disk_view(const struct disk *d, const char *directory);
