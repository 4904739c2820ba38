#include "store_image.h"
#include "crc32c.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const image_names[FILES] = { "store.db", "store.db-wal", "store.mark" };

struct image crashed, closed;
struct rig rig;
unsigned refused, recovered;

/* ---- images ---- */

void image_take(struct image *image, const struct rig *from)
{
	for (int i = 0; i < FILES; i++) {
		int fd = open(rig_path(from, image_names[i]), O_RDONLY);
		struct stat st;

		image->data[i] = NULL;
		if (fd < 0)
			continue;
		assert_int_equal(fstat(fd, &st), 0);
		image->size[i] = (size_t)st.st_size;
		image->data[i] = malloc(image->size[i] + 1);
		assert_non_null(image->data[i]);
		assert_int_equal(read(fd, image->data[i], image->size[i]), st.st_size);
		close(fd);
	}
}

void image_free(struct image *image)
{
	for (int i = 0; i < FILES; i++)
		free(image->data[i]);
}

void file_write(const char *name, const char *data, size_t size)
{
	int fd = open(rig_path(&rig, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
	close(fd);
}

void image_put(const struct image *image)
{
	rig_remove_files(rig.directory);
	for (int i = 0; i < FILES; i++) {
		if (image->data[i])
			file_write(image_names[i], image->data[i], image->size[i]);
	}
}

/* ---- content ---- */

static uint32_t digest_text(uint32_t digest, struct span text)
{
	digest = crc32c(digest, &text.size, sizeof(text.size));
	return text.size ? crc32c(digest, text.data, text.size) : digest;
}

static uint32_t digest_job(uint32_t digest, const struct store_job *job)
{
	uint64_t numbers[] = { job->sequence, (uint64_t)job->state, job->token,
			       (uint64_t)job->attempts };

	digest = crc32c(digest, numbers, sizeof(numbers));
	digest = crc32c(digest, &job->id, sizeof(job->id));
	digest = digest_text(digest, job->type);
	digest = digest_text(digest, job->key);
	digest = digest_text(digest, job->args);
	return digest_text(digest, job->body);
}

static int visit_job(void *arg, const struct store_job *job)
{
	*(uint32_t *)arg = digest_job(*(uint32_t *)arg, job);
	return 0;
}

static int visit_group(void *arg, const struct store_group *group)
{
	uint32_t *digest = arg;

	*digest = crc32c(*digest, &group->sequence, sizeof(group->sequence));
	*digest = digest_text(*digest, group->members);
	return 0;
}

static int visit_document(void *arg, const struct store_document *document)
{
	*(uint32_t *)arg = digest_text(*(uint32_t *)arg, document->body);
	return 0;
}

struct reading {
	uint32_t digest;
	int error;
	unsigned told;
};

static void read_row(void *arg, const struct store_rows *rows)
{
	struct reading *r = arg;

	r->told++;
	if (rows->error)
		r->error = rows->error;
	for (size_t i = 0; i < rows->job_count; i++)
		r->digest = digest_job(r->digest, &rows->jobs[i]);
	for (size_t i = 0; i < rows->attempt_count; i++)
		r->digest = digest_text(r->digest, rows->attempts[i].log);
}

/* All that an open store has: 0, or what a read said. */
static int content(uint32_t *ret_digest)
{
	struct reading reading = { 0 };
	const struct store_visitor v = { visit_job, visit_group, visit_document, &reading.digest };
	int r = store_load(rig.store, &v);
	struct store_read *read;

	if (r < 0)
		return r;
	for (uint64_t i = 1; i <= JOBS; i++) {
		assert_int_equal(store_read_sequence(rig.store, i, read_row, &reading, &read), 0);
		assert_int_equal(store_read_attempts(rig.store, i, read_row, &reading, &read), 0);
	}
	while (reading.told < 2 * JOBS)
		rig_turn(&rig, 1000);
	*ret_digest = reading.digest;
	return reading.error;
}

static void commit_job(uint64_t i, const char *body)
{
	struct store_attempt attempt = { .sequence = i, .attempt = 1, .log = SPAN("first\n") };
	struct store_group group = { .id = rig_id(1000 + i),
				     .sequence = 1000 + i,
				     .state = JOB_RUNNING,
				     .members = { body, 64 } };
	struct store_document document = { SPAN("timetable"), { body, 3 }, { body, 200 } };
	struct store_job job = i % 3 ? rig_job(i) : rig_finished(i, JOB_SUCCEEDED);
	struct store_batch *batch = rig_batch(&rig);
	char key[32];

	snprintf(key, sizeof(key), "key-%d", (int)i);
	job.key = span_of(key);
	job.accepted_wall = rig_now();
	if (i % 3 == 0)
		job.body = (struct span){ body, i * 200 };
	job.args = (struct span){ body + 100, i % 7 * 300 };
	assert_int_equal(store_save_job(batch, &job, true), 0);
	assert_int_equal(store_save_attempt(batch, &attempt), 0);
	assert_int_equal(store_save_group(batch, &group, true), 0);
	assert_int_equal(store_save_document(batch, &document), 0);
	rig_commit(&rig, batch);
}

void fill(uint64_t from, uint64_t to)
{
	static char body[16384];

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)('a' + i * 7 % 26);
	for (uint64_t i = from; i <= to; i++)
		commit_job(i, body + i);
}

/* Leaves a list of free pages behind. */
static void fill_and_remove(void)
{
	static char body[65536];
	struct store_job job = rig_finished(5000, JOB_SUCCEEDED);
	struct store_batch *batch = rig_batch(&rig);

	job.body = (struct span){ body, sizeof(body) };
	rig_save(&rig, &job, true);
	assert_int_equal(store_remove(batch, 5000), 0);
	rig_commit(&rig, batch);
}

int images_make(void **state)
{
	(void)state;
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1); /* each trial opens a store, with its syncs */
	rig_init(&rig, false);
	rig_open(&rig);
	fill_and_remove();
	fill(1, JOBS / 2);
	fill_and_remove();
	rig_close(&rig);
	rig_open(&rig);
	fill(JOBS / 2 + 1, JOBS);
	image_take(&crashed, &rig);
	assert_int_equal(content(&crashed.digest), 0);
	rig_close(&rig);
	image_take(&closed, &rig);
	closed.digest = crashed.digest;
	assert_null(closed.data[WAL]);
	assert_true(crashed.size[WAL] > 4096L * JOBS / 2);
	return 0;
}

int images_free(void **state)
{
	(void)state;
	image_free(&crashed);
	image_free(&closed);
	rig_done(&rig);
	return 0;
}

/* ---- trials ---- */

/* Open what is there: with all its content, or not at all. */
void try_it(const struct image *image, const char *what, size_t place)
{
	uint32_t digest = 0;
	int r = rig_try_open(&rig);

	if (r < 0) {
		if (r != -EBADMSG || !rig.why[0])
			print_message("# %s %zu: %d %s\n", what, place, r, rig.why);
		assert_int_equal(r, -EBADMSG);
		assert_true(rig.why[0]);
		refused++;
		return;
	}
	r = content(&digest);
	if (r < 0)
		print_message("# %s\n", store_why(rig.store));
	rig_close(&rig);
	if (r < 0 || digest != image->digest)
		print_message("# %s %zu: %s\n", what, place, r ? strerror(-r) : "other content");
	assert_int_equal(r, 0);
	assert_int_equal(digest, image->digest);
	recovered++;
}

void refused_for(const char *word)
{
	int r = rig_try_open(&rig);

	if (r != -EBADMSG)
		print_message("# '%s': %d %s\n", word, r, rig.why);
	assert_int_equal(r, -EBADMSG);
	if (!strstr(rig.why, word))
		print_message("# '%s' isn't in: %s\n", word, rig.why);
	assert_non_null(strstr(rig.why, word));
}
