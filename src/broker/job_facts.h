/*
 * job_facts.h — what can be told of a job, the same whether the engine has it or the store alone.
 */
#pragma once
#include "broker.h"
#include "store.h"

struct job_facts {
	struct uuid id;
	uint64_t sequence;
	enum job_state state;
	enum job_durability durability;
	const struct job_type *type; /* NULL: there is no such type any more */
	struct span type_name, queue;
	int8_t priority;
	uint16_t attempts, retries_max;
	uint32_t timeout_ms, elapsed_us, slot;
	int64_t accepted_wall, started_wall, finished_wall, due_wall, deadline_wall; /* 0: none */
	bool has_error, args_away;
	int error_signal;
	struct span error_code, error_message;
	struct span args, meta, body; /* no data: none */
	struct span tags;             /* as the store has them */
	struct span key, limit_key;
	const struct uuid *group;    /* it is a member of; NULL: none, or the store alone knows */
	uint32_t member;             /* its place there */
	const struct job_told *told; /* NULL: nothing, or no longer here */
};

/* All borrow. */
void facts_of_end(const struct job *job,
		  struct job_facts *facts); /* how it ended alone, for those that count */
void facts_of_job(struct broker *b, const struct job *job, struct job_facts *ret_facts);
void facts_of_row(struct broker *b, const struct store_job *row, struct job_facts *ret_facts);
/* Whether one of the tags is this. */
bool tags_have(struct span tags, struct span tag);
