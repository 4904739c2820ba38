#include "store_check.h"
#include "buf.h"
#include "map.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 10000
#define FINISHED_READ 24u

const char *const verdict_names[VERDICT_COUNT] = { "kept", "unopenable", "lost", "wrong" };

struct loaded {
	uint64_t sequence, digest;
	enum job_state state;
	unsigned attempts;
};

struct check {
	struct store *store;
	struct scenario scenario;
	struct loaded *loaded;
	size_t loaded_count, loaded_room;
	uint32_t last; /* batch that it holds */
	bool committed;
	char *why;
	size_t why_size;
	bool wrong;
	const struct scenario_job *asked; /* of a read */
	bool answered;
};

static void wrong(struct check *c, const char *format, ...) GA_PRINTF(2, 3);
static void wrong(struct check *c, const char *format, ...)
{
	va_list values;

	if (c->wrong)
		return; /* the first says it best */
	c->wrong = true;
	va_start(values, format);
	vsnprintf(c->why, c->why_size, format, values);
	va_end(values);
}

/* What two jobs must have in common to be the same. */
static void put(struct buf *out, const void *data, size_t size)
{
	if (buf_append(out, &size, sizeof(size)) < 0 || (size && buf_append(out, data, size) < 0))
		abort();
}

static uint64_t digest(const struct store_job *job)
{
	const struct span texts[] = { job->type, job->queue, job->options,    job->args,
				      job->key,  job->tags,  job->error_code, job->error_message,
				      job->meta, job->body };
	const uint64_t numbers[] = { job->sequence,
				     (uint64_t)job->priority,
				     job->durability,
				     job->group,
				     job->member,
				     job->state,
				     job->cancelling,
				     job->attempts,
				     job->failures,
				     job->crashes,
				     job->token,
				     job->incarnation,
				     job->slot,
				     (uint64_t)job->due.wall,
				     job->elapsed_us,
				     (uint64_t)job->accepted_wall,
				     (uint64_t)job->started_wall,
				     (uint64_t)job->finished_wall };
	struct buf all = BUF_INIT;

	put(&all, job->id.b, sizeof(job->id.b));
	put(&all, job->payload, sizeof(job->payload));
	put(&all, numbers, sizeof(numbers));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		put(&all, texts[i].data, texts[i].size);
	uint64_t hash = hash_bytes(buf_data(&all), buf_size(&all));

	buf_done(&all);
	return hash;
}

static uint64_t group_digest(const struct store_group *g)
{
	const uint64_t numbers[] = { g->sequence, g->parent, g->member, g->state,
				     (uint64_t)g->accepted_wall };
	const struct span texts[] = { g->spec, g->members, g->progress, g->error };
	struct buf all = BUF_INIT;

	put(&all, g->id.b, sizeof(g->id.b));
	put(&all, numbers, sizeof(numbers));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		put(&all, texts[i].data, texts[i].size);
	uint64_t hash = hash_bytes(buf_data(&all), buf_size(&all));

	buf_done(&all);
	return hash;
}

static uint64_t expected_digest(const struct check *c, const struct scenario_job *job)
{
	struct scenario_members members;
	struct scenario_texts texts;
	struct store_group wanted_group;
	struct store_job wanted;

	if (job->is_group) {
		scenario_group_fill(&c->scenario, job, &wanted_group, &members);
		return group_digest(&wanted_group);
	}
	scenario_job_fill(&c->scenario, job, &wanted, &texts);
	uint64_t hash = digest(&wanted);

	scenario_texts_done(&texts);
	return hash;
}

/* ---- what a load brings: compared once the last batch is known ---- */

static void take(struct check *c, struct loaded loaded)
{
	if (c->loaded_count == c->loaded_room) {
		c->loaded_room = c->loaded_room ? c->loaded_room * 2 : 256;
		c->loaded = realloc(c->loaded, c->loaded_room * sizeof(*c->loaded));
		if (!c->loaded)
			abort();
	}
	c->loaded[c->loaded_count++] = loaded;
}

static int visit_job(void *arg, const struct store_job *job)
{
	take(arg, (struct loaded){ job->sequence, digest(job), job->state, job->attempts });
	return 0;
}

static int visit_group(void *arg, const struct store_group *group)
{
	take(arg, (struct loaded){ group->sequence, group_digest(group), group->state, 0 });
	return 0;
}

static int visit_document(void *arg, const struct store_document *document)
{
	struct check *c = arg;

	return store_take_last(document, &c->last);
}

static void compare_loaded(struct check *c)
{
	size_t expected = 0;

	for (size_t i = 0; i < c->scenario.count; i++) {
		enum job_state state = c->scenario.jobs[i].state;

		expected += state && !job_state_is_final(state);
	}
	for (size_t i = 0; i < c->loaded_count; i++) {
		const struct loaded *found = &c->loaded[i];
		const struct scenario_job *job = NULL;

		if (found->sequence >= 1 && found->sequence <= c->scenario.count)
			job = &c->scenario.jobs[found->sequence - 1];
		if (!job || !job->state || job_state_is_final(job->state))
			wrong(c, "job %llu is loaded, but there is no such unfinished one",
			      (unsigned long long)found->sequence);
		else if (found->digest != expected_digest(c, job))
			wrong(c, "job %llu isn't what was saved (%s, attempt %u; saved: %s, attempt %u)",
			      (unsigned long long)found->sequence, job_state_name(found->state),
			      found->attempts, job_state_name(job->state), job->attempts);
	}
	if (c->loaded_count != expected)
		wrong(c, "%zu unfinished jobs and groups are loaded instead of %zu",
		      c->loaded_count, expected);
}

/* ---- single ones ---- */

static void on_rows(void *arg, const struct store_rows *rows)
{
	struct check *c = arg;
	unsigned long long sequence = c->asked->sequence;

	c->answered = true;
	if (c->asked->refused || c->asked->removed) {
		if (rows->error != -ENOENT)
			wrong(c, "job %llu is there, though it was %s", sequence,
			      c->asked->refused ? "refused" : "removed");
	} else if (rows->error < 0 || rows->job_count != 1) {
		wrong(c, "job %llu isn't there: %s", sequence, strerror(-rows->error));
	} else if (digest(rows->jobs) != expected_digest(c, c->asked)) {
		wrong(c, "job %llu isn't what was saved (%s, attempt %u; saved: %s, attempt %u)",
		      sequence, job_state_name(rows->jobs->state), rows->jobs->attempts,
		      job_state_name(c->asked->state), c->asked->attempts);
	}
}

static void read_one(struct check *c, const struct scenario_job *job)
{
	struct pollfd p = { .fd = store_fd(c->store), .events = POLLIN };
	struct store_read *read;
	struct uuid id;

	scenario_id(c->scenario.seed, job->sequence, &id);
	c->asked = job;
	c->answered = false;
	if (store_read_job(c->store, &id, on_rows, c, &read) < 0) {
		wrong(c, "a read can't be asked for");
		return;
	}
	while (!c->answered) {
		if (poll(&p, 1, PATIENCE_MS) <= 0) {
			wrong(c, "a read isn't answered");
			return;
		}
		store_dispatch(c->store);
	}
}

/* The latest finished jobs one by one, and how many there are of each state. */
static void check_finished(struct check *c)
{
	uint64_t counts[JOB_STATE_LIMIT] = { 0 };
	struct store_facts facts;
	unsigned reads = 0;

	for (size_t i = c->scenario.count; i-- > 0 && !c->wrong;) {
		const struct scenario_job *job = &c->scenario.jobs[i];
		bool ended = job_state_is_final(job->state) || job->refused || job->removed;

		counts[job->state]++;
		if (!job->is_group && ended && reads++ < FINISHED_READ)
			read_one(c, job);
	}
	store_facts(c->store, &facts);
	for (unsigned state = 0; state < JOB_STATE_LIMIT; state++)
		if (JOB_STATES_FINAL >> state & 1 && facts.finished[state] != counts[state])
			wrong(c, "it counts %llu jobs that are %s instead of %llu",
			      (unsigned long long)facts.finished[state], job_state_name(state),
			      (unsigned long long)counts[state]);
}

static enum verdict open_store(struct check *c, const char *directory, const struct history *h,
			       uint32_t least)
{
	const struct store_visitor visitor = {
		.job = visit_job, .group = visit_group, .document = visit_document, .arg = c
	};
	struct store_options options = store_check_options(directory);
	char why[400] = "";
	int r = store_open(&options, &c->store, why, sizeof(why));

	c->loaded_count = 0;
	c->last = 0;
	if (r < 0) {
		c->store = NULL;
		wrong(c, "%s: %s", strerror(-r), why);
		return VERDICT_UNOPENABLE;
	}
	r = store_load(c->store, &visitor);
	if (r < 0) {
		wrong(c, "it can't be loaded: %s", strerror(-r));
		return VERDICT_UNOPENABLE;
	}
	if (c->last < least) {
		wrong(c, "batch %u is gone, the last is %u", least, c->last);
		return VERDICT_LOST;
	}
	if (c->last > h->handed) {
		wrong(c, "batch %u is there, but %u was the last", c->last, h->handed);
		return VERDICT_WRONG;
	}
	return VERDICT_KEPT;
}

static enum verdict examine(struct check *c, const struct history *h)
{
	if (h->full) /* some of its jobs were refused: which isn't known */
		return VERDICT_KEPT;
	while (c->scenario.batches < c->last)
		scenario_step(&c->scenario, h->generations[c->scenario.batches + 1]);
	compare_loaded(c);
	if (!c->wrong)
		check_finished(c);
	return c->wrong ? VERDICT_WRONG : VERDICT_KEPT;
}

static void on_commit(void *arg, const struct store_commit *commit)
{
	struct check *c = arg;

	c->committed = true;
	if (commit->error < 0)
		wrong(c, "it takes no more batches: %s", strerror(-commit->error));
}

/* What survived can be worked with: one batch more. */
static void commit_one(struct check *c)
{
	static struct scenario_texts texts[SCENARIO_CHANGES];
	static struct scenario_members members[SCENARIO_CHANGES];
	struct pollfd p = { .fd = store_fd(c->store), .events = POLLIN };
	struct store_batch *batch = store_batch_new(c->store);

	memset(texts, 0, sizeof(texts));
	scenario_step(&c->scenario, UINT16_MAX);
	if (!batch || store_save_step(&c->scenario, batch, texts, members) < 0) {
		wrong(c, "a batch can't be made");
		return;
	}
	c->committed = false;
	store_on_commit(c->store, on_commit, c);
	store_commit(c->store, batch, c->scenario.batches, STORE_SYNC);
	while (!c->committed && !c->wrong) {
		if (poll(&p, 1, PATIENCE_MS) <= 0)
			wrong(c, "a batch isn't answered");
		else
			store_dispatch(c->store);
	}
	for (size_t i = 0; i < c->scenario.change_count; i++)
		scenario_texts_done(&texts[i]);
}

enum verdict store_check(const char *directory, uint64_t seed, const struct history *h,
			 uint64_t time, bool go_on, char *ret_why, size_t why_size)
{
	struct check c = { .why = ret_why, .why_size = why_size };
	struct history further = { 0 };

	scenario_init(&c.scenario, seed);
	enum verdict verdict = open_store(&c, directory, h, history_lasting(h, time));

	if (verdict == VERDICT_KEPT)
		verdict = examine(&c, h);
	if (verdict == VERDICT_KEPT && go_on && !h->full) {
		commit_one(&c);
		store_close(c.store);
		further.handed = c.scenario.batches;
		if (!c.wrong)
			verdict = open_store(&c, directory, &further, c.scenario.batches);
		else
			c.store = NULL;
		if (verdict == VERDICT_KEPT && !c.wrong)
			verdict = examine(&c, h);
	}
	store_close(c.store);
	scenario_done(&c.scenario);
	free(c.loaded);
	return verdict == VERDICT_KEPT && c.wrong ? VERDICT_WRONG : verdict;
}
