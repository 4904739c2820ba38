#include "shim.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SEEN_SIZE 1024u /* files of one run; a power of two */

static char directory[PATH_MAX];
static size_t directory_size;
static dev_t device;
static int log_fd = -1;

/* What is known of inode numbers on the device: under the directory or not. A full table only costs time. */
static struct {
	uint64_t file;
	bool inside;
} seen[SEEN_SIZE];
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_wanted_here(void)
{
	const char *only = getenv(SHIM_ONLY_VARIABLE);
	char text[4096] = "";

	if (!only)
		return true;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		syscall(SYS_close, fd);
	return size > 0 && memmem(text, (size_t)size, only, strlen(only));
}

__attribute__((constructor)) static void set_up(void)
{
	const char *wanted = getenv(SHIM_DIRECTORY_VARIABLE), *log = getenv(SHIM_LOG_VARIABLE);
	struct stat st;

	if (!wanted || !is_wanted_here() || !realpath(wanted, directory) || stat(directory, &st) < 0)
		return;
	device = st.st_dev;
	if (log) {
		int fd = (int)syscall(SYS_openat, AT_FDCWD, log,
				      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

		/* Out of the way of programs that count their descriptors. */
		log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200);
		syscall(SYS_close, fd);
		if (log_fd < 0) {
			perror(log);
			_exit(2);
		}
	}
	directory_size = strlen(directory); /* last: the calls work from here on */
}

static bool is_inside(const char *path, const char **ret_rest)
{
	if (!directory_size || strncmp(path, directory, directory_size) != 0 ||
	    (path[directory_size] != '/' && path[directory_size] != '\0'))
		return false;
	*ret_rest = path + directory_size + (path[directory_size] == '/');
	return true;
}

bool shim_path_of_fd(int fd, char ret_path[4096])
{
	char link[64], path[4096];
	const char *rest;
	int error = errno;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t size = readlink(link, path, sizeof(path) - 1);

	errno = error;
	if (size < 0)
		return false;
	path[size] = '\0';
	if (!is_inside(path, &rest))
		return false;
	snprintf(ret_path, 4096, "%s", rest);
	return true;
}

bool shim_path(int dir, const char *name, char ret_path[4096])
{
	const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
	char parent[4096];
	int error = errno;

	if (!directory_size)
		return false;
	if (slash)
		snprintf(parent, sizeof(parent), "%.*s", slash == name ? 1 : (int)(slash - name), name);
	else
		snprintf(parent, sizeof(parent), ".");
	int fd = (int)syscall(SYS_openat, dir, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool inside = fd >= 0 && shim_path_of_fd(fd, parent);

	if (fd >= 0)
		syscall(SYS_close, fd);
	errno = error;
	if (!inside || strlen(parent) + strlen(last) + 2 > 4096)
		return false;
	char *end = stpcpy(ret_path, parent);

	if (parent[0])
		*end++ = '/';
	strcpy(end, last);
	return true;
}

uint64_t shim_file(int fd)
{
	char path[4096];
	struct stat st;
	int error = errno;

	if (!directory_size || fstat(fd, &st) < 0 || st.st_dev != device ||
	    (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		errno = error;
		return 0;
	}
	uint64_t file = st.st_ino;
	unsigned place = (unsigned)(file * 0x9e3779b97f4a7c15u >> 54);

	pthread_mutex_lock(&seen_lock);
	bool known = seen[place].file == file, inside = seen[place].inside;

	pthread_mutex_unlock(&seen_lock);
	if (!known) {
		inside = shim_path_of_fd(fd, path);
		pthread_mutex_lock(&seen_lock);
		seen[place].file = file;
		seen[place].inside = inside;
		pthread_mutex_unlock(&seen_lock);
	}
	errno = error;
	return inside ? file : 0;
}

static uint64_t now(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Where the record went in the log. */
static uint64_t append(struct shim_record *r, const void *data)
{
	static const char zeros[8];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	size_t padding = -r->data_size & 7;
	struct iovec parts[] = { { r, sizeof(*r) },
				 { (void *)(uintptr_t)data, r->data_size },
				 { (void *)(uintptr_t)zeros, padding } };

	r->size = (uint32_t)(sizeof(*r) + r->data_size + padding);
	r->time = now();
	r->pid = (uint32_t)getpid();
	pthread_mutex_lock(&lock);
	if (syscall(SYS_writev, log_fd, parts, 3) != (ssize_t)r->size) {
		static const char text[] = "shim: the log can't be written\n";

		syscall(SYS_write, STDERR_FILENO, text, sizeof(text) - 1);
		_exit(2);
	}
	uint64_t end = (uint64_t)syscall(SYS_lseek, log_fd, 0, SEEK_CUR);

	pthread_mutex_unlock(&lock);
	return end - r->size;
}

void shim_write_record(enum shim_op op, uint64_t file, uint64_t offset, uint64_t length,
		       const void *data, size_t data_size)
{
	struct shim_record r = {
		.op = op, .file = file, .offset = offset, .length = length, .data_size = (uint32_t)data_size
	};
	int error = errno;

	if (log_fd >= 0)
		append(&r, data);
	errno = error;
}

uint64_t shim_sync_begin(int fd, uint64_t file)
{
	char path[4096] = "";
	int error = errno;
	uint64_t at = 0;

	if (log_fd >= 0) {
		struct shim_record r = { .op = SHIM_SYNC_BEGIN, .file = file };

		shim_path_of_fd(fd, path);
		r.data_size = (uint32_t)strlen(path);
		at = append(&r, path);
	}
	errno = error;
	return at;
}

void shim_problem(const char *what)
{
	shim_write_record(SHIM_PROBLEM, 0, 0, 0, what, strlen(what));
}
