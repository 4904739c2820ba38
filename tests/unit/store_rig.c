#include "store_rig.h"
#include "clock.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

void rig_init(struct rig *rig, bool in_memory)
{
	memset(rig, 0, sizeof(*rig));
	rig->options.key_ttl = 3600 * NSEC_PER_SEC;
	rig->options.ballast_bytes = 65536;
	if (in_memory)
		return;
	snprintf(rig->directory, sizeof(rig->directory), "%s/gather-store-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(rig->directory));
	rig->options.directory = rig->directory;
}

static void told_commit(void *arg, const struct store_commit *commit)
{
	struct rig *rig = arg;

	if (commit->number == 0) { /* it died between batches */
		rig->died = commit->error;
		return;
	}
	rig->committed = commit->number;
	rig->error = commit->error;
	rig->refusal_count = commit->refusal_count;
	assert_true(commit->refusal_count <= 64);
	if (commit->refusal_count > 0)
		memcpy(rig->refusals, commit->refusals,
		       commit->refusal_count * sizeof(rig->refusals[0]));
}

int rig_try_open(struct rig *rig)
{
	int r = store_open(&rig->options, &rig->store, rig->why, sizeof(rig->why));

	if (r < 0)
		rig->store = NULL;
	else
		store_on_commit(rig->store, told_commit, rig);
	return r;
}

void rig_open(struct rig *rig)
{
	int r = rig_try_open(rig);

	if (r < 0)
		print_message("# open: %s: %s\n", strerror(-r), rig->why);
	assert_int_equal(r, 0);
}

void rig_close(struct rig *rig)
{
	store_close(rig->store);
	rig->store = NULL;
}

char *rig_path(const struct rig *rig, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", rig->directory, name);
	return path;
}

void rig_remove_files(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}

void rig_done(struct rig *rig)
{
	rig_close(rig);
	if (!rig->directory[0])
		return;
	rig_remove_files(rig->directory);
	rmdir(rig->directory);
}

struct store_batch *rig_batch(struct rig *rig)
{
	struct store_batch *batch = store_batch_new(rig->store);

	assert_non_null(batch);
	return batch;
}

void rig_hand_over(struct rig *rig, struct store_batch *batch, enum store_sync sync)
{
	store_commit(rig->store, batch, ++rig->number, sync);
}

void rig_turn(struct rig *rig, int timeout_ms)
{
	struct pollfd fd = { .fd = store_fd(rig->store), .events = POLLIN };

	assert_true(poll(&fd, 1, timeout_ms) >= 0);
	store_dispatch(rig->store);
}

void rig_wait(struct rig *rig)
{
	int64_t until = clock_monotonic() + PATIENCE_MS * NSEC_PER_MSEC;

	while (rig->committed != rig->number && clock_monotonic() < until)
		rig_turn(rig, 1000);
	assert_int_equal(rig->committed, rig->number);
}

void rig_commit(struct rig *rig, struct store_batch *batch)
{
	rig_hand_over(rig, batch, STORE_SYNC);
	rig_wait(rig);
	if (rig->error)
		print_message("# commit: %s: %s\n", strerror(-rig->error), store_why(rig->store));
	assert_int_equal(rig->error, 0);
}

int64_t rig_now(void)
{
	return clock_wall();
}

struct uuid rig_id(uint64_t sequence)
{
	struct uuid id;

	uuid7_make(&id, 1700000000000 + sequence, 0x123, sequence << 22 | (sequence * 77 & 0x3fffff));
	return id;
}

struct store_job rig_job(uint64_t sequence)
{
	return (struct store_job){
		.id = rig_id(sequence),
		.sequence = sequence,
		.type = SPAN("sleep"),
		.queue = SPAN("default"),
		.durability = DURABILITY_FSYNC,
		.args = SPAN("{\"seconds\":1}"),
		.state = JOB_READY,
		.accepted_wall = (1700000000000 + (int64_t)sequence) * NSEC_PER_MSEC,
	};
}

struct store_job rig_finished(uint64_t sequence, enum job_state state)
{
	struct store_job job = rig_job(sequence);

	job.state = state;
	job.attempts = 1;
	job.token = sequence << 8;
	job.started_wall = job.accepted_wall + 1;
	job.finished_wall = job.accepted_wall + 2;
	job.expires_wall = rig_now() + 3600 * NSEC_PER_SEC;
	job.meta = SPAN("{\"status\":200}");
	job.body = SPAN("done");
	return job;
}

void rig_save(struct rig *rig, const struct store_job *job, bool first)
{
	struct store_batch *batch = rig_batch(rig);

	assert_int_equal(store_save_job(batch, job, first), 0);
	rig_commit(rig, batch);
}

/* ---- copies of what was told ---- */

static void keep(struct span *text, char **texts, size_t *count, size_t limit)
{
	char *copy;

	if (text->size == 0) {
		*text = (struct span){ 0 };
		return;
	}
	assert_true(*count < limit);
	copy = malloc(text->size);
	if (!copy) /* a test makes one allocation fail, and means another */
		copy = malloc(text->size);
	assert_non_null(copy);
	memcpy(copy, text->data, text->size);
	text->data = copy;
	texts[(*count)++] = copy;
}

static void keep_job(struct store_job *job, char **texts, size_t *count, size_t limit)
{
	struct span *all[] = { &job->type,       &job->queue,         &job->options,   &job->args,
			       &job->key,        &job->unique_key,    &job->limit_key, &job->tags,
			       &job->error_code, &job->error_message, &job->meta,      &job->body };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		keep(all[i], texts, count, limit);
}

static void keep_group(struct store_group *group, char **texts, size_t *count, size_t limit)
{
	keep(&group->spec, texts, count, limit);
	keep(&group->members, texts, count, limit);
	keep(&group->progress, texts, count, limit);
	keep(&group->error, texts, count, limit);
}

static void told_rows(void *arg, const struct store_rows *rows)
{
	struct answer *a = arg;

	a->told = true;
	a->error = rows->error;
	a->next = rows->next;
	assert_true(rows->job_count <= 256 && rows->attempt_count <= 16);
	for (size_t i = 0; i < rows->job_count; i++) {
		a->jobs[i] = rows->jobs[i];
		keep_job(&a->jobs[i], a->texts, &a->text_count, 2048);
	}
	for (size_t i = 0; i < rows->attempt_count; i++) {
		a->attempts[i] = rows->attempts[i];
		keep(&a->attempts[i].error_code, a->texts, &a->text_count, 2048);
		keep(&a->attempts[i].error_message, a->texts, &a->text_count, 2048);
		keep(&a->attempts[i].log, a->texts, &a->text_count, 2048);
	}
	assert_true(rows->group_count <= 64);
	for (size_t i = 0; i < rows->group_count; i++)
		a->groups[i] = rows->groups[i].sequence;
	if (rows->group_count) {
		a->group = rows->groups[0];
		keep_group(&a->group, a->texts, &a->text_count, 2048);
	}
	a->job_count = rows->job_count;
	a->attempt_count = rows->attempt_count;
	a->group_count = rows->group_count;
}

void answer_done(struct answer *answer)
{
	while (answer->text_count > 0)
		free(answer->texts[--answer->text_count]);
}

static void wait_answer(struct rig *rig, const struct answer *answer)
{
	int64_t until = clock_monotonic() + PATIENCE_MS * NSEC_PER_MSEC;

	while (!answer->told && clock_monotonic() < until)
		rig_turn(rig, 1000);
	assert_true(answer->told);
}

void rig_read_sequence(struct rig *rig, uint64_t sequence, struct answer *ret_answer)
{
	struct store_read *read;

	memset(ret_answer, 0, sizeof(*ret_answer));
	assert_int_equal(store_read_sequence(rig->store, sequence, told_rows, ret_answer, &read), 0);
	wait_answer(rig, ret_answer);
}

void rig_read_id(struct rig *rig, const struct uuid *id, struct answer *ret_answer)
{
	struct store_read *read;

	memset(ret_answer, 0, sizeof(*ret_answer));
	assert_int_equal(store_read_job(rig->store, id, told_rows, ret_answer, &read), 0);
	wait_answer(rig, ret_answer);
}

void rig_read_group(struct rig *rig, const struct uuid *id, struct answer *ret_answer)
{
	struct store_read *read;

	memset(ret_answer, 0, sizeof(*ret_answer));
	assert_int_equal(store_read_group(rig->store, id, told_rows, ret_answer, &read), 0);
	wait_answer(rig, ret_answer);
}

void rig_read_attempts(struct rig *rig, uint64_t sequence, struct answer *ret_answer)
{
	struct store_read *read;

	memset(ret_answer, 0, sizeof(*ret_answer));
	assert_int_equal(store_read_attempts(rig->store, sequence, told_rows, ret_answer, &read), 0);
	wait_answer(rig, ret_answer);
}

void rig_list(struct rig *rig, const struct store_filter *filter, struct answer *ret_answer)
{
	struct store_read *read;

	memset(ret_answer, 0, sizeof(*ret_answer));
	assert_int_equal(store_list(rig->store, filter, told_rows, ret_answer, &read), 0);
	wait_answer(rig, ret_answer);
}

void rig_list_groups(struct rig *rig, const struct store_filter *filter, struct answer *ret_answer)
{
	struct store_read *read;

	memset(ret_answer, 0, sizeof(*ret_answer));
	assert_int_equal(store_list_groups(rig->store, filter, told_rows, ret_answer, &read), 0);
	wait_answer(rig, ret_answer);
}

int rig_backup(struct rig *rig, const char *path)
{
	static struct answer answer;
	struct store_read *read;

	memset(&answer, 0, sizeof(answer));
	assert_int_equal(store_backup(rig->store, path, told_rows, &answer, &read), 0);
	wait_answer(rig, &answer);
	return answer.error;
}

uint64_t rig_finished_count(struct rig *rig)
{
	struct store_facts facts;
	uint64_t count = 0;

	store_facts(rig->store, &facts);
	for (int i = 0; i < JOB_STATE_LIMIT; i++)
		count += facts.finished[i];
	return count;
}

bool rig_finished_become(struct rig *rig, uint64_t count)
{
	int64_t until = clock_monotonic() + PATIENCE_MS * NSEC_PER_MSEC;

	while (rig_finished_count(rig) != count) {
		if (clock_monotonic() > until)
			return false;
		usleep(2000);
	}
	return true;
}

/* ---- loading ---- */

static int load_job(void *arg, const struct store_job *job)
{
	struct loaded *l = arg;

	if (l->job_count == 256)
		return -E2BIG;
	l->order[l->order_count++] = job->sequence;
	l->jobs[l->job_count] = *job;
	keep_job(&l->jobs[l->job_count++], l->texts, &l->text_count, 4096);
	return 0;
}

static int load_group(void *arg, const struct store_group *group)
{
	struct loaded *l = arg;

	if (l->group_count == 64)
		return -E2BIG;
	l->order[l->order_count++] = group->sequence;
	l->groups[l->group_count] = *group;
	keep_group(&l->groups[l->group_count++], l->texts, &l->text_count, 4096);
	return 0;
}

static int load_document(void *arg, const struct store_document *document)
{
	struct loaded *l = arg;
	struct store_document *copy = &l->documents[l->document_count];

	if (l->document_count++ == 64)
		return -E2BIG;
	*copy = *document;
	keep(&copy->kind, l->texts, &l->text_count, 4096);
	keep(&copy->name, l->texts, &l->text_count, 4096);
	keep(&copy->body, l->texts, &l->text_count, 4096);
	return 0;
}

int rig_try_load(struct rig *rig, struct loaded *ret_loaded)
{
	const struct store_visitor v = {
		.job = load_job, .group = load_group, .document = load_document, .arg = ret_loaded
	};

	memset(ret_loaded, 0, sizeof(*ret_loaded));
	return store_load(rig->store, &v);
}

void rig_load(struct rig *rig, struct loaded *ret_loaded)
{
	int r = rig_try_load(rig, ret_loaded);

	if (r < 0)
		print_message("# load: %s: %s\n", strerror(-r), store_why(rig->store));
	assert_int_equal(r, 0);
}

void loaded_done(struct loaded *loaded)
{
	while (loaded->text_count > 0)
		free(loaded->texts[--loaded->text_count]);
}

/* ---- fixtures ---- */

static int setup(void **state, bool in_memory)
{
	static struct rig rig;

	rig_init(&rig, in_memory);
	rig_open(&rig);
	*state = &rig;
	return 0;
}

int rig_setup_memory(void **state)
{
	return setup(state, true);
}

int rig_setup_sqlite(void **state)
{
	return setup(state, false);
}

int rig_teardown(void **state)
{
	rig_done(*state);
	return 0;
}
