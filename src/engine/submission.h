/*
 * submission.h — a job as it is handed to the engine. All of it is borrowed for the call, but for the arguments' reference.
 */
#pragma once
#include "bytes.h"
#include "job.h"
#include "job_terms.h"
#include "span.h"

struct submission {
	uint16_t type; /* index in the table of types; opaque here */
	enum job_class job_class;
	enum job_durability durability; /* but memory: what happens to the job is a change, see engine_durable.h */
	struct span queue;  /* name; "" is "default" */
	struct bytes *args; /* a reference is taken */
	struct span options; /* all that was asked for besides, as text: kept with the job, opaque here */
	int8_t priority;
	bool detached;       /* goes on when its client leaves */
	bool at_most_once;   /* an attempt that is lost is the last: `outcome_unknown` */
	uint32_t timeout_ms; /* of one attempt; enforced by the worker */
	struct retry_policy retries;
	uint64_t client; /* 0: nobody's; else the caller's name for who submitted, given back in `struct job` */
	uint64_t tag;                   /* the client's own name for it */
	int64_t result_ttl, failed_ttl; /* 0: the engine's default */
	int64_t due;                    /* engine time before which it doesn't start; 0: none */
	int64_t deadline; /* engine time at which it is EXPIRED if it hasn't finished; 0: none */
	bool due_wall, deadline_wall; /* it is an instant of the wall clock, and moves when that is set */
	struct span limit_key;        /* whose limits it counts for; empty: none */
	struct span unique_key;       /* at most one unfinished job has it; empty: any number */
	struct span key;              /* idempotency key; empty: none */
	uint8_t payload[16];          /* digest of what is submitted under the key */
	struct group *group;          /* it becomes this one's member number `member`; NULL: none */
	uint64_t lost_group; /* restored: sequence of the group that it was a member of, and that isn't here; 0: none */
	uint32_t member;
	bool blocked; /* BLOCKED until its group releases it */
	bool exempt; /* from the limits at the door: a member, a child, a webhook of what was accepted before */
};
