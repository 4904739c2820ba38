/*
 * save_dir.h — bodies saved as files of one directory, under names made of their URLs.
 *
 * A name starts with the job's number, so no two are the same, and holds no character that a shell or a file system
 * minds. Nothing outside of the directory is written, and no link is followed.
 */
#pragma once
#include "strbuf.h"

struct save_dir {
	int fd_plus_one; /* 0: not open */
};

bool save_dir_open(struct save_dir *d, const char *path, char *why, size_t why_size); /* makes it */
void save_dir_close(struct save_dir *d);
#define SAVE_NAME_SIZE 160
void save_name(uint64_t seq, const char *url, size_t size, char name[SAVE_NAME_SIZE]);
/* False: it could not be written; `err` says why. */
bool save_dir_put(struct save_dir *d, uint64_t seq, const char *url, size_t url_size,
		  const void *body, size_t body_size, struct strbuf *err);
