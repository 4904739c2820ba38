/*
 * job.h — one job, as the engine keeps it. Others read it; the engine's job_move() alone writes `state`.
 *
 * The fields stand by how they are used together, without gaps: a million pending jobs are a million of these. What jobs
 * have in common stands once, in their profile; what few of them have, in their extra.
 */
#pragma once
#include "buf.h"
#include "bytes.h"
#include "heap.h"
#include "job_terms.h"
#include "list.h"
#include "uuid.h"
#include <stdbool.h>

struct engine_queue;
struct group;
struct job;
struct limit_key;
struct job;

struct retry_policy {
	uint32_t initial_ms; /* wait before the second attempt */
	uint32_t maximum_ms; /* no wait is longer, but for what the other side asked for */
	float factor;        /* each wait is so many times the one before */
	float jitter;        /* each wait varies by +- this part of it */
	uint16_t max;        /* further attempts after the first */
};

/* On what terms jobs were submitted: immutable, shared by all that were submitted alike. */
struct job_profile {
	uint64_t hash;
	uint32_t users;
	uint16_t type;       /* the submission's */
	uint8_t job_class;   /* enum job_class */
	uint8_t durability;  /* enum job_durability */
	int8_t priority;     /* -100 .. 100 */
	bool detached;       /* they go on when their client leaves */
	bool at_most_once;   /* an attempt that is lost is the last */
	uint32_t timeout_ms; /* of one attempt */
	struct retry_policy retries;
	int64_t result_ttl, failed_ttl;
	struct engine_queue *queue; /* its name: job_queue_name() */
	struct bytes *options;      /* the submission's; NULL: none */
};

struct job_error {
	int signal; /* that ended its worker, or 0 */
	char code[32];
	char message[]; /* NUL-terminated */
};

/* An attempt that has ended, for the history. */
struct job_note {
	struct job_note *next; /* the one before */
	uint16_t attempt;
	uint32_t slot;
	enum job_outcome outcome; /* 0: its worker died */
	int64_t started_at, ended_at;
	struct job_error *error;
	struct bytes *log; /* of a durable job; NULL: none */
	bool saved;        /* with a change */
};

/* What the current or last attempt told of itself while it ran. */
#define TOLD_UNKNOWN UINT32_MAX
#define TOLD_LOG_MAX (16u << 10)
struct job_told {
	uint16_t attempt;
	uint32_t fraction; /* in millionths, or TOLD_UNKNOWN */
	char text[256];    /* a few words; "": none */
	struct buf log;    /* its latest lines, whole, at most TOLD_LOG_MAX */
	uint64_t log_end;  /* bytes that were logged in all */
};
const struct job_told *job_told(const struct job *job); /* NULL: nothing */

/* What few jobs have. */
struct job_extra {
	struct job *job;
	int64_t starts_at; /* ACCEPTED: engine time before which it doesn't start; 0: none */
	int64_t deadline;  /* engine time; 0: none */
	struct heap_node deadline_due;
	struct bytes *key, *unique_key; /* idempotency, uniqueness */
	uint8_t payload[16];
	struct group *group;    /* it is a member of; NULL: none */
	uint64_t lost_group;    /* or was: sequence of one that isn't here; 0: none */
	uint32_t member;        /* its place there */
	bool blocked;           /* ACCEPTED: it goes on to BLOCKED */
	struct list siblings;   /* in the group's list, if that keeps one */
	struct job_note *notes; /* ended attempts, the latest first */
	unsigned note_count;
	struct job_told *told; /* NULL: no attempt told anything; job_told() */
};

struct job {
	struct list place; /* of its state: a ready list, a worker's held list, or the finished ring */
	uint64_t sequence; /* of acceptance, from 1; FIFO within priority */
	uint64_t token;    /* of the current or last attempt: epoch << 32 | counter; 0: none yet */
#ifdef GATHER_SABOTAGE_ACCEPT_STALE
	uint64_t earlier_token; /* of the attempt before */
#endif
	struct list mates; /* unfinished: jobs of the same client; finished: of the same lifetime */
	struct job_profile *profile;
	struct bytes *args;
	struct limit_key *key;   /* whose limits it counts for; NULL: none */
	struct job_extra *extra; /* NULL: none of that */

	struct heap_node due; /* SCHEDULED, RETRYING: when; READY: among those that came back, or in no heap */
	uint32_t slot;        /* of the worker that has or had it */
	uint16_t attempts;    /* started */
	uint16_t failures;    /* charged */
	uint8_t state;        /* enum job_state */
	uint8_t crashes;      /* charged */
	bool cancelling : 1;  /* its end was asked for */
	bool expiring : 1;    /* because its deadline passed */
	bool delivered : 1;   /* its client has the result */
	bool untold : 1;      /* the engine's: its ACTION_FINISHED wasn't handed out yet */
	bool gone : 1;        /* the engine's: it has left, and engine_reap() frees it */
	bool stored : 1;      /* its first save was handed out */
	bool changed : 1;     /* in the list of changes */
	bool sync : 1;        /* what changed must survive a loss of power before it is told */
	bool refused : 1;     /* its first save didn't happen: nothing may be told of it but that */
	bool args_away : 1;   /* they are in the store alone */
	bool parent : 1;      /* RUNNING: its attempt has submitted children */
	bool parked : 1;      /* RUNNING: it waits for them, and has given its slot back */
	bool unconfirmed : 1; /* restored as RUNNING; its worker hasn't said yet that it has it */
	bool due_wall : 1;    /* its beginning follows the wall clock */
	bool deadline_wall : 1; /* so does its deadline */
	bool sent : 1;          /* RUNNING: it was handed out, so that it may have begun */
	bool suspect : 1; /* it may take its worker along, and runs in the sacrificial one only: suspects.c */
	bool alone : 1; /* a suspect that runs there with nobody else */
	uint8_t batch; /* the engine's: low bits of the number of the last one that it was saved in */
	uint16_t pins;       /* changes and withheld actions that name it */
	uint32_t elapsed_us; /* of the last attempt, as its worker says */

	struct uuid id; /* its first 48 bits: Unix ms of acceptance */
	uint64_t client, tag;
	int64_t accepted_at, started_at, finished_at; /* engine time; 0: not yet */
	struct bytes *meta, *body;                    /* the result; NULL: none */
	struct job_error *error; /* of the last failed attempt; NULL: none, or no memory for it */
};
_Static_assert(sizeof(struct job) <= 192, "a pending job has grown");
