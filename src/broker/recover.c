#include "recover.h"
#include "clock.h"
#include "engine_durable.h"
#include "engine_groups.h"
#include "group_row.h"
#include "job_row.h"
#include "keep.h"
#include "limit_form.h"
#include "log.h"
#include "schedules.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define HEARING (30 * NSEC_PER_SEC)
#define ROWS_A_BEAT 1024

struct recovery {
	struct broker *broker;
	bool known; /* the supervisor has named all workers */
	uint64_t jobs, lost_types;
};

/* Kinds of documents, and who takes them at start: name and JSON are valid for the call. */
static const struct reader {
	const char *kind;
	void (*take)(struct broker *b, struct span name, struct span body);
} readers[] = {
	{ "limit", limits_take },
	{ SCHEDULE_KIND, schedules_restore },
	{ NULL, NULL },
};

static int take_job(void *arg, const struct store_job *row);
static int take_group(void *arg, const struct store_group *row);
static int take_document(void *arg, const struct store_document *document);

/* ---- the supervisor ---- */

void recover_known(struct broker *b)
{
	if (b->recovery)
		b->recovery->known = true;
}

static int hear_all(struct broker *b)
{
	struct pollfd p = { .fd = ROLE_FD_CONTROL, .events = POLLIN };
	int64_t end = clock_monotonic() + HEARING;

	for (;;) {
		broker_hear_supervisor(b);
		if (b->recovery->known)
			return 0;
		role_heartbeat(b->role->page, clock_monotonic(), 0);
		if (clock_monotonic() > end) {
			log_error("the supervisor doesn't say which workers there are");
			return -ETIMEDOUT;
		}
		if (poll(&p, 1, 250) < 0 && errno != EINTR)
			return -errno;
	}
}

/* ---- the store ---- */

static int load(struct recovery *r)
{
	const struct store_visitor visitor = {
		.job = take_job, .group = take_group, .document = take_document, .arg = r
	};
	struct broker *b = r->broker;
	int64_t began = clock_monotonic();
	int error = store_load(b->store, &visitor);

	if (error < 0) {
		log_error("what the store kept can't be loaded: %s", strerror(-error));
		return error;
	}
	engine_groups_restored(b->engine);
	if (r->jobs > 0)
		log_notice("%llu unfinished jobs are back from the store, in %.1f s",
			   (unsigned long long)r->jobs,
			   (double)(clock_monotonic() - began) / (double)NSEC_PER_SEC);
	if (r->lost_types > 0)
		log_warning("%llu of them are of job types that there are no more: they failed (unknown_type), and can "
			    "be retried when there are again",
			    (unsigned long long)r->lost_types);
	return 0;
}

/* Wall clocks that were set back never make stored times lie further in the future than they did. */
static void set_clock(struct broker *b)
{
	struct store_facts facts;

	broker_engine(b);
	store_facts(b->store, &facts);
	b->wall_offset = MAX(b->wall_offset, facts.last_wall - b->now);
}

int recover(struct broker *b)
{
	struct recovery r = { .broker = b };

	b->recovery = &r;
	int error = hear_all(b);

	if (error == 0 && b->store) {
		set_clock(b);
		error = load(&r);
	}
	b->recovery = NULL;
	b->turn_begun = false; /* the engine is told the time anew: what came back and is overdue ends before it is begun */
	return error;
}

/* Nothing is dropped: it fails for good, and whoever looks finds out why. */
static int fail_unknown(struct recovery *r, const struct store_job *row)
{
	struct broker *b = r->broker;
	const struct job_fields *f = options_fields(b, row->options);
	int64_t now = b->now + b->wall_offset;
	char message[160];
	struct store_job failed = *row;

	snprintf(message, sizeof(message), "there is no job type \"%.*s\" any more",
		 (int)MIN(row->type.size, (size_t)64), row->type.data);
	failed.state = JOB_FAILED;
	failed.cancelling = false;
	failed.error_signal = 0;
	failed.error_code = SPAN("unknown_type");
	failed.error_message = span_of(message);
	failed.finished_wall = now;
	failed.expires_wall = time_add(now, f->failed_ttl > 0 ? f->failed_ttl : b->conf->failed_ttl);
	r->lost_types++;
	return keep_row(b, &failed);
}

static int take_job(void *arg, const struct store_job *row)
{
	struct recovery *r = arg;
	struct broker *b = r->broker;
	struct job *job;

	if (r->jobs++ % ROWS_A_BEAT == 0)
		role_heartbeat(b->role->page, clock_monotonic(), 0);
	int error = job_row_restore(b, row, &job);

	if (error == -EUNATCH)
		error = fail_unknown(r, row);
	if (error < 0)
		log_error("job %llu can't be taken back: %s", (unsigned long long)row->sequence,
			  strerror(-error));
	return error;
}

static int take_group(void *arg, const struct store_group *row)
{
	struct recovery *r = arg;
	int error = group_row_restore(r->broker, row);

	if (error < 0)
		log_error("group %llu can't be taken back: %s", (unsigned long long)row->sequence,
			  strerror(-error));
	return error;
}

static int take_document(void *arg, const struct store_document *document)
{
	struct recovery *r = arg;

	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		if (readers[i].kind && span_equal(document->kind, span_of(readers[i].kind))) {
			readers[i].take(r->broker, document->name, document->body);
			return 0;
		}
	}
	log_debug("nobody knows documents of the kind \"%.*s\"", (int)document->kind.size,
		  document->kind.data);
	return 0;
}
