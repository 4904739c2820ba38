#include "ledger_file.h"
#include "clock.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_in(const char *directory, const char *name, int flags)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		errx(2, "%s: too long", directory);
	return open(path, flags | O_CLOEXEC, 0600);
}

int ledger_open(const char *directory, const char *name)
{
	int fd = open_in(directory, name, O_WRONLY | O_CREAT | O_APPEND);

	if (fd < 0)
		err(2, "%s/%s", directory, name);
	return fd;
}

void ledger_append(int fd, const struct ledger_entry *entries, size_t count)
{
	size_t size = count * sizeof(*entries);

	if (size && write(fd, entries, size) != (ssize_t)size)
		err(2, "the ledger");
}

size_t ledger_read(const char *directory, const char *name, struct ledger_entry **ret_entries)
{
	int fd = open_in(directory, name, O_RDONLY);
	struct stat st;

	*ret_entries = NULL;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		err(2, "%s/%s", directory, name);
	/* Each entry was one write: half of one would be a reader's error, not a killed writer's. */
	if (st.st_size % (off_t)sizeof(**ret_entries))
		errx(2, "%s/%s: not whole entries", directory, name);
	size_t size = (size_t)st.st_size;

	*ret_entries = malloc(size ? size : 1);
	if (!*ret_entries)
		errx(2, "no memory");
	for (size_t at = 0; at < size;) {
		ssize_t n = read(fd, (char *)*ret_entries + at, size - at);

		if (n <= 0)
			err(2, "%s/%s", directory, name);
		at += (size_t)n;
	}
	close(fd);
	return size / sizeof(**ret_entries);
}

uint64_t ledger_now(void)
{
	return (uint64_t)clock_monotonic();
}

uint64_t ledger_mix(uint64_t seed, uint64_t number)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + number;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}
