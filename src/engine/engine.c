#include "clock.h"
#include "engine_durable.h"
#include "engine_parts.h"
#include "uuid.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Parts of an id (UUIDv7): what is kept where in rand_a and rand_b. */
enum { ID_EPOCH_BITS = 10, ID_RANDOM_BITS = 22, ID_SEQUENCE_BITS = 40 };
#define ID_EPOCH_MASK ((1u << ID_EPOCH_BITS) - 1)
#define ID_SEQUENCE_MASK ((UINT64_C(1) << ID_SEQUENCE_BITS) - 1)

static void options_complete(struct engine_options *o);
static int admit(const struct engine *e, const struct submission *s);
static void job_fill(struct engine *e, struct job *job, const struct submission *s);
static uint64_t big_endian(const uint8_t *bytes, int size);

int engine_new(const struct engine_options *options, struct engine **ret_engine)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->options = *options;
	options_complete(&e->options);
	e->next_sequence = e->options.first_sequence;
	random_seed(&e->random, options->seed);
	table_init(&e->table);
	list_init(&e->gone);
	map_init(&e->attempts, attempt_matches);
	heap_init(&e->waiting);
	heap_init(&e->deadlines);
	map_init(&e->profiles, profile_matches);
	map_init(&e->keys, key_matches);
	map_init(&e->uniques, unique_matches);
	map_init(&e->queues_by_name, queue_matches);
	map_init(&e->clients, client_matches);
	for (int c = 0; c < CLASS_COUNT; c++)
		list_init(&e->turns[c]);
	groups_init(e);
	limits_init(e);
	workers_init(e);
	trials_init(e);
	if (finished_init(e) < 0 || queue_acquire(e, SPAN(""), &e->default_queue) < 0) {
		engine_free(e);
		return -ENOMEM;
	}
	*ret_engine = e;
	return 0;
}

void engine_free(struct engine *e)
{
	struct job *job;

	if (!e)
		return;
	while ((job = table_older(&e->table, NULL))) {
		table_remove(&e->table, job);
		job_free(e, job);
	}
	LIST_FOREACH(it, &e->gone)
		job_free(e, LIST_ENTRY(it, struct job, place));
	groups_done(e);
	map_done(&e->profiles);
	map_done(&e->keys);
	map_done(&e->uniques);
	free(e->changes);
	free(e->withheld);
	free(e->endings);
	clients_free(e);
	queues_free(e);
	limits_done(e);
	workers_free(e);
	trials_done(e);
	finished_done(e);
	heap_done(&e->waiting);
	heap_done(&e->deadlines);
	map_done(&e->attempts);
	table_done(&e->table);
	free(e->actions);
	free(e);
}

void engine_set_limits(struct engine *e, uint32_t max_jobs, uint64_t max_args_bytes)
{
	e->options.max_jobs = max_jobs;
	e->options.max_args_bytes = max_args_bytes;
	options_complete(&e->options);
}

void engine_advance(struct engine *e, int64_t now, int64_t now_wall)
{
	struct heap_node *node;

	e->now = MAX(e->now, now);
	e->now_wall = now_wall;
	wall_advance(e, now, now_wall);
	while ((node = heap_pop_due(&e->waiting, e->now)))
		job_move(e, container_of(node, struct job, due), JOB_READY);
	while ((node = heap_pop_due(&e->deadlines, e->now)))
		job_expire(e, container_of(node, struct job_extra, deadline_due)->job);
	groups_advance(e);
	limits_advance(e);
	finished_expire(e);
}

int64_t engine_next_due(const struct engine *e)
{
	int64_t due = MIN(heap_next_due(&e->waiting), heap_next_due(&e->deadlines));

	due = MIN(due, groups_next_due(e));
	due = MIN(due, heap_next_due(&e->gates));
	return MIN(due, heap_next_due(&e->expiries));
}

int engine_submit(struct engine *e, struct submission *s, struct job **ret_job)
{
	struct client *client = NULL;
	struct job *job;
	int r = submission_complete(e, s);

	if (r == 0 && s->group)
		r = group_place_check(s->group, s->member);
	if (r == 0 && (s->key.size > 0 || s->unique_key.size > 0))
		r = key_find(e, s, ret_job);
	if (r == 0)
		r = admit(e, s);
	if (r == 0 && s->durability != DURABILITY_MEMORY)
		r = changes_reserve(e);
	if (r == 0 && s->key.size > 0)
		r = actions_reserve(e, 1);
	if (r == 0 && GA_UNLIKELY(s->client & ATTEMPT_CLIENT))
		r = children_admit(e, s);
	if (r == 0 && s->client != 0)
		r = client_acquire(e, s->client, &client);
	if (r == 0)
		r = job_new(e, s, e->next_sequence, &job);
	if (r != 0)
		return r;
	if (client)
		client_adopt(e, client, job);
	if (s->group)
		group_adopt(e, s->group, s->member, job->sequence);
	e->counts.submitted++;
	e->counts.args_bytes += bytes_weight(job->args);
	job_changed(e, job, true);
	if (job->extra && job->extra->key && job_is_durable(job)) {
		job_move(e, job, JOB_ACCEPTED);
		actions_push(e, ACTION_PROCEED, job);
	} else {
		job_start(e, job, s->due, s->blocked);
	}
	*ret_job = job;
	return 0;
}

int submission_complete(const struct engine *e, struct submission *s)
{
	if ((unsigned)s->job_class >= CLASS_COUNT || abs(s->priority) > PRIORITY_LIMIT ||
	    (unsigned)s->durability > DURABILITY_FSYNC ||
	    (s->queue.size > 0 && memchr(s->queue.data, '\0', s->queue.size)))
		return -EINVAL;
	if (s->queue.size == 0)
		s->queue = SPAN("default");
	if (s->result_ttl <= 0)
		s->result_ttl = e->options.result_ttl;
	if (s->failed_ttl <= 0)
		s->failed_ttl = e->options.failed_ttl;
	return 0;
}

static int admit(const struct engine *e, const struct submission *s)
{
	if (s->exempt)
		return 0;
	if (engine_unfinished(e) >= e->options.max_jobs)
		return -ENOBUFS;
	if (s->args && e->counts.args_bytes + bytes_weight(s->args) > e->options.max_args_bytes)
		return -EDQUOT;
	return limits_admit(e, s) ? 0 : -EAGAIN;
}

static unsigned id_rand_a(const struct uuid *id)
{
	return (unsigned)big_endian(id->b + 6, 2);
}

enum job_durability id_durability(const struct uuid *id)
{
	return (enum job_durability)(id_rand_a(id) >> ID_EPOCH_BITS & 3);
}

int id_read(const struct engine *e, const struct uuid *id, uint64_t *ret_sequence)
{
	uint64_t sequence = big_endian(id->b + 8, 8) >> ID_RANDOM_BITS & ID_SEQUENCE_MASK;

	if (id_rand_a(id) >> 12 != 7 || id->b[8] >> 6 != 2 ||
	    id_durability(id) > DURABILITY_FSYNC || sequence == 0)
		return -ENOENT;
	if (id_durability(id) == DURABILITY_MEMORY) {
		if ((id_rand_a(id) & ID_EPOCH_MASK) != (e->options.epoch & ID_EPOCH_MASK))
			return -ESTALE;
		if (sequence >= e->next_sequence)
			return -ENOENT;
	}
	*ret_sequence = sequence;
	return 0;
}

int engine_find(struct engine *e, const struct uuid *id, struct job **ret_job)
{
	uint64_t sequence;
	struct job *job;
	int r = id_read(e, id, &sequence);

	if (r < 0)
		return r;
	job = table_get(&e->table, sequence);
	if (job && uuid_equal(&job->id, id)) {
		*ret_job = job;
		return 0;
	}
	if (id_durability(id) != DURABILITY_MEMORY)
		return -ENODATA;
	return job ? -ENOENT : -EIDRM; /* only its sequence was guessed */
}

int engine_cancel(struct engine *e, struct job *job)
{
	if (job_is_final(job))
		return -EALREADY;
	if (job->cancelling)
		return 0;
	if (actions_reserve(e, 2) < 0)
		return -ENOMEM;
	job_stop(e, job, JOB_CANCELLED);
	return 0;
}

int engine_retry(struct engine *e, struct job *job)
{
	bool expired = job->state == JOB_EXPIRED;
	int r;

	if (job->state == JOB_SUCCEEDED)
		return -EALREADY;
	if (job->gone)
		return -EIDRM;
	if (!job_is_final(job) || job->untold)
		return -EBUSY;
	r = limits_revive(e, job);
	if (r < 0)
		return r;
	r = extra_revive(e, job);
	if (r < 0) {
		limits_settle(e, job);
		return r;
	}
	job->client = job->tag = 0;
	job->failures = job->crashes = 0;
	job->cancelling = job->expiring = job->delivered = false;
	job->suspect = job->alone = false;
	job_move(e, job, JOB_READY);
	job_changed(e, job, true);
	e->counts.args_bytes += bytes_weight(job->args);
	bytes_unref(GA_TAKE_PTR(job->meta));
	bytes_unref(GA_TAKE_PTR(job->body));
	if (expired)
		job_set_error(job, NULL); /* it tells of a deadline that is no more */
	job->started_at = job->finished_at = 0;
	return 0;
}

int engine_purge(struct engine *e, struct job *job)
{
	if (job->gone)
		return -EIDRM;
	if (!job_is_final(job) || job->untold || job->pins > 0)
		return -EBUSY;
	job_forget(e, job);
	return 0;
}

struct job *engine_older(struct engine *e, struct job *job)
{
	return job && job->gone ? NULL : table_older(&e->table, job);
}

struct job *engine_older_than(struct engine *e, const struct uuid *id)
{
	uint64_t sequence;

	return id_read(e, id, &sequence) < 0 ? NULL : table_below(&e->table, sequence);
}

struct job *engine_below(struct engine *e, uint64_t sequence)
{
	return table_below(&e->table, sequence);
}

/* What is told is told now; and an attempt that was cut short since its dispatch was let go isn't sent at all. */
static void actions_settle(struct engine *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->action_count; i++) {
		const struct action *a = &e->actions[i];

		if (a->kind == ACTION_FINISHED)
			a->job->untold = false;
		if (a->kind == ACTION_GROUP_FINISHED)
			a->group->untold = false;
		if (a->kind == ACTION_DISPATCH) {
			if (a->job->state != JOB_RUNNING || a->job->token != a->token)
				continue;
			a->job->sent = true;
		}
		e->actions[kept++] = *a;
	}
	e->action_count = kept;
}

const struct action *engine_run(struct engine *e, size_t *ret_count)
{
	children_run(e);
	groups_run(e);
	if (GA_UNLIKELY(e->wakeful))
		ready_wake(e);
	trials_run(e);
	for (int c = 0; c < CLASS_COUNT; c++)
		while (attempts_dispatch_one(e, (enum job_class)c))
			;
	actions_settle(e);
	e->handed_out = true;
	*ret_count = e->action_count;
	return e->actions;
}

void engine_reap(struct engine *e)
{
	if (e->action_count > 0 && !e->handed_out)
		return; /* they name jobs */
	e->action_count = 0;
	e->handed_out = false;
	finished_evict(e);
	groups_evict(e);
	LIST_FOREACH(it, &e->gone) {
		struct job *job = LIST_ENTRY(it, struct job, place);

		if (job->pins > 0)
			continue; /* it is yet to be saved or told of */
		list_remove(&job->place);
		job_free(e, job);
	}
}

void engine_counts(const struct engine *e, struct engine_counts *ret_counts)
{
	*ret_counts = e->counts;
}

static int withheld_grow(struct engine *e, size_t more)
{
	uint32_t size = MAX(e->withheld_size, 64U);
	struct withheld_action *ring;

	while (size < e->withheld_count + more)
		size *= 2;
	ring = malloc(size * sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < e->withheld_count; i++)
		ring[i] = e->withheld[(e->withheld_first + i) & (e->withheld_size - 1)];
	free(e->withheld);
	e->withheld = ring;
	e->withheld_size = size;
	e->withheld_first = 0;
	return 0;
}

/* What is withheld has its place among the actions already, so that letting it go can't fail. */
static int actions_grow(struct engine *e, size_t more)
{
	size_t wanted = e->action_count + e->withheld_count + more;
	size_t size = MAX(e->action_size * 2, (size_t)64);
	struct action *actions;

	if (e->withheld_count + more > e->withheld_size && withheld_grow(e, more) < 0)
		return -ENOMEM;
	if (wanted <= e->action_size)
		return 0;
	size = MAX(size, wanted);
	actions = reallocarray(e->actions, size, sizeof(*actions));
	if (!actions)
		return -ENOMEM;
	e->actions = actions;
	e->action_size = size;
	return 0;
}

int actions_reserve(struct engine *e, size_t more)
{
	assert(!e->handed_out || e->action_count == 0); /* no event between engine_run() and engine_reap() */
	if (GA_LIKELY(e->withheld_count + more <= e->withheld_size &&
		      e->action_count + e->withheld_count + more <= e->action_size))
		return 0;
	return actions_grow(e, more);
}

void actions_reserve_or_abort(struct engine *e, size_t more)
{
	if (actions_reserve(e, more) < 0)
		abort();
}

void action_now(struct engine *e, const struct action *a)
{
	assert(e->action_count < e->action_size);
	e->actions[e->action_count++] = *a;
}

/* Built in its place: read back at once by wider loads than it was written with, it would stall them. */
void action_push(struct engine *e, enum action_kind kind, uint32_t slot, uint64_t token, struct job *job)
{
	uint64_t until = job_is_durable(job) ? engine_pending(e) : 0;

	if (GA_UNLIKELY(until > 0)) {
		action_withhold(e, &(struct action){ kind, slot, token, { job } }, until);
		return;
	}
	assert(e->action_count < e->action_size);
	e->actions[e->action_count++] = (struct action){ kind, slot, token, { job } };
}

void actions_push(struct engine *e, enum action_kind kind, struct job *job)
{
	action_push(e, kind, job->slot, job->token, job);
}

void action_push_group(struct engine *e, struct group *group)
{
	const struct action a = { .kind = ACTION_GROUP_FINISHED, .group = group };

	uint64_t until = group->durability != DURABILITY_MEMORY ? engine_pending(e) : 0;

	if (until > 0)
		action_withhold(e, &a, until);
	else
		action_now(e, &a);
}

struct job *action_job(const struct action *a)
{
	switch (a->kind) {
	case ACTION_GROUP_FINISHED:
	case ACTION_SACRIFICE:
	case ACTION_DISMISS:
		return NULL;
	default:
		return a->job;
	}
}

static void options_complete(struct engine_options *o)
{
	if (o->first_sequence == 0)
		o->first_sequence = 1;
	if (o->key_ttl <= 0)
		o->key_ttl = 24 * 3600 * NSEC_PER_SEC;
	if (o->max_jobs == 0)
		o->max_jobs = 1000000;
	if (o->max_args_bytes == 0)
		o->max_args_bytes = UINT64_C(1) << 30;
	if (o->max_finished_bytes == 0)
		o->max_finished_bytes = UINT64_C(64) << 20;
	if (o->result_ttl <= 0)
		o->result_ttl = 24 * 3600 * NSEC_PER_SEC;
	if (o->failed_ttl <= 0)
		o->failed_ttl = 180 * 24 * 3600 * NSEC_PER_SEC;
}

uint64_t engine_unfinished(const struct engine *e)
{
	const uint64_t *jobs = e->counts.jobs;

	return jobs[JOB_READY] + jobs[JOB_RUNNING] + jobs[JOB_RETRYING] + jobs[JOB_SCHEDULED] +
	       jobs[JOB_BLOCKED] + jobs[JOB_ACCEPTED];
}

int job_new(struct engine *e, const struct submission *s, uint64_t sequence, struct job **ret_job)
{
	struct job_profile *profile;
	struct job *job;
	int r = profile_acquire(e, s, &profile);

	if (r < 0)
		return r;
	job = table_new_job(&e->table);
	if (!job) {
		r = -ENOMEM;
		goto release_profile;
	}
	list_init(&job->place);
	list_init(&job->mates);
	job->profile = profile;
	job->sequence = sequence;
	r = limits_enter(e, job, s->limit_key);
	if (r < 0)
		goto free_job;
	r = extra_new(e, job, s);
	if (r < 0)
		goto leave_limits;
	r = table_put(&e->table, job);
	if (r < 0)
		goto free_extra;
	e->next_sequence = MAX(e->next_sequence, sequence + 1);
	job_fill(e, job, s);
	*ret_job = job;
	return 0;

free_extra:
	extra_free(e, job);
leave_limits:
	limits_settle(e, job);
	limits_leave(e, job);
free_job:
	table_free_job(&e->table, job);
release_profile:
	profile_release(e, profile);
	return r;
}

static void job_fill(struct engine *e, struct job *job, const struct submission *s)
{
	id_make(e, job->sequence, (enum job_durability)job->profile->durability, &job->id);
	job->args = bytes_ref(s->args);
	job->tag = s->tag;
	job->due_wall = s->due_wall;
	job->deadline_wall = s->deadline_wall;
	job->accepted_at = e->now;
}

/* Time never goes back within ids; the sequence makes them unique, the random bits unguessable from one another. */
void id_make(struct engine *e, uint64_t sequence, enum job_durability durability, struct uuid *ret_id)
{
	uint64_t ms = e->now_wall > 0 ? (uint64_t)(e->now_wall / NSEC_PER_MSEC) : 0;
	uint16_t rand_a = (uint16_t)((unsigned)durability << ID_EPOCH_BITS |
				     (e->options.epoch & ID_EPOCH_MASK));

	e->last_ms = MAX(e->last_ms, ms);
	uuid7_make(ret_id, e->last_ms, rand_a,
		   (sequence & ID_SEQUENCE_MASK) << ID_RANDOM_BITS |
			   random_next(&e->random) >> (64 - ID_RANDOM_BITS));
}

static uint64_t big_endian(const uint8_t *bytes, int size)
{
	uint64_t value = 0;

	while (size-- > 0)
		value = value << 8 | *bytes++;
	return value;
}
