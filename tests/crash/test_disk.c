/* The disk that a shim's log makes: what surely is on it, and what may be. */
#include "disk_parts.h"
#include "tap_main.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEEDS 400
#define ROOT 7u /* inode numbers */
#define FILE_NUMBER 8u

/* A log under construction. */
struct tape {
	_Alignas(8) char bytes[256 * 1024];
	size_t size, applied;
	struct disk *disk;
};

static uint64_t put(struct tape *t, enum shim_op op, uint64_t file, uint64_t offset,
		    uint64_t length, const void *data, size_t data_size)
{
	struct shim_record *r = (void *)(t->bytes + t->size);
	uint64_t at = t->size;

	*r = (struct shim_record){ .size = (uint32_t)((sizeof(*r) + data_size + 7) & ~7ul),
				   .op = op,
				   .file = file,
				   .offset = offset,
				   .length = length,
				   .data_size = (uint32_t)data_size };
	if (data_size)
		memcpy(r + 1, data, data_size);
	t->size += r->size;
	assert_true(t->size <= sizeof(t->bytes));
	disk_apply(t->disk, t->bytes, r);
	return at;
}

static void create(struct tape *t, uint64_t file, const char *path)
{
	put(t, SHIM_CREATE, file, 0, 0, path, strlen(path));
}

static void fill(struct tape *t, uint64_t offset, size_t size, char byte)
{
	char *bytes = malloc(size);

	assert_non_null(bytes);
	memset(bytes, byte, size);
	put(t, SHIM_WRITE, FILE_NUMBER, offset, size, bytes, size);
	free(bytes);
}

static void sync_as(struct tape *t, uint64_t file, enum shim_op end)
{
	put(t, end, file, put(t, SHIM_SYNC_BEGIN, file, 0, 0, "", 0), 0, NULL, 0);
}

static int set_up(void **state)
{
	struct tape *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->disk = disk_new();
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct tape *t = *state;

	disk_free(t->disk);
	free(t);
	return 0;
}

/* The bytes of `name` in an image of this seed; -1: it has no such file. */
static ssize_t image(struct tape *t, uint64_t seed, const char *name, char *out, size_t size)
{
	char directory[] = "/tmp/test_disk.XXXXXX", what[96], path[64];
	struct dirent *entry;

	assert_non_null(mkdtemp(directory));
	disk_image(t->disk, seed, directory, what, sizeof(what));
	int dir = open(directory, O_RDONLY | O_DIRECTORY), fd = openat(dir, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size);

	close(fd);
	DIR *list = fdopendir(dir);

	while ((entry = readdir(list)))
		(void)unlinkat(dir, entry->d_name, 0);
	closedir(list);
	snprintf(path, sizeof(path), "%s", directory);
	assert_int_equal(rmdir(path), 0);
	return n;
}

static void start(struct tape *t)
{
	create(t, FILE_NUMBER, "f");
	sync_as(t, ROOT, SHIM_SYNC_END);
}

static bool is_all(const char *bytes, size_t size, char byte)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != byte)
			return false;
	return true;
}

static void what_was_synced_is_in_every_image(void **state)
{
	struct tape *t = *state;
	char bytes[9000];

	start(t);
	fill(t, 0, 6000, 'a');
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END);
	fill(t, 6000, 2000, 'b');
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		ssize_t n = image(t, seed, "f", bytes, sizeof(bytes));

		assert_in_range(n, 6000, 8000);
		assert_true(is_all(bytes, 6000, 'a'));
	}
}

static void what_was_not_is_kept_lost_or_torn(void **state)
{
	struct tape *t = *state;
	unsigned kept = 0, lost = 0, torn = 0;
	char bytes[8192];

	start(t);
	fill(t, 0, 8192, 'a');
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END);
	fill(t, 0, 8192, 'b');
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		assert_int_equal(image(t, seed, "f", bytes, sizeof(bytes)), 8192);
		kept += is_all(bytes, 8192, 'b');
		lost += is_all(bytes, 8192, 'a');
		torn += bytes[0] != bytes[8191] || bytes[0] != bytes[512];
		for (size_t sector = 0; sector < 16; sector++)
			assert_true(is_all(bytes + 512 * sector, 512, bytes[512 * sector]));
	}
	assert_true(kept > SEEDS / 20 && lost > SEEDS / 20 && torn > SEEDS / 20);
}

static void a_unit_shows_a_moment_of_its_history(void **state)
{
	struct tape *t = *state;
	char bytes[512];

	start(t);
	fill(t, 0, 512, 'a');
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END);
	fill(t, 0, 100, 'b');
	fill(t, 100, 100, 'c');
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		assert_int_equal(image(t, seed, "f", bytes, sizeof(bytes)), 512);
		if (bytes[150] == 'c')
			assert_true(is_all(bytes, 100, 'b'));
	}
}

static void a_name_is_lost_until_its_directory_is_synced(void **state)
{
	struct tape *t = *state;
	unsigned there = 0;
	char bytes[16];

	create(t, FILE_NUMBER, "f");
	fill(t, 0, 10, 'a');
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END);
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		there += image(t, seed, "f", bytes, sizeof(bytes)) >= 0;
	assert_in_range(there, SEEDS / 10, SEEDS * 9 / 10);
	sync_as(t, ROOT, SHIM_SYNC_END);
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		assert_int_equal(image(t, seed, "f", bytes, sizeof(bytes)), 10);
}

static void a_rename_is_whole_or_not_at_all(void **state)
{
	struct tape *t = *state;
	unsigned renamed = 0;
	char bytes[16];

	start(t);
	fill(t, 0, 10, 'a');
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END);
	put(t, SHIM_RENAME, 0, 0, 0, "f\0g", 3);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		bool old = image(t, seed, "f", bytes, sizeof(bytes)) == 10;
		bool new = image(t, seed, "g", bytes, sizeof(bytes)) == 10;

		assert_true(old != new);
		renamed += new;
	}
	assert_in_range(renamed, SEEDS / 10, SEEDS * 9 / 10);
}

static void what_a_failed_sync_covered_needs_to_be_written_again(void **state)
{
	struct tape *t = *state;
	unsigned lost = 0;
	char bytes[8192];

	start(t);
	fill(t, 0, 8192, 'a');
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END);
	fill(t, 0, 8192, 'b');
	sync_as(t, FILE_NUMBER, SHIM_SYNC_FAILED);
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END); /* says that all is well, and wrote nothing */
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		image(t, seed, "f", bytes, sizeof(bytes));
		lost += bytes[5000] == 'a';
	}
	assert_true(lost > SEEDS / 4);
	fill(t, 4096, 1, 'c'); /* the page with it */
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		image(t, seed, "f", bytes, sizeof(bytes));
		assert_true(bytes[4096] == 'c' && is_all(bytes + 4097, 4095, 'b'));
	}
}

static void what_is_truncated_does_not_come_back(void **state)
{
	struct tape *t = *state;
	char bytes[8192];

	start(t);
	fill(t, 0, 8192, 'a');
	sync_as(t, FILE_NUMBER, SHIM_SYNC_END);
	put(t, SHIM_TRUNCATE, FILE_NUMBER, 0, 0, NULL, 0);
	fill(t, 4096, 4096, 'b');
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		ssize_t n = image(t, seed, "f", bytes, sizeof(bytes));

		/* Not yet truncated, truncated, or grown again over nothing. */
		assert_true(n == 0 || n == 8192);
		if (n == 8192 && bytes[0] != 'a')
			assert_true(is_all(bytes, 4096, '\0'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_synced_is_in_every_image, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_not_is_kept_lost_or_torn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_unit_shows_a_moment_of_its_history, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_name_is_lost_until_its_directory_is_synced,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rename_is_whole_or_not_at_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_failed_sync_covered_needs_to_be_written_again,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_truncated_does_not_come_back, set_up, tear_down),
	};

	return TAP_RUN(tests);
}
