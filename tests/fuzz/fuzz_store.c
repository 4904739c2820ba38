/*
 * fuzz_store.c — whatever lies in a store's directory, opening it ends well: with all that was committed, or with a
 * reason. The first byte says what the others are: the database, the log beside a good database, the mark, or a list of
 * bytes to change in the files that a crash left (file, offset, value).
 */
#include "clock.h"
#include "crc32c.h"
#include "store.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 3, JOBS = 12, EDIT_SIZE = 5 };
static const char *const names[FILES] = { "store.db", "store.db-wal", "store.mark" };
static const char *const others[] = { "store.lock",          "store.ballast",    "store.db.new",
				      "store.mark.new",      "store.db-journal", "store.db.new-wal",
				      "store.db.new-journal" };

static char directory[64];
static struct {
	uint8_t *data;
	size_t size;
} image[FILES];
static uint32_t good;

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void remove_files(void)
{
	for (size_t i = 0; i < FILES; i++)
		unlink(path_of(names[i]));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		unlink(path_of(others[i]));
}

static void remove_all(void)
{
	remove_files();
	rmdir(directory);
}

static void file_write(const char *name, const void *data, size_t size)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

static void file_read(int i)
{
	int fd = open(path_of(names[i]), O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		abort();
	image[i].size = (size_t)st.st_size;
	image[i].data = malloc(image[i].size);
	if (!image[i].data || read(fd, image[i].data, image[i].size) != st.st_size)
		abort();
	close(fd);
}

/* ---- a store ---- */

static struct store *store_try(char why[256])
{
	const struct store_options options = { .directory = directory,
					       .key_ttl = 3600 * NSEC_PER_SEC,
					       .ballast_bytes = 4096 };
	struct store *s;

	return store_open(&options, &s, why, 256) < 0 ? NULL : s;
}

static void on_commit(void *arg, const struct store_commit *commit)
{
	if (commit->error)
		abort();
	*(uint64_t *)arg = commit->number;
}

static void save_job(struct store *s, uint64_t sequence)
{
	char body[3000];
	struct store_job job = { .sequence = sequence,
				 .type = SPAN("http"),
				 .queue = SPAN("default"),
				 .args = { body, sequence * 250 },
				 .key = { body, sequence + 1 },
				 .state = sequence % 3 ? JOB_READY : JOB_FAILED,
				 .accepted_wall = clock_wall() };
	struct store_batch *batch = store_batch_new(s);
	uint64_t committed = 0;

	memset(body, 'a' + (int)sequence, sizeof(body));
	store_on_commit(s, on_commit, &committed);
	if (!batch || store_save_job(batch, &job, true) < 0)
		abort();
	store_commit(s, batch, sequence, STORE_SYNC);
	while (committed != sequence) {
		struct pollfd fd = { .fd = store_fd(s), .events = POLLIN };

		poll(&fd, 1, 1000);
		store_dispatch(s);
	}
}

static int visit_job(void *arg, const struct store_job *job)
{
	uint32_t *digest = arg;

	*digest = crc32c(*digest, &job->sequence, sizeof(job->sequence));
	*digest = crc32c(*digest, job->args.data, job->args.size);
	return 0;
}

static int visit_group(void *arg, const struct store_group *group)
{
	return visit_job(arg, &(struct store_job){ .sequence = group->sequence });
}

static int visit_document(void *arg, const struct store_document *document)
{
	*(uint32_t *)arg = crc32c(1, document->body.data, document->body.size);
	return 0;
}

/* 1: it opened, and has told all. */
static int try_open(uint32_t *ret_digest)
{
	const struct store_visitor v = { visit_job, visit_group, visit_document, ret_digest };
	char why[256] = "";
	struct store *s = store_try(why);
	int r;

	*ret_digest = 0;
	if (!s) {
		if (!why[0])
			abort();
		return 0;
	}
	r = store_load(s, &v);
	if (r < 0 && !store_why(s)[0])
		abort();
	store_close(s);
	return r >= 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char why[256] = "";
	struct store *s;

	(void)argc;
	(void)argv;
	snprintf(directory, sizeof(directory), "%s/gather-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(directory))
		abort();
	atexit(remove_all);
	s = store_try(why);
	for (uint64_t i = 1; s && i <= JOBS; i++) {
		save_job(s, i);
		if (i == JOBS / 2) {
			store_close(s);
			s = store_try(why);
		}
	}
	if (!s)
		abort();
	for (int i = 0; i < FILES; i++)
		file_read(i);
	store_close(s);
	if (!try_open(&good))
		abort();
	return 0;
}

/* ---- inputs ---- */

static void files_write(int except)
{
	for (int i = 0; i < FILES; i++) {
		if (i != except)
			file_write(names[i], image[i].data, image[i].size);
	}
}

/* Changes that no checksum was made to fit: nothing else than what was committed may come of them. */
static void try_edits(const uint8_t *data, size_t size)
{
	uint32_t digest;

	files_write(-1);
	for (; size >= EDIT_SIZE; data += EDIT_SIZE, size -= EDIT_SIZE) {
		int file = data[0] % FILES;
		uint64_t at = ((uint64_t)data[1] << 16 | data[2] << 8 | data[3]) % image[file].size;
		int fd = open(path_of(names[file]), O_WRONLY);

		if (fd < 0 || pwrite(fd, &data[4], 1, (off_t)at) != 1)
			abort();
		close(fd);
	}
	if (try_open(&digest) && digest != good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int file = size > 0 ? data[0] % (FILES + 1) : 0;
	uint32_t ignored;

	remove_files();
	if (file == FILES) {
		try_edits(data + 1, size - 1);
		return 0;
	}
	files_write(file);
	file_write(names[file], data + 1, size > 0 ? size - 1 : 0);
	(void)try_open(&ignored);
	return 0;
}
