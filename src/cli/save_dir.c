#include "save_dir.h"
#include "output.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool save_dir_open(struct save_dir *d, const char *path, char *why, size_t why_size)
{
	int fd;

	if (mkdir(path, 0777) < 0 && errno != EEXIST) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		return false;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		return false;
	}
	d->fd_plus_one = fd + 1;
	return true;
}

void save_dir_close(struct save_dir *d)
{
	if (d->fd_plus_one)
		close(d->fd_plus_one - 1);
	d->fd_plus_one = 0;
}

void save_name(uint64_t seq, const char *url, size_t size, char name[SAVE_NAME_SIZE])
{
	const char *scheme = size > 3 ? memmem(url, size, "://", 3) : NULL;
	size_t i = scheme ? (size_t)(scheme - url) + 3 : 0;
	size_t n = (size_t)snprintf(name, SAVE_NAME_SIZE, "%06" PRIu64 "-", seq);
	bool gap = false;

	for (; i < size && n < SAVE_NAME_SIZE - 2; i++) {
		unsigned char c = (unsigned char)url[i];

		if (isalnum(c) || c == '.' || c == '-') {
			if (gap)
				name[n++] = '_';
			name[n++] = (char)c;
			gap = false;
		} else {
			/* A run of others is one underscore, and none at the end. */
			gap = true;
		}
	}
	name[n] = '\0';
}

bool save_dir_put(struct save_dir *d, uint64_t seq, const char *url, size_t url_size,
		  const void *body, size_t body_size, struct strbuf *err)
{
	char name[SAVE_NAME_SIZE];
	bool good;
	int fd;

	save_name(seq, url, url_size, name);
	fd = openat(d->fd_plus_one - 1, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0666);
	good = fd >= 0 && write_all(fd, body, body_size);
	if (!good)
		sb_printf(err, "%s: not saved: %s\n", name, strerror(errno));
	if (fd >= 0 && close(fd) < 0 && good) {
		sb_printf(err, "%s: not saved: %s\n", name, strerror(errno));
		good = false;
	}
	return good;
}
