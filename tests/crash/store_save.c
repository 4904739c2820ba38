#include "clock.h"
#include "store_check.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct store_options store_check_options(const char *directory)
{
	/* Keys outlive every trial. A small ballast: each image has one. */
	return (struct store_options){ .directory = directory,
				       .key_ttl = INT64_C(1000000) * 3600 * NSEC_PER_SEC,
				       .ballast_bytes = 64 << 10 };
}

int store_take_last(const struct store_document *document, uint32_t *ret_batch)
{
	char text[32];

	if (!span_equal(document->kind, SPAN(SCENARIO_KIND)) || document->body.size >= sizeof(text))
		return -EBADMSG;
	memcpy(text, document->body.data, document->body.size);
	text[document->body.size] = '\0';
	*ret_batch = (uint32_t)strtoul(text, NULL, 10);
	return 0;
}

static int pass_job(void *arg, const struct store_job *job)
{
	(void)arg;
	(void)job;
	return 0;
}

static int pass_group(void *arg, const struct store_group *group)
{
	(void)arg;
	(void)group;
	return 0;
}

static int last_document(void *arg, const struct store_document *document)
{
	return store_take_last(document, arg);
}

int store_last_batch(struct store *s, uint32_t *ret_batch)
{
	const struct store_visitor visitor = {
		.job = pass_job, .group = pass_group, .document = last_document, .arg = ret_batch
	};

	*ret_batch = 0;
	return store_load(s, &visitor);
}

static int save_attempt(const struct scenario *s, struct store_batch *batch,
			const struct scenario_job *job, const struct store_job *saved)
{
	const struct store_attempt attempt = {
		.sequence = job->sequence,
		.attempt = job->attempts,
		.slot = saved->slot,
		.started_wall = saved->accepted_wall,
		.ended_wall = saved->accepted_wall + (int64_t)s->batches,
		.outcome = job->state == JOB_SUCCEEDED ? OUTCOME_SUCCEEDED
			   : job->state == JOB_READY   ? 0
						       : OUTCOME_FAILED,
		.error_code = saved->error_code,
		.error_message = saved->error_message,
	};

	return store_save_attempt(batch, &attempt);
}

static int save_change(const struct scenario *s, const struct scenario_change *c,
		       struct store_batch *batch, struct scenario_texts *texts,
		       struct scenario_members *members)
{
	const struct scenario_job *job = &s->jobs[c->job];
	struct store_group group;
	struct store_job saved;

	if (c->kind == CHANGE_REMOVE)
		return store_remove(batch, job->sequence);
	if (job->is_group) {
		scenario_group_fill(s, job, &group, members);
		return store_save_group(batch, &group, c->kind == CHANGE_FIRST);
	}
	scenario_job_fill(s, job, &saved, texts);
	if (c->refused)
		saved.state = JOB_ACCEPTED;
	int r = store_save_job(batch, &saved, c->kind == CHANGE_FIRST);

	if (r == 0 && c->attempt)
		r = save_attempt(s, batch, job, &saved);
	return r;
}

int store_save_step(const struct scenario *s, struct store_batch *batch,
		    struct scenario_texts *texts, struct scenario_members *members)
{
	char text[32];
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->change_count; i++)
		r = save_change(s, &s->changes[i], batch, &texts[i], &members[i]);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%u", s->batches);
	return store_save_document(batch,
				   &(struct store_document){ SPAN(SCENARIO_KIND),
							     SPAN(SCENARIO_NAME), span_of(text) });
}
