/*
 * store_image.h — stores as they lie on the disk: one as a process left it by dying, one that was closed; put there again,
 * damaged, and opened.
 */
#pragma once
#include "store_rig.h"

enum { JOBS = 60, FILES = 3, DB = 0, WAL = 1, MARK = 2 };
extern const char *const image_names[FILES];

struct image {
	char *data[FILES]; /* NULL: there is no such file */
	size_t size[FILES];
	uint32_t digest; /* of its content */
};

extern struct image crashed, closed;
extern struct rig rig;
extern unsigned refused, recovered; /* by try_it() */

int images_make(void **state); /* of a group of tests: its setup */
int images_free(void **state);
void image_take(struct image *image, const struct rig *from);
void image_free(struct image *image);
void image_put(const struct image *image); /* as the files of `rig`, which is closed */
void file_write(const char *name, const char *data, size_t size);
void fill(uint64_t from, uint64_t to); /* jobs and what goes with them */

/* Open what is there: with all its content, or refused with a reason; else the test fails. */
void try_it(const struct image *image, const char *what, size_t place);
void refused_for(const char *word); /* it is refused, with this in the reason */
