/*
 * Images of a daemon's state directory: from the log of a run under load, with the marks of a producer. Which jobs there are
 * isn't known beforehand, but those that were accepted to survive have to be there, and those whose success was told have
 * to have succeeded.
 */
#include "map.h"
#include "power.h"
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LATEST                                                                                     \
	150u /* promises whose jobs are read one by one, if they aren't among the unfinished */
#define PATIENCE_MS 10000

struct promise {
	struct uuid id;
	bool done;
};

struct promises {
	struct promise *all;
	size_t count, room;
};

struct look {
	struct store *store;
	struct map loaded; /* ids of unfinished jobs */
	const struct promise *asked;
	char *why;
	size_t why_size;
	bool answered, lost;
};

static bool id_matches(const void *item, const void *key)
{
	return memcmp(item, key, sizeof(struct uuid)) == 0;
}

static uint64_t id_hash(const struct uuid *id)
{
	return hash_bytes(id->b, sizeof(id->b));
}

static int visit_job(void *arg, const struct store_job *job)
{
	struct look *l = arg;
	struct uuid *id = malloc(sizeof(*id));

	if (!id)
		return -ENOMEM;
	*id = job->id;
	return map_put(&l->loaded, id_hash(id), id);
}

static int visit_group(void *arg, const struct store_group *group)
{
	(void)arg;
	(void)group;
	return 0;
}

static int visit_document(void *arg, const struct store_document *document)
{
	(void)arg;
	(void)document;
	return 0;
}

static void tell_lost(struct look *l, const char *what)
{
	char text[UUID_TEXT_SIZE];

	uuid_format(&l->asked->id, text);
	snprintf(l->why, l->why_size, "job %s, %s, %s", text,
		 l->asked->done ? "whose success was told" : "which was accepted", what);
	l->lost = true;
}

static void on_rows(void *arg, const struct store_rows *rows)
{
	struct look *l = arg;

	l->answered = true;
	if (rows->error < 0 || rows->job_count != 1)
		tell_lost(l, "isn't there");
	else if (l->asked->done && rows->jobs->state != JOB_SUCCEEDED)
		tell_lost(l, job_state_name(rows->jobs->state));
}

static void look_for(struct look *l, const struct promise *promise)
{
	struct pollfd p = { .fd = store_fd(l->store), .events = POLLIN };
	struct store_read *read;

	l->asked = promise;
	if (map_get(&l->loaded, id_hash(&promise->id), &promise->id)) {
		if (promise->done)
			tell_lost(l, "is unfinished");
		return;
	}
	l->answered = false;
	if (store_read_job(l->store, &promise->id, on_rows, l, &read) < 0)
		errx(2, "no memory");
	while (!l->answered) {
		if (poll(&p, 1, PATIENCE_MS) <= 0)
			errx(1, "the store doesn't answer");
		store_dispatch(l->store);
	}
}

static void loaded_free(struct map *loaded)
{
	struct uuid *id;

	while ((id = map_take_any(loaded)))
		free(id);
	map_done(loaded);
}

static enum verdict look(const char *image, const struct promises *promises, char *ret_why,
			 size_t why_size)
{
	const struct store_visitor visitor = { .job = visit_job,
					       .group = visit_group,
					       .document = visit_document };
	struct look l = { .why = ret_why, .why_size = why_size };
	char path[300];

	snprintf(path, sizeof(path), "%s/store", image);
	/* Nothing of it is there: then nothing was promised, and a daemon would start anew. */
	if (access(path, F_OK) < 0) {
		snprintf(ret_why, why_size, "there is no store, and %zu jobs were accepted",
			 promises->count);
		return promises->count ? VERDICT_LOST : VERDICT_KEPT;
	}
	struct store_options options = store_check_options(path);
	struct store_visitor v = visitor;

	map_init(&l.loaded, id_matches);
	v.arg = &l;
	if (store_open(&options, &l.store, ret_why, why_size) < 0)
		return VERDICT_UNOPENABLE;
	if (store_load(l.store, &v) < 0) {
		snprintf(ret_why, why_size, "it can't be loaded: %s", store_why(l.store));
		l.lost = true;
	}
	for (size_t i = promises->count; i-- > 0 && promises->count - i <= LATEST && !l.lost;)
		look_for(&l, &promises->all[i]);
	store_close(l.store);
	loaded_free(&l.loaded);
	return l.lost ? VERDICT_LOST : VERDICT_KEPT;
}

static void note(struct promises *promises, const struct shim_record *r)
{
	if (r->op != SHIM_MARK || (r->file != MARK_PROMISED && r->file != MARK_DONE))
		return;
	if (promises->count == promises->room) {
		promises->room = promises->room ? promises->room * 2 : 256;
		promises->all = realloc(promises->all, promises->room * sizeof(*promises->all));
		if (!promises->all)
			errx(2, "no memory");
	}
	struct promise *p = &promises->all[promises->count++];

	memcpy(p->id.b, r + 1, sizeof(p->id.b));
	p->done = r->file == MARK_DONE;
}

static bool try_one(struct run *r, const struct point *point, const struct disk *disk,
		    const struct promises *promises)
{
	char image[256], what[96], why[512] = "";
	struct figures *f = r->power->figures;

	snprintf(image, sizeof(image), "%s/image", r->directory);
	directory_fresh(image);
	disk_image(disk, point->seed, image, what, sizeof(what));
	enum verdict verdict = look(image, promises, why, sizeof(why));

	f->images++;
	f->verdicts[verdict]++;
	f->changes += disk_pending(disk);
	if (verdict != VERDICT_KEPT)
		run_wrong(r, "power lost at %llu (%s): %s: %s", (unsigned long long)point->at, what,
			  verdict_names[verdict], why);
	return verdict == VERDICT_KEPT;
}

void power_daemon(struct power *p, const char *log_path)
{
	struct point *points = calloc(p->images + 1, sizeof(*points));
	struct promises promises = { 0 };
	struct disk *disk = disk_new();
	struct run r;
	size_t size, next = 0;
	char *log = log_read(log_path, &size);

	if (!points)
		errx(2, "no memory");
	run_open(&r, p, 1, "daemon");
	points_choose(log, size, &r.random, points, p->images);
	for (size_t at = 0; at < size;) {
		const struct shim_record *record = (const void *)(log + at);

		for (; next < p->images && points[next].at <= at; next++)
			(void)try_one(&r, &points[next], disk, &promises);
		disk_apply(disk, log, record);
		note(&promises, record);
		at += record->size;
	}
	printf("promises=%zu\n", promises.count);
	run_close(&r);
	disk_free(disk);
	free(promises.all);
	free(points);
	free(log);
}
