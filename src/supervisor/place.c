#include "place.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		/* The umask may be tighter than what was asked for, and is of no use here. */
		return chmod(path, mode) < 0 ? -errno : 1;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int place_make(const char *path, mode_t mode)
{
	char parent[PATH_MAX];
	int r = make_one(path, mode);

	if (r != -ENOENT)
		return r;
	if ((size_t)snprintf(parent, sizeof(parent), "%s", path) >= sizeof(parent))
		return -ENAMETOOLONG;
	for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = make_one(parent, 0755);
		if (r < 0)
			return r;
		*slash = '/';
	}
	return make_one(path, mode);
}

int place_make_own(const char *path)
{
	struct stat st;
	int r = place_make(path, 0700);

	if (r != 0)
		return r;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

static pid_t holder_read(int fd)
{
	char text[32];
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);

	if (size <= 0)
		return 0;
	text[size] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

int place_lock(const char *directory, int *ret_fd, pid_t *ret_holder)
{
	char path[PATH_MAX], text[32];
	int fd, error, size;

	if ((size_t)snprintf(path, sizeof(path), "%s/lock", directory) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		error = -errno;
		*ret_holder = holder_read(fd);
		close(fd);
		return error;
	}
	/* The pid is a hint for people: the lock holds without it. */
	size = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)size, 0) != size) {
		error = -errno;
		close(fd);
		return error ? error : -EIO;
	}
	*ret_fd = fd;
	return 0;
}

static int remove_visited(const char *path, const struct stat *st GA_UNUSED, int kind GA_UNUSED,
			  struct FTW *where GA_UNUSED)
{
	(void)remove(path); /* what fails to go makes its directory stay: seen by whoever looks */
	return 0;
}

void place_remove(const char *path)
{
	nftw(path, remove_visited, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
