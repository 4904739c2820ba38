#include "memory_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL                                                                            \
	0x0008U /* Linux 6.3; where vm.memfd_noexec is 2, files without it are refused */
#endif

int memory_file(const char *name, size_t size, bool fixed)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL), error;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) == 0 &&
	    (!fixed || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

int memory_file_write(int fd, const void *data, size_t size)
{
	const char *at = data;
	size_t done = 0;

	if (ftruncate(fd, (off_t)size) < 0)
		return -errno;
	while (done < size) {
		ssize_t n = pwrite(fd, at + done, size - done, (off_t)done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}
