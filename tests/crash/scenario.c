#include "scenario.h"
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL INT64_C(1760000000000000000) /* of the first acceptance */
#define LATE INT64_C(4000000000000000000) /* nothing expires */

void scenario_init(struct scenario *s, uint64_t seed)
{
	*s = (struct scenario){ .seed = seed };
}

void scenario_done(struct scenario *s)
{
	free(s->jobs);
}

void scenario_id(uint64_t seed, uint64_t sequence, struct uuid *ret_id)
{
	/* As the engine makes them: the sequence stands in them. */
	uuid7_make(ret_id, (uint64_t)WALL / 1000000 + sequence, 0, sequence << 22 | (seed & 0x3fffff));
}

/* ---- what happens in a batch ---- */

static struct scenario_change *change(struct scenario *s, enum scenario_kind kind, size_t job)
{
	struct scenario_change *c = &s->changes[s->change_count++];

	*c = (struct scenario_change){ .kind = kind, .job = job };
	return c;
}

static bool is_changed(const struct scenario *s, size_t job)
{
	for (size_t i = 0; i < s->change_count; i++)
		if (s->changes[i].job == job)
			return true;
	return false;
}

static struct scenario_job *add(struct scenario *s, uint32_t generation)
{
	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->jobs = realloc(s->jobs, s->room * sizeof(*s->jobs));
		if (!s->jobs)
			errx(2, "no memory");
	}
	struct scenario_job *job = &s->jobs[s->count++];

	*job = (struct scenario_job){ .sequence = s->count,
				      .generation = generation,
				      .batch = s->batches };
	return job;
}

/* A key that some job has already; 0: none has one. */
static uint64_t some_key(const struct scenario *s, struct random *r)
{
	for (int tries = 0; s->count && tries < 8; tries++) {
		const struct scenario_job *job = &s->jobs[random_below(r, s->count)];

		if (job->key && !job->refused && !job->removed)
			return job->key;
	}
	return 0;
}

static void submit(struct scenario *s, struct random *r, uint32_t generation)
{
	uint64_t taken = random_below(r, 100) < 5 ? some_key(s, r) : 0;
	struct scenario_job *job = add(s, generation);
	struct scenario_change *c = change(s, CHANGE_FIRST, s->count - 1);

	job->durability = random_below(r, 4) ? DURABILITY_FSYNC : DURABILITY_WRITE;
	job->state = random_below(r, 10) < 6 ? JOB_RUNNING
		     : random_below(r, 2)    ? JOB_READY
					     : JOB_SCHEDULED;
	if (job->state == JOB_RUNNING) {
		job->attempts = 1;
		job->token = (uint64_t)generation << 32 | job->sequence;
	}
	job->key = taken ? taken : random_below(r, 10) < 3 ? job->sequence : 0;
	if (taken) {
		c->refused = true;
		job->refused = true;
		job->state = 0;
	}
}

static void finish(struct scenario *s, struct scenario_job *job, enum job_state state)
{
	job->state = state;
	job->finished_order = ++s->finished;
}

static void progress(struct scenario *s, struct random *r, struct scenario_job *job,
		     struct scenario_change *c)
{
	if (job->state != JOB_RUNNING) {
		job->state = JOB_RUNNING;
		job->attempts++;
		job->token = (uint64_t)job->generation << 32 | (s->batches * 1000 + job->sequence);
		return;
	}
	c->attempt = true;
	switch (random_below(r, 6)) {
	case 0:
		job->failures++;
		job->state = JOB_RETRYING;
		break;
	case 1:
		job->crashes++;
		job->state = JOB_READY;
		break;
	case 2:
		job->failures++;
		finish(s, job, JOB_FAILED);
		break;
	default:
		finish(s, job, JOB_SUCCEEDED);
	}
}

/* A group and its members are one batch. */
static void group(struct scenario *s, struct random *r, uint32_t generation)
{
	size_t members = 1 + random_below(r, 3);
	struct scenario_job *g = add(s, generation);
	uint64_t sequence = g->sequence;

	g->is_group = true;
	g->state = JOB_RUNNING;
	g->durability = DURABILITY_FSYNC;
	change(s, CHANGE_FIRST, s->count - 1);
	for (size_t i = 0; i < members; i++) {
		struct scenario_job *job = add(s, generation);

		job->state = JOB_BLOCKED;
		job->durability = DURABILITY_FSYNC;
		job->group = sequence;
		job->member = (uint32_t)i;
		change(s, CHANGE_FIRST, s->count - 1);
	}
}

static void move_one(struct scenario *s, struct random *r, uint32_t generation)
{
	size_t index = random_below(r, s->count);
	struct scenario_job *job = &s->jobs[index];

	if (job->is_group || job->refused || job->removed || is_changed(s, index))
		return;
	if (job_state_is_final(job->state)) {
		if (job->group || random_below(r, 8))
			return;
		job->removed = true;
		job->state = 0;
		change(s, CHANGE_REMOVE, index);
		return;
	}
	job->generation = generation;
	job->batch = s->batches;
	progress(s, r, job, change(s, CHANGE_SAVE, index));
}

void scenario_step(struct scenario *s, uint32_t generation)
{
	struct random r;

	s->batches++;
	s->change_count = 0;
	random_seed(&r, s->seed * 1000003 + ((uint64_t)generation << 32) + s->batches);
	size_t wanted = 1 + random_below(&r, 8);

	for (size_t i = 0; i < wanted; i++) {
		uint64_t dice = random_below(&r, 100);

		if (s->count == 0 || dice < 45)
			submit(s, &r, generation);
		else if (dice < 48 && s->change_count < SCENARIO_CHANGES - 5)
			group(s, &r, generation);
		else
			move_one(s, &r, generation);
	}
	s->sync = STORE_WRITE;
	for (size_t i = 0; i < s->change_count; i++)
		if (s->jobs[s->changes[i].job].durability == DURABILITY_FSYNC)
			s->sync = STORE_SYNC;
}

/* ---- what a job says ---- */

static char *long_text(uint64_t seed, uint64_t sequence, const char *what)
{
	uint64_t dice = (seed + sequence) * 0x9e3779b97f4a7c15u >> 32;
	size_t size = dice % 16 == 0 ? 4096 + dice / 16 % 20000 : 32 + dice / 16 % 400;
	char *text = malloc(size + 1);

	if (!text)
		errx(2, "no memory");
	int head = snprintf(text, size, "{\"%s\":%llu,\"pad\":\"", what, (unsigned long long)sequence);

	if ((size_t)head < size - 2) {
		memset(text + head, 'a' + (int)(sequence % 26), size - (size_t)head - 2);
		memcpy(text + size - 2, "\"}", 3);
	}
	return text;
}

void scenario_texts_done(struct scenario_texts *t)
{
	free(t->args);
	free(t->body);
}

static void fill_end(const struct scenario_job *job, struct store_job *out, struct scenario_texts *t)
{
	out->elapsed_us = job->batch;
	out->finished_wall = WALL + (int64_t)job->finished_order;
	out->expires_wall = LATE;
	if (job->state == JOB_SUCCEEDED) {
		snprintf(t->meta, sizeof(t->meta), "{\"batch\":%u}", job->batch);
		out->meta = span_of(t->meta);
		t->body = long_text(job->batch, job->sequence, "body");
		out->body = span_of(t->body);
	}
}

void scenario_job_fill(const struct scenario *s, const struct scenario_job *job,
		       struct store_job *ret_job, struct scenario_texts *ret_texts)
{
	struct scenario_texts *t = ret_texts;
	struct store_job out = { .sequence = job->sequence,
				 .type = SPAN("noop"),
				 .queue = job->sequence % 3 ? SPAN("default") : SPAN("other"),
				 .priority = (int8_t)(job->sequence % 7 - 3),
				 .durability = job->durability,
				 .group = job->group,
				 .member = job->member,
				 .state = job->state,
				 .attempts = job->attempts,
				 .failures = job->failures,
				 .crashes = job->crashes,
				 .token = job->token,
				 .incarnation = job->token ? job->generation + 7 : 0,
				 .slot = job->token ? (uint32_t)(job->sequence % 4) : 0,
				 .accepted_wall = WALL + (int64_t)job->sequence };

	*t = (struct scenario_texts){ .args = long_text(s->seed, job->sequence, "args") };
	scenario_id(s->seed, job->sequence, &out.id);
	out.args = span_of(t->args);
	snprintf(t->options, sizeof(t->options), "{\"timeout\":\"%llus\"}",
		 (unsigned long long)(job->sequence % 50 + 1));
	out.options = span_of(t->options);
	if (job->key) {
		snprintf(t->key, sizeof(t->key), "key-%llu", (unsigned long long)job->key);
		out.key = span_of(t->key);
		memset(out.payload, (int)(job->key & 0xff), sizeof(out.payload));
	}
	if (job->sequence % 5 == 0) {
		snprintf(t->tags, sizeof(t->tags), "\nt%llu\nall\n", (unsigned long long)job->sequence);
		out.tags = span_of(t->tags);
	}
	if (job->attempts)
		out.started_wall = WALL + job->batch;
	if (job->state == JOB_SCHEDULED || job->state == JOB_RETRYING)
		out.due = (struct store_due){ .boot = WALL, .wall = LATE };
	if (job->failures || job->crashes) {
		snprintf(t->message, sizeof(t->message), "failed in batch %u of generation %u",
			 job->batch, job->generation);
		out.error_code = SPAN("no_luck");
		out.error_message = span_of(t->message);
	}
	if (job_state_is_final(job->state))
		fill_end(job, &out, t);
	*ret_job = out;
}

void scenario_group_fill(const struct scenario *s, const struct scenario_job *g,
			 struct store_group *ret_group, struct scenario_members *ret_members)
{
	size_t count = 0;

	/* Its members follow it. */
	for (size_t i = g->sequence; i < s->count && s->jobs[i].group == g->sequence; i++)
		ret_members->sequences[count++] = s->jobs[i].sequence;
	snprintf(ret_members->spec, sizeof(ret_members->spec), "{\"gather\":%llu}",
		 (unsigned long long)g->sequence);
	*ret_group = (struct store_group){
		.sequence = g->sequence,
		.spec = span_of(ret_members->spec),
		.members = { (const char *)ret_members->sequences, count * sizeof(uint64_t) },
		.state = g->state,
		.accepted_wall = WALL + (int64_t)g->sequence,
	};
	scenario_id(s->seed, g->sequence, &ret_group->id);
}
