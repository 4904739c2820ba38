#include "power.h"
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_place(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Anywhere; every second one shortly after a promise, when it is most likely to be broken. */
void points_choose(const char *log, size_t size, struct random *r, struct point *points, size_t count)
{
	uint64_t *places = calloc(size / sizeof(struct shim_record) + 1, sizeof(*places));
	size_t records = 0;

	if (!places)
		errx(2, "no memory");
	for (size_t at = 0; at < size;
	     at += ((const struct shim_record *)(const void *)(log + at))->size)
		places[records++] = at;
	for (size_t i = 0; i < count; i++) {
		size_t index = random_below(r, records);
		bool after_promise = random_below(r, 2);

		while (after_promise && index + 1 < records) {
			const struct shim_record *record = (const void *)(log + places[index]);

			if (record->op == SHIM_MARK && record->file != MARK_HANDED)
				break;
			index++;
		}
		if (after_promise && index + 1 < records)
			index += random_below(r, 2);
		points[i] = (struct point){ places[index], random_next(r) };
	}
	free(places);
	qsort(points, count, sizeof(*points), by_place);
}

static void keep_image(struct run *r, uint64_t at, const char *image)
{
	char to[512];

	if (r->power->figures->kept++ >= 8)
		return;
	snprintf(to, sizeof(to), "%s/kept-%llu-%llu", r->power->directory,
		 (unsigned long long)r->number, (unsigned long long)at);
	directory_empty(to);
	(void)rmdir(to);
	if (rename(image, to) == 0)
		printf("# kept: %s\n", to);
}

static void try_image(struct run *r, const struct point *point, uint64_t time,
		      const struct disk *disk, const struct history *history)
{
	char image[256], original[256], what[96], why[512] = "";
	struct power *p = r->power;
	struct figures *f = p->figures;

	snprintf(image, sizeof(image), "%s/image", r->directory);
	snprintf(original, sizeof(original), "%s/original", r->directory);
	directory_fresh(image);
	disk_image(disk, point->seed, image, what, sizeof(what));
	enum verdict verdict = store_check(image, p->seed * 100003 + r->number, history, time,
					   point->seed % 8 == 0, why, sizeof(why));
	uint64_t images = ++f->images;

	f->verdicts[verdict]++;
	f->changes += disk_pending(disk);
	if (verdict == VERDICT_KEPT)
		return;
	uint64_t none = 0;

	atomic_compare_exchange_strong(&f->first_wrong, &none, images);
	run_wrong(r, "power lost at %llu (%s): %s: %s", (unsigned long long)point->at, what,
		  verdict_names[verdict], why);
	directory_fresh(original);
	disk_image(disk, point->seed, original, what, sizeof(what)); /* the open one may have been changed */
	keep_image(r, point->at, original);
	if (p->stop)
		f->stopping = true;
}

/* The log tells all: without a loss, the disk that it makes is the directory as it is. */
static void check_view(struct run *r, const struct disk *disk)
{
	char why[900], view[256];

	snprintf(view, sizeof(view), "%s/view", r->directory);
	directory_fresh(view);
	disk_view(disk, view);
	if (directories_equal(r->state, view, why, sizeof(why)) &&
	    directories_equal(view, r->state, why, sizeof(why)))
		return;
	r->power->figures->failed_runs++;
	run_wrong(r, "the log doesn't tell all: %s", why);
}

static void sweep(struct run *r, const char *log, size_t size, const struct point *points)
{
	struct power *p = r->power;
	struct history history = { 0 };
	struct disk *disk = disk_new();
	size_t next = 0;

	for (size_t at = 0; at < size && !p->figures->stopping;) {
		const struct shim_record *record = (const void *)(log + at);

		/* The power goes before this record. */
		for (; next < p->per_run && points[next].at <= at && !p->figures->stopping; next++)
			if (p->figures->images < p->images)
				try_image(r, &points[next], record->time, disk, &history);
		disk_apply(disk, log, record);
		history_take(&history, record);
		at += record->size;
	}
	if (r->closed && !p->figures->stopping)
		check_view(r, disk);
	if (history.broken) {
		p->figures->failed_runs++;
		run_wrong(r, "batches were acknowledged after an error");
	}
	disk_free(disk);
	history_done(&history);
}

void run_images(struct run *r)
{
	struct point *points = calloc(r->power->per_run + 1, sizeof(*points));
	size_t size;
	char *log = log_read(r->log, &size);

	if (!points)
		errx(2, "no memory");
	points_choose(log, size, &r->random, points, r->power->per_run);
	sweep(r, log, size, points);
	free(points);
	free(log);
}
