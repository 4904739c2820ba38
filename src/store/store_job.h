/*
 * store_job.h — what a store keeps: jobs, their ended attempts, groups, named documents.
 *
 * Spans are borrowed. Walls are Unix nanoseconds. A job's or group's id holds the low 40 bits of its sequence above its
 * last 22 bits, as the engine makes ids: that is how it is found by its id.
 */
#pragma once
#include "job_terms.h"
#include "span.h"
#include "uuid.h"
#include <stdbool.h>
#include <stdint.h>

/* A point in time to come: meant in boot time within this boot of the machine, in wall time after it. */
struct store_due {
	int64_t boot;   /* CLOCK_BOOTTIME, ns; 0: none */
	int64_t wall;   /* Unix, ns */
	bool same_boot; /* loaded: `boot` is of this boot */
};

/* A job as the store keeps it. Saved whole; what is marked (once) is written by the first save only. */
struct store_job {
	struct uuid id;                 /* (once) */
	uint64_t sequence;              /* (once) of acceptance; the key of the row */
	struct span type, queue;        /* (once) names */
	int8_t priority;                /* (once) */
	enum job_durability durability; /* (once) */
	struct span options;    /* (once) the job's further fields, a JSON object; empty: none */
	struct span args;       /* (once) JSON object; empty: none */
	struct span key;        /* (once) idempotency key; unique among all; empty: none */
	uint8_t payload[16];    /* (once) digest of what was submitted under the key */
	struct span unique_key; /* (once) opaque */
	struct span limit_key;  /* (once) */
	struct span tags; /* (once) separated and surrounded by newlines: "\na\nb\n"; empty: none */
	uint64_t group;   /* (once) sequence of the group that it is a member of; 0: none */
	uint32_t member;  /* (once) its place there, from 0 */
	bool follows; /* of the first save: from what is kept, so that want of space doesn't refuse it */

	enum job_state state;
	bool cancelling;
	uint16_t attempts, failures;
	uint8_t crashes;
	uint64_t token, incarnation; /* of the current or last attempt; 0: none yet */
	uint32_t slot;
	struct store_due due;      /* SCHEDULED, RETRYING: when */
	struct store_due deadline; /* none: a retry by hand takes it away */
	uint32_t elapsed_us;
	int64_t accepted_wall, started_wall, finished_wall; /* 0: not yet */
	int64_t expires_wall; /* finished: removed after that; 0: unfinished */
	int32_t error_signal;
	struct span error_code, error_message;
	struct span meta, body; /* of a finished one */
};
/* One ended attempt, for the history. */
struct store_attempt {
	uint64_t sequence; /* the job's */
	uint16_t attempt;  /* from 1 */
	uint32_t slot;
	int64_t started_wall, ended_wall;
	enum job_outcome outcome; /* 0: its worker died */
	int32_t error_signal;
	struct span error_code, error_message;
	struct span log; /* lines that the handler logged */
};
/* A group: its members stand in its own order; they are jobs (by sequence) or groups. */
struct store_group {
	struct uuid id;      /* (once) */
	uint64_t sequence;   /* (once) from the same count as the jobs' */
	uint64_t parent;     /* (once) sequence of the group that it is a member of; 0: none */
	uint32_t member;     /* (once) its place there */
	struct span spec;    /* (once) JSON: kind and options */
	struct span members; /* sequences, 8 bytes little-endian each, in order; grows in a map */
	struct span progress; /* JSON of the group's own: cursor of a map and the like; empty: none */
	enum job_state state;
	struct span error; /* JSON; empty: none */
	int64_t accepted_wall, finished_wall, expires_wall;
};
/* A named document of a kind: schedules, limits, paused queues, webhook secrets are the broker's own affair. */
struct store_document {
	struct span kind, name; /* together the key */
	struct span body;       /* JSON; empty: removed */
};
