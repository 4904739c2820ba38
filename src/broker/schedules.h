/*
 * schedules.h — named schedules: each hands in its job at the times of a cron expression, or every so often.
 *
 * A firing stands for an instant, and its job has the idempotency key "schedule/NAME/INSTANT": whenever the broker dies, it
 * becomes one job. It is saved with what the schedule knows of itself, as a document of kind "schedule", in one batch.
 * Cron goes by the wall clock (when that is set, all is reckoned anew), `every` by the time since boot. A job that is
 * refused for now (429, 503) is handed in again each second until the next time is due.
 * Owned by the broker; loop-affine.
 */
#pragma once
#include "broker.h"
#include "plan.h"
#include "submit.h"

#define SCHEDULES_MAX 10000
#define SCHEDULE_KIND "schedule"

/* Why the last firing came to nothing. */
struct schedule_trouble {
	char code[32];
	char message[384];
};

struct schedule {
	char name[65];
	struct plan plan;
	char *cron, *tz;   /* as they were given; NULL with `every` */
	struct bytes *job; /* an object's text */
	char type[65];     /* the job's */
	bool paused;

	struct heap_node timer; /* in none: paused, or never due */
	int64_t due;            /* on the plan's clock; TIME_NEVER */
	int64_t instant_wall;   /* what `due` is called in the job's key */
	int64_t owed_wall;      /* the instant of a job that was refused for now; 0: none */
	int64_t last_wall;      /* the instant of the last firing; 0: none */
	struct uuid last_job;
	uint64_t runs;
	struct schedule_trouble *trouble; /* NULL: none */
};

int schedules_new(struct broker *b) GA_MUST_CHECK; /* b->schedules */
void schedules_free(struct broker *b);
/* A document that was kept. What can't be read of it was logged. */
void schedules_restore(struct broker *b, struct span name, struct span document);
/* All were restored: make good what was missed, and go on. */
int schedules_start(struct broker *b) GA_MUST_CHECK;
void schedules_stop(struct broker *b); /* nothing is fired any more */

struct schedule *schedule_find(struct broker *b, struct span name);
/* The first whose name comes after this one; NULL: none. */
struct schedule *schedule_after(struct broker *b, struct span name);
/* Define it, or define it anew: with the same times it goes on where it was. 1: it is new; 0; -EINVAL with `r`. */
int schedule_put(struct broker *b, struct span name, struct span definition,
		 struct refusal *r) GA_MUST_CHECK;
void schedule_remove(struct broker *b, struct schedule *s);
void schedule_pause(struct broker *b, struct schedule *s, bool paused);
/* Hand its job in now, whatever its times. */
int schedule_run(struct broker *b, struct schedule *s, struct submitted *ret_submitted,
		 struct refusal *r) GA_MUST_CHECK;

/* ---- as text: schedule_text.c ---- */
/* Read a definition into an empty one. */
int schedule_read(struct broker *b, const json_t *object, struct span text, struct schedule *s,
		  struct refusal *r) GA_MUST_CHECK;
void schedule_done(struct schedule *s); /* frees what it points to */
/* What is kept of it between the daemon's lives. */
void schedule_write(struct broker *b, const struct schedule *s, struct buf *out);
void schedule_read_state(struct broker *b, const json_t *state, struct schedule *s);
/* For people and programs: a row of a list, or with its job, secrets redacted. */
void schedule_view(struct broker *b, const struct schedule *s, bool whole, struct buf *out);
