/*
 * lines.h — a descriptor read line by line, by somebody who also waits for other things.
 */
#pragma once
#include "strbuf.h"
#include <sys/types.h>

#define LINE_MAX_BYTES ((size_t)1 << 20)

struct lines {
	int fd;
	struct strbuf held; /* read, from `start` on not given out yet */
	size_t start, scanned;
	bool ended;
	uint64_t number; /* of the last line given out */
	uint64_t bytes;  /* given out so far */
	off_t file_size; /* 0: unknown */
};

enum lines_result { LINES_END, LINES_ONE, LINES_WAIT, LINES_TOO_LONG };

void lines_init(struct lines *l, int fd);
void lines_done(struct lines *l);
/* The next line that isn't blank, without its end, valid until the next call. LINES_WAIT: lines_read() first. */
enum lines_result lines_next(struct lines *l, const char **ret_line, size_t *ret_size);
/* One read(2): 0, or -errno. */
int lines_read(struct lines *l);
bool lines_never_block(const struct lines *l); /* a file: reading it need not be waited for */
