/*
 * shim_calls.c — libc's calls that change files. Each: a fault, if one is due; the system call; the record.
 */
#undef _FORTIFY_SOURCE /* it would make other functions of these */
#include "shim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* libc declares some of these with attributes, or under other names: here they only have to exist. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static int fail(int error)
{
	errno = error;
	return -1;
}

/* ---- opening ---- */

static int open_file(int dir, const char *name, int flags, mode_t mode)
{
	char path[4096];
	bool writes = flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR);
	bool inside = writes && !(flags & O_PATH) && shim_path(dir, name, path);
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	struct stat st;

	if (!inside)
		return (int)syscall(SYS_openat, dir, name, flags, mode);
	int fault = shim_fault(CALLS_OPEN, path);

	if (fault)
		return fail(fault);
	bool exists = !unnamed && fstatat(dir, name, &st, 0) == 0;
	int fd = (int)syscall(SYS_openat, dir, name, flags, mode);

	if (fd < 0)
		return fd;
	uint64_t file = shim_file(fd);

	if (unnamed)
		shim_write_record(SHIM_CREATE, file, 0, 0, NULL, 0);
	else if (!exists && flags & O_CREAT)
		shim_write_record(SHIM_CREATE, file, 0, 0, path, strlen(path));
	else
		shim_write_record(SHIM_FOUND, file, 0, 0, path, strlen(path));
	if (exists && flags & O_TRUNC)
		shim_write_record(SHIM_TRUNCATE, file, 0, 0, NULL, 0);
	if (flags & (O_SYNC | O_DSYNC))
		shim_problem("a file is opened with O_SYNC or O_DSYNC");
	return fd;
}

#define OPEN(name)                                                                                 \
	SHIM_EXPORT int name(const char *path, int flags, ...)                                     \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		va_list values;                                                                    \
                                                                                                   \
		va_start(values, flags);                                                           \
		if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)                           \
			mode = va_arg(values, mode_t);                                             \
		va_end(values);                                                                    \
		return open_file(AT_FDCWD, path, flags, mode);                                     \
	}
#define OPEN_AT(name)                                                                              \
	SHIM_EXPORT int name(int dir, const char *path, int flags, ...)                            \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		va_list values;                                                                    \
                                                                                                   \
		va_start(values, flags);                                                           \
		if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)                           \
			mode = va_arg(values, mode_t);                                             \
		va_end(values);                                                                    \
		return open_file(dir, path, flags, mode);                                          \
	}
OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)

SHIM_EXPORT int __open_2(const char *path, int flags)
{
	return open_file(AT_FDCWD, path, flags, 0);
}

SHIM_EXPORT int __open64_2(const char *path, int flags)
{
	return open_file(AT_FDCWD, path, flags, 0);
}

SHIM_EXPORT int __openat_2(int dir, const char *path, int flags)
{
	return open_file(dir, path, flags, 0);
}

SHIM_EXPORT int __openat64_2(int dir, const char *path, int flags)
{
	return open_file(dir, path, flags, 0);
}

SHIM_EXPORT int creat(const char *path, mode_t mode)
{
	return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* ---- writing ---- */

static const char *what_of(int fd, char path[4096])
{
	return shim_path_of_fd(fd, path) ? path : "?";
}

static ssize_t write_bytes(int fd, const void *data, size_t size, off_t offset, bool has_offset)
{
	char path[4096];
	uint64_t file = shim_file(fd);
	int fault = file ? shim_fault(CALLS_WRITE, what_of(fd, path)) : 0;

	if (fault > 0)
		return fail(fault);
	if (fault == SHIM_SHORT)
		size /= 2;
	ssize_t n = has_offset ? syscall(SYS_pwrite64, fd, data, size, offset)
			       : syscall(SYS_write, fd, data, size);

	if (file && n > 0) {
		uint64_t at = (uint64_t)offset;

		if (!has_offset)
			at = (uint64_t)(syscall(SYS_lseek, fd, 0, SEEK_CUR) - n);
		shim_write_record(SHIM_WRITE, file, at, (uint64_t)n, data, (size_t)n);
	}
	return n;
}

SHIM_EXPORT ssize_t write(int fd, const void *data, size_t size)
{
	return write_bytes(fd, data, size, 0, false);
}

SHIM_EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return write_bytes(fd, data, size, offset, true);
}

SHIM_EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	return write_bytes(fd, data, size, offset, true);
}

/* As one write, as the kernel does it. */
static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t offset, bool has_offset)
{
	size_t size = 0, at = 0;

	if (!shim_file(fd))
		return has_offset ? syscall(SYS_pwritev, fd, parts, count, offset, 0)
				  : syscall(SYS_writev, fd, parts, count);
	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	char *all = malloc(size ? size : 1);

	if (!all)
		return fail(ENOMEM);
	for (int i = 0; i < count; at += parts[i++].iov_len)
		memcpy(all + at, parts[i].iov_base, parts[i].iov_len);
	ssize_t n = write_bytes(fd, all, size, offset, has_offset);

	free(all);
	return n;
}

SHIM_EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return write_parts(fd, parts, count, 0, false);
}

SHIM_EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	return write_parts(fd, parts, count, offset, true);
}

SHIM_EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
	return write_parts(fd, parts, count, offset, true);
}

SHIM_EXPORT int vdprintf(int fd, const char *format, va_list values)
{
	char text[4096];
	int size = vsnprintf(text, sizeof(text), format, values);

	if (size >= (int)sizeof(text))
		return fail(EMSGSIZE);
	return size < 0 ? size : (int)write_bytes(fd, text, (size_t)size, 0, false);
}

SHIM_EXPORT int dprintf(int fd, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	int r = vdprintf(fd, format, values);

	va_end(values);
	return r;
}

SHIM_EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list values;

	(void)flag;
	va_start(values, format);
	int r = vdprintf(fd, format, values);

	va_end(values);
	return r;
}

SHIM_EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list values)
{
	(void)flag;
	return vdprintf(fd, format, values);
}

/* ---- syncing ---- */

static int sync_file(long call, int fd)
{
	char path[4096];
	uint64_t file = shim_file(fd);

	if (!file)
		return (int)syscall(call, fd);
	uint64_t begin = shim_sync_begin(fd, file);
	int fault = shim_fault(CALLS_SYNC, what_of(fd, path));
	/* The files of a trial are in memory, and end with it. */
	int r = fault ? fail(fault) : 0;

	shim_write_record(r == 0 ? SHIM_SYNC_END : SHIM_SYNC_FAILED, file, begin, 0, NULL, 0);
	return r;
}

SHIM_EXPORT int fsync(int fd)
{
	return sync_file(SYS_fsync, fd);
}

SHIM_EXPORT int fdatasync(int fd)
{
	return sync_file(SYS_fdatasync, fd);
}

/* ---- sizes ---- */

static int resize(int fd, off_t length, long call, int mode, off_t offset)
{
	char path[4096];
	uint64_t file = shim_file(fd);
	int fault = file ? shim_fault(CALLS_RESIZE, what_of(fd, path)) : 0;
	bool truncates = call == SYS_ftruncate;

	if (fault)
		return fail(fault);
	int r = (int)(truncates ? syscall(call, fd, length) : syscall(call, fd, mode, offset, length));

	if (r < 0 || !file)
		return r;
	if (truncates)
		shim_write_record(SHIM_TRUNCATE, file, 0, (uint64_t)length, NULL, 0);
	else if (mode == 0)
		shim_write_record(SHIM_EXTEND, file, 0, (uint64_t)(offset + length), NULL, 0);
	else if (mode != FALLOC_FL_KEEP_SIZE)
		shim_problem("fallocate with a mode of its own");
	return r;
}

SHIM_EXPORT int ftruncate(int fd, off_t length)
{
	return resize(fd, length, SYS_ftruncate, 0, 0);
}

SHIM_EXPORT int ftruncate64(int fd, off64_t length)
{
	return resize(fd, length, SYS_ftruncate, 0, 0);
}

SHIM_EXPORT int fallocate(int fd, int mode, off_t offset, off_t length)
{
	return resize(fd, length, SYS_fallocate, mode, offset);
}

SHIM_EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	return resize(fd, length, SYS_fallocate, mode, offset);
}

/* Returns the error, and leaves errno alone. */
SHIM_EXPORT int posix_fallocate(int fd, off_t offset, off_t length)
{
	int before = errno, r = resize(fd, length, SYS_fallocate, 0, offset) < 0 ? errno : 0;

	errno = before;
	return r;
}

SHIM_EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
	return posix_fallocate(fd, offset, length);
}

/* ---- names ---- */

static int rename_file(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	char both[2 * 4096];

	if (!shim_path(from_dir, from, both))
		return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	int fault = shim_fault(CALLS_NAME, both);

	if (fault)
		return fail(fault);
	int r = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	size_t size = strlen(both) + 1;

	if (r < 0)
		return r;
	if (flags & ~1u || !shim_path(to_dir, to, both + size))
		shim_problem("a rename out of the directory, or an exchange");
	else
		shim_write_record(SHIM_RENAME, 0, 0, 0, both, size + strlen(both + size));
	return r;
}

SHIM_EXPORT int rename(const char *from, const char *to)
{
	return rename_file(AT_FDCWD, from, AT_FDCWD, to, 0);
}

SHIM_EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return rename_file(from_dir, from, to_dir, to, 0);
}

SHIM_EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return rename_file(from_dir, from, to_dir, to, flags);
}

static int unlink_file(int dir, const char *name, int flags)
{
	char path[4096];

	if (!shim_path(dir, name, path))
		return (int)syscall(SYS_unlinkat, dir, name, flags);
	int fault = shim_fault(CALLS_NAME, path);

	if (fault)
		return fail(fault);
	int r = (int)syscall(SYS_unlinkat, dir, name, flags);

	if (r == 0)
		shim_write_record(SHIM_UNLINK, 0, 0, 0, path, strlen(path));
	return r;
}

SHIM_EXPORT int unlink(const char *path)
{
	return unlink_file(AT_FDCWD, path, 0);
}

SHIM_EXPORT int unlinkat(int dir, const char *path, int flags)
{
	return unlink_file(dir, path, flags);
}

SHIM_EXPORT int rmdir(const char *path)
{
	return unlink_file(AT_FDCWD, path, AT_REMOVEDIR);
}

static int link_file(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	char path[4096];
	struct stat st;

	if (!shim_path(to_dir, to, path))
		return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
	int fault = shim_fault(CALLS_NAME, path);

	if (fault)
		return fail(fault);
	int r = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);

	if (r == 0 && fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		shim_write_record(SHIM_LINK, st.st_ino, 0, 0, path, strlen(path));
	return r;
}

SHIM_EXPORT int link(const char *from, const char *to)
{
	return link_file(AT_FDCWD, from, AT_FDCWD, to, 0);
}

SHIM_EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return link_file(from_dir, from, to_dir, to, flags);
}

static int make_directory(int dir, const char *name, mode_t mode)
{
	char path[4096];

	if (!shim_path(dir, name, path))
		return (int)syscall(SYS_mkdirat, dir, name, mode);
	int fault = shim_fault(CALLS_NAME, path);

	if (fault)
		return fail(fault);
	int r = (int)syscall(SYS_mkdirat, dir, name, mode);

	if (r == 0)
		shim_write_record(SHIM_DIRECTORY, 0, 0, 0, path, strlen(path));
	return r;
}

SHIM_EXPORT int mkdir(const char *path, mode_t mode)
{
	return make_directory(AT_FDCWD, path, mode);
}

SHIM_EXPORT int mkdirat(int dir, const char *path, mode_t mode)
{
	return make_directory(dir, path, mode);
}

/* ---- what the log can't hold ---- */

static void *map(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	char path[4096];

	if (flags & MAP_SHARED && protection & PROT_WRITE && fd >= 0 && shim_file(fd))
		shim_problem(what_of(fd, path));
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

SHIM_EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return map(address, size, protection, flags, fd, offset);
}

SHIM_EXPORT void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
	return map(address, size, protection, flags, fd, offset);
}
