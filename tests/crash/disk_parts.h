/*
 * disk_parts.h — the insides of a disk, shared by who builds it up (disk.c) and who makes images of it (disk_image.c).
 */
#pragma once
#include "disk.h"

#define DISK_PAGE 4096u

/* A change of a file or of a name that no sync has covered. */
struct disk_change {
	uint64_t at; /* position in the log */
	enum shim_op op;
	uint64_t offset, length;
	const char *data; /* in the log */
	bool doomed;      /* covered by a failed sync */
};

struct disk_file {
	uint64_t number; /* of the inode */
	char *bytes;     /* synced */
	size_t size, room;
	struct disk_change *changes; /* in order */
	size_t change_count, change_room;
};

struct disk_name {
	char path[256];         /* "": removed */
	struct disk_file *file; /* NULL: a directory */
};

/* A change of names: of `path` in its directory. */
struct disk_move {
	uint64_t at;
	enum shim_op op; /* CREATE, LINK, RENAME, UNLINK, DIRECTORY */
	char path[256], to[256];
	struct disk_file *file;
};

struct disk {
	struct disk_file **files; /* by age; of equal numbers the last one lives */
	size_t file_count, file_room;
	struct disk_name *names; /* synced */
	size_t name_count, name_room;
	struct disk_move *moves; /* not synced, in order */
	size_t move_count, move_room;
};

/* One more element at the end of an array, zeroed. */
void *disk_more(void *array, size_t *count, size_t *room, size_t element);
#define DISK_MORE(array, count, room)                                                              \
	(&((array) = disk_more((array), &(count), &(room), sizeof(*(array))))[(count)-1])

void disk_names_move(struct disk_name **names, size_t *count, size_t *room, const struct disk_move *m);
/* Apply a write to bytes that are large enough. */
void disk_reserve(char **bytes, size_t *room, size_t size);
