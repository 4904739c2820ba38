/* Between rows of tables and what store_job.h calls them. */
#include "sqlite_store.h"
#include <errno.h>

static struct value integer_or_null(int64_t integer)
{
	return integer ? value_integer(integer) : (struct value){ 0 };
}

/* A time to come stands in three columns: the boot's number, its boot time, the wall time. */
static void due_values(const struct sqlite *q, const struct store_due *due, struct value row[3])
{
	row[0] = integer_or_null(due->boot ? q->boot : 0);
	row[1] = integer_or_null(due->boot);
	row[2] = integer_or_null(due->wall);
}

static struct store_due values_due(const struct sqlite *q, const struct value row[3])
{
	return (struct store_due){
		.boot = value_as_integer(&row[1]),
		.wall = value_as_integer(&row[2]),
		.same_boot = row[0].kind == VALUE_INTEGER && row[0].integer == q->boot,
	};
}

static struct value expiry_value(const struct sqlite *q, enum job_state state, int64_t expires_wall)
{
	if (!job_state_is_final(state))
		return (struct value){ 0 };
	return value_integer(expires_wall > 0 ? steady_expiry(q, expires_wall) : INT64_MAX);
}

static void job_once_values(const struct store_job *job, struct value *row)
{
	row[JOBS_TYPE] = value_text(job->type);
	row[JOBS_QUEUE] = value_text(job->queue);
	row[JOBS_TAGS] = value_text(job->tags);
	row[JOBS_ID] = value_blob(job->id.b, sizeof(job->id.b));
	row[JOBS_PRIORITY] = value_integer(job->priority);
	row[JOBS_DURABILITY] = value_integer(job->durability);
	row[JOBS_GROUP] = integer_or_null((int64_t)job->group);
	row[JOBS_MEMBER] = integer_or_null(job->member);
	row[JOBS_KEY] = value_text(job->key);
	row[JOBS_PAYLOAD] = job->key.size ? value_blob(job->payload, sizeof(job->payload))
					  : (struct value){ 0 };
	row[JOBS_UNIQUE_KEY] = value_text(job->unique_key);
	row[JOBS_LIMIT_KEY] = value_text(job->limit_key);
	row[JOBS_OPTIONS] = value_text(job->options);
	row[JOBS_ARGS] = value_text(job->args);
}

void job_values(const struct sqlite *q, const struct store_job *job, bool all,
		struct value row[JOBS_COLUMNS])
{
	row[JOBS_SEQUENCE] = value_integer((int64_t)job->sequence);
	if (all)
		job_once_values(job, row);
	row[JOBS_STATE] = value_integer(job->state);
	row[JOBS_EXPIRES] = expiry_value(q, job->state, job->expires_wall);
	row[JOBS_ACCEPTED] = value_integer(job->accepted_wall);
	row[JOBS_CANCELLING] = value_integer(job->cancelling);
	row[JOBS_ATTEMPTS] = value_integer(job->attempts);
	row[JOBS_FAILURES] = value_integer(job->failures);
	row[JOBS_CRASHES] = value_integer(job->crashes);
	row[JOBS_TOKEN] = value_integer((int64_t)job->token);
	row[JOBS_INCARNATION] = value_integer((int64_t)job->incarnation);
	row[JOBS_SLOT] = value_integer(job->slot);
	due_values(q, &job->deadline, &row[JOBS_DEADLINE_BOOT]);
	due_values(q, &job->due, &row[JOBS_DUE_BOOT]);
	row[JOBS_ELAPSED] = value_integer(job->elapsed_us);
	row[JOBS_STARTED] = integer_or_null(job->started_wall);
	row[JOBS_FINISHED] = integer_or_null(job->finished_wall);
	row[JOBS_ERROR_SIGNAL] = value_integer(job->error_signal);
	row[JOBS_ERROR_CODE] = value_text(job->error_code);
	row[JOBS_ERROR_MESSAGE] = value_text(job->error_message);
	row[JOBS_META] = value_text(job->meta);
	row[JOBS_BODY] = value_blob(job->body.data, job->body.size);
}

static int values_job_once(const struct sqlite *q, const struct value *row, struct store_job *job)
{
	job->type = value_as_bytes(&row[JOBS_TYPE]);
	job->queue = value_as_bytes(&row[JOBS_QUEUE]);
	job->tags = value_as_bytes(&row[JOBS_TAGS]);
	job->priority = (int8_t)value_as_integer(&row[JOBS_PRIORITY]);
	job->durability = (enum job_durability)value_as_integer(&row[JOBS_DURABILITY]);
	job->group = (uint64_t)value_as_integer(&row[JOBS_GROUP]);
	job->member = (uint32_t)value_as_integer(&row[JOBS_MEMBER]);
	job->deadline = values_due(q, &row[JOBS_DEADLINE_BOOT]);
	job->key = value_as_bytes(&row[JOBS_KEY]);
	job->unique_key = value_as_bytes(&row[JOBS_UNIQUE_KEY]);
	job->limit_key = value_as_bytes(&row[JOBS_LIMIT_KEY]);
	if (value_as_array(&row[JOBS_PAYLOAD], job->payload, sizeof(job->payload)) < 0)
		return -EBADMSG;
	return value_as_array(&row[JOBS_ID], job->id.b, sizeof(job->id.b));
}

int values_job(const struct sqlite *q, const struct value row[JOBS_COLUMNS], unsigned count,
	       struct store_job *ret_job)
{
	struct store_job job = { .sequence = (uint64_t)value_as_integer(&row[JOBS_SEQUENCE]) };

	if (!row_fits(&table_jobs, row, count) || values_job_once(q, row, &job) < 0)
		return -EBADMSG;
	job.state = (enum job_state)value_as_integer(&row[JOBS_STATE]);
	job.expires_wall = value_as_integer(&row[JOBS_EXPIRES]);
	job.accepted_wall = value_as_integer(&row[JOBS_ACCEPTED]);
	job.cancelling = value_as_integer(&row[JOBS_CANCELLING]);
	job.attempts = (uint16_t)value_as_integer(&row[JOBS_ATTEMPTS]);
	job.failures = (uint16_t)value_as_integer(&row[JOBS_FAILURES]);
	job.crashes = (uint8_t)value_as_integer(&row[JOBS_CRASHES]);
	job.token = (uint64_t)value_as_integer(&row[JOBS_TOKEN]);
	job.incarnation = (uint64_t)value_as_integer(&row[JOBS_INCARNATION]);
	job.slot = (uint32_t)value_as_integer(&row[JOBS_SLOT]);
	job.due = values_due(q, &row[JOBS_DUE_BOOT]);
	job.elapsed_us = (uint32_t)value_as_integer(&row[JOBS_ELAPSED]);
	job.started_wall = value_as_integer(&row[JOBS_STARTED]);
	job.finished_wall = value_as_integer(&row[JOBS_FINISHED]);
	job.error_signal = (int32_t)value_as_integer(&row[JOBS_ERROR_SIGNAL]);
	job.error_code = value_as_bytes(&row[JOBS_ERROR_CODE]);
	job.error_message = value_as_bytes(&row[JOBS_ERROR_MESSAGE]);
	if (count == JOBS_COLUMNS) {
		job.options = value_as_bytes(&row[JOBS_OPTIONS]);
		job.args = value_as_bytes(&row[JOBS_ARGS]);
		job.meta = value_as_bytes(&row[JOBS_META]);
		job.body = value_as_bytes(&row[JOBS_BODY]);
	}
	*ret_job = job;
	return 0;
}

void attempt_values(const struct store_attempt *attempt, struct value row[ATTEMPT_COLUMNS])
{
	row[ATTEMPT_SEQUENCE] = value_integer((int64_t)attempt->sequence);
	row[ATTEMPT_NUMBER] = value_integer(attempt->attempt);
	row[ATTEMPT_SLOT] = value_integer(attempt->slot);
	row[ATTEMPT_STARTED] = integer_or_null(attempt->started_wall);
	row[ATTEMPT_ENDED] = integer_or_null(attempt->ended_wall);
	row[ATTEMPT_OUTCOME] = value_integer(attempt->outcome);
	row[ATTEMPT_ERROR_SIGNAL] = value_integer(attempt->error_signal);
	row[ATTEMPT_ERROR_CODE] = value_text(attempt->error_code);
	row[ATTEMPT_ERROR_MESSAGE] = value_text(attempt->error_message);
	row[ATTEMPT_LOG] = value_text(attempt->log);
}

int values_attempt(const struct value row[ATTEMPT_COLUMNS], struct store_attempt *ret_attempt)
{
	if (!row_fits(&table_attempts, row, ATTEMPT_COLUMNS))
		return -EBADMSG;
	*ret_attempt = (struct store_attempt){
		.sequence = (uint64_t)value_as_integer(&row[ATTEMPT_SEQUENCE]),
		.attempt = (uint16_t)value_as_integer(&row[ATTEMPT_NUMBER]),
		.slot = (uint32_t)value_as_integer(&row[ATTEMPT_SLOT]),
		.started_wall = value_as_integer(&row[ATTEMPT_STARTED]),
		.ended_wall = value_as_integer(&row[ATTEMPT_ENDED]),
		.outcome = (enum job_outcome)value_as_integer(&row[ATTEMPT_OUTCOME]),
		.error_signal = (int32_t)value_as_integer(&row[ATTEMPT_ERROR_SIGNAL]),
		.error_code = value_as_bytes(&row[ATTEMPT_ERROR_CODE]),
		.error_message = value_as_bytes(&row[ATTEMPT_ERROR_MESSAGE]),
		.log = value_as_bytes(&row[ATTEMPT_LOG]),
	};
	return 0;
}

void group_values(const struct sqlite *q, const struct store_group *group,
		  struct value row[GROUP_COLUMNS])
{
	row[GROUP_SEQUENCE] = value_integer((int64_t)group->sequence);
	row[GROUP_STATE] = value_integer(group->state);
	row[GROUP_EXPIRES] = expiry_value(q, group->state, group->expires_wall);
	row[GROUP_ACCEPTED] = value_integer(group->accepted_wall);
	row[GROUP_ID] = value_blob(group->id.b, sizeof(group->id.b));
	row[GROUP_PARENT] = integer_or_null((int64_t)group->parent);
	row[GROUP_MEMBER] = integer_or_null(group->member);
	row[GROUP_SPEC] = value_text(group->spec);
	row[GROUP_FINISHED] = integer_or_null(group->finished_wall);
	row[GROUP_PROGRESS] = value_text(group->progress);
	row[GROUP_ERROR] = value_text(group->error);
	row[GROUP_MEMBERS] = value_blob(group->members.data, group->members.size);
}

int values_group(const struct value row[GROUP_COLUMNS], struct store_group *ret_group)
{
	struct store_group group = {
		.sequence = (uint64_t)value_as_integer(&row[GROUP_SEQUENCE]),
		.parent = (uint64_t)value_as_integer(&row[GROUP_PARENT]),
		.member = (uint32_t)value_as_integer(&row[GROUP_MEMBER]),
		.spec = value_as_bytes(&row[GROUP_SPEC]),
		.members = value_as_bytes(&row[GROUP_MEMBERS]),
		.progress = value_as_bytes(&row[GROUP_PROGRESS]),
		.state = (enum job_state)value_as_integer(&row[GROUP_STATE]),
		.error = value_as_bytes(&row[GROUP_ERROR]),
		.accepted_wall = value_as_integer(&row[GROUP_ACCEPTED]),
		.finished_wall = value_as_integer(&row[GROUP_FINISHED]),
		.expires_wall = value_as_integer(&row[GROUP_EXPIRES]),
	};

	if (!row_fits(&table_groups, row, GROUP_COLUMNS) ||
	    value_as_array(&row[GROUP_ID], group.id.b, sizeof(group.id.b)) < 0)
		return -EBADMSG;
	*ret_group = group;
	return 0;
}

void facts_values(const struct sqlite_facts *facts, struct value row[FACT_COLUMNS])
{
	row[FACT_ONE] = value_integer(1);
	row[FACT_STORE_ID] = value_blob(facts->store_id, sizeof(facts->store_id));
	row[FACT_CREATED] = value_integer(facts->created_wall);
	row[FACT_SCHEMA_SUM] = value_integer(facts->schema_sum);
	row[FACT_COMMIT_SEQ] = value_integer((int64_t)facts->commit_seq);
	row[FACT_LAST_SEQUENCE] = value_integer((int64_t)facts->last_sequence);
	row[FACT_LAST_WALL] = value_integer(facts->last_wall);
	row[FACT_UNFINISHED] = value_integer((int64_t)facts->unfinished);
	row[FACT_SUCCEEDED] = value_integer((int64_t)facts->finished[JOB_SUCCEEDED]);
	row[FACT_FAILED] = value_integer((int64_t)facts->finished[JOB_FAILED]);
	row[FACT_CANCELLED] = value_integer((int64_t)facts->finished[JOB_CANCELLED]);
	row[FACT_EXPIRED] = value_integer((int64_t)facts->finished[JOB_EXPIRED]);
	row[FACT_REMOVED_EARLY] = value_integer((int64_t)facts->removed_early);
	row_seal(&table_facts, row, true);
}

int values_facts(const struct value row[FACT_COLUMNS], bool sealed, struct sqlite_facts *ret_facts)
{
	struct sqlite_facts facts = {
		.created_wall = value_as_integer(&row[FACT_CREATED]),
		.schema_sum = (uint32_t)value_as_integer(&row[FACT_SCHEMA_SUM]),
		.commit_seq = (uint64_t)value_as_integer(&row[FACT_COMMIT_SEQ]),
		.last_sequence = (uint64_t)value_as_integer(&row[FACT_LAST_SEQUENCE]),
		.last_wall = value_as_integer(&row[FACT_LAST_WALL]),
		.unfinished = (uint64_t)value_as_integer(&row[FACT_UNFINISHED]),
		.removed_early = (uint64_t)value_as_integer(&row[FACT_REMOVED_EARLY]),
	};

	facts.finished[JOB_SUCCEEDED] = (uint64_t)value_as_integer(&row[FACT_SUCCEEDED]);
	facts.finished[JOB_FAILED] = (uint64_t)value_as_integer(&row[FACT_FAILED]);
	facts.finished[JOB_CANCELLED] = (uint64_t)value_as_integer(&row[FACT_CANCELLED]);
	facts.finished[JOB_EXPIRED] = (uint64_t)value_as_integer(&row[FACT_EXPIRED]);
	if ((sealed && !row_fits(&table_facts, row, FACT_COLUMNS)) ||
	    value_as_array(&row[FACT_STORE_ID], facts.store_id, sizeof(facts.store_id)) < 0)
		return -EBADMSG;
	*ret_facts = facts;
	return 0;
}
