/* Jobs in the world: their submission, and what clients and attempts do to them. */
#include "clock.h"
#include "engine_workers.h"
#include "steps.h"
#include <errno.h>

static const char *const key_names[MODEL_KEYS + 1] = { "",        "order-1", "order-2", "order-3",
						       "order-4", "order-5", "order-6" };

static struct retry_policy some_retries(struct world *w)
{
	return (struct retry_policy){ .max = (uint16_t)world_below(w, 4),
				      .initial_ms = (uint32_t)world_below(w, 2000),
				      .maximum_ms = 5000,
				      .factor = 2,
				      .jitter = world_chance(w, 50) ? 0.2f : 0 };
}

struct model_job world_some_job(struct world *w)
{
	struct model_job job = {
		.queue = (int)world_below(w, (uint64_t)w->queues),
		.client = world_below(w, MODEL_CLIENTS),
		.tag = world_below(w, 5),
		.key = w->keys && world_chance(w, 20) ? 1 + (int)world_below(w, MODEL_KEYS) : 0,
		.unique = w->keys && world_chance(w, 10) ? 1 + (int)world_below(w, MODEL_UNIQUES) : 0,
		.limit_key = w->limits && world_chance(w, 60) ? (int)world_below(w, MODEL_GATES) : 0,
		.args_size = world_chance(w, 50) ? world_below(w, 20) : 0,
		.terms = {
			.job_class = (enum job_class)world_below(w, CLASS_COUNT),
			.priority = (int8_t)((int)world_below(w, (uint64_t)w->priorities * 2 + 1) -
					     w->priorities),
			.detached = world_chance(w, 20),
			.retries = some_retries(w),
			.result_ttl = world_chance(w, 20) ?
					      (int64_t)(1 + world_below(w, 60)) * NSEC_PER_SEC :
					      0,
			.due = world_chance(w, 10) ?
				       w->m.now + (int64_t)world_below(w, 20 * NSEC_PER_SEC) :
				       0,
			.deadline = world_chance(w, 15) ?
					    w->m.now + (int64_t)world_below(w, 40 * NSEC_PER_SEC) :
					    0,
			.due_wall = world_chance(w, 30),
			.deadline_wall = world_chance(w, 30),
			.payload = { (uint8_t)world_below(w, 2) },
		},
	};

	if (world_chance(w, w->durable)) {
		job.terms.durability = world_chance(w, 70) ? DURABILITY_FSYNC : DURABILITY_WRITE;
		if (world_chance(w, 15)) {
			job.terms.at_most_once = true;
			job.terms.retries.max = 0;
		}
	}
	job.terms.queue = job.queue > 0 ? span_of(world_gates[LIMIT_QUEUE][job.queue]) : SPAN("");
	job.terms.key = span_of(key_names[job.key]);
	job.terms.limit_key = span_of(world_gates[LIMIT_KEY][job.limit_key]);
	job.terms.unique_key = span_of(key_names[job.unique]);
	job.terms.client = job.client;
	job.terms.tag = job.tag;
	return job;
}

/* Whom the submission is a repetition of. */
static struct model_job *twin_of(struct world *w, const struct model_job *like, int *ret_expected)
{
	struct model_job *twin = like->key > 0 ? model_key_holder(&w->m, like->key) : NULL;

	*ret_expected = 1;
	if (twin && twin->terms.payload[0] != like->terms.payload[0])
		*ret_expected = -ENOTUNIQ;
	if (!twin && like->unique > 0)
		twin = model_unique_holder(&w->m, like->unique);
	return twin;
}

void step_submit(struct world *w)
{
	struct model_job like = world_some_job(w), *twin;
	struct submission s = like.terms;
	size_t unfinished = 0;
	struct job *real = NULL;
	int r, expected = 0;

	for (size_t i = 0; i < w->m.count; i++)
		unfinished += !model_final(&w->m.jobs[i]);
	twin = twin_of(w, &like, &expected);
	if (!twin)
		expected = unfinished >= w->max_jobs        ? -ENOBUFS
			   : model_gates_full(&w->m, &like) ? -EAGAIN
							    : 0;
	s.due = model_engine_time(&w->m, s.due);
	s.deadline = model_engine_time(&w->m, s.deadline);
	if (like.args_size > 0)
		s.args = bytes_new(world_args, like.args_size);
	r = engine_submit(w->m.e, &s, &real);
	bytes_unref(s.args);
	MODEL_EXPECT(&w->m, r == expected, "a submission is answered %d, should be %d", r, expected);
	if (r == 1 && twin) {
		MODEL_EXPECT(&w->m, real->sequence == twin->sequence, "job %llu stands for job %llu",
			     (unsigned long long)real->sequence, (unsigned long long)twin->sequence);
		broker_answer(w, ACK_SUBMITTED, twin);
	}
	if (r != 0)
		return;
	w->counts.jobs++;
	like.sequence = real->sequence;
	twin = model_submitted(&w->m, real, &like);
	world_tell(w, "job %llu is submitted: durability %d, key %d, unique %d%s",
		   (unsigned long long)like.sequence, like.terms.durability, like.key, like.unique,
		   like.terms.at_most_once ? ", once" : "");
	broker_answer(w, ACK_SUBMITTED, twin);
}

/* A running attempt submits a job of its own, or waits for those that it has. */
void step_child(struct world *w)
{
	struct model_job *parent = world_any_job(w, world_chance(w, 90) ? 1u << JOB_RUNNING : ~0u);
	struct model_job like = world_some_job(w);
	struct submission s;
	struct job *real;
	int r, expected = 0;

	if (!parent)
		return;
	if (parent->is.state == JOB_RUNNING && world_chance(w, 50)) {
		parent->parked = !parent->parked;
		engine_park(w->m.e, parent->slot, parent->is.token, parent->parked);
		return;
	}
	like.client = like.terms.client = attempt_client(parent->is.token);
	like.key = like.unique = like.limit_key = 0;
	like.terms.key = like.terms.unique_key = like.terms.limit_key = (struct span){ 0 };
	like.terms.detached = world_chance(w, 5);
	like.terms.exempt = true;
	s = like.terms;
	s.due = model_engine_time(&w->m, s.due);
	s.deadline = model_engine_time(&w->m, s.deadline);
	if (like.terms.durability != DURABILITY_MEMORY || like.terms.detached)
		expected = -EINVAL;
	else if (parent->is.state != JOB_RUNNING || parent->is.cancelling)
		expected = -ESTALE;
	r = engine_submit(w->m.e, &s, &real);
	MODEL_EXPECT(&w->m, r == expected, "a child is answered %d, should be %d", r, expected);
	if (r < 0)
		return;
	like.args_size = 0;
	like.sequence = real->sequence;
	world_tell(w, "job %llu is a child of %llu", (unsigned long long)like.sequence,
		   (unsigned long long)parent->sequence);
	model_submitted(&w->m, real, &like);
}

void step_cancel(struct world *w)
{
	struct model_job *job = world_any_job(w, ~0u);
	struct job *real = job ? model_real(&w->m, job) : NULL;
	int r;

	if (!real)
		return;
	r = engine_cancel(w->m.e, real);
	MODEL_EXPECT(&w->m, r == (model_final(job) ? -EALREADY : 0), "cancel: %d", r);
	if (r < 0)
		return;
	world_tell(w, "job %llu is cancelled", (unsigned long long)job->sequence);
	model_cancel(&w->m, job);
	broker_answer(w, ACK_CANCELLED, job);
}

void step_retry(struct world *w)
{
	struct model_job *job = world_any_job(
		w, world_chance(w, 80) ? JOB_STATES_FINAL & ~(1u << JOB_SUCCEEDED) : ~0u);
	struct job *real = job ? model_real(&w->m, job) : NULL;
	int r, expected = 0;

	if (!real)
		return;
	if (job->is.state == JOB_SUCCEEDED)
		expected = -EALREADY;
	else if (!model_final(job) || job->untold)
		expected = -EBUSY;
	else if (job->unique > 0 && model_unique_holder(&w->m, job->unique))
		expected = -EEXIST;
	r = engine_retry(w->m.e, real);
	MODEL_EXPECT(&w->m, r == expected, "retry of a %s job: %d", job_state_name(job->is.state), r);
	if (r < 0)
		return;
	world_tell(w, "job %llu is retried", (unsigned long long)job->sequence);
	model_retry(&w->m, job);
	broker_answer(w, ACK_RETRIED, job);
}

/* A finished job that only the store has is retried: it comes back for that. */
void step_revive(struct world *w)
{
	uint64_t last = w->disk.last_sequence, sequence = last ? 1 + world_below(w, last) : 0;
	const struct row *row = disk_view(&w->disk, sequence, w->disk.told);

	if (row && job_state_is_final(row->job.state) && !model_find(&w->m, sequence) &&
	    !model_find_leaving(&w->m, sequence) && row == disk_view(&w->disk, sequence, UINT64_MAX))
		broker_restore(w, row);
}

void step_purge(struct world *w)
{
	struct model_job *job = world_any_job(w, world_chance(w, 80) ? JOB_STATES_FINAL : ~0u);
	struct job *real = job ? model_real(&w->m, job) : NULL;
	bool kept;
	int r;

	if (!real)
		return;
	kept = !model_final(job) || job->untold || model_unsaved(job) || real->pins > 0;
	r = engine_purge(w->m.e, real);
	MODEL_EXPECT(&w->m, r == (kept ? -EBUSY : 0), "purge of a %s job: %d",
		     job_state_name(job->is.state), r);
	if (r == 0)
		model_forget(&w->m, job);
}

void step_client_gone(struct world *w)
{
	uint64_t client = 1 + world_below(w, MODEL_CLIENTS);

	engine_client_gone(w->m.e, client);
	model_client_gone(&w->m, client);
}

void step_cancel_tag(struct world *w)
{
	uint64_t client = 1 + world_below(w, MODEL_CLIENTS), tag = world_below(w, 5);
	unsigned asked = engine_cancel_tag(w->m.e, client, tag), expected = 0;

	for (size_t i = 0; i < w->m.count; i++) {
		struct model_job *job = &w->m.jobs[i];

		if (job->client != client || job->tag != tag || model_final(job))
			continue;
		expected++;
		model_cancel(&w->m, job);
	}
	MODEL_EXPECT(&w->m, asked == expected, "%u jobs of a tag are cancelled, should be %u",
		     asked, expected);
}

void step_drop_args(struct world *w)
{
	struct model_job *job = world_any_job(w, ~0u);
	struct job *real = job ? model_real(&w->m, job) : NULL;

	if (real && model_durable(job) && !model_unsaved(job))
		engine_drop_args(w->m.e, real);
}
