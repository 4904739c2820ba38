#include "store_mark.h"
#include "crc32c.h"
#include "sqlite_store.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "gatherd-store-1 " and 32 + 1 + 20 + 1 + 8 characters and a newline: within one sector, never torn. */
enum { PREFIX_SIZE = 16, LINE_SIZE = 79, SUMMED_SIZE = LINE_SIZE - 9 };
static const char prefix[PREFIX_SIZE + 1] = "gatherd-store-1 ";

static void mark_format(const struct store_mark *mark, char line[LINE_SIZE + 1])
{
	char *out = line + snprintf(line, LINE_SIZE + 1, "%s", prefix);

	for (size_t i = 0; i < sizeof(mark->store_id); i++)
		out += snprintf(out, 3, "%02x", mark->store_id[i]);
	snprintf(out, LINE_SIZE + 1 - (size_t)(out - line), " %020" PRIu64 " %08" PRIx32 "\n",
		 mark->commit_seq, 0);
	snprintf(line + SUMMED_SIZE, 10, "%08" PRIx32 "\n", crc32c(0, line, SUMMED_SIZE));
}

static int mark_parse(const char line[LINE_SIZE + 1], struct store_mark *ret_mark)
{
	struct store_mark mark = { 0 };
	char again[LINE_SIZE + 1];

	for (size_t i = 0; i < sizeof(mark.store_id); i++) {
		if (sscanf(line + PREFIX_SIZE + 2 * i, "%2hhx", &mark.store_id[i]) != 1)
			return -EBADMSG;
	}
	if (sscanf(line + PREFIX_SIZE + 2 * sizeof(mark.store_id), " %20" SCNu64, &mark.commit_seq) != 1)
		return -EBADMSG;
	mark_format(&mark, again);
	if (memcmp(line, again, LINE_SIZE) != 0)
		return -EBADMSG;
	*ret_mark = mark;
	return 0;
}

int mark_read(int directory, struct store_mark *ret_mark)
{
	char line[LINE_SIZE + 2] = "";
	int fd = openat(directory, STORE_MARK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t size;

	if (fd < 0)
		return -errno;
	size = pread(fd, line, LINE_SIZE + 1, 0);
	close(fd);
	if (size < 0)
		return -errno;
	return size == LINE_SIZE ? mark_parse(line, ret_mark) : -EBADMSG;
}

int mark_write(int fd, const struct store_mark *mark)
{
	char line[LINE_SIZE + 1];
	ssize_t size;

	mark_format(mark, line);
	size = pwrite(fd, line, LINE_SIZE, 0);
	if (size < 0)
		return -errno;
	return size == LINE_SIZE ? 0 : -EIO;
}

int mark_create(int directory, const struct store_mark *mark)
{
	int fd = openat(directory, STORE_MARK ".new",
			O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = mark_write(fd, mark);
	if (r >= 0)
		r = file_sync(fd);
	if (r >= 0 && renameat(directory, STORE_MARK ".new", directory, STORE_MARK) < 0)
		r = -errno;
	if (r >= 0)
		r = file_sync(directory);
	if (r >= 0)
		return fd;
	close(fd);
	return r;
}
