#include "epoch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int read_epoch(int dir, uint32_t *ret_epoch)
{
	char text[16] = "", *end;
	int fd = openat(dir, "epoch", O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		*ret_epoch = 0;
		return errno == ENOENT ? 0 : -errno;
	}
	ssize_t n = read(fd, text, sizeof(text) - 1);
	int r = n < 0 ? -errno : 0;

	close(fd);
	if (r < 0)
		return r;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end != '\n' || value >= UINT32_MAX)
		return -EBADMSG;
	*ret_epoch = (uint32_t)value;
	return 0;
}

static int write_epoch(int dir, uint32_t epoch)
{
	int fd = openat(dir, "epoch.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%u\n", epoch) < 0 || fdatasync(fd) < 0)
		r = -errno;
	close(fd);
	if (r == 0 && (renameat(dir, "epoch.new", dir, "epoch") < 0 || fsync(dir) < 0))
		r = -errno;
	return r;
}

/* Where a full disk has no room for another file. One small write within a sector is never torn. */
static int rewrite_epoch(int dir, uint32_t epoch)
{
	int fd = openat(dir, "epoch", O_WRONLY | O_CLOEXEC), r = 0;

	unlinkat(dir, "epoch.new", 0);
	if (fd < 0)
		return -ENOSPC;
	if (dprintf(fd, "%u\n", epoch) < 0 || fdatasync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

int epoch_next(const char *state_dir, uint32_t *ret_epoch)
{
	uint32_t epoch;
	int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return -errno;
	int r = read_epoch(dir, &epoch);

	if (r == 0) {
		r = write_epoch(dir, ++epoch);
		if (r == -ENOSPC)
			r = rewrite_epoch(dir, epoch);
	}
	close(dir);
	if (r == 0)
		*ret_epoch = epoch;
	return r;
}
