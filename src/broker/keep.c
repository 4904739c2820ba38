#include "keep.h"
#include "clock.h"
#include "engine_durable.h"
#include "engine_groups.h"
#include "failpoint.h"
#include "group_row.h"
#include "job_row.h"
#include "log.h"
#include "long_call.h"
#include "map.h"
#include "verbs.h"
#include "webhook.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUICK_CHECK_PAGES 16384 /* 64 MiB */
/* A broker whose supervisor was killed may be in its last write still. */
#define BUSY_PATIENCE (10 * NSEC_PER_SEC)
#define BUSY_PAUSE_US 20000

struct batch {
	struct list mates; /* in keep.under_way, or in keep.spare */
	uint64_t number, engine_number;
	struct store_batch *changes;
	bool sync;
	struct buf borrowed; /* struct bytes *, which the store reads until it has answered */
	struct buf large;    /* struct uuid of jobs whose arguments need not stay in memory */
};

/* A refusal, until what was held when it came is let go. */
struct remembered {
	struct list mates; /* by `until` */
	struct store_refusal refusal;
	uint64_t until;
};

struct keep {
	struct broker *broker;
	struct io_watch watch;
	struct batch *open;           /* this turn's, or NULL */
	struct list under_way, spare; /* struct batch */
	struct list held;             /* struct keep_hold, by number */
	struct list refusals;         /* struct remembered, and by their jobs' sequences: */
	struct map refused;
	uint64_t handed_over, committed; /* numbers */
	uint64_t engine_sealed;          /* the engine's last number */
	struct buf large; /* struct uuid: safe, to be dropped at the end of the turn */
};

static void on_store(struct io_watch *w, unsigned events);
static void on_commit(void *arg, const struct store_commit *commit);
static struct batch *batch_open(struct keep *k);
static void batch_done(struct keep *k, struct batch *batch);
static void save_job(struct keep *k, struct job *job);
static void hand_over(struct keep *k, uint64_t engine_number);
static void refuse_all(struct keep *k, const struct store_commit *commit);
static void let_go(struct keep *k, uint64_t number, int error);
static void drop_large(struct keep *k);
static void settle_held(struct keep *k);

/* The directory is the daemon's own: jobs hold secrets. */
static int make_directory(const char *path)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_store(struct broker *b, const struct store_options *options, char *ret_why,
		      size_t why_size)
{
	int64_t end = clock_monotonic() + BUSY_PATIENCE;
	struct long_call opening;
	int r;

	long_call_begin(&opening, b->role->page);
	while ((r = store_open(options, &b->store, ret_why, why_size)) == -EBUSY &&
	       clock_monotonic() < end)
		usleep(BUSY_PAUSE_US);
	long_call_end(&opening);
	return r;
}

static uint64_t refused_hash(uint64_t sequence)
{
	return hash_bytes(&sequence, sizeof(sequence));
}

static bool refused_matches(const void *item, const void *key)
{
	return ((const struct remembered *)item)->refusal.sequence == *(const uint64_t *)key;
}

int keep_open(struct broker *b)
{
	char path[4096], why[512] = "";
	const struct store_options options = { .directory = path,
					       .max_bytes = b->conf->store_max_bytes,
					       .reserve_bytes = b->conf->store_reserve_bytes,
					       .key_ttl = b->conf->key_ttl,
					       .quick_check_pages = QUICK_CHECK_PAGES };

	if (strcmp(b->conf->store, "none") == 0)
		return 0;
	if (snprintf(path, sizeof(path), "%s/store", b->conf->state_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	int r = make_directory(path);

	if (r == 0)
		r = open_store(b, &options, why, sizeof(why));
	if (r < 0) {
		log_error("%s%s",
			  why[0] ? "" : "the store can't be opened: ", why[0] ? why : strerror(-r));
		return r;
	}
	struct keep *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->broker = b;
	list_init(&k->under_way);
	list_init(&k->spare);
	list_init(&k->held);
	list_init(&k->refusals);
	map_init(&k->refused, refused_matches);
	store_on_commit(b->store, on_commit, k);
	backup_clean(b);
	b->keep = k;
	return 0;
}

int keep_start(struct broker *b)
{
	struct keep *k = b->keep;

	return k ? io_watch_start(b->loop, &k->watch, store_fd(b->store), LOOP_READ, on_store, k) : 0;
}

void keep_close(struct broker *b)
{
	struct keep *k = b->keep;

	if (!k)
		return;
	io_watch_stop(&k->watch);
	store_close(GA_TAKE_PTR(b->store)); /* reads what was borrowed */
	b->keep = NULL;
	LIST_FOREACH(it, &k->under_way)
		batch_done(k, LIST_ENTRY(it, struct batch, mates));
	LIST_FOREACH(it, &k->spare) {
		struct batch *batch = LIST_ENTRY(it, struct batch, mates);

		buf_done(&batch->borrowed);
		buf_done(&batch->large);
		free(batch);
	}
	LIST_FOREACH(it, &k->refusals)
		free(LIST_ENTRY(it, struct remembered, mates));
	map_done(&k->refused);
	buf_done(&k->large);
	free(k);
}

static void on_store(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct keep *k = w->arg;

	store_dispatch(k->broker->store);
}

/* ---- a turn's batch ---- */

/* Small, fixed additions: without memory for them the broker starts again, and nothing that was acknowledged is lost. */
static void put(struct buf *to, const void *item, size_t size)
{
	if (size > 0 && buf_append(to, item, size) < 0)
		abort();
}

static struct batch *batch_open(struct keep *k)
{
	if (k->open)
		return k->open;
	struct list *spare = list_pop_front(&k->spare);
	struct batch *batch = spare ? LIST_ENTRY(spare, struct batch, mates)
				    : calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	list_init(&batch->mates);
	batch->changes = store_batch_new(k->broker->store);
	if (!batch->changes) {
		list_push_back(&k->spare, &batch->mates);
		return NULL;
	}
	k->open = batch;
	return batch;
}

static void batch_done(struct keep *k, struct batch *batch)
{
	for (; buf_size(&batch->borrowed) > 0; buf_consume(&batch->borrowed, sizeof(struct bytes *))) {
		struct bytes *bytes;

		memcpy(&bytes, buf_data(&batch->borrowed), sizeof(bytes));
		bytes_unref(bytes);
	}
	buf_clear(&batch->large);
	batch->number = batch->engine_number = 0;
	batch->sync = false;
	batch->changes = NULL;
	list_remove(&batch->mates);
	list_push_back(&k->spare, &batch->mates);
}

static void borrow(struct batch *batch, struct bytes *bytes)
{
	if (!bytes)
		return;
	put(&batch->borrowed, &bytes, sizeof(struct bytes *));
	bytes_ref(bytes);
}

static void save_notes(struct keep *k, struct batch *batch, struct job *job)
{
	struct job_note *note = job->extra ? job->extra->notes : NULL;

	for (; note; note = note->next) {
		struct store_attempt row;

		if (note->saved)
			continue;
		job_row_note(k->broker, job, note, &row);
		if (store_save_attempt(batch->changes, &row) < 0)
			abort();
		borrow(batch, note->log);
		note->saved = true;
	}
}

static void save_job(struct keep *k, struct job *job)
{
	struct batch *batch = batch_open(k);
	struct store_job row;
	bool first = !job->stored;

	if (!batch)
		abort();
	job_row_fill(k->broker, job, &row);
	if (store_save_job(batch->changes, &row, first) < 0)
		abort();
	if (first) {
		borrow(batch, job->args);
		borrow(batch, job->profile->options);
		if (job->args && job->args->size > k->broker->conf->store_inline_bytes)
			put(&batch->large, &job->id, sizeof(job->id));
	}
	borrow(batch, job->meta);
	borrow(batch, job->body);
	save_notes(k, batch, job);
	batch->sync |= job->sync;
}

static void save_group(struct keep *k, struct group *group)
{
	struct batch *batch = batch_open(k);
	bool first = !group->stored;
	struct group_texts texts;
	struct store_group row;

	if (!batch)
		abort();
	group_row_fill(k->broker, group, &row, &texts);
	if (store_save_group(batch->changes, &row, first) < 0)
		abort();
	if (first)
		borrow(batch, group->spec);
	borrow(batch, texts.members);
	borrow(batch, texts.progress);
	borrow(batch, texts.error);
	group_texts_done(&texts);
	batch->sync |= group->sync;
}

void keep_turn(struct broker *b)
{
	struct keep *k = b->keep;
	struct group *group;
	struct job *job;

	if (!k || b->failed)
		return;
	while ((job = engine_change(b->engine))) {
		if (job_state_is_final(job->state))
			webhook_call(b, job); /* a change of this same turn */
		save_job(k, job);
	}
	while ((group = engine_group_change(b->engine)))
		save_group(k, group);
	uint64_t engine_number = engine_seal(b->engine);

	if (k->open)
		hand_over(k, engine_number);
	else
		settle_held(k);
	drop_large(k);
}

/* There was no batch to wait for after all: what waits for it waits for the last one. */
static void settle_held(struct keep *k)
{
	for (struct list *it = k->held.prev; it != &k->held; it = it->prev) {
		struct keep_hold *h = LIST_ENTRY(it, struct keep_hold, mates);

		if (h->number <= k->handed_over)
			break;
		h->number = MAX(k->handed_over, (uint64_t)1);
	}
	let_go(k, MAX(k->committed, k->handed_over ? 0 : (uint64_t)1), 0);
}

static void hand_over(struct keep *k, uint64_t engine_number)
{
	struct batch *batch = GA_TAKE_PTR(k->open);

	batch->number = ++k->handed_over;
	batch->engine_number = engine_number;
	if (engine_number)
		k->engine_sealed = engine_number;
	list_push_back(&k->under_way, &batch->mates);
	FAILPOINT("broker.before_save");
	store_commit(k->broker->store, batch->changes, batch->number,
		     batch->sync ? STORE_SYNC : STORE_WRITE);
	FAILPOINT("broker.after_save");
}

bool keep_is_idle(const struct broker *b)
{
	const struct keep *k = b->keep;

	return !k || (!k->open && list_empty(&k->under_way) && list_empty(&k->held) &&
		      engine_pending(b->engine) == 0);
}

bool keep_is_full(const struct broker *b)
{
	return b->store && store_queued_bytes(b->store) > b->conf->store_queue_bytes;
}

bool keep_is_stalled(const struct broker *b)
{
	struct store_facts facts = { 0 };

	if (b->store)
		store_facts(b->store, &facts);
	return facts.stalled;
}

/* ---- commits ---- */

static void fail(struct keep *k, int error)
{
	struct broker *b = k->broker;

	if (b->failed)
		return;
	log_error("the store failed: %s%s%s. Whether the latest jobs are kept is unknown: whoever waits is told so, and "
		  "the broker starts again",
		  strerror(-error), store_why(b->store)[0] ? ": " : "", store_why(b->store));
	b->failed = true;
	let_go(k, UINT64_MAX, -EIO);
}

static void on_commit(void *arg, const struct store_commit *commit)
{
	struct keep *k = arg;
	struct broker *b = k->broker;

	FAILPOINT("broker.before_answer");
	if (commit->error < 0) {
		fail(k, commit->error);
		return;
	}
	while (!list_empty(&k->under_way)) {
		struct batch *batch = LIST_ENTRY(k->under_way.next, struct batch, mates);

		if (batch->number > commit->number)
			break;
		if (batch->number == commit->number)
			refuse_all(k, commit);
		if (batch->engine_number)
			engine_committed(broker_engine(b), batch->engine_number);
		put(&k->large, buf_data(&batch->large), buf_size(&batch->large));
		k->committed = batch->number;
		batch_done(k, batch);
	}
	let_go(k, k->committed, 0);
}

/* Whoever met the job in this turn may wait for the batch that is still open. The first word of a job counts: what is said
 * of its later saves follows from it. */
static void remember(struct keep *k, const struct store_refusal *refusal)
{
	uint64_t hash = refused_hash(refusal->sequence);
	struct remembered *r = map_get(&k->refused, hash, &refusal->sequence);

	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			abort();
		r->refusal = *refusal;
		list_init(&r->mates);
		if (map_put(&k->refused, hash, r) < 0)
			abort();
	}
	r->until = k->handed_over + 1;
	list_remove(&r->mates);
	list_push_back(&k->refusals, &r->mates);
}

static void refuse_all(struct keep *k, const struct store_commit *commit)
{
	struct engine *e = broker_engine(k->broker);

	for (size_t i = 0; i < commit->refusal_count; i++) {
		const struct store_refusal *refusal = &commit->refusals[i];
		struct job *job = engine_job_at(e, refusal->sequence);
		struct group *group = engine_group_at(e, refusal->sequence);

		remember(k, refusal);
		if (job)
			engine_refused(e, job);
		else if (group)
			engine_group_refused(e, group);
	}
}

const struct store_refusal *keep_refusal(const struct broker *b, uint64_t sequence)
{
	const struct remembered *r = NULL;

	if (b->keep && sequence != 0)
		r = map_get(&b->keep->refused, refused_hash(sequence), &sequence);
	return r ? &r->refusal : NULL;
}

void keep_unknown(struct refusal *r)
{
	refuse(r, 503, "unknown_outcome", "",
	       "the daemon could not make this safe, and doesn't know whether it is kept: with an idempotency_key "
	       "it can be submitted again safely");
}

/* The arguments of jobs that the engine sent in this turn have left with them: all others are far from it. */
static void drop_large(struct keep *k)
{
	for (; buf_size(&k->large) > 0; buf_consume(&k->large, sizeof(struct uuid))) {
		struct uuid id;
		struct job *job;

		memcpy(&id, buf_data(&k->large), sizeof(id));
		if (engine_find(k->broker->engine, &id, &job) == 0)
			engine_drop_args(k->broker->engine, job);
	}
}

/* ---- answers that wait ---- */

/* The batch that all of now is in; 0: nothing is on its way. */
static uint64_t pending(const struct keep *k)
{
	if (k->open || engine_pending(k->broker->engine) > k->engine_sealed)
		return k->handed_over + 1;
	return k->handed_over > k->committed ? k->handed_over : 0;
}

void keep_hold(struct broker *b, struct keep_hold *h, keep_hold_fn fn)
{
	struct keep *k = b->keep;

	*h = (struct keep_hold){ .number = k ? pending(k) : 0, .fn = fn };
#ifdef GATHER_SABOTAGE_EARLY_ACK
	h->number = 0;
#endif
	list_init(&h->mates);
	if (!k || h->number == 0 || b->failed) {
		h->number = 0;
		fn(h, b->failed ? -EIO : 0);
		return;
	}
	list_push_back(&k->held, &h->mates);
}

void keep_release(struct keep_hold *h)
{
	if (h->number)
		list_remove(&h->mates);
	h->number = 0;
}

static void let_go(struct keep *k, uint64_t number, int error)
{
	while (!list_empty(&k->held)) {
		struct keep_hold *h = LIST_ENTRY(k->held.next, struct keep_hold, mates);

		if (h->number > number)
			break;
		keep_release(h);
		h->fn(h, error);
	}
	while (!list_empty(&k->refusals)) {
		struct remembered *r = LIST_ENTRY(k->refusals.next, struct remembered, mates);

		if (r->until > number && !list_empty(&k->held))
			break;
		list_remove(&r->mates);
		map_take(&k->refused, refused_hash(r->refusal.sequence), &r->refusal.sequence);
		free(r);
	}
}

/* ---- what else is kept ---- */

int keep_document(struct broker *b, struct span kind, struct span name, struct span body)
{
	struct batch *batch = b->keep ? batch_open(b->keep) : NULL;
	struct bytes *copy = NULL;

	if (!b->keep)
		return 0;
	if (!batch || (body.size > 0 && !(copy = bytes_new(body.data, body.size))))
		return -ENOMEM;
	const struct store_document document = { .kind = kind,
						 .name = name,
						 .body = { copy ? copy->data : NULL, body.size } };
	int r = store_save_document(batch->changes, &document);

	if (r == 0) {
		batch->sync = true;
		borrow(batch, copy);
		broker_engine(b); /* so that the turn has an end */
	}
	bytes_unref(copy);
	return r;
}

int keep_remove(struct broker *b, uint64_t sequence)
{
	struct batch *batch = b->keep ? batch_open(b->keep) : NULL;
	int r = !b->keep ? 0 : batch ? store_remove(batch->changes, sequence) : -ENOMEM;

	if (r == 0)
		broker_engine(b);
	return r;
}

int keep_row(struct broker *b, const struct store_job *row)
{
	struct batch *batch = batch_open(b->keep);
	int r = batch ? store_save_job(batch->changes, row, false) : -ENOMEM;

	if (r == 0)
		broker_engine(b);
	return r;
}
